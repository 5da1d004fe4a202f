//! A set of numbers that shares its memory with the sets it was made from: a state of a model is kept per configuration, and a
//! set of a million elements can't be copied for each.
//!
//! A tree of blocks of 1,024 bits, sixteen children to a node; a change copies the path to one block. O(log n) each.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Children of a node, and words of a block.
const FAN: usize = 16;
/// Bits of a block.
const BLOCK: u32 = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Block([u64; FAN]),
    Inner([Option<Arc<Node>>; FAN]),
}

/// A set of numbers.
#[derive(Clone, Debug, Default)]
pub struct Bits {
    root: Option<Arc<Node>>,
    /// How many inner nodes are above a block.
    height: u32,
    len: u32,
    digest: u64,
}

/// One element's part of a digest; a set's digest is the sum.
pub(super) fn digest_of(element: u32) -> u64 {
    let mixed = (u64::from(element) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The child of a node at `height` on the way to `element`.
fn child(element: u32, height: u32) -> usize {
    ((element / BLOCK) >> (4 * (height - 1))) as usize % FAN
}

impl Bits {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sum of the elements' digests: unequal for unequal sets, but for bad luck.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether `element` is one.
    #[must_use]
    pub fn contains(&self, element: u32) -> bool {
        let (mut node, mut height) = (self.root.as_deref(), self.height);
        if u64::from(element) >= u64::from(BLOCK) << (4 * height) {
            return false;
        }
        loop {
            match node {
                None => return false,
                Some(Node::Block(words)) => return words[(element % BLOCK / 64) as usize] >> (element % 64) & 1 == 1,
                Some(Node::Inner(children)) => {
                    node = children[child(element, height)].as_deref();
                    height -= 1;
                }
            }
        }
    }

    /// The set with `element`.
    #[must_use]
    pub fn with(&self, element: u32) -> Self {
        if self.contains(element) {
            return self.clone();
        }
        let mut set = self.clone();
        while u64::from(element) >= u64::from(BLOCK) << (4 * set.height) {
            if let Some(root) = set.root.take() {
                let mut children = [const { None }; FAN];
                children[0] = Some(root);
                set.root = Some(Arc::new(Node::Inner(children)));
            }
            set.height += 1;
        }
        set.len += 1;
        set.digest = set.digest.wrapping_add(digest_of(element));
        set.root = Some(flipped(set.root.as_deref(), set.height, element));
        set
    }

    /// The set without `element`.
    #[must_use]
    pub fn without(&self, element: u32) -> Self {
        if !self.contains(element) {
            return self.clone();
        }
        Self {
            root: Some(flipped(self.root.as_deref(), self.height, element)),
            height: self.height,
            len: self.len - 1,
            digest: self.digest.wrapping_sub(digest_of(element)),
        }
    }
}

/// The tree with `element`'s bit turned over.
fn flipped(node: Option<&Node>, height: u32, element: u32) -> Arc<Node> {
    Arc::new(match node {
        Some(Node::Block(words)) => Node::Block(turned(*words, element)),
        None if height == 0 => Node::Block(turned([0; FAN], element)),
        Some(Node::Inner(children)) => {
            let mut children = children.clone();
            let place = child(element, height);
            children[place] = Some(flipped(children[place].as_deref(), height - 1, element));
            Node::Inner(children)
        }
        None => {
            let mut children = [const { None }; FAN];
            children[child(element, height)] = Some(flipped(None, height - 1, element));
            Node::Inner(children)
        }
    })
}

fn turned(mut words: [u64; FAN], element: u32) -> [u64; FAN] {
    words[(element % BLOCK / 64) as usize] ^= 1 << (element % 64);
    words
}

/// Whether two trees of one height hold the same; an empty block is no different from none.
fn same(one: Option<&Arc<Node>>, other: Option<&Arc<Node>>) -> bool {
    match (one.map(Arc::as_ref), other.map(Arc::as_ref)) {
        (None, None) => true,
        (Some(Node::Block(words)), None) | (None, Some(Node::Block(words))) => *words == [0; FAN],
        (Some(Node::Inner(children)), None) | (None, Some(Node::Inner(children))) => {
            children.iter().all(|child| same(child.as_ref(), None))
        }
        (Some(Node::Block(one)), Some(Node::Block(other))) => one == other,
        (Some(Node::Inner(few)), Some(Node::Inner(others))) => {
            one.zip(other).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
                || few.iter().zip(others).all(|(one, other)| same(one.as_ref(), other.as_ref()))
        }
        (Some(Node::Block(_)), Some(Node::Inner(_))) | (Some(Node::Inner(_)), Some(Node::Block(_))) => false,
    }
}

impl PartialEq for Bits {
    fn eq(&self, other: &Self) -> bool {
        if (self.len, self.digest) != (other.len, other.digest) {
            return false;
        }
        let (low, high) = if self.height < other.height { (self, other) } else { (other, self) };
        let mut root = high.root.as_ref();
        for _ in low.height..high.height {
            root = match root.map(Arc::as_ref) {
                Some(Node::Inner(children)) if children[1..].iter().all(|child| same(child.as_ref(), None)) => {
                    children[0].as_ref()
                }
                Some(Node::Inner(_)) => return false,
                Some(Node::Block(_)) | None => root,
            };
        }
        same(low.root.as_ref(), root)
    }
}

impl Eq for Bits {}

impl Hash for Bits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_equals_another_of_the_same_elements_however_it_came_to_be() {
        let elements = [0, 63, 64, 1023, 1024, 16_383, 16_384, 5_000_000, u32::MAX];
        let (mut up, mut down) = (Bits::default(), Bits::default());
        for (&one, &other) in elements.iter().zip(elements.iter().rev()) {
            assert!(!up.contains(one) && !down.contains(other));
            (up, down) = (up.with(one), down.with(other));
            assert!(up.contains(one) && down.contains(other));
        }
        assert_eq!((up.len(), &up), (9, &down));
        assert_ne!(up.without(64), down);
        let few = elements[3..].iter().fold(up, |set, &element| set.without(element));
        assert_eq!(few, Bits::default().with(64).with(63).with(0));
        assert!([1023, 1024, u32::MAX].iter().all(|&element| !few.contains(element)));
    }
}
