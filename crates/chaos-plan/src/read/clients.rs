//! The loads of a workload: what its clients ask, of which objects, how often.

use super::{Field, Reader};
use crate::error::Mistake;
use crate::model::{Clients, DurationRange, LockWork, Mix, Work};
use crate::words::Table;
use crate::yaml::{Node, NodeKind};
use crate::{scalar, words};

/// Each kind of load, by its word.
const LOADS: [&str; 4] = ["register", "set", "lock", "election"];
const KEYS_MAX: u64 = 1_000;
const LOCKS_MAX: u64 = 100;
const ACCESSES_MAX: u64 = 1_000;
const ROAMING_MAX: u64 = 64;
const WEIGHT_MAX: u64 = 1_000;
const RATE_MAX_PER_SECOND: f64 = 100_000.0;

impl Reader {
    pub(super) fn clients(&mut self, field: Field<'_>) -> Option<Vec<Clients>> {
        let items = self.list(field, "a list of loads, for example `- register: { rate: 200/s }`")?;
        if items.is_empty() {
            self.note(Mistake::at(field.node.place, "`clients` without a load").label("one is needed"));
            return None;
        }
        let mut seen: Vec<String> = Vec::new();
        let mut loads: Vec<Clients> = Vec::new();
        for item in items {
            let Some((kind, load)) = self.load(item) else { continue };
            if seen.contains(&kind) {
                let help = match load.work {
                    Work::Register(_) | Work::Set { .. } => "raise the `rate`, or the number of `keys`, of the first",
                    Work::Lock(_) => "raise the number of `clients`, or of `locks`, of the first",
                    Work::Election { .. } => "raise the number of `candidates` of the first",
                };
                let mistake = Mistake::at(item.place, format!("a second {kind} load"))
                    .label("a workload has one load of each kind")
                    .help(help);
                self.note(mistake);
            } else {
                seen.push(kind);
                loads.push(load);
            }
        }
        (!loads.is_empty()).then_some(loads)
    }

    /// One load, and the word that begins it.
    fn load(&mut self, item: &Node) -> Option<(String, Clients)> {
        let load = Field::unnamed("a load", item);
        let default = |name: &str| match name {
            "set" => Clients::of_set(),
            "lock" => Clients::of_lock(),
            "election" => Clients::of_election(),
            _ => Clients::default(),
        };
        if let NodeKind::Scalar(_) = item.kind {
            let name = self.one_of(load, "load", &LOADS)?;
            return Some((name.to_owned(), default(name)));
        }
        let fields = self.open(load, &[&words::LOADS])?;
        let mut loads = LOADS.into_iter().filter_map(|name| fields.get(name));
        let Some(first) = loads.next() else {
            if fields.all_known {
                self.note(
                    Mistake::at(item.place, "a load without its kind").help("for example `- set: { rate: 50/s }`"),
                );
            }
            return None;
        };
        if let Some(second) = loads.next() {
            let mistake = Mistake::at(second.key, "two loads in one item")
                .help("each load is an item of the list: `[register: { rate: 200/s }, set: { rate: 50/s }]`");
            self.note(mistake);
        }
        let kind = first.name.to_owned();
        if first.node.kind == NodeKind::Null {
            let clients = default(&kind);
            return Some((kind, clients));
        }
        let clients = self.one_load(first, default(&kind))?;
        Some((kind, clients))
    }

    fn one_load(&mut self, field: Field<'_>, default: Clients) -> Option<Clients> {
        match default.work {
            Work::Register(_) => self.open_load(field, &words::REGISTER, default),
            Work::Set { .. } => self.open_load(field, &words::SET, default),
            Work::Lock(work) => self.lock_load(field, work, default),
            Work::Election { hold } => self.election_load(field, hold, default),
        }
    }

    fn lock_load(&mut self, field: Field<'_>, work: LockWork, default: Clients) -> Option<Clients> {
        let fields = self.open(field, &[&words::LOCK])?;
        let mut count = |name, limits| fields.get(name).and_then(|field| self.count(field, limits));
        let keys = count("locks", 1..=LOCKS_MAX).and_then(|keys| usize::try_from(keys).ok());
        let roaming = count("clients", 1..=ROAMING_MAX).and_then(|clients| usize::try_from(clients).ok());
        let accesses = count("accesses", 0..=ACCESSES_MAX).and_then(|accesses| u32::try_from(accesses).ok());
        let fencing = fields.get("fencing").and_then(|field| self.boolean(field)).unwrap_or(work.fencing);
        let hold = fields.get("hold").and_then(|field| self.duration_range(field)).unwrap_or(work.hold);
        Some(Clients {
            work: Work::Lock(LockWork { hold, accesses: accesses.unwrap_or(work.accesses), fencing }),
            keys: keys.unwrap_or(default.keys),
            roaming: roaming.unwrap_or(default.roaming),
            timeout: self.duration_or(&fields, "timeout", default.timeout),
            ..default
        })
    }

