//! How often a configuration used operations without an answer.
//!
//! Equal ones are interchangeable, so a count per kind is enough. There may be hundreds of kinds of which a configuration
//! uses a handful, so counts are a sorted list of those that are not zero, and equal lists share a number; 0 is the empty one.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::room::{Pile, Room};

/// A list of counts.
pub(super) type UsageId = u32;

/// Which kind of operation without an answer.
pub(super) type KindId = u32;

type Counts = Box<[(KindId, u32)]>;

/// The lists.
#[derive(Debug)]
pub(super) struct Usages {
    lists: Pile<(Counts, u32)>,
    ids: HashTable<UsageId>,
    heap_bytes: usize,
    /// A list that may be a new one.
    draft: Vec<(KindId, u32)>,
}

impl Usages {
    /// Only the empty list.
    pub(super) fn new() -> Self {
        let mut lists = Pile::new();
        lists.push((Box::default(), 0));
        Self { lists, ids: HashTable::new(), heap_bytes: 0, draft: Vec::new() }
    }

    /// How often `kind` is used.
    pub(super) fn count(&self, usage: UsageId, kind: KindId) -> u32 {
        let counts = &self.lists[usage as usize].0;
        counts.iter().find(|(used, _)| *used >= kind).map_or(0, |&(used, count)| if used == kind { count } else { 0 })
    }

    /// How many are used in all.
    pub(super) fn total(&self, usage: UsageId) -> u32 {
        self.lists[usage as usize].1
    }

    /// The counts of a list.
    pub(super) fn counts(&self, usage: UsageId) -> &[(KindId, u32)] {
        &self.lists[usage as usize].0
    }

    /// One more of `kind`.
    pub(super) fn plus(&mut self, usage: UsageId, kind: KindId) -> UsageId {
        let mut counts = std::mem::take(&mut self.draft);
        counts.clear();
        counts.extend_from_slice(&self.lists[usage as usize].0);
        match counts.binary_search_by_key(&kind, |&(kind, _)| kind) {
            Ok(place) => counts[place].1 += 1,
            Err(place) => counts.insert(place, (kind, 1)),
        }
        let id = self.intern(&counts);
        self.draft = counts;
        id
    }

    /// The number of a list, which is sorted by kind.
    pub(super) fn intern(&mut self, counts: &[(KindId, u32)]) -> UsageId {
        if counts.is_empty() {
            return 0;
        }
        let lists = &self.lists;
        let hash = FxBuildHasher.hash_one(counts);
        if let Some(&id) = self.ids.find(hash, |&id| *lists[id as usize].0 == *counts) {
            return id;
        }
        let id = u32::try_from(self.lists.len()).expect("4 billion lists don't fit into any budget");
        self.heap_bytes += size_of_val(counts) + 16;
        let total = counts.iter().map(|&(_, count)| count).sum();
        self.lists.push((counts.into(), total));
        let lists = &self.lists;
        self.ids.insert_unique(hash, id, |&id| FxBuildHasher.hash_one(&*lists[id as usize].0));
        id
    }

    /// Whether `few` uses no kind more often than `many`.
    #[inline]
    pub(super) fn within(&self, few: UsageId, many: UsageId) -> bool {
        few == many || few == 0 || self.compare(few, many)
    }

    fn compare(&self, few: UsageId, many: UsageId) -> bool {
        let (few, many) = (&self.lists[few as usize], &self.lists[many as usize]);
        if few.1 >= many.1 || few.0.len() > many.0.len() {
            return false;
        }
        let mut many = many.0.iter();
        few.0.iter().all(|&(kind, count)| {
            many.find(|&&(other, _)| other >= kind).is_some_and(|&(other, most)| other == kind && count <= most)
        })
    }

    /// Bytes in use.
    pub(super) fn room(&self) -> Room {
        Room::fixed(self.heap_bytes + self.lists.bytes()) + Room::table(&self.ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_kind_by_kind() {
        let mut usages = Usages::new();
        let mut list = |kinds: &[u32]| kinds.iter().fold(0, |usage, &kind| usages.plus(usage, kind));
        let (none, a, b, ab, aab, ba) =
            (list(&[]), list(&[3]), list(&[7]), list(&[3, 7]), list(&[3, 3, 7]), list(&[7, 3]));
        assert_eq!((none, ab), (0, ba));
        for (few, many, expect) in [(none, a, true), (a, ab, true), (b, aab, true), (a, b, false), (aab, ab, false)] {
            assert_eq!(usages.within(few, many), expect, "{few} in {many}");
        }
        assert_eq!((usages.count(aab, 3), usages.count(aab, 4), usages.count(aab, 7), usages.total(aab)), (2, 0, 1, 3));
    }
}
