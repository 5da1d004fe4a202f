//! Conditions of links, and how a partition treats packets.
//!
//! ```yaml
//! - link: { between: all, delay: 50ms, jitter: 10ms }
//! - link: { between: [leader -> followers], loss: { share: 20%, burst: 4 }, rate: 1mbit/s }
//! - partition: { isolate: leader, drop: hold, heal: kick }
//! ```

use std::time::Duration;

use super::{Field, Fields, Reader};
use crate::control::{LinkSelector, Ways};
use crate::error::Mistake;
use crate::fault::{Fault, Partition};
use crate::model::Target;
use crate::scalar::{bit_rate, share_millionths};
use crate::wire::{CutMode, Distribution, DropMode, HealMode, Jitter, LinkConditions, Loss, Reorder};
use crate::words;
use crate::yaml::NodeKind;

/// The longest that a packet may be held.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// How long a packet that is overtaken is held back, unless the plan says.
const REORDER_BY: Duration = Duration::from_millis(5);
const BURST_MAX: u64 = 1_000;

impl Reader {
    /// What becomes of a partition's packets.
    pub(super) fn cut_mode(&mut self, fields: &Fields<'_>) -> CutMode {
        let mut mode = CutMode::default();
        if let Some(field) = fields.get("drop") {
            mode.drop = self.word_of(field, &DropMode::ALL).unwrap_or_default();
        }
        if let Some(field) = fields.get("heal") {
            mode.heal = self.word_of(field, &HealMode::ALL).unwrap_or_default();
            if mode.heal == HealMode::Kick && mode.drop != DropMode::Lose {
                let mistake = Mistake::at(field.node.place, "a `kick` where no packet was lost");
                self.note(mistake.label("only what `drop: lose` has lost can be sent again"));
            }
        }
        mode
    }

    /// Links and what they do to packets.
    pub(super) fn link_fault(&mut self, verb: Field<'_>) -> Option<Fault> {
        if self.nodes < 2 {
            let mistake = Mistake::at(verb.key, "a link in a cluster of 1");
            self.note(mistake.label("there is nobody to be linked with"));
            return None;
        }
        let fields = self.open(verb, &[&words::LINK])?;
        let Some(between) = fields.get("between") else {
            if fields.all_known {
                let help = "for example `between: all`, or `between: [leader -> followers]`";
                self.missing(verb.key, words::LINK.owner, "between", help);
            }
            return None;
        };
        let links = self.between(between)?;
        let conditions = self.conditions(&fields);
        if fields.iter().count() == 1 {
            let mistake = Mistake::at(verb.key, "a link without conditions");
            self.note(
                mistake.label("it would carry packets as always").help("for example `delay: 50ms`, or `loss: 10%`"),
            );
        }
        Some(Fault::Link { links, conditions })
    }

    fn between(&mut self, field: Field<'_>) -> Option<Vec<LinkSelector>> {
        if let NodeKind::Scalar(text) = &field.node.kind
            && text == "all"
        {
            return Some(vec![LinkSelector { from: Target::All, to: Target::All, ways: Ways::One }]);
        }
        match self.cut(field)? {
            Partition::Cut(links) => Some(links),
            Partition::Isolate(_)
            | Partition::Halves
            | Partition::Groups(_)
            | Partition::OneWay { .. }
            | Partition::MajoritiesRing
            | Partition::Bridge(_) => None,
        }
    }

    fn conditions(&mut self, fields: &Fields<'_>) -> LinkConditions {
        let limits = Duration::from_nanos(1)..=HOLD_MAX;
        let delay = fields.get("delay").and_then(|field| self.duration_within(field, limits));
        LinkConditions {
            delay: delay.unwrap_or_default(),
            jitter: fields.get("jitter").and_then(|field| self.jitter(field)),
            loss: fields.get("loss").and_then(|field| self.loss(field)),
            duplicate_millionths: fields.get("duplicate").and_then(|field| self.packets(field)).unwrap_or(0),
            reorder: fields.get("reorder").and_then(|field| self.reorder(field)),
            corrupt_millionths: fields.get("corrupt").and_then(|field| self.packets(field)).unwrap_or(0),
            bits_per_second: fields
                .get("rate")
                .and_then(|field| self.parsed(field, "a rate of bits, for example `1mbit/s`", bit_rate)),
        }
    }

    fn jitter(&mut self, field: Field<'_>) -> Option<Jitter> {
        let limits = Duration::from_nanos(1)..=HOLD_MAX;
        let NodeKind::Map(_) = &field.node.kind else {
            return Some(Jitter { by: self.duration_within(field, limits)?, like: Distribution::default() });
        };
        let fields = self.open(field, &[&words::JITTER])?;
        let by = self.needed(field, &fields, "by")?;
        let by = self.duration_within(by, limits)?;
        let like =
            fields.get("like").map_or(Some(Distribution::default()), |field| self.word_of(field, &Distribution::ALL));
        Some(Jitter { by, like: like? })
    }

    fn loss(&mut self, field: Field<'_>) -> Option<Loss> {
        let NodeKind::Map(_) = &field.node.kind else {
            return Some(Loss { share_millionths: self.packets(field)?, burst: 1 });
        };
        let fields = self.open(field, &[&words::LOSS])?;
        let share = self.needed(field, &fields, "share")?;
        let share_millionths = self.packets(share)?;
        let burst = fields.get("burst").map_or(Some(1), |field| self.count(field, 1..=BURST_MAX))?;
        Some(Loss { share_millionths, burst: u32::try_from(burst).expect("the limit is far below") })
    }

    fn reorder(&mut self, field: Field<'_>) -> Option<Reorder> {
        let NodeKind::Map(_) = &field.node.kind else {
            return Some(Reorder { share_millionths: self.packets(field)?, by: REORDER_BY });
        };
        let fields = self.open(field, &[&words::REORDER])?;
        let share = self.needed(field, &fields, "share")?;
        let share_millionths = self.packets(share)?;
        let limits = Duration::from_nanos(1)..=HOLD_MAX;
        let by = fields.get("by").map_or(Some(REORDER_BY), |field| self.duration_within(field, limits))?;
        Some(Reorder { share_millionths, by })
    }

    /// A share of packets that leaves some of them alone.
    fn packets(&mut self, field: Field<'_>) -> Option<u32> {
        let share = self.parsed(field, "a percentage, for example `10%`", share_millionths)?;
        if (1..1_000_000).contains(&share) {
            return Some(share);
        }
        let message = format!("`{}` must be above 0% and below 100%", field.name);
        self.note(Mistake::at(field.node.place, message).help("a link that carries nothing is a `partition`"));
        None
    }

    fn needed<'n>(&mut self, owner: Field<'_>, fields: &Fields<'n>, name: &'static str) -> Option<Field<'n>> {
        let field = fields.get(name);
        if field.is_none() && fields.all_known {
            self.note(Mistake::at(owner.key, format!("`{}` needs `{name}`", owner.name)));
        }
        field
    }

    fn word_of<T: Copy>(&mut self, field: Field<'_>, all: &[(T, &'static str)]) -> Option<T> {
        let words: Vec<&'static str> = all.iter().map(|(_, word)| *word).collect();
        let word = self.one_of(field, &format!("word for `{}`", field.name), &words)?;
        all.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
    }
}
