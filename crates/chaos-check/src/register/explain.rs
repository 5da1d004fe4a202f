//! The witness of a key without a legal order, in words.
//!
//! The sentence is derived from the few operations that remain; where no simple story fits, it says that they have no
//! order. The steps give each operation with the times of its question and its answer, so that a reader can try the orders for
//! himself.

use chaos_history::{Action, Completion, OpResult, Operation, Value};

use crate::linear::models::RegisterOp;
use crate::verdict::Witness;

/// An operation of a counterexample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken<'a> {
    /// The operation.
    pub(super) operation: &'a Operation,
    /// As what it counts there, which may be less than what it was.
    pub(super) what: RegisterOp,
}

/// The witness: these operations of the key have no legal order by themselves. `operations` are all of the key's, for the
/// fate of a value that nobody wrote.
pub(super) fn witness(key: &str, core: &[Taken<'_>], operations: &[&Operation], verified: bool) -> Witness {
    let story = unwritten(key, core, operations)
        .or_else(|| contradiction(key, core))
        .or_else(|| rivals(key, core))
        .or_else(|| too_early(key, core));
    let staleness = if story.is_none() { stale(core) } else { None };
    let mut steps: Vec<String> = core.iter().map(|taken| step(key, taken.operation, staleness.as_ref())).collect();
    let lines = core
        .iter()
        .flat_map(|taken| [Some(taken.operation.invoke_line), taken.operation.complete_line].into_iter().flatten());
    let lines: Vec<usize> = lines.collect();
    steps.push(conclusion(key, core, staleness.as_ref()));
    if !verified {
        steps.push(
            "they have too many orders to try them all again one by one: this is the engine's word alone".to_owned(),
        );
    }
    let at = core.iter().map(|taken| taken.operation.completed.unwrap_or(taken.operation.invoked)).max();
    let sentence = story.or_else(|| staleness.map(|stale| stale.sentence(key))).unwrap_or_else(|| {
        format!("no single register could have answered as key {key} did to {} operations", core.len())
    });
    let nodes = core.iter().map(|taken| taken.operation.node).collect();
    Witness::new(sentence, lines, steps, at.unwrap_or_default(), nodes)
}

/// What the operation saw, if its answer tells.
fn seen(operation: &Operation) -> Option<Option<Value>> {
    match (&operation.action, &operation.completion) {
        (_, Completion::Ok(OpResult::Read { value, .. })) => Some(*value),
        (Action::Cas { expect, .. }, Completion::Ok(OpResult::Cas { swapped: true, .. })) => Some(*expect),
        (_, Completion::Ok(OpResult::Cas { swapped: false, observed: Some(value), .. })) => Some(*value),
        (Action::Read { .. } | Action::Write { .. } | Action::Cas { .. }, _) => None,
    }
}

/// What the operation left behind, if it did.
fn left(operation: &Operation) -> Option<Value> {
    match &operation.completion {
        Completion::Ok(OpResult::Read { .. } | OpResult::Cas { swapped: false, .. }) | Completion::Fail(_) => None,
        Completion::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }) | Completion::Info(_) => {
            operation.action.written()
        }
    }
}

fn content(value: Option<Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

/// What the node did, in the past tense of its answer: `wrote 9 to k0`, `replaced 7 by 9 in k0`.
fn deed(key: &str, operation: &Operation) -> String {
    match (&operation.action, &operation.completion) {
        (_, Completion::Ok(OpResult::Read { value: Some(value), .. })) => format!("read {value} from {key}"),
        (_, Completion::Ok(OpResult::Read { value: None, .. })) => format!("read nothing from {key}"),
        (_, Completion::Ok(OpResult::Written { .. })) => {
            format!("wrote {} to {key}", content(operation.action.written()))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped: true, .. })) => {
            format!("replaced {} by {value} in {key}", content(*expect))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { observed: Some(saw), .. })) => {
            format!("refused to replace {} by {value} in {key}, seeing {}", content(*expect), content(*saw))
        }
        (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { .. })) => {
            format!("refused to replace {} by {value} in {key}", content(*expect))
        }
        (Action::Cas { expect, value, .. }, _) => format!("replace {} by {value} in {key}", content(*expect)),
        (action, _) => format!("write {} to {key}", content(action.written())),
    }
}

/// One operation with the times between which it must have happened, and the lines that show them.
fn step(key: &str, operation: &Operation, staleness: Option<&Stale<'_>>) -> String {
    let (node, deed) = (operation.node, deed(key, operation));
    let (asked, asked_line) = (operation.invoked, operation.invoke_line);
    let end = match (&operation.completion, operation.completed, operation.complete_line) {
        (Completion::Ok(_), Some(completed), Some(line)) => Some((completed, line)),
        (_, _, _) => None,
    };
    let Some((at, line)) = end else {
        let noted = operation.complete_line.map_or(String::new(), |line| format!(" (line {line})"));
        return format!(
            "{node} was asked at {asked} (line {asked_line}) to {deed} and never gave a definite answer{noted}, so that it may \
             have done so at any time since, or never"
        );
    };
    let how = match operation.completion {
        Completion::Ok(OpResult::Written { .. } | OpResult::Cas { swapped: true, .. }) => "acknowledged",
        Completion::Ok(OpResult::Read { .. } | OpResult::Cas { swapped: false, .. })
        | Completion::Fail(_)
        | Completion::Info(_) => "answered",
    };
    match staleness {
        Some(stale) if std::ptr::eq(stale.reader, operation) => format!(
            "{node}, asked at {asked} (line {asked_line}), still {deed}, after {} had been {}: answered at {at} (line {line})",
            stale.value, stale.how
        ),
        Some(_) | None => format!("{node} {deed}, asked at {asked} (line {asked_line}), {how} at {at} (line {line})"),
    }
}

