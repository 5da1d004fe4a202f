//! `FencingMonotonic`: fencing tokens rise from holder to holder, and the resource goes by them.
//!
//! ```text
//!  client 3   acquire ├─┤ token 33
//!  client 5                  acquire ├──┤ token 32          asked for after 33 was given
//! ```
//!
//! Consistency model: [`linear::models::FencedLock`](crate::linear::models::FencedLock). Holds of one lock follow one another, and
//! of two holds it is certain which was first if
//!
//! * its acquisition was answered before the other's was asked for; or
//! * its acquisition was answered while the other is proved to have held (as both can't hold, it must have been before); not
//!   used for a lock that [`MutualExclusion`](super::exclusion) convicts, of which "before" means nothing.
//!
//! The later one has the larger token, and no two have the same. (Together with mutual exclusion that is all: in a legal order
//! holds ascend by token, and such an order exists if no pair forbids it, since each pair's rule compares one end of each of two
//! intervals.) Of the resource: whatever it accepted, it accepts no smaller token afterwards. O(n log n). `Unknown`: no
//! acquisition told a token, and none was shown to the resource.
//!
//! Source: Kleppmann, "How to do distributed locking" (2016); Burrows, "The Chubby lock service" (OSDI 2006), section 2.4.

use std::collections::BTreeMap;

use chaos_history::{History, RunNanos};

use super::exclusion::overlap;
use super::{Access, Hold, Lock, judge};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// Fencing tokens rise from holder to holder.
pub(crate) fn fencing(history: &History) -> (Verdict, String) {
    judge(
        history,
        |key, lock| {
            let given = inversion(lock).map(|inversion| of_tokens(key, &inversion));
            let shown = shown(lock).map(|(newer, older)| of_resource(key, newer, older));
            given.into_iter().chain(shown).min_by_key(|witness| witness.at)
        },
        |locks| {
            let tokens = locks.locks.values().map(|lock| lock.holds.iter().filter_map(|hold| hold.token).count()).sum();
            let shown = locks.locks.values().flat_map(|lock| &lock.accesses).any(|access| access.shown.is_some());
            let none = (tokens == 0).then(|| "no acquisition told a fencing token".to_owned());
            let none = locks.never_held().or(none).filter(|_| !shown);
            (none, locks.basis(&format!(", {}", count(tokens, "token"))))
        },
    )
}

/// Two holds of which the first was certainly earlier, but has no smaller token.
struct Inversion<'l> {
    first: &'l Hold<'l>,
    second: &'l Hold<'l>,
    /// Why the first was earlier; `None` if that doesn't matter, as the tokens are equal.
    why: Option<Why>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    AskedLater,
    HeldLater,
}

/// For every moment the largest token of the acquisitions that were answered before.
struct Newest<'l> {
    /// By the moment of the answer; each with the one of the largest token up to there.
    answered: Vec<(RunNanos, &'l Hold<'l>)>,
}

impl<'l> Newest<'l> {
    fn of(holds: &[&'l Hold<'l>]) -> Self {
        let mut answered: Vec<(RunNanos, &Hold<'_>)> = holds.iter().map(|&hold| (hold.acquired.at, hold)).collect();
        answered.sort_by_key(|(at, hold)| (*at, hold.token));
        for index in 1..answered.len() {
            if answered[index].1.token < answered[index - 1].1.token {
                answered[index].1 = answered[index - 1].1;
            }
        }
        Self { answered }
    }

    fn before(&self, moment: RunNanos) -> Option<&'l Hold<'l>> {
        let count = self.answered.partition_point(|(at, _)| *at < moment);
        self.answered[..count].last().map(|(_, hold)| *hold)
    }
}

/// The inversion that was complete first.
fn inversion<'l>(lock: &'l Lock<'_>) -> Option<Inversion<'l>> {
    let holds: Vec<&Hold<'_>> = lock.holds.iter().filter(|hold| hold.token.is_some()).collect();
    let newest = Newest::of(&holds);
    let exclusive = overlap(lock).is_none();
    let mut found: Vec<Inversion<'_>> = Vec::new();
    let mut owners: BTreeMap<Option<u64>, &Hold<'_>> = BTreeMap::new();
    for &second in &holds {
        if let Some(&first) = owners.get(&second.token) {
            found.push(Inversion { first, second, why: None });
        }
        owners.entry(second.token).or_insert(second);
        let proof = second.until.filter(|_| exclusive).map(|until| (until.at, Why::HeldLater));
        for (moment, why) in [(second.asked.at, Why::AskedLater)].into_iter().chain(proof) {
            let first = newest.before(moment).filter(|first| first.token > second.token);
            found.extend(first.map(|first| Inversion { first, second, why: Some(why) }));
        }
    }
    found.into_iter().min_by_key(|inversion| inversion.second.acquired.max(inversion.first.acquired))
}

/// An access that was accepted after another with a larger token: that one, and this one.
fn shown<'l>(lock: &'l Lock<'_>) -> Option<(&'l Access<'l>, &'l Access<'l>)> {
    let mut newest: Option<&Access<'_>> = None;
    for access in lock.accesses.iter().filter(|access| access.accepted && access.shown.is_some()) {
        match newest {
            Some(newest) if newest.shown > access.shown => return Some((newest, access)),
            Some(_) | None => newest = Some(access),
        }
    }
    None
}

fn token(token: Option<u64>) -> String {
    token.map_or_else(|| "none".to_owned(), |token| token.to_string())
}

fn of_tokens(lock: &str, inversion: &Inversion<'_>) -> Witness {
    let Inversion { first, second, why } = inversion;
    let (one, other) = (token(first.token), token(second.token));
    let mut steps = vec![first.begin(lock), second.begin(lock)];
    let mut lines = vec![first.acquired.line, second.asked.line, second.acquired.line];
    let sentence = match why {
        None => format!("{lock} was given to {} and to {} with the same token {one}", first.who(), second.who()),
        Some(_) => format!(
            "{} held {lock} after {}, but its token {other} is not larger than {one}",
            second.who(),
            first.who()
        ),
    };
    match (why, second.until) {
        (None, _) => steps.push(format!(
            "whichever of lines {} and {} was later, its token is not larger than the other's",
            first.acquired.line, second.acquired.line
        )),
        (Some(Why::HeldLater), Some(until)) => {
            steps.push(format!(
                "line {}: {} gave {lock} back, asked at {}: until then it held it, so that {} must have had it before",
                until.line,
                second.who(),
                until.at,
                first.who()
            ));
            lines.push(until.line);
        }
        (Some(_), _) => steps.push(format!(
            "token {one} had been given (line {}) before token {other} was asked for (line {})",
            first.acquired.line, second.asked.line
        )),
    }
    let at = first.acquired.at.max(second.until.filter(|_| *why == Some(Why::HeldLater)).unwrap_or(second.acquired).at);
    Witness::new(sentence, lines, steps, at, vec![first.acquire.node, second.acquire.node])
}

fn of_resource(lock: &str, newer: &Access<'_>, older: &Access<'_>) -> Witness {
    let said = |access: &Access<'_>| {
        format!(
            "line {}: what {lock} protects let client {} in, which showed token {}",
            access.decided.line,
            access.operation.process.0,
            token(access.shown)
        )
    };
    let sentence =
        format!("what {lock} protects accepted token {} after token {}", token(older.shown), token(newer.shown));
    let nodes = vec![newer.operation.node, older.operation.node];
    let lines = vec![newer.decided.line, older.decided.line];
    Witness::new(sentence, lines, vec![said(newer), said(older)], older.decided.at, nodes)
}
