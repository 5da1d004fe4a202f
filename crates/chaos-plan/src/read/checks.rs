//! What must hold.

use std::time::Duration;

use super::fields::DURATION_MAX;
use super::{Field, Reader};
use crate::definition::{AcknowledgedWrites, OneLeader, Promises, Reads, SystemDefinition};
use crate::error::Mistake;
use crate::model::{Check, System};
use crate::source::Place;
use crate::words;
use crate::yaml::{Node, NodeKind};

/// In a list of checks: those that a workload without a list would have.
const PROMISED: &str = "promised";

/// What is checked of a workload that doesn't say: every safety property.
const DEFAULT: [Check; 4] =
    [Check::ElectionSafety, Check::TermMonotonic, Check::Linearizable, Check::NoAcknowledgedWriteLost];

impl Reader {
    pub(super) fn checks(&mut self, field: Option<Field<'_>>, system: Option<&System>) -> Vec<Check> {
        let Some(field) = field else { return self.default_checks(system) };
        let Some(items) = self.list(field, "a list of checks, for example `[election-safety]`") else {
            return Vec::new();
        };
        if items.is_empty() {
            let mistake = Mistake::at(field.node.place, "a workload that checks nothing")
                .label("its verdict would mean nothing")
                .help("leave `checks` out to check every safety property");
            self.note(mistake);
        }
        let mut checks: Vec<Check> = Vec::new();
        let mut promised = None;
        for item in items {
            if let Some(place) = self.says_promised(item) {
                if promised.is_some() {
                    self.note(Mistake::at(place, "`promised` is checked already"));
                }
                promised = promised.or(Some((place, checks.len())));
                continue;
            }
            let Some(check) = self.check(Field::unnamed("a check", item)) else { continue };
            if let Some(System::Defined(defined)) = system {
                self.can_be_checked(check, item.place, &defined.definition);
            }
            if checks.iter().any(|earlier| earlier.name() == check.name()) {
                self.note(Mistake::at(item.place, format!("`{}` is checked already", check.name())));
            } else {
                checks.push(check);
            }
        }
        if let Some((place, index)) = promised {
            self.promise_in_place(&mut checks, index, place, system);
        }
        checks
    }

    /// Where an item of the list is the word `promised`, which stands for as many checks as the system promises.
    fn says_promised(&mut self, item: &Node) -> Option<Place> {
        match &item.kind {
            NodeKind::Scalar(text) if text == PROMISED => Some(item.place),
            NodeKind::Map(entries) => match entries.as_slice() {
                [(key, value)] if key.value == PROMISED => {
                    if value.kind != NodeKind::Null {
                        self.note(Mistake::at(value.place, format!("`{PROMISED}` has no options")));
                    }
                    Some(key.place)
                }
                [] | [_, ..] => None,
            },
            NodeKind::Scalar(_) | NodeKind::Null | NodeKind::List(_) => None,
        }
    }

    /// Puts the checks that `promised` stands for where it stands. One that is named besides keeps its own options.
    fn promise_in_place(&mut self, checks: &mut Vec<Check>, index: usize, place: Place, system: Option<&System>) {
        let named = |check: &Check| checks.iter().any(|named| named.name() == check.name());
        let more: Vec<Check> = promised_by(system).into_iter().filter(|check| !named(check)).collect();
        checks.splice(index..index, more);
        if checks.is_empty()
            && let Some(System::Defined(defined)) = system
        {
            self.nothing_is_checked(place, &defined.definition.name);
        }
    }

    /// What is checked of a workload that doesn't say: what the system promises, as far as it can be seen.
    fn default_checks(&mut self, system: Option<&System>) -> Vec<Check> {
        let checks = promised_by(system);
        if checks.is_empty()
            && let (Some(place), Some(System::Defined(defined))) = (self.system_place, system)
        {
            self.nothing_is_checked(place, &defined.definition.name);
        }
        checks
    }

    fn nothing_is_checked(&mut self, place: Place, system: &str) {
        let mistake = Mistake::at(place, "nothing is checked")
            .label(format!("`{system}` promises nothing that can be seen of it"))
            .help("name what to demand of it, for example `checks: [reelection: { within: 60s }]`");
        self.note(mistake);
    }

    /// Notes that the definition doesn't show what the check needs.
    fn can_be_checked(&mut self, check: Check, place: Place, definition: &SystemDefinition) {
        let Some((label, help)) = lacking(check, definition) else { return };
        self.note(
            Mistake::at(place, format!("`{}` can't be checked of `{}`", check.name(), definition.name))
                .label(label)
                .help(help),
        );
    }

    fn check(&mut self, item: Field<'_>) -> Option<Check> {
        let named = match &item.node.kind {
            NodeKind::Scalar(text) => Field { name: text, ..item },
            NodeKind::Map(entries) => match entries.as_slice() {
                [(key, value)] => Field { name: &key.value, key: key.place, node: value },
                [] | [_, ..] => {
                    let mistake = Mistake::at(item.node.place, "a check has one name")
                        .label(format!("this mapping has {}", entries.len()))
                        .help("each check is an item of the list: `[reelection: { within: 3s }, linearizable]`");
                    self.note(mistake);
                    return None;
                }
            },
            NodeKind::Null | NodeKind::List(_) => {
                self.wrong_type(item, "the name of one, for example `election-safety`");
                return None;
            }
        };
        match named.name {
            "election-safety" => self.without_bound(named, Check::ElectionSafety),
            "term-monotonic" => self.without_bound(named, Check::TermMonotonic),
            "linearizable" => self.without_bound(named, Check::Linearizable),
            "no-lost-writes" => self.without_bound(named, Check::NoAcknowledgedWriteLost),
            "mutual-exclusion" => self.without_bound(named, Check::MutualExclusion),
            "fencing" => self.without_bound(named, Check::Fencing),
            "exclusive-access" => self.without_bound(named, Check::ExclusiveAccess),
            "replicas-agree" => self.without_bound(named, Check::ReplicasAgree),
            "reelection" => self.bound(named).map(|within| Check::BoundedReelection { within }),
            "recovers" => self.bound(named).map(|within| Check::Recovers { within }),
            "no-stale-leader" => self.bound(named).map(|within| Check::NoStaleLeaderAfterHeal { within }),
            "one-leader" => self.overlap(named).map(|overlap| Check::OneLeaderAtATime { overlap }),
            unknown => {
                let names: Vec<_> = words::CHECKS.names().chain(words::PROMISED.names()).collect();
                self.unknown(named.key, "check", unknown, &names);
                None
            }
        }
    }

