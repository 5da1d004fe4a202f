//! The witness of a set without a legal order, told by [`linear::explain`](explain()).
//!
//! A read of thousands of elements is told by the few that matter: those that the other operations of the counterexample added.

use std::collections::BTreeSet;

use chaos_history::{Action, Completion, Operation};

use super::linear::SetHistory;
use crate::linear::Kept;
use crate::linear::explain::{Deed, Described, Scene, explain};
use crate::linear::models::SetOp;
use crate::verdict::Witness;

/// The witness: these entries of the set have no legal order by themselves. `verified`: all their orders were tried.
pub(super) fn witness(history: &SetHistory<'_>, core: &[Kept<SetOp>], verified: bool) -> Witness {
    let operation = |entry: u32| history.operations[history.sources[entry as usize]];
    let scene =
        Scene { object: format!("set {}", history.key), initially: "was empty".to_owned(), fate: fate(history, core) };
    let matters = matters(history, core);
    let told = |entry: u32| described(history, operation(entry), &history.entries[entry as usize].what, &matters);
    let explanation = explain(&history.model, &history.entries, core, &scene, told);
    let mut steps = explanation.steps;
    if !verified {
        let lines: Vec<String> = explanation.lines.iter().map(ToString::to_string).collect();
        let lines = lines.join(", ");
        steps.push(format!(
            "lines {lines}: they have too many orders to try them all again; this is the engine's word alone"
        ));
    }
    let operations = || core.iter().map(|kept| operation(kept.index));
    let at = operations().map(|operation| operation.completed.unwrap_or(operation.invoked)).max().unwrap_or_default();
    let nodes = operations().map(|operation| operation.node).collect();
    let witness = Witness::new(explanation.sentence, explanation.lines, steps, at, nodes);
    Witness { picture: Some(explanation.picture), ..witness }
}

/// The elements that the counterexample is about: those added in it, and of a read that stays whole one that nobody added.
fn matters(history: &SetHistory<'_>, core: &[Kept<SetOp>]) -> BTreeSet<u32> {
    let mut matters = BTreeSet::new();
    for kept in core {
        match &kept.entry.what {
            SetOp::Add(element) => {
                matters.insert(*element);
            }
            SetOp::Sees { among, .. } => matters.extend(among.iter().copied()),
            SetOp::Contains { element, .. } => {
                matters.insert(*element);
            }
            SetOp::Read(_) => matters.extend(unadded(history, kept)),
        }
    }
    matters
}

/// An element that a read saw and that no entry adds.
fn unadded(history: &SetHistory<'_>, kept: &Kept<SetOp>) -> Option<u32> {
    let (SetOp::Read(read) | SetOp::Sees { read, .. }) = history.entries[kept.index as usize].what else { return None };
    let added = |element: u32| history.entries.iter().any(|entry| entry.what == SetOp::Add(element));
    history.model.elements(read).iter().copied().find(|&element| !added(element))
}

fn fate(history: &SetHistory<'_>, core: &[Kept<SetOp>]) -> Option<String> {
    let [only] = core else { return None };
    let value = history.values[unadded(history, only)? as usize];
    let mut adds = history.operations.iter().filter(|operation| operation.action.written() == Some(value));
    let line = adds.find_map(|operation| operation.complete_line);
    Some(match line {
        Some(line) => format!("the addition of which had failed for certain (line {line})"),
        None => "which nobody had added".to_owned(),
    })
}

fn described(history: &SetHistory<'_>, operation: &Operation, what: &SetOp, matters: &BTreeSet<u32>) -> Described {
    let definite = matches!(operation.completion, Completion::Ok(_));
    let deed = match (what, &operation.action) {
        (SetOp::Read(read) | SetOp::Sees { read, .. }, _) => {
            let all = history.model.elements(*read);
            let seen: Vec<String> = all
                .iter()
                .filter(|element| matters.contains(element))
                .map(|&element| history.values[element as usize].to_string())
                .collect();
            let others = all.len() - seen.len();
            Deed::Elements { seen, others }
        }
        (SetOp::Add(element) | SetOp::Contains { element, .. }, Action::Add { .. }) => {
            Deed::Add { element: history.values[*element as usize].to_string() }
        }
        (
            SetOp::Add(_) | SetOp::Contains { .. },
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Cas { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. },
        ) => unreachable!("an entry that adds comes of an addition"),
    };
    Described {
        who: operation.node.to_string(),
        deed,
        asked: operation.invoked.to_string(),
        asked_line: Some(operation.invoke_line),
        answered: operation.completed.filter(|_| definite).map(|completed| completed.to_string()),
        answered_line: operation.complete_line,
        term: None,
    }
}
