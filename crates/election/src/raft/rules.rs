//! Every decision of Raft in one place: a trait whose defaults are the paper's rules, each with the sentence it comes from.
//!
//! The core asks, the rules answer; they hold no state and see only what the decision needs. [`Sound`] overrides nothing. A
//! specimen overrides one method, so that its difference from Raft is a few lines and the sound path holds no bug.
//!
//! Source: paper Fig. 2 and §5; thesis §3.10, §4, §6.4, §9.6.

use std::collections::BTreeSet;
use std::time::Duration;

use super::io::ReadConsistency;
use super::message::{Ballot, VoteReply};
use crate::types::{LogIndex, Nanos, NodeId, Term};

/// Why a leader would give up leading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDown {
    /// It heard of a newer term.
    HigherTerm,
    /// Too few followers answer.
    QuorumLost,
    /// It is no longer a member, and that is committed.
    Removed,
}

/// How a leader answers a linearizable read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadPath {
    /// From what it has committed, now.
    AtOnce,
    /// After a round that a quorum answered, and after the no-op of its term (ReadIndex).
    Confirm,
}

/// What a leader knows when it is asked for other members.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRequest<'a> {
    /// The members it goes by.
    pub current: &'a BTreeSet<NodeId>,
    /// The members asked for.
    pub proposed: &'a BTreeSet<NodeId>,
    /// Whether `current` itself is committed.
    pub current_committed: bool,
    /// Whether an entry of the leader's own term is committed.
    pub noop_committed: bool,
}

/// What becomes of a [`ChangeRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeVerdict {
    /// Append it.
    Accept,
    /// Later.
    Busy,
    /// Never.
    Invalid,
}

/// The decisions of Raft. See the module's text.
pub trait Rules {
    // ---- elections ----

    /// How many of `members` decide. "A candidate wins an election if it receives votes from a majority of the servers in the
    /// full cluster" (paper §5.2). Any two quorums must share a member.
    fn quorum(&self, members: usize) -> usize {
        members / 2 + 1
    }

    /// Whether a node whose timer ran out campaigns. "A server that is not part of its own latest configuration should still
    /// start new elections, as it might still be needed until the C_new entry is committed" (thesis §4.2.2); it does not count
    /// its own vote. Once its removal is committed it is silent.
    fn campaigns(&self, is_member: bool, members_committed: bool) -> bool {
        is_member || !members_committed
    }

    /// To whom a candidate's own vote of its new term goes: it "increments its current term" and "votes for itself" (paper §5.2), so that
    /// it has none left for others.
    fn own_vote(&self, own: NodeId) -> Option<NodeId> {
        Some(own)
    }

    /// Whether the vote of the current term may go to `candidate`. "Each server will vote for at most one candidate in a given
    /// term, on a first-come-first-served basis" (paper §5.2).
    fn grants_vote(&self, voted_for: Option<NodeId>, candidate: NodeId) -> bool {
        voted_for.is_none_or(|given| given == candidate)
    }

    /// What is left of the vote when a node becomes a follower within the same term: all of it, since the vote belongs to the
    /// term ("votedFor: candidateId that received vote in current term", paper Fig. 2).
    fn vote_after_step_down(&self, voted_for: Option<NodeId>) -> Option<NodeId> {
        voted_for
    }

    /// Whether a candidate's log, by term and index of its last entry, is good enough. "The voter denies its vote if its own log
    /// is more up-to-date than that of the candidate" (paper §5.4.1).
    fn up_to_date(&self, candidate: (Term, LogIndex), voter: (Term, LogIndex)) -> bool {
        candidate >= voter
    }

    /// Whether a voter that is led refuses the ballot. "If a server receives a RequestVote request within the minimum election
    /// timeout of hearing from a current leader, it does not update its term or grant its vote" (thesis §4.2.3); a pre-vote
    /// always asks this (§9.6), a transfer never (§4.2.3).
    fn keeps_promise(&self, ballot: Ballot, stickiness: bool, led: bool) -> bool {
        match ballot {
            Ballot::Pre => led,
            Ballot::Election => led && stickiness,
            Ballot::Transfer => false,
        }
    }

