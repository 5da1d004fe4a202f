//! The thread that owns the library's `RawNode`: messages, requests and ticks in; entries to the disk, messages to peers and answers
//! to clients out.
//!
//! The order within a pass is the library's contract: what must be durable is on the disk before the messages that promise it are
//! sent. After a pass the status is published, so it is one consistent view, and its term and vote are durable. Ticks that were missed
//! (the process stood still) are not made up for.
//!
//! A write is refused definitely only before `propose` has appended it. Later nothing is certain: even an entry that this node has
//! cut off can live on in another node's log and be committed by a later leader.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use kv_node::http::{Refusal, Status};
use kv_node::map::{Answer, Command, Map};
use kv_node::options::Peers;
use raft::eraftpb::{Entry, Message};
use raft::{RawNode, StateRole};
use tokio::sync::oneshot;

use crate::peers::Outbound;
use crate::store::{Store, StoreError};

/// The most inputs taken in one pass, so that ticks and the disk get their turn.
const INPUTS_MAX: usize = 1024;

/// Where the answer to a request goes.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// What the thread is handed.
pub enum Input {
    /// A peer's message.
    Message(Message),
    /// This peer has not got what was sent.
    Unreachable(u64),
    /// A client's write.
    Propose(Command, Reply<Answer>),
    /// A client's read waits for this.
    Barrier(Reply<()>),
}

/// The library and everything that waits for it.
pub struct Core {
    id: String,
    peers: Peers,
    raft: RawNode<Store>,
    map: Arc<RwLock<Map>>,
    status: Arc<RwLock<Status>>,
    outbound: Outbound,
    /// Appended writes: index to term and client.
    writes: BTreeMap<u64, (u64, Reply<Answer>)>,
    /// Reads that wait for a quorum's word that we lead, by the number that the library carries along.
    asked: BTreeMap<u64, Reply<()>>,
    /// Reads that wait until an index is applied.
    waiting: Vec<(u64, Reply<()>)>,
    reads_asked: u64,
}

impl Core {
    /// A core that has not run yet.
    pub fn new(id: String, peers: Peers, raft: RawNode<Store>, map: Arc<RwLock<Map>>, outbound: Outbound) -> Self {
        let status = Arc::new(RwLock::new(view(&id, &peers, &raft, None)));
        let (writes, asked) = (BTreeMap::new(), BTreeMap::new());
        Self { id, peers, raft, map, status, outbound, writes, asked, waiting: Vec::new(), reads_asked: 0 }
    }

    /// The published status.
    pub fn status(&self) -> Arc<RwLock<Status>> {
        Arc::clone(&self.status)
    }

    /// Runs until all senders are gone.
    ///
    /// # Errors
    /// If the disk refuses: the node must end, since it no longer knows what it has promised.
    pub fn run(mut self, inbox: &Receiver<Input>, tick: Duration) -> Result<(), StoreError> {
        let mut next_tick = Instant::now() + tick;
        loop {
            match inbox.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    self.take(first);
                    inbox.try_iter().take(INPUTS_MAX).for_each(|input| self.take(input));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if Instant::now() >= next_tick {
                self.raft.tick();
                next_tick = Instant::now() + tick;
                // Requests whose clients have stopped waiting, and whose answer may never come.
                self.asked.retain(|_, reply| !reply.is_closed());
                self.waiting.retain(|(_, reply)| !reply.is_closed());
                self.writes.retain(|_, (_, reply)| !reply.is_closed());
            }
            while self.raft.has_ready() {
                self.carry_out()?;
            }
            self.answer_reads();
            self.publish();
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            // The library refuses messages of nodes that it does not know and local ones; neither changes anything.
            Input::Message(message) => drop(self.raft.step(message)),
            Input::Unreachable(peer) => self.raft.report_unreachable(peer),
            Input::Propose(command, reply) => self.propose(&command, reply),
            Input::Barrier(reply) => {
                if self.raft.raft.state != StateRole::Leader {
                    return answer(reply, Err(self.not_leader()));
                }
                if !self.raft.raft.commit_to_current_term() {
                    // The library would drop it without a word.
                    return answer(reply, Err(Refusal::Busy));
                }
                self.reads_asked += 1;
                self.asked.insert(self.reads_asked, reply);
                self.raft.read_index(self.reads_asked.to_be_bytes().to_vec());
            }
        }
    }

