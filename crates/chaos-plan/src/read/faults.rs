//! Faults: what stands behind the verb of each kind.
//!
//! ```yaml
//! - kill: { node: leader, signal: ABRT }
//! - pause: { node: leader, process: agent }      # the agent alone; what it started runs on
//! - freeze-host: leader
//! - crash-loop: { node: leader, up: 100ms..300ms, down: 50ms }
//! - slow: { node: leader, run: 1ms, every: 10ms }
//! - starve: { node: leader, share: 10% }
//! - limit: { node: leader, open-files: 32 }      # or `memory: 64MB`
//! - clock: { node: leader, jump: +60s }          # see `clocks`
//! - disk: { node: leader, sync-delay: 100ms }     # see `disks`, also for `power-loss` and `corrupt-file`
//! - transfer: leader                              # see `changes`, also for `remove-member`
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use chaos_history::FaultKind;

use super::{Field, Fields, Reader};
use crate::error::{Mistake, nearest};
use crate::fault::{Fault, Hindrance, KillSignal, Limit, ProcessTarget};
use crate::model::{DurationRange, Target};
use crate::scalar::{bytes, share_millionths, write_duration};
use crate::words::{self, Table};
use crate::yaml::NodeKind;

const UP_DEFAULT: DurationRange = DurationRange { min: Duration::from_millis(100), max: Duration::from_millis(300) };
const DOWN_DEFAULT: DurationRange = DurationRange { min: Duration::from_millis(50), max: Duration::from_millis(50) };
const RUN_DEFAULT: Duration = Duration::from_millis(1);
const EVERY_DEFAULT: Duration = Duration::from_millis(10);
/// Signals take microseconds each.
const SHORTEST: Duration = Duration::from_micros(100);
const PERIOD_MAX: Duration = Duration::from_secs(60);
const SHARE_DEFAULT: u32 = 100_000;
/// Half beside one other thread, a fiftieth beside 49.
const SHARES: RangeInclusive<u32> = 20_000..=500_000;
const OPEN_FILES_MAX: u64 = 1 << 20;

impl Reader {
    /// Reads a fault of this kind. `None` if it isn't clear which is meant.
    pub(super) fn fault(&mut self, kind: FaultKind, verb: Field<'_>) -> Option<Fault> {
        Some(match kind {
            FaultKind::Kill => self.kill(verb),
            FaultKind::Pause => {
                let (target, process, _) = self.whose(verb, &words::PAUSE);
                Fault::Pause { target, process }
            }
            FaultKind::Partition => self.partition(verb)?,
            FaultKind::Link => self.link_fault(verb)?,
            FaultKind::FreezeHost => Fault::FreezeHost { target: self.target(verb) },
            FaultKind::CrashLoop => {
                let (target, fields) = self.aimed(verb, &words::CRASH_LOOP);
                let mut range = |name| fields.as_ref()?.get(name).and_then(|field| self.duration_range(field));
                let (up, down) = (range("up").unwrap_or(UP_DEFAULT), range("down").unwrap_or(DOWN_DEFAULT));
                Fault::CrashLoop { target, up, down }
            }
            FaultKind::Slow => {
                let (target, fields) = self.aimed(verb, &words::SLOW);
                Fault::Hinder { target, how: self.slow(verb, fields.as_ref()) }
            }
            FaultKind::Starve => {
                let (target, fields) = self.aimed(verb, &words::STARVE);
                let share = fields.as_ref().and_then(|fields| fields.get("share"));
                let share_millionths = share.and_then(|field| self.share(field)).unwrap_or(SHARE_DEFAULT);
                Fault::Hinder { target, how: Hindrance::Starve { share_millionths } }
            }
            FaultKind::Limit => {
                let (target, fields) = self.aimed(verb, &words::LIMIT);
                Fault::Hinder { target, how: Hindrance::Limit(self.limit(verb, fields.as_ref())?) }
            }
            FaultKind::Clock => {
                let (target, fields) = self.aimed(verb, &words::CLOCK);
                Fault::Hinder { target, how: Hindrance::Clock(self.clock(verb, fields.as_ref())?) }
            }
            FaultKind::Disk => {
                let (target, fields) = self.aimed(verb, &words::DISK);
                Fault::Hinder { target, how: Hindrance::Disk(self.disk(verb, fields.as_ref())?) }
            }
            FaultKind::PowerLoss => {
                let (target, fields) = self.aimed(verb, &words::POWER_LOSS);
                let (keep, file_system) = (self.keep(fields.as_ref()), self.file_system(fields.as_ref()));
                Fault::PowerLoss { target, keep, file_system }
            }
            FaultKind::CorruptFile => {
                let (target, fields) = self.aimed(verb, &words::CORRUPT_FILE);
                let (file, damage) = self.damage(verb, fields.as_ref())?;
                Fault::CorruptFile { target, file, damage }
            }
            FaultKind::Transfer => self.transfer(verb),
            FaultKind::RemoveMember => self.remove_member(verb),
        })
    }