    /// Whether a restarted voter acts as if it had just heard a leader: it may have, and a lease may rest on it.
    fn promises_after_restart(&self) -> bool {
        true
    }

    /// Whether a reply is a vote in the election for `term`. A reply to another election, or to a pre-vote, is none.
    fn counts_vote(&self, term: Term, pre: bool, reply: &VoteReply) -> bool {
        reply.granted && reply.for_term == term && reply.pre == pre
    }

    /// Whether a vote is one more, after those of `counted`. "Votes from a majority of the servers" (paper §5.2): voters count, not
    /// replies, since a reply may arrive twice.
    fn counts_voter(&self, counted: &[NodeId], voter: NodeId) -> bool {
        !counted.contains(&voter)
    }

    /// Which term a voter puts into its reply: its own, so that a candidate that lags learns of it ("currentTerm, for candidate
    /// to update itself", paper Fig. 2), in a pre-vote too.
    fn vote_reply_term(&self, own: Term) -> Term {
        own
    }

    /// Whether answering a vote restarts the election timer. "If election timeout elapses without receiving AppendEntries RPC
    /// from current leader or granting vote to candidate: convert to candidate" (paper Fig. 2).
    fn vote_rearms_timer(&self, granted: bool) -> bool {
        granted
    }

    /// Whether what calls itself the leader of `message` term has been deposed, as this node, in its `own` term, knows. "If a server
    /// receives a request with a stale term number, it rejects the request" (paper §5.1).
    fn is_deposed(&self, message: Term, own: Term) -> bool {
        message < own
    }

    /// Whether hearing a deposed leader restarts the election timer. No: "without receiving AppendEntries RPC from *current* leader"
    /// (paper Fig. 2).
    fn deposed_rearms_timer(&self) -> bool {
        false
    }

    /// The election timeout for a uniform draw from all of `u64`: "chosen randomly from a fixed interval" (paper §5.2).
    fn election_timeout(&self, min: Duration, max: Duration, draw: u64) -> Duration {
        let span = u64::try_from((max - min).as_nanos()).unwrap_or(u64::MAX);
        min + Duration::from_nanos(draw.checked_rem(span).unwrap_or(0))
    }

    /// Whether a leader gives up. "If a candidate or leader discovers that its term is out of date, it immediately reverts to
    /// follower state" (paper §5.1); "a leader steps down if an election timeout elapses without a successful round of
    /// heartbeats to a majority of its cluster" (thesis §6.2).
    fn steps_down(&self, cause: StepDown) -> bool {
        match cause {
            StepDown::HigherTerm | StepDown::QuorumLost | StepDown::Removed => true,
        }
    }

    /// Whether a leader has lost its quorum: the quorum's most silent member has been silent for longer than `window`.
    fn quorum_lost(&self, silence: Duration, window: Duration) -> bool {
        silence > window
    }

    // ---- log ----

    /// Whether an entry of `entry` term may be committed by counting. "Only log entries from the leader's current term are
    /// committed by counting replicas" (paper §5.4.2, Fig. 8).
    fn may_commit(&self, entry: Term, current: Term) -> bool {
        entry == current
    }

    /// On how many of `members`, the leader included, an entry must be to be committed: "once the leader that created the entry has
    /// replicated it on a majority of the servers" (paper §5.3), the same majority that elects.
    fn commit_quorum(&self, members: usize) -> usize {
        self.quorum(members)
    }

    /// How far a follower may commit: "min(leaderCommit, index of last new entry)" (paper Fig. 2), where only what this very
    /// message verified counts.
    fn follower_commit(&self, leader_commit: LogIndex, verified: LogIndex) -> LogIndex {
        leader_commit.min(verified)
    }

    /// Whether an entry must give way to one of the leader's at its index. "If an existing entry conflicts with a new one (same
    /// index but different terms), delete the existing entry and all that follow it" (paper Fig. 2); otherwise delete nothing.
    fn conflicts(&self, existing: Term, incoming: Term) -> bool {
        existing != incoming
    }

    /// Up to where a reply proves that the follower's log equals the leader's; a rejection proves nothing.
    fn acknowledged(&self, accepted: bool, index: LogIndex) -> Option<LogIndex> {
        accepted.then_some(index)
    }

