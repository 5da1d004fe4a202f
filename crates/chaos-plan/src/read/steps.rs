//! Fault plans: steps, their verbs, and what stands beside the verbs.
//!
//! A step whose verb can't be told is dropped; one whose verb is clear but whose value is wrong stays, with some value in
//! its place, so that the order of the steps can still be judged.

use std::time::Duration;

use chaos_history::{FaultKind, SourcePlace};

use super::workload::has;
use super::{Field, Fields, Reader};
use crate::control::Phase;
use crate::error::Mistake;
use crate::model::{Awaited, Choice, DurationRange, FaultPlan, Step, StepAction, Target};
use crate::source::Place;
use crate::words;
use crate::yaml::{Node, NodeKind};

/// How many steps a plan may have; loops count once.
const STEPS_MAX: usize = 1_000;
/// How deep steps may be nested in others.
pub(super) const NESTING_MAX: usize = 8;
const REPEAT_MAX: u64 = 10_000;
const WEIGHT_MAX: u64 = 1_000;
const WITHIN_DEFAULT: Duration = Duration::from_secs(10);

/// A fault plan as read.
pub(crate) struct ReadPlan {
    /// The plan.
    pub(crate) plan: FaultPlan,
    /// Where each step's verb stands, by the step's number.
    pub(crate) places: Vec<Place>,
    /// Whether every step could be told; otherwise what is missing from the plan may be what the user meant.
    pub(crate) complete: bool,
}

impl Reader {
    /// Reads a fault plan's mapping. `stem` is its name if it doesn't say another.
    pub(crate) fn fault_plan(&mut self, field: Field<'_>, stem: &str) -> Option<ReadPlan> {
        if has(field.node, "system") && !has(field.node, "steps") {
            let mistake = Mistake::at(field.node.place, "this is a workload, not a fault plan")
                .help("a fault plan has `steps`: name one, or write it right here");
            self.note(mistake);
            return None;
        }
        let fields = self.open(field, &[&words::FAULT_PLAN])?;
        self.version(&fields);
        self.step_places.clear();
        self.step_names.clear();
        self.dropped_step = false;
        let name = match fields.get("name") {
            Some(field) => self.name(field).unwrap_or_default(),
            None => self.name_of_file(&fields, stem),
        };
        let about = self.about(&fields);
        let steps = match fields.get("steps") {
            Some(field) => self.steps(field),
            None => {
                self.missing(
                    fields.place,
                    "a fault plan",
                    "steps",
                    "add for example `steps: [{ kill: leader, for: 2s }]`",
                );
                self.dropped_step = true;
                Vec::new()
            }
        };
        let places = std::mem::take(&mut self.step_places);
        Some(ReadPlan { plan: FaultPlan { name, about, steps }, places, complete: !self.dropped_step })
    }

    pub(super) fn steps(&mut self, field: Field<'_>) -> Vec<Step> {
        let Some(items) = self.list(field, "a list of steps") else {
            self.dropped_step = true;
            return Vec::new();
        };
        if items.is_empty() {
            self.note(Mistake::at(field.node.place, "no steps").label("at least one is needed"));
        }
        self.nested(field.key, |reader| reader.listed(items)).unwrap_or_default()
    }

    fn listed(&mut self, items: &[Node]) -> Vec<Step> {
        let mut steps = Vec::new();
        for item in items {
            if !self.has_room(item.place) {
                break;
            }
            match self.step(item) {
                Some(step) => steps.push(step),
                None => self.dropped_step = true,
            }
        }
        steps
    }

    /// Whether the plan may have another step; a mistake is noted otherwise.
    pub(super) fn has_room(&mut self, place: Place) -> bool {
        let room = self.step_places.len() < STEPS_MAX;
        if !room {
            let message = format!("a fault plan of more than {STEPS_MAX} steps");
            self.note(Mistake::at(place, message).label("`repeat` says the same with fewer"));
        }
        room
    }

    /// The number of a step that is about to be read.
    pub(super) fn next_step(&mut self, place: Place) -> usize {
        self.step_places.push(place);
        self.step_places.len() - 1
    }

