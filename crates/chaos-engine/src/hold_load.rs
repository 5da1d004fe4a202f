//! A load of holders: clients that take a lock (or campaign for a leadership), use what it protects, and give it back.
//!
//! Closed loop: each client is one session and does one thing after another, as programs with locks do; how many of them want one
//! lock is what makes it contended. What a client does while it holds falls due at drawn moments of the hold, whether or not the
//! hold still exists by then: a holder doesn't know that it has lost its lock until it is told, and what it does meanwhile is
//! what fencing tokens are for.
//!
//! ```text
//!   rest │ acquire ├────────┤ access · access · · access ├ release ┤ rest …
//!                  waits    └───────── hold ─────────────┘
//! ```
//!
//! After an acquisition or a release whose outcome is unknown, a client goes on as a new process, which is a new session: whatever
//! the old one still holds ends with it. Nothing is acquired once the load stops, and who holds then gives back at once.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, OpResult, RunNanos, Seed};
use chaos_plan::{Clients, DurationRange, LockWork, Work};

use crate::client::{self, Client, Numbers};
use crate::load::Counts;
use crate::random::{self, Stream};
use crate::world::{Command, Completed};

/// What a client is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// It holds nothing and asks for nothing.
    Idle,
    /// It waits for the lock.
    Acquiring,
    /// It holds, as far as it knows.
    Holding(Hold),
    /// It gives back.
    Releasing,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hold {
    token: Option<u64>,
    /// When the resource is to be used, the last first.
    accesses: Vec<RunNanos>,
    until: RunNanos,
}

/// A client with its lock.
#[derive(Clone, Debug)]
struct Holder {
    client: Client,
    stream: Stream,
    key: String,
    stage: Stage,
}

impl Holder {
    /// When it has something to do; `None` while it waits for an answer.
    fn due(&self, running: bool) -> Option<RunNanos> {
        let free = self.client.free_from()?;
        match &self.stage {
            Stage::Idle => running.then_some(free),
            // Nothing lies before what it did last.
            Stage::Holding(hold) if running => Some(hold.accesses.last().copied().unwrap_or(hold.until).max(free)),
            Stage::Holding(_) => Some(free),
            Stage::Acquiring | Stage::Releasing => None,
        }
    }

    /// What it asks next, since when that is due, and what it is about then.
    fn next(&mut self, due: RunNanos, running: bool, fencing: bool) -> (Action, RunNanos) {
        let key = self.key.clone();
        if let Stage::Holding(hold) = &mut self.stage {
            if let Some(planned) = hold.accesses.pop().filter(|_| running) {
                return (Action::Access { key, token: hold.token.filter(|_| fencing) }, planned);
            }
            let planned = hold.until.min(due);
            self.stage = Stage::Releasing;
            return (Action::Release { key }, planned);
        }
        self.stage = Stage::Acquiring;
        (Action::Acquire { key }, due)
    }
}

/// The generator with its clients.
#[derive(Clone, Debug)]
pub(crate) struct HoldLoad {
    work: LockWork,
    timeout: Duration,
    running: bool,
    holders: Vec<Holder>,
    under_way: BTreeMap<OpId, usize>,
    counts: Counts,
}

impl HoldLoad {
    /// A load that doesn't run yet; `None` if the clients are to do something else.
    pub(crate) fn new(clients: &Clients, nodes: usize, seed: Seed, numbers: &mut Numbers) -> Option<Self> {
        let (work, what, letter) = match clients.work {
            Work::Register(_) | Work::Set { .. } => return None,
            Work::Lock(work) => (work, "lock client", 'l'),
            Work::Election { hold } => (LockWork { hold, accesses: 0, fencing: false }, "candidate", 'e'),
        };
        let holders = (0..clients.roaming).map(|index| {
            let stream = |of: &str| random::stream(seed, &format!("{of}{what} {index}"));
            let node = NodeId::from_index(index % nodes);
            let rest = client::rest(Duration::from_secs(1));
            let client = Client::new(ClientRole::Roaming, node, nodes, rest, stream(""), numbers);
            let key = format!("{letter}{}", index % clients.keys);
            Holder { client, stream: stream("holds of "), key, stage: Stage::Idle }
        });
        let holders = holders.collect();
        let (running, under_way, counts) = (false, BTreeMap::new(), Counts::default());
        Some(Self { work, timeout: clients.timeout, running, holders, under_way, counts })
    }

    /// From now on locks are wanted.
    pub(crate) fn begin(&mut self) {
        self.running = true;
    }

    /// No more locks are wanted, and those that are held are given back.
    pub(crate) fn stop(&mut self) {
        self.running = false;
    }

    /// How many operations are under way, and how many locks have yet to be given back.
    pub(crate) fn under_way(&self) -> usize {
        let held = |holder: &&Holder| matches!(holder.stage, Stage::Holding(_)) && !holder.client.is_busy();
        self.under_way.len() + self.holders.iter().filter(held).count()
    }

    /// How the operations ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// When a client has something to do.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        self.holders.iter().filter_map(|holder| holder.due(self.running)).min()
    }

    /// Has every client do what is due.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        for (index, holder) in self.holders.iter_mut().enumerate() {
            let Some(due) = holder.due(self.running).filter(|due| *due <= now) else { continue };
            let (action, due) = holder.next(due, self.running, self.work.fencing);
            let invocation = holder.client.invokes(action, due, now + self.timeout, numbers);
            self.under_way.insert(invocation.id, index);
            out.push(Command::Invoke(invocation));
        }
    }

    /// Takes the end of an operation in; `false` if it isn't one of this load, or has ended before.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        let Some(index) = self.under_way.remove(&completed.id) else { return false };
        self.counts.count(&completed.phase);
        let work = self.work;
        let Holder { client, stream, key: _, stage } = &mut self.holders[index];
        client.ended(completed, now, numbers);
        match (&completed.phase, &mut *stage) {
            (OpPhase::Ok(OpResult::Acquired { token }), Stage::Acquiring) => {
                *stage = Stage::Holding(hold(work, *token, now, stream));
            }
            (OpPhase::Ok(OpResult::Accessed { accepted: true }), Stage::Holding(_)) => {}
            // Somebody newer was there: now it knows.
            (OpPhase::Ok(_) | OpPhase::Fail { .. }, Stage::Holding(hold)) => {
                hold.accesses.clear();
                hold.until = now;
            }
            // Given back, refused, unknown, or an answer to another question: in any case it doesn't believe that it holds.
            (OpPhase::Ok(_) | OpPhase::Fail { .. } | OpPhase::Info { .. } | OpPhase::Invoke { .. }, _) => {
                *stage = Stage::Idle;
                // Who has just given back doesn't take it again before anybody else could.
                client.rests(now, stream.within(REST));
            }
        }
        true
    }
}

/// The pause between two tries.
const REST: DurationRange = DurationRange { min: Duration::from_millis(10), max: Duration::from_millis(50) };

/// A hold that begins now, with the moments at which the resource will be used.
fn hold(work: LockWork, token: Option<u64>, now: RunNanos, stream: &mut Stream) -> Hold {
    let lasts = stream.within(work.hold);
    let mut accesses: Vec<RunNanos> = (0..work.accesses).map(|_| now + stream.below_duration(lasts)).collect();
    accesses.sort_unstable_by(|one, other| other.cmp(one));
    Hold { token, accesses, until: now + lasts }
}
