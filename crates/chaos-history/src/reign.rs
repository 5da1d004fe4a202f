//! Numbers for the reigns of a system that shows no term, in the order in which they are seen to begin.
//!
//! A *reign* is one node's uninterrupted claims: no answer in between that claims nothing, no restart. A reign that begins gets
//! the next number, and that number stands in for the term, so that whoever reads the history can tell an old leader from a new
//! one. A node's answer carries the number of the newest reign that the node can know of:
//!
//! * its own, if it claims to lead;
//! * that of the leader that it names; a leader that was never heard to claim, or whose claims had ended when this node
//!   turned to it, is about to be heard: the next number is kept for it;
//! * otherwise the newest that anybody was seen to begin.
//!
//! ```text
//!   n1:  L  L  L  L  ·  ·  L  f  f        reign 1, resumed without a word in between: still 1; then it follows 2
//!   n2:  f  f  f  f  L  L  L  L  L        reign 2
//!   term 1  1  1  1  2  2  1/2   2
//! ```
//!
//! The numbers order what was *seen*. Between two answers of a node nothing is seen: a lead that is lost and won back there is
//! one reign. So they serve measuring and aiming; no checker takes them for terms. Source: the notion of a view's or epoch's
//! number, with the harness in the place of the system.
//!
//! Pure: the same observations in the same order get the same numbers.

use std::collections::BTreeMap;

use crate::event::{ElectionRole, Observation, ObservationOutcome};
use crate::{NodeId, Term};

/// What is known of one node's reigns and of its last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// The number of its newest reign; 0 if it had none.
    newest: Term,
    /// Whether that reign goes on, as far as was heard.
    open: bool,
    /// Which start of its process claims; `None` while only others have told of the reign.
    incarnation: Option<u64>,
    /// Whom it named last.
    named: Option<NodeId>,
    /// The number of its last answer.
    told: Term,
}

/// Numbers reigns as observations arrive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reigns {
    newest: Term,
    nodes: BTreeMap<NodeId, Known>,
}

impl Reigns {
    /// Puts the number of the reign into an observation's belief, in place of whatever term stands there. To be called once per
    /// observation, in the order in which they are recorded. Silence changes nothing.
    pub fn number(&mut self, observation: &mut Observation) {
        let ObservationOutcome::Answered(belief) = &mut observation.outcome else { return };
        let node = observation.node;
        let claims = belief.role == ElectionRole::Leader;
        let named = belief.leader.filter(|leader| !claims && *leader != node);
        let term = if claims {
            self.claimed(node, observation.incarnation)
        } else {
            self.node(node).open = false;
            named.map_or(self.newest, |leader| self.named(node, leader))
        };
        let known = self.node(node);
        (known.told, known.named) = (term, named);
        belief.term = term;
    }

    fn node(&mut self, node: NodeId) -> &mut Known {
        self.nodes.entry(node).or_default()
    }

    fn begins(&mut self, node: NodeId, incarnation: Option<u64>) -> Term {
        self.newest = Term(self.newest.0 + 1);
        let newest = self.newest;
        let known = self.node(node);
        (known.newest, known.open, known.incarnation) = (newest, true, incarnation);
        newest
    }

    fn claimed(&mut self, node: NodeId, incarnation: u64) -> Term {
        let known = self.node(node);
        let goes_on = known.open && known.incarnation.is_none_or(|claims| claims == incarnation);
        if !goes_on {
            return self.begins(node, Some(incarnation));
        }
        known.incarnation = Some(incarnation);
        known.newest
    }

