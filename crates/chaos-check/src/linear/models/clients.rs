//! From what clients did to entries, where process discipline matters: which release ends which acquire.
//!
//! A process does one operation at a time, and one that ended without an outcome is never used again (its successor has
//! another number). So the release that follows an acquire of the same process ends that section, and sections can be numbered
//! as they begin.
//!
//! *Owners or not.* Some locks don't ask who releases. If every release follows an acquire of the same process that was
//! answered (at an earlier stamp, as equal ones are concurrent), that makes no difference: in every order, each process has
//! acquired at least as often as it has released. So where the lock is free nobody has acquired more often, and the next to
//! release can only be the one who acquires now.
//! [`Trails::disciplined`] says whether that is so. If it isn't, a history says less to the lock without owners, and
//! [`Trails::bare`] has the entries for that.
//!
//! This file refuses to know file formats and clocks. Cost: O(n log n).

use std::collections::BTreeMap;

use super::bare_mutex::BareMutexOp;
use super::fenced::FencedLockOp;
use super::hold::Hold;
use super::lease::LeaseLockOp;
use super::mutex::MutexOp;
use super::semaphore::SemaphoreOp;
use crate::linear::entry::Entry;

/// What a client tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// To get the lock.
    Acquire {
        /// The fencing token that came with it, if any is known.
        token: Option<u64>,
    },
    /// To keep it.
    Renew,
    /// To give it back.
    Release,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It took effect, and was answered then.
    Ok(u64),
    /// It did not take effect, and was answered then.
    Fail(u64),
    /// It may have taken effect at any time since, or never.
    Info,
}

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who.
    pub process: u64,
    /// What.
    pub what: Try,
    /// When it was invoked, in any unit of one clock.
    pub invoked: u64,
    /// How and when it ended.
    pub ended: Ended,
}

/// What a refused acquire says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// Nothing: it may be spurious.
    MayBeSpurious,
    /// That the lock was held.
    SawItHeld,
}

/// On what terms a lock is held for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long, in the stamps' unit, after whoever grants it handles the question.
    pub ttl: u64,
    /// What a successful release says.
    pub releases: Releases,
}

/// What a successful release says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Releases {
    /// That the lease was still held.
    ProveHeld,
    /// Nothing: giving back what has run out succeeds, too.
    MayBeLate,
}

/// Attempts that make no sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailError {
    /// A process did two things at a time, or one after it ended without an outcome.
    #[error("process {process} invoked an operation at {invoked} while another of its was not over")]
    Overlapping {
        /// Who.
        process: u64,
        /// When.
        invoked: u64,
    },
    /// A process released or renewed what it had not acquired, so that no owner is known.
    #[error("process {process} released or renewed at {invoked} what it had not acquired")]
    NotAcquired {
        /// Who.
        process: u64,
        /// When.
        invoked: u64,
    },
    /// A successful acquire without a token where there has to be one.
    #[error("process {process} acquired at {invoked} without a fencing token")]
    NoToken {
        /// Who.
        process: u64,
        /// When.
        invoked: u64,
    },
}

/// The trails of all processes: attempts with the sections they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trails {
    /// The attempts, ascending by invocation, each with its section; refused acquires have none.
    attempts: Vec<(Attempt, Option<Hold>)>,
}

