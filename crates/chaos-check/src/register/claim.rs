//! The order that the system itself claims: by revision.
//!
//! A system that tells the revision of what it wrote and read (etcd, Consul, ZooKeeper, the reference node) thereby claims an
//! order of all operations of a key: each write at its revision, and behind it those that saw what it left. If that order is
//! legal it is a proof, found in O(n log n) whatever the values. If it isn't, nothing follows but that the claim is wrong, which
//! is worth a remark; the other paths decide.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{Completion, OpResult, Revision};

use super::model::KeyHistory;
use crate::linear;
use crate::linear::models::{ABSENT, Register};

/// What came of a key's revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// There is none: not every answer told a revision.
    None,
    /// They are a legal order.
    Proved,
    /// They are not.
    Wrong,
}

/// Tries the order that a key's revisions claim.
pub(super) fn claim(history: &KeyHistory<'_>) -> Claim {
    let Some(order) = claimed(history) else { return Claim::None };
    match linear::check_claimed(&Register, &history.entries, &order) {
        Ok(()) => Claim::Proved,
        Err(_) => Claim::Wrong,
    }
}

/// The claimed order, as places in the entries; `None` if there is none. Writes without an answer stand where somebody saw what
/// they left, or nowhere.
fn claimed(history: &KeyHistory<'_>) -> Option<Vec<u32>> {
    let mut places: Vec<(Revision, bool, u64, u32)> = Vec::with_capacity(history.entries.len());
    let (mut seen, mut written): (BTreeMap<u32, Revision>, BTreeSet<Revision>) = Default::default();
    for (place, (entry, &source)) in (0_u32..).zip(history.entries.iter().zip(&history.sources)) {
        let Completion::Ok(result) = &history.operations[source].completion else { continue };
        let told = match result {
            OpResult::Read { revision, .. } | OpResult::Written { revision } | OpResult::Cas { revision, .. } => {
                *revision
            }
            OpResult::Elements { .. } | OpResult::Acquired { .. } | OpResult::Released | OpResult::Accessed { .. } => {
                unreachable!("answers of another object are told as malformed before")
            }
        };
        let is_write = entry.what.writes().is_some();
        // What was absent has no revision, and comes before all that has.
        let is_absent = !is_write && entry.what.observes() == Some(ABSENT);
        let revision = if is_absent { Revision(0) } else { told? };
        if let Some(content) = entry.what.observes().filter(|_| !is_write && !is_absent) {
            seen.insert(content, revision);
        }
        written.extend(is_write.then_some(revision));
        places.push((revision, !is_write, entry.invoked, place));
    }
    for (place, entry) in (0_u32..).zip(&history.entries) {
        let unanswered = entry.answered.is_none().then(|| entry.what.writes()).flatten();
        if let Some(&revision) = unanswered.and_then(|content| seen.get(&content))
            && !written.contains(&revision)
        {
            places.push((revision, false, entry.invoked, place));
        }
    }
    places.sort_unstable();
    Some(places.into_iter().map(|(_, _, _, place)| place).collect())
}
