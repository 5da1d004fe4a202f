//! The baseline: `porcupine-rs`, with models that say what ours say.
//!
//! An operation without an answer is, as in Porcupine's own tests, one that returns at the end of time and whose model leaves
//! open whether it did anything.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_check::linear::Entry;
use chaos_check::linear::models::{ABSENT, MutexOp, RegisterOp};
use porcupine_rs::{CheckResult, Event, EventModel, Model, Operation, check_events, check_operations_timeout};

use crate::corpus::{Answer, Asked, EtcdOp, KvOp, KvWhat};
use crate::measure::{Seen, Verdict};

/// What the baseline says of operations.
pub(crate) fn operations<M: Model>(history: &[Operation<M>], limit: Option<Duration>) -> Seen {
    let result = match limit {
        Some(limit) => check_operations_timeout(history, limit),
        None if porcupine_rs::check_operations(history) => CheckResult::Ok,
        None => CheckResult::Illegal,
    };
    let verdict = match result {
        CheckResult::Ok => Verdict::Ok,
        CheckResult::Illegal => Verdict::Illegal,
        CheckResult::Unknown => Verdict::Unknown,
    };
    verdict.into()
}

/// What the baseline says of events, on the calling thread.
pub(crate) fn events<M: EventModel>(history: &[Event<M>]) -> Seen {
    if check_events(history) { Verdict::Ok.into() } else { Verdict::Illegal.into() }
}

/// What was done, and whether that is certain.
#[derive(Clone, Debug)]
pub(crate) struct Done<T> {
    what: T,
    certain: bool,
}

fn operation<M: Model<Op = Done<T>>, T: Clone>(entry: &Entry<T>) -> Operation<M> {
    let time = |stamp: u64| i64::try_from(stamp).expect("stamps are small");
    Operation {
        client_id: None,
        call_time: time(entry.invoked),
        return_time: entry.answered.map_or(i64::MAX, time),
        op: Done { what: entry.what.clone(), certain: entry.answered.is_some() },
        metadata: None,
    }
}

fn register_step(state: u32, op: &Done<RegisterOp>) -> (bool, u32) {
    match op.what {
        RegisterOp::Read(seen) => (seen == state, state),
        RegisterOp::Write(new) => (true, new),
        RegisterOp::Cas { expect, new } if expect == state => (true, new),
        RegisterOp::Cas { .. } => (!op.certain, state),
        RegisterOp::Refused { unlike } => (unlike != state, state),
        RegisterOp::Ousted { .. } => unreachable!("an operation of counterexamples, not of histories"),
    }
}

/// A register.
#[derive(Clone, Debug)]
pub(crate) struct Register;

impl Model for Register {
    type State = u32;
    type Op = Done<RegisterOp>;
    type Metadata = ();

    fn init() -> u32 {
        ABSENT
    }

    fn step(state: &u32, op: &Done<RegisterOp>) -> (bool, u32) {
        register_step(*state, op)
    }
}

/// A history of one register.
pub(crate) fn register(entries: &[Entry<RegisterOp>]) -> Vec<Operation<Register>> {
    entries.iter().map(operation).collect()
}

/// The same for events, as the package's own etcd tests have it.
impl EventModel for Register {
    type Input = Asked;
    type Output = Option<Answer>;

    fn combine(asked: &Asked, answer: &Option<Answer>) -> Done<RegisterOp> {
        let op = EtcdOp { asked: *asked, invoked: 0, answered: answer.map(|answer| (0, answer)) };
        let what = op.entry().expect("reads without an answer were left out").what;
        Done { what, certain: answer.is_some() }
    }
}

/// The events of an etcd log, those without an answer last.
pub(crate) fn etcd_events(ops: &[EtcdOp]) -> Vec<Event<Register>> {
    let mut events = Vec::new();
    for (id, op) in ops.iter().enumerate().filter(|(_, op)| op.entry().is_some()) {
        events.push((op.invoked, Event::Call { client_id: None, value: op.asked, id, metadata: None }));
        let (at, value) = op.answered.map_or((u64::MAX, None), |(at, answer)| (at, Some(answer)));
        events.push((at, Event::Return { client_id: None, value, id, metadata: None }));
    }
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Many registers.
#[derive(Clone, Debug)]
pub(crate) struct Keys;

impl Model for Keys {
    type State = u32;
    type Op = Done<(u32, RegisterOp)>;
    type Metadata = ();

    fn partition_operations(history: &[Operation<Self>]) -> Vec<Vec<Operation<Self>>> {
        partition(history, |op| op.what.0)
    }

    fn init() -> u32 {
        ABSENT
    }

    fn step(state: &u32, op: &Self::Op) -> (bool, u32) {
        register_step(*state, &Done { what: op.what.1, certain: op.certain })
    }
}

fn partition<M: Model, K: Ord>(history: &[Operation<M>], key: impl Fn(&M::Op) -> K) -> Vec<Vec<Operation<M>>> {
    let mut parts: BTreeMap<K, Vec<Operation<M>>> = BTreeMap::new();
    for operation in history {
        parts.entry(key(&operation.op)).or_default().push(operation.clone());
    }
    parts.into_values().collect()
}

/// A history of many registers.
pub(crate) fn keys(entries: &[(u32, Entry<RegisterOp>)]) -> Vec<Operation<Keys>> {
    let keyed = entries.iter().map(|(key, entry)| {
        let Entry { what, invoked, answered } = *entry;
        operation(&Entry { what: (*key, what), invoked, answered })
    });
    keyed.collect()
}

/// A mutex. Whose the sections are needs no look: everybody releases only what he holds.
#[derive(Clone, Debug)]
pub(crate) struct Mutex;

impl Model for Mutex {
    type State = bool;
    type Op = Done<MutexOp>;
    type Metadata = ();

    fn init() -> bool {
        false
    }

    fn step(held: &bool, op: &Self::Op) -> (bool, bool) {
        match op.what {
            MutexOp::Acquire(_) => (!held || !op.certain, true),
            MutexOp::Release(_) => (*held || !op.certain, false),
            MutexOp::Busy => (*held || !op.certain, *held),
        }
    }
}

/// A history of a mutex.
pub(crate) fn lock(entries: &[Entry<MutexOp>]) -> Vec<Operation<Mutex>> {
    entries.iter().map(operation).collect()
}

/// Keys with texts.
#[derive(Clone, Debug)]
pub(crate) struct Texts;

impl Model for Texts {
    type State = String;
    type Op = (String, KvWhat);
    type Metadata = ();

    fn partition_operations(history: &[Operation<Self>]) -> Vec<Vec<Operation<Self>>> {
        partition(history, |op| op.0.clone())
    }

    fn init() -> String {
        String::new()
    }

    fn step(state: &String, (_, what): &Self::Op) -> (bool, String) {
        match what {
            KvWhat::Get(seen) => (seen == state, state.clone()),
            KvWhat::Put(text) => (true, text.clone()),
            KvWhat::Append(text) => (true, format!("{state}{text}")),
        }
    }
}

/// A key-value log.
pub(crate) fn kv(ops: &[KvOp]) -> Vec<Operation<Texts>> {
    let time = |line: u64| i64::try_from(line).expect("a log has few lines");
    let operations = ops.iter().map(|op| Operation {
        client_id: None,
        call_time: time(op.invoked),
        return_time: time(op.answered),
        op: (op.key.clone(), op.what.clone()),
        metadata: None,
    });
    operations.collect()
}
