//! What clients did with locks, or with a leadership that they campaigned for: holds, and uses of what the lock protects.
//!
//! A *hold* begins when an acquisition is answered with ok. How long it lasts is the question, because a lock of this kind is
//! lost without its holder's knowledge: its lease runs out, its session ends. So a hold is *proved* only where the holder gave the
//! lock back and was answered with ok, which a client driver says only if the system found the lock still held by that session:
//! what is lost is never got back, so that it was held all the time from the acquisition's answer to the question of the release.
//! A hold that ended otherwise (a release that failed, that was never answered, or that nobody asked for) is sure at one moment
//! only: at some instant between the question and the answer of its acquisition.
//!
//! ```text
//!   acquire ├────────┤ ok                 release ├────┤ ok
//!                    ╞═════════ proved ═══════════╡
//!   acquire ├────────┤ ok                 release ├────┤ fail: it was lost before
//!              one instant in here
//! ```
//!
//! So nothing is concluded from clocks, time-outs or leases, and a client that thinks that it holds proves nothing. An acquisition
//! without an answer is left out: it may have held for a moment that nobody can tell.

mod access;
mod exclusion;
mod fencing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chaos_history::{Action, Completion, History, ObjectKind, OpResult, Operation, ProcessId, RunNanos, operations};

pub(crate) use access::exclusive_access;
pub(crate) use exclusion::mutual_exclusion;
pub(crate) use fencing::fencing;

use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// A moment with the line that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    at: RunNanos,
    line: usize,
}

/// One acquisition that was answered with ok, and what follows from it.
#[derive(Clone, Debug)]
struct Hold<'a> {
    acquire: &'a Operation,
    /// When the acquisition was asked for.
    asked: Moment,
    /// When its answer was there.
    acquired: Moment,
    token: Option<u64>,
    /// When the release was asked for that proves the hold; `None` if nothing does.
    until: Option<Moment>,
}

impl Hold<'_> {
    /// Who holds, for people.
    fn who(&self) -> String {
        format!("client {} (at {})", self.acquire.process.0, self.acquire.node)
    }

    /// That it was acquired, as a step of a witness.
    fn begin(&self, lock: &str) -> String {
        let token = self.token.map_or_else(String::new, |token| format!(" with token {token}"));
        format!(
            "line {}: {} was given {lock}{token} at {}, asked for at {} (line {})",
            self.acquired.line,
            self.who(),
            self.acquired.at,
            self.asked.at,
            self.asked.line
        )
    }
}

/// Who uses what a lock protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum User {
    /// The one of this hold, by its place in [`Lock::holds`].
    Holder(usize),
    /// A process that didn't acquire in this history, one for each hold: a program of the system's own that came to the resource.
    Outside(ProcessId),
}

/// One use of what a lock protects that was decided.
#[derive(Clone, Debug)]
struct Access<'a> {
    operation: &'a Operation,
    user: User,
    /// The token that was shown.
    shown: Option<u64>,
    decided: Moment,
    accepted: bool,
}

/// Everything about one lock.
#[derive(Clone, Debug, Default)]
struct Lock<'a> {
    /// In order of the acquisitions' questions.
    holds: Vec<Hold<'a>>,
    /// In the order in which the resource decided.
    accesses: Vec<Access<'a>>,
}

/// All locks of a history.
struct Locks<'a> {
    locks: BTreeMap<&'a str, Lock<'a>>,
    /// How many acquisitions were asked for, and what the first answer was that was no ok.
    asked: usize,
    refusal: Option<(usize, &'a str)>,
}

