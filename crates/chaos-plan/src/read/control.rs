//! What steers steps: `on`, `together`, the end of a `repeat`, phases and names.
//!
//! ```yaml
//! - on: { leader: elected }     # the sugar …
//!   after: 0ms..30ms
//!   kill: leader
//! - on: { leader: elected }     # … and what it is read as; saved plans have this
//!   after: 0ms..30ms
//!   steps: [{ kill: leader, phase: none }]
//! ```
//!
//! What an `on` sets off first, and what the branches of a `together` begin with, begins at once: a drawn phase would part it from
//! its trigger, or from its fellows.

use std::time::Duration;

use super::fields::DURATION_MAX;
use super::{Field, Fields, Reader};
use crate::control::{Condition, LeaderChange, Phase, Stop, TermMark};
use crate::error::{Mistake, nearest};
use crate::model::{DurationRange, Step, StepAction};
use crate::scalar;
use crate::source::Place;
use crate::words::{self, Table};
use crate::yaml::{Node, NodeKind};

const WITHIN_DEFAULT: Duration = Duration::from_secs(30);
const OPERATIONS_MAX: u64 = 1_000_000_000;

impl Reader {
    /// A step that waits for something, with what it then does.
    pub(super) fn on(&mut self, number: usize, on: Field<'_>, fields: &Fields<'_>) -> Option<Step> {
        self.step_places[number] = on.key;
        let place = self.written_at(on.key, fields)?;
        let condition = self.one_condition(on, &words::ON);
        let none = DurationRange { min: Duration::ZERO, max: Duration::ZERO };
        let after = fields.get("after").and_then(|field| self.range_from_zero(field)).unwrap_or(none);
        let within = fields.get("within").and_then(|field| self.duration(field)).unwrap_or(WITHIN_DEFAULT);
        let has_verb = fields.known(&words::VERBS).next().is_some();
        let mut steps = if has_verb { self.set_off(on, fields) } else { self.set_off_alone(fields) };
        if let Some(first) = steps.first_mut() {
            begin_at_once(first);
        }
        Some(Step { number, place, action: StepAction::On { condition: condition?, after, within, steps } })
    }

    /// The step's own verb.
    fn set_off(&mut self, on: Field<'_>, fields: &Fields<'_>) -> Vec<Step> {
        let inner = |reader: &mut Self| {
            let number = reader.has_room(fields.place).then(|| reader.next_step(fields.place))?;
            reader.verb_step(number, fields)
        };
        let step = self.nested(on.key, inner).flatten();
        self.dropped_step |= step.is_none();
        step.into_iter().collect()
    }

    /// What stands beside an `on` without a verb: steps, or nothing.
    fn set_off_alone(&mut self, fields: &Fields<'_>) -> Vec<Step> {
        for name in ["for", "until", "phase", "name"] {
            if let Some(field) = fields.get(name) {
                let mistake = Mistake::at(field.key, format!("`{name}` beside `on` alone"));
                self.note(mistake.label("it belongs to a fault"));
            }
        }
        fields.get("steps").map(|field| self.steps(field)).unwrap_or_default()
    }

    /// The branches of a `together`: steps, or lists of them.
    pub(super) fn together(&mut self, verb: Field<'_>, phase: Option<Field<'_>>) -> Option<StepAction> {
        let items = self.list(verb, "a list of steps, for example `[{ pause: leader, for: 2s }, …]`")?;
        if items.len() < 2 {
            let label = if items.is_empty() { "at least two are needed" } else { "with whom?" };
            self.note(Mistake::at(verb.node.place, "`together` of less than two").label(label));
        }
        let branches = items.iter().map(|item| self.branch(verb, item)).collect();
        let phase = phase.map_or(Phase::Drawn, |field| self.phase(field));
        Some(StepAction::Together { phase, branches })
    }

    fn branch(&mut self, together: Field<'_>, item: &Node) -> Vec<Step> {
        let mut steps = match &item.kind {
            NodeKind::Map(entries) if matches!(entries.as_slice(), [(key, _)] if key.value == "steps") => {
                let (key, node) = &entries[0];
                self.steps(Field { name: &key.value, key: key.place, node })
            }
            NodeKind::Map(_) | NodeKind::Scalar(_) | NodeKind::List(_) | NodeKind::Null => {
                let read = |reader: &mut Self| if reader.has_room(item.place) { reader.step(item) } else { None };
                let step = self.nested(together.key, read).flatten();
                self.dropped_step |= step.is_none();
                step.into_iter().collect()
            }
        };
        if let Some(first) = steps.first_mut() {
            if let StepAction::Fault { phase: Phase::Offset(_) | Phase::Sweep, .. }
            | StepAction::Together { phase: Phase::Offset(_) | Phase::Sweep, .. } = &first.action
            {
                let mistake = Mistake::at(self.step_places[first.number], "a phase of its own inside `together`")
                    .label("it begins with the others")
                    .also(together.key, "write `phase` beside this");
                self.note(mistake);
            }
            begin_at_once(first);
        }
        steps
    }

    /// Reads something that stands deeper; nothing, with a mistake noted, if that is too deep.
    pub(super) fn nested<T>(&mut self, place: Place, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.step_nesting == super::steps::NESTING_MAX {
            let message = format!("steps nested more than {} deep", super::steps::NESTING_MAX);
            self.note(Mistake::at(place, message).label("this is one too many"));
            return None;
        }
        self.step_nesting += 1;
        let found = read(self);
        self.step_nesting -= 1;
        Some(found)
    }

