//! What only a leader knows: how far each follower is, which rounds were sent and answered when, and who waits for what.
//!
//! It lives from one election to the next step-down and is dropped whole, so nothing of one term can leak into another (read
//! contexts reused across terms were etcd issue 20418). It counts; the rules decide.
//!
//! Source: paper Fig. 2 (nextIndex, matchIndex), thesis §6.4 (rounds), §10.2.1 (pipelining); the probe, replicate and
//! snapshot modes follow etcd's `tracker`.

use std::collections::{BTreeSet, VecDeque};

use crate::types::{LogIndex, Nanos, NodeId, RequestId};

/// The most rounds whose send time is remembered; an answer to an older one no longer extends the lease.
const ROUNDS_MAX: usize = 1024;
/// How many members are few.
const FEW: usize = 9;

#[derive(Debug, Clone)]
pub(super) struct Leadership {
    /// The no-op that opened this term.
    pub(super) noop: LogIndex,
    /// In the order of their ids. A handful, so that nothing finds one of them faster than looking at them all.
    pub(super) peers: Vec<(NodeId, Peer)>,
    pub(super) heartbeat_deadline: Nanos,
    /// Set for good once a successor was asked to campaign.
    pub(super) timeout_now_sent: bool,
    /// The node that is being added, as long as it is no member.
    pub(super) joining: Option<Joining>,
    /// Waiting for commitment, by rising index.
    pub(super) proposals: VecDeque<Proposal>,
    /// Waiting for confirmation, by rising round.
    pub(super) reads: VecDeque<PendingRead>,
    /// The number of rounds sent; each `Append` carries the newest.
    pub(super) round: u64,
    /// When the last rounds were sent; the newest is at the back.
    sent_at: VecDeque<Nanos>,
}

/// A node that gets the log before it becomes a member. It is one of the peers and counts for nothing.
#[derive(Debug, Clone)]
pub(super) struct Joining {
    pub(super) request: RequestId,
    pub(super) id: NodeId,
    /// The members once it is one.
    pub(super) members: BTreeSet<NodeId>,
    /// The round ends when it has this.
    pub(super) goal: LogIndex,
    /// Counted from 1.
    pub(super) rounds: u32,
    pub(super) round_began: Nanos,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Proposal {
    pub(super) request: RequestId,
    pub(super) index: LogIndex,
    pub(super) membership: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct PendingRead {
    pub(super) request: RequestId,
    /// The first round that was sent after the read had arrived.
    pub(super) round: u64,
    pub(super) index: LogIndex,
}

/// One follower as the leader sees it.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Whether it is a member: one that is still joining is none.
    pub(super) counts: bool,
    /// The next entry to send.
    pub(super) next: LogIndex,
    /// Known to equal the leader's log up to here.
    pub(super) matched: LogIndex,
    pub(super) mode: Mode,
    /// The newest round it answered.
    pub(super) acked_round: u64,
    /// When that round was sent: at that instant or later it followed this leader.
    pub(super) acked_sent: Option<Nanos>,
    /// When that answer came.
    pub(super) acked_at: Option<Nanos>,
    /// When this leader began to wait for its answers.
    pub(super) since: Nanos,
}

/// How entries travel to a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Where the logs agree is a guess: one `Append` with entries at a time.
    Probe { outstanding: bool },
    /// The logs agree: several at once; the last index of each unanswered one.
    Replicate { inflight: VecDeque<LogIndex> },
    /// It needs the snapshot, which is on its way and is sent again at `resend_at`.
    Snapshot { resend_at: Nanos },
}

impl Peer {
    pub(super) fn new(next: LogIndex, now: Nanos) -> Self {
        Self {
            counts: false,
            next,
            matched: LogIndex(0),
            mode: Mode::Probe { outstanding: false },
            acked_round: 0,
            acked_sent: None,
            acked_at: None,
            since: now,
        }
    }

    /// Whether one more `Append` with entries may be on its way.
    pub(super) fn window_open(&self, inflight_max: usize) -> bool {
        match &self.mode {
            Mode::Probe { outstanding } => !outstanding,
            Mode::Replicate { inflight } => inflight.len() < inflight_max,
            Mode::Snapshot { .. } => false,
        }
    }

    /// Entries up to `last` were sent.
    pub(super) fn sent(&mut self, last: LogIndex) {
        match &mut self.mode {
            Mode::Probe { outstanding } => *outstanding = true,
            Mode::Replicate { inflight } => {
                inflight.push_back(last);
                self.next = last.next();
            }
            Mode::Snapshot { .. } => unreachable!("the window is closed while a snapshot is on its way"),
        }
    }

