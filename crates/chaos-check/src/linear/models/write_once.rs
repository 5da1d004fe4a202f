//! A register that is written once: leadership of a term.
//!
//! *Specification.* Empty at first. `Claim(v)`: empty before or `v`, and `v` after; a node that says "I lead this term" is its
//! own evidence. `Read(v)`: `v` has been claimed; a client that is sent to `v`. `Empty`: nothing has been claimed.
//! `Refused { mine }`: something has been claimed, and not `mine`.
//!
//! *What `fail` means.* Of a claim: `Refused` if the system says so only when another was first, else leave it out. A claim
//! without an outcome may have been the first at any time since, or never.
//!
//! *Decided* in O(n log n), always. Proof. There is at most one value, and any answered claim or read names it. The first
//! claim that takes effect can as well be the one invoked first: no answer contradicts that which doesn't contradict the
//! other. Then each operation is before the first claim (`Empty`), it, or after it (all others), and that order is forced. If
//! nothing names the value and a refusal needs one, it is that of the first claim without an answer that no refusal excludes:
//! all such claims would do the same, and the one invoked first leaves most room.
//!
//! Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (Raft), figure 3, election safety.

use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::forced;
use crate::linear::model::{Effect, Model};

/// A register that keeps the first value. Values are interned by whoever builds the entries.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOnce;

/// What was done to a register that keeps the first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteOnceOp {
    /// Was the first, or agreed with it.
    Claim(u32),
    /// Saw it.
    Read(u32),
    /// Saw that there was none.
    Empty,
    /// Was not the first.
    Refused {
        /// What the first was not.
        mine: u32,
    },
}

impl Model for WriteOnce {
    type Op = WriteOnceOp;
    type State = Option<u32>;

    fn initial(&self) -> Option<u32> {
        None
    }

    fn apply(&self, &state: &Option<u32>, op: &WriteOnceOp) -> Option<Option<u32>> {
        match *op {
            WriteOnceOp::Claim(value) => state.is_none_or(|first| first == value).then_some(Some(value)),
            WriteOnceOp::Read(value) => (state == Some(value)).then_some(state),
            WriteOnceOp::Empty => state.is_none().then_some(state),
            WriteOnceOp::Refused { mine } => state.is_some_and(|first| first != mine).then_some(state),
        }
    }

    fn effect(&self, op: &WriteOnceOp) -> Effect {
        match op {
            WriteOnceOp::Claim(_) => Effect::Update,
            WriteOnceOp::Read(_) | WriteOnceOp::Empty | WriteOnceOp::Refused { .. } => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<WriteOnceOp>]) -> Shortcut {
        decide(ops)
    }

    fn independent(&self, kept: &WriteOnceOp, dropped: &WriteOnceOp) -> bool {
        match (kept, dropped) {
            (_, WriteOnceOp::Read(_) | WriteOnceOp::Empty | WriteOnceOp::Refused { .. }) => true,
            (WriteOnceOp::Claim(_) | WriteOnceOp::Empty, WriteOnceOp::Claim(_)) => true,
            (WriteOnceOp::Read(seen), WriteOnceOp::Claim(claimed)) => seen != claimed,
            (WriteOnceOp::Refused { mine }, WriteOnceOp::Claim(claimed)) => mine == claimed,
        }
    }

    /// To see a value says no less than to agree with it.
    fn weaker(&self, op: &WriteOnceOp) -> Vec<WriteOnceOp> {
        match *op {
            WriteOnceOp::Read(value) => vec![WriteOnceOp::Claim(value)],
            WriteOnceOp::Claim(_) | WriteOnceOp::Empty | WriteOnceOp::Refused { .. } => Vec::new(),
        }
    }
}

/// What the answers say of the value.
#[derive(Default)]
struct Evidence {
    /// The value, and the operation that names it.
    named: Option<(u32, u32)>,
    /// What was refused, and one operation for each, ascending.
    refused: Vec<(u32, u32)>,
}

impl Evidence {
    /// # Errors
    /// If two operations name different values.
    fn new(ops: &[Op<WriteOnceOp>]) -> Result<Self, Shortcut> {
        let mut evidence = Self::default();
        for (place, op) in (0_u32..).zip(ops).filter(|(_, op)| op.ret.is_some()) {
            match op.what {
                WriteOnceOp::Claim(value) | WriteOnceOp::Read(value) => match evidence.named {
                    Some((named, by)) if named != value => return Err(Shortcut::Conflict(vec![by, place])),
                    Some(_) | None => evidence.named = evidence.named.or(Some((value, place))),
                },
                WriteOnceOp::Refused { mine } => evidence.refused.push((mine, place)),
                WriteOnceOp::Empty => {}
            }
        }
        evidence.refused.sort_unstable();
        evidence.refused.dedup_by_key(|(mine, _)| *mine);
        Ok(evidence)
    }

    /// The operation by which `value` was refused.
    fn refusal(&self, value: u32) -> Option<u32> {
        self.refused.binary_search_by_key(&value, |(mine, _)| *mine).ok().map(|at| self.refused[at].1)
    }

    /// These operations, with the one that names the value, or else with all refusals.
    fn conflict(&self, places: impl IntoIterator<Item = u32>) -> Shortcut {
        let why: Vec<u32> = match self.named {
            Some((_, by)) => vec![by],
            None => self.refused.iter().map(|(_, place)| *place).collect(),
        };
        let mut conflict: Vec<u32> = why.into_iter().chain(places).collect();
        conflict.sort_unstable();
        conflict.dedup();
        Shortcut::Conflict(conflict)
    }
}

fn decide(ops: &[Op<WriteOnceOp>]) -> Shortcut {
    let evidence = match Evidence::new(ops) {
        Ok(evidence) => evidence,
        Err(verdict) => return verdict,
    };
    let claimed = |op: &Op<WriteOnceOp>| match op.what {
        WriteOnceOp::Claim(value) => Some(value),
        WriteOnceOp::Read(_) | WriteOnceOp::Empty | WriteOnceOp::Refused { .. } => None,
    };
    let possible = |value: u32| match evidence.named {
        Some((named, _)) => named == value,
        None => !evidence.refused.is_empty() && evidence.refusal(value).is_none(),
    };
    let first = ops.iter().find(|op| claimed(op).is_some_and(possible)).map(|op| op.call);
    if let Some(refusal) = evidence.named.and_then(|(named, _)| evidence.refusal(named)) {
        return evidence.conflict([refusal]);
    }
    if first.is_none() && (evidence.named.is_some() || !evidence.refused.is_empty()) {
        return evidence.conflict([]);
    }
    let order = forced::ascending(ops, |op| match op.what {
        _ if Some(op.call) == first => Some(1),
        _ if op.ret.is_none() => None,
        WriteOnceOp::Empty => Some(0),
        WriteOnceOp::Claim(_) | WriteOnceOp::Read(_) | WriteOnceOp::Refused { .. } => Some(2),
    });
    match order {
        Ok(order) => Shortcut::Order(order),
        Err(inversion) => evidence.conflict([inversion.first, inversion.second]),
    }
}
