//! Which operation is which: the blocks of observed values, and who appended what of them.
//!
//! Every observed value must be explicable in one way only, as a put and appends; and every observed put must have been done
//! once. A value that was observed needs each of its appends, so a token that was appended as often as it is needed is known.
//! One that was appended more often, or is needed more than once, is sorted out by time: an append fits a place between two
//! operations of known place only if it overlaps the gap, and a place that only one fits has its append. The rest is open.

use super::AppendOp;
use super::blocks::distinct;
use super::trie::{ROOT, Trie};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;

/// How many pairs of an append and a place of one token are looked at.
const PAIRS_MAX: usize = 4096;

/// A put with all observed appends on top of it; or the first state with those.
pub(super) struct Block {
    /// The put; `None` for the first state.
    pub(super) head: Option<u32>,
    /// The get that saw the most.
    tip: u32,
    /// The states, by the number of appends.
    pub(super) path: Vec<u32>,
}

impl Block {
    /// The operations that show that the block is one.
    pub(super) fn evidence(&self) -> impl Iterator<Item = u32> {
        self.head.into_iter().chain([self.tip])
    }
}

/// An operation of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    pub(super) block: u32,
    /// The put 0, the n-th append 2n, a get of n appends 2n + 1.
    pub(super) phase: u32,
    pub(super) op: u32,
}

/// A place of an append in a block.
#[derive(Clone, Copy)]
pub(super) struct Step {
    block: u32,
    depth: u32,
    /// The latest invocation of what is known to come before in the block, and the earliest answer of what comes behind.
    after: (u32, Option<u32>),
    before: (u32, Option<u32>),
}

impl Step {
    fn fits<T>(&self, op: &Op<T>) -> bool {
        op.call < self.before.0 && self.after.0 < op.deadline()
    }

    fn given(&self, op: u32) -> Member {
        Member { block: self.block, phase: 2 * self.depth, op }
    }
}

/// A token whose appends are not all known.
pub(super) struct Open {
    pub(super) token: u32,
    pub(super) steps: Vec<Step>,
    pub(super) ops: Vec<u32>,
}

/// Which operation is which.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) blocks: Vec<Block>,
    /// Ascending.
    pub(super) members: Vec<Member>,
    /// What nobody observed, but was answered.
    pub(super) loose: Vec<u32>,
    pub(super) open: Vec<Open>,
    /// For each token that was sorted out by time the operations that made it so, its appends, so many, first. What has none
    /// concerns all.
    settled: Vec<(usize, Vec<u32>)>,
    /// Whether a put that was observed may have been an append to the first state, so that a conflict proves nothing.
    pub(super) doubt: bool,
}

/// Which gets a plan takes into account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gets {
    /// All; or there is none.
    All,
    /// Those of which it is certain how their values came about. To leave out the others is to demand less: a conflict is one.
    Certain,
}

/// Operations by text.
type ByText = Vec<(u32, u32)>;

