//! What is seen of a run by whom: the same history, judged from parts of its evidence.
//!
//! | detector | evidence |
//! |---|---|
//! | `all` | everything |
//! | `polls` | what nodes answered about term, role and leader when they were asked; no votes, no operations |
//! | `events` | the same, what nodes said unasked (`/events`), and their votes; no operations |
//! | `operations` | what clients asked and were answered; nothing that a node said about itself |
//!
//! Faults and node life are the harness's own deeds and known to all. Every detector checks what the plan asks for and the five safety
//! properties, of which each needs what it needs: without evidence a property is unknown, and nobody is convicted of it.

use std::time::Duration;

use chaos_check::{Budget, Property, Verdict};
use chaos_history::{Event, FaultEdge, History, ObservationOutcome, ObservationSource, Recorded, RunNanos};

/// Who sees what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detector {
    All,
    Polls,
    Events,
    Operations,
}

impl Detector {
    pub(super) const EACH: [Self; 4] = [Self::All, Self::Polls, Self::Events, Self::Operations];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Polls => "polls",
            Self::Events => "events",
            Self::Operations => "operations",
        }
    }

    /// What this one sees of an event.
    fn sees(self, recorded: &Recorded) -> Option<Recorded> {
        let mut seen = recorded.clone();
        match (&mut seen.event, self) {
            (_, Self::All) | (Event::Observation(_), Self::Events) => {}
            (Event::Observation(observation), Self::Polls) => {
                if observation.source == ObservationSource::Push {
                    return None;
                }
                if let ObservationOutcome::Answered(belief) = &mut observation.outcome {
                    belief.voted_for = None;
                }
            }
            (Event::Observation(_) | Event::View(_) | Event::Replica(_), Self::Operations)
            | (Event::Op(_) | Event::View(_) | Event::Replica(_), Self::Polls | Self::Events) => return None,
            (Event::Op(_), Self::Operations)
            | (Event::Fault(_) | Event::Node(_) | Event::Stall(_) | Event::Note(_), _) => {}
        }
        Some(seen)
    }

    fn evidence(self, history: &History) -> History {
        let events = history.events.iter().filter_map(|recorded| self.sees(recorded)).collect();
        History { header: history.header.clone(), events, torn: history.torn }
    }
}

/// A violation, and who has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conviction {
    pub(super) property: Property,
    /// Never empty.
    pub(super) by: Vec<Detector>,
    /// From the first fault's begin to the end of the shortest witness; `None` if there was no fault before it.
    pub(super) after_fault: Option<Duration>,
    /// Of the detector named first.
    pub(super) sentence: String,
}

/// What a history comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Findings {
    /// By property; the plan's own first.
    pub(super) convictions: Vec<Conviction>,
    /// Why the plan's own properties could not be judged from all evidence, if one couldn't.
    pub(super) undecided: Option<String>,
}

/// The plan's own properties, and those that always matter.
pub(super) fn properties(own: &[Property]) -> Vec<Property> {
    let safety = [
        Property::ElectionSafety,
        Property::SingleVote,
        Property::TermMonotonic,
        Property::Linearizable,
        Property::NoAcknowledgedWriteLost,
    ];
    let further = safety.into_iter().filter(|property| !own.contains(property));
    own.iter().copied().chain(further).collect()
}

/// Judges a history from the evidence of each detector.
pub(super) fn judge(history: &History, own: &[Property]) -> Findings {
    let begin = first_fault(history);
    let mut findings = Findings { convictions: Vec::new(), undecided: None };
    for detector in Detector::EACH {
        let evidence = detector.evidence(history);
        for property in properties(own) {
            match chaos_check::check(&evidence, property, &Budget::default()).verdict {
                Verdict::Valid => {}
                Verdict::Invalid(witness) => {
                    let after_fault = begin.filter(|begin| *begin <= witness.at).map(|begin| witness.at.since(begin));
                    let found = findings.convictions.iter_mut().find(|found| found.property == property);
                    match found {
                        Some(found) => {
                            found.by.push(detector);
                            found.after_fault = found.after_fault.min(after_fault);
                        }
                        None => findings.convictions.push(Conviction {
                            property,
                            by: vec![detector],
                            after_fault,
                            sentence: witness.sentence,
                        }),
                    }
                }
                Verdict::Unknown(why) if detector == Detector::All && own.contains(&property) => {
                    findings.undecided.get_or_insert(format!("{property}: {why}"));
                }
                Verdict::Unknown(_) => {}
            }
        }
    }
    findings
}