fn conclusion(key: &str, core: &[Taken<'_>], staleness: Option<&Stale<'_>>) -> String {
    let lines: Vec<String> = core.iter().map(|taken| taken.operation.invoke_line.to_string()).collect();
    let (first, lines) = (lines.first().map_or("", String::as_str), lines.join(", "));
    let last =
        core.last().is_some_and(|last| staleness.is_some_and(|stale| std::ptr::eq(stale.reader, last.operation)));
    if core.len() == 1 {
        return format!("nothing that key {key} can have held explains that answer (line {first})");
    }
    let what = if last { "the last one" } else { "all their answers" };
    format!(
        "no order of these operations (asked in lines {lines}) that respects their times explains {what}; key {key} held \
         nothing at first"
    )
}

/// An answer with a value that nobody wrote.
fn unwritten(key: &str, core: &[Taken<'_>], operations: &[&Operation]) -> Option<String> {
    let [only] = core else { return None };
    let value = seen(only.operation).flatten()?;
    let verb = if matches!(only.operation.action, Action::Read { .. }) { "read" } else { "saw" };
    let failed = operations.iter().find(|operation| {
        matches!(operation.completion, Completion::Fail(_)) && operation.action.written() == Some(value)
    });
    let fate = match failed.and_then(|failed| failed.complete_line) {
        Some(line) => format!("the only write of which had failed for certain (line {line})"),
        None => "a value that nobody wrote".to_owned(),
    };
    (!operations.iter().any(|operation| left(operation) == Some(value)))
        .then(|| format!("{} {verb} {value} for key {key}, {fate}", only.operation.node))
}

/// An answer that contradicts itself.
fn contradiction(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let [only] = core else { return None };
    let (Action::Cas { expect, value, .. }, Completion::Ok(OpResult::Cas { swapped, observed, .. })) =
        (&only.operation.action, &only.operation.completion)
    else {
        return None;
    };
    let did = if *swapped { "swapped" } else { "refused to swap" };
    Some(format!(
        "{} {did} {} for {value} at key {key} and says that it saw {}, which contradicts itself",
        only.operation.node,
        content(*expect),
        content(observed.flatten())
    ))
}

/// Two swaps of one value that was written once.
fn rivals(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let expects = |taken: &&Taken<'_>| matches!(taken.what, RegisterOp::Cas { .. });
    let swaps: Vec<&Operation> = core
        .iter()
        .filter(expects)
        .filter(|taken| left(taken.operation).is_some())
        .map(|taken| taken.operation)
        .collect();
    let [one, other] = swaps.as_slice() else { return None };
    if core.len() > 3 {
        return None;
    }
    let value = seen(one)?;
    (seen(other) == Some(value)).then(|| {
        let whose = if one.node == other.node {
            format!("{} twice", one.node)
        } else {
            format!("{} and {} both", one.node, other.node)
        };
        format!("{whose} swapped {} away from key {key}, which held it only once", content(value))
    })
}

/// A value seen before its write was sent.
fn too_early(key: &str, core: &[Taken<'_>]) -> Option<String> {
    let [one, other] = core else { return None };
    [(one, other), (other, one)].into_iter().find_map(|(reader, writer)| {
        let (reader, writer) = (reader.operation, writer.operation);
        let value = seen(reader).flatten()?;
        let early = left(writer) == Some(value) && reader.completed? < writer.invoked;
        early.then(|| {
            format!("{} gave {value} for key {key} before its write was even sent to {}", reader.node, writer.node)
        })
    })
}

/// An old value seen after a newer one was acknowledged or seen.
struct Stale<'a> {
    /// Who saw the old value.
    reader: &'a Operation,
    /// Who had acknowledged or seen the newer one before.
    newer: &'a Operation,
    /// The old value.
    old: Option<Value>,
    /// The newer one.
    value: Value,
    /// `acknowledged` or `read`.
    how: &'static str,
}

impl Stale<'_> {
    fn sentence(&self, key: &str) -> String {
        let saw = match (&self.reader.action, self.old) {
            (Action::Read { .. }, Some(old)) => format!("read {old} for key {key}"),
            (Action::Read { .. }, None) => format!("read nothing for key {key}"),
            (Action::Write { .. } | Action::Cas { .. }, old) => format!("saw {} at key {key}", content(old)),
        };
        let (value, how) = (self.value, self.how);
        let line = self.newer.complete_line.unwrap_or(self.newer.invoke_line);
        format!("{} {saw} after {value} had been {how} by {} (line {line})", self.reader.node, self.newer.node)
    }
}

fn stale<'a>(core: &[Taken<'a>]) -> Option<Stale<'a>> {
    let all = || core.iter().map(|taken| taken.operation);
    let reader = all().filter(|operation| seen(operation).is_some()).max_by_key(|operation| operation.invoked)?;
    let old = seen(reader)?;
    let newer = all()
        .filter(|operation| matches!(operation.completion, Completion::Ok(_)))
        .filter(|operation| operation.completed.is_some_and(|completed| completed < reader.invoked))
        .filter(|operation| left(operation).or(seen(operation).flatten()).is_some_and(|value| Some(value) != old))
        .max_by_key(|operation| operation.completed)?;
    let value = left(newer).or(seen(newer).flatten())?;
    let how = if left(newer).is_some() { "acknowledged" } else { "read" };
    Some(Stale { reader, newer, old, value, how })
}
