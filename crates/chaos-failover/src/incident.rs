//! What went otherwise than the plan meant it, so that nobody takes the figures for those of another experiment: faults whose
//! mechanism failed (they are no failovers, and nothing was broken), and nodes that ended by themselves.

use chaos_history::{Event, FaultEdge, FaultId, History, NodeId, NodeLife, Recorded, RunNanos};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that the plan did not mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// When.
    pub at: RunNanos,
    /// The fault that failed, if it was one.
    pub fault: Option<FaultId>,
    /// The node that ended, if it was one.
    pub node: Option<NodeId>,
    /// What happened, for people.
    pub what: String,
}

/// All of them, in the history's order.
pub(crate) fn incidents(history: &History) -> Vec<Incident> {
    history.events.iter().filter_map(incident).collect()
}

fn incident(recorded: &Recorded) -> Option<Incident> {
    match &recorded.event {
        Event::Fault(fault) => {
            let error = fault.error.as_ref()?;
            let action = match fault.edge {
                FaultEdge::Begin => "could not be injected",
                FaultEdge::End => "could not be taken back",
            };
            let what = format!("fault {} ({}) {action}: {error}", fault.id.0, fault.label);
            Some(Incident { at: recorded.at, fault: Some(fault.id), node: None, what })
        }
        Event::Node(event) => {
            let what = match &event.life {
                NodeLife::Exited { code, signal, expected: false } => {
                    format!("{} ended by itself {}", event.node, how(*code, *signal))
                }
                NodeLife::ProcessExited { process, code, signal, expected: false } => {
                    format!("{}'s process `{process}` ended by itself {}", event.node, how(*code, *signal))
                }
                NodeLife::Started { .. }
                | NodeLife::Ready
                | NodeLife::Exited { expected: true, .. }
                | NodeLife::ProcessStarted { .. }
                | NodeLife::ProcessExited { expected: true, .. } => return None,
            };
            Some(Incident { at: recorded.at, fault: None, node: Some(event.node), what })
        }
        Event::Op(_)
        | Event::Observation(_)
        | Event::Stall(_)
        | Event::Note(_)
        | Event::Replica(_)
        | Event::View(_) => None,
    }
}

fn how(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (_, Some(signal)) => format!("by signal {signal}"),
        (Some(code), None) => format!("with code {code}"),
        (None, None) => "in a way that nobody told".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::FaultKind;

    use super::*;
    use crate::sample::{Sample, at, node};

    #[test]
    fn a_node_that_ends_by_itself_is_an_incident_and_one_that_was_killed_is_none() {
        let mut sample = Sample::new(3);
        sample.life(1, 100, NodeLife::Exited { code: None, signal: Some(9), expected: true }).life(
            2,
            200,
            NodeLife::Exited { code: Some(101), signal: None, expected: false },
        );
        let what = "n2 ended by itself with code 101".to_owned();
        assert_eq!(incidents(&sample.history()), [Incident { at: at(200), fault: None, node: Some(node(2)), what }]);
    }

    #[test]
    fn a_fault_whose_mechanism_failed_is_an_incident_and_no_failover() {
        let mut sample = Sample::new(3);
        sample.all_follow(&[1, 2, 3], 900, 1, 1).fault(1, FaultKind::Kill, 1000, &[1], &[]);
        let mut history = sample.history();
        for recorded in &mut history.events {
            if let Event::Fault(fault) = &mut recorded.event {
                fault.error = Some("no such process".to_owned());
            }
        }
        let analysis = crate::analyse(&history, None);
        assert_eq!(analysis.incidents[0].what, "fault 1 (kill it) could not be injected: no such process");
        assert!(analysis.failovers.is_empty() && analysis.timeline.faults.is_empty());
    }
}
