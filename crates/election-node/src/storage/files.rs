//! The three file operations whose order decides what a crash leaves behind: sync of a directory, replacement of a whole
//! file, and reading one.
//!
//! A file that is replaced is never seen half-written: the new content is synced under another name and renamed, and the
//! rename is made durable by syncing the directory. Nothing here retries.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::NodeError;

/// Suffix of a file that is being written and has no meaning yet; leftovers are removed at start.
pub(super) const UNFINISHED_SUFFIX: &str = ".tmp";

/// Makes creations, renames and removals in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), NodeError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(NodeError::io("sync", path))
}

/// Replaces `directory/name` with `content`: after a crash it is the old file or the new one, whole.
pub(super) fn replace_file(directory: &Path, name: &str, content: &[&[u8]]) -> Result<(), NodeError> {
    let target = directory.join(name);
    let unfinished = directory.join(format!("{name}{UNFINISHED_SUFFIX}"));
    let mut file = File::create(&unfinished).map_err(NodeError::io("create", &unfinished))?;
    for part in content {
        file.write_all(part).map_err(NodeError::io("write", &unfinished))?;
    }
    file.sync_all().map_err(NodeError::io("sync", &unfinished))?;
    fs::rename(&unfinished, &target).map_err(NodeError::io("rename into place", &target))?;
    sync_directory(directory)
}

/// The content of a file, or `None` if there is no such file.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, NodeError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NodeError::Io { action: "read", path: path.to_path_buf(), source }),
    }
}

/// Removes what an interrupted [`replace_file`] left in a directory.
pub(super) fn remove_unfinished(directory: &Path) -> Result<(), NodeError> {
    let listing = fs::read_dir(directory).map_err(NodeError::io("list", directory))?;
    for item in listing {
        let path = item.map_err(NodeError::io("list", directory))?.path();
        if path.to_string_lossy().ends_with(UNFINISHED_SUFFIX) {
            fs::remove_file(&path).map_err(NodeError::io("remove", &path))?;
        }
    }
    Ok(())
}
