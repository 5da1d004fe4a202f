//! The command of the user's that a run accompanied (`chaos wrap`), and what becomes of the exit code with it.
//!
//! ```json
//! {"command":["cargo","test"],"exit_code":101,"lasted_ns":3204000000,"leftovers":0,"once":false}
//! {"command":["./bench.sh"],"signal":15,"lasted_ns":812000000,"leftovers":2,"once":true}
//! ```
//!
//! Two verdicts stand side by side: the report's own is about the cluster and knows nothing of the command; the exit code is the
//! one number that a CI job sees, and tells of both. A violated safety property outranks the command's failure, since the
//! command may well have failed because of it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Report, Verdict};
use crate::words::{duration, grouped};

/// The exit code of a run without a violation whose wrapped command failed.
pub const COMMAND_FAILED: u8 = 4;

/// A command and its end. Without exit code and without signal nobody knows how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wrapped {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its exit code, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How long it lasted, in nanoseconds.
    pub lasted_ns: u64,
    /// How many processes it left behind; they were ended with the run.
    #[serde(default)]
    pub leftovers: usize,
    /// Whether the fault plan was done once only.
    #[serde(default)]
    pub once: bool,
}

impl Wrapped {
    /// Whether it exited with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// `exit code 1 after 3.2 s`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let how = match (self.exit_code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "nobody knows how it ended".to_owned(),
        };
        let left = match self.leftovers as u64 {
            0 => String::new(),
            1 => ", 1 process left behind".to_owned(),
            left => format!(", {} processes left behind", grouped(left)),
        };
        format!("{how} after {}{left}", duration(Duration::from_nanos(self.lasted_ns)))
    }
}

impl Report {
    /// The report of a run that accompanied a command: the verdict stays, the exit code tells of the command's failure unless
    /// a property is violated.
    #[must_use]
    pub fn with_wrapped(mut self, wrapped: Wrapped) -> Self {
        if self.verdict != Verdict::Fail && !wrapped.succeeded() {
            self.exit_code = COMMAND_FAILED;
        }
        self.wrapped = Some(wrapped);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(exit_code: Option<i32>, signal: Option<i32>, leftovers: usize) -> Wrapped {
        Wrapped { command: vec!["x".to_owned()], exit_code, signal, lasted_ns: 3_200_000_000, leftovers, once: false }
    }

    #[test]
    fn only_exit_code_0_is_a_success() {
        assert!(wrapped(Some(0), None, 0).succeeded());
        for failed in [wrapped(Some(1), None, 0), wrapped(None, Some(15), 0), wrapped(None, None, 0)] {
            assert!(!failed.succeeded(), "{failed:?}");
        }
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(wrapped(Some(1), None, 0).in_words(), "exit code 1 after 3.20 s");
        assert_eq!(wrapped(None, Some(15), 1).in_words(), "ended by signal 15 after 3.20 s, 1 process left behind");
        assert_eq!(wrapped(Some(0), None, 2).in_words(), "exit code 0 after 3.20 s, 2 processes left behind");
    }
}
