//! One load: operations that fall due by a schedule of their own, whether or not the system keeps up.
//!
//! Open loop: gaps are those of a Poisson process of the workload's rate, so operations look at the system at moments that
//! don't depend on it ("Poisson arrivals see time averages", Wolff 1982; and no coordinated omission: an operation that must
//! wait for a free client keeps its `due`, from which its latency counts). Every other operation goes to the pinned clients,
//! each in turn; the others go to the roaming clients, the longest free first. With only one kind of clients, all go there.
//!
//! What an operation is (its kind and key) is drawn when it falls due; what a compare-and-set expects is decided when it is
//! invoked: what any client saw last of the key, so that most have a chance. Values are never written twice, in no object of the
//! run. What was acknowledged of a set is remembered: the final reads look for it.
//!
//! Operations that wait are bounded by [`WAITING_MAX`]; what would overflow is counted, not invoked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, OpResult, RunNanos, Seed, Value};
use chaos_plan::{Clients, Work};

use crate::client::{self, Client, Numbers};
use crate::random::{self, Stream};
use crate::world::{Command, Completed};

/// How many operations may wait for a free client, over all clients.
pub(crate) const WAITING_MAX: usize = 10_000;

/// How long a pinned reader waits for an answer, if the workload's timeout isn't shorter.
const PROBE_TIMEOUT: Duration = Duration::from_millis(250);

/// How operations ended, and how many never began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They happened.
    pub ok: u64,
    /// They did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
    /// They fell due but were never invoked: too many were waiting, or the load ended first.
    pub dropped: u64,
}

impl Counts {
    /// These and those.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            ok: self.ok + other.ok,
            fail: self.fail + other.fail,
            info: self.info + other.info,
            dropped: self.dropped + other.dropped,
        }
    }

    /// Counts an end.
    pub(crate) fn count(&mut self, phase: &OpPhase) {
        match phase {
            OpPhase::Ok(_) => self.ok += 1,
            OpPhase::Fail { .. } => self.fail += 1,
            OpPhase::Info { .. } => self.info += 1,
            OpPhase::Invoke { .. } => {}
        }
    }
}

/// What is asked, without what is only known at the invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Cas,
    Elements,
    Add,
}

impl Kind {
    /// Whether it only looks: such operations go to a node's reader.
    fn reads(self) -> bool {
        match self {
            Self::Read | Self::Elements => true,
            Self::Write | Self::Cas | Self::Add => false,
        }
    }

    /// The kind of an operation that falls due, drawn.
    fn drawn(work: Work, stream: &mut Stream) -> Self {
        match work {
            Work::Register(mix) => {
                [Self::Read, Self::Write, Self::Cas][stream.weighted(&[mix.read, mix.write, mix.cas])]
            }
            Work::Set { reads_millionths } => {
                let adds = 1_000_000_u32.saturating_sub(reads_millionths);
                [Self::Elements, Self::Add][stream.weighted(&[reads_millionths, adds])]
            }
            Work::Lock(_) | Work::Election { .. } => unreachable!("{HOLDERS}"),
        }
    }
}

/// The name of an object: kinds of object have names of their own, since a key is one object.
pub(crate) fn key_name(work: Work, key: usize) -> String {
    match work {
        Work::Register(_) => format!("k{key}"),
        Work::Set { .. } => format!("s{key}"),
        Work::Lock(_) | Work::Election { .. } => unreachable!("{HOLDERS}"),
    }
}

/// Why a load is never of these kinds.
const HOLDERS: &str = "who holds something has a load of another kind";

/// An operation that is due.
#[derive(Clone, Debug)]
struct Due {
    at: RunNanos,
    kind: Kind,
    key: usize,
}

/// Clients that share a queue: one that is pinned, or all that roam.
#[derive(Clone, Debug)]
struct Group {
    clients: Vec<Client>,
    waiting: VecDeque<Due>,
    /// When its clients give up.
    timeout: Duration,
}

impl Group {
    fn new(clients: Vec<Client>, timeout: Duration) -> Self {
        Self { clients, waiting: VecDeque::new(), timeout }
    }
}

/// What a node's pinned clients are asked to do, and what the roaming ones are.
#[derive(Clone, Debug)]
struct Streams {
    pinned: Vec<Stream>,
    roaming: Stream,
}

/// The generator with its clients.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    mean_gap: Duration,
    keys: usize,
    work: Work,
    arrivals: Stream,
    streams: Streams,
    /// When the next operation falls due; `None` while the load is not running.
    next_due: Option<RunNanos>,
    /// Of each node its reader, then its writer.
    pinned: Vec<Group>,
    roaming: Option<Group>,
    /// How many operations have fallen due.
    arrived: usize,
    waiting: usize,
    /// One a client at most.
    under_way: Vec<(OpId, UnderWay)>,
    /// Of each key.
    names: Vec<String>,
    last_seen: BTreeMap<usize, Option<Value>>,
    /// Of each set the elements that it must have.
    added: BTreeMap<usize, BTreeSet<Value>>,
    counts: Counts,
}