    fn named(&mut self, by: NodeId, leader: NodeId) -> Term {
        let (of, by) = (*self.node(leader), *self.node(by));
        // One that goes on naming a leader of the past, or hears late of a reign that it did not know, tells nothing new.
        let stale = by.named == Some(leader) || of.newest > by.told;
        if of.open || (of.newest > Term(0) && stale) { of.newest } else { self.begins(leader, None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Belief, ObservationSource, RunNanos};

    /// One observation from `n1 leader`, `n2.3 leader` (started three times), `n2 follows n1`, `n2 nobody` or `n2 silent`.
    fn told(line: &str) -> Observation {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (node, incarnation) = words[0].split_once('.').unwrap_or((words[0], "1"));
        let node: NodeId = node.parse().expect("a node");
        let belief = |role, leader| {
            ObservationOutcome::Answered(Belief {
                term: Term(77),
                role,
                leader,
                voted_for: None,
                commit: None,
                lease_remaining_ns: None,
            })
        };
        let outcome = match words[1] {
            "leader" => belief(ElectionRole::Leader, Some(node)),
            "follows" => belief(ElectionRole::Follower, Some(words[2].parse().expect("a node"))),
            "nobody" => belief(ElectionRole::Follower, None),
            "silent" => ObservationOutcome::Silent("no answer".to_owned()),
            other => panic!("no word {other}"),
        };
        Observation {
            node,
            incarnation: incarnation.parse().expect("a number"),
            source: ObservationSource::Poll,
            sent: RunNanos(0),
            received: RunNanos(0),
            outcome,
        }
    }

    /// The numbers that a script's answers get.
    fn numbers(script: &str) -> Vec<u64> {
        let mut reigns = Reigns::default();
        let number = |line: &str| {
            let mut observation = told(line);
            reigns.number(&mut observation);
            match observation.outcome {
                ObservationOutcome::Answered(belief) => Some(belief.term.0),
                ObservationOutcome::Silent(_) => None,
            }
        };
        script.split(';').filter_map(number).collect()
    }

    #[test]
    fn a_reign_lasts_until_the_node_denies_it_or_starts_anew() {
        let cases: [(&str, &[u64]); 7] = [
            ("n1 nobody; n2 nobody", &[0, 0]),
            ("n1 leader; n2 nobody; n1 leader", &[1, 1, 1]),
            ("n1 leader; n1 nobody; n1 leader", &[1, 1, 2]),
            ("n1 leader; n1 silent; n1 leader", &[1, 1]),
            ("n1 leader; n1.2 leader", &[1, 2]),
            ("n1 leader; n2 leader; n1 leader; n1 nobody; n1 leader", &[1, 2, 1, 2, 3]),
            ("n1 leader; n2 leader; n3 nobody; n2 nobody; n3 nobody", &[1, 2, 2, 2, 2]),
        ];
        for (script, expected) in cases {
            assert_eq!(numbers(script), expected, "{script}");
        }
    }

    #[test]
    fn who_names_a_leader_carries_the_number_of_that_leaders_reign() {
        let cases: [(&str, &[u64]); 6] = [
            ("n1 leader; n2 follows n1; n3 leader; n2 follows n1; n2 follows n3", &[1, 1, 2, 1, 2]),
            // Named before it is heard to claim: one reign, not two.
            ("n2 follows n1; n1 leader; n3 follows n1", &[1, 1, 1]),
            ("n1 leader; n2 follows n1; n2 follows n3; n3 leader", &[1, 1, 2, 2]),
            // A follower that has not heard of the end of its leader's reign is late, not first.
            ("n1 leader; n2 follows n1; n1 nobody; n2 follows n1; n1 leader", &[1, 1, 1, 1, 2]),
            // One that was away hears of a reign that is over.
            ("n1 leader; n2 follows n1; n3 leader; n3 nobody; n2 follows n3", &[1, 1, 2, 2, 2]),
            // The old leader comes back by election, and a follower says so first.
            ("n1 leader; n1 follows n3; n2 follows n3; n3 leader; n2 follows n1; n1 leader", &[1, 2, 2, 2, 3, 3]),
        ];
        for (script, expected) in cases {
            assert_eq!(numbers(script), expected, "{script}");
        }
    }

    #[test]
    fn one_number_is_never_of_two_nodes() {
        // Every order of six answers of three nodes, whatever they say.
        let words = ["n1 leader", "n2 leader", "n1 nobody", "n2 follows n1", "n3 follows n2", "n3 follows n1"];
        let mut tried = 0;
        for code in 0..6_u32.pow(6) {
            let script: Vec<&str> = (0..6).map(|place| words[(code / 6_u32.pow(place) % 6) as usize]).collect();
            let mut reigns = Reigns::default();
            let mut leads: BTreeMap<Term, NodeId> = BTreeMap::new();
            for line in &script {
                let mut observation = told(line);
                reigns.number(&mut observation);
                let ObservationOutcome::Answered(belief) = observation.outcome else { unreachable!("all answer") };
                if let Some(leader) = belief.leader {
                    assert_eq!(*leads.entry(belief.term).or_insert(leader), leader, "{script:?}");
                }
            }
            tried += 1;
        }
        assert_eq!(tried, 46_656);
    }
}
