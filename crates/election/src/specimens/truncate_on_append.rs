//! `truncate-on-append`: a follower cuts its log off behind every message that it accepts.
//!
//! Broken rule: delete entries only "if an existing entry conflicts with a new one" (paper Fig. 2).
//!
//! Seen in:
//! - willemt/raft #37: <https://github.com/willemt/raft/issues/37>
//! - raftos #26: <https://github.com/zhebrak/raftos/issues/26>
//!
//! Shows with: default options.
//!
//! Made visible by: an old message that arrives late: what the follower has acknowledged since is gone. A connection delivers
//! in order, so it takes a transport that does not.
//!
//! Convicts it: NoAcknowledgedWriteLost, in untimed walks and by the script: an old message must arrive after newer
//! ones, which connections don't do.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "truncate-on-append",
    about: "a follower cuts its log off behind every message that it accepts",
    replaces: "Rules::conflicts",
    instances: &["https://github.com/willemt/raft/issues/37", "https://github.com/zhebrak/raftos/issues/26"],
    configuration: "default options",
    plan: "none: an old message must arrive after newer ones, which connections don't do",
    property: "NoAcknowledgedWriteLost",
    shown: Shown::ByWalks("an old message must arrive after newer ones, which connections don't do"),
    clock: ClockKind::Monotonic,
    start: |start| start.with(TruncateOnAppend),
};

/// A follower cuts its log off behind every message that it accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TruncateOnAppend;

impl Rules for TruncateOnAppend {
    fn conflicts(&self, _existing: Term, _incoming: Term) -> bool {
        true
    }
}
