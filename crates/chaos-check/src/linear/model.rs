//! What a kind of object promises: its sequential specification, and what may be used of it.
//!
//! Only [`Model::initial`] and [`Model::apply`] are needed. The rest makes checks faster or their explanations shorter, and
//! each is a promise that the fuzz tests hold against brute force: a wrong one costs a verdict.

use std::fmt::Debug;
use std::hash::Hash;

use super::decision::Shortcut;
use super::entry::Op;

/// What kind of effect an operation has on the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Never changes the state; may be impossible in some.
    ReadOnly,
    /// May change the state in a way that depends on it, or may be impossible in some.
    Update,
    /// Possible in every state, and the state afterwards doesn't depend on the one before.
    Overwrite {
        /// Whether no operation *of this history* needs the state afterwards: every operation that is possible in it is
        /// an overwrite itself. The engine then never places it but directly before another overwrite, or last.
        hidden: bool,
    },
}

/// A sequential specification.
///
/// One instance serves one object, and may be built from that object's history (names interned, say).
pub trait Model: Sync {
    /// An operation, question and answer together. Equal operations must have equal effects: they are interchangeable.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;
    /// A state of the object. Equal states must behave alike.
    type State: Clone + Eq + Hash + Debug + Send;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `op` in `state`, or `None` if `op` can't have been answered so there. For an operation without an
    /// answer: the state if it took effect (that it may not have is not the model's business).
    fn apply(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// What kind of effect `op` has.
    fn effect(&self, _op: &Self::Op) -> Effect {
        Effect::Update
    }

    /// Bytes that `state` has on the heap, for the engine's account of its memory.
    fn state_heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// Decides `ops` (ascending by `call`) in polynomial time if they fall into a class for which that is possible.
    fn shortcut(&self, _ops: &[Op<Self::Op>]) -> Shortcut {
        Shortcut::Pass
    }

    /// The same operations (same places, same ranks) in fewer words, so that more of them are equal and fewer states are
    /// distinct, for the engine's use: linearizable by exactly the same orders. `None` if there is nothing to gain.
    fn normalise(&self, _ops: &[Op<Self::Op>]) -> Option<Vec<Op<Self::Op>>> {
        None
    }

    /// Whether `kept` never needed `dropped`: if every operation that is not read-only and that was left out of a legal
    /// sequence is independent of every operation that stays, what stays is a legal sequence, too. The ground on which a
    /// counterexample leaves out operations; say no when in doubt.
    fn independent(&self, _kept: &Self::Op, _dropped: &Self::Op) -> bool {
        false
    }

    /// Operations that are possible wherever `op` is, with the same state afterwards; all weaker, some possibly much.
    fn weaker(&self, _op: &Self::Op) -> Vec<Self::Op> {
        Vec::new()
    }

    /// The few of possibly very many weaker operations that still say what `op` says about `others`, those that are to stay
    /// beside it: of a read of a thousand elements, whether it held the two that are in question.
    fn weaker_beside(&self, op: &Self::Op, _others: &[&Self::Op]) -> Vec<Self::Op> {
        self.weaker(op)
    }

    /// Whether `weaker` is possible wherever `op` is, with the same state afterwards. Says yes to all that [`Model::weaker`]
    /// and [`Model::weaker_beside`] propose.
    fn is_weaker(&self, op: &Self::Op, weaker: &Self::Op) -> bool {
        self.weaker(op).contains(weaker)
    }
}
