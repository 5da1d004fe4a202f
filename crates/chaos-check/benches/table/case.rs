//! One history by name, as both sides need it.
//!
//! Generated histories have their generator's names; the labelled ones are `etcd_000` and `kv_c10-ok`.

use std::collections::BTreeMap;
use std::fmt;

use chaos_check::linear::engine::{self, Found};
use chaos_check::linear::models::{Append, Call, FencedLock, LeaseLock, Mutex, Register, RegisterOp};
use chaos_check::linear::{Budget, Decision, Entry, Model, Shortcut, Split, Timeline, check};

use crate::baseline;
use crate::corpus::{self, Corpus, KvOp};
use crate::generate::{Generated, Spec};
use crate::measure::{BASELINE_MAX, Measured, Seen, Side, Verdict, here};

/// A history's name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Case {
    /// Made by the generator.
    Made(Spec),
    /// A log of Jepsen's etcd tests.
    Etcd(u32),
    /// A log of a key-value store.
    Kv(String),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Made(spec) => spec.fmt(f),
            Self::Etcd(number) => write!(f, "etcd_{number:03}"),
            Self::Kv(name) => write!(f, "kv_{name}"),
        }
    }
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some(number) = name.strip_prefix("etcd_") {
            return number.parse().map(Self::Etcd).map_err(|error| format!("`{name}`: {error}"));
        }
        if let Some(log) = name.strip_prefix("kv_c") {
            return Ok(Self::Kv(format!("c{log}")));
        }
        name.parse().map(Self::Made)
    }
}

impl Case {
    /// A generated history.
    ///
    /// # Panics
    /// If `name` is none's.
    pub(crate) fn made(name: &str) -> Self {
        Self::Made(name.parse().unwrap_or_else(|error| panic!("{error}")))
    }

    /// The right verdict.
    pub(crate) fn truth(&self, corpus: &Corpus) -> Result<Verdict, String> {
        let valid = match self {
            Self::Made(spec) => !spec.violation,
            Self::Etcd(number) => corpus.etcd_label(*number)?,
            Self::Kv(name) => name.ends_with("-ok"),
        };
        Ok(if valid { Verdict::Ok } else { Verdict::Illegal })
    }

    /// The operations that it was made with; `None` of a log.
    pub(crate) fn ops(&self) -> Option<u32> {
        match self {
            Self::Made(spec) => Some(spec.ops),
            Self::Etcd(_) | Self::Kv(_) => None,
        }
    }

    /// In a process of its own: measures one side.
    pub(crate) fn measure(&self, side: Side) -> Result<Measured, String> {
        match self {
            Self::Made(spec) => match spec.generate() {
                Generated::Register(entries) => Ok(register(side, &entries)),
                Generated::Keys(entries) => Ok(keys(side, &entries)),
                Generated::Lock(entries) => Ok(match side {
                    Side::Ours | Side::Verdict => here(side, || ours(side, &Mutex, &entries)),
                    Side::Theirs => {
                        let history = baseline::lock(&entries);
                        here(side, || baseline::operations(&history, Some(BASELINE_MAX)))
                    }
                }),
                Generated::Fence(entries) => alone(side, &FencedLock, &entries),
                Generated::Lease(entries) => alone(side, &LeaseLock, &entries),
            },
            Self::Etcd(number) => {
                let ops = corpus::etcd(&Corpus::find()?.read_etcd(*number)?)?;
                if ops.is_empty() {
                    return Err(format!("{self} has no operations"));
                }
                match side {
                    Side::Ours | Side::Verdict => {
                        let entries: Vec<Entry<RegisterOp>> = ops.iter().filter_map(corpus::EtcdOp::entry).collect();
                        Ok(here(side, || ours(side, &Register, &entries)))
                    }
                    Side::Theirs => {
                        let events = baseline::etcd_events(&ops);
                        Ok(here(side, || baseline::events(&events)))
                    }
                }
            }
            Self::Kv(name) => {
                let ops = corpus::kv(&Corpus::find()?.read_kv(name)?)?;
                match side {
                    Side::Ours | Side::Verdict => Ok(here(side, || texts(side, &ops))),
                    Side::Theirs => {
                        let history = baseline::kv(&ops);
                        Ok(here(side, || baseline::operations(&history, None)))
                    }
                }
            }
        }
    }
}