/// Finds the plan, or a conflict; or passes.
pub(super) fn survey(trie: &Trie, ops: &[Op<AppendOp>], which: Gets) -> Result<Plan, Shortcut> {
    let (mut gets, mut puts, mut appends): (Vec<(u32, u32)>, ByText, ByText) = (Vec::new(), Vec::new(), Vec::new());
    for (index, op) in (0_u32..).zip(ops) {
        match op.what {
            AppendOp::Get(_) if op.ret.is_none() => {}
            AppendOp::Get(text) => {
                let node = trie.observed(text).ok_or_else(|| Shortcut::Conflict(vec![index]))?;
                gets.push((node, index));
            }
            AppendOp::Put(text) => puts.push((text, index)),
            AppendOp::Append(text) if trie.texts.text(text).is_empty() => return Err(Shortcut::Pass),
            AppendOp::Append(text) => appends.push((text, index)),
            AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => return Err(Shortcut::Pass),
        }
    }
    if which == Gets::Certain {
        gets.retain(|(node, _)| trie.node(*node).unique && !trie.node(*node).doubt);
    } else if gets.iter().any(|(node, _)| !trie.node(*node).unique) {
        return Err(Shortcut::Pass);
    }
    let doubt = gets.iter().any(|(node, _)| trie.node(*node).doubt);
    // Who saw that the first of all appends was of another text.
    let dispels = gets.iter().find(|(node, _)| trie.node(*node).head.is_none() && trie.node(*node).depth > 0);
    let dispels = dispels.filter(|_| doubt).map(|(_, op)| *op);
    match (arrange(trie, ops, which, gets, puts, appends), dispels) {
        (Ok(plan), Some(get)) => {
            let settled = plan.settled.into_iter().chain([(0, vec![get])]).collect();
            Ok(Plan { settled, ..plan })
        }
        (Ok(plan), None) => Ok(Plan { doubt, ..plan }),
        (Err(Shortcut::Conflict(few)), Some(get)) => {
            Err(Shortcut::Conflict(distinct(few.into_iter().chain([get]).collect())))
        }
        (Err(Shortcut::Conflict(_)), None) if doubt => Err(Shortcut::Pass),
        (Err(shortcut), _) => Err(shortcut),
    }
}

fn arrange(
    trie: &Trie,
    ops: &[Op<AppendOp>],
    which: Gets,
    mut gets: Vec<(u32, u32)>,
    mut puts: ByText,
    mut appends: ByText,
) -> Result<Plan, Shortcut> {
    puts.sort_unstable();
    appends.sort_unstable();
    gets.sort_by_key(|(node, _)| (trie.node(*node).head, std::cmp::Reverse(trie.node(*node).depth)));
    let mut plan = Plan::default();
    let answered = |op: &u32| ops[*op as usize].ret.is_some();
    let mut steps: Vec<(u32, Step)> = Vec::new();
    for gets in gets.chunk_by(|one, other| trie.node(one.0).head == trie.node(other.0).head) {
        match block(trie, gets, &puts, &appends, &mut plan)? {
            Certain::Yes => {}
            Certain::No if which == Gets::Certain => continue,
            Certain::No => return Err(Shortcut::Pass),
        }
        let number = u32::try_from(plan.blocks.len() - 1).expect("there are fewer blocks than operations");
        let unknown = Step { block: number, depth: 0, after: (0, None), before: (u32::MAX, None) };
        steps.extend(
            trie.path(gets[0].0).map(|(token, node)| (token, Step { depth: trie.node(node).depth, ..unknown })),
        );
    }
    let heads = distinct(plan.blocks.iter().filter_map(|block| block.head).collect());
    plan.loose.extend(puts.iter().map(|(_, op)| *op).filter(|op| answered(op) && heads.binary_search(op).is_err()));
    steps.sort_by_key(|(token, step)| (*token, step.block, step.depth));
    let mut left = appends.as_slice();
    for steps in steps.chunk_by(|one, other| one.0 == other.0) {
        let token = steps[0].0;
        let skipped = left.partition_point(|(text, _)| *text < token);
        plan.loose.extend(left[..skipped].iter().map(|(_, op)| *op).filter(answered));
        let (these, rest) = left[skipped..].split_at(left[skipped..].partition_point(|(text, _)| *text == token));
        left = rest;
        let steps: Vec<Step> = steps.iter().map(|(_, step)| *step).collect();
        let these: Vec<u32> = these.iter().map(|(_, op)| *op).collect();
        match (steps.as_slice(), these.as_slice()) {
            (_, few) if few.len() < steps.len() => {
                return Err(Shortcut::Conflict(distinct(plan.grounds(&steps, &these))));
            }
            ([step], [op]) => plan.members.push(step.given(*op)),
            _ => plan.open.push(Open { token, steps, ops: these }),
        }
    }
    plan.loose.extend(left.iter().map(|(_, op)| *op).filter(answered));
    plan.members.sort_unstable();
    plan.resolve(ops)?;
    Ok(plan)
}

/// Whether it is certain which put a block begins with.
enum Certain {
    Yes,
    No,
}