    fn slow(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Hindrance {
        let mut time = |name, limits| {
            let field = fields?.get(name)?;
            self.duration_within(field, limits)
        };
        let (run_given, every_given) = (time("run", SHORTEST..=PERIOD_MAX), time("every", SHORTEST..=PERIOD_MAX));
        let (run, every) = (run_given.unwrap_or(RUN_DEFAULT), every_given.unwrap_or(EVERY_DEFAULT));
        if run >= every {
            let place = fields.and_then(|fields| fields.get("run").or(fields.get("every")));
            let message = format!("`slow` that runs {} of each {}", write_duration(run), write_duration(every));
            let mistake = Mistake::at(place.map_or(verb.key, |field| field.node.place), message);
            self.note(mistake.label("`run` must be shorter than `every`"));
        }
        Hindrance::Slow { run, every }
    }

    /// The share of a processor that other work leaves.
    fn share(&mut self, field: Field<'_>) -> Option<u32> {
        let share = self.parsed(field, "a percentage, for example `10%`", share_millionths)?;
        if !SHARES.contains(&share) {
            self.note(Mistake::at(field.node.place, "`share` must be 2% to 50%"));
            return None;
        }
        Some(share)
    }

    fn limit(&mut self, verb: Field<'_>, fields: Option<&Fields<'_>>) -> Option<Limit> {
        let of = |name| fields.and_then(|fields| fields.get(name));
        match (of("open-files"), of("memory")) {
            (Some(files), None) => self.count(files, 1..=OPEN_FILES_MAX).map(Limit::OpenFiles),
            (None, Some(memory)) => {
                let more_bytes = self.parsed(memory, "a size, for example `64MB`", bytes)?;
                Some(Limit::Memory { more_bytes })
            }
            (Some(files), Some(memory)) => {
                let mistake = Mistake::at(memory.key, "`memory` besides `open-files`")
                    .label("a fault limits one thing")
                    .also(files.key, "here");
                self.note(mistake);
                None
            }
            (None, None) => {
                // What is there instead is a mistake already.
                if fields.is_none_or(|fields| fields.all_known) {
                    let help =
                        "for example `limit: { node: leader, open-files: 32 }` or `{ node: leader, memory: 64MB }`";
                    self.note(Mistake::at(verb.key, "`limit` of what?").help(help));
                }
                None
            }
        }
    }

    fn kill(&mut self, verb: Field<'_>) -> Fault {
        let (target, process, fields) = self.whose(verb, &words::KILL);
        let signal = fields.as_ref().and_then(|fields| fields.get("signal"));
        let signal = signal.and_then(|field| self.signal(field)).unwrap_or(KillSignal::KILL);
        Fault::Kill { target, process, signal }
    }

    fn signal(&mut self, field: Field<'_>) -> Option<KillSignal> {
        let text = self.text(field, "the name of a signal that ends a process, for example `TERM`")?;
        let known = KillSignal::named(text);
        if known.is_none() {
            self.unknown(field.node.place, "signal", text, &KillSignal::ALL.map(KillSignal::name));
        }
        known
    }

    /// A target, or a mapping with one and with what else there is to say.
    pub(super) fn aimed<'n>(&mut self, verb: Field<'n>, table: &'static Table) -> (Target, Option<Fields<'n>>) {
        if !matches!(verb.node.kind, NodeKind::Map(_)) {
            return (self.target(verb), None);
        }
        let Some(fields) = self.open(verb, &[table]) else { return (Target::Leader, None) };
        let target = match fields.get("node") {
            Some(field) => self.target(field),
            None => {
                if fields.all_known {
                    let more = &table.words[1];
                    let help = format!("for example `{}: {{ node: leader, {}: {} }}`", verb.name, more.name, more.form);
                    self.missing(verb.key, table.owner, "node", &help);
                }
                Target::Leader
            }
        };
        (target, Some(fields))
    }

    /// The same where one process may be meant.
    fn whose<'n>(
        &mut self,
        verb: Field<'n>,
        table: &'static Table,
    ) -> (Target, Option<ProcessTarget>, Option<Fields<'n>>) {
        let (target, fields) = self.aimed(verb, table);
        let Some(fields) = fields else { return (target, None, None) };
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
}
