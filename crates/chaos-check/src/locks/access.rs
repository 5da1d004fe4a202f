//! `ExclusiveAccess`: what a lock protects is used by one holder after the other, and never by one that was deposed.
//!
//! ```text
//!  client 3   holds: access · access            (paused)              access ·    accepted: the violation
//!  client 5                            holds: access · access
//! ```
//!
//! The resource decides one access at a time and writes down what it accepts; so its uses are one sequence. It is exclusive if each
//! hold's accesses stand together in it, and holds stand in the order of their tokens. Refuted by two or three accepted accesses:
//!
//! * one of a hold, one of another, and one of the first again (whichever was to hold, the resource was used by both); or
//! * one of a hold and then one of a hold whose token the lock service has made smaller: the older holder, by its own word.
//!
//! That a lock is lost without its holder's knowledge is what locks with leases are like, and no mistake of the lock service: hence
//! this property is about the lock *and* its users. With fencing it must hold whatever happens. Without, a violation is the finding
//! that fencing tokens were invented for. O(n log n). `Unknown`: the resource accepted nothing.
//!
//! Source: Kleppmann, "How to do distributed locking" (2016).

use std::collections::BTreeSet;

use chaos_history::History;

use super::{Access, Hold, Lock, User, judge};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// What a lock protects is used by one holder after the other.
pub(crate) fn exclusive_access(history: &History) -> (Verdict, String) {
    judge(
        history,
        |key, lock| intrusion(lock).map(|intrusion| witness(key, lock, &intrusion)),
        |locks| {
            let accesses = || locks.locks.values().flat_map(|lock| &lock.accesses);
            let accepted = accesses().filter(|access| access.accepted).count();
            let refused = accesses().count() - accepted;
            let none = (accepted == 0)
                .then(|| locks.never_held().unwrap_or_else(|| "what the locks protect was never used".to_owned()));
            let accepted = count(accepted, "accepted access");
            let accepted = accepted.replace("accesss", "accesses");
            (none, locks.basis(&format!(", {accepted}, {refused} refused")))
        },
    )
}

/// An access that was accepted though another holder had taken over.
struct Intrusion<'l> {
    /// The last access of the same hold before, if it had one.
    before: Option<&'l Access<'l>>,
    /// The access of the other, newer holder.
    newer: &'l Access<'l>,
    late: &'l Access<'l>,
}

fn intrusion<'l>(lock: &'l Lock<'_>) -> Option<Intrusion<'l>> {
    let accepted: Vec<&Access<'_>> = lock.accesses.iter().filter(|access| access.accepted).collect();
    // Holds whose turn is over.
    let mut over: BTreeSet<User> = BTreeSet::new();
    let mut newest: Option<&Access<'_>> = None;
    for (index, &late) in accepted.iter().enumerate() {
        let Some(&last) = index.checked_sub(1).map(|before| &accepted[before]) else {
            newest = Some(late);
            continue;
        };
        let token = |access: &Access<'_>| match access.user {
            User::Holder(hold) => lock.holds[hold].token,
            User::Outside(_) => access.shown,
        };
        if last.user != late.user {
            over.insert(last.user);
            if over.contains(&late.user) {
                let before = accepted[..index].iter().rev().find(|access| access.user == late.user);
                return Some(Intrusion { before: before.copied(), newer: last, late });
            }
        }
        if let Some(newer) = newest.filter(|newer| token(late).is_some() && token(newer) > token(late)) {
            return Some(Intrusion { before: None, newer, late });
        }
        if newest.is_none_or(|newest| token(newest) <= token(late)) {
            newest = Some(late);
        }
    }
    None
}

fn witness(lock: &str, all: &Lock<'_>, intrusion: &Intrusion<'_>) -> Witness {
    let Intrusion { before, newer, late } = intrusion;
    let hold = |access: &Access<'_>| -> Option<&Hold<'_>> {
        match access.user {
            User::Holder(hold) => Some(&all.holds[hold]),
            User::Outside(_) => None,
        }
    };
    let who = |access: &Access<'_>| format!("client {} (at {})", access.operation.process.0, access.operation.node);
    let said = |access: &Access<'_>| {
        let shown = match access.shown {
            Some(token) => format!("showing token {token}"),
            None => "showing no token".to_owned(),
        };
        let (line, at) = (access.decided.line, access.decided.at);
        format!("line {line}: {} used what {lock} protects at {at}, {shown}", who(access))
    };
    let holds: Vec<&Hold<'_>> = [late, newer].into_iter().filter_map(|access| hold(access)).collect();
    let mut steps: Vec<String> = holds.iter().map(|hold| hold.begin(lock)).collect();
    steps.extend(before.map(said));
    steps.extend([said(newer), said(late)]);
    let mut lines = vec![newer.decided.line, late.decided.line];
    lines.extend(holds.iter().map(|hold| hold.acquired.line));
    lines.extend(before.map(|access| access.decided.line));
    let (one, other) = (who(late), who(newer));
    let sentence = match before {
        Some(_) => format!("{one} still used what {lock} protects after {other} had taken over"),
        None => format!("{one} used what {lock} protects after {other}, whose token is newer"),
    };
    let nodes = vec![late.operation.node, newer.operation.node];
    Witness::new(sentence, lines, steps, late.decided.at, nodes)
}
