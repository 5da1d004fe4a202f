//! Faults that are the system's own commands: `transfer` and `remove-member`.
//!
//! ```yaml
//! - transfer: leader                              # to whom the system chooses
//! - transfer: { node: leader, to: follower }
//! - remove-member: follower                       # it joins again after 5 s, with an empty disk
//!   for: 5s
//! ```
//!
//! Whether the system can be told is known from its definition, so a plan that asks for too much is refused here, at its line.

use std::sync::OnceLock;

use chaos_history::FaultKind;

use super::{Field, Reader};
use crate::builtin;
use crate::definition::ToWhom;
use crate::error::{Mistake, Mistakes, one_of};
use crate::fault::Fault;
use crate::model::{Changes, Target};
use crate::words;
use crate::yaml::{self, NodeKind};

impl Reader {
    /// The leader, maybe with a destination.
    pub(super) fn transfer(&mut self, verb: Field<'_>) -> Fault {
        let offered = self.offers(FaultKind::Transfer, verb);
        let (target, fields) = self.aimed(verb, &words::TRANSFER);
        if target != Target::Leader {
            let place = fields.as_ref().and_then(|fields| fields.get("node")).unwrap_or(verb).node.place;
            let mistake = Mistake::at(place, format!("`transfer` of `{target}`"))
                .label("only the leader has anything to hand over")
                .help("write `transfer: leader`, or `transfer: { node: leader, to: n3 }`");
            self.note(mistake);
        }
        let to = fields.as_ref().and_then(|fields| fields.get("to"));
        let destination = to.map(|field| self.destination(field));
        let to_whom = offered.and_then(|changes| changes.transfer);
        if let (Some(field), Some(ToWhom::Never)) = (to, to_whom) {
            let mistake = Mistake::at(field.key, "`to` of a system that chooses by itself");
            self.note(mistake.label("its definition has no way to say to whom"));
        }
        let drawn = (to_whom == Some(ToWhom::Required)).then_some(Target::Follower);
        Fault::Transfer { to: destination.or(drawn) }
    }

    /// To whom: one node, and another one than the leader.
    fn destination(&mut self, field: Field<'_>) -> Target {
        let target = self.target(field);
        if target == Target::Leader {
            self.note(Mistake::at(field.node.place, "a transfer to the leader").label("it leads already"));
        } else if !target.is_one() {
            let mistake = Mistake::at(field.node.place, format!("a transfer to `{target}`"));
            self.note(mistake.label("one node, for example `n3`, `follower` or `old-leader`"));
        }
        target
    }

    pub(super) fn remove_member(&mut self, verb: Field<'_>) -> Fault {
        self.offers(FaultKind::RemoveMember, verb);
        let target = self.target(verb);
        let known = self.known_nodes(&target);
        let names_service = known.iter().flatten().any(|node| node.index() >= self.nodes);
        let label = if target == Target::Service || names_service {
            Some("service nodes are no members")
        } else {
            let leaves_nobody = self.nodes < 2 || known.is_some_and(|nodes| nodes.len() == self.nodes);
            leaves_nobody.then_some("nobody is left")
        };
        if let Some(label) = label {
            self.note(Mistake::at(verb.node.place, format!("`remove-member` of `{target}`")).label(label));
        }
        Fault::RemoveMember { target }
    }

    /// What the system can be told, if that is known; noted if this is nothing of it.
    fn offers(&mut self, kind: FaultKind, verb: Field<'_>) -> Option<Changes> {
        let changes = self.changes.clone()?;
        if !changes.offers(kind) {
            let mistake = Mistake::at(verb.key, format!("`{}` can't be done to `{}`", kind.name(), changes.system))
                .label("the system's definition has no such operation")
                .help(format!("it can be done to {}", one_of(systems_that_offer(kind).iter().map(String::as_str))))
                .help("or add it to the definition: `chaos language system`, `operations`");
            self.note(mistake);
        }
        Some(changes)
    }
}

/// The built-in systems with this operation, the reference node first.
fn systems_that_offer(kind: FaultKind) -> &'static [String] {
    static TRANSFER: OnceLock<Vec<String>> = OnceLock::new();
    static MEMBERSHIP: OnceLock<Vec<String>> = OnceLock::new();
    let known = if kind == FaultKind::Transfer { &TRANSFER } else { &MEMBERSHIP };
    known.get_or_init(|| {
        let offers = |text: &str| {
            let root = yaml::parse(0, text, &mut Mistakes::default())?;
            let NodeKind::Map(entries) = &root.kind else { return None };
            let (_, operations) = entries.iter().find(|(key, _)| key.value == "operations")?;
            Some(super::workload::has(operations, kind.name()))
        };
        let defined = builtin::systems().iter().filter(|system| offers(system.text) == Some(true));
        std::iter::once("raft").chain(defined.map(|system| system.name)).map(str::to_owned).collect()
    })
}
