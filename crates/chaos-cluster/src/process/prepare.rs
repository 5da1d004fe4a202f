//! What is done to a node before it runs: files are written, commands carried out, and later starts find gone what must be.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use chaos_systems::{CommandLine, LaunchFile};

use super::spawn::Attempt;
use super::{NodeProcess, ProcessError};

impl NodeProcess {
    /// Writes the node's files.
    pub(crate) fn write_files(&self, files: &[LaunchFile]) -> Result<(), ProcessError> {
        for file in files {
            write(file).map_err(|source| self.home.files(&file.path, source))?;
        }
        Ok(())
    }

    /// Removes files and directories; that one isn't there is fine.
    pub(super) fn remove(&self, paths: &[PathBuf]) -> Result<(), ProcessError> {
        for path in paths {
            let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
            let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            match removed {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|source| self.home.files(path, source))?,
            }
        }
        Ok(())
    }

    /// Removes all that is in the data directory; what is elsewhere in the node's directory stays.
    pub(crate) fn wipe(&self) -> Result<(), ProcessError> {
        let data = self.data();
        let listed = fs::read_dir(&data)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>());
        match listed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.home.files(&data, source)),
            Ok(paths) => self.remove(&paths),
        }
    }

    /// Begins to carry out a command in the node's namespaces; what it says goes to this log of the node, after the command.
    pub(crate) fn begin(&self, line: &CommandLine, log: &str) -> Result<Attempt, ProcessError> {
        let mut log_file = self.home.log(log)?;
        writeln!(log_file, "$ {}", in_words(line))
            .map_err(|source| self.home.files(&self.home.directory.join(log), source))?;
        let again = log_file.try_clone().map_err(|source| self.home.start_error(line, source))?;
        self.home.spawn(line, log_file, again).map(Attempt)
    }
}

/// A command line for people.
pub(crate) fn in_words(line: &CommandLine) -> String {
    let arguments = line.arguments.iter().map(|argument| argument.to_string_lossy());
    let program = line.program.to_string_lossy();
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn write(file: &LaunchFile) -> io::Result<()> {
    if let Some(parent) = file.path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&file.path, &file.text)?;
    match file.mode {
        Some(mode) => fs::set_permissions(&file.path, fs::Permissions::from_mode(mode)),
        None => Ok(()),
    }
}
