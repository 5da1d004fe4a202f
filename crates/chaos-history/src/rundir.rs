//! The directory of one run: where each kind of evidence lies.
//!
//! ```text
//! reports/<workload>/<UTC time>-<seed>/
//!     plan.yaml        the resolved plan: every default filled in, the seed
//!     history.jsonl    the history, see `format`
//!     nodes/n1/        stdout.log, stderr.log, data/
//!     report.json  report.html  junit.xml  summary.md
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::NodeId;

/// A run directory. Only names; whoever writes a file there creates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Makes a new run directory with its `nodes/` inside.
    ///
    /// # Errors
    /// If `root` exists already (a run never writes over another) or can't be made.
    pub fn create(root: &Path) -> io::Result<Self> {
        if let Some(parent) = root.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::create_dir(root)?;
        let dir = Self { root: root.to_owned() };
        fs::create_dir(dir.root.join("nodes"))?;
        Ok(dir)
    }

    /// An existing run directory.
    ///
    /// # Errors
    /// If there is no `history.jsonl` in it.
    pub fn open(root: &Path) -> io::Result<Self> {
        let dir = Self::at(root);
        fs::metadata(dir.history())?;
        Ok(dir)
    }

    /// The names of a run directory that may or may not exist.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The history.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.root.join("history.jsonl")
    }

    /// The resolved plan.
    #[must_use]
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.yaml")
    }

    /// The report for programs.
    #[must_use]
    pub fn report_json(&self) -> PathBuf {
        self.root.join("report.json")
    }

    /// The report for people.
    #[must_use]
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The packets between nodes, if they are captured.
    #[must_use]
    pub fn capture(&self) -> PathBuf {
        self.root.join("capture.pcapng")
    }

    /// A node's logs and data.
    #[must_use]
    pub fn node(&self, node: NodeId) -> PathBuf {
        self.root.join("nodes").join(node.to_string())
    }
}