    /// What ends a repetition.
    pub(super) fn stop(&mut self, field: Field<'_>) -> Option<Stop> {
        let condition = self.one_condition(field, &words::STOP)?;
        let NodeKind::Map(entries) = &field.node.kind else { return None };
        let within = entries.iter().find(|(key, _)| key.value == "within");
        let within = within.and_then(|(key, node)| self.duration(Field { name: "within", key: key.place, node }));
        Some(Stop { condition, within })
    }

    /// The one condition in a mapping with the words of the table.
    fn one_condition(&mut self, field: Field<'_>, table: &'static Table) -> Option<Condition> {
        let fields = self.open(field, &[table])?;
        let mut conditions = fields.known(&words::ON);
        let Some(condition) = conditions.next() else {
            if fields.all_known {
                let help = format!("for example `{}: {{ leader: elected }}`", field.name);
                self.note(Mistake::at(field.key, format!("`{}` what?", field.name)).help(help));
            }
            return None;
        };
        if let Some(second) = conditions.next() {
            let mistake = Mistake::at(second.key, format!("`{}` besides `{}`", second.name, condition.name))
                .label("one thing is waited for")
                .also(condition.key, "the first");
            self.note(mistake);
        }
        match condition.name {
            "leader" => {
                let change = self.one_of(condition, "change of the leader", &["elected", "another", "lost"])?;
                Some(Condition::Leader(match change {
                    "elected" => LeaderChange::Elected,
                    "another" => LeaderChange::Another,
                    _ => LeaderChange::Lost,
                }))
            }
            "vote" => self.one_of(condition, "vote", &["granted"]).map(|_| Condition::VoteGranted),
            "term" => self.parsed(condition, "a term, for example `5` or `+2`", term_mark).map(Condition::Term),
            "lease" => {
                let fields = self.open(condition, &[&words::LEASE_BOUND])?;
                let Some(below) = fields.get("below") else {
                    let message = "a lease without `below`";
                    self.note(Mistake::at(condition.key, message).help("for example `lease: { below: 50ms }`"));
                    return None;
                };
                self.duration(below).map(Condition::LeaseBelow)
            }
            _ => self.count(condition, 1..=OPERATIONS_MAX).map(Condition::Operations),
        }
    }

    /// `none`, `sweep`, or a time after a heartbeat.
    pub(super) fn phase(&mut self, field: Field<'_>) -> Phase {
        match &field.node.kind {
            NodeKind::Scalar(text) if text == "none" => Phase::AtOnce,
            NodeKind::Scalar(text) if text == "sweep" => {
                if self.repeats == 0 {
                    let mistake = Mistake::at(field.node.place, "a sweep outside of `repeat`")
                        .label("there are no rounds to step through");
                    self.note(mistake);
                }
                Phase::Sweep
            }
            NodeKind::Scalar(_) | NodeKind::Map(_) | NodeKind::List(_) | NodeKind::Null => {
                self.range_from_zero(field).map_or(Phase::Drawn, Phase::Offset)
            }
        }
    }

    /// What a step calls the nodes that it hits.
    pub(super) fn target_name(&mut self, field: Field<'_>) -> Option<String> {
        let name = self.text(field, "a name, for example `first`")?;
        if !is_name(name) {
            let mistake = Mistake::at(field.node.place, format!("`{name}` can't name a target"))
                .label("letters, digits, `-` and `_` only, 64 at most, and first a letter");
            self.note(mistake);
            return None;
        }
        if let Some((_, first)) = self.step_names.iter().find(|(known, _)| known == name) {
            let mistake = Mistake::at(field.node.place, format!("`{name}` names two steps' targets"))
                .label("one name, one step")
                .also(*first, "first here");
            self.note(mistake);
        }
        self.step_names.push((name.to_owned(), field.node.place));
        Some(name.to_owned())
    }

    /// Whether a step before this one has named its target so; a mistake is noted otherwise.
    pub(super) fn is_named_before(&mut self, place: Place, name: &str) -> bool {
        let names = self.step_names.iter().map(|(known, _)| known.as_str());
        if names.clone().any(|known| known == name) {
            return true;
        }
        let mistake = Mistake::at(place, format!("unknown name `${name}`"));
        let mistake = match nearest(name, names) {
            Some(near) => mistake.label(format!("did you mean `${near}`?")),
            None => mistake
                .label("no step before this one has it")
                .help(format!("a fault names whom it hits by `name: {name}` beside its verb")),
        };
        self.note(mistake);
        false
    }

    fn range_from_zero(&mut self, field: Field<'_>) -> Option<DurationRange> {
        self.range_within(field, Duration::ZERO..=DURATION_MAX)
    }
}

/// Takes the drawn phase away from what begins together with something else.
fn begin_at_once(step: &mut Step) {
    if let StepAction::Fault { phase: phase @ Phase::Drawn, .. }
    | StepAction::Together { phase: phase @ Phase::Drawn, .. } = &mut step.action
    {
        *phase = Phase::AtOnce;
    }
}

/// Whether a target may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(rest)
}

/// Reads `5` or `+2`.
fn term_mark(text: &str) -> Result<TermMark, &'static str> {
    let (digits, later) = match text.strip_prefix('+') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    match scalar::whole(digits)? {
        0 => Err("every node has reached that"),
        term if later => Ok(TermMark::Later(term)),
        term => Ok(TermMark::At(term)),
    }
}