/// An object of the run, as it should be found at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its key.
    pub(crate) key: String,
    /// The elements that it must have, if it is a set; `None` if it is a register.
    pub(crate) must_hold: Option<BTreeSet<Value>>,
}

/// An operation that was invoked.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    /// Its client's group (`None`: the roaming one) and place in it.
    pinned: Option<usize>,
    client: usize,
    key: usize,
    /// What it writes, if it does.
    value: Option<Value>,
}

impl Load {
    /// A load that doesn't run yet.
    pub(crate) fn new(clients: &Clients, nodes: usize, seed: Seed, numbers: &mut Numbers) -> Self {
        let pinned_nodes = if clients.pinned { nodes } else { 0 };
        let has_work = clients.rate_per_second > 0.0 && pinned_nodes + clients.roaming > 0;
        let mean_gap = if has_work { Duration::from_secs_f64(1.0 / clients.rate_per_second) } else { Duration::MAX };
        let shares = if pinned_nodes > 0 && clients.roaming > 0 { 2 } else { 1 };
        // The register load's streams are named as they always were, so that old seeds draw what they drew.
        let of = match clients.work {
            Work::Register(_) => "",
            Work::Set { .. } => "set ",
            Work::Lock(_) | Work::Election { .. } => unreachable!("{HOLDERS}"),
        };
        let rest = |clients: usize| {
            client::rest(mean_gap.saturating_mul(u32::try_from(clients * shares).expect("a run has few clients")))
        };
        let mut new = |role, index: usize, name: String, clients| {
            let (node, stream) = (NodeId::from_index(index % nodes), random::stream(seed, &name));
            Client::new(role, node, nodes, rest(clients), stream, numbers)
        };
        let pinned = (0..pinned_nodes).flat_map(|node| {
            let mut group = |what, timeout| {
                let name = format!("{of}pinned {what} {node}");
                Group::new(vec![new(ClientRole::Pinned, node, name, pinned_nodes)], timeout)
            };
            [group("reader", clients.timeout.min(PROBE_TIMEOUT)), group("writer", clients.timeout)]
        });
        let pinned: Vec<Group> = pinned.collect();
        let roaming = (0..clients.roaming)
            .map(|index| new(ClientRole::Roaming, index, format!("{of}roaming client {index}"), clients.roaming));
        let roaming: Vec<Client> = roaming.collect();
        let stream = |whose: String| random::stream(seed, &format!("{of}operations of {whose}"));
        Self {
            mean_gap,
            keys: clients.keys,
            work: clients.work,
            arrivals: random::stream(seed, &format!("{of}arrivals")),
            streams: Streams {
                pinned: (0..pinned_nodes).map(|node| stream(format!("pinned clients {node}"))).collect(),
                roaming: stream("roaming clients".to_owned()),
            },
            next_due: None,
            pinned,
            roaming: (!roaming.is_empty()).then(|| Group::new(roaming, clients.timeout)),
            arrived: 0,
            waiting: 0,
            under_way: Vec::new(),
            names: (0..clients.keys).map(|key| key_name(clients.work, key)).collect(),
            last_seen: BTreeMap::new(),
            added: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// From now on operations fall due.
    pub(crate) fn begin(&mut self, now: RunNanos) {
        if self.mean_gap < Duration::MAX {
            self.next_due = Some(now + self.arrivals.gap(self.mean_gap));
        }
    }

    /// No more operations fall due, and those that wait are dropped. Those under way go on.
    pub(crate) fn stop(&mut self) {
        self.next_due = None;
        for group in self.pinned.iter_mut().chain(&mut self.roaming) {
            group.waiting.clear();
        }
        self.counts.dropped += u64::try_from(self.waiting).expect("few operations wait");
        self.waiting = 0;
    }

    /// How many operations are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What must be found at the end of every object: of a set, the elements whose addition was acknowledged.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let object = |key| {
            let must_hold = match self.work {
                Work::Register(_) => None,
                Work::Set { .. } => Some(self.added.get(&key).cloned().unwrap_or_default()),
                Work::Lock(_) | Work::Election { .. } => unreachable!("{HOLDERS}"),
            };
            Object { key: self.names[key].clone(), must_hold }
        };
        (0..self.keys).map(object).collect()
    }

