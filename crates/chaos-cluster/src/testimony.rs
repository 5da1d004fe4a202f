//! Gives each answer its place: an observation or somebody's view, with the system's terms or with numbers of reigns.
//!
//! Numbers are given at the moment at which an answer is recorded, on the one thread that records, so that they are in the order
//! of the file and whoever reads it could give them again.

use chaos_history::{Observation, Reigns, TermsFrom, View};
use chaos_systems::ObserverFacts;

/// The driver's observers, with the reigns of those whose system shows no terms.
#[derive(Debug)]
pub(crate) struct Testimonies {
    observers: Vec<(ObserverFacts, Reigns)>,
}

impl Testimonies {
    /// Of a driver's observers, in their order.
    pub(crate) fn new(observers: Vec<ObserverFacts>) -> Self {
        Self { observers: observers.into_iter().map(|facts| (facts, Reigns::default())).collect() }
    }

    /// What an observer is called, if there is such a one.
    pub(crate) fn name(&self, observer: usize) -> Option<&str> {
        self.observers.get(observer).map(|(facts, _)| facts.name.as_str())
    }

    /// What the main observer was told, as it is recorded.
    pub(crate) fn observed(&mut self, mut observation: Observation) -> Observation {
        if let Some((facts, reigns)) = self.observers.first_mut() {
            number(facts, reigns, &mut observation);
        }
        observation
    }

    /// What a further observer was told, as it is recorded; `None` if there is no such observer.
    pub(crate) fn viewed(&mut self, observer: usize, mut observation: Observation) -> Option<View> {
        let (facts, reigns) = self.observers.get_mut(observer)?;
        number(facts, reigns, &mut observation);
        let ObserverFacts { name, of, testimony, every: _ } = facts;
        Some(View { observer: name.clone(), of: *of, terms: testimony.terms, observation })
    }
}

fn number(facts: &ObserverFacts, reigns: &mut Reigns, observation: &mut Observation) {
    match facts.testimony.terms {
        TermsFrom::System => {}
        TermsFrom::Reigns => reigns.number(observation),
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::{
        Belief, ElectionRole, NodeId, ObservationOutcome, ObservationSource, RunNanos, Term, Testimony, TestimonyOf,
    };

    use super::*;

    fn claim(node: u16, term: u64) -> Observation {
        let node = NodeId::new(node);
        let belief = Belief {
            term: Term(term),
            role: ElectionRole::Leader,
            leader: Some(node),
            voted_for: None,
            commit: None,
            lease_remaining_ns: None,
        };
        let outcome = ObservationOutcome::Answered(belief);
        let (source, at) = (ObservationSource::Poll, RunNanos(0));
        Observation { node, incarnation: 1, source, sent: at, received: at, outcome }
    }

    #[test]
    fn each_observer_without_terms_has_reigns_of_its_own_and_real_terms_are_left_alone() {
        let facts = |name: &str, terms| ObserverFacts {
            name: name.to_owned(),
            of: TestimonyOf::Coordinator,
            testimony: Testimony { terms, ..Testimony::default() },
            every: None,
        };
        let (real, none) = (TermsFrom::System, TermsFrom::Reigns);
        let mut testimonies = Testimonies::new(vec![facts("a", none), facts("b", real), facts("c", none)]);
        assert_eq!(testimonies.observed(claim(1, 77)), claim(1, 1));
        assert_eq!(testimonies.observed(claim(2, 77)), claim(2, 2));
        let view = testimonies.viewed(1, claim(3, 77)).unwrap();
        assert_eq!((view.observer.as_str(), view.terms, view.observation), ("b", real, claim(3, 77)));
        let view = testimonies.viewed(2, claim(3, 77)).unwrap();
        assert_eq!((view.observer.as_str(), view.terms, view.observation), ("c", none, claim(3, 1)));
        assert_eq!(testimonies.viewed(3, claim(3, 77)), None);
    }
}
