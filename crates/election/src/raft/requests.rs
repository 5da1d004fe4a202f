//! What the shell asks for: proposals, reads, a transfer of leadership, snapshots (thesis §3.10, §5, §6.4).
//!
//! Every request gets exactly one reply. A definite refusal is only given before anything was done.

use std::cmp::Reverse;

use super::bytes::CommandBytes;
use super::io::{Entry, EntryPayload, Outcome, Output, ReadConsistency, Snapshot, SnapshotMeta};
use super::leadership::{PendingRead, Proposal};
use super::message::{Message, TimeoutNow};
use super::node::{Now, Raft, State, Transfer};
use super::rules::{ReadPath, Rules};
use crate::types::{Nanos, NodeId, RequestId};

impl<R: Rules> Raft<R> {
    pub(super) fn propose(&mut self, cx: &mut Now<'_>, request: RequestId, command: CommandBytes) {
        if !matches!(self.state, State::Leader(_)) {
            cx.reply(request, Outcome::NotLeader { leader: self.leader() });
        } else if !self.rules.accepts_proposals(self.transfer.is_some()) || self.pending_is_full() {
            cx.reply(request, Outcome::Busy);
        } else {
            self.append_proposal(cx, request, EntryPayload::Command(command));
        }
    }

    fn pending_is_full(&self) -> bool {
        let uncommitted = self.log.last_index().0.saturating_sub(self.commit.0);
        usize::try_from(uncommitted).is_ok_and(|n| n >= self.config.max_pending)
    }

    pub(super) fn append_proposal(&mut self, cx: &mut Now<'_>, request: RequestId, payload: EntryPayload) {
        let index = self.log.last_index().next();
        let membership = matches!(payload, EntryPayload::Membership(_));
        self.log.append(Entry { index, term: self.hard.term, payload });
        if let State::Leader(lead) = &mut self.state {
            lead.proposals.push_back(Proposal { request, index, membership });
            if membership {
                lead.track(self.log.members(), self.id, index, cx.at);
            }
        }
        if membership {
            self.members_changed(cx);
        }
        self.replicate_to_all(cx);
    }

    // ---- reads ----

    pub(super) fn read(&mut self, cx: &mut Now<'_>, request: RequestId, consistency: ReadConsistency) {
        if consistency == ReadConsistency::Local {
            cx.reply(request, Outcome::ReadAt { index: self.commit });
            return;
        }
        let lease_valid = self.lease_holds(cx.at);
        let believed = self.leader();
        let State::Leader(lead) = &mut self.state else {
            cx.reply(request, Outcome::NotLeader { leader: believed });
            return;
        };
        match self.rules.read_path(consistency, lease_valid) {
            ReadPath::AtOnce => cx.reply(request, Outcome::ReadAt { index: self.commit }),
            ReadPath::Confirm if lead.reads.len() >= self.config.max_pending => cx.reply(request, Outcome::Busy),
            ReadPath::Confirm => {
                let index = self.rules.read_index(self.commit, lead.noop);
                lead.reads.push_back(PendingRead { request, round: lead.round + 1, index });
                self.serve_reads(cx);
            }
        }
    }

    /// Answers the reads whose round a quorum has answered, and begins the next round if somebody waits for it and the last
    /// one is through: reads that come meanwhile share one round (thesis §6.4).
    pub(super) fn serve_reads(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &mut self.state else { return };
        if lead.reads.is_empty() {
            return;
        }
        let quorum = self.rules.quorum(self.log.members().len());
        let confirmed = lead.reached(self.log.members().len(), quorum, u64::MAX, |peer| peer.acked_round);
        let commit = self.commit;
        let served = lead.reads.partition_point(|read| read.round <= confirmed && read.index <= commit);
        for read in lead.reads.drain(..served) {
            cx.reply(read.request, Outcome::ReadAt { index: read.index });
        }
        let waits = lead.reads.front().is_some_and(|read| read.round > lead.round);
        if waits && confirmed >= lead.round {
            self.begin_round(cx);
        }
    }

    /// Whether a read may be served from the lease.
    fn lease_holds(&self, now: Nanos) -> bool {
        let State::Leader(lead) = &self.state else { return false };
        let judged_at = self.rules.lease_judged_at(now, lead.beat().unwrap_or(now));
        self.lease_end(now).is_some_and(|end| end > judged_at)
    }