    /// How many operations wait for a free client.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How the operations ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// When something falls due or a client that has work has rested enough.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        let with_work = self.pinned.iter().chain(&self.roaming).filter(|group| !group.waiting.is_empty());
        let rested = with_work.flat_map(|group| &group.clients).filter_map(Client::free_from).min();
        self.next_due.into_iter().chain(rested).min()
    }

    /// Does what is due: queues what has arrived, and hands it to clients that are free.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        while let Some(due) = self.next_due.filter(|due| *due <= now) {
            self.arrives(due);
            self.next_due = Some(due + self.arrivals.gap(self.mean_gap));
        }
        if self.waiting == 0 {
            return;
        }
        for index in 0..self.pinned.len() {
            self.dispatch(Some(index), now, numbers, out);
        }
        self.dispatch(None, now, numbers, out);
    }

    fn arrives(&mut self, at: RunNanos) {
        let number = self.arrived;
        self.arrived += 1;
        let (keys, work) = (self.keys, self.work);
        let pinned_turn = !self.pinned.is_empty() && (self.roaming.is_none() || number.is_multiple_of(2));
        let shares = if self.roaming.is_some() { 2 } else { 1 };
        let node = number / shares % (self.pinned.len() / 2).max(1);
        let stream = if pinned_turn { &mut self.streams.pinned[node] } else { &mut self.streams.roaming };
        let kind = Kind::drawn(work, stream);
        let key = stream.index(keys);
        let group = if pinned_turn {
            let (reader, writer) = (2 * node, 2 * node + 1);
            &mut self.pinned[if kind.reads() { reader } else { writer }]
        } else {
            self.roaming.as_mut().expect("a load without clients never runs")
        };
        if self.waiting < WAITING_MAX {
            group.waiting.push_back(Due { at, kind, key });
            self.waiting += 1;
        } else {
            self.counts.dropped += 1;
        }
    }

    /// Hands the group's waiting operations to its free clients.
    fn dispatch(&mut self, pinned: Option<usize>, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        loop {
            let group = match pinned {
                Some(index) => Some(&mut self.pinned[index]),
                None => self.roaming.as_mut(),
            };
            let Some(group) = group.filter(|group| !group.waiting.is_empty()) else { return };
            let free = group.clients.iter_mut().enumerate().filter(|(_, client)| client.is_free(now));
            let Some((index, client)) = free.min_by_key(|(_, client)| client.free_from()) else { return };
            let timeout = group.timeout;
            let due = group.waiting.pop_front().expect("the queue is not empty");
            self.waiting -= 1;
            let key = self.names[due.key].clone();
            let action = match due.kind {
                Kind::Read => Action::Read { key },
                Kind::Write => Action::Write { key, value: numbers.value() },
                Kind::Cas => {
                    let expect = self.last_seen.get(&due.key).copied().flatten();
                    Action::Cas { key, expect, value: numbers.value() }
                }
                Kind::Elements => Action::Elements { key },
                Kind::Add => Action::Add { key, value: numbers.value() },
            };
            let value = action.written();
            let invocation = client.invokes(action, due.at, now + timeout, numbers);
            self.under_way.push((invocation.id, UnderWay { pinned, client: index, key: due.key, value }));
            out.push(Command::Invoke(invocation));
        }
    }

    /// Takes the end of an operation in; `false` if it isn't one of this load, or has ended before.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        let Some(place) = self.under_way.iter().position(|(id, _)| *id == completed.id) else { return false };
        let (_, operation) = self.under_way.swap_remove(place);
        self.counts.count(&completed.phase);
        match self.work {
            Work::Register(_) => {
                if let Some(seen) = seen(&completed.phase, operation.value) {
                    self.last_seen.insert(operation.key, seen);
                }
            }
            Work::Set { .. } => {
                let added = operation.value.filter(|_| matches!(completed.phase, OpPhase::Ok(_)));
                self.added.entry(operation.key).or_default().extend(added);
            }
            Work::Lock(_) | Work::Election { .. } => unreachable!("{HOLDERS}"),
        }
        let group = match operation.pinned {
            Some(index) => &mut self.pinned[index],
            None => self.roaming.as_mut().expect("the operation's client is one of them"),
        };
        group.clients[operation.client].ended(completed, now, numbers);
        true
    }
}

/// What the end of an operation shows of its key's value, if anything.
fn seen(phase: &OpPhase, written: Option<Value>) -> Option<Option<Value>> {
    let OpPhase::Ok(result) = phase else { return None };
    match result {
        OpResult::Read { value, .. } => Some(*value),
        OpResult::Written { .. } | OpResult::Cas { swapped: true, .. } => Some(written),
        OpResult::Cas { swapped: false, observed, .. } => *observed,
        OpResult::Elements { .. } | OpResult::Acquired { .. } | OpResult::Released | OpResult::Accessed { .. } => None,
    }
}
