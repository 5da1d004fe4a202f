//! What nodes have counted: messages sent to elect, and reigns begun.
//!
//! A node writes a line whenever its belief in a leader changes, with all that it has sent since its start. The last line of each
//! start counts; what a killed node had sent since then is lost with it, which for a leader are signs of life and no election.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::Error;

/// The counts of one run.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Messages {
    pub(crate) electing: u64,
    pub(crate) reigns: u64,
}

/// Adds up what the nodes of a run have written.
pub(crate) fn of_run(run: &Path) -> Result<Messages, Error> {
    let mut sent: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut reigns: BTreeSet<(String, u64)> = BTreeSet::new();
    for node in fs::read_dir(run.join("nodes"))? {
        let node = node?;
        let name = node.file_name().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(node.path().join("counts.jsonl")) else { continue };
        // A line that was being written when its node was killed is none.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let number = |key: &str| line[key].as_u64().ok_or_else(|| format!("{name}: no `{key}` in {line}"));
            sent.insert((name.clone(), number("incarnation")?), number("electing")?);
            if line["leader"].as_str() == Some(&name) {
                reigns.insert((name.clone(), number("term")?));
            }
        }
    }
    Ok(Messages { electing: sent.values().sum(), reigns: reigns.len() as u64 })
}