impl Trails {
    /// Follows each process.
    ///
    /// # Errors
    /// If a process does two things at a time, or releases or renews what it did not acquire.
    pub fn disciplined(attempts: &[Attempt]) -> Result<Self, TrailError> {
        let mut attempts: Vec<(Attempt, Option<Hold>)> = attempts.iter().map(|attempt| (*attempt, None)).collect();
        attempts.sort_by_key(|(attempt, _)| attempt.invoked);
        // By process: when it was free again (never without an outcome), and the sections that it has not ended. More than
        // one is for the model to judge: it is right for a semaphore, and for a lease that was lost.
        let mut processes: BTreeMap<u64, (Option<u64>, Vec<Hold>)> = BTreeMap::new();
        let mut begun = 0;
        for (attempt, hold) in &mut attempts {
            let Attempt { process, invoked, .. } = *attempt;
            let (free_at, current) = processes.entry(process).or_insert((Some(0), Vec::new()));
            if free_at.is_none_or(|free_at| invoked < free_at) {
                return Err(TrailError::Overlapping { process, invoked });
            }
            *free_at = match attempt.ended {
                Ended::Ok(answered) | Ended::Fail(answered) => Some(answered),
                Ended::Info => None,
            };
            match (attempt.what, attempt.ended) {
                (_, Ended::Fail(_)) => {}
                (Try::Acquire { .. }, Ended::Ok(_) | Ended::Info) => {
                    *hold = Some(Hold(begun));
                    current.push(Hold(begun));
                    begun += 1;
                }
                (Try::Renew | Try::Release, Ended::Ok(_) | Ended::Info) => {
                    *hold = if attempt.what == Try::Release { current.pop() } else { current.last().copied() };
                    if hold.is_none() {
                        return Err(TrailError::NotAcquired { process, invoked });
                    }
                }
            }
        }
        Ok(Self { attempts })
    }

    fn entries<T>(&self, op: impl Fn(&Attempt, Option<Hold>) -> Option<T>) -> Vec<Entry<T>> {
        let entry = |(attempt, hold): &(Attempt, Option<Hold>)| {
            let answered = match attempt.ended {
                Ended::Ok(answered) | Ended::Fail(answered) => Some(answered),
                Ended::Info => None,
            };
            Some(Entry { what: op(attempt, *hold)?, invoked: attempt.invoked, answered })
        };
        self.attempts.iter().filter_map(entry).collect()
    }

    /// Entries for [`Mutex`](super::Mutex). Renewals are left out.
    #[must_use]
    pub fn mutex(&self, refusals: Refusals) -> Vec<Entry<MutexOp>> {
        self.entries(|attempt, hold| match (attempt.what, hold) {
            (Try::Acquire { .. }, Some(hold)) => Some(MutexOp::Acquire(hold)),
            (Try::Acquire { .. }, None) => (refusals == Refusals::SawItHeld).then_some(MutexOp::Busy),
            (Try::Release, Some(hold)) => Some(MutexOp::Release(hold)),
            (Try::Release, None) | (Try::Renew, _) => None,
        })
    }

    /// Entries for [`Semaphore`](super::Semaphore). Refused acquires and renewals are left out.
    #[must_use]
    pub fn semaphore(&self) -> Vec<Entry<SemaphoreOp>> {
        self.entries(|attempt, hold| match attempt.what {
            Try::Acquire { .. } => hold.map(SemaphoreOp::Acquire),
            Try::Release => hold.map(SemaphoreOp::Release),
            Try::Renew => None,
        })
    }

    /// Entries for [`FencedLock`](super::FencedLock), with what runs out if it is held for a time. Refused acquires, those
    /// without an outcome, and renewals are left out.
    ///
    /// # Errors
    /// If a successful acquire has no token.
    pub fn fenced(&self, lease: Option<Lease>) -> Result<Vec<Entry<FencedLockOp>>, TrailError> {
        let tokenless = |(attempt, _): &&(Attempt, Option<Hold>)| {
            attempt.what == Try::Acquire { token: None } && matches!(attempt.ended, Ended::Ok(_))
        };
        if let Some((Attempt { process, invoked, .. }, _)) = self.attempts.iter().find(tokenless) {
            return Err(TrailError::NoToken { process: *process, invoked: *invoked });
        }
        let mut entries = self.entries(|attempt, hold| match attempt.what {
            Try::Acquire { token } => Some(FencedLockOp::Acquire { hold: hold?, token: token? }),
            Try::Release => hold.map(FencedLockOp::Release),
            Try::Renew => None,
        });
        if let Some(lease) = lease {
            let released = |op: &FencedLockOp| matches!(op, FencedLockOp::Release(_));
            self.run_out(&mut entries, lease, released, FencedLockOp::Release);
        }
        Ok(entries)
    }

