//! The general decision: a depth-first search over configurations, with a memory of those visited.
//!
//! The algorithm of Wing and Gong (1993) with Lowe's memory of visited configurations ("Testing for linearizability", 2017)
//! and his just-in-time order: an operation is linearized only when the answer that must come next forces a choice, so the
//! operations that matter are those under way at one instant. A configuration is the content of the register, the first
//! answer not yet accounted for, and which operations under way are already linearized; nothing in it grows with the length
//! of the history except the unanswered operations used so far.
//!
//! Reductions, all exact:
//! * A read-only operation under way that the content allows is linearized at once. It changes nothing, and any order that
//!   has it later stays legal when it is moved up to here.
//! * Of operations under way with the same effect the one answered first goes first, an unanswered one last: in an order that
//!   has them the other way round they may change places.
//! * Unanswered operations are tried last, because most linearizations need few of them.
//!
//! Worst case exponential in the operations under way at once plus the unanswered ones (the problem is NP-complete without
//! unique values: Gibbons and Korach 1997). Refuses to go on beyond its [`Limits`].

use std::collections::BTreeSet;

use super::model::{ABSENT, Content, Op};
use crate::verdict::Limits;

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A legal order, as positions in the list of operations; unanswered operations that are missing never took effect.
    Order(Vec<usize>),
    /// There is none.
    Nothing,
    /// The limits were reached.
    Exhausted {
        /// The operation whose answer was the furthest that could be accounted for next, as a position.
        reached: usize,
        /// Configurations visited.
        configurations: u64,
    },
}

/// Searches for a legal order of `ops`, which are ordered by invocation.
pub(super) fn search(ops: &[Op], limits: &Limits) -> Found {
    let mut search = Search::new(ops, limits);
    match search.run() {
        Step::Done => Found::Order(search.order),
        Step::Dead => Found::Nothing,
        Step::Limit | Step::Open(_) => {
            let reached = search.returns.get(search.furthest).copied().unwrap_or_default();
            Found::Exhausted { reached, configurations: search.configurations }
        }
    }
}

/// What a configuration leads to.
enum Step {
    /// Every answer is accounted for.
    Done,
    /// Nothing: visited before, or without a choice.
    Dead,
    /// These choices, best first.
    Open(Vec<usize>),
    /// The limits are reached.
    Limit,
}

/// A configuration on the path from the beginning, to come back to.
struct Frame {
    state: Content,
    front: usize,
    low: usize,
    ordered: usize,
    choices: std::vec::IntoIter<usize>,
}

struct Search<'a> {
    ops: &'a [Op],
    limits: &'a Limits,
    /// Answered operations in order of their answers.
    returns: Vec<usize>,
    /// Unanswered operations in order of invocation.
    unanswered: Vec<usize>,
    done: Vec<bool>,
    order: Vec<usize>,
    state: Content,
    /// The first of `returns` that is not done.
    front: usize,
    /// Every answered operation before this position is done.
    low: usize,
    furthest: usize,
    visited: BTreeSet<Box<[u32]>>,
    configurations: u64,
    bytes: usize,
}

impl<'a> Search<'a> {
    fn new(ops: &'a [Op], limits: &'a Limits) -> Self {
        let mut returns: Vec<usize> = (0..ops.len()).filter(|&op| ops[op].ret.is_some()).collect();
        returns.sort_unstable_by_key(|&op| ops[op].ret);
        Self {
            ops,
            limits,
            returns,
            unanswered: (0..ops.len()).filter(|&op| ops[op].ret.is_none()).collect(),
            done: vec![false; ops.len()],
            order: Vec::new(),
            state: ABSENT,
            front: 0,
            low: 0,
            furthest: 0,
            visited: BTreeSet::new(),
            configurations: 0,
            bytes: 0,
        }
    }

