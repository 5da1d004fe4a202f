//! Who is asked who leads, when a node counts as up, and how final states are compared.

use std::collections::BTreeMap;

use super::ask::EVERY;
use super::sight::{Sight, Site};
use crate::definition::{Ask, Comparer, Expression, Observer, Ready, TestimonyOf};
use crate::error::Mistake;
use crate::read::{Field, Fields, Reader, name_trouble};
use crate::words;
use crate::yaml::{Node, NodeKind};

/// What an answer brings to an expression.
pub(super) const ANSWER: [&str; 3] = ["answer", "status", "code"];

/// What questions may refer to.
pub(super) struct Surroundings<'s> {
    /// The ports.
    pub(super) ports: &'s BTreeMap<String, u16>,
    /// The names of the nodes' processes.
    pub(super) processes: Vec<String>,
    /// Whether there is a client.
    pub(super) client: bool,
    /// What templates may speak of.
    pub(super) sight: &'s Sight,
    /// What the questions are about.
    pub(super) site: Site,
}

impl Reader {
    pub(super) fn observers(&mut self, fields: &Fields<'_>, around: &Surroundings<'_>) -> Vec<Observer> {
        let help = "say how a node is asked who leads: `observers: { self: { http: { … }, role: … } }`";
        let Some(field) = self.required(fields, "a system definition", "observers", help) else { return Vec::new() };
        if matches!(&field.node.kind, NodeKind::Map(entries) if entries.is_empty()) {
            self.note(Mistake::at(field.key, "`observers` without an observer").help(help));
        }
        let entries = self.named(field, "an observer", name_trouble);
        entries.into_iter().filter_map(|entry| self.observer(entry, around)).collect()
    }

    fn observer(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Observer> {
        let fields = self.open(field, &[&words::OBSERVER, &words::ENGINES])?;
        let of = fields
            .get("of")
            .and_then(|field| self.one_of(field, "kind of testimony", &["own-role", "coordinator", "client-view"]));
        let asked = fields.get("pattern");
        let pattern = asked.and_then(|field| self.pattern(field));
        let ask = self.ask(&fields, &format!("the observer `{}`", field.name), asked.is_some(), around);
        let role = self.required(
            &fields,
            &format!("the observer `{}`", field.name),
            "role",
            "say what the node is: `role: \"'leader' if answer.leader == id else 'follower'\"`",
        );
        // With a pattern that can't be read, what its groups are is not known.
        let readable = asked.is_none() || pattern.is_some();
        let mut expression = |field: Option<Field<'_>>| {
            let field = field.filter(|_| readable)?;
            self.expression(field, around.sight, Site::Node, &ANSWER, pattern.as_ref())
        };
        let role = expression(role);
        let (term, leader) = (expression(fields.get("term")), expression(fields.get("leader")));
        let (identity, voted_for) = (expression(fields.get("identity")), expression(fields.get("voted-for")));
        let lease_remaining = expression(fields.get("lease-remaining"));
        let every = fields.get("every").and_then(|field| self.duration_within(field, EVERY));
        let confirm = fields.get("confirm").and_then(|field| self.boolean(field)).unwrap_or(false);
        let snapshot = fields.get("snapshot").and_then(|field| self.boolean(field)).unwrap_or(false);
        if confirm
            && fields.get("term").is_none()
            && let Some(field) = fields.get("confirm")
        {
            let mistake = Mistake::at(field.key, "nothing to confirm by").label("the observer has no `term`");
            self.note(mistake.help("an answer is confirmed if the term is the same in two answers"));
        }
        // An observer with a mistake still has its name, so that it isn't called unknown as well.
        Some(Observer {
            name: field.name.to_owned(),
            of: match of {
                Some("coordinator") => TestimonyOf::Coordinator,
                Some("client-view") => TestimonyOf::ClientView,
                Some(_) | None => TestimonyOf::OwnRole,
            },
            ask: ask.unwrap_or(Ask::Client { question: String::new() }),
            pattern,
            role: role.unwrap_or_else(|| Expression::new("''").expect("an empty text is an expression")),
            term,
            leader,
            identity,
            voted_for,
            lease_remaining,
            confirm,
            snapshot,
            every,
        })
    }

    pub(super) fn ready(&mut self, field: Field<'_>, observers: &[Observer], around: &Surroundings<'_>) -> Vec<Ready> {
        let items = self.list(field, "a list of conditions, for example `- observer: self`").unwrap_or_default();
        items.iter().filter_map(|item| self.condition(item, observers, around)).collect()
    }

    fn condition(&mut self, item: &Node, observers: &[Observer], around: &Surroundings<'_>) -> Option<Ready> {
        let field = Field::unnamed("a condition", item);
        if let NodeKind::Scalar(_) = item.kind {
            self.one_of(field, "condition", &["write"])?;
            return self.write_condition(field, around);
        }
        let fields = self.open(field, &[&words::READY])?;
        let kinds: Vec<Field<'_>> = fields.iter().filter(|field| field.name != "that").collect();
        let that = fields.get("that");
        match kinds.as_slice() {
            [kind] if kind.name == "observer" => {
                let name = self.text(*kind, "the name of one of `observers`")?;
                let Some(observer) = observers.iter().find(|observer| observer.name == name) else {
                    let known = observers.iter().map(|observer| observer.name.as_str());
                    self.no_such(kind.node.place, "observer", name, known, "add it to `observers`");
                    return None;
                };
                let help = "say what must hold: `that: answer.members == 3`";
                let that = self.required(&fields, "a condition", "that", help)?;
                let that = self.expression(that, around.sight, Site::Node, &ANSWER, observer.pattern.as_ref())?;
                Some(Ready::Observed { observer: name.to_owned(), that })
            }
            [kind] if that.is_none() && kind.name == "exec" => Some(Ready::Exec { run: self.exec(*kind, around)? }),
            [kind] if that.is_none() && kind.name == "write" => {
                self.one_of(*kind, "value", &["true"])?;
                self.write_condition(*kind, around)
            }
            [_] | [] | [_, ..] => {
                if fields.all_known {
                    let mistake =
                        Mistake::at(fields.place, "a condition is one of `observer` (with `that`), `exec` and `write`");
                    self.note(mistake.help("each condition is an item of the list"));
                }
                None
            }
        }
    }

    fn write_condition(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ready> {
        if !around.client {
            let mistake = Mistake::at(field.node.place, "a write, but there is no client");
            self.note(mistake.help("add `client: { driver: … }` to the definition"));
            return None;
        }
        Some(Ready::Write)
    }

    pub(super) fn compare(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Comparer> {
        let fields = self.open(field, &[&words::COMPARE, &words::ENGINES])?;
        let asked = fields.get("pattern");
        let pattern = asked.and_then(|field| self.pattern(field));
        let ask = self.ask(&fields, "`compare`", asked.is_some(), around);
        let value = self.required(&fields, "`compare`", "value", "say what must be equal: `value: answer.hash`");
        if asked.is_some() && pattern.is_none() {
            return None;
        }
        let mut expression = |field| self.expression(field, around.sight, Site::Node, &ANSWER, pattern.as_ref());
        let value = value.and_then(&mut expression);
        let revision = fields.get("revision").map(expression);
        Some(Comparer { ask: ask?, pattern, value: value?, revision: revision.flatten() })
    }
}