    /// Entries for [`LeaseLock`](super::LeaseLock), with what runs out. Refused acquires are left out.
    #[must_use]
    pub fn lease(&self, lease: Lease) -> Vec<Entry<LeaseLockOp>> {
        let mut entries = self.entries(|attempt, hold| match attempt.what {
            Try::Acquire { .. } => hold.map(LeaseLockOp::Acquire),
            Try::Renew => hold.map(LeaseLockOp::Renew),
            Try::Release => hold.map(LeaseLockOp::Release),
        });
        let released = |op: &LeaseLockOp| matches!(op, LeaseLockOp::Release(_));
        self.run_out(&mut entries, lease, released, LeaseLockOp::Expire);
        entries
    }

    /// Adds that each section of which something succeeded may end at any time from its last successful acquire's or renewal's
    /// invocation plus the ttl on; and takes from releases what they don't prove.
    fn run_out<T>(
        &self,
        entries: &mut Vec<Entry<T>>,
        lease: Lease,
        released: impl Fn(&T) -> bool,
        expiry: impl Fn(Hold) -> T,
    ) {
        if lease.releases == Releases::MayBeLate {
            entries.iter_mut().filter(|entry| released(&entry.what)).for_each(|entry| entry.answered = None);
        }
        let mut until: BTreeMap<Hold, u64> = BTreeMap::new();
        for (attempt, hold) in &self.attempts {
            let extends = matches!(attempt.what, Try::Acquire { .. } | Try::Renew);
            if let (Some(hold), Ended::Ok(_)) = (hold, attempt.ended)
                && extends
            {
                until.insert(*hold, attempt.invoked.saturating_add(lease.ttl));
            }
        }
        let expire = |(hold, invoked)| Entry { what: expiry(hold), invoked, answered: None };
        entries.extend(until.into_iter().map(expire));
        entries.sort_by_key(|entry| entry.invoked);
    }

    /// Entries for [`BareMutex`](super::BareMutex), from any attempts at all. Renewals are left out.
    #[must_use]
    pub fn bare(attempts: &[Attempt], refusals: Refusals) -> Vec<Entry<BareMutexOp>> {
        let entry = |attempt: &Attempt| {
            let (what, answered) = match (attempt.what, attempt.ended) {
                (Try::Acquire { .. }, Ended::Ok(answered)) => (BareMutexOp::Acquire, Some(answered)),
                (Try::Acquire { .. }, Ended::Info) => (BareMutexOp::Acquire, None),
                (Try::Acquire { .. }, Ended::Fail(answered)) if refusals == Refusals::SawItHeld => {
                    (BareMutexOp::Busy, Some(answered))
                }
                (Try::Release, Ended::Ok(answered)) => (BareMutexOp::Release, Some(answered)),
                (Try::Release, Ended::Info) => (BareMutexOp::Release, None),
                (Try::Acquire { .. } | Try::Release, Ended::Fail(_)) | (Try::Renew, _) => return None,
            };
            Some(Entry { what, invoked: attempt.invoked, answered })
        };
        attempts.iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FencedLock, LeaseLock, Mutex};
    use super::*;
    use crate::linear::{Budget, Decision, Model, check};

