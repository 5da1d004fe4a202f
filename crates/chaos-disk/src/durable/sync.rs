//! What a sync puts on the disk: the past is forgotten.

use std::ffi::OsString;
use std::io;

use super::{Durability, Inode, Place, Tree};

impl Tree {
    /// What of a file is written is on the disk. To be called when the sync begins: what is written while it goes on may not be.
    pub(crate) fn sync_file(&mut self, inode: Inode) -> io::Result<()> {
        if let Some(mut image) = self.node_mut(inode)?.image.take() {
            let length = self.file(inode)?.metadata()?.len();
            self.node_mut(inode)?.image = image.synced(length).then_some(image);
        }
        self.node_mut(inode)?.replaced_another = false;
        self.commit_journal()
    }

    /// A sync of a file has failed: what it should have written will not be tried again, unless it is written again.
    pub(crate) fn fail_sync(&mut self, inode: Inode) -> io::Result<()> {
        if let Some(mut image) = self.node_mut(inode)?.image.take() {
            let given_up = image.give_up(&*self.file(inode)?);
            self.node_mut(inode)?.image = Some(image);
            given_up?;
        }
        Ok(())
    }

    /// The names of a directory are on the disk.
    pub(crate) fn sync_directory(&mut self, inode: Inode) -> io::Result<()> {
        let names: Vec<OsString> = self.node(inode)?.was.keys().cloned().collect();
        for name in names {
            self.settle(&(inode, name))?;
        }
        self.commit_journal()
    }

    /// All there is, is on the disk.
    pub(crate) fn sync_all(&mut self) -> io::Result<()> {
        for node in self.nodes.values_mut() {
            node.image = None;
        }
        self.settle_all()
    }

    fn commit_journal(&mut self) -> io::Result<()> {
        if self.durability == Durability::Strict {
            return Ok(());
        }
        for node in self.nodes.values_mut().filter(|node| node.replaced_another) {
            node.replaced_another = false;
            node.image = None;
        }
        self.settle_all()
    }

    fn settle_all(&mut self) -> io::Result<()> {
        for place in self.changed_places() {
            self.settle(&place)?;
        }
        Ok(())
    }

    /// All names that differ on the disk.
    pub(super) fn changed_places(&self) -> Vec<Place> {
        let of = |(inode, node): (&Inode, &super::Node)| -> Vec<Place> {
            node.was.keys().map(|name| (*inode, name.clone())).collect()
        };
        self.nodes.iter().flat_map(of).collect()
    }

    /// One name is on the disk; if it is half of a rename, the other half too.
    pub(super) fn settle(&mut self, place: &Place) -> io::Result<()> {
        // Gone since it was listed, by a settling or a removal that it depended on.
        let Some(was) = self.nodes.get_mut(&place.0).and_then(|directory| directory.was.remove(&place.1)) else {
            return Ok(());
        };
        if let Some(past) = was.inode {
            self.node_mut(past)?.named_on_disk.remove(place);
            if was.moved {
                for name in self.node(past)?.names.clone() {
                    self.settle(&name)?;
                }
            }
            self.reap(past)?;
        }
        let Some(&present) = self.nodes.get(&place.0).and_then(|directory| directory.entries.get(&place.1)) else {
            return Ok(());
        };
        for left in self.node(present)?.named_on_disk.clone() {
            let directory = self.node_mut(left.0)?;
            let has_other = directory.entries.contains_key(&left.1);
            let Some(was) = directory.was.get_mut(&left.1).filter(|was| was.moved) else { continue };
            was.inode = None;
            was.moved = false;
            if !has_other {
                directory.was.remove(&left.1);
            }
            self.node_mut(present)?.named_on_disk.remove(&left);
        }
        Ok(())
    }
}
