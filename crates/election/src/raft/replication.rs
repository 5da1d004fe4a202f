//! The leader's side of replication: rounds, entries, snapshots, counting what a quorum holds (paper §5.3, §5.4.2).

use std::time::Duration;

use super::io::{Event, Outcome, Output};
use super::leadership::Mode;
use super::message::{Append, AppendReply, InstallReply, InstallSnapshot, Message};
use super::node::{Now, Raft, State};
use super::rules::{Rules, StepDown};
use crate::types::{LogIndex, Nanos, NodeId};

impl<R: Rules> Raft<R> {
    /// The heartbeat timer ran out: give up, or say "I lead" to everyone.
    pub(super) fn heartbeat(&mut self, cx: &mut Now<'_>) {
        if self.config.check_quorum && self.quorum_is_lost(cx.at) && self.rules.steps_down(StepDown::QuorumLost) {
            self.become_follower(cx, self.hard.term, None);
        } else {
            self.begin_round(cx);
        }
    }

    fn quorum_is_lost(&self, now: Nanos) -> bool {
        let Some(heard) = self.quorum_heard(now) else { return false };
        self.rules.quorum_lost(now.since(heard), self.config.election_timeout_max)
    }

    /// As a leader: when the round was sent that a quorum answered last.
    fn quorum_heard(&self, now: Nanos) -> Option<Nanos> {
        let State::Leader(lead) = &self.state else { return None };
        let members = self.log.members().len();
        // From when the answered round was sent, not from when its answer came: a late answer is no sign of life.
        Some(lead.reached(members, self.quorum(), now, |peer| peer.acked_sent.unwrap_or(peer.since)))
    }

    /// As a leader that checks its quorum: how long until it steps down if nobody answers it any more. (A heartbeat later at most, since
    /// it looks when it sends one.)
    pub(super) fn quorum_remaining(&self, now: Nanos) -> Option<Duration> {
        let heard = self.quorum_heard(now).filter(|_| self.config.check_quorum)?;
        Some((heard + self.config.election_timeout_max).since(now))
    }

    /// Sends one numbered `Append` to every follower. Whoever answers it followed this leader after now.
    pub(super) fn begin_round(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &mut self.state else { return };
        lead.begin_round(cx.at);
        lead.heartbeat_deadline = cx.at + self.config.heartbeat;
        for place in 0..lead.peers.len() {
            self.send_append(cx, place, true);
            self.replicate(cx, place);
        }
        self.advance_commit(cx);
    }

    /// Sends new entries to every follower whose window is open.
    pub(super) fn replicate_to_all(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &self.state else { return };
        for place in 0..lead.peers.len() {
            self.replicate(cx, place);
        }
        self.advance_commit(cx);
    }

    /// Sends new entries to the peer at this place, as far as its window is open.
    fn replicate(&mut self, cx: &mut Now<'_>, place: usize) {
        while self.send_append(cx, place, false) {}
    }

    /// Sends the next entries, or the snapshot that must come before them; in a round at least an empty `Append`. True if there
    /// may be more to send.
    fn send_append(&mut self, cx: &mut Now<'_>, place: usize, round: bool) -> bool {
        let State::Leader(lead) = &mut self.state else { return false };
        let number = lead.round;
        let Some((to, peer)) = lead.peers.get_mut(place) else { return false };
        let to = *to;
        let waits_for_snapshot = matches!(peer.mode, Mode::Snapshot { .. });
        if !round && !waits_for_snapshot && peer.next > self.log.last_index() {
            return false; // it was sent everything, as most are most of the time
        }
        let prev = match &peer.mode {
            Mode::Snapshot { resend_at } => (cx.at < *resend_at).then_some(self.log.base()),
            Mode::Probe { .. } | Mode::Replicate { .. } => {
                let prev_index = peer.next.prev();
                self.log.term_at(prev_index).map(|prev_term| (prev_index, prev_term))
            }
        };
        let Some((prev_index, prev_term)) = prev else {
            // Entries are only compacted into a snapshot.
            let snapshot = self.log.snapshot().expect("a log without its beginning has a snapshot").clone();
            peer.mode = Mode::Snapshot { resend_at: cx.at + self.config.election_timeout_max };
            peer.next = snapshot.meta.last_index.next();
            let install = InstallSnapshot { term: self.hard.term, round: number, snapshot: Box::new(snapshot) };
            cx.send(to, Message::InstallSnapshot(install));
            return false;
        };
        let entries = if peer.window_open(self.config.max_inflight) {
            self.log.batch(peer.next, self.config.max_batch_entries, self.config.max_batch_bytes)
        } else {
            Vec::new()
        };
        let last = entries.last().map(|entry| entry.index);
        if last.is_none() && !round {
            return false;
        }
        if let Some(last) = last {
            peer.sent(last);
        }
        let (term, commit) = (self.hard.term, self.commit);
        cx.send(to, Message::Append(Append { term, prev_index, prev_term, entries, commit, round: number }));
        last.is_some()
    }