/// Adds the block of `gets`, which begin with the same put, the one that saw the most first.
fn block(
    trie: &Trie,
    gets: &[(u32, u32)],
    puts: &ByText,
    appends: &ByText,
    plan: &mut Plan,
) -> Result<Certain, Shortcut> {
    let (tip, tip_op) = gets[0];
    let head = match trie.node(tip).head {
        None => None,
        Some(text) => {
            let from = puts.partition_point(|put| put.0 < text);
            match &puts[from..from + puts[from..].partition_point(|put| put.0 == text)] {
                [] => return Err(Shortcut::Conflict(vec![tip_op])),
                [(_, op)] => Some((text, *op)),
                _ => return Ok(Certain::No),
            }
        }
    };
    let start = head.and_then(|(text, _)| trie.put(text)).unwrap_or(ROOT);
    let mut path: Vec<u32> = trie.path(tip).map(|(_, node)| node).chain([start]).collect();
    path.reverse();
    let number = u32::try_from(plan.blocks.len()).expect("there are fewer blocks than operations");
    plan.members.extend(head.map(|(_, op)| Member { block: number, phase: 0, op }));
    for &(node, op) in gets {
        let depth = trie.node(node).depth;
        if path[depth as usize] != node {
            // The first tokens in which the two values differ.
            let differing = trie.path(node).filter(|(_, node)| path[trie.node(*node).depth as usize] != *node).last();
            let depth = differing.map_or(0, |(_, node)| trie.node(node).depth);
            let other = trie.path(path[depth as usize]).next();
            let tokens = [differing, other].map(|step| step.map(|(token, _)| token));
            let few = appends.iter().filter(|(token, _)| tokens.contains(&Some(*token))).map(|(_, op)| *op);
            return Err(Shortcut::Conflict(distinct(few.chain([op, tip_op]).chain(head.map(|(_, op)| op)).collect())));
        }
        plan.members.push(Member { block: number, phase: 2 * depth + 1, op });
    }
    plan.blocks.push(Block { head: head.map(|(_, op)| op), tip: tip_op, path });
    Ok(Certain::Yes)
}

impl Plan {
    /// These appends, and what shows that they belong to these places.
    fn grounds(&self, steps: &[Step], appends: &[u32]) -> Vec<u32> {
        let mut few = appends.to_vec();
        for step in steps {
            few.extend(self.blocks[step.block as usize].evidence());
            few.extend(step.after.1.into_iter().chain(step.before.1));
        }
        few
    }

    /// Adds to a conflict why appends of tokens that were sorted out by time are where they are.
    pub(super) fn explained(&self, mut few: Vec<u32>) -> Vec<u32> {
        for (appends, grounds) in &self.settled {
            if *appends == 0 || grounds[..*appends].iter().any(|append| few.contains(append)) {
                few.extend(grounds);
            }
        }
        distinct(few)
    }

    /// Finds out by time which append of an open token has which place, as far as there is one way only.
    fn resolve(&mut self, ops: &[Op<AppendOp>]) -> Result<(), Shortcut> {
        let mut open = std::mem::take(&mut self.open);
        if open.is_empty() {
            return Ok(());
        }
        let windows = Windows::new(&self.members, ops);
        let mut found: Vec<Member> = Vec::new();
        for token in &mut open {
            token.steps.iter_mut().for_each(|step| windows.narrow(step));
            if token.steps.len() * token.ops.len() > PAIRS_MAX {
                continue;
            }
            let (appends, grounds) = (token.ops.len(), self.grounds(&token.steps, &token.ops));
            if !token.settle(ops, &mut found) {
                return Err(Shortcut::Conflict(distinct(grounds)));
            }
            self.settled.push((appends, grounds));
            if token.steps.is_empty() {
                self.loose.extend(token.ops.drain(..).filter(|op| ops[*op as usize].ret.is_some()));
            }
        }
        open.retain(|token| !token.steps.is_empty());
        self.open = open;
        self.members.append(&mut found);
        self.members.sort_unstable();
        Ok(())
    }