    pub(super) fn step(&mut self, node: &Node) -> Option<Step> {
        let number = self.next_step(node.place);
        let item = Field::unnamed("a step", node);
        match &node.kind {
            NodeKind::Scalar(text) => self.bare_step(number, node, text),
            NodeKind::Map(_) => {
                let fields = self.open(item, &[&words::VERBS, &words::MODIFIERS])?;
                match fields.get("on") {
                    Some(on) => self.on(number, on, &fields),
                    None => self.verb_step(number, &fields),
                }
            }
            NodeKind::Null | NodeKind::List(_) => {
                self.wrong_type(item, "a verb and its object, for example `kill: leader`");
                None
            }
        }
    }

    /// A step with a verb, without what it may wait for.
    pub(super) fn verb_step(&mut self, number: usize, fields: &Fields<'_>) -> Option<Step> {
        let verb = self.verb(fields)?;
        self.step_places[number] = verb.key;
        let place = self.written_at(verb.key, fields)?;
        Some(Step { number, place, action: self.action(verb, Some(fields))? })
    }

    /// Where a step was written: here, or where a saved plan says.
    pub(super) fn written_at(&mut self, key: Place, fields: &Fields<'_>) -> Option<SourcePlace> {
        match fields.get("place") {
            Some(field) => self.parsed(field, "a place, `file:line:column`", source_place),
            None => Some(self.sources.locate(key)),
        }
    }

    /// `- heal`, without a colon.
    fn bare_step(&mut self, number: usize, node: &Node, text: &str) -> Option<Step> {
        if !words::VERBS.has(text) {
            let names: Vec<_> = words::VERBS.names().collect();
            self.unknown(node.place, "step", text, &names);
            return None;
        }
        let nothing = Node { place: node.place, kind: NodeKind::Null };
        let action = self.action(Field { name: text, key: node.place, node: &nothing }, None)?;
        Some(Step { number, place: self.sources.locate(node.place), action })
    }