    fn propose(&mut self, command: &Command, reply: Reply<Answer>) {
        // A follower would pass the proposal on to the leader, and nobody would learn where it went.
        if self.raft.raft.state != StateRole::Leader {
            return answer(reply, Err(self.not_leader()));
        }
        let data = serde_json::to_vec(command).expect("texts can be written as JSON");
        match self.raft.propose(Vec::new(), data) {
            Ok(()) => {
                let index = self.raft.raft.raft_log.last_index();
                self.writes.insert(index, (self.raft.raft.term, reply));
            }
            // Every error of a proposal comes before it is appended (`ProposalDropped`).
            Err(_) => answer(reply, Err(Refusal::Busy)),
        }
    }

    fn not_leader(&self) -> Refusal {
        Refusal::NotLeader(self.peers.name(self.raft.raft.leader_id))
    }

    /// One `Ready`, in the order that the library asks for.
    fn carry_out(&mut self) -> Result<(), StoreError> {
        let mut ready = self.raft.ready();
        // A leader's own disk is one of many: what it sends here is no promise of its own.
        self.outbound.send(ready.take_messages());
        for state in ready.take_read_states() {
            let number = <[u8; 8]>::try_from(state.request_ctx.as_slice()).map(u64::from_be_bytes);
            if let Some(reply) = number.ok().and_then(|number| self.asked.remove(&number)) {
                self.waiting.push((state.index, reply));
            }
        }
        self.apply(ready.take_committed_entries());
        let (entries, hard_state) = (ready.take_entries(), ready.hs().cloned());
        self.raft.mut_store().persist(entries, hard_state.as_ref())?;
        self.outbound.send(ready.take_persisted_messages());
        let mut light = self.raft.advance(ready);
        self.outbound.send(light.take_messages());
        self.apply(light.take_committed_entries());
        self.raft.advance_apply();
        if self.raft.raft.state != StateRole::Leader {
            self.let_go();
        }
        Ok(())
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        let mut map = self.map.write().expect("nobody panics with the map in hand");
        for entry in entries {
            let command = (!entry.data.is_empty())
                .then(|| serde_json::from_slice(&entry.data).expect("every entry was written by this program"));
            let done = map.apply(entry.index, entry.term, command);
            if let Some((term, reply)) = self.writes.remove(&entry.index) {
                let ours = done.filter(|_| term == entry.term);
                answer(reply, ours.ok_or(Refusal::Superseded));
            }
        }
    }

    fn answer_reads(&mut self) {
        let applied = self.map.read().expect("nobody panics with the map in hand").applied();
        for (_, reply) in self.waiting.extract_if(.., |(index, _)| applied >= Some(*index)) {
            answer(reply, Ok(()));
        }
    }

    /// Nobody will learn here what becomes of them.
    fn let_go(&mut self) {
        for (_, (_, reply)) in std::mem::take(&mut self.writes) {
            answer(reply, Err(Refusal::Superseded));
        }
        for (_, reply) in std::mem::take(&mut self.asked) {
            answer(reply, Err(Refusal::Superseded));
        }
    }

    fn publish(&self) {
        let applied = self.map.read().expect("nobody panics with the map in hand").applied();
        let status = view(&self.id, &self.peers, &self.raft, applied);
        *self.status.write().expect("nobody panics with the status in hand") = status;
    }
}

fn view(id: &str, peers: &Peers, raft: &RawNode<Store>, applied: Option<u64>) -> Status {
    let role = match raft.raft.state {
        StateRole::Follower => "follower",
        StateRole::Candidate => "candidate",
        StateRole::PreCandidate => "pre-candidate",
        StateRole::Leader => "leader",
    };
    Status {
        id: id.to_owned(),
        role,
        term: raft.raft.term,
        leader: peers.name(raft.raft.leader_id),
        voted_for: peers.name(raft.raft.vote),
        commit: Some(raft.raft.raft_log.committed),
        applied,
    }
}

/// The client may have stopped waiting; then there is nobody to tell.
fn answer<T>(reply: Reply<T>, with: Result<T, Refusal>) {
    let _ = reply.send(with);
}
