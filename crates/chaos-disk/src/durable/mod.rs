//! A directory tree that knows what of it would survive a power loss.
//!
//! The model, [`Durability::Strict`], is the least that `fsync(2)` promises:
//!
//! - A file has the bytes and the length of its last fsync or fdatasync. One that was never synced is empty.
//! - What a failed sync should have written is lost, even if a later sync succeeds, unless it is written again in between.
//! - A directory has the names of its last fsync. A name made, removed or renamed since is as before; what has no name is gone.
//! - A rename is one change, also between two directories: it is on the disk as soon as one of its two names is.
//! - Modes, owners and times are not modelled: they are at once on the disk. What was there at the start is, too.
//!
//! [`Durability::Journalled`] is what the common file systems do beyond that (ext4 with `data=ordered`, XFS and btrfs alike in the
//! main): any fsync writes the journal, and with it *all* changes of names made before; and the bytes of a file that was renamed over
//! another are on the disk with that rename.
//!
//! The idea: the tree is written through to a directory below, so that it is always the present; kept beside it is the past, as far
//! as it differs: for each directory the names that have changed ([`Was`]), for each file what was overwritten ([`content::Image`]).
//! Files and directories that only the past still names are held in a directory beside. A power loss puts the past in its place.
//!
//! Refuses: to be changed from outside while it lives; to cross into another file system. Sources: `fsync(2)`; POSIX.1-2024 `fsync`;
//! T. S. Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014), table 1.

mod content;
mod loss;
mod names;
mod sync;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use content::Image;
pub use loss::{Keep, Loss};

/// What a sync promises beyond the thing that was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Nothing: the least that POSIX and `fsync(2)` allow.
    #[default]
    Strict,
    /// All changes of names before it, as file systems with one journal do.
    Journalled,
}

/// A file, a directory, or something else that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Inode(pub(crate) u64);

/// The directory that everything is in.
pub(crate) const ROOT: Inode = Inode(1);

/// A place for a name: a directory and the name in it.
type Place = (Inode, OsString);

/// What the disk has under a name that has changed.
#[derive(Debug, Clone, Copy)]
struct Was {
    /// What it names there; nothing if there is no such name.
    inode: Option<Inode>,
    /// Whether that left this place by a rename, and not by being unlinked.
    moved: bool,
}

#[derive(Debug, Default)]
struct Node {
    is_directory: bool,
    /// Device and number of what stands for it in the directory below.
    backing: (u64, u64),
    /// Where it has a name. One without is in the directory of the held.
    names: BTreeSet<Place>,
    /// Where only the disk still names it.
    named_on_disk: BTreeSet<Place>,
    /// A directory's names, as far as anybody has asked.
    entries: BTreeMap<OsString, Inode>,
    /// A directory's names that differ on the disk.
    was: BTreeMap<OsString, Was>,
    /// How often it is open.
    opens: u64,
    file: Option<Arc<File>>,
    /// What the disk holds, if that differs.
    image: Option<Image>,
    /// Whether it was renamed over another since its last sync.
    replaced_another: bool,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    held: PathBuf,
    device: u64,
    durability: Durability,
    nodes: BTreeMap<Inode, Node>,
    by_backing: BTreeMap<(u64, u64), Inode>,
    next: u64,
}