impl<'a> Locks<'a> {
    /// # Errors
    /// What makes the operations no story of clients with locks.
    fn of(operations: &'a [Operation]) -> Result<Self, String> {
        let mut this = Self { locks: BTreeMap::new(), asked: 0, refusal: None };
        // Which hold each process has of each lock, once it has had any.
        let mut held: BTreeMap<(ProcessId, &str), Option<usize>> = BTreeMap::new();
        for operation in operations.iter().filter(|operation| operation.action.object() == ObjectKind::Lock) {
            let line = operation.invoke_line;
            let key = operation.action.key();
            let end = operation.completed.zip(operation.complete_line).map(|(at, line)| Moment { at, line });
            let asked = Moment { at: operation.invoked, line };
            if end.is_some_and(|end| end.at < asked.at) {
                return Err(format!("line {line}: an operation was answered before it was invoked"));
            }
            let lock = this.locks.entry(key).or_default();
            let holds = (operation.process, key);
            match (&operation.action, &operation.completion, end) {
                (Action::Acquire { .. }, Completion::Ok(OpResult::Acquired { token }), Some(acquired)) => {
                    this.asked += 1;
                    if held.insert(holds, Some(lock.holds.len())).flatten().is_some() {
                        return Err(format!("line {line}: a client acquired {key}, which it held already"));
                    }
                    lock.holds.push(Hold { acquire: operation, asked, acquired, token: *token, until: None });
                }
                (Action::Acquire { .. }, Completion::Fail(error) | Completion::Info(error), _) => {
                    this.asked += 1;
                    this.refusal = this.refusal.or(end.map(|end| (end.line, error.as_str())));
                }
                (Action::Release { .. }, Completion::Ok(OpResult::Released), Some(_)) => {
                    let hold = held.insert(holds, None).flatten();
                    let hold =
                        hold.ok_or_else(|| format!("line {line}: a client gave {key} back without holding it"))?;
                    lock.holds[hold].until = Some(asked);
                }
                (Action::Release { .. }, Completion::Fail(_) | Completion::Info(_), _) => {
                    held.insert(holds, None);
                }
                (Action::Access { token, .. }, Completion::Ok(OpResult::Accessed { accepted }), Some(decided)) => {
                    let user = match held.get(&holds) {
                        Some(Some(hold)) => User::Holder(*hold),
                        Some(None) => {
                            return Err(format!("line {line}: an access of a client that doesn't hold {key} any more"));
                        }
                        None => User::Outside(operation.process),
                    };
                    lock.accesses.push(Access { operation, user, shown: *token, decided, accepted: *accepted });
                }
                (Action::Access { .. }, Completion::Fail(_) | Completion::Info(_), _) => {}
                _ => return Err(format!("line {line}: an answer to another question")),
            }
        }
        this.locks.values_mut().try_for_each(Lock::put_in_order)?;
        Ok(this)
    }

    fn holds(&self) -> usize {
        self.locks.values().map(|lock| lock.holds.len()).sum()
    }

    /// Why nothing can be said where nobody ever got a lock.
    fn never_held(&self) -> Option<String> {
        if self.holds() > 0 {
            return None;
        }
        Some(match (self.asked, self.refusal) {
            (0, _) => "no client wanted a lock".to_owned(),
            (_, Some((line, error))) => {
                format!("no lock was ever acquired; line {line} says: {}", error.escape_debug())
            }
            (_, None) => "no lock was ever acquired".to_owned(),
        })
    }

    /// What the verdict rests on, with what is special about it.
    fn basis(&self, more: &str) -> String {
        format!("{} of {}{more}", count(self.holds(), "hold"), count(self.locks.len(), "lock"))
    }
}

impl Lock<'_> {
    fn put_in_order(&mut self) -> Result<(), String> {
        self.accesses.sort_by_key(|access| access.decided.line);
        let overlap = self.accesses.windows(2).find(|pair| pair[1].operation.invoke_line < pair[0].decided.line);
        match overlap {
            Some(pair) => Err(format!("line {}: two accesses overlap: their order is not known", pair[1].decided.line)),
            None => Ok(()),
        }
    }

    /// The holds that have proof, with it, in order of their beginning.
    fn proved(&self) -> Vec<(&Hold<'_>, Moment)> {
        let mut proved: Vec<_> = self.holds.iter().filter_map(|hold| Some((hold, hold.until?))).collect();
        proved.sort_by_key(|(hold, _)| hold.acquired);
        proved
    }
}

/// Judges every lock for itself; the violation that was complete first is told.
fn judge(
    history: &History,
    one: impl Fn(&str, &Lock<'_>) -> Option<Witness>,
    sum: impl Fn(&Locks<'_>) -> (Option<String>, String),
) -> (Verdict, String) {
    let malformed = |reason: String| (Verdict::Unknown(reason), "malformed operations".to_owned());
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return malformed(error.to_string()),
    };
    let locks = match Locks::of(&operations) {
        Ok(locks) => locks,
        Err(reason) => return malformed(reason),
    };
    let violations: Vec<Witness> = locks.locks.iter().filter_map(|(key, lock)| one(key, lock)).collect();
    let (unknown, mut basis) = sum(&locks);
    if violations.len() > 1 {
        basis.push_str(&format!(", {} violated", count(violations.len(), "lock")));
    }
    let verdict = match violations.into_iter().min_by_key(|witness| witness.at) {
        Some(witness) => Verdict::Invalid(witness),
        None => unknown.map_or(Verdict::Valid, Verdict::Unknown),
    };
    (verdict, basis)
}
