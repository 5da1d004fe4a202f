//! A set that only grows: `add x`, `read` of all elements, `contains x`; empty at first.
//!
//! ```text
//!  add 1  |---|
//!  add 2     |------|
//!  read         |--{1}--|        the reads' contents, by inclusion, are an order of the reads, and with it of the adds:
//!  read             |--{1,2}-|   1, {1}, 2, {1,2}
//! ```
//!
//! *Exact for every history*: an element has one instant at which it comes to be, the first of its adds. It is not before the
//! first invocation of these, nor before that of an answer "no"; and not after the first answer of these, nor after that of an
//! answer "yes". Reads must form a chain by inclusion: if `x` is in the first read only and `y` in the second only, each read
//! would precede the other. Along a chain, every element and every read of other contents is ordered: the elements that are new
//! in the first group, its reads, the elements that are new in the second, its reads, …, the elements of no read. So instants
//! are a matter of [`super::phases`]. O(n log n) plus the reads' total size.
//!
//! What `fail` means: an add that failed did not happen; leave it out. A read or a `contains` that failed saw nothing.
//! Removal is refused: an element can then come and go, and none of this holds.

use super::bits::{Bits, digest_of};
use super::phases::{Item, instants};
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// One set, with what its reads saw. Elements are small numbers, given out by whoever builds the entries.
#[derive(Clone, Debug, Default)]
pub struct Set {
    reads: Vec<Seen>,
}

/// What a read saw.
#[derive(Clone, Debug)]
struct Seen {
    /// Ascending.
    elements: Vec<u32>,
    digest: u64,
}

/// What was done to a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetOp {
    /// Added the element, which may have been there already.
    Add(u32),
    /// Saw all elements: those given to [`Set::read`].
    Read(u32),
    /// Asked whether this is an element.
    Contains {
        /// The element.
        element: u32,
        /// The answer.
        present: bool,
    },
    /// Weaker than a read: of these only, the set held those that the read saw. Nobody records it.
    Sees {
        /// The number of the read.
        read: u32,
        /// The elements, ascending.
        among: Box<[u32]>,
    },
}

impl Set {
    /// A read that saw these elements, in any order, each as often as it likes.
    ///
    /// # Panics
    /// If there are 2³² reads.
    pub fn read(&mut self, mut elements: Vec<u32>) -> SetOp {
        elements.sort_unstable();
        elements.dedup();
        let digest = elements.iter().fold(0, |sum: u64, &element| sum.wrapping_add(digest_of(element)));
        let number = u32::try_from(self.reads.len()).expect("that many reads don't fit into memory");
        self.reads.push(Seen { elements, digest });
        SetOp::Read(number)
    }

    /// The elements that a read saw, ascending.
    ///
    /// # Panics
    /// If the read is another set's.
    #[must_use]
    pub fn elements(&self, read: u32) -> &[u32] {
        &self.reads[read as usize].elements
    }

    fn saw(&self, read: u32, element: u32) -> bool {
        self.elements(read).binary_search(&element).is_ok()
    }
}

impl Model for Set {
    type Op = SetOp;
    type State = Bits;

    fn initial(&self) -> Bits {
        Bits::default()
    }

    fn apply(&self, state: &Bits, op: &SetOp) -> Option<Bits> {
        let possible = match op {
            SetOp::Add(element) => return Some(state.with(*element)),
            SetOp::Read(read) => {
                let seen = &self.reads[*read as usize];
                state.len() as usize == seen.elements.len()
                    && state.digest() == seen.digest
                    && seen.elements.iter().all(|&element| state.contains(element))
            }
            SetOp::Contains { element, present } => state.contains(*element) == *present,
            SetOp::Sees { read, among } => {
                among.iter().all(|&element| state.contains(element) == self.saw(*read, element))
            }
        };
        possible.then(|| state.clone())
    }

    fn effect(&self, op: &SetOp) -> Effect {
        match op {
            SetOp::Add(_) => Effect::Update,
            SetOp::Read(_) | SetOp::Contains { .. } | SetOp::Sees { .. } => Effect::ReadOnly,
        }
    }

    fn shortcut(&self, ops: &[Op<SetOp>]) -> Shortcut {
        decide(self, ops)
    }

    fn independent(&self, kept: &SetOp, dropped: &SetOp) -> bool {
        let SetOp::Add(dropped) = dropped else { return true };
        match kept {
            SetOp::Add(_) => true,
            SetOp::Read(read) => !self.saw(*read, *dropped),
            SetOp::Contains { element, present } => !present || element != dropped,
            SetOp::Sees { read, among } => among.binary_search(dropped).is_err() || !self.saw(*read, *dropped),
        }
    }

    fn weaker_beside(&self, op: &SetOp, others: &[&SetOp]) -> Vec<SetOp> {
        let SetOp::Read(read) = *op else { return Vec::new() };
        let mut among: Vec<u32> = others
            .iter()
            .filter_map(|other| match other {
                SetOp::Add(element) | SetOp::Contains { element, .. } => Some(*element),
                SetOp::Read(_) | SetOp::Sees { .. } => None,
            })
            .collect();
        among.sort_unstable();
        among.dedup();
        vec![SetOp::Sees { read, among: among.into() }]
    }

