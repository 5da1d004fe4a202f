//! Histories of any length whose verdict is known because a simulation made them.
//!
//! A history has a name that says all of it: `rw_n1000_c5_i0.01_s1_r2` is 1,000 operations on a register by 5 clients, of
//! which 1 % are never answered, with one violation, from random numbers of seed 2. The same name is the same history.
//!
//! | kind | object | operations |
//! |---|---|---|
//! | `rw` | register | half reads, half writes, each value written once |
//! | `casu` | register | half reads, a tenth writes, the rest swaps of what the register held; each value written once |
//! | `cas5` | register | a third each of reads, writes and swaps of the values 0 to 4 |
//! | `kv` | 1,000 registers | as `rw`, each operation on any key |
//! | `lock` | mutex | acquire (which waits), hold, release |
//! | `fence` | lock with tokens | the same |
//! | `lease` | lock that runs out | the same with renewals |
//!
//! A swap that is refused doesn't tell what it saw. Violations are certain by construction, whatever else happened; `cas5`
//! has none, because with so few values a wrong answer is often a possible one.
//!
//! Shared by path between the benches and the tests of this crate, its only users: a crate of its own would need the
//! operations' types from the crate that it helps to test.

mod lock;
pub(crate) mod register;
pub(crate) mod simulation;

use std::fmt;
use std::str::FromStr;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{FencedLockOp, Hold, LeaseLockOp, MutexOp, RegisterOp};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use lock::{Section, Sectioned};
use simulation::Simulation;

/// Keys of a `kv` history.
const KEYS: u32 = 1_000;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A register whose values are unique.
    Rw,
    /// The same with swaps.
    Casu,
    /// A register of the values 0 to 4, with swaps.
    Cas5,
    /// A thousand registers.
    Kv,
    /// A mutex.
    Lock,
    /// A lock that gives a token with each grant.
    Fence,
    /// A lock that has to be renewed.
    Lease,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Rw, "rw"),
    (Kind::Casu, "casu"),
    (Kind::Cas5, "cas5"),
    (Kind::Kv, "kv"),
    (Kind::Lock, "lock"),
    (Kind::Fence, "fence"),
    (Kind::Lease, "lease"),
];

/// Everything that a history depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spec {
    /// What is simulated.
    pub(crate) kind: Kind,
    /// Operations that are invoked.
    pub(crate) ops: u32,
    /// Clients that take part at any time.
    pub(crate) clients: u32,
    /// The probability that an operation is never answered.
    pub(crate) crash: f64,
    /// Whether one answer is wrong.
    pub(crate) violation: bool,
    /// Where the random numbers start.
    pub(crate) seed: u64,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, ops, clients, crash, violation, seed } = self;
        let kind = KINDS.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| name);
        write!(f, "{kind}_n{ops}_c{clients}_i{crash}_s{}_r{seed}", u8::from(*violation))
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        fn part<T: FromStr>(part: Option<&str>, letter: char, name: &str) -> Result<T, String> {
            part.and_then(|part| part.strip_prefix(letter))
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| format!("`{name}` has no part `{letter}` followed by a number in its place"))
        }
        let mut parts = name.split('_');
        let kind = parts.next().and_then(|part| KINDS.iter().find(|(_, name)| *name == part));
        let Some(&(kind, _)) = kind else { return Err(format!("`{name}` begins with no known kind")) };
        let (ops, clients) = (part(parts.next(), 'n', name)?, part(parts.next(), 'c', name)?);
        let (crash, violation) = (part(parts.next(), 'i', name)?, part::<u8>(parts.next(), 's', name)? == 1);
        Ok(Self { kind, ops, clients, crash, violation, seed: part(parts.next(), 'r', name)? })
    }
}

impl Spec {
    fn random(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    /// A history of one register, event by event.
    ///
    /// # Panics
    /// If the kind is not that of a register.
    pub(crate) fn registers(&self) -> Simulation<register::Register> {
        Simulation::new(self, register::Register::new(self.kind), self.random())
    }

    /// A history of many registers, event by event.
    pub(crate) fn keys(&self) -> Simulation<register::Registers> {
        Simulation::new(self, register::Registers::new(KEYS), self.random())
    }

    /// A history of a lock, event by event.
    pub(crate) fn locks(&self) -> Simulation<lock::Lock> {
        Simulation::new(self, lock::Lock::new(self.clients, self.kind == Kind::Lease), self.random())
    }
}

/// A generated history, by the type of its operations.
#[derive(Clone, Debug)]
pub(crate) enum Generated {
    /// Of one register.
    Register(Vec<Entry<RegisterOp>>),
    /// Of many registers, with the key of each operation.
    Keys(Vec<(u32, Entry<RegisterOp>)>),
    /// Of a mutex.
    Lock(Vec<Entry<MutexOp>>),
    /// Of a lock that gives tokens.
    Fence(Vec<Entry<FencedLockOp>>),
    /// Of a lock that runs out.
    Lease(Vec<Entry<LeaseLockOp>>),
}

impl Spec {
    /// The whole history, ascending by invocation.
    ///
    /// # Panics
    /// If the violation that was asked for found no place in the history.
    pub(crate) fn generate(&self) -> Generated {
        match self.kind {
            Kind::Rw | Kind::Casu | Kind::Cas5 => Generated::Register(self.registers().into_entries()),
            Kind::Kv => {
                let entries = self.keys().into_entries().into_iter();
                let keyed = entries.map(|Entry { what: (key, what), invoked, answered }| {
                    let entry = Entry { what, invoked, answered };
                    (key, entry)
                });
                Generated::Keys(keyed.collect())
            }
            Kind::Lock => Generated::Lock(self.sections(|op, hold, _| match op.what {
                Section::Acquire => MutexOp::Acquire(hold),
                Section::Renew | Section::Release => MutexOp::Release(hold),
            })),
            Kind::Fence => Generated::Fence(self.sections(|op, hold, _| match op.what {
                Section::Acquire => FencedLockOp::Acquire { hold, token: op.token },
                Section::Renew | Section::Release => FencedLockOp::Release(hold),
            })),
            Kind::Lease => Generated::Lease(self.sections(|op, hold, answered| match op.what {
                Section::Acquire => LeaseLockOp::Acquire(hold),
                Section::Renew => LeaseLockOp::Renew(hold),
                Section::Release if answered => LeaseLockOp::Release(hold),
                Section::Release => LeaseLockOp::Expire(hold),
            })),
        }
    }

    fn sections<T>(&self, mut translate: impl FnMut(&Sectioned, Hold, bool) -> T) -> Vec<Entry<T>> {
        let entries = self.locks().into_entries().into_iter();
        // An acquire of unknown outcome told no token, and nobody ever ends its section: it need not have happened.
        let fenced = self.kind == Kind::Fence;
        let entries =
            entries.filter(|entry| !fenced || entry.answered.is_some() || entry.what.what == Section::Release);
        let translated = entries.map(|Entry { what, invoked, answered }| {
            let what = translate(&what, Hold(what.hold), answered.is_some());
            Entry { what, invoked, answered }
        });
        translated.collect()
    }
}
