//! Configurations of which none is at least as good as another.
//!
//! One is at least as good as another in the same state if it has all done that the other has, used nothing that the other has
//! not, and no crashed operation more often: every continuation of the other is one of its own ([`super::expand`]).
//! Configurations are found by state and used updates, and compared within; that misses a few comparisons between different
//! updates used. Where many share these, the later ones are compared with the first of them and with those that used the very
//! same operations. What isn't compared costs time, not exactness.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::expand::Config;
use super::mask::Mask;
use super::room::{Pile, Room};
use super::usage::Usages;

/// So many comparisons take about as long as a configuration's successors.
const COMPARISONS_PER_CONFIGURATION: u64 = 16;
/// So few are compared one by one. (Tests use small limits, so that small histories get beyond them.)
const SCANNED_MAX: usize = if cfg!(test) { 2 } else { 12 };
/// So many share a chain before the later ones are told apart by all they used.
const COARSE_MAX: u32 = if cfg!(test) { 2 } else { 128 };

/// A configuration that is kept.
#[derive(Clone, Debug)]
pub(super) struct Node<W, T> {
    pub(super) config: Config<W>,
    /// Only configurations of one group are compared.
    pub(super) group: u32,
    /// The next with the same group, state and used updates.
    next: Option<NonZeroU32>,
    /// Whether a better one came later.
    pub(super) beaten: bool,
    /// What the owner wants to know of it.
    pub(super) tag: T,
}

/// What the nodes of a chain have in common: group, state, used updates and, if it is fine, all that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    fine: bool,
    hash: u32,
}

/// Where a chain begins.
#[derive(Clone, Copy, Debug)]
struct Head {
    key: Key,
    place: u32,
    length: u32,
}

impl Key {
    fn new<W: Mask>(config: &Config<W>, group: u32, overwrites: &W, fine: bool) -> Self {
        let mut hasher = FxHasher::default();
        (config.state, group, fine).hash(&mut hasher);
        if fine {
            config.used.hash(&mut hasher);
        } else {
            config.used.without(overwrites).hash(&mut hasher);
        }
        Self { fine, hash: u32::try_from(hasher.finish() >> 32).expect("32 bits fit") }
    }