/// When the first fault began.
fn first_fault(history: &History) -> Option<RunNanos> {
    history.events.iter().find_map(|recorded| match &recorded.event {
        Event::Fault(fault) if fault.edge == FaultEdge::Begin => Some(fault.stamps.call_begin),
        Event::Fault(_)
        | Event::Observation(_)
        | Event::View(_)
        | Event::Op(_)
        | Event::Node(_)
        | Event::Replica(_)
        | Event::Stall(_)
        | Event::Note(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use chaos_history::{
        Belief, ElectionRole, FaultEvent, FaultId, FaultKind, Header, NodeId, Observation, RunNanos, Seed, Stamps,
        Term, Testimony,
    };

    use super::*;

    fn at(millis: u64) -> RunNanos {
        RunNanos(millis * 1_000_000)
    }

    fn claims(node: u16, source: ObservationSource, millis: u64) -> (u64, Event) {
        let node = NodeId::new(node);
        let belief = Belief {
            term: Term(7),
            role: ElectionRole::Leader,
            leader: Some(node),
            voted_for: Some(node),
            commit: None,
            lease_remaining_ns: None,
        };
        let outcome = ObservationOutcome::Answered(belief);
        (
            millis,
            Event::Observation(Observation {
                node,
                incarnation: 1,
                source,
                sent: at(millis),
                received: at(millis),
                outcome,
            }),
        )
    }

    fn kill(millis: u64) -> (u64, Event) {
        let stamps = Stamps { scheduled: at(millis), call_begin: at(millis), call_end: at(millis), effect: None };
        let fault = FaultEvent {
            id: FaultId(0),
            edge: FaultEdge::Begin,
            kind: FaultKind::Kill,
            label: String::new(),
            nodes: Vec::new(),
            process: None,
            links: Vec::new(),
            leader: None,
            stamps,
            source: None,
            error: None,
        };
        (millis, Event::Fault(fault))
    }

    fn history(events: Vec<(u64, Event)>) -> History {
        let events = (2..).zip(events).map(|(line, (millis, event))| Recorded { line, at: at(millis), event });
        let header = Header {
            simulated: None,
            chaos_history: chaos_history::format::VERSION,
            workload: "museum".to_owned(),
            system: "raft".to_owned(),
            nodes: 3,
            seed: Seed(1),
            started: String::new(),
            chaos: String::new(),
            testimony: Testimony::default(),
        };
        History { header, events: events.collect(), torn: false }
    }

    #[test]
    fn a_detector_convicts_of_what_it_sees_and_of_nothing_else() {
        let told = |second| vec![claims(1, ObservationSource::Poll, 5), kill(10), claims(2, second, 60)];
        let convicted = |second| judge(&history(told(second)), &[Property::ElectionSafety]).convictions;
        let polled = convicted(ObservationSource::Poll);
        assert_eq!(polled.len(), 1);
        assert_eq!(polled[0].property, Property::ElectionSafety);
        assert_eq!(polled[0].by, [Detector::All, Detector::Polls, Detector::Events]);
        assert_eq!(polled[0].after_fault, Some(Duration::from_millis(50)));
        assert_eq!(convicted(ObservationSource::Push)[0].by, [Detector::All, Detector::Events]);
    }

    #[test]
    fn one_leader_is_no_conviction_and_no_evidence_is_told() {
        let one = judge(&history(vec![kill(1), claims(1, ObservationSource::Poll, 5)]), &[Property::Linearizable]);
        assert!(one.convictions.is_empty());
        assert!(one.undecided.is_some_and(|why| why.starts_with("Linearizable: ")));
    }
}