    fn run(&mut self) -> Step {
        let mut path: Vec<Frame> = Vec::new();
        loop {
            match self.enter() {
                end @ (Step::Done | Step::Limit) => return end,
                Step::Open(choices) => {
                    let (state, front, low) = (self.state, self.front, self.low);
                    path.push(Frame { state, front, low, ordered: self.order.len(), choices: choices.into_iter() });
                }
                Step::Dead => {}
            }
            let choice = loop {
                let Some(frame) = path.last_mut() else { return Step::Dead };
                let configuration = (frame.state, frame.front, frame.low, frame.ordered);
                let choice = frame.choices.next();
                self.rewind(configuration);
                match choice {
                    Some(choice) => break choice,
                    None => path.pop(),
                };
            };
            self.state = self.ops[choice].effect.apply(self.state).expect("only possible choices are offered");
            self.take(choice);
        }
    }

    fn take(&mut self, op: usize) {
        self.done[op] = true;
        self.order.push(op);
    }

    /// Goes back to an earlier configuration of the path.
    fn rewind(&mut self, (state, front, low, ordered): (Content, usize, usize, usize)) {
        for op in self.order.drain(ordered..) {
            self.done[op] = false;
        }
        (self.state, self.front, self.low) = (state, front, low);
    }

    /// Linearizes what is free, and says what the configuration leads to.
    fn enter(&mut self) -> Step {
        let Some(deadline) = self.absorb() else { return Step::Done };
        self.configurations += 1;
        if self.configurations > self.limits.configurations || self.bytes > self.limits.bytes {
            return Step::Limit;
        }
        self.furthest = self.furthest.max(self.front);
        let configuration = self.configuration(deadline);
        // A node of the set costs about as much again as its key's two words.
        let cost = configuration.len() * 4 + 40;
        if !self.visited.insert(configuration) {
            return Step::Dead;
        }
        self.bytes += cost;
        Step::Open(self.choices(deadline))
    }

    /// Takes every read-only operation under way that the content allows, as long as there are any. Returns the next
    /// answer to account for, `None` if all are.
    fn absorb(&mut self) -> Option<u32> {
        loop {
            while self.front < self.returns.len() && self.done[self.returns[self.front]] {
                self.front += 1;
            }
            while self.low < self.ops.len() && (self.done[self.low] || self.ops[self.low].ret.is_none()) {
                self.low += 1;
            }
            let deadline = self.ops[*self.returns.get(self.front)?].ret?;
            let free: Vec<usize> = self
                .under_way(deadline)
                .filter(|&op| self.ops[op].effect.writes().is_none())
                .filter(|&op| self.ops[op].effect.apply(self.state).is_some())
                .collect();
            if free.is_empty() {
                return Some(deadline);
            }
            free.into_iter().for_each(|op| self.take(op));
        }
    }

    /// Answered operations that are not done and were invoked before this instant.
    fn under_way(&self, deadline: u32) -> impl Iterator<Item = usize> + '_ {
        (self.low..self.ops.len())
            .take_while(move |&op| self.ops[op].call < deadline)
            .filter(|&op| !self.done[op] && self.ops[op].ret.is_some())
    }

    /// The identity of the configuration: everything before `low` and every answer before the front is done, so only what
    /// is done beyond them needs naming.
    fn configuration(&self, deadline: u32) -> Box<[u32]> {
        let number = |index: usize| u32::try_from(index).expect("a history has fewer than 2^32 lines");
        let beyond = (self.low..self.ops.len())
            .take_while(|&op| self.ops[op].call < deadline)
            .filter(|&op| self.done[op] && self.ops[op].ret.is_some_and(|ret| ret > deadline));
        let used = self.unanswered.iter().copied().filter(|&op| self.done[op]);
        [number(self.front), number(self.low), self.state].into_iter().chain(beyond.chain(used).map(number)).collect()
    }

    /// The operations that may change the content next: answered ones by their answers, then unanswered ones.
    fn choices(&self, deadline: u32) -> Vec<usize> {
        let possible =
            |op: &usize| self.ops[*op].effect.writes().is_some() && self.ops[*op].effect.apply(self.state).is_some();
        let mut choices: Vec<usize> = self.under_way(deadline).filter(possible).collect();
        choices.sort_unstable_by_key(|&op| self.ops[op].ret);
        let unanswered = self.unanswered.iter().copied().take_while(|&op| self.ops[op].call < deadline);
        choices.extend(unanswered.filter(|&op| !self.done[op]).filter(possible));
        let mut effects = BTreeSet::new();
        choices.retain(|&op| effects.insert(self.ops[op].effect));
        choices
    }
}