    fn without_bound(&mut self, field: Field<'_>, check: Check) -> Option<Check> {
        if !is_bare(field) {
            self.note(Mistake::at(field.node.place, format!("`{}` has no options", field.name)));
        }
        Some(check)
    }

    /// `one-leader`, or `one-leader: { overlap: 100ms }`.
    fn overlap(&mut self, field: Field<'_>) -> Option<Duration> {
        if !matches!(field.node.kind, NodeKind::Map(_)) {
            if !is_bare(field) {
                let mistake = Mistake::at(field.node.place, "`one-leader` without the name of its option")
                    .help("write `one-leader: { overlap: 100ms }`, or only `one-leader` if no two may lead at once");
                self.note(mistake);
            }
            return Some(Duration::ZERO);
        }
        let fields = self.open(field, &[&words::OVERLAP])?;
        match fields.get("overlap") {
            Some(overlap) => self.duration_within(overlap, Duration::ZERO..=DURATION_MAX),
            None => fields.all_known.then_some(Duration::ZERO),
        }
    }

    fn bound(&mut self, field: Field<'_>) -> Option<Duration> {
        let NodeKind::Map(_) = field.node.kind else {
            let mistake = Mistake::at(field.key, format!("`{}` without its bound", field.name))
                .help(format!("write `{}: {{ within: 3s }}`", field.name));
            self.note(mistake);
            return None;
        };
        let fields = self.open(field, &[&words::WITHIN])?;
        match fields.get("within") {
            Some(within) => self.duration(within),
            None => {
                if fields.all_known {
                    self.missing(field.key, field.name, "within", &format!("write `{}: {{ within: 3s }}`", field.name));
                }
                None
            }
        }
    }
}

/// What the system promises, as far as it can be seen.
fn promised_by(system: Option<&System>) -> Vec<Check> {
    let Some(System::Defined(defined)) = system else { return DEFAULT.to_vec() };
    let definition = &defined.definition;
    let Promises { one_leader, acknowledged_writes, reads } = definition.promises;
    let promised = DEFAULT.into_iter().filter(|check| match check {
        Check::ElectionSafety | Check::TermMonotonic => one_leader == OneLeader::PerTerm,
        Check::Linearizable => reads == Reads::Linearizable,
        Check::NoAcknowledgedWriteLost => acknowledged_writes == AcknowledgedWrites::Kept,
        // Added for the loads that can show them.
        Check::MutualExclusion | Check::Fencing | Check::ExclusiveAccess => false,
        Check::BoundedReelection { .. }
        | Check::NoStaleLeaderAfterHeal { .. }
        | Check::OneLeaderAtATime { .. }
        | Check::Recovers { .. }
        | Check::ReplicasAgree => false,
    });
    let exclusive = Check::OneLeaderAtATime { overlap: Duration::ZERO };
    let promised = promised.chain((one_leader == OneLeader::AnyTime).then_some(exclusive));
    promised.filter(|&check| lacking(check, definition).is_none()).collect()
}

/// What a definition lacks for a check, and the remedy; `None` if nothing.
fn lacking(check: Check, definition: &SystemDefinition) -> Option<(&'static str, &'static str)> {
    match check {
        Check::ElectionSafety | Check::TermMonotonic => {
            let shows_terms = definition.observers.first().is_some_and(|observer| observer.term.is_some());
            (!shows_terms).then_some((
                "its first observer shows no term",
                "add `term:` to the observer, or take `no-stale-leader: { within: 3s }`, which needs none",
            ))
        }
        Check::Linearizable | Check::NoAcknowledgedWriteLost | Check::MutualExclusion | Check::Recovers { .. } => {
            definition.client.is_none().then_some(("it has no client", "add `client: { driver: … }` to its definition"))
        }
        // Programs of the nodes may use what locks protect, with no client about.
        Check::Fencing | Check::ExclusiveAccess => {
            let words = definition.nodes.processes.iter().flat_map(|process| &process.run);
            let is_used = words
                .chain(definition.nodes.files.iter().map(|file| &file.text))
                .any(|text| text.free_names().contains("resource"));
            (definition.client.is_none() && !is_used).then_some((
                "it has no client, and no process of it uses `{{ resource }}`",
                "add `client: { driver: … }` to its definition, or have its processes use `http://{{ resource }}/access/LOCK`",
            ))
        }
        Check::BoundedReelection { .. }
        | Check::NoStaleLeaderAfterHeal { .. }
        | Check::OneLeaderAtATime { .. }
        | Check::ReplicasAgree => None,
    }
}

/// Whether a check is named and nothing else said: a scalar item is its own name; `linearizable:` with nothing after it is the same.
fn is_bare(field: Field<'_>) -> bool {
    field.node.kind == NodeKind::Null || matches!(field.node.kind, NodeKind::Scalar(_) if field.key == field.node.place)
}
