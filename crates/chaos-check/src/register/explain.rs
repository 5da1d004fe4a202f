//! The witness of a key without a legal order: its operations described to [`linear::explain`](explain()), which tells the story.

use chaos_history::{Action, Completion, OpResult, Operation, Value};

use super::model::{KeyHistory, NEVER};
use crate::linear::explain::{Deed, Described, Scene, explain};
use crate::linear::models::{Register, RegisterOp};
use crate::linear::{Budget, Kept, staleness};
use crate::text::count;
use crate::verdict::Witness;

/// The most writes by which answers are graded.
const BEHIND_MAX: u32 = 8;
/// Configurations that grading may visit: it is an extra, the verdict stands without it.
const GRADING: u64 = 100_000;

/// The witness: these entries of the key have no legal order by themselves. `verified`: all their orders were tried.
pub(super) fn witness(history: &KeyHistory<'_>, core: &[Kept<RegisterOp>], verified: bool) -> Witness {
    let operation = |entry: u32| history.operations[history.sources[entry as usize]];
    let scene = Scene {
        object: format!("key {}", history.key),
        initially: "held nothing".to_owned(),
        fate: fate(history, core.iter().map(|kept| operation(kept.index))),
    };
    let explanation = explain(&Register, &history.entries, core, &scene, |entry| described(operation(entry)));
    let contradiction = match core {
        [only] if only.entry.what == RegisterOp::Read(NEVER) => contradiction(history.key, operation(only.index)),
        _ => None,
    };
    let mut steps = explanation.steps;
    if !verified {
        steps.push(
            "they have too many orders to try them all again one by one: this is the engine's word alone".to_owned(),
        );
    }
    steps.extend(graded(history));
    let operations = || core.iter().map(|kept| operation(kept.index));
    let at = operations().map(|operation| operation.completed.unwrap_or(operation.invoked)).max().unwrap_or_default();
    let nodes = operations().map(|operation| operation.node).collect();
    let sentence = contradiction.unwrap_or(explanation.sentence);
    let witness = Witness::new(sentence, explanation.lines, steps, at, nodes);
    Witness { picture: Some(explanation.picture), ..witness }
}

/// How stale the key's answers are, where values tell: one write behind is another matter than a thousand.
fn graded(history: &KeyHistory<'_>) -> Option<String> {
    let budget = Budget { configurations: GRADING, bytes: 16 << 20, stop: None };
    let grade = staleness::grade(&history.entries, BEHIND_MAX, &budget).ok()?;
    let (worst, by) = grade.behind.iter().copied().max_by_key(|&(place, by)| (by, std::cmp::Reverse(place)))?;
    let operation = history.operations[history.sources[worst as usize]];
    let line = operation.complete_line.unwrap_or(operation.invoke_line);
    let rest = if grade.at_most == Some(by + 1) && grade.unexplained.is_empty() { ", and nothing worse" } else { "" };
    let answers = count(grade.behind.len(), "answer");
    let writes = count(by as usize, "write");
    Some(format!(
        "of all of key {}: {answers} certainly out of date, the worst by {writes} (line {line}){rest}",
        history.key
    ))
}

fn described(operation: &Operation) -> Described {
    let definite = matches!(operation.completion, Completion::Ok(_));
    Described {
        who: operation.node.to_string(),
        deed: deed(operation),
        asked: operation.invoked.to_string(),
        asked_line: Some(operation.invoke_line),
        answered: operation.completed.filter(|_| definite).map(|completed| completed.to_string()),
        answered_line: operation.complete_line,
        term: None,
    }
}

fn deed(operation: &Operation) -> Deed {
    let words = |value: Option<Value>| value.map(|value| value.to_string());
    match (&operation.action, &operation.completion) {
        (_, Completion::Ok(OpResult::Read { value, .. })) => Deed::Read { saw: words(*value) },
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped: false, observed, .. })) => {
            let saw = observed.map(|observed| words(observed).unwrap_or_else(|| "nothing".to_owned()));
            Deed::Refused { expect: words(*expect), new: value.to_string(), saw }
        }
        (Action::Cas { expect, value, .. }, _) => Deed::Cas { expect: words(*expect), new: value.to_string() },
        (Action::Write { value, .. }, _) => Deed::Write { value: value.to_string() },
        (Action::Read { .. }, _) => Deed::Read { saw: None },
        (
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. },
            _,
        ) => {
            unreachable!("the core of a register has operations of a register only")
        }
    }
}

/// What is known of the value that a single operation saw, if nobody wrote it.
fn fate<'a>(history: &KeyHistory<'_>, mut core: impl Iterator<Item = &'a Operation>) -> Option<String> {
    let (only, None) = (core.next()?, core.next()) else { return None };
    let value = match (&only.action, &only.completion) {
        (_, Completion::Ok(OpResult::Read { value, .. })) => *value,
        (_, Completion::Ok(OpResult::Cas { swapped: false, observed, .. })) => observed.flatten(),
        (Action::Cas { expect, .. }, _) => *expect,
        (Action::Read { .. } | Action::Write { .. }, _) => None,
        (
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. },
            _,
        ) => None,
    }?;
    let mut writers =
        history.operations.iter().filter(|operation| operation.action.written() == Some(value)).peekable();
    if writers.peek().is_none() {
        return Some("a value that nobody wrote".to_owned());
    }
    let failed = |operation: &&&Operation| matches!(operation.completion, Completion::Fail(_));
    let lines: Vec<usize> = writers.clone().filter(failed).filter_map(|operation| operation.complete_line).collect();
    let line = lines.first().filter(|_| writers.all(|operation| failed(&operation)))?;
    Some(format!("the only write of which had failed for certain (line {line})"))
}

/// An answer that contradicts itself.
fn contradiction(key: &str, operation: &Operation) -> Option<String> {
    let (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped, observed, .. })) =
        (&operation.action, &operation.completion)
    else {
        return None;
    };
    let content = |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
    let did = if *swapped { "swapped" } else { "refused to swap" };
    Some(format!(
        "{} {did} {} for {value} at key {key} and says that it saw {}, which contradicts itself",
        operation.node,
        content(*expect),
        content(observed.flatten())
    ))
}
