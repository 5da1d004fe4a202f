//! A file of counts: how many messages of each kind this node had sent when its belief in a leader changed.
//!
//! `GET /metrics` says the same at any moment, to whoever asks before the node is killed. This file is for who comes afterwards: a line is
//! handed to the system before anybody hears of the change. It is a measurement, not a memory: it is never read by a node, never
//! synced, and a node that can't write it says so once and goes on.
//!
//! ```text
//! {"incarnation":1,"monotonic_ns":81234,"term":3,"leader":"n3","sent":{"vote":4,"vote_reply":0,…},"electing":4}
//! ```

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use crate::error::NodeError;
use crate::metrics::Metrics;
use crate::state::{Name, State};

/// The open file.
#[derive(Debug)]
pub(crate) struct Counts {
    path: PathBuf,
    /// None after a failure.
    file: Option<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    incarnation: u64,
    monotonic_ns: u64,
    term: u64,
    leader: Option<Name>,
    #[serde(serialize_with = "by_kind")]
    sent: &'a Metrics,
    electing: u64,
}

fn by_kind<S: Serializer>(metrics: &&Metrics, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (kind, count) in metrics.sent_by_kind() {
        map.serialize_entry(kind.name, &count)?;
    }
    map.end()
}

impl Counts {
    /// Opens the file, to append to what former starts have written.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(NodeError::io("open", path))?;
        Ok(Self { path: path.to_path_buf(), file: Some(file) })
    }

    /// Writes a line as of this state.
    pub(crate) fn note(&mut self, state: &State, metrics: &Metrics) {
        let Some(file) = &mut self.file else { return };
        let line = Line {
            incarnation: state.incarnation,
            monotonic_ns: state.as_of.monotonic_ns,
            term: state.term.0,
            leader: state.leader.map(Name),
            sent: metrics,
            electing: metrics.sent_to_elect(),
        };
        let mut text = serde_json::to_string(&line).expect("a line has string keys and whole numbers");
        text.push('\n');
        if let Err(error) = file.write_all(text.as_bytes()) {
            tracing::warn!(path = %self.path.display(), %error, "counts are written no more");
            self.file = None;
        }
    }
}
