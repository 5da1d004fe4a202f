//! `NoAcknowledgedWriteLost` of a set: every acknowledged element is somewhere in the end.
//!
//! Once all faults are over and the load has stopped, every set is read at every node, again and again while something is missing
//! (up to 10 s). An acknowledged element is *lost* if
//!
//! * at least one node has answered, and either a majority of nodes has or every other node has refused for certain, and
//! * the last answer of every node that answered was asked for after the acknowledgement, and has not got the element.
//!
//! ```text
//!   ─[ add 7 ok ]── … faults over … ──[ n1: 5 6 ]──[ n2: 5 6 ]──[ n3: refused ]      7 is lost
//!   ─[ add 7 ok ]── … faults over … ──[ n1: 5 6 ]──[ n2: 5 6 7 ]                     n1 and n2 differ; 7 is not lost
//! ```
//!
//! *Why that is sound.* A set never gives an element back. So in every order of a system that kept the element, a read that began
//! after its acknowledgement has it, unless the read was served by a replica that lags. One replica that has the element acquits;
//! a replica that lags shows it once it has caught up, and is asked until then. Where no node shows it after all that, no client
//! will see it. (A few that answer while the others stay silent may all lag: then nothing can be said.) That replicas differ in the end is another property's (`ReplicasAgree`); here it is only said.
//!
//! An element that is found and that nobody added, or only by additions that failed for certain, is a violation, too. A set with
//! acknowledged elements and no final read after them is unknown. O(elements × nodes × log).

use std::collections::BTreeMap;

use chaos_history::{NodeId, Value};

use super::{Added, Fate, FinalRead, SetKey};
use crate::text::{count, some_of};
use crate::verdict::Witness;

/// What the final reads of one set say.
pub(crate) struct Finding {
    /// Why the set violates the property, if it does.
    pub(crate) violation: Option<Witness>,
    /// Why nothing can be said, if so.
    pub(crate) unknown: Option<String>,
    /// How many acknowledged elements are lost.
    pub(crate) lost: usize,
    /// What else is worth saying: how the nodes differ.
    pub(crate) remark: Option<String>,
}

/// Judges one set of a cluster of so many nodes.
pub(crate) fn judge(set: &SetKey<'_>, nodes: usize) -> Finding {
    let last = set.last_words();
    let is_lost = |added: &&Added<'_>| {
        !last.is_empty()
            && last.values().all(|read| added.end.0 < read.operation.invoked && !read.values.contains(&added.value))
    };
    let lost: Vec<&Added<'_>> = set.added.iter().filter(is_lost).collect();
    let silent: Vec<String> = NodeId::all(nodes)
        .filter(|node| !last.contains_key(node) && !set.refusing.contains(node))
        .map(|node| node.to_string())
        .collect();
    let (mut violation, mut unknown) = (set.finals.iter().find_map(|read| invented(set, read)), unread(set));
    if let Some(first) = lost.first() {
        if last.len() > nodes / 2 || silent.is_empty() {
            violation = Some(loss(set, &last, first, &lost, nodes));
        } else {
            unknown = Some(format!(
                "no node that answered shows {} of set {}, but only {} of {nodes} did: {} stayed silent and may have them",
                count(lost.len(), "acknowledged element"),
                set.key,
                last.len(),
                silent.join(", ")
            ));
        }
    }
    let lost = if violation.is_some() { lost.len() } else { 0 };
    Finding { violation, unknown, lost, remark: differing(set, &last) }
}

fn loss(
    set: &SetKey<'_>,
    last: &BTreeMap<NodeId, &FinalRead<'_>>,
    first: &Added<'_>,
    lost: &[&Added<'_>],
    nodes: usize,
) -> Witness {
    let key = set.key;
    let by = first.operation.node;
    let mut steps = vec![format!(
        "line {}: {by} acknowledged the addition of {} to set {key} at {}, asked at {} (line {})",
        first.end.1, first.value, first.end.0, first.operation.invoked, first.operation.invoke_line
    )];
    for (node, read) in last {
        steps.push(format!(
            "line {}: {node} showed {} of set {key} at {}, asked at {} (line {}): {} is not among them",
            read.end.1,
            count(read.values.len(), "element"),
            read.end.0,
            read.operation.invoked,
            read.operation.invoke_line,
            first.value
        ));
    }
    let lines: Vec<String> = lost.iter().map(|added| added.end.1.to_string()).collect();
    let values: Vec<String> = lost.iter().map(|added| added.value.to_string()).collect();
    steps.push(format!(
        "missing from every node's last answer: {} of {} to set {key}: {} (acknowledged: line {})",
        crate::text::grouped(lost.len()),
        count(set.added.len(), "acknowledged addition"),
        some_of(&values),
        some_of(&lines)
    ));
    let silent: Vec<String> =
        NodeId::all(nodes).filter(|node| !last.contains_key(node)).map(|node| node.to_string()).collect();
    let answered: Vec<String> = last.keys().map(ToString::to_string).collect();
    let rest = if silent.is_empty() { String::new() } else { format!("; {} did not", silent.join(", ")) };
    let sentence = format!(
        "{by} acknowledged the addition of {} to set {key} (line {}), but in the end no node that answered has it ({}{rest}): {} of {} lost",
        first.value,
        first.end.1,
        answered.join(", "),
        crate::text::grouped(lost.len()),
        count(set.added.len(), "acknowledged addition")
    );
    let lines = last.values().map(|read| read.end.1).chain([first.end.1]).collect();
    let at = last.values().map(|read| read.end.0).max().unwrap_or(first.end.0);
    Witness::new(sentence, lines, steps, at, last.keys().copied().chain([by]).collect())
}

/// An element that nobody can have added.
fn invented(set: &SetKey<'_>, read: &FinalRead<'_>) -> Option<Witness> {
    let unasked = |value: &&Value| set.fates.get(value) != Some(&Fate::Asked);
    let (key, node, value) = (set.key, read.operation.node, read.values.iter().find(unasked)?);
    let mut steps = vec![format!("line {}: {node} showed {value} in set {key}", read.end.1)];
    let mut lines = vec![read.end.1];
    let fate = match set.fates.get(value) {
        Some(&Fate::Failed(line)) => {
            lines.push(line);
            steps.push(format!("line {line}: the addition of {value} had failed for certain"));
            "the only addition of which had failed for certain"
        }
        Some(Fate::Asked) | None => "which nobody added",
    };
    let sentence = format!("in the end {node} showed {value} in set {key}, {fate}");
    Some(Witness::new(sentence, lines, steps, read.end.0, vec![node]))
}

fn unread(set: &SetKey<'_>) -> Option<String> {
    let last = set.added.iter().max_by_key(|added| added.end)?;
    let asked = set.finals.iter().map(|read| read.operation.invoked).max();
    if asked.is_some_and(|asked| asked > last.end.0) {
        return None;
    }
    let key = set.key;
    Some(format!("set {key} has no final read after its last acknowledged addition (line {})", last.end.1))
}

/// Which nodes lack what others show, in a few words.
fn differing(set: &SetKey<'_>, last: &BTreeMap<NodeId, &FinalRead<'_>>) -> Option<String> {
    let mut all: Vec<Value> = last.values().flat_map(|read| read.values.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    let lacking = last.iter().filter(|(_, read)| read.values.len() < all.len());
    let lacking: Vec<String> = lacking
        .map(|(node, read)| format!("{node} lacks {}", count(all.len() - read.values.len(), "element")))
        .collect();
    (!lacking.is_empty()).then(|| format!("the last answers of set {} differ: {}", set.key, lacking.join(", ")))
}