    pub(super) fn on_append_reply(&mut self, cx: &mut Now<'_>, from: NodeId, reply: &AppendReply) {
        let (current, last) = (self.hard.term, self.log.last_index());
        if reply.term > current {
            self.observe_term(cx, reply.term, None);
            return;
        }
        let State::Leader(lead) = &mut self.state else { return };
        if reply.round == 0 {
            return; // an answer to an earlier leadership of this node
        }
        if self.rules.renews_leadership(reply.term, current) {
            lead.answered(from, reply.round, cx.at);
        }
        let Some(place) = lead.place(from) else { return };
        let peer = &mut lead.peers[place].1;
        if reply.term < current || reply.index > last {
            return;
        }
        match self.rules.acknowledged(reply.accepted, reply.index) {
            Some(index) => peer.agreed(index),
            None => {
                peer.disagreed(reply.index);
            }
        }
        self.follower_moved(cx, place);
    }

    pub(super) fn on_install_reply(&mut self, cx: &mut Now<'_>, from: NodeId, reply: &InstallReply) {
        let InstallReply { term, round, index } = *reply;
        // The follower's committed prefix equals the leader's, so this is an acceptance up to there.
        self.on_append_reply(cx, from, &AppendReply { term, round, accepted: true, index });
    }

    fn follower_moved(&mut self, cx: &mut Now<'_>, place: usize) {
        self.replicate(cx, place);
        self.ask_successor(cx);
        self.catch_up(cx);
        self.advance_commit(cx);
    }

    /// Commits what a quorum holds, if the rules allow, and serves the reads that waited for it or for a round.
    pub(super) fn advance_commit(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &self.state else { return };
        let (last, term) = (self.log.last_index(), self.hard.term);
        // After most answers there is nothing to count.
        let reached = if self.commit < last {
            lead.reached(self.log.members().len(), self.commit_quorum(), last, |peer| peer.matched)
        } else {
            self.commit
        };
        if reached > self.commit && self.log.term_at(reached).is_some_and(|entry| self.rules.may_commit(entry, term)) {
            self.commit_to(cx, reached);
            let removed = !self.log.members().contains(&self.id) && self.log.members_index() <= self.commit;
            if removed && self.rules.steps_down(StepDown::Removed) {
                self.become_follower(cx, term, None);
                return;
            }
        }
        self.serve_reads(cx);
    }

    /// Raises the commit index, on a leader and on a follower alike.
    pub(super) fn commit_to(&mut self, cx: &mut Now<'_>, index: LogIndex) {
        if index <= self.commit {
            return;
        }
        let entries = self.log.range(self.commit.next(), index);
        let term = self.log.term_at(index).expect("a committed entry is in the log");
        self.commit = index;
        cx.event(Event::Committed { index, term });
        cx.output(Output::Apply(entries));
        if let State::Leader(lead) = &mut self.state {
            let committed = lead.proposals.partition_point(|proposal| proposal.index <= index);
            for proposal in lead.proposals.drain(..committed) {
                let outcome = if proposal.membership {
                    Outcome::MembershipChanged { index: proposal.index }
                } else {
                    Outcome::Committed { index: proposal.index, term: self.hard.term }
                };
                cx.reply(proposal.request, outcome);
            }
        }
        self.ask_for_snapshot(cx);
    }
}