    /// Gives each open place an append that fits, the earliest places first, the most urgent appends first. Whether that was
    /// possible.
    pub(super) fn guess(&mut self, ops: &[Op<AppendOp>]) -> bool {
        let windows = Windows::new(&self.members, ops);
        let mut found: Vec<Member> = Vec::new();
        for mut token in self.open.drain(..) {
            token.steps.iter_mut().for_each(|step| windows.narrow(step));
            token.steps.sort_by_key(|step| step.after.0);
            for step in &token.steps {
                let fitting = (0..token.ops.len()).filter(|place| step.fits(&ops[token.ops[*place] as usize]));
                let Some(urgent) = fitting.min_by_key(|place| ops[token.ops[*place] as usize].deadline()) else {
                    return false;
                };
                found.push(step.given(token.ops.remove(urgent)));
            }
            self.loose.extend(token.ops.into_iter().filter(|op| ops[*op as usize].ret.is_some()));
        }
        self.members.append(&mut found);
        self.members.sort_unstable();
        true
    }
}

impl Open {
    /// Gives places that one append fits that append, and, if all appends are needed, appends that fit one place that place.
    /// Whether every place can have one.
    fn settle(&mut self, ops: &[Op<AppendOp>], found: &mut Vec<Member>) -> bool {
        loop {
            let fits = |step: &Step, op: &u32| step.fits(&ops[*op as usize]);
            let all = self.steps.len() == self.ops.len();
            let mut pair = None;
            for (place, step) in self.steps.iter().enumerate() {
                let mut fitting = (0..self.ops.len()).filter(|op| fits(step, &self.ops[*op]));
                match (fitting.next(), fitting.next()) {
                    (None, _) => return false,
                    (Some(op), None) => pair = Some((place, op)),
                    (Some(_), Some(_)) => {}
                }
            }
            for (place, op) in self.ops.iter().enumerate().filter(|_| all) {
                let mut fitting = (0..self.steps.len()).filter(|step| fits(&self.steps[*step], op));
                match (fitting.next(), fitting.next()) {
                    (None, _) => return false,
                    (Some(step), None) => pair = Some((step, place)),
                    (Some(_), Some(_)) => {}
                }
            }
            let Some((step, op)) = pair else { return true };
            found.push(self.steps.remove(step).given(self.ops.remove(op)));
        }
    }
}

/// For each member the latest invocation of it and those before it in its block, and the earliest answer of it and those
/// behind.
struct Windows<'a> {
    members: &'a [Member],
    latest: Vec<(u32, Option<u32>)>,
    earliest: Vec<(u32, Option<u32>)>,
}

impl<'a> Windows<'a> {
    fn new(members: &'a [Member], ops: &[Op<AppendOp>]) -> Self {
        let mut latest: Vec<(u32, Option<u32>)> = Vec::with_capacity(members.len());
        for (place, member) in members.iter().enumerate() {
            let own = (ops[member.op as usize].call, Some(member.op));
            let before = place.checked_sub(1).filter(|before| members[*before].block == member.block);
            latest.push(before.map_or(own, |before| latest[before].max(own)));
        }
        let mut earliest: Vec<(u32, Option<u32>)> = vec![(u32::MAX, None); members.len()];
        for (place, member) in members.iter().enumerate().rev() {
            let own = (ops[member.op as usize].deadline(), Some(member.op));
            let behind =
                Some(place + 1).filter(|behind| members.get(*behind).is_some_and(|it| it.block == member.block));
            earliest[place] = behind.map_or(own, |behind| earliest[behind].min(own));
        }
        Self { members, latest, earliest }
    }

    fn narrow(&self, step: &mut Step) {
        let place = self.members.partition_point(|member| (member.block, member.phase) < (step.block, 2 * step.depth));
        if let Some(before) = place.checked_sub(1).filter(|before| self.members[*before].block == step.block) {
            step.after = self.latest[before];
        }
        if self.members.get(place).is_some_and(|member| member.block == step.block) {
            step.before = self.earliest[place];
        }
    }
}
