//! Locks: mutual exclusion with and without owners, fencing tokens, leases, permits.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chaos_check::linear::models::{
    FencedLock, FencedLockOp, Hold, LeaseLock, LeaseLockOp, Mutex, MutexOp, Semaphore, SemaphoreOp,
};
use chaos_check::linear::{Entry, Model, Shortcut, Timeline};
use rand::RngExt;

use crate::harness::{Random, Subject, fuzz};

/// Which sections each process is in, as far as it knows.
#[derive(Default)]
struct Sections {
    held: BTreeMap<usize, Hold>,
    begun: u32,
    /// Whether a process sometimes confuses its own section with another.
    confused: bool,
}

impl Sections {
    fn new(random: &mut Random) -> Self {
        Self { confused: random.random_ratio(1, 3), ..Self::default() }
    }

    fn took(&mut self, process: usize, hold: Hold) {
        self.held.insert(process, hold);
    }

    fn ended(&mut self, hold: Hold) {
        self.held.retain(|_, held| *held != hold);
    }

    /// A section to begin: a new one, or rarely one that has begun before.
    fn begin(&mut self, random: &mut Random) -> Hold {
        if self.confused && random.random_ratio(1, 8) {
            return self.any(random);
        }
        self.begun += 1;
        Hold(self.begun)
    }

    fn any(&self, random: &mut Random) -> Hold {
        Hold(random.random_range(0..=self.begun))
    }

    /// The section that `process` is in.
    fn current(&self, random: &mut Random, process: usize) -> Option<Hold> {
        if self.confused && random.random_ratio(1, 8) {
            return Some(self.any(random));
        }
        self.held.get(&process).copied()
    }
}

/// Claims that the model decides `entries` by itself if no two acquires begin one section.
fn decided<M: Model>(model: &M, entries: &[Entry<M::Op>], begins: impl Fn(&M::Op) -> Option<Hold>) {
    let mut holds: Vec<Hold> = entries.iter().filter_map(|entry| begins(&entry.what)).collect();
    holds.sort_unstable();
    if holds.windows(2).all(|pair| pair[0] != pair[1]) {
        let ops = Timeline::new(entries).expect("the stamps are in order").ops;
        assert_ne!(model.shortcut(&ops), Shortcut::Pass, "left to the engine: {entries:#?}");
    }
}

struct FencedLocks {
    sections: Sections,
    token: u64,
}

impl Subject for FencedLocks {
    type Model = FencedLock;
    type State = (Option<Hold>, u64);

    fn initial(&self) -> (Option<Hold>, u64) {
        (None, 0)
    }

    fn apply(&self, &(holder, last): &(Option<Hold>, u64), op: &FencedLockOp) -> Option<(Option<Hold>, u64)> {
        match (holder, *op) {
            (None, FencedLockOp::Acquire { hold, token }) if token > last => Some((Some(hold), token)),
            (Some(holder), FencedLockOp::Release(hold)) if holder == hold => Some((None, last)),
            (_, FencedLockOp::Acquire { .. } | FencedLockOp::Release(_)) => None,
        }
    }

    fn propose(&mut self, random: &mut Random, process: usize) -> FencedLockOp {
        if let Some(hold) = self.sections.current(random, process) {
            return FencedLockOp::Release(hold);
        }
        let token = (self.token + random.random_range(1..=2)).saturating_sub(random.random_range(0..=1));
        FencedLockOp::Acquire { hold: self.sections.begin(random), token: token.max(1) }
    }

    fn took(&mut self, process: usize, op: &FencedLockOp) {
        match *op {
            FencedLockOp::Acquire { hold, token } => {
                self.sections.took(process, hold);
                self.token = token;
            }
            FencedLockOp::Release(hold) => self.sections.ended(hold),
        }
    }

    fn model(&self, entries: &[Entry<FencedLockOp>]) -> FencedLock {
        decided(&FencedLock, entries, |op| matches!(op, FencedLockOp::Acquire { .. }).then(|| op.hold()));
        FencedLock
    }
}

#[test]
fn fenced_locks_agree_with_brute_force() {
    fuzz("fenced lock", |random| FencedLocks { sections: Sections::new(random), token: 0 });
}

struct Mutexes {
    sections: Sections,
    refusals: bool,
}

impl Subject for Mutexes {
    type Model = Mutex;
    type State = Option<Hold>;

    fn initial(&self) -> Option<Hold> {
        None
    }

    fn apply(&self, &holder: &Option<Hold>, op: &MutexOp) -> Option<Option<Hold>> {
        match (holder, *op) {
            (None, MutexOp::Acquire(hold)) => Some(Some(hold)),
            (Some(_), MutexOp::Busy) => Some(holder),
            (Some(holder), MutexOp::Release(hold)) if holder == hold => Some(None),
            (_, MutexOp::Acquire(_) | MutexOp::Release(_) | MutexOp::Busy) => None,
        }
    }

    fn propose(&mut self, random: &mut Random, process: usize) -> MutexOp {
        if self.refusals && random.random_ratio(1, 3) {
            return MutexOp::Busy;
        }
        match self.sections.current(random, process) {
            Some(hold) => MutexOp::Release(hold),
            None => MutexOp::Acquire(self.sections.begin(random)),
        }
    }