    /// `process what invoked..answered`: `a`cquire, re`n`ew, `r`elease; `?` for no outcome, `!` before the answer if refused;
    /// a token behind `#`.
    fn attempts(text: &str) -> Vec<Attempt> {
        let attempt = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (invoked, ended) = words[2].split_once("..").unwrap();
            let ended = match (ended, ended.strip_prefix('!')) {
                ("?", _) => Ended::Info,
                (_, Some(answered)) => Ended::Fail(answered.parse().unwrap()),
                (answered, None) => Ended::Ok(answered.parse().unwrap()),
            };
            let what = match words[1] {
                "r" => Try::Release,
                "n" => Try::Renew,
                acquire => Try::Acquire { token: acquire.split_once('#').map(|(_, token)| token.parse().unwrap()) },
            };
            Attempt { process: words[0].parse().unwrap(), what, invoked: invoked.parse().unwrap(), ended }
        };
        text.split(',').map(attempt).collect()
    }

    fn legal<M: Model>(model: &M, entries: &[Entry<M::Op>]) -> bool {
        match check(model, entries, &Budget::default()).unwrap() {
            Decision::Linearizable(_) => true,
            Decision::Violation { core, verified } => {
                assert!(verified && core.len() <= 6, "{core:#?}");
                false
            }
            Decision::Undecided(why) => panic!("{why:?}"),
        }
    }

    #[test]
    fn a_lease_holds_until_its_last_successful_question_plus_ttl_or_its_release() {
        let cases = [
            ("1 a 10..12, 2 a 20..59", false, "granted before it ran out"),
            ("1 a 10..12, 2 a 20..60", true, "it may run out at 60"),
            ("1 a 10..12, 1 n 40..42, 2 a 60..89", false, "it was renewed up to 90"),
            ("1 a 10..12, 1 n 40..42, 2 a 60..91", true, "the renewal ran out at 90"),
            ("1 a 10..12, 1 n 40..?, 2 a 60..61", true, "the renewal may be lost"),
            ("1 a 10..12, 1 n 40..!42, 2 a 60..61", true, "the renewal was refused"),
            ("1 a 10..12, 1 r 20..30, 2 a 22..25", true, "released in time"),
            ("1 a 10..12, 1 r 30..?, 2 a 22..29", false, "granted before the release began"),
            ("1 a 10..12, 2 a 70..72, 1 n 80..82", false, "renewed what another had got"),
            ("1 a 10..80, 2 a 20..70", true, "it had run out when the answer came"),
            ("1 a 10..12, 1 n 40..!42, 1 a 70..72, 1 r 80..81", true, "lost and acquired again"),
        ];
        for (text, expected, why) in cases {
            let trails = Trails::disciplined(&attempts(text)).unwrap();
            let lease = Lease { ttl: 50, releases: Releases::ProveHeld };
            assert_eq!(legal(&LeaseLock, &trails.lease(lease)), expected, "{text}: {why}");
        }
    }

    #[test]
    fn a_late_release_proves_a_lease_only_if_it_is_declared_to() {
        let trails = Trails::disciplined(&attempts("1 a#1 10..12, 2 a#2 70..72, 1 r 80..82, 2 r 90..91")).unwrap();
        for (releases, expected) in [(Releases::ProveHeld, false), (Releases::MayBeLate, true)] {
            let lease = Lease { ttl: 50, releases };
            assert_eq!(legal(&LeaseLock, &trails.lease(lease)), expected);
            assert_eq!(legal(&FencedLock, &trails.fenced(Some(lease)).unwrap()), expected);
        }
        assert!(!legal(&FencedLock, &trails.fenced(None).unwrap()));
    }

    #[test]
    fn a_refusal_says_what_it_is_declared_to() {
        let trails = Trails::disciplined(&attempts("1 a 1..2, 1 r 3..4, 2 a 5..!6, 2 a 7..8")).unwrap();
        assert!(legal(&Mutex, &trails.mutex(Refusals::MayBeSpurious)));
        assert!(!legal(&Mutex, &trails.mutex(Refusals::SawItHeld)));
    }

    #[test]
    fn attempts_without_discipline_make_no_sections() {
        let error = |text| Trails::disciplined(&attempts(text)).unwrap_err();
        assert_eq!(error("1 a 1..?, 1 r 5..6"), TrailError::Overlapping { process: 1, invoked: 5 });
        assert_eq!(error("1 a 1..4, 1 r 3..6"), TrailError::Overlapping { process: 1, invoked: 3 });
        assert_eq!(error("1 a 1..2, 2 r 3..6"), TrailError::NotAcquired { process: 2, invoked: 3 });
        let trails = Trails::disciplined(&attempts("4 a 1..2")).unwrap();
        assert_eq!(trails.fenced(None), Err(TrailError::NoToken { process: 4, invoked: 1 }));
    }
}
