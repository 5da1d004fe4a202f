//! One client: a logical process that has at most one operation under way, and a way of choosing whom to ask.
//!
//! A *pinned* client stays with its node whatever it answers: it is the one that meets a stale leader (pinned probers found
//! unconfirmed reads in 79 of 120 runs, roaming clients alone in 6 of 150). So does one that reads a set at the end. A *roaming*
//! client, and likewise the one that reads registers at the end, goes where a refusal points it, and otherwise to the next node in turn; its turn goes on from where
//! it was, so that two nodes that point at each other can't keep it.
//!
//! After a refusal or a nonsense it rests for a drawn time, so that a node that answers so at once isn't asked in a spin. After
//! an operation whose outcome is unknown the client goes on as a new process: the old one might yet take effect.

use std::time::Duration;

use chaos_history::{Action, ClientRole, NodeId, OpId, OpPhase, ProcessId, RunNanos};
use chaos_plan::DurationRange;

use crate::random::Stream;
use crate::world::{Completed, Invocation};

/// Hands out the numbers of a run: each once, over all clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    operations: u64,
    processes: u64,
    values: u64,
}

impl Numbers {
    /// The next operation, from 0.
    pub(crate) fn operation(&mut self) -> OpId {
        self.operations += 1;
        OpId(self.operations - 1)
    }

    /// A process that never was, from 0.
    pub(crate) fn process(&mut self) -> ProcessId {
        self.processes += 1;
        ProcessId(self.processes - 1)
    }

    /// A value that was never written, from 1.
    pub(crate) fn value(&mut self) -> chaos_history::Value {
        self.values += 1;
        chaos_history::Value(self.values)
    }
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    role: ClientRole,
    process: ProcessId,
    node: NodeId,
    /// Where the turn stands, as an index of a node.
    turn: usize,
    nodes: usize,
    busy: Option<OpId>,
    available: RunNanos,
    rest: DurationRange,
    stream: Stream,
    /// Whether it stays with its node whatever that answers.
    stays: bool,
}

impl Client {
    /// A free client that asks `node` first and rests for a time drawn from `rest` after a refusal.
    pub(crate) fn new(
        role: ClientRole,
        node: NodeId,
        nodes: usize,
        rest: DurationRange,
        stream: Stream,
        numbers: &mut Numbers,
    ) -> Self {
        let (process, available) = (numbers.process(), RunNanos(0));
        let stays = role == ClientRole::Pinned;
        Self { role, process, node, turn: node.index(), nodes, busy: None, available, rest, stream, stays }
    }

    /// The same client, bound to its node.
    pub(crate) fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// From when on it can take an operation; `None` while it is busy.
    pub(crate) fn free_from(&self) -> Option<RunNanos> {
        if self.is_busy() { None } else { Some(self.available) }
    }

    /// Whether it can take an operation now.
    pub(crate) fn is_free(&self, now: RunNanos) -> bool {
        self.free_from().is_some_and(|from| from <= now)
    }

    /// Takes the next operation of the run.
    ///
    /// # Panics
    /// If it has one under way: a process runs one operation at a time.
    pub(crate) fn invokes(
        &mut self,
        action: Action,
        due: RunNanos,
        deadline: RunNanos,
        numbers: &mut Numbers,
    ) -> Invocation {
        assert!(!self.is_busy(), "process {:?} has an operation under way", self.process);
        let id = numbers.operation();
        self.busy = Some(id);
        Invocation { id, process: self.process, node: self.node, role: self.role, due, deadline, action }
    }

    /// Its operation ended.
    ///
    /// # Panics
    /// If that wasn't its operation.
    pub(crate) fn ended(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) {
        assert_eq!(self.busy.take(), Some(completed.id), "process {:?} waits for another operation", self.process);
        self.available = now;
        match &completed.phase {
            OpPhase::Ok(_) => {}
            OpPhase::Fail { .. } => {
                self.available = now + self.stream.within(self.rest);
                self.goes_on(completed.leader_hint);
            }
            OpPhase::Info { .. } => {
                // It mostly took its whole timeout, but a node may also answer nonsense at once.
                self.available = now + self.stream.within(self.rest);
                self.process = numbers.process();
                self.goes_on(None);
            }
            OpPhase::Invoke { .. } => unreachable!("an invocation is no completion"),
        }
    }

    /// It takes nothing for this long, if it isn't resting longer anyway.
    pub(crate) fn rests(&mut self, now: RunNanos, time: Duration) {
        self.available = self.available.max(now + time);
    }