    /// When the lease ends; `None` without one. Computed from what is known now, never stored: a stored lease is one that some
    /// path forgets to take back.
    pub(super) fn lease_end(&self, now: Nanos) -> Option<Nanos> {
        let State::Leader(lead) = &self.state else { return None };
        if !self.config.lease_reads
            || !self.rules.lease_allowed(self.transfer.is_some(), lead.timeout_now_sent)
            || self.commit < lead.noop
        {
            return None;
        }
        let from = lead.reached(self.log.members().len(), self.quorum(), Some(now), |peer| {
            peer.acked_sent.zip(peer.acked_at).map(|(sent, answered)| self.rules.lease_from(sent, answered))
        })?;
        Some(self.rules.lease_until(from, self.config.election_timeout_min, self.config.lease_ratio_percent))
    }

    // ---- transfer of leadership ----

    pub(super) fn begin_transfer(&mut self, cx: &mut Now<'_>, request: RequestId, to: Option<NodeId>) {
        let State::Leader(lead) = &self.state else {
            cx.reply(request, Outcome::NotLeader { leader: self.leader() });
            return;
        };
        // A node that is still catching up is a peer and no member.
        let candidates = || lead.peers.iter().filter(|(_, peer)| peer.counts);
        let longest = || candidates().max_by_key(|(id, peer)| (peer.matched, Reverse(*id))).map(|(id, _)| *id);
        let target = to.or_else(longest).filter(|target| candidates().any(|(id, _)| id == target));
        match target {
            _ if self.transfer.is_some() => cx.reply(request, Outcome::Busy),
            None => cx.reply(request, Outcome::Invalid),
            Some(to) => {
                let deadline = cx.at + self.config.election_timeout_max;
                self.transfer = Some(Transfer { request, to, deadline, asked: false });
                self.ask_successor(cx);
            }
        }
    }

    /// Sends `TimeoutNow` once the successor has everything (thesis §3.10 step 2 and 3). From here on there is no lease.
    pub(super) fn ask_successor(&mut self, cx: &mut Now<'_>) {
        let last = self.log.last_index();
        let (Some(transfer), State::Leader(lead)) = (&mut self.transfer, &mut self.state) else { return };
        let matched = lead.peer(transfer.to).map(|peer| peer.matched);
        if !transfer.asked && matched.is_some_and(|matched| self.rules.asks_successor(matched, last)) {
            transfer.asked = true;
            lead.timeout_now_sent = true;
            cx.send(transfer.to, Message::TimeoutNow(TimeoutNow { term: self.hard.term }));
        }
    }

    /// This node left its role or learned who leads: perhaps the transfer has come to its end.
    pub(super) fn settle_transfer(&mut self, cx: &mut Now<'_>, leader: Option<NodeId>) {
        let Some(transfer) = self.transfer else { return };
        let outcome = match leader {
            _ if !transfer.asked => Outcome::NotLeader { leader },
            None => return,
            Some(leader) if leader == self.id => Outcome::Superseded,
            // Another one than was chosen, perhaps: this node has handed its leadership over all the same.
            Some(_) => Outcome::Transferred { leader, term: self.hard.term },
        };
        self.transfer = None;
        cx.reply(transfer.request, outcome);
    }

    /// "If leadership transfer does not complete after about an election timeout, the prior leader aborts the transfer and resumes
    /// accepting client requests" (thesis §3.10).
    pub(super) fn expire_transfer(&mut self, cx: &mut Now<'_>) {
        if let Some(transfer) = self.transfer.take_if(|transfer| cx.at >= transfer.deadline) {
            let leads = matches!(self.state, State::Leader(_));
            let outcome = match (transfer.asked, leads) {
                (false, _) => Outcome::GivenUp,
                (true, true) => Outcome::Superseded,
                (true, false) => Outcome::Transferred { leader: self.leader(), term: self.hard.term },
            };
            cx.reply(transfer.request, outcome);
        }
    }

    // ---- snapshots ----

    pub(super) fn ask_for_snapshot(&mut self, cx: &mut Now<'_>) {
        let since = self.commit.0.saturating_sub(self.log.snapshot_index().0);
        if self.snapshot_asked || since < self.config.snapshot_threshold {
            return;
        }
        let last_term = self.log.term_at(self.commit).expect("what was just committed is in the log");
        let members = self.log.members_at(self.commit).clone();
        self.snapshot_asked = true;
        cx.output(Output::TakeSnapshot { meta: SnapshotMeta { last_index: self.commit, last_term, members } });
    }

    /// A snapshot that another one has overtaken meanwhile is dropped.
    pub(super) fn snapshot_taken(&mut self, snapshot: Box<Snapshot>) {
        self.snapshot_asked = false;
        let meta = &snapshot.meta;
        let of_this_log = meta.last_index <= self.commit && self.log.term_at(meta.last_index) == Some(meta.last_term);
        if of_this_log && meta.last_index > self.log.snapshot_index() {
            self.log.compact(snapshot, self.config.trailing_entries);
        }
    }
}
