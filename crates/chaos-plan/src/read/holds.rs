//! The long forms of kill and pause, and when a fault ends.
//!
//! ```yaml
//! - kill: { node: leader, signal: TERM }
//!   for: 2s
//! - pause: { node: leader, process: agent }      # the agent alone; what it started runs on
//!   until: { leader: another, plus: 2s, within: 60s }
//! ```

use std::time::Duration;

use super::{Field, Fields, Reader};
use crate::error::{Mistake, nearest};
use crate::model::{Fault, Hold, KillSignal, ProcessTarget, Target, Until};
use crate::words::{self, Table};
use crate::yaml::NodeKind;

/// For how long a fault waits for another leader if the plan doesn't say.
const WITHIN_DEFAULT: Duration = Duration::from_secs(30);

impl Reader {
    pub(super) fn kill(&mut self, verb: Field<'_>) -> Fault {
        let (target, process, fields) = self.whose(verb, &words::KILL);
        let mut signal = KillSignal::Kill;
        if let Some(field) = fields.as_ref().and_then(|fields| fields.get("signal"))
            && let Some("TERM") = self.one_of(field, "signal", &["KILL", "TERM"])
        {
            signal = KillSignal::Term;
        }
        Fault::Kill { target, process, signal }
    }

    pub(super) fn pause(&mut self, verb: Field<'_>) -> Fault {
        let (target, process, _) = self.whose(verb, &words::PAUSE);
        Fault::Pause { target, process }
    }

    /// A target, or a mapping with one and with what else there is to say.
    fn whose<'n>(
        &mut self,
        verb: Field<'n>,
        table: &'static Table,
    ) -> (Target, Option<ProcessTarget>, Option<Fields<'n>>) {
        if !matches!(verb.node.kind, NodeKind::Map(_)) {
            return (self.target(verb), None, None);
        }
        let Some(fields) = self.open(verb, &[table]) else { return (Target::Leader, None, None) };
        let target = match fields.get("node") {
            Some(field) => self.target(field),
            None => {
                if fields.all_known {
                    let help = format!("for example `{}: {{ node: leader, process: agent }}`", verb.name);
                    self.missing(verb.key, table.owner, "node", &help);
                }
                Target::Leader
            }
        };
        let with_children = fields.get("with-children");
        let process = fields.get("process").and_then(|field| self.process(field)).map(|name| {
            let with_children = with_children.and_then(|field| self.boolean(field)).unwrap_or(false);
            ProcessTarget { name, with_children }
        });
        if let Some(field) = with_children.filter(|_| fields.get("process").is_none()) {
            let mistake = Mistake::at(field.key, "`with-children` without `process`")
                .label("without a process, the whole node is hit");
            self.note(mistake);
        }
        (target, process, Some(fields))
    }

    /// The name of one of the system's processes.
    fn process(&mut self, field: Field<'_>) -> Option<String> {
        let name = self.text(field, "the name of a process")?.to_owned();
        let known = self.processes.clone().unwrap_or_else(|| vec![name.clone()]);
        if !known.contains(&name) {
            let mut mistake = Mistake::at(field.node.place, format!("unknown process `{name}`"));
            mistake = match nearest(&name, known.iter().map(String::as_str)) {
                Some(near) => mistake.label(format!("did you mean `{near}`?")),
                None => mistake
                    .label("the system has no such process")
                    .help(format!("its definition names: {}", known.join(", "))),
            };
            self.note(mistake);
            return None;
        }
        Some(name)
    }

    /// What stands beside a fault's verb on how long it lasts.
    pub(super) fn hold(&mut self, lasting: Option<Field<'_>>, until: Option<Field<'_>>) -> Hold {
        if let (Some(lasting), Some(until)) = (lasting, until) {
            let mistake = Mistake::at(until.key, "`until` besides `for`")
                .label("a fault ends by one of them; `within` limits `until`")
                .also(lasting.key, "here");
            self.note(mistake);
        }
        match (lasting, until) {
            (Some(field), _) => self.duration_range(field).map_or(Hold::Open, Hold::For),
            (None, Some(field)) => self.until(field).map_or(Hold::Open, Hold::Until),
            (None, None) => Hold::Open,
        }
    }

    fn until(&mut self, field: Field<'_>) -> Option<Until> {
        let fields = self.open(field, &[&words::UNTIL])?;
        match fields.get("leader") {
            Some(leader) => {
                self.one_of(leader, "leader to wait for", &["another"])?;
            }
            None => {
                if fields.all_known {
                    self.missing(field.key, "`until`", "leader", "for example `until: { leader: another, plus: 2s }`");
                }
                return None;
            }
        }
        let plus = fields.get("plus").and_then(|field| self.duration(field)).unwrap_or(Duration::ZERO);
        let within = fields.get("within").and_then(|field| self.duration(field)).unwrap_or(WITHIN_DEFAULT);
        Some(Until { plus, within })
    }
}
