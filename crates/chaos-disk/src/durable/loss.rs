//! The power fails: the past takes the place of the present.
//!
//! Contents first, while every file is where the tree says. Then every name that differs is taken away, so that no two are in each
//! other's way, and then every name of the past is given back. What is still without one is gone.

use std::fs;
use std::io;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Inode, ROOT, Tree};

/// What else a power loss leaves on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Only what was synced.
    #[default]
    Synced,
    /// A random part of the rest, as a kernel that had begun to write it back: each change of a name, and each 512-byte sector of what
    /// was overwritten, is there or not, whatever their order was. Appended bytes may be missing, cut off, or zeroes.
    Some {
        /// The same tree and seed keep the same.
        seed: u64,
    },
}

/// What a power loss has undone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Files whose bytes or length differed on the disk.
    pub files: u64,
    /// Bytes that were put back; those that were only appended are not counted.
    pub bytes_restored: u64,
    /// Names that differed on the disk.
    pub names: u64,
}

impl Tree {
    /// Makes the directory below what the disk had. The tree is of no use afterwards.
    pub(crate) fn lose(mut self, keep: Keep) -> io::Result<Loss> {
        let mut random = match keep {
            Keep::Synced => None,
            Keep::Some { seed } => Some(ChaCha8Rng::seed_from_u64(seed)),
        };
        if let Some(random) = &mut random {
            for place in self.changed_places() {
                if random.random_bool(0.5) {
                    self.settle(&place)?;
                }
            }
        }
        let mut loss = Loss::default();
        let changed: Vec<Inode> =
            self.nodes.iter().filter(|(_, node)| node.image.is_some()).map(|(&inode, _)| inode).collect();
        for inode in changed {
            let file = self.file(inode)?;
            if let Some(image) = self.node_mut(inode)?.image.take() {
                loss.files += 1;
                loss.bytes_restored += image.bytes();
                match &mut random {
                    None => image.restore(&file)?,
                    Some(random) => image.restore_partly(&file, random)?,
                }
            }
        }
        loss.names = self.restore_names()?;
        empty(&self.held)?;
        Ok(loss)
    }

    fn restore_names(&mut self) -> io::Result<u64> {
        let places = self.changed_places();
        for place in &places {
            let Some(&present) = self.node(place.0)?.entries.get(&place.1) else { continue };
            let path = self.path(place.0)?.join(&place.1);
            if self.node(present)?.names.len() > 1 {
                fs::remove_file(path)?;
            } else {
                fs::rename(path, self.held_path(present))?;
            }
            self.unbind(place, present)?;
        }
        for place in &places {
            let Some(past) = self.node(place.0)?.was[&place.1].inode else { continue };
            let path = self.path(place.0)?.join(&place.1);
            assert_ne!(past, ROOT, "nothing contains the root");
            if self.node(past)?.names.is_empty() {
                fs::rename(self.held_path(past), path)?;
            } else {
                fs::hard_link(self.path(past)?, path)?;
            }
            self.bind(place.clone(), past)?;
        }
        Ok(places.len() as u64)
    }
}

/// Removes all that is in a directory.
pub(super) fn empty(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}
