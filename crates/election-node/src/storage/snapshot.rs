//! The snapshot file: the state machine at one index, in place of all log entries up to it.
//!
//! There is at most one, replaced whole (written under another name, synced, renamed, directory synced), so a crash leaves
//! the old one or the new one. A checksum that fails is damage, never a torn write, and ends the start: the entries that
//! the snapshot stands for may be gone from the journal.
//!
//! ```text
//! "election-snapsho" | version u32 = 1 | crc32 u32 of the rest | last index u64 | last term u64
//!                    | member count u64 | members u64 … | data …             integers are little-endian
//! ```

use std::collections::BTreeSet;
use std::path::Path;

use election::raft::{Snapshot, SnapshotMeta};
use election::{LogIndex, NodeId, Term};

use super::files::{read_if_present, replace_file};
use crate::error::NodeError;

/// Name of the file in the data directory.
pub(super) const FILE_NAME: &str = "snapshot";
const MAGIC: &[u8; 16] = b"election-snapsho";
const VERSION: u32 = 1;
const PREFIX_BYTES: usize = 24;

/// Reads the snapshot; `None` if there is none.
pub(super) fn read(directory: &Path) -> Result<Option<Snapshot>, NodeError> {
    let path = directory.join(FILE_NAME);
    let Some(content) = read_if_present(&path)? else { return Ok(None) };
    parse(&content).map(Some).ok_or_else(|| NodeError::corrupt(&path, 0, "not a snapshot of version 1, or damaged"))
}

/// Replaces the snapshot durably.
pub(super) fn write(directory: &Path, snapshot: &Snapshot) -> Result<(), NodeError> {
    let meta = render_meta(&snapshot.meta);
    let mut prefix = MAGIC.to_vec();
    prefix.extend_from_slice(&VERSION.to_le_bytes());
    prefix.extend_from_slice(&checksum(&meta, &snapshot.data).to_le_bytes());
    replace_file(directory, FILE_NAME, &[&prefix, &meta, &snapshot.data])
}

fn render_meta(meta: &SnapshotMeta) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24 + 8 * meta.members.len());
    let numbers = [meta.last_index.0, meta.last_term.0, meta.members.len() as u64];
    for number in numbers.into_iter().chain(meta.members.iter().map(|member| member.0)) {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes
}

fn checksum(meta: &[u8], data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(meta);
    hasher.update(data);
    hasher.finalize()
}

fn parse(content: &[u8]) -> Option<Snapshot> {
    let (prefix, rest) = content.split_at_checked(PREFIX_BYTES)?;
    let expected = u32::from_le_bytes(prefix[20..].try_into().ok()?);
    let fits = prefix[..16] == *MAGIC && prefix[16..20] == VERSION.to_le_bytes() && crc32fast::hash(rest) == expected;
    if !fits {
        return None;
    }
    let mut rest = rest;
    let last_index = LogIndex(take_u64(&mut rest)?);
    let last_term = Term(take_u64(&mut rest)?);
    let count = take_u64(&mut rest)?;
    let members = (0..count).map(|_| take_u64(&mut rest).map(NodeId)).collect::<Option<BTreeSet<_>>>()?;
    Some(Snapshot { meta: SnapshotMeta { last_index, last_term, members }, data: rest.to_vec() })
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_at_checked(8)?;
    *bytes = rest;
    number.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_or_missing_byte_of_a_snapshot_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let members = BTreeSet::from([NodeId(1), NodeId(3)]);
        let meta = SnapshotMeta { last_index: LogIndex(9), last_term: Term(4), members };
        let snapshot = Snapshot { meta, data: b"the state".to_vec() };
        write(directory.path(), &snapshot).unwrap();
        assert_eq!(read(directory.path()).unwrap(), Some(snapshot));
        let path = directory.path().join(FILE_NAME);
        let content = std::fs::read(&path).unwrap();
        for at in 0..content.len() {
            let mut flipped = content.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, &flipped).unwrap();
            assert!(read(directory.path()).is_err(), "flip at {at}");
            std::fs::write(&path, &content[..at]).unwrap();
            assert!(read(directory.path()).is_err(), "cut at {at}");
        }
    }
}
