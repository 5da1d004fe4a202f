//! `MutualExclusion`: no two clients hold one lock at one moment, as far as both can be proved.
//!
//! ```text
//!  client 3   acquire ├─┤ ok ╞════════ proved ═════════╡ release ├─┤ ok
//!  client 5              acquire ├──────┤ ok                             given away while client 3 held it
//! ```
//!
//! Consistency model: the lease lock of [`linear::models::LeaseLock`](crate::linear::models::LeaseLock), whose leases may run out
//! at any moment that no release has proved otherwise. Two proofs suffice, and nothing else can convict (proof: let each proved
//! hold take its proved interval, which is part of every legal hold of it, and each other one an instant of its acquisition; the
//! first must be disjoint, and an instant must lie outside of them, which is possible unless the acquisition's whole interval lies
//! inside of one):
//!
//! * two proved intervals overlap;
//! * an acquisition was asked for and answered inside of the proved interval of another hold.
//!
//! Stamps are compared strictly: what happened in one nanosecond has no order. O(n log n). `Unknown`: no hold has proof. What it
//! can't see: a lock that the system gave to a second client after it had taken it from the first, as it may when the first was
//! silent for too long; what such a first client can still do is the business of [`ExclusiveAccess`](super::access).
//!
//! Source: Dijkstra, "Solution of a problem in concurrent programming control" (1965); Gray and Cheriton, "Leases" (SOSP 1989).

use chaos_history::History;

use super::{Hold, Lock, Moment, judge};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// No two clients hold one lock at one moment.
pub(crate) fn mutual_exclusion(history: &History) -> (Verdict, String) {
    judge(
        history,
        |key, lock| overlap(lock).map(|(first, second)| witness(key, first, second)),
        |locks| {
            let proved = locks.locks.values().map(|lock| lock.proved().len()).sum();
            let none = (proved == 0).then(|| "no hold has proof: no release was answered with ok".to_owned());
            (locks.never_held().or(none), locks.basis(&format!(", {} with proof", count(proved, "hold"))))
        },
    )
}

/// A proved hold, and another that is proved to have begun meanwhile: the first to have been so.
pub(super) fn overlap<'l>(lock: &'l Lock<'_>) -> Option<((&'l Hold<'l>, Moment), &'l Hold<'l>)> {
    let proved = lock.proved();
    let mut found: Vec<((&Hold<'_>, Moment), &Hold<'_>)> = Vec::new();
    // The proved hold that lasts longest of those that have begun; earlier ones are over before it is.
    let mut longest: Option<(&Hold<'_>, Moment)> = None;
    for &(hold, until) in &proved {
        found.extend(longest.filter(|(_, end)| hold.acquired.at < end.at).map(|earlier| (earlier, hold)));
        if longest.is_none_or(|(_, end)| end.at < until.at) {
            longest = Some((hold, until));
        }
    }
    if found.is_empty() {
        // Now the proved intervals are disjoint, so that one at most can contain an acquisition.
        for hold in lock.holds.iter().filter(|hold| hold.until.is_none()) {
            let begun = proved.partition_point(|(other, _)| other.acquired.at < hold.asked.at);
            let around = proved[..begun].last().filter(|(_, end)| hold.acquired.at < end.at);
            found.extend(around.map(|&around| (around, hold)));
        }
    }
    found.into_iter().min_by_key(|(_, second)| second.acquired)
}

fn witness(lock: &str, (first, until): (&Hold<'_>, Moment), second: &Hold<'_>) -> Witness {
    let both = second.until.is_some();
    let sentence = format!("{lock} was held by two at once: {} and {}", first.who(), second.who());
    let held = |hold: &Hold<'_>, until: Moment| {
        format!("line {}: {} gave {lock} back, asked at {}: until then it held it", until.line, hold.who(), until.at)
    };
    let mut steps = vec![first.begin(lock), second.begin(lock), held(first, until)];
    let mut lines = vec![first.acquired.line, second.acquired.line, until.line];
    if let Some(until) = second.until {
        steps.push(held(second, until));
        lines.push(until.line);
    } else {
        lines.push(second.asked.line);
    }
    steps.push(if both {
        format!(
            "by lines {} and {} both held {lock} at {}",
            first.acquired.line, second.acquired.line, second.acquired.at
        )
    } else {
        let (asked, acquired) = (second.asked, second.acquired);
        format!(
            "so {} got {lock} at some moment from {} to {} (lines {} and {}), while it was held",
            second.who(),
            asked.at,
            acquired.at,
            asked.line,
            acquired.line
        )
    });
    Witness::new(sentence, lines, steps, second.acquired.at, vec![first.acquire.node, second.acquire.node])
}