    /// The one verb of a step.
    fn verb<'n>(&mut self, fields: &Fields<'n>) -> Option<Field<'n>> {
        let mut verbs = fields.known(&words::VERBS);
        let Some(verb) = verbs.next() else {
            if fields.all_known {
                let names: Vec<_> = words::VERBS.names().collect();
                let mistake =
                    Mistake::at(fields.place, "a step without a verb").help(format!("one of {}", names.join(", ")));
                self.note(mistake);
            }
            return None;
        };
        if let Some(second) = verbs.next() {
            let mistake = Mistake::at(second.key, format!("`{}` besides `{}`", second.name, verb.name))
                .label("a step has one verb: begin another with `- `")
                .also(verb.key, "the step's verb");
            self.note(mistake);
        }
        let takes_for = FaultKind::named(verb.name).is_some();
        if let Some(field) = fields.get("until").filter(|_| !takes_for && verb.name != "repeat") {
            let mistake = Mistake::at(field.key, format!("`until` beside `{}`", verb.name));
            self.note(mistake.label("only faults last until something, or a `repeat`"));
        }
        if let Some(field) = fields.get("for").filter(|_| !takes_for) {
            let mistake = Mistake::at(field.key, format!("`for` beside `{}`", verb.name));
            self.note(match verb.name {
                "random" => mistake.label("it belongs inside: `random: { for: 60s, … }`"),
                "wait" => mistake.label("write `wait: 2s`"),
                "await" => mistake.label("write `await: { stable: 1s }`"),
                _ => mistake.label("only faults last for a time"),
            });
        }
        if let Some(field) = fields.get("steps").filter(|_| verb.name != "repeat") {
            let mistake = Mistake::at(field.key, format!("`steps` beside `{}`", verb.name));
            self.note(mistake.label("only `repeat` has steps of its own here"));
        }
        self.modifiers(verb, takes_for, fields);
        Some(verb)
    }

    /// Notes what stands beside a verb that has no use for it.
    fn modifiers(&mut self, verb: Field<'_>, is_fault: bool, fields: &Fields<'_>) {
        let beside = |field: Field<'_>| Mistake::at(field.key, format!("`{}` beside `{}`", field.name, verb.name));
        if let Some(field) = fields.get("phase").filter(|_| !is_fault && verb.name != "together") {
            self.note(beside(field).label("only what begins a fault has a phase"));
        }
        if let Some(field) = fields.get("name").filter(|_| !is_fault) {
            self.note(beside(field).label("only faults name whom they hit"));
        }
        for name in ["after", "within"] {
            if let Some(field) = fields.get(name).filter(|_| fields.get("on").is_none()) {
                let mistake = Mistake::at(field.key, format!("`{name}` without `on`"));
                self.note(mistake.label("there is nothing to wait for").help("for example `on: { leader: elected }`"));
            }
        }
    }

    fn action(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Option<StepAction> {
        let modifier = |name| fields.and_then(|fields| fields.get(name));
        if let Some(kind) = FaultKind::named(verb.name) {
            let hold = self.hold((kind, verb), modifier("for"), modifier("until"));
            let phase = modifier("phase").map_or(Phase::Drawn, |field| self.phase(field));
            let fault = self.fault(kind, verb)?;
            // After the target: nobody aims at whom this very step hits.
            let name = modifier("name").and_then(|field| self.target_name(field));
            return Some(StepAction::Fault { fault, hold, phase, name });
        }
        Some(match verb.name {
            "restart" => StepAction::Restart { target: self.whom_or_all(verb) },
            "resume" => StepAction::Resume { target: self.whom_or_all(verb) },
            "heal" => {
                if verb.node.kind != NodeKind::Null {
                    self.one_of(verb, "thing to heal", &["all"]);
                }
                StepAction::Heal
            }
            "await" => self.awaiting(verb)?,
            "wait" => StepAction::Wait(self.duration_range(verb)?),
            "repeat" => self.repeat(verb, modifier("until"), modifier("steps")),
            "together" => self.together(verb, modifier("phase"))?,
            "random" => self.random(verb)?,
            verb => unreachable!("`{verb}` is not in the table of verbs"),
        })
    }

    /// The target of a restart or resume: nothing and `all` both mean all that are down or paused.
    fn whom_or_all(&mut self, verb: Field<'_>) -> Option<Target> {
        if verb.node.kind == NodeKind::Null {
            return None;
        }
        Some(self.target(verb)).filter(|target| *target != Target::All)
    }

    fn awaiting(&mut self, verb: Field<'_>) -> Option<StepAction> {
        if let NodeKind::Scalar(text) = &verb.node.kind {
            if text == "stable" {
                self.note(Mistake::at(verb.node.place, "`stable` for how long?").help("write `await: { stable: 1s }`"));
                return None;
            }
            self.one_of(verb, "thing to await", &["leader"])?;
            return Some(StepAction::Await { what: Awaited::Leader, within: WITHIN_DEFAULT });
        }
        let fields = self.open(verb, &[&words::AWAIT])?;
        let within_field = fields.get("within");
        let within = within_field.and_then(|field| self.duration(field)).unwrap_or(WITHIN_DEFAULT);
        let what = match (fields.get("leader"), fields.get("stable")) {
            (Some(leader), None) => {
                if self.boolean(leader) == Some(false) {
                    self.note(Mistake::at(leader.node.place, "`leader: false` awaits nothing"));
                }
                Awaited::Leader
            }
            (None, Some(stable)) => {
                let lasting = self.duration(stable)?;
                if lasting >= within {
                    let place = within_field.unwrap_or(stable).node.place;
                    let message = format!("`within` of {} is too short", crate::scalar::write_duration(within));
                    self.note(Mistake::at(place, message).label("it must be longer than `stable`"));
                }
                Awaited::Stable(lasting)
            }
            (Some(leader), Some(stable)) => {
                let mistake = Mistake::at(stable.key, "`stable` besides `leader`")
                    .label("stable means a stable leader: leave `leader` out")
                    .also(leader.key, "here");
                self.note(mistake);
                Awaited::Leader
            }
            (None, None) => {
                if fields.all_known {
                    self.note(
                        Mistake::at(verb.key, "`await` what?").help("for example `await: { stable: 1s, within: 10s }`"),
                    );
                }
                return None;
            }
        };
        Some(StepAction::Await { what, within })
    }

    fn repeat(&mut self, verb: Field<'_>, until: Option<Field<'_>>, steps: Option<Field<'_>>) -> StepAction {
        let times = self.count(verb, 1..=REPEAT_MAX).and_then(|times| u32::try_from(times).ok()).unwrap_or(1);
        let until = until.and_then(|field| self.stop(field));
        let steps = match steps {
            Some(field) => {
                self.repeats += 1;
                let steps = self.steps(field);
                self.repeats -= 1;
                steps
            }
            None => {
                self.missing(verb.key, "`repeat`", "steps", "what is repeated stands beside it, as `steps:`");
                self.dropped_step = true;
                Vec::new()
            }
        };
        StepAction::Repeat { times, until, steps }
    }

    fn random(&mut self, verb: Field<'_>) -> Option<StepAction> {
        let fields = self.open(verb, &[&words::RANDOM])?;
        let mut needed = |name: &'static str| {
            let field = fields.get(name);
            if field.is_none() {
                let form = words::RANDOM.words.iter().find(|word| word.name == name).map_or("", |word| word.form);
                self.missing(verb.key, "`random`", name, &format!("for example `{name}: {form}`"));
            }
            field
        };
        let (lasting, every, choices) = (needed("for"), needed("every"), needed("choices"));
        let any = Duration::from_secs(1);
        let lasting = lasting.and_then(|field| self.duration(field)).unwrap_or(any);
        let every = every.and_then(|field| self.duration_range(field)).unwrap_or(DurationRange { min: any, max: any });
        let choices = choices.map(|field| self.choices(field)).unwrap_or_default();
        let swarm_millionths = fields.get("swarm").and_then(|field| self.swarm(field));
        Some(StepAction::Random { lasting, every, swarm_millionths, choices })
    }

    fn swarm(&mut self, field: Field<'_>) -> Option<u32> {
        let share = self.parsed(field, "a percentage, for example `40%`", crate::scalar::share_millionths)?;
        if share == 0 {
            self.note(Mistake::at(field.node.place, "`swarm` of nothing").label("no choice would ever take part"));
        }
        Some(share)
    }

    fn choices(&mut self, field: Field<'_>) -> Vec<Choice> {
        let items = self.list(field, "a list, for example `- { weight: 3, steps: […] }`").unwrap_or_default();
        if items.is_empty() && matches!(field.node.kind, NodeKind::List(_)) {
            self.note(Mistake::at(field.node.place, "`random` without choices").label("at least one is needed"));
        }
        items.iter().filter_map(|item| self.choice(item)).collect()
    }

    fn choice(&mut self, item: &Node) -> Option<Choice> {
        let fields = self.open(Field::unnamed("a choice", item), &[&words::CHOICE])?;
        let weight = match fields.get("weight") {
            Some(field) => self.count(field, 1..=WEIGHT_MAX).and_then(|weight| u32::try_from(weight).ok()),
            None => Some(1),
        };
        let steps = match fields.get("steps") {
            Some(field) => self.steps(field),
            None => {
                self.dropped_step = true;
                if fields.all_known {
                    self.missing(
                        fields.place,
                        "a choice",
                        "steps",
                        "for example `{ weight: 3, steps: [{ kill: leader, for: 2s }] }`",
                    );
                }
                Vec::new()
            }
        };
        Some(Choice { weight: weight.unwrap_or(1), steps })
    }
}

/// Reads `faults/x.yaml:6:9`.
fn source_place(text: &str) -> Result<SourcePlace, &'static str> {
    let mut parts = text.rsplitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.parse::<usize>().ok()).filter(|&number| number > 0);
    let (column, line) = (number(), number());
    match (parts.next(), line, column) {
        (Some(file), Some(line), Some(column)) if !file.is_empty() => {
            Ok(SourcePlace { file: file.to_owned(), line, column })
        }
        (_, _, _) => Err("a file, a line and a column, with colons between them"),
    }
}
