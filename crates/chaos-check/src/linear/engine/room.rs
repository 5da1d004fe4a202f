//! What things hold, and what they will hold while they grow.
//!
//! A budget of bytes is looked at from time to time, and what is large must not overrun it in between. A list that moves to a place
//! twice as large holds both for a moment, so that the peak is three times what it held. So large lists are [`Pile`]s, which
//! never move, and hash tables, which must, say in [`Room`] what their next move takes before it comes.
//!
//! It refuses to count what allocators add of their own.
//!
//! Cost: an index into a pile is two instead of one.

use std::ops::{Add, Index, IndexMut};

use hashbrown::HashTable;

/// Elements of a piece of a pile.
const PIECE: usize = if cfg!(test) { 4 } else { 1 << 11 };

/// A list that never moves: pieces of equal length, of which only the first begins small.
#[derive(Clone, Debug)]
pub(super) struct Pile<T> {
    pieces: Vec<Vec<T>>,
    len: usize,
}

impl<T> Pile<T> {
    /// Empty, without a place on the heap.
    pub(super) fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// One more.
    pub(super) fn push(&mut self, element: T) {
        let piece = self.len / PIECE;
        if piece == self.pieces.len() {
            self.pieces.push(if piece == 0 { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        self.pieces[piece].push(element);
        self.len += 1;
    }

    /// Forgets all and keeps the room.
    pub(super) fn clear(&mut self) {
        self.pieces.iter_mut().take(self.len.div_ceil(PIECE)).for_each(Vec::clear);
        self.len = 0;
    }

    /// The one at a place.
    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.pieces.get(place / PIECE)?.get(place % PIECE)
    }

    /// All in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }

    /// All in order, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten()
    }

    /// Bytes in use.
    pub(super) fn bytes(&self) -> usize {
        let first = self.pieces.first().map_or(0, Vec::capacity);
        let others = self.pieces.len().saturating_sub(1) * PIECE;
        (first + others) * size_of::<T>() + self.pieces.capacity() * size_of::<Vec<T>>()
    }
}

impl<T> Index<usize> for Pile<T> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.pieces[place / PIECE][place % PIECE]
    }
}

impl<T> IndexMut<usize> for Pile<T> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.pieces[place / PIECE][place % PIECE]
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Room {
    /// In use.
    pub(super) held: usize,
    /// That the next to grow takes besides for a while, if it may come soon.
    growth: usize,
}

impl Room {
    /// What doesn't grow by moving, or is small.
    pub(super) fn fixed(held: usize) -> Self {
        Self { held, growth: 0 }
    }

    /// What a list of `len` holds that doubles.
    pub(super) fn doubling<T>(len: usize, capacity: usize) -> Self {
        let held = capacity * size_of::<T>();
        Self { held, growth: if is_soon(len, capacity) { 2 * held } else { 0 } }
    }

    /// What a hash table holds.
    pub(super) fn table<T>(table: &HashTable<T>) -> Self {
        // A byte per bucket besides the elements, and an eighth of the buckets stays empty.
        let held = table.allocation_size();
        Self { held, growth: if is_soon(table.len(), table.capacity()) { 2 * held } else { 0 } }
    }

    /// At most held at the same time.
    pub(super) fn peak(self) -> usize {
        self.held + self.growth
    }
}

/// Whether growing may come before the budget is looked at again.
fn is_soon(len: usize, capacity: usize) -> bool {
    len >= capacity - capacity / 8
}

/// Of two that don't grow at the same moment.
impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { held: self.held + other.held, growth: self.growth.max(other.growth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pile_is_a_list() {
        let mut pile = Pile::new();
        for turn in 0..3 {
            let list: Vec<usize> = (0..turn * 7).collect();
            pile.clear();
            list.iter().for_each(|&element| pile.push(element));
            assert!(pile.iter().eq(&list) && pile.len() == list.len());
            assert!((0..=list.len()).all(|place| pile.get(place) == list.get(place)));
            pile.iter_mut().for_each(|element| *element += 1);
            assert!((0..list.len()).all(|place| pile[place] == list[place] + 1));
        }
    }

    #[test]
    fn growing_is_announced() {
        let mut table = HashTable::new();
        let mut announced = 0;
        for element in 0_u64..10_000 {
            table.insert_unique(element.wrapping_mul(0x9E37_79B9_7F4A_7C15), element, |element| *element);
            let room = Room::table(&table);
            assert!(room.held <= announced.max(64), "{element}: {room:?}");
            announced = room.peak();
        }
    }
}
