//! Changes of names: each is carried out below, and what the disk has instead is remembered.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, mknod};

use super::content::Image;
use super::{Inode, Place, Tree, Was, errno};

impl Tree {
    /// Makes an empty file.
    pub(crate) fn create(&mut self, parent: Inode, name: &OsStr, mode: u32) -> io::Result<Inode> {
        let make = |path: &Path| {
            let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
            // The caller's mask is in it already; ours must not be.
            file.set_permissions(Permissions::from_mode(mode))
        };
        let inode = self.make(parent, name, make)?;
        self.node_mut(inode)?.image = Some(Image::new(0));
        Ok(inode)
    }

    /// Makes a directory.
    pub(crate) fn make_directory(&mut self, parent: Inode, name: &OsStr, mode: u32) -> io::Result<Inode> {
        self.make(parent, name, |path| {
            DirBuilder::new().mode(mode).create(path)?;
            fs::set_permissions(path, Permissions::from_mode(mode))
        })
    }

    /// Makes a symbolic link.
    pub(crate) fn make_link_to(&mut self, parent: Inode, name: &OsStr, target: &Path) -> io::Result<Inode> {
        self.make(parent, name, |path| symlink(target, path))
    }

    /// Makes a pipe or a socket; a regular file too.
    pub(crate) fn make_special(&mut self, parent: Inode, name: &OsStr, mode: u32) -> io::Result<Inode> {
        let kind = SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFREG {
            return self.create(parent, name, mode & 0o7777);
        }
        let permissions = Mode::from_bits_truncate(mode);
        self.make(parent, name, |path| {
            mknod(path, kind, permissions, 0)?;
            fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))
        })
    }

    fn make(&mut self, parent: Inode, name: &OsStr, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Inode> {
        let path = self.path(parent)?.join(name);
        make(&path)?;
        let place = (parent, name.to_owned());
        self.note(&place, None, false)?;
        self.adopt(place, &fs::symlink_metadata(path)?)
    }

    /// Gives a file one more name.
    pub(crate) fn link(&mut self, inode: Inode, parent: Inode, name: &OsStr) -> io::Result<()> {
        fs::hard_link(self.path(inode)?, self.path(parent)?.join(name))?;
        let place = (parent, name.to_owned());
        self.note(&place, None, false)?;
        self.bind(place.clone(), inode)?;
        self.forget_if_equal(&place)
    }

    /// Removes a name; of a directory only if that is empty.
    pub(crate) fn unlink(&mut self, parent: Inode, name: &OsStr) -> io::Result<()> {
        let inode = self.child(parent, name)?;
        let place = (parent, name.to_owned());
        self.require_empty(inode)?;
        self.note(&place, Some(inode), false)?;
        self.displace(&place, inode)?;
        self.forget_if_equal(&place)?;
        self.reap(inode)
    }

    /// Renames, over what has the new name.
    pub(crate) fn rename(&mut self, old: Place, new: Place, flags: RenameFlags) -> io::Result<()> {
        let inode = self.child(old.0, &old.1)?;
        let other = self.child_if_any(new.0, &new.1)?;
        if flags.contains(RenameFlags::RENAME_EXCHANGE) {
            return self.exchange(old, inode, new, other.ok_or_else(|| errno(libc::ENOENT))?);
        }
        if flags.contains(RenameFlags::RENAME_NOREPLACE) && other.is_some() {
            return Err(errno(libc::EEXIST));
        }
        if other == Some(inode) {
            return Ok(());
        }
        if let Some(other) = other {
            match (self.node(inode)?.is_directory, self.node(other)?.is_directory) {
                (true, false) => return Err(errno(libc::ENOTDIR)),
                (false, true) => return Err(errno(libc::EISDIR)),
                (true, true) => self.require_empty(other)?,
                (false, false) => {}
            }
            self.note(&new, Some(other), false)?;
            self.displace(&new, other)?;
            self.node_mut(inode)?.replaced_another = true;
        } else {
            self.note(&new, None, false)?;
        }
        fs::rename(self.path(old.0)?.join(&old.1), self.path(new.0)?.join(&new.1))?;
        self.note(&old, Some(inode), true)?;
        self.unbind(&old, inode)?;
        self.bind(new.clone(), inode)?;
        self.forget_if_equal(&old)?;
        self.forget_if_equal(&new)?;
        other.map_or(Ok(()), |other| self.reap(other))
    }

    fn exchange(&mut self, old: Place, inode: Inode, new: Place, other: Inode) -> io::Result<()> {
        let (here, there) = (self.path(old.0)?.join(&old.1), self.path(new.0)?.join(&new.1));
        renameat2(AT_FDCWD, &here, AT_FDCWD, &there, RenameFlags::RENAME_EXCHANGE)?;
        self.note(&old, Some(inode), true)?;
        self.note(&new, Some(other), true)?;
        self.unbind(&old, inode)?;
        self.unbind(&new, other)?;
        self.bind(old.clone(), other)?;
        self.bind(new.clone(), inode)?;
        self.forget_if_equal(&old)?;
        self.forget_if_equal(&new)
    }

    fn require_empty(&self, inode: Inode) -> io::Result<()> {
        let is_full = self.node(inode)?.is_directory && fs::read_dir(self.path(inode)?)?.next().is_some();
        if is_full { Err(errno(libc::ENOTEMPTY)) } else { Ok(()) }
    }

    /// Takes a name away below; what loses its last one goes to the held.
    fn displace(&mut self, place: &Place, inode: Inode) -> io::Result<()> {
        let path = self.path(place.0)?.join(&place.1);
        if self.node(inode)?.names.len() > 1 {
            fs::remove_file(path)?;
        } else {
            fs::rename(path, self.held_path(inode))?;
        }
        self.unbind(place, inode)
    }

    /// Remembers what the disk has under a name that is about to change, unless that is remembered already.
    fn note(&mut self, place: &Place, before: Option<Inode>, moved: bool) -> io::Result<()> {
        let was = &mut self.node_mut(place.0)?.was;
        if was.contains_key(&place.1) {
            return Ok(());
        }
        was.insert(place.1.clone(), Was { inode: before, moved });
        if let Some(before) = before {
            self.node_mut(before)?.named_on_disk.insert(place.clone());
        }
        Ok(())
    }

    /// Forgets what was remembered of a name that is again what it is on the disk.
    fn forget_if_equal(&mut self, place: &Place) -> io::Result<()> {
        let directory = self.node_mut(place.0)?;
        let now = directory.entries.get(&place.1).copied();
        if directory.was.get(&place.1).is_some_and(|was| was.inode == now) {
            directory.was.remove(&place.1);
            if let Some(inode) = now {
                self.node_mut(inode)?.named_on_disk.remove(place);
            }
        }
        Ok(())
    }

    /// Removes for good what neither the present nor the disk names and nobody has open.
    pub(super) fn reap(&mut self, inode: Inode) -> io::Result<()> {
        let mut doomed = vec![inode];
        while let Some(inode) = doomed.pop() {
            let Some(node) = self.nodes.get(&inode) else { continue };
            if inode == super::ROOT || !node.names.is_empty() || !node.named_on_disk.is_empty() || node.opens > 0 {
                continue;
            }
            let path = self.held_path(inode);
            if node.is_directory {
                fs::remove_dir(path)?
            } else {
                fs::remove_file(path)?
            }
            let node = self.nodes.remove(&inode).expect("just seen");
            self.by_backing.remove(&node.backing);
            for (name, was) in node.was {
                if let Some(past) = was.inode {
                    self.node_mut(past)?.named_on_disk.remove(&(inode, name));
                    doomed.push(past);
                }
            }
        }
        Ok(())
    }
}