    fn spread(self) -> u64 {
        u64::from(self.hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// The configurations.
#[derive(Debug)]
pub(super) struct Antichain<W, T> {
    pub(super) nodes: Pile<Node<W, T>>,
    heads: HashTable<Head>,
    hashed: bool,
    heap_bytes: usize,
    /// Comparisons since they were last asked for.
    compared: u64,
}

impl<W: Mask, T> Antichain<W, T> {
    /// Empty. With more than one group it must be `hashed` from the beginning.
    pub(super) fn new(hashed: bool) -> Self {
        Self { nodes: Pile::new(), heads: HashTable::new(), hashed, heap_bytes: 0, compared: 0 }
    }

    /// Comparisons since the last call, counted as configurations.
    pub(super) fn compared(&mut self) -> u64 {
        let worth = self.compared / COMPARISONS_PER_CONFIGURATION;
        self.compared %= COMPARISONS_PER_CONFIGURATION;
        worth
    }

    /// Forgets all; there is one group from now on.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.heap_bytes = 0;
        if self.hashed {
            self.heads.clear();
            self.hashed = false;
        }
    }

    /// Keeps a configuration unless one that is kept is at least as good; those that are not as good are marked. `overwrites`
    /// are the same for a whole group. Returns its place.
    pub(super) fn insert(
        &mut self,
        usages: &Usages,
        config: Config<W>,
        group: u32,
        overwrites: &W,
        tag: T,
    ) -> Option<u32> {
        let place = u32::try_from(self.nodes.len()).expect("4 billion configurations don't fit into any budget");
        let next = if self.hashed {
            self.chain(usages, &config, group, overwrites, place)?
        } else if self.scan(usages, &config, group, overwrites) {
            None
        } else {
            return None;
        };
        self.heap_bytes += config.heap_bytes();
        self.nodes.push(Node { config, group, next, beaten: false, tag });
        if !self.hashed && self.nodes.len() > SCANNED_MAX {
            self.hashed = true;
            for place in 0..=place {
                let config = self.nodes[place as usize].config.clone();
                let key = Key::new(&config, group, overwrites, false);
                self.nodes[place as usize].next = None;
                self.nodes[place as usize].next = self.link(&config, group, overwrites, key, place);
            }
        }
        Some(place)
    }

    /// Keeps a configuration without comparing it with others, which it never will be.
    pub(super) fn keep(&mut self, config: Config<W>, tag: T) {
        self.heap_bytes += config.heap_bytes();
        self.nodes.push(Node { config, group: 0, next: None, beaten: false, tag });
    }

    /// Compares with all. Whether none is at least as good.
    fn scan(&mut self, usages: &Usages, config: &Config<W>, group: u32, overwrites: &W) -> bool {
        let used = config.used.without(overwrites);
        for node in self.nodes.iter_mut().filter(|node| !node.beaten) {
            if node.group == group && node.config.state == config.state && node.config.used.without(overwrites) == used
            {
                if as_good(usages, &node.config, config) {
                    return false;
                }
                node.beaten = as_good(usages, config, &node.config);
            }
        }
        true
    }

    /// Compares with those in the same chain. `None` if one is at least as good, else what follows the new one.
    fn chain(
        &mut self,
        usages: &Usages,
        config: &Config<W>,
        group: u32,
        overwrites: &W,
        place: u32,
    ) -> Option<Option<NonZeroU32>> {
        let mut key = Key::new(config, group, overwrites, false);
        let coarse = self.head(config, group, overwrites, key);
        let full = coarse.is_some_and(|head| head.length >= COARSE_MAX);
        if !self.is_new(usages, config, coarse) {
            return None;
        }
        if full {
            key = Key::new(config, group, overwrites, true);
            let fine = self.head(config, group, overwrites, key);
            if !self.is_new(usages, config, fine) {
                return None;
            }
        }
        Some(self.link(config, group, overwrites, key, place))
    }

    /// Compares with those of a chain. Whether none is at least as good.
    fn is_new(&mut self, usages: &Usages, config: &Config<W>, head: Option<Head>) -> bool {
        let mut at = head.map(|head| head.place);
        while let Some(here) = at {
            let node = &mut self.nodes[here as usize];
            self.compared += 1;
            if !node.beaten {
                if as_good(usages, &node.config, config) {
                    return false;
                }
                node.beaten = as_good(usages, config, &node.config);
            }
            at = node.next.map(NonZeroU32::get);
        }
        true
    }

    fn head(&self, config: &Config<W>, group: u32, overwrites: &W, key: Key) -> Option<Head> {
        let used = config.used.without(overwrites);
        let alike = |head: &Head| {
            let node = &self.nodes[head.place as usize];
            head.key == key
                && node.group == group
                && node.config.state == config.state
                && if key.fine { node.config.used == config.used } else { node.config.used.without(overwrites) == used }
        };
        self.heads.find(key.spread(), alike).copied()
    }

    /// Puts `place` into its chain, behind the head. Returns what follows it.
    fn link(&mut self, config: &Config<W>, group: u32, overwrites: &W, key: Key, place: u32) -> Option<NonZeroU32> {
        let Some(Head { place: first, .. }) = self.head(config, group, overwrites, key) else {
            let head = Head { key, place, length: 1 };
            self.heads.insert_unique(key.spread(), head, |head| head.key.spread());
            return None;
        };
        if let Some(head) = self.heads.find_mut(key.spread(), |head| head.place == first) {
            head.length += 1;
        }
        // The first of all is the head of its chain, so a follower is never place 0.
        std::mem::replace(&mut self.nodes[first as usize].next, NonZeroU32::new(place))
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        Room::fixed(self.nodes.bytes() + self.heap_bytes) + Room::table(&self.heads)
    }
}

/// Whether `a`, in the same state as `b`, is at least as good.
fn as_good<W: Mask>(usages: &Usages, a: &Config<W>, b: &Config<W>) -> bool {
    b.done.within(&a.done) && a.used.within(&b.used) && usages.within(a.usage, b.usage)
}
