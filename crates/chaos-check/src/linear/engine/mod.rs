//! The general search: exact for every model, exponential in the worst case, bounded.
//!
//! ```text
//!            invoke a  invoke b  answer a  invoke c   answer c    answer b
//! slot 0     ├──── a ────────────┤         ├─── c ────┤
//! slot 1               ├──────────────── b ───────────────────────┤
//!                                step 0               step 1      step 2
//! frontier   {0: −−} ──────────→ {1: −·,   ────────→  {2: −·} ──→ {2: −−}
//!                                 2: −−}
//! ```
//!
//! *Just in time* (Lowe, "Testing for linearizability", 2017, section 6): only an answer forces a decision, so the search goes
//! from answer to answer, and a configuration says of the *pending* operations only what became of them: a state and two bits per
//! slot, not a bit per operation of the history. [`expand`] has the rules, and why they lose nothing: reads and invisible
//! writes cost no branch, equal operations go in one order, crashed ones only where they help. [`antichain`] drops what is not
//! better than something kept. [`breadth`] and [`depth`] are two orders of search, [`race`] lets them compete, [`stream`] carries
//! a frontier along a run that is still going on.
//!
//! It refuses to guess: no sampling, no bound on concurrency, no limit that isn't the caller's [`Budget`].
//!
//! Cost: configurations between two answers are at most states × 4^pending × uses of crashed operations; the history's length
//! is a factor, not an exponent. Deciding is NP-complete (Gibbons and Korach, "Testing shared memories", 1997), so some histories
//! spend any budget.

mod antichain;
mod breadth;
mod depth;
mod expand;
mod mask;
mod order;
mod race;
mod room;
mod schedule;
mod space;
pub mod stream;
mod table;
mod trail;
mod usage;
mod walk;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod tests;

use self::mask::{Mask, Wide};
use self::race::Race;
use self::schedule::Schedule;
use self::table::Table;
use super::decision::{Budget, Undecided};
use super::entry::Op;
use super::model::Model;

pub use self::stream::Frontier;

/// What a search found. Numbers are places in the operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A legal order; operations without an answer that are missing never took effect.
    Order(Vec<u32>),
    /// There is none, and there is none already of what had begun when `at` was answered.
    Nothing {
        /// An answered operation.
        at: u32,
    },
    /// The budget is spent.
    Spent(Undecided),
}

/// Which searches take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Searches(u8);

impl Searches {
    const NONE: Self = Self(0);
    const BREADTH: Self = Self(1);
    const DEPTH: Self = Self(2);
    const RELAXED: Self = Self(4);
    /// In the order of their turns.
    const ALL: [Self; 3] = [Self::DEPTH, Self::BREADTH, Self::RELAXED];

    fn has(self, search: Self) -> bool {
        self.0 & search.0 != 0
    }

    fn with(self, search: Self) -> Self {
        Self(self.0 | search.0)
    }
}

/// Decides `ops`, ascending by `call`.
#[must_use]
pub fn decide<M: Model>(model: &M, ops: &[Op<M::Op>], budget: &Budget<'_>) -> Found {
    let all = Searches::ALL.into_iter().fold(Searches::NONE, Searches::with);
    search(model, ops, budget, all, Width::Narrowest)
}

/// How many slots the masks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// As few as are enough.
    Narrowest,
    /// At least 128.
    #[cfg(test)]
    Middle,
    /// Any number.
    #[cfg(test)]
    Wide,
}

fn search<M: Model>(model: &M, ops: &[Op<M::Op>], budget: &Budget<'_>, searches: Searches, width: Width) -> Found {
    let normal = model.normalise(ops);
    let mut table = Table::new(model, ops.len().min(64));
    let schedule = Schedule::new(&mut table, normal.as_deref().unwrap_or(ops));
    drop(normal);
    let fits = |slots: Option<u32>| slots.is_none_or(|slots| schedule.slots <= slots);
    let (narrow, middle) = match width {
        Width::Narrowest => (true, true),
        #[cfg(test)]
        Width::Middle => (false, true),
        #[cfg(test)]
        Width::Wide => (false, false),
    };
    if narrow && fits(u64::SLOTS) {
        Race::<M, u64>::new(&mut table, &schedule, budget).run(searches)
    } else if middle && fits(u128::SLOTS) {
        Race::<M, u128>::new(&mut table, &schedule, budget).run(searches)
    } else {
        Race::<M, Wide>::new(&mut table, &schedule, budget).run(searches)
    }
}