fn errno(number: libc::c_int) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Tree {
    /// The tree below an existing directory, all of it on the disk. `held` is made; it must be on the same file system.
    pub(crate) fn new(root: &Path, held: &Path, durability: Durability) -> io::Result<Self> {
        match fs::create_dir(held) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // What an earlier tree has left there was lost then.
        loss::empty(held)?;
        let metadata = fs::metadata(root)?;
        let backing = (metadata.dev(), metadata.ino());
        let node = Node { is_directory: true, backing, ..Node::default() };
        Ok(Self {
            root: root.to_owned(),
            held: held.to_owned(),
            device: metadata.dev(),
            durability,
            nodes: BTreeMap::from([(ROOT, node)]),
            by_backing: BTreeMap::from([(backing, ROOT)]),
            next: ROOT.0 + 1,
        })
    }

    fn node(&self, inode: Inode) -> io::Result<&Node> {
        self.nodes.get(&inode).ok_or_else(|| errno(libc::ESTALE))
    }

    fn node_mut(&mut self, inode: Inode) -> io::Result<&mut Node> {
        self.nodes.get_mut(&inode).ok_or_else(|| errno(libc::ESTALE))
    }

    /// Where it is in the directories below.
    pub(crate) fn path(&self, inode: Inode) -> io::Result<PathBuf> {
        if inode == ROOT {
            return Ok(self.root.clone());
        }
        match self.node(inode)?.names.first() {
            Some((parent, name)) => Ok(self.path(*parent)?.join(name)),
            None => Ok(self.held_path(inode)),
        }
    }

    fn held_path(&self, inode: Inode) -> PathBuf {
        self.held.join(inode.0.to_string())
    }

    /// What a name of a directory stands for.
    pub(crate) fn child(&mut self, parent: Inode, name: &OsStr) -> io::Result<Inode> {
        if let Some(&child) = self.node(parent)?.entries.get(name) {
            return Ok(child);
        }
        let metadata = fs::symlink_metadata(self.path(parent)?.join(name))?;
        self.adopt((parent, name.to_owned()), &metadata)
    }

    /// Like [`Tree::child`], for who can do without.
    fn child_if_any(&mut self, parent: Inode, name: &OsStr) -> io::Result<Option<Inode>> {
        match self.child(parent, name) {
            Ok(child) => Ok(Some(child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes in a name that exists below, and what it stands for.
    fn adopt(&mut self, place: Place, metadata: &Metadata) -> io::Result<Inode> {
        if metadata.dev() != self.device {
            return Err(errno(libc::EXDEV));
        }
        let backing = (metadata.dev(), metadata.ino());
        let inode = *self.by_backing.entry(backing).or_insert_with(|| {
            self.next += 1;
            Inode(self.next - 1)
        });
        let fresh = || Node { is_directory: metadata.is_dir(), backing, ..Node::default() };
        self.nodes.entry(inode).or_insert_with(fresh);
        self.bind(place, inode)?;
        Ok(inode)
    }

    fn bind(&mut self, (parent, name): Place, inode: Inode) -> io::Result<()> {
        self.node_mut(inode)?.names.insert((parent, name.clone()));
        self.node_mut(parent)?.entries.insert(name, inode);
        Ok(())
    }

    fn unbind(&mut self, place: &Place, inode: Inode) -> io::Result<()> {
        self.node_mut(place.0)?.entries.remove(&place.1);
        self.node_mut(inode)?.names.remove(place);
        Ok(())
    }

    /// What `lstat` says below, with the number of names that it has here.
    pub(crate) fn metadata(&self, inode: Inode) -> io::Result<(Metadata, u64)> {
        let metadata = fs::symlink_metadata(self.path(inode)?)?;
        let has_name = inode == ROOT || !self.node(inode)?.names.is_empty();
        let links = if has_name { metadata.nlink() } else { 0 };
        Ok((metadata, links))
    }

    /// Opens a file once more.
    pub(crate) fn open(&mut self, inode: Inode) -> io::Result<Arc<File>> {
        let path = self.path(inode)?;
        let node = self.node_mut(inode)?;
        let file = match &node.file {
            Some(file) => Arc::clone(file),
            None => {
                // A file that its owner may not write to is only ever read here.
                let written = OpenOptions::new().read(true).write(true).open(&path);
                Arc::new(written.or_else(|_| File::open(&path))?)
            }
        };
        node.opens += 1;
        node.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Takes back an [`Tree::open`].
    pub(crate) fn close(&mut self, inode: Inode) -> io::Result<()> {
        let node = self.node_mut(inode)?;
        node.opens = node.opens.saturating_sub(1);
        if node.opens == 0 {
            node.file = None;
        }
        self.reap(inode)
    }

    /// The file, open or not.
    pub(crate) fn file(&self, inode: Inode) -> io::Result<Arc<File>> {
        match &self.node(inode)?.file {
            Some(file) => Ok(Arc::clone(file)),
            None => Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.path(inode)?)?)),
        }
    }

    /// The image of a file that is about to change.
    fn image_of(&mut self, inode: Inode, file: &File) -> io::Result<&mut Image> {
        let length = file.metadata()?.len();
        Ok(self.node_mut(inode)?.image.get_or_insert_with(|| Image::new(length)))
    }

    /// Whether a write would lengthen the file.
    pub(crate) fn would_grow(&self, inode: Inode, end: u64) -> io::Result<bool> {
        Ok(end > self.file(inode)?.metadata()?.len())
    }

    /// Writes to a file.
    pub(crate) fn write(&mut self, inode: Inode, offset: u64, data: &[u8]) -> io::Result<()> {
        let file = self.file(inode)?;
        self.image_of(inode, &file)?.save(&file, offset..offset + data.len() as u64)?;
        file.write_all_at(data, offset)
    }

    /// Writes to a file and to the disk at once, past every sync: damage.
    pub(crate) fn damage(&mut self, inode: Inode, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(image) = &mut self.node_mut(inode)?.image {
            image.overwrite(offset, data);
        }
        self.file(inode)?.write_all_at(data, offset)
    }

    /// Sets the length of a file.
    pub(crate) fn resize(&mut self, inode: Inode, length: u64) -> io::Result<()> {
        let file = self.file(inode)?;
        self.image_of(inode, &file)?.save(&file, length..u64::MAX)?;
        file.set_len(length)
    }

    /// Sets the length of a file on the disk at once: damage.
    pub(crate) fn damage_length(&mut self, inode: Inode, length: u64) -> io::Result<()> {
        if let Some(image) = &mut self.node_mut(inode)?.image {
            image.length = image.length.min(length);
        }
        self.file(inode)?.set_len(length)
    }

    /// Prepares for a change below that is neither a write nor a new length: of these bytes, or of all from there on.
    pub(crate) fn before_change(&mut self, inode: Inode, range: std::ops::Range<u64>) -> io::Result<Arc<File>> {
        let file = self.file(inode)?;
        self.image_of(inode, &file)?.save(&file, range)?;
        Ok(file)
    }
}
