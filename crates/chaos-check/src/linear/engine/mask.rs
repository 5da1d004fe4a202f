//! Sets of pending operations, by slot.
//!
//! An operation has a slot from its invocation to its answer; then the slot is given away again. So a set needs as many bits as
//! operations were ever pending at once, not as many as there are operations: a word or two. Beyond 128 the bits are on the
//! heap, [`Wide`], and nothing is limited.

use std::fmt::Debug;
use std::hash::Hash;

/// A set of slots.
pub(super) trait Mask: Clone + Default + Eq + Hash + Debug {
    /// How many slots there can be; `None`: as many as one likes.
    const SLOTS: Option<u32>;

    /// Whether `slot` is in the set.
    fn has(&self, slot: u32) -> bool;
    /// Adds `slot`.
    fn insert(&mut self, slot: u32);
    /// Removes `slot`.
    fn remove(&mut self, slot: u32);
    /// Adds all of `other`.
    fn add(&mut self, other: &Self);
    /// What is in both.
    fn and(&self, other: &Self) -> Self;
    /// What is in `self` only.
    fn without(&self, other: &Self) -> Self;
    /// Whether there is nothing in the set.
    fn is_empty(&self) -> bool;
    /// Removes the lowest slot.
    fn pop(&mut self) -> Option<u32>;
    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;

    /// Whether all of `self` is in `other`.
    fn within(&self, other: &Self) -> bool {
        self.without(other).is_empty()
    }
}

macro_rules! word {
    ($word:ty) => {
        impl Mask for $word {
            const SLOTS: Option<u32> = Some(<$word>::BITS);

            #[inline]
            fn has(&self, slot: u32) -> bool {
                self >> slot & 1 == 1
            }

            #[inline]
            fn insert(&mut self, slot: u32) {
                *self |= 1 << slot;
            }

            #[inline]
            fn remove(&mut self, slot: u32) {
                *self &= !(1 << slot);
            }

            #[inline]
            fn add(&mut self, other: &Self) {
                *self |= other;
            }

            #[inline]
            fn and(&self, other: &Self) -> Self {
                self & other
            }

            #[inline]
            fn without(&self, other: &Self) -> Self {
                self & !other
            }

            #[inline]
            fn is_empty(&self) -> bool {
                *self == 0
            }

            #[inline]
            fn pop(&mut self) -> Option<u32> {
                let slot = (*self != 0).then(|| self.trailing_zeros());
                *self &= self.wrapping_sub(1);
                slot
            }

            #[inline]
            fn heap_bytes(&self) -> usize {
                0
            }
        }
    };
}

word!(u64);
word!(u128);

/// As many slots as one likes: words on the heap, the last of which is not zero, so that equal sets are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wide(Vec<u64>);

impl Wide {
    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

impl Mask for Wide {
    const SLOTS: Option<u32> = None;

    fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    fn insert(&mut self, slot: u32) {
        let place = slot as usize / 64;
        if self.0.len() <= place {
            self.0.reserve_exact(place + 1 - self.0.len());
            self.0.resize(place + 1, 0);
        }
        self.0[place] |= 1 << (slot % 64);
    }

    fn remove(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word &= !(1 << (slot % 64));
            self.trim();
        }
    }

    fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.reserve_exact(other.0.len() - self.0.len());
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn and(&self, other: &Self) -> Self {
        let mut both = Self(self.0.iter().zip(&other.0).map(|(word, other)| word & other).collect());
        both.trim();
        both
    }

    fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= !other);
        rest.trim();
        rest
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn pop(&mut self) -> Option<u32> {
        let (place, word) = (0..).zip(&mut self.0).find(|(_, word)| **word != 0)?;
        let slot: u32 = place * 64 + word.trailing_zeros();
        *word &= *word - 1;
        self.trim();
        Some(slot)
    }

    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    fn within(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.0.iter().zip(&other.0).all(|(word, other)| word & !other == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaves_like_a_set<W: Mask>(slots: &[u32]) {
        let (mut mask, mut set) = (W::default(), std::collections::BTreeSet::new());
        for (turn, &slot) in slots.iter().enumerate() {
            if turn % 3 == 2 {
                mask.remove(slot / 2);
                set.remove(&(slot / 2));
            } else {
                mask.insert(slot);
                set.insert(slot);
            }
            assert_eq!(mask.has(slot), set.contains(&slot));
            let mut other = W::default();
            other.insert(slot);
            other.insert(3);
            assert_eq!(other.within(&mask), set.contains(&slot) && set.contains(&3));
            assert_eq!(mask.and(&other).has(3), set.contains(&3));
            let mut more = mask.without(&other);
            assert!(!more.has(slot) && !more.has(3));
            more.add(&other);
            assert!(mask.within(&more));
            let mut rest = mask.clone();
            let listed: Vec<u32> = std::iter::from_fn(|| rest.pop()).collect();
            assert!(listed.iter().eq(&set));
            assert_eq!((rest.is_empty(), rest), (true, W::default()));
        }
    }

    #[test]
    fn every_width_behaves_like_a_set() {
        let slots = |width: u32| (0..200).map(|turn: u32| turn.wrapping_mul(7919) % width).collect::<Vec<u32>>();
        behaves_like_a_set::<u64>(&slots(64));
        behaves_like_a_set::<u128>(&slots(128));
        behaves_like_a_set::<Wide>(&slots(300));
    }
}
