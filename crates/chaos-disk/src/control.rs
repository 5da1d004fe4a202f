//! The switch of one disk: what is wrong with it now, since when, and how many calls have felt it.
//!
//! The idea: whoever answers a call looks here at the moment of the answer. So a change is in force for every call that begins after
//! [`Control::set`] has returned, and calls that are being held are judged anew by it: what a slow disk held goes on when the disk is
//! well again. Refuses to know what a call is. This is the one place of the crate behind a lock: it is held for a copy of a few words,
//! by one writer and as many readers as calls are answered at the same time.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::fault::{Behaviour, Deed, DiskFault, Failure};
use crate::monotonic::monotonic_ns;

/// When a change was made, in nanoseconds of `CLOCK_MONOTONIC`.
///
/// Every call that began after `end_ns` has met the new state, every call answered before `begin_ns` the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Before the change.
    pub begin_ns: u64,
    /// After it.
    pub end_ns: u64,
}

/// What a fault has done so far: the effect, as seen at the calls themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Touched {
    /// Calls that were delayed, those still held included.
    pub delayed: u64,
    /// Calls that failed.
    pub failed: u64,
    /// When the first of them was touched (`CLOCK_MONOTONIC`).
    pub first_ns: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    fault: DiskFault,
    /// Counts the changes.
    generation: u64,
    touched: Touched,
}

/// What is wrong with a disk, shared by its owner and by who answers calls.
#[derive(Debug, Clone, Default)]
pub(crate) struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere has not spoilt it.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a fault in the place of the one before, and begins to count anew.
    pub(crate) fn set(&self, fault: DiskFault) -> Receipt {
        let begin_ns = monotonic_ns();
        let mut state = self.state();
        *state = State { fault, generation: state.generation + 1, touched: Touched::default() };
        drop(state);
        self.shared.changed.notify_all();
        Receipt { begin_ns, end_ns: monotonic_ns() }
    }

    /// What is wrong now, and the number of changes so far.
    pub(crate) fn now(&self) -> (DiskFault, u64) {
        let state = self.state();
        (state.fault, state.generation)
    }

    /// What the present fault has done.
    pub(crate) fn touched(&self) -> Touched {
        self.state().touched
    }

    /// Notes that a call is held, or has failed.
    pub(crate) fn note(&self, delayed: bool, failed: bool) {
        let mut state = self.state();
        state.touched.delayed += u64::from(delayed);
        state.touched.failed += u64::from(failed);
        if delayed || failed {
            state.touched.first_ns.get_or_insert_with(monotonic_ns);
        }
    }

    /// Waits as long as the disk makes this call wait, and says how it fails then. Looks so often whether the caller has given up.
    pub(crate) fn endure(&self, deed: Deed, look_every: Duration, given_up: impl Fn() -> bool) -> Option<Failure> {
        let begun = Instant::now();
        let mut held = false;
        let mut state = self.state();
        loop {
            let Behaviour { delay, failure } = state.fault.on(deed);
            let left = delay.saturating_sub(begun.elapsed());
            if left.is_zero() || (held && given_up()) {
                drop(state);
                self.note(false, failure.is_some());
                return failure;
            }
            if !held {
                held = true;
                drop(state);
                self.note(true, false);
                state = self.state();
                continue;
            }
            let waited = self.shared.changed.wait_timeout(state, left.min(look_every));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a sync that a hanging disk held, when this fault follows.
    fn held_until(next: DiskFault) -> Option<Failure> {
        let control = Control::default();
        control.set(DiskFault::slow_syncs(Duration::MAX));
        let waiting = control.clone();
        let held = std::thread::spawn(move || waiting.endure(Deed::Sync, Duration::from_secs(60), || false));
        while control.touched().delayed == 0 {
            std::thread::yield_now();
        }
        control.set(next);
        held.join().expect("the waiter has not panicked")
    }

    #[test]
    fn what_a_hanging_disk_holds_goes_on_when_it_is_well_again() {
        assert_eq!(held_until(DiskFault::default()), None);
    }

    #[test]
    fn what_is_held_is_judged_by_the_fault_that_follows() {
        assert_eq!(held_until(DiskFault::failing_syncs(Failure::Io)), Some(Failure::Io));
    }
}