    fn is_weaker(&self, op: &SetOp, weaker: &SetOp) -> bool {
        matches!((op, weaker), (SetOp::Read(read), SetOp::Sees { read: of, .. }) if read == of)
    }
}

/// When an element comes to be.
struct Birth {
    element: u32,
    /// The group of the reads that saw it first; the number of groups if none did.
    group: u32,
    /// The window, and the operations that open and close it.
    from: (u32, u32),
    until: (u32, Option<u32>),
    /// The add that takes effect then: the first to be invoked.
    add: u32,
}

/// What has an instant.
enum Thing {
    Read(u32),
    Birth(usize),
}

fn decide(set: &Set, ops: &[Op<SetOp>]) -> Shortcut {
    let mut reads: Vec<(u32, u32)> = Vec::new();
    let mut touched: Vec<(u32, u32)> = Vec::new();
    for (index, op) in (0_u32..).zip(ops) {
        match op.what {
            SetOp::Read(read) if op.ret.is_some() => reads.push((read, index)),
            SetOp::Contains { element, .. } if op.ret.is_some() => touched.push((element, index)),
            SetOp::Add(element) => touched.push((element, index)),
            SetOp::Read(_) | SetOp::Contains { .. } => {}
            SetOp::Sees { .. } => return Shortcut::Pass,
        }
    }
    let key = |read: u32| (set.elements(read).len(), set.reads[read as usize].digest, set.elements(read));
    reads.sort_by(|one, other| key(one.0).cmp(&key(other.0)));
    touched.sort_unstable();
    let groups: Vec<&[(u32, u32)]> =
        reads.chunk_by(|one, other| one.0 == other.0 || set.elements(one.0) == set.elements(other.0)).collect();
    let born = match chain(set, &groups) {
        Ok(born) => born,
        Err((one, other, [x, y])) => {
            let adds = touched.iter().filter(|(element, _)| [x, y].contains(element)).map(|(_, index)| *index);
            return Shortcut::Conflict([one, other].into_iter().chain(adds).collect());
        }
    };
    let births = match births(ops, &born, &touched, groups.len()) {
        Ok(births) => births,
        Err(Unadded::Read { group }) => return Shortcut::Conflict(vec![groups[group as usize][0].1]),
        Err(Unadded::Contained { by }) => return Shortcut::Conflict(vec![by]),
    };
    let mut items: Vec<(Item, Thing)> = Vec::with_capacity(reads.len() + births.len());
    for (place, birth) in births.iter().enumerate() {
        let item = Item { phase: 2 * birth.group, from: birth.from.0, until: birth.until.0 };
        items.push((item, Thing::Birth(place)));
    }
    for (group, &(_, index)) in
        (0_u32..).zip(&groups).flat_map(|(group, reads)| reads.iter().map(move |it| (group, it)))
    {
        let op = &ops[index as usize];
        items.push((Item { phase: 2 * group + 1, from: op.call, until: op.deadline() }, Thing::Read(index)));
    }
    items.sort_by_key(|(item, _)| item.phase);
    match instants(&items.iter().map(|(item, _)| *item).collect::<Vec<_>>()) {
        Ok(instants) => Shortcut::Order(order(ops, &touched, &births, &items, &instants)),
        Err((early, late)) => {
            Shortcut::Conflict(conflict(set, &groups, &births, &touched, [&items[early], &items[late]]))
        }
    }
}

/// The elements with the group that saw each first, ascending by element; or two reads neither of which includes the other, with
/// an element that only the first saw and one that only the second saw.
#[expect(clippy::type_complexity, reason = "used once, and named in the sentence above")]
fn chain(set: &Set, groups: &[&[(u32, u32)]]) -> Result<Vec<(u32, u32)>, (u32, u32, [u32; 2])> {
    let mut born: Vec<(u32, u32)> = Vec::new();
    let mut before: Option<(u32, u32)> = None;
    for (number, group) in (0_u32..).zip(groups) {
        let (read, index) = group[0];
        let seen = set.elements(read);
        let known: &[u32] = before.map_or(&[], |(read, _)| set.elements(read));
        let mut left = known.iter().peekable();
        let fresh = born.len();
        for &element in seen {
            if left.peek().is_some_and(|&&known| known == element) {
                left.next();
            } else if left.peek().is_none_or(|&&known| known > element) {
                born.push((element, number));
            } else {
                break;
            }
        }
        if let (Some(&missing), Some((_, earlier))) = (left.next(), before) {
            born.truncate(fresh);
            let other = seen.iter().find(|element| known.binary_search(element).is_err());
            let other =
                *other.expect("of two sets, the second as large and without an element of the first, has another");
            return Err((earlier, index, [missing, other]));
        }
        before = Some((read, index));
    }
    born.sort_unstable();
    Ok(born)
}

/// Something saw an element that was never added.
enum Unadded {
    Read { group: u32 },
    Contained { by: u32 },
}

