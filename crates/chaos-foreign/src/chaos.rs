//! Our own history outside its run directory: registers by key.
//!
//! Only the client's operations are used; what nodes said of their leaders takes the whole run to be judged. An answer that
//! contradicts itself (refused, having seen what was expected) is a read of something that nobody ever wrote.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{Register, RegisterOp};
use chaos_history::{Action, Completion, History, ObjectKind, OpResult, Operation, Value, operations};

use crate::build::{Names, line};
use crate::error::ParseError;
use crate::object::{Counts, Format, Keys, Object, Objects, Parsed, Refusal, Source};
use crate::rules;

/// How the value begins that stands for an answer that can't be. No value of any format is written so.
pub(crate) const CONTRADICTION: &str = "an answer that contradicts itself";

/// The objects of a history of chaos.
///
/// # Errors
/// If its events are no history of operations, or it has none.
pub fn from_history(history: &History) -> Result<Parsed, ParseError> {
    let operations = operations(&history.events).map_err(|error| {
        let text = error.to_string();
        // The error's own words begin with the line.
        let (line, what) = text.strip_prefix("line ").and_then(|text| text.split_once(": ")).unwrap_or(("", &text));
        ParseError::NotAHistory { line: line.parse().unwrap_or_default(), what: what.to_owned() }
    })?;
    let lines = history.events.last().map_or(1, |recorded| recorded.line);
    let mut counts = Counts { lines, foreign: history.events.len() as u64, ..Counts::default() };
    let mut drafts: Vec<(Names, Object<Register>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut processes: Vec<String> = Vec::new();
    let mut actors: Vec<String> = Vec::new();
    let mut numbers: BTreeMap<u64, u32> = BTreeMap::new();
    for operation in &operations {
        counts.operations += 1;
        counts.foreign -= 1 + u64::from(operation.complete_line.is_some());
        let key = operation.action.key();
        let place = *places.entry(key).or_insert_with(|| {
            drafts.push((Names::starting_with("nil".to_owned()), Object::empty(Some(key.to_owned()), Register)));
            drafts.len() - 1
        });
        let (names, object) = &mut drafts[place];
        let Some(what) = meaning(operation, names)? else {
            let read = matches!((&operation.action, &operation.completion), (Action::Read { .. }, Completion::Info(_)));
            *(if read { &mut counts.unknown_reads } else { &mut counts.did_not_happen }) += 1;
            continue;
        };
        let answered = match operation.completion {
            Completion::Ok(_) => operation.completed.map(|at| at.0),
            Completion::Fail(_) | Completion::Info(_) => None,
        };
        counts.used += 1;
        counts.used_unanswered += u64::from(answered.is_none());
        let process = *numbers.entry(operation.process.0).or_insert_with(|| {
            processes.push(format!("{} ({})", operation.process.0, operation.node));
            actors.push(operation.node.to_string());
            line(processes.len() - 1)
        });
        if let (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped: false, observed, .. })) =
            (&operation.action, &operation.completion)
            && *observed != Some(*expect)
        {
            let refusal = Refusal { expect: name(*expect), new: value.to_string() };
            object.refusals.insert(line(object.entries.len()), refusal);
        }
        object.entries.push(Entry { what, invoked: operation.invoked.0, answered });
        let ended_line = operation.complete_line.and_then(|ended| NonZeroU32::new(line(ended)));
        object.sources.push(Source { process, invoked_line: line(operation.invoke_line), ended_line });
    }
    if counts.operations == 0 {
        return Err(ParseError::NoOperations { lines, ignored: counts.foreign });
    }
    let objects = drafts.into_iter().map(|(names, object)| Object { names: names.into_texts(), ..object });
    Ok(Parsed {
        format: Format::Chaos,
        kind: "cas-register",
        objects: Objects::Register(objects.collect()),
        processes,
        actors,
        nanoseconds: true,
        keys: Keys::Field,
        failed_cas: None,
        initial: "nil".to_owned(),
        rules: rules::of_chaos(),
        counts,
        torn: history.torn.then_some(lines + 1),
    })
}

fn name(value: Option<Value>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| value.to_string())
}

/// What an operation says; `None` if nothing.
fn meaning(operation: &Operation, names: &mut Names) -> Result<Option<RegisterOp>, ParseError> {
    if operation.action.object() != ObjectKind::Register {
        let what = "an operation on a set or a lock: only registers are read from a bare history".to_owned();
        return Err(ParseError::Value { line: operation.invoke_line, what });
    }
    let result = match &operation.completion {
        Completion::Fail(_) => return Ok(None),
        Completion::Info(_) => {
            return Ok(match &operation.action {
                Action::Read { .. } => None,
                Action::Write { value, .. } => Some(RegisterOp::Write(names.number_of(name(Some(*value))))),
                Action::Cas { expect, value, .. } => Some(cas(*expect, *value, names)),
                Action::Add { .. }
                | Action::Elements { .. }
                | Action::Acquire { .. }
                | Action::Release { .. }
                | Action::Access { .. } => {
                    unreachable!("only registers are left")
                }
            });
        }
        Completion::Ok(result) => result,
    };
    let op = match (&operation.action, result) {
        (Action::Read { .. }, OpResult::Read { value, .. }) => RegisterOp::Read(names.number_of(name(*value))),
        (Action::Write { value, .. }, OpResult::Written { .. }) => {
            RegisterOp::Write(names.number_of(name(Some(*value))))
        }
        (Action::Cas { expect, value, .. }, OpResult::Cas { swapped: true, observed, .. }) => {
            match observed.filter(|observed| observed != expect && *observed != Some(*value)) {
                Some(observed) => contradiction(observed, *expect, names),
                None => cas(*expect, *value, names),
            }
        }
        (Action::Cas { expect, .. }, OpResult::Cas { swapped: false, observed, .. }) => match observed {
            Some(observed) if observed == expect => contradiction(*observed, *expect, names),
            Some(observed) => RegisterOp::Read(names.number_of(name(*observed))),
            None => RegisterOp::Refused { unlike: names.number_of(name(*expect)) },
        },
        (
            Action::Read { .. }
            | Action::Write { .. }
            | Action::Cas { .. }
            | Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. },
            _,
        ) => {
            let line = operation.complete_line.unwrap_or(operation.invoke_line);
            let what = "the answer is not one to the operation's question".to_owned();
            return Err(ParseError::Value { line, what });
        }
    };
    Ok(Some(op))
}

fn cas(expect: Option<Value>, new: Value, names: &mut Names) -> RegisterOp {
    RegisterOp::Cas { expect: names.number_of(name(expect)), new: names.number_of(name(Some(new))) }
}

/// An answer that can't be: possible in no state of the register.
fn contradiction(observed: Option<Value>, expect: Option<Value>, names: &mut Names) -> RegisterOp {
    let text = format!("{CONTRADICTION}: cas of {}, saw {}", name(expect), name(observed));
    RegisterOp::Read(names.number_of(text))
}
