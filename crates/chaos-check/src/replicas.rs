//! `ReplicasAgree`: once all faults are over and the load has stopped, all nodes hold the same state.
//!
//! Two sorts of evidence, each enough by itself:
//!
//! 1. *Comparisons.* Each node is asked for a value that stands for its whole state (a hash, a list), and for the revision that it is
//!    the state of, where the system tells. Two nodes that tell different values for one revision disagree: what a replica holds at a
//!    revision is decided by the log alone. Without revisions, nodes that still differ 5 s after the first question disagree.
//! 2. *Final reads of sets.* A node whose last answer, asked for 5 s or more after the load had ended, has not got an element that
//!    was acknowledged or shown elsewhere before it was asked, while another node's last answer has it.
//!
//! ```text
//!   n1: [revision 812: 5f3a]                 n1: [812: 5f3a]
//!   n2: [revision 812: 5f3a]                 n2: [811: 77b1]     not the same revision: asked again
//!   n3: [revision 812: 90c4]   disagrees     n2: [812: 5f3a]     agrees
//! ```
//!
//! Nodes that lag are asked again until they agree or 10 s have passed. *Unknown*: fewer than two nodes told; nodes whose
//! revisions never met; nodes that differ and were not asked again for long enough. O(answers²) in the few answers of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_history::{
    Event, History, Mark, NodeId, ObjectKind, Operation, ReplicaOutcome, ReplicaState, RunNanos, Value, operations,
};

use crate::set::{FinalRead, SetKey};
use crate::text::count;
use crate::verdict::{Verdict, Witness};

/// How long a replica that lags may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(5);

/// All nodes hold the same state in the end.
pub(crate) fn replicas_agree(history: &History) -> (Verdict, String) {
    let operations = match operations(&history.events) {
        Ok(operations) => operations,
        Err(error) => return (Verdict::Unknown(error.to_string()), "malformed operations".to_owned()),
    };
    let told = told(history);
    let nodes = last_of(&told).len();
    let (sets, reads) = of_sets(history, &operations);
    let basis = format!(
        "{} of {}, {} of sets",
        count(told.len(), "comparison"),
        count(nodes, "node"),
        count(reads, "final read")
    );
    let parts: Vec<Verdict> = compared(&told).into_iter().chain(sets).collect();
    let mut unknown = None;
    let mut valid = false;
    for part in parts {
        match part {
            Verdict::Invalid(_) => return (part, basis),
            Verdict::Unknown(reason) => unknown = unknown.or(Some(reason)),
            Verdict::Valid => valid = true,
        }
    }
    let verdict = match unknown {
        Some(reason) => Verdict::Unknown(reason),
        None if valid => Verdict::Valid,
        None => Verdict::Unknown("no node was compared with another".to_owned()),
    };
    (verdict, basis)
}

/// A state that a node told.
struct Told<'a> {
    node: NodeId,
    state: &'a ReplicaState,
    sent: RunNanos,
    received: RunNanos,
    line: usize,
}

impl Told<'_> {
    fn step(&self) -> String {
        let Self { node, state, sent, received, line } = self;
        let revision = state.revision.map_or(String::new(), |revision| format!(" at revision {revision}"));
        format!("line {line}: {node} holds {}{revision}, asked at {sent}, answered at {received}", short(&state.value))
    }
}

fn told(history: &History) -> Vec<Told<'_>> {
    let told = history.events.iter().filter_map(|recorded| match &recorded.event {
        Event::Replica(replica) => match &replica.outcome {
            ReplicaOutcome::Told(state) => {
                let (node, sent, received) = (replica.node, replica.sent, replica.received);
                Some(Told { node, state, sent, received, line: recorded.line })
            }
            ReplicaOutcome::Silent(_) => None,
        },
        Event::Op(_)
        | Event::Observation(_)
        | Event::View(_)
        | Event::Fault(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Note(_) => None,
    });
    told.collect()
}

/// The beginning of a value: a hash is shown whole, a long list is not.
fn short(value: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    shown
}

/// What each node told last.
fn last_of<'t, 'a>(told: &'t [Told<'a>]) -> BTreeMap<NodeId, &'t Told<'a>> {
    // In the file, later answers of a node stand later.
    told.iter().map(|told| (told.node, told)).collect()
}

