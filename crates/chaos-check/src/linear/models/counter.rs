//! A counter.
//!
//! *Specification.* 0 at first. `Add(k)`: k more; k may be negative. `AddGet { by, after }`: `by` more, which made it `after`.
//! `Read(v)`: exactly `v`. `AtLeast(v)`, `AtMost(v)`: what they say. `Set(v)`: `v` after, whatever it was; the latter three stand
//! in for reads in counterexamples.
//!
//! *What `fail` means.* Nothing was added; leave it out. An addition without an outcome may have taken effect at any time since,
//! or never; whoever builds the entries makes it `Add`, as nobody knows what it would have answered.
//!
//! *Decided* in O(n log n): histories in which all is added in ones, and those in which every addition told what it made, is
//! positive and has an answer. Everything else goes to the engine: additions of unlike size make subset sums, which are hard.
//!
//! *Ones.* Deadlines are visited ascending (just-in-time linearization), and as little happens as can before each: a read
//! that is right is placed at once; an addition whose answer comes is placed; before a read's answer as many are placed as
//! the read demands. *Proof.* Ones are interchangeable, so those with the earliest answers are as good as any, and ones without
//! an answer, which nobody has to place, come last. What another order places earlier can be placed right after, from the
//! same number on and past the same reads. A number that an `AddGet` answered is reached by it and nothing else.
//!
//! *All told.* What was made is ascending, so the order is forced; each must start from what the one before it made.
//!
//! Source: Lowe, "Testing for linearizability" (2017), just-in-time linearization; Knossos' and Maelstrom's workload `counter`.

use super::ones;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::forced;
use crate::linear::model::{Effect, Model};

/// A counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// What was done to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CounterOp {
    /// Added this.
    Add(i64),
    /// Added and saw the sum.
    AddGet {
        /// What was added.
        by: i64,
        /// The sum.
        after: i128,
    },
    /// Saw this.
    Read(i128),
    /// Saw this or more.
    AtLeast(i128),
    /// Saw this or less.
    AtMost(i128),
    /// Left this behind, whatever it was.
    Set(i128),
}

impl CounterOp {
    /// What was added, if anything was.
    #[must_use]
    pub fn adds(self) -> Option<i64> {
        match self {
            Self::Add(by) | Self::AddGet { by, .. } => Some(by),
            Self::Read(_) | Self::AtLeast(_) | Self::AtMost(_) | Self::Set(_) => None,
        }
    }
}

impl Model for Counter {
    type Op = CounterOp;
    /// Wide enough for 2³¹ additions of any size.
    type State = i128;

    fn initial(&self) -> i128 {
        0
    }

    fn apply(&self, &state: &i128, op: &CounterOp) -> Option<i128> {
        match *op {
            CounterOp::Add(by) => state.checked_add(i128::from(by)),
            CounterOp::AddGet { by, after } => (state.checked_add(i128::from(by)) == Some(after)).then_some(after),
            CounterOp::Read(seen) => (state == seen).then_some(state),
            CounterOp::AtLeast(seen) => (state >= seen).then_some(state),
            CounterOp::AtMost(seen) => (state <= seen).then_some(state),
            CounterOp::Set(value) => Some(value),
        }
    }

    fn effect(&self, op: &CounterOp) -> Effect {
        match op {
            CounterOp::Add(_) | CounterOp::AddGet { .. } => Effect::Update,
            CounterOp::Read(_) | CounterOp::AtLeast(_) | CounterOp::AtMost(_) => Effect::ReadOnly,
            CounterOp::Set(_) => Effect::Overwrite { hidden: false },
        }
    }

    fn shortcut(&self, ops: &[Op<CounterOp>]) -> Shortcut {
        let ones = |op: &Op<CounterOp>| match op.what {
            CounterOp::Add(by) => by == 1,
            CounterOp::AddGet { by, .. } => by == 1 && op.ret.is_some(),
            CounterOp::Read(_) => true,
            CounterOp::AtLeast(_) | CounterOp::AtMost(_) | CounterOp::Set(_) => false,
        };
        let told = |op: &Op<CounterOp>| match op.what {
            CounterOp::AddGet { by, .. } => by > 0 && op.ret.is_some(),
            CounterOp::Read(_) => true,
            CounterOp::Add(_) | CounterOp::AtLeast(_) | CounterOp::AtMost(_) | CounterOp::Set(_) => false,
        };
        if ops.iter().all(ones) {
            return ones::decide(ops);
        }
        if ops.iter().all(told) { all_told(ops) } else { Shortcut::Pass }
    }

    /// Additions matter to all that saw a number; to one that saw a limit only if they are what kept within it.
    fn independent(&self, kept: &CounterOp, dropped: &CounterOp) -> bool {
        use CounterOp::{Add, AddGet, AtLeast, AtMost, Read, Set};
        match (*kept, *dropped) {
            (_, Read(_) | AtLeast(_) | AtMost(_)) | (Add(_) | Set(_), _) => true,
            (Read(_) | AddGet { .. }, Add(by) | AddGet { by, .. }) => by == 0,
            (AtLeast(_), Add(by) | AddGet { by, .. }) => by <= 0,
            (AtMost(_), Add(by) | AddGet { by, .. }) => by >= 0,
            (AddGet { .. } | Read(_) | AtLeast(_) | AtMost(_), Set(_)) => false,
        }
    }

    fn weaker(&self, op: &CounterOp) -> Vec<CounterOp> {
        use CounterOp::{Add, AddGet, AtLeast, AtMost, Read, Set};
        match *op {
            AddGet { by, after } => vec![Set(after), Add(by)],
            Read(seen) => vec![AtMost(seen), Set(seen), AtLeast(seen)],
            Add(_) | AtLeast(_) | AtMost(_) | Set(_) => Vec::new(),
        }
    }
}

/// Decides additions that are all positive, answered, and told what they made, and reads.
fn all_told(ops: &[Op<CounterOp>]) -> Shortcut {
    let rank = |op: &Op<CounterOp>| match op.what {
        CounterOp::AddGet { after, .. } => Some((after, false)),
        CounterOp::Read(seen) => op.ret.map(|_| (seen, true)),
        CounterOp::Add(_) | CounterOp::AtLeast(_) | CounterOp::AtMost(_) | CounterOp::Set(_) => None,
    };
    // Two in the wrong order, or two that began from the same number, contradict each other whatever else was added; so does
    // one that began from a number which nothing made.
    let order = match forced::ascending(ops, rank) {
        Ok(order) => order,
        Err(inversion) => return Shortcut::Conflict(vec![inversion.first, inversion.second]),
    };
    let (mut state, mut made_by) = (0, None);
    for &place in &order {
        let what = ops[place as usize].what;
        match Counter.apply(&state, &what) {
            Some(next) => state = next,
            None => return Shortcut::Conflict(made_by.into_iter().chain([place]).collect()),
        }
        made_by = what.adds().map(|_| place).or(made_by);
    }
    Shortcut::Order(order)
}
