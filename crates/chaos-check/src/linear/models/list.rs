//! A list that shares its tail with the lists it was made from.

use std::sync::Arc;

/// A list, last element first.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    last: Option<Arc<Link<T>>>,
}

#[derive(Debug)]
struct Link<T> {
    element: T,
    before: Option<Arc<Link<T>>>,
}

impl<T> Drop for Link<T> {
    /// Link by link: a list can be longer than the stack is deep.
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(link) = before {
            before = Arc::into_inner(link).and_then(|mut link| link.before.take());
        }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<T> List<T> {
    /// The list with one more element at its end.
    pub(super) fn with(&self, element: T) -> Self {
        Self { last: Some(Arc::new(Link { element, before: self.last.clone() })) }
    }

    /// The list without its last element.
    pub(super) fn without_last(&self) -> Self {
        Self { last: self.last.as_ref().and_then(|last| last.before.clone()) }
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.last.as_ref().map(|last| &last.element)
    }

    /// The elements, last first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::successors(self.last.as_ref(), |link| link.before.as_ref()).map(|link| &link.element)
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.last.as_ref(), other.last.as_ref());
        loop {
            match (ours, theirs) {
                (None, None) => return true,
                (Some(our), Some(their)) if Arc::ptr_eq(our, their) => return true,
                (Some(our), Some(their)) if our.element == their.element => {
                    (ours, theirs) = (our.before.as_ref(), their.before.as_ref());
                }
                (Some(_) | None, Some(_) | None) => return false,
            }
        }
    }
}

impl<T: Eq> Eq for List<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_equal_by_elements_and_a_long_one_can_be_dropped() {
        let long = (0..1_000_000).fold(List::default(), |list, element| list.with(element));
        let other = (0..999_999).fold(List::default(), |list, element| list.with(element));
        assert_ne!(long, other);
        assert_eq!(long.without_last(), other);
        assert_eq!((long.last(), long.iter().count()), (Some(&999_999), 1_000_000));
    }
}