    /// Whether a snapshot brings anything: one that ends at or before the commit index would take state back.
    fn accepts_snapshot(&self, snapshot: LogIndex, commit: LogIndex) -> bool {
        snapshot > commit
    }

    /// Whether the members may change. One server at a time (thesis §4.1), one change at a time, and not before an entry of the
    /// leader's term is committed (Ongaro, raft-dev, 10 July 2015).
    fn membership_change(&self, change: ChangeRequest<'_>) -> ChangeVerdict {
        let differing = change.current.symmetric_difference(change.proposed).count();
        if differing != 1 || change.proposed.is_empty() {
            ChangeVerdict::Invalid
        } else if change.current_committed && change.noop_committed {
            ChangeVerdict::Accept
        } else {
            ChangeVerdict::Busy
        }
    }

    /// Whether a new node has caught up, by how long the last catch-up round took. "If the last round lasts less than an election
    /// timeout, then the leader adds the new server to the cluster, under the assumption that there are not enough unreplicated
    /// entries to create a significant availability gap" (thesis §4.2.1).
    fn caught_up(&self, round: Duration, election_timeout: Duration) -> bool {
        round < election_timeout
    }

    // ---- transfer of leadership ----

    /// Whether a leader takes proposals. "The prior leader stops accepting new client requests" while it hands its leadership over
    /// (thesis §3.10): otherwise its successor might never catch up.
    fn accepts_proposals(&self, transferring: bool) -> bool {
        !transferring
    }

    /// Whether the successor may be asked to campaign. "The prior leader fully updates the target server's log to match its own
    /// log" first (thesis §3.10), or the voters would refuse it.
    fn asks_successor(&self, matched: LogIndex, last: LogIndex) -> bool {
        matched == last
    }

    // ---- reads and leases ----

    /// How a leader answers a read. "The leader needs to make sure it has not been superseded by a newer leader of which it is
    /// unaware" (thesis §6.4): by a round, or by its lease if the client accepts that.
    fn read_path(&self, consistency: ReadConsistency, lease_valid: bool) -> ReadPath {
        match consistency {
            ReadConsistency::Local => ReadPath::AtOnce,
            ReadConsistency::Lease if lease_valid => ReadPath::AtOnce,
            ReadConsistency::Lease | ReadConsistency::Linearizable => ReadPath::Confirm,
        }
    }

    /// The state that a read must see. "If the leader has not yet marked an entry from its current term committed, it waits
    /// until it has done so" (thesis §6.4): so never less than the no-op.
    fn read_index(&self, commit: LogIndex, noop: LogIndex) -> LogIndex {
        commit.max(noop)
    }

    /// Whether a reply shows that its sender still follows. One from an earlier leadership of the same node does not, although
    /// its round may have the number that is waited for (etcd issue 20418).
    fn renews_leadership(&self, reply: Term, current: Term) -> bool {
        reply == current
    }

    /// When a lease ends whose quorum answered a round that was *sent* at `sent` (thesis §6.4.1). It must end before the voters'
    /// promise does, on clocks that may run at different rates.
    fn lease_until(&self, sent: Nanos, promise: Duration, percent: u32) -> Nanos {
        sent + promise * percent / 100
    }

    /// From when on a lease counts whose round was *sent* at one time and answered at another. The voter's promise began when the
    /// round reached it, which was no earlier than it was sent (thesis §6.4.1).
    fn lease_from(&self, sent: Nanos, _answered: Nanos) -> Nanos {
        sent
    }

    /// The time at which a lease must still hold for a read: that of the read itself, not that of the leader's last `beat`. Any
    /// pause may lie between them (Gray and Cheriton, "Leases", 1989, §5).
    fn lease_judged_at(&self, now: Nanos, _beat: Nanos) -> Nanos {
        now
    }

    /// Whether a leader may use a lease at all, while a transfer is under way or after one was. Once it has asked a successor to campaign, voters are released from their promise
    /// for the rest of the term, even if the transfer seems to have failed: the request may still be under way (thesis §6.4.1).
    fn lease_allowed(&self, _transferring: bool, timeout_now_sent: bool) -> bool {
        !timeout_now_sent
    }
}

/// Raft as published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sound;

impl Rules for Sound {}