    fn goes_on(&mut self, hint: Option<NodeId>) {
        if self.stays {
            return;
        }
        let pointed = hint.filter(|node| *node != self.node && node.index() < self.nodes);
        self.node = pointed.unwrap_or_else(|| {
            self.turn = (self.turn + 1) % self.nodes;
            NodeId::from_index(self.turn)
        });
    }
}

/// How long clients rest after a refusal: 10 to 50 ms, but never longer than half the mean time between two operations of one
/// client. (Most pinned clients are refused all the time, by followers. If they rested longer than their schedule allows, the
/// backlog would be the harness's doing, and show as latency once their node leads.)
pub(crate) fn rest(mean_gap: Duration) -> DurationRange {
    let at_most = |millis| Duration::from_millis(millis).min(mean_gap / 2);
    DurationRange { min: at_most(10), max: at_most(50) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use chaos_history::{OpResult, Seed};

    fn client(role: ClientRole, numbers: &mut Numbers) -> Client {
        let stream = random::stream(Seed(1), "client");
        Client::new(role, NodeId::new(1), 3, rest(Duration::from_secs(1)), stream, numbers)
    }

    fn read() -> Action {
        Action::Read { key: "k0".to_owned() }
    }

    /// Ends one operation of the client in this way, and says whom it asks next.
    fn after(client: &mut Client, numbers: &mut Numbers, phase: OpPhase, hint: Option<u16>) -> u16 {
        let Invocation { id, .. } = client.invokes(read(), RunNanos(0), RunNanos(1_000), numbers);
        client.ended(&Completed { id, phase, leader_hint: hint.map(NodeId::new) }, RunNanos(1_000), numbers);
        client.node().number()
    }

    fn fail() -> OpPhase {
        OpPhase::Fail { error: "not the leader".to_owned() }
    }

    fn info() -> OpPhase {
        OpPhase::Info { error: "timed out".to_owned() }
    }

    #[test]
    fn a_roaming_client_follows_hints_and_is_not_kept_by_nodes_that_point_at_each_other() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Roaming, &mut numbers);
        assert_eq!(after(&mut client, &mut numbers, fail(), Some(3)), 3);
        assert_eq!(after(&mut client, &mut numbers, OpPhase::Ok(OpResult::Written { revision: None }), None), 3);
        assert_eq!(after(&mut client, &mut numbers, info(), None), 2);
        assert_eq!(after(&mut client, &mut numbers, fail(), Some(1)), 1);
        assert_eq!(after(&mut client, &mut numbers, info(), Some(2)), 3);
        assert_eq!(after(&mut client, &mut numbers, fail(), Some(3)), 1);
    }

    #[test]
    fn a_pinned_client_stays() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Pinned, &mut numbers);
        for phase in [fail(), info()] {
            assert_eq!(after(&mut client, &mut numbers, phase, Some(3)), 1);
        }
    }

    #[test]
    fn an_invocation_tells_who_asks_whom_for_what_and_until_when() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Pinned, &mut numbers);
        let asked = client.invokes(read(), RunNanos(5), RunNanos(1_005), &mut numbers);
        let expected = Invocation {
            id: OpId(0),
            process: ProcessId(0),
            node: NodeId::new(1),
            role: ClientRole::Pinned,
            due: RunNanos(5),
            deadline: RunNanos(1_005),
            action: read(),
        };
        assert_eq!((asked, numbers.operation()), (expected, OpId(1)));
        assert!(client.is_busy());
    }

    #[test]
    #[should_panic(expected = "has an operation under way")]
    fn a_client_asks_one_thing_at_a_time() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Roaming, &mut numbers);
        for _ in 0..2 {
            client.invokes(read(), RunNanos(0), RunNanos(1_000), &mut numbers);
        }
    }

    #[test]
    fn only_an_unknown_outcome_ends_the_process() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Roaming, &mut numbers);
        let first = client.process;
        after(&mut client, &mut numbers, fail(), None);
        assert_eq!(client.process, first);
        after(&mut client, &mut numbers, info(), None);
        assert!(client.process > first);
    }

    #[test]
    fn a_refused_client_rests_within_its_schedule() {
        let mut numbers = Numbers::default();
        let mut client = client(ClientRole::Roaming, &mut numbers);
        after(&mut client, &mut numbers, fail(), None);
        assert!(!client.is_free(RunNanos(9_000_000)) && client.is_free(RunNanos(51_000_000)));
        let short = rest(Duration::from_millis(4));
        assert_eq!((short.min, short.max), (Duration::from_millis(2), Duration::from_millis(2)));
    }
}