    fn took(&mut self, process: usize, op: &MutexOp) {
        match *op {
            MutexOp::Acquire(hold) => self.sections.took(process, hold),
            MutexOp::Release(hold) => self.sections.ended(hold),
            MutexOp::Busy => {}
        }
    }

    fn model(&self, entries: &[Entry<MutexOp>]) -> Mutex {
        if !self.refusals {
            decided(&Mutex, entries, |op| if let MutexOp::Acquire(hold) = op { Some(*hold) } else { None });
        }
        Mutex
    }
}

#[test]
fn mutexes_agree_with_brute_force() {
    fuzz("mutex", |random| Mutexes { sections: Sections::new(random), refusals: false });
}

#[test]
fn mutexes_with_refusals_agree_with_brute_force() {
    fuzz("mutex with refusals", |random| Mutexes { sections: Sections::new(random), refusals: true });
}

struct Semaphores {
    sections: Sections,
    permits: NonZeroU32,
}

impl Subject for Semaphores {
    type Model = Semaphore;
    type State = BTreeSet<Hold>;

    fn initial(&self) -> BTreeSet<Hold> {
        BTreeSet::new()
    }

    fn apply(&self, holders: &BTreeSet<Hold>, op: &SemaphoreOp) -> Option<BTreeSet<Hold>> {
        let without = |hold: Hold| holders.iter().copied().filter(|other| *other != hold).collect::<BTreeSet<_>>();
        match *op {
            SemaphoreOp::Acquire(hold) => (without(hold).len() == holders.len()
                && holders.len() < self.permits.get() as usize)
                .then(|| holders.iter().copied().chain([hold]).collect()),
            SemaphoreOp::Release(hold) => Some(without(hold)).filter(|after| after.len() < holders.len()),
        }
    }

    fn propose(&mut self, random: &mut Random, process: usize) -> SemaphoreOp {
        match self.sections.current(random, process) {
            Some(hold) => SemaphoreOp::Release(hold),
            None => SemaphoreOp::Acquire(self.sections.begin(random)),
        }
    }

    fn took(&mut self, process: usize, op: &SemaphoreOp) {
        match *op {
            SemaphoreOp::Acquire(hold) => self.sections.took(process, hold),
            SemaphoreOp::Release(hold) => self.sections.ended(hold),
        }
    }

    fn model(&self, entries: &[Entry<SemaphoreOp>]) -> Semaphore {
        let model = Semaphore { permits: self.permits };
        decided(&model, entries, |op| if let SemaphoreOp::Acquire(hold) = op { Some(*hold) } else { None });
        model
    }
}

#[test]
fn semaphores_agree_with_brute_force() {
    fuzz("semaphore", |random| {
        let permits = NonZeroU32::MIN.saturating_add(random.random_range(0..3));
        Semaphores { sections: Sections::new(random), permits }
    });
}

struct LeaseLocks(Sections);

impl Subject for LeaseLocks {
    type Model = LeaseLock;
    type State = Option<Hold>;

    fn initial(&self) -> Option<Hold> {
        None
    }

    fn apply(&self, &holder: &Option<Hold>, op: &LeaseLockOp) -> Option<Option<Hold>> {
        match (holder, *op) {
            (None, LeaseLockOp::Acquire(hold)) => Some(Some(hold)),
            (Some(holder), LeaseLockOp::Renew(hold)) if holder == hold => Some(Some(holder)),
            (Some(holder), LeaseLockOp::Release(hold) | LeaseLockOp::Expire(hold)) if holder == hold => Some(None),
            _ => None,
        }
    }

    fn propose(&mut self, random: &mut Random, process: usize) -> LeaseLockOp {
        // What runs out runs out by itself: any process of the simulation may see to it.
        let other = self.0.held.values().next().copied().filter(|_| random.random_ratio(1, 6));
        match (self.0.current(random, process), other) {
            (_, Some(hold)) => LeaseLockOp::Expire(hold),
            (Some(hold), None) if random.random_bool(0.5) => LeaseLockOp::Renew(hold),
            (Some(hold), None) => LeaseLockOp::Release(hold),
            (None, None) => LeaseLockOp::Acquire(self.0.begin(random)),
        }
    }

    fn took(&mut self, process: usize, op: &LeaseLockOp) {
        match *op {
            LeaseLockOp::Acquire(hold) => self.0.took(process, hold),
            LeaseLockOp::Release(hold) | LeaseLockOp::Expire(hold) => self.0.ended(hold),
            LeaseLockOp::Renew(_) => {}
        }
    }

    fn model(&self, entries: &[Entry<LeaseLockOp>]) -> LeaseLock {
        decided(&LeaseLock, entries, |op| matches!(op, LeaseLockOp::Acquire(_)).then(|| op.hold()));
        LeaseLock
    }
}

#[test]
fn lease_locks_agree_with_brute_force() {
    fuzz("lease lock", |random| LeaseLocks(Sections::new(random)));
}
