//! Answers of observers that mean nothing: told when they begin, and counted.
//!
//! Such an answer is no view, so in figures it looks like silence; whoever wrote the definition must learn that it isn't. One remark per
//! observer, node and kind says what the first was like, and one at the run's end how many there were. While a cluster comes up
//! its nodes may say what they like.

use std::collections::BTreeMap;

use chaos_history::NodeId;

/// What is odd about an answer, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oddity {
    /// It is no view of an election; why.
    Nonsense(String),
    /// It names a leader whom nobody knows; whom.
    Stranger(String),
}

/// How many characters of an answer are quoted.
const QUOTED_MAX: usize = 300;

/// All that were seen.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    /// How often, by observer, node and whether a stranger is named.
    counts: BTreeMap<(String, NodeId, bool), u64>,
}

impl Oddities {
    /// Takes one in; what to say of it, if it is the first of its kind.
    pub(crate) fn take_in(&mut self, observer: &str, node: NodeId, oddity: &Oddity) -> Option<String> {
        let (stranger, what) = match oddity {
            Oddity::Nonsense(why) => (false, why.clone()),
            Oddity::Stranger(whom) => (true, format!("it names a leader whom nobody knows: {whom}")),
        };
        let count = self.counts.entry((observer.to_owned(), node, stranger)).or_default();
        *count += 1;
        let quoted: String = what.chars().take(QUOTED_MAX).collect();
        let cut = if quoted.len() < what.len() { "…" } else { "" };
        (*count == 1).then(|| format!("observer `{observer}` at {node}: {quoted}{cut}"))
    }

    /// How many there were, a sentence for each of which there were several.
    pub(crate) fn totals(&self) -> Vec<String> {
        let several = self.counts.iter().filter(|(_, count)| **count > 1);
        let told = several.map(|((observer, node, stranger), count)| {
            let what = if *stranger { "named a leader whom nobody knows" } else { "made no sense" };
            format!("observer `{observer}` at {node}: in all {count} answers {what}")
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_per_observer_and_node_and_counted() {
        let mut oddities = Oddities::default();
        let (n1, n2) = (NodeId::new(1), NodeId::new(2));
        let nonsense = |why: &str| Oddity::Nonsense(why.to_owned());
        let told = oddities.take_in("self", n1, &nonsense("`role` is `boss`"));
        assert_eq!(told.as_deref(), Some("observer `self` at n1: `role` is `boss`"));
        assert_eq!(oddities.take_in("self", n1, &nonsense("`role` is `chief`")), None);
        assert!(oddities.take_in("self", n2, &nonsense(&"x".repeat(1000))).is_some_and(|told| told.len() < 400));
        assert!(oddities.take_in("self", n1, &Oddity::Stranger("`17`".to_owned())).is_some(), "another kind");
        assert!(oddities.take_in("other", n1, &nonsense("")).is_some());
        assert_eq!(oddities.totals(), ["observer `self` at n1: in all 2 answers made no sense"]);
    }
}