fn compared(told: &[Told<'_>]) -> Option<Verdict> {
    let first = told.iter().map(|told| told.sent).min()?;
    let differ = |one: &Told<'_>, other: &Told<'_>| {
        one.state.revision.is_some()
            && one.state.revision == other.state.revision
            && one.state.value != other.state.value
            && one.node != other.node
    };
    for (index, one) in told.iter().enumerate() {
        if let Some(other) = told[index + 1..].iter().find(|other| differ(one, other)) {
            return Some(Verdict::Invalid(disagree(one, other)));
        }
    }
    let last: Vec<&Told<'_>> = last_of(told).into_values().collect();
    let [one, others @ ..] = last.as_slice() else { return None };
    if others.is_empty() {
        return Some(Verdict::Unknown(format!("only {} told its state", one.node)));
    }
    let Some(other) = others.iter().find(|other| other.state != one.state) else { return Some(Verdict::Valid) };
    if one.state.revision.is_some() || other.state.revision.is_some() {
        return Some(Verdict::Unknown(format!("the revisions of {} and {} never met", one.node, other.node)));
    }
    if one.sent >= first + CATCH_UP && other.sent >= first + CATCH_UP {
        return Some(Verdict::Invalid(disagree(one, other)));
    }
    Some(Verdict::Unknown(format!("{} and {} differ, but were not asked again for long enough", one.node, other.node)))
}

fn disagree(one: &Told<'_>, other: &Told<'_>) -> Witness {
    let when = match one.state.revision {
        Some(revision) => format!("at revision {revision}"),
        None => "in the end".to_owned(),
    };
    let sentence = format!(
        "{} and {} hold different states {when}: {} and {}",
        one.node,
        other.node,
        short(&one.state.value),
        short(&other.state.value)
    );
    let (lines, steps) = (vec![one.line, other.line], vec![one.step(), other.step()]);
    Witness::new(sentence, lines, steps, one.received.max(other.received), vec![one.node, other.node])
}

/// What the final reads of sets say, set by set, and how many there were.
fn of_sets(history: &History, operations: &[Operation]) -> (Vec<Verdict>, usize) {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.action.object() == ObjectKind::Set) {
        keys.entry(operation.action.key()).or_default().push(operation);
    }
    let load_end = history.landmark(Mark::LoadEnd);
    let (mut verdicts, mut reads) = (Vec::new(), 0);
    for (key, operations) in keys {
        let set = SetKey::new(key, &operations);
        reads += set.finals.len();
        verdicts.extend(of_set(&set, load_end));
    }
    (verdicts, reads)
}

fn of_set(set: &SetKey<'_>, load_end: Option<RunNanos>) -> Option<Verdict> {
    let last = set.last_words();
    if last.len() < 2 {
        return None;
    }
    let mut differing = None;
    for (&node, read) in &last {
        for (&other, showing) in &last {
            if showing.values.is_subset(&read.values) {
                continue;
            }
            differing = Some(format!("the last answers of {other} and {node} for set {} differ", set.key));
            let caught_up = load_end.is_some_and(|end| read.operation.invoked >= end + CATCH_UP);
            let lacking = Lacking { set, node, read, other, showing };
            let proved = showing.values.difference(&read.values).find_map(|value| lacking.known_before(*value));
            if let Some((value, line)) = proved.filter(|_| caught_up) {
                return Some(Verdict::Invalid(lacking.witness(value, line)));
            }
        }
    }
    Some(differing.map_or(Verdict::Valid, |differing| {
        Verdict::Unknown(format!("{differing}, which may yet be a replica that lags"))
    }))
}

/// Two nodes whose last answers differ.
struct Lacking<'s, 'a> {
    set: &'s SetKey<'a>,
    node: NodeId,
    read: &'s FinalRead<'a>,
    other: NodeId,
    showing: &'s FinalRead<'a>,
}

impl Lacking<'_, '_> {
    /// The element, and the line that shows that it was there before the answer without it was asked for.
    fn known_before(&self, value: Value) -> Option<(Value, usize)> {
        let asked = self.read.operation.invoked;
        let acknowledged = self.set.added.iter().find(|added| added.value == value && added.end.0 < asked);
        let shown = || self.set.finals.iter().find(|read| read.values.contains(&value) && read.end.0 < asked);
        let line = acknowledged.map(|added| added.end.1).or_else(|| shown().map(|read| read.end.1));
        line.map(|line| (value, line))
    }

    fn witness(&self, value: Value, known: usize) -> Witness {
        let Self { set, node, read, other, showing } = self;
        let key = set.key;
        let lacks = showing.values.difference(&read.values).count();
        let steps = vec![
            format!("line {known}: {value} was in set {key} by then"),
            format!(
                "line {}: {node} showed {} without it, asked at {}",
                read.end.1,
                count(read.values.len(), "element"),
                read.operation.invoked
            ),
            format!(
                "line {}: {other} showed {} with it, asked at {}",
                showing.end.1,
                count(showing.values.len(), "element"),
                showing.operation.invoked
            ),
        ];
        let sentence =
            format!("in the end {node} lacks {} of set {key} that {other} has, {value} first", count(lacks, "element"));
        let at = read.end.0.max(showing.end.0);
        Witness::new(sentence, vec![known, read.end.1, showing.end.1], steps, at, vec![*node, *other])
    }
}