/// What this crate says of one object.
fn ours<M: Model>(side: Side, model: &M, entries: &[Entry<M::Op>]) -> Seen {
    if side == Side::Verdict {
        let timeline = Timeline::new(entries).expect("the stamps are a history's");
        let verdict = match model.shortcut(&timeline.ops) {
            Shortcut::Order(_) => Verdict::Ok,
            Shortcut::Conflict(_) => Verdict::Illegal,
            Shortcut::Pass => match engine::decide(model, &timeline.ops, &Budget::default()) {
                Found::Order(_) => Verdict::Ok,
                Found::Nothing { .. } => Verdict::Illegal,
                Found::Spent(_) => Verdict::Unknown,
            },
        };
        return verdict.into();
    }
    match check(model, entries, &Budget::default()).expect("the stamps are a history's") {
        Decision::Linearizable(order) => {
            let answered = entries.iter().filter(|entry| entry.answered.is_some()).count();
            assert!(order.len() >= answered, "answered operations are missing in the order");
            Verdict::Ok.into()
        }
        Decision::Violation { core, verified } => {
            Seen { verdict: Verdict::Illegal, core: verified.then_some(core.len()) }
        }
        Decision::Undecided(_) => Verdict::Unknown.into(),
    }
}

fn register(side: Side, entries: &[Entry<RegisterOp>]) -> Measured {
    match side {
        Side::Ours | Side::Verdict => here(side, || ours(side, &Register, entries)),
        Side::Theirs => {
            let history = baseline::register(entries);
            here(side, || baseline::operations(&history, Some(BASELINE_MAX)))
        }
    }
}

/// All keys on one core, apportioning included: the worst verdict, and the counterexample of the first key that has one.
fn keys(side: Side, entries: &[(u32, Entry<RegisterOp>)]) -> Measured {
    match side {
        Side::Ours | Side::Verdict => here(side, || {
            let split = Split::new(entries);
            let objects = (0..split.keys().len()).map(|key| split.entries(key));
            objects.map(|object| ours(side, &Register, object)).fold(Verdict::Ok.into(), worse)
        }),
        Side::Theirs => {
            let history = baseline::keys(entries);
            here(side, || baseline::operations(&history, Some(BASELINE_MAX)))
        }
    }
}

/// All keys of a log on one core, numbering of its texts included.
fn texts(side: Side, ops: &[KvOp]) -> Seen {
    let mut keys: BTreeMap<&str, Vec<&KvOp>> = BTreeMap::new();
    for op in ops {
        keys.entry(&op.key).or_default().push(op);
    }
    let seen = keys.values().map(|ops| {
        let calls: Vec<Call<'_>> = ops.iter().map(|op| op.call()).collect();
        let (model, numbered) = Append::new(&calls);
        let entries = numbered.into_iter().zip(ops);
        let entries = entries.map(|(what, op)| Entry { what, invoked: op.invoked, answered: Some(op.answered) });
        ours(side, &model, &entries.collect::<Vec<_>>())
    });
    seen.fold(Verdict::Ok.into(), worse)
}

fn worse(one: Seen, other: Seen) -> Seen {
    match (one.verdict, other.verdict) {
        (Verdict::Illegal, _) => one,
        (_, Verdict::Illegal) => other,
        (Verdict::Unknown, _) => one,
        (Verdict::Ok, _) => other,
    }
}

/// An object for which the baseline was given no model.
fn alone<M: Model>(side: Side, model: &M, entries: &[Entry<M::Op>]) -> Result<Measured, String> {
    match side {
        Side::Ours | Side::Verdict => Ok(here(side, || ours(side, model, entries))),
        Side::Theirs => Err("the baseline has no model of this object".to_owned()),
    }
}