    fn election_load(&mut self, field: Field<'_>, hold: DurationRange, default: Clients) -> Option<Clients> {
        let fields = self.open(field, &[&words::ELECTION])?;
        let candidates = fields.get("candidates").and_then(|field| self.count(field, 1..=ROAMING_MAX));
        let hold = fields.get("hold").and_then(|field| self.duration_range(field)).unwrap_or(hold);
        Some(Clients {
            work: Work::Election { hold },
            roaming: candidates.and_then(|candidates| usize::try_from(candidates).ok()).unwrap_or(default.roaming),
            timeout: self.duration_or(&fields, "timeout", default.timeout),
            ..default
        })
    }

    /// A load whose operations fall due by themselves.
    fn open_load(&mut self, field: Field<'_>, words: &'static Table, default: Clients) -> Option<Clients> {
        let fields = self.open(field, &[words])?;
        let mut count = |name, limits| {
            let count = fields.get(name).and_then(|field| self.count(field, limits))?;
            usize::try_from(count).ok()
        };
        let keys = count("keys", 1..=KEYS_MAX).unwrap_or(default.keys);
        let roaming = count("roaming", 0..=ROAMING_MAX).unwrap_or(default.roaming);
        let pinned = fields.get("pinned").and_then(|field| self.boolean(field)).unwrap_or(default.pinned);
        if roaming == 0 && !pinned {
            self.note(
                Mistake::at(field.key, "a load without clients")
                    .help("`roaming` must be at least 1, or `pinned` must be true"),
            );
        }
        let work = match default.work {
            Work::Register(mix) => Work::Register(fields.get("mix").and_then(|field| self.mix(field)).unwrap_or(mix)),
            Work::Set { reads_millionths } => {
                let reads = fields.get("reads").and_then(|field| self.reads(field));
                Work::Set { reads_millionths: reads.unwrap_or(reads_millionths) }
            }
            closed @ (Work::Lock(_) | Work::Election { .. }) => closed,
        };
        Some(Clients {
            work,
            keys,
            rate_per_second: fields.get("rate").and_then(|field| self.rate(field)).unwrap_or(default.rate_per_second),
            roaming,
            pinned,
            timeout: self.duration_or(&fields, "timeout", default.timeout),
        })
    }

    fn reads(&mut self, field: Field<'_>) -> Option<u32> {
        let share = self.parsed(field, "a share, for example `10%`", scalar::share_millionths)?;
        if share < 1_000_000 {
            return Some(share);
        }
        let mistake = Mistake::at(field.node.place, "a set to which nothing is added")
            .label("every operation is a read")
            .help("`reads` must be below 100%");
        self.note(mistake);
        None
    }

    fn rate(&mut self, field: Field<'_>) -> Option<f64> {
        let rate = self.parsed(field, "a rate, for example `200/s`", scalar::rate)?;
        if rate > 0.0 && rate <= RATE_MAX_PER_SECOND {
            return Some(rate);
        }
        self.note(Mistake::at(
            field.node.place,
            format!("`rate` must be above zero and {RATE_MAX_PER_SECOND}/s at most"),
        ));
        None
    }

    fn mix(&mut self, field: Field<'_>) -> Option<Mix> {
        let fields = self.open(field, &[&words::MIX])?;
        let before = self.mistakes.len();
        let mut weight = |name| {
            let weight = fields.get(name).and_then(|field| self.count(field, 0..=WEIGHT_MAX)).unwrap_or(0);
            u32::try_from(weight).expect("a weight is at most 1000")
        };
        let mix = Mix { read: weight("read"), write: weight("write"), cas: weight("cas") };
        if mix == (Mix { read: 0, write: 0, cas: 0 }) && before == self.mistakes.len() && fields.all_known {
            self.note(
                Mistake::at(field.key, "a mix of nothing").help("at least one of read, write and cas must be above 0"),
            );
        }
        Some(mix)
    }
}
