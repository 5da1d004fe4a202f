//! The resource that locks protect: the harness's own, so that it can be trusted to write down what it accepts.
//!
//! It knows no lock service and no clock. Whoever shows a fencing token is refused once a larger one was shown; whoever shows none
//! is let in, since a resource that checks nothing is what most locks protect. Per lock, all decisions have one order: that in
//! which they are asked for.
//!
//! Source: Kleppmann, "How to do distributed locking" (2016).

use std::collections::BTreeMap;

/// What all locks of a run protect.
#[derive(Clone, Debug, Default)]
pub struct Resource {
    /// Of each lock the largest token that was shown.
    newest: BTreeMap<String, u64>,
}

impl Resource {
    /// Whether whoever shows this token for the lock is let in.
    pub fn access(&mut self, lock: &str, token: Option<u64>) -> bool {
        let Some(token) = token else { return true };
        let newest = match self.newest.get_mut(lock) {
            Some(newest) => newest,
            None => self.newest.entry(lock.to_owned()).or_insert(token),
        };
        *newest = token.max(*newest);
        token == *newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_shows_an_older_token_than_somebody_before_is_refused() {
        let mut resource = Resource::default();
        let shown = [(7, true), (7, true), (9, true), (7, false), (9, true), (8, false), (10, true), (9, false)];
        assert_eq!(shown.map(|(token, _)| resource.access("l0", Some(token))), shown.map(|(_, accepted)| accepted));
        assert!(resource.access("l1", Some(1)), "each lock has tokens of its own");
    }

    #[test]
    fn who_shows_no_token_is_let_in() {
        let mut resource = Resource::default();
        assert!(resource.access("l0", Some(7)) && resource.access("l0", None) && !resource.access("l0", Some(6)));
    }
}
