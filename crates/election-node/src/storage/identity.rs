//! Whose directory this is, and how often a node has started on it.
//!
//! A node that starts on another node's directory would vote with a stranger's memory, so the directory says whose it is,
//! and every start with other arguments is refused. The *incarnation* grows by one at each start, before anything else
//! happens, so that an observer can tell a restarted node from a paused one.
//!
//! ```text
//! election-node 1
//! id n1                a node that has joined later also has the number of its life: n1+2882400001
//! cluster demo
//! algorithm bully      absent of Raft's: other algorithms keep other things in the same files
//! incarnation 3
//! crc32 1c291ca3
//! ```

use std::path::Path;

use election::{Algorithm, NodeId};

use super::files::{read_if_present, replace_file};
use crate::error::NodeError;

/// Name of the file in the data directory.
pub(super) const FILE_NAME: &str = "identity";
const VERSION_LINE: &str = "election-node 1";

/// The content of the identity file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: NodeId,
    pub(super) cluster: String,
    pub(super) algorithm: Algorithm,
    /// 1 for the first start.
    pub(super) incarnation: u64,
}

impl Identity {
    /// Reads the file; `None` if there is none.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, NodeError> {
        let path = directory.join(FILE_NAME);
        let Some(content) = read_if_present(&path)? else { return Ok(None) };
        let parsed = std::str::from_utf8(&content).ok().and_then(Self::parse);
        parsed.map(Some).ok_or_else(|| NodeError::corrupt(&path, 0, "not the identity of a node, or damaged"))
    }

    /// Replaces the file durably.
    pub(super) fn write(&self, directory: &Path) -> Result<(), NodeError> {
        replace_file(directory, FILE_NAME, &[self.render().as_bytes()])
    }

    fn render(&self) -> String {
        let is_raft = self.algorithm == Algorithm::Raft;
        let algorithm = if is_raft { String::new() } else { format!("algorithm {}\n", self.algorithm) };
        let Self { id, cluster, incarnation, .. } = self;
        let text = format!("{VERSION_LINE}\nid {id}\ncluster {cluster}\n{algorithm}incarnation {incarnation}\n");
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text}crc32 {checksum:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != VERSION_LINE {
            return None;
        }
        let id = lines.next()?.strip_prefix("id n")?;
        let (number, life) = id.split_once('+').unwrap_or((id, "0"));
        let id = NodeId(number.parse().ok()?).in_life(life.parse().ok()?);
        let cluster = lines.next()?.strip_prefix("cluster ")?.to_owned();
        let mut line = lines.next()?;
        let mut algorithm = Algorithm::Raft;
        if let Some(name) = line.strip_prefix("algorithm ") {
            (algorithm, line) = (name.parse().ok()?, lines.next()?);
        }
        let incarnation = line.strip_prefix("incarnation ")?.parse().ok()?;
        let identity = Self { id, cluster, algorithm, incarnation };
        // Comparing the rendered text checks the checksum and every byte that parsing was lenient about.
        (identity.render() == text).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_or_missing_byte_of_the_identity_is_noticed() {
        let ids = [NodeId(1), NodeId(12).in_life(u32::MAX)];
        for (id, algorithm) in ids.into_iter().flat_map(|id| Algorithm::ALL.map(|algorithm| (id, algorithm))) {
            let identity = Identity { id, cluster: "demo".to_owned(), algorithm, incarnation: 3 };
            let text = identity.render();
            assert_eq!(Identity::parse(&text), Some(identity));
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                assert_eq!(std::str::from_utf8(&bytes).ok().and_then(Identity::parse), None, "flip at {at}");
                assert_eq!(Identity::parse(&text[..at]), None, "cut at {at}");
            }
        }
    }
}