fn births(
    ops: &[Op<SetOp>],
    born: &[(u32, u32)],
    touched: &[(u32, u32)],
    groups: usize,
) -> Result<Vec<Birth>, Unadded> {
    let unread = u32::try_from(groups).expect("there are fewer groups than operations");
    let mut births: Vec<Birth> = Vec::with_capacity(born.len());
    let mut born = born.iter().peekable();
    for touched in touched.chunk_by(|one, other| one.0 == other.0) {
        let element = touched[0].0;
        if let Some(&&(_, group)) = born.peek().filter(|(other, _)| *other < element) {
            return Err(Unadded::Read { group });
        }
        let group = born.next_if(|(other, _)| *other == element).map(|(_, group)| *group);
        let (mut add, mut no, mut end): (Option<u32>, Option<u32>, Option<u32>) = (None, None, None);
        for &(_, index) in touched {
            let op = &ops[index as usize];
            if op.what == (SetOp::Contains { element, present: false }) {
                no = Some(index);
                continue;
            }
            if matches!(op.what, SetOp::Add(_)) {
                add = add.or(Some(index));
            }
            if op.ret.is_some() && end.is_none_or(|end| op.deadline() < ops[end as usize].deadline()) {
                end = Some(index);
            }
        }
        if group.is_none() && end.is_none() {
            // All its adds crashed, and nobody saw it: none took effect.
            continue;
        }
        let Some(add) = add else {
            return Err(match (group, end) {
                (Some(group), _) => Unadded::Read { group },
                (None, by) => Unadded::Contained { by: by.expect("something demands the element") },
            });
        };
        // Places ascend with calls, so the last answer "no" is the one invoked last.
        let opens = no.map_or(add, |no| no.max(add));
        births.push(Birth {
            element,
            group: group.unwrap_or(unread),
            from: (ops[opens as usize].call, opens),
            until: end.map_or((u32::MAX, None), |end| (ops[end as usize].deadline(), Some(end))),
            add,
        });
    }
    match born.next() {
        Some(&(_, group)) => Err(Unadded::Read { group }),
        None => Ok(births),
    }
}

/// All operations by their instants. At one instant: answers "no", then births and reads by phase, then what finds its element
/// there.
fn order(
    ops: &[Op<SetOp>],
    touched: &[(u32, u32)],
    births: &[Birth],
    items: &[(Item, Thing)],
    instants: &[u32],
) -> Vec<u32> {
    let mut placed: Vec<(u32, u32, u32)> = Vec::with_capacity(ops.len());
    let mut born: Vec<u32> = vec![0; births.len()];
    for ((item, thing), &instant) in items.iter().zip(instants) {
        let index = match thing {
            Thing::Read(index) => *index,
            Thing::Birth(place) => {
                born[*place] = instant;
                births[*place].add
            }
        };
        placed.push((instant, item.phase + 1, index));
    }
    for &(element, index) in touched {
        let op = &ops[index as usize];
        let birth = births.binary_search_by_key(&element, |birth| birth.element).ok();
        match (birth, &op.what) {
            (_, SetOp::Contains { present: false, .. }) => placed.push((op.call, 0, index)),
            (Some(birth), _) if births[birth].add != index && op.ret.is_some() => {
                placed.push((op.call.max(born[birth]), u32::MAX, index));
            }
            (Some(_) | None, _) => {}
        }
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, _, index)| index).collect()
}

/// The operations between which there is no room, with those that order them.
fn conflict(
    set: &Set,
    groups: &[&[(u32, u32)]],
    births: &[Birth],
    touched: &[(u32, u32)],
    [early, late]: [&(Item, Thing); 2],
) -> Vec<u32> {
    let mut few: Vec<u32> = Vec::new();
    let mut elements: Vec<u32> = Vec::new();
    match early.1 {
        Thing::Read(index) => few.push(index),
        Thing::Birth(place) => {
            few.push(births[place].from.1);
            elements.push(births[place].element);
        }
    }
    match late.1 {
        Thing::Read(index) => few.push(index),
        Thing::Birth(place) => {
            few.extend(births[place].until.1);
            elements.push(births[place].element);
        }
    }
    let group = |item: &Item| item.phase as usize / 2;
    match (&early.1, &late.1) {
        // Two births are ordered by a read between them, two reads by an element between them.
        (Thing::Birth(_), Thing::Birth(_)) if group(&early.0) < group(&late.0) => {
            few.push(groups[group(&early.0)][0].1)
        }
        (Thing::Read(_), Thing::Read(_)) => {
            let [one, other] = [groups[group(&early.0)][0].0, groups[group(&late.0)][0].0];
            elements.extend(set.elements(other).iter().find(|&&element| !set.saw(one, element)));
        }
        (Thing::Birth(_) | Thing::Read(_), Thing::Birth(_) | Thing::Read(_)) => {}
    }
    few.extend(touched.iter().filter(|(element, _)| elements.contains(element)).map(|(_, index)| *index));
    few.sort_unstable();
    few.dedup();
    few
}
