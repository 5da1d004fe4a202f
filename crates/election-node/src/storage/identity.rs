//! Whose directory this is, and how often a node has started on it.
//!
//! A node that starts on another node's directory would vote with a stranger's memory, so the directory says whose it is,
//! and every start with other arguments is refused. The *incarnation* grows by one at each start, before anything else
//! happens, so that an observer can tell a restarted node from a paused one.
//!
//! ```text
//! election-node 1
//! id n1
//! cluster demo
//! incarnation 3
//! crc32 1c291ca3
//! ```

use std::path::Path;

use election::NodeId;

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
        let text =
            format!("{VERSION_LINE}\nid {}\ncluster {}\nincarnation {}\n", self.id, self.cluster, self.incarnation);
        let checksum = crc32fast::hash(text.as_bytes());
        format!("{text}crc32 {checksum:08x}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != VERSION_LINE {
            return None;
        }
        let id = lines.next()?.strip_prefix("id n")?.parse().ok().map(NodeId)?;
        let cluster = lines.next()?.strip_prefix("cluster ")?.to_owned();
        let incarnation = lines.next()?.strip_prefix("incarnation ")?.parse().ok()?;
        let identity = Self { id, cluster, incarnation };
        // Comparing the rendered text checks the checksum and every byte that parsing was lenient about.
        (identity.render() == text).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_or_missing_byte_of_the_identity_is_noticed() {
        let identity = Identity { id: NodeId(1), cluster: "demo".to_owned(), incarnation: 3 };
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
