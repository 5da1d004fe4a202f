//! `old-reply-renews`: a leader takes answers of an earlier leadership of its own for answers to the present one.
//!
//! Broken rule: "the leader needs to make sure it has not been superseded" by a round that was sent after the read had come
//! (thesis §6.4).
//!
//! Seen in:
//! - etcd #20418: <https://github.com/etcd-io/etcd/issues/20418>
//! - etcd-io/raft #397: <https://github.com/etcd-io/raft/pull/397>
//!
//! Shows with: pre-vote off.
//!
//! Made visible by: answers that are under way until their addressee leads again: they confirm a round that only has the same
//! number.
//!
//! Convicts it: Linearizable, in the script alone: old answers must come after the same node was elected by way of other links,
//! which takes a hold on single messages.

use super::specimen::{ClockKind, Shown, Specimen};
use crate::raft::Rules;
use crate::types::Term;

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "old-reply-renews",
    about: "a leader takes answers of an earlier leadership of its own for answers to the present one",
    replaces: "Rules::renews_leadership",
    instances: &["https://github.com/etcd-io/etcd/issues/20418", "https://github.com/etcd-io/raft/pull/397"],
    configuration: "pre-vote off",
    plan: "none: old answers must come after the same node was elected by way of other links, which takes a hold on single \
        messages",
    property: "Linearizable",
    shown: Shown::ByScript(
        "old answers must come after the same node was elected by way of other links, which takes a hold on single \
            messages",
    ),
    clock: ClockKind::Monotonic,
    start: |start| start.with(OldReplyRenews),
};

/// A leader takes answers of an earlier leadership of its own for answers to the present one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OldReplyRenews;

impl Rules for OldReplyRenews {
    fn renews_leadership(&self, _reply: Term, _current: Term) -> bool {
        true
    }
}
