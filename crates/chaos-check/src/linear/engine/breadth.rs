//! Breadth first: all configurations that pass one answer, before the next one is looked at.
//!
//! Its memory is bounded by the number of configurations between two answers, and it refutes at the first answer that none
//! passes. What it pays for both: it finds all ways to the end where one would do.

use super::antichain::Antichain;
use super::expand::{Config, Context, Move};
use super::mask::Mask;
use super::room::Room;
use super::trail::{Link, Mark, Trail};
use crate::linear::model::Model;

/// The configurations at one answer.
#[derive(Debug)]
pub(super) struct Breadth<W> {
    /// Those that passed the answer before.
    frontier: Antichain<W, Link>,
    /// How many of them were looked at already.
    looked_at: usize,
    /// Those that are expanded at this answer.
    seen: Antichain<W, Link>,
    /// Of those the ones whose turn has not come.
    open: Vec<u32>,
    /// Those that passed it.
    passed: Antichain<W, Link>,
    moves: Vec<Move<W>>,
    /// The ways to them, if anybody wants to know.
    pub(super) trail: Option<Trail>,
}

/// What is answered.
#[derive(Clone, Copy)]
pub(super) struct Answer<F> {
    /// The number of the answer.
    pub(super) step: u32,
    /// The slot of the operation.
    pub(super) slot: u32,
    /// Which operation is in a slot.
    pub(super) op_in: F,
}

impl<W: Mask> Breadth<W> {
    /// After some answer that these passed.
    pub(super) fn new(configs: impl IntoIterator<Item = Config<W>>, trail: Option<Trail>) -> Self {
        let mut frontier = Antichain::new(false);
        configs.into_iter().for_each(|config| frontier.keep(config, None));
        let (seen, passed) = (Antichain::new(false), Antichain::new(false));
        Self { frontier, looked_at: 0, seen, open: Vec::new(), passed, moves: Vec::new(), trail }
    }

    /// Goes on with an answer until it is passed or `left` configurations were visited. Whether it is passed: by as many as
    /// [`Self::len`] says then.
    pub(super) fn pass<M: Model, F: Fn(u32) -> u32>(
        &mut self,
        context: &mut Context<'_, '_, M, W>,
        answer: &Answer<F>,
        left: &mut u64,
    ) -> bool {
        loop {
            *left = left.saturating_sub(self.seen.compared() + self.passed.compared());
            if *left == 0 {
                return false;
            }
            if let Some(open) = self.open.pop() {
                let node = &self.seen.nodes[open as usize];
                if node.beaten {
                    continue;
                }
                *left -= 1;
                let (config, link) = (node.config.clone(), node.tag);
                let mut moves = std::mem::take(&mut self.moves);
                context.expand(&config, answer.slot, &mut moves);
                for Move { config, placed } in moves.drain(..) {
                    let mark = Mark::new(answer.step, placed, &answer.op_in);
                    self.arrive(context, answer, config, link, Some(mark));
                }
                self.moves = moves;
            } else if let Some(node) = self.frontier.nodes.get(self.looked_at) {
                self.looked_at += 1;
                if !node.beaten {
                    *left -= 1;
                    let (mut config, link) = (node.config.clone(), node.tag);
                    context.settle(&mut config);
                    self.arrive(context, answer, config, link, None);
                }
            } else {
                break;
            }
        }
        std::mem::swap(&mut self.frontier, &mut self.passed);
        self.passed.clear();
        self.seen.clear();
        self.looked_at = 0;
        if let Some(trail) = self.trail.as_mut().filter(|trail| trail.is_long()) {
            trail.cut(self.frontier.nodes.iter_mut().map(|node| &mut node.tag));
        }
        true
    }

    fn arrive<M: Model, F: Fn(u32) -> u32>(
        &mut self,
        context: &Context<'_, '_, M, W>,
        answer: &Answer<F>,
        config: Config<W>,
        link: Link,
        mark: Option<Mark>,
    ) {
        let overwrites = &context.space.overwrites;
        let trail = &mut self.trail;
        let mut extend = |link: Link, mark: Option<Mark>| match (trail.as_mut(), mark) {
            (Some(trail), Some(mark)) => trail.push(link, mark),
            (Some(_), None) | (None, _) => link,
        };
        let mut stem = None;
        if let Some((after, ridden)) = context.pass(&config, answer.slot) {
            let ridden = ridden.map(|placed| Mark::new(answer.step, placed, &answer.op_in));
            if let Some(place) = self.passed.insert(context.usages, after, 0, overwrites, None) {
                let link = *stem.get_or_insert_with(|| extend(link, mark));
                self.passed.nodes[place as usize].tag = extend(link, ridden);
            }
        }
        if !context.closed(&config, answer.slot)
            && let Some(place) = self.seen.insert(context.usages, config, 0, overwrites, None)
        {
            self.seen.nodes[place as usize].tag = *stem.get_or_insert_with(|| extend(link, mark));
            self.open.push(place);
        }
    }

    /// How many configurations passed the last answer.
    pub(super) fn len(&self) -> usize {
        self.frontier.nodes.iter().filter(|node| !node.beaten).count()
    }

    /// One of the ways to here.
    pub(super) fn way(&self) -> Option<Vec<Mark>> {
        let node = self.frontier.nodes.iter().find(|node| !node.beaten)?;
        Some(self.trail.as_ref()?.way(node.tag))
    }

    /// The configurations that passed the last answer.
    pub(super) fn configs(&self) -> impl Iterator<Item = &Config<W>> {
        self.frontier.nodes.iter().filter(|node| !node.beaten).map(|node| &node.config)
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        self.frontier.room()
            + self.seen.room()
            + self.passed.room()
            + Room::doubling::<u32>(self.open.len(), self.open.capacity())
            + Room::fixed(self.moves.capacity() * size_of::<Move<W>>())
            + self.trail.as_ref().map_or(Room::default(), Trail::room)
    }
}