    /// The logs agree up to `index`.
    pub(super) fn agreed(&mut self, index: LogIndex) {
        self.matched = self.matched.max(index);
        self.next = self.next.max(self.matched.next());
        match &mut self.mode {
            Mode::Replicate { inflight } => {
                while inflight.front().is_some_and(|last| *last <= self.matched) {
                    inflight.pop_front();
                }
            }
            Mode::Probe { .. } | Mode::Snapshot { .. } => self.mode = Mode::Replicate { inflight: VecDeque::new() },
        }
    }

    /// The logs disagree; they may agree at `hint`. False if this is old news.
    pub(super) fn disagreed(&mut self, hint: LogIndex) -> bool {
        let next = hint.next().clamp(self.matched.next(), self.next);
        let stale = match &self.mode {
            Mode::Snapshot { .. } => true,
            Mode::Probe { outstanding } => *outstanding && next == self.next,
            Mode::Replicate { .. } => false,
        };
        if stale || hint < self.matched {
            return false;
        }
        self.next = next;
        self.mode = Mode::Probe { outstanding: false };
        true
    }
}

impl Leadership {
    pub(super) fn new(noop: LogIndex, now: Nanos) -> Self {
        Self {
            noop,
            peers: Vec::new(),
            heartbeat_deadline: now,
            timeout_now_sent: false,
            joining: None,
            proposals: VecDeque::new(),
            reads: VecDeque::new(),
            round: 0,
            sent_at: VecDeque::new(),
        }
    }

    /// Follows a change of members: a new peer starts at `next`, a removed one is forgotten.
    pub(super) fn track(&mut self, members: &BTreeSet<NodeId>, own: NodeId, next: LogIndex, now: Nanos) {
        self.peers.retain(|(id, _)| members.contains(id));
        for id in members.iter().filter(|id| **id != own) {
            match self.peer_mut(*id) {
                Some(peer) => peer.counts = true,
                None => self.add(*id, Peer { counts: true, ..Peer::new(next, now) }),
            }
        }
    }

    /// One more peer; it replaces the one of the same id, if there is one.
    pub(super) fn add(&mut self, id: NodeId, peer: Peer) {
        let place = self.peers.partition_point(|(other, _)| *other < id);
        match self.peers.get_mut(place) {
            Some(there) if there.0 == id => there.1 = peer,
            Some(_) | None => self.peers.insert(place, (id, peer)),
        }
    }

    pub(super) fn peer(&self, id: NodeId) -> Option<&Peer> {
        self.peers.iter().find(|(peer, _)| *peer == id).map(|(_, peer)| peer)
    }

    pub(super) fn peer_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|(peer, _)| *peer == id).map(|(_, peer)| peer)
    }

    /// Where a peer stands.
    pub(super) fn place(&self, id: NodeId) -> Option<usize> {
        self.peers.iter().position(|(peer, _)| *peer == id)
    }

    pub(super) fn begin_round(&mut self, now: Nanos) {
        self.round += 1;
        self.sent_at.push_back(now);
        if self.sent_at.len() > ROUNDS_MAX {
            self.sent_at.pop_front();
        }
    }

    /// When the newest round was sent.
    pub(super) fn beat(&self) -> Option<Nanos> {
        self.sent_at.back().copied()
    }

    /// A follower answered a message of this round.
    pub(super) fn answered(&mut self, from: NodeId, round: u64, now: Nanos) {
        let age = self.round.checked_sub(round).and_then(|age| usize::try_from(age).ok());
        let place = age.and_then(|age| self.sent_at.len().checked_sub(age + 1));
        let sent = place.and_then(|place| self.sent_at.get(place)).copied();
        if let Some(peer) = self.peer_mut(from) {
            peer.acked_round = peer.acked_round.max(round);
            if sent > peer.acked_sent {
                (peer.acked_sent, peer.acked_at) = (sent, Some(now));
            }
        }
    }

    /// The largest value that a quorum of so many members has reached, where this node has reached `own`. `quorum` counts from 1.
    pub(super) fn reached<K: Ord + Copy>(&self, members: usize, quorum: usize, own: K, of: impl Fn(&Peer) -> K) -> K {
        // A member without a peer is this node itself: `track` keeps a peer for every other one.
        let values = self.peers.iter().filter(|(_, peer)| peer.counts).map(|(_, peer)| of(peer));
        // Asked several times a message, of a handful of members: their values fit an array.
        let mut few = [own; FEW];
        if let Some(few) = few.get_mut(..members) {
            few.iter_mut().zip(values).for_each(|(place, value)| *place = value);
            few.sort_unstable_by(|a, b| b.cmp(a));
            return few[quorum - 1];
        }
        let mut all = vec![own; members];
        all.iter_mut().zip(values).for_each(|(place, value)| *place = value);
        all.sort_unstable_by(|a, b| b.cmp(a));
        all[quorum - 1]
    }
}
