//! Other members, one at a time (thesis §4.1): the leader's side of a change, and the catch-up before a new member counts.
//!
//! A change is an entry of the log; it is in force from the moment it is appended, and undone if the entry is cut off again.
//! A node that is to be added gets the log first and has no vote meanwhile (thesis §4.2.1): otherwise a cluster of three that
//! adds an empty node while one is down would commit nothing until the new one has everything. If it doesn't keep up, or never
//! answers, the change is given up before anything was appended, so that the refusal is definite.
//!
//! A node that has lost its disk returns as another one, in a life of its own ([`NodeId`]). Under its old name it would vote in
//! the place of what it was: of three nodes of which two were removed one after the other and have lost their disks, those two
//! are still a majority of all three to whoever has only heard of that configuration. (Found by the simulation.)

use std::collections::BTreeSet;

use super::io::{EntryPayload, Outcome};
use super::leadership::{Joining, Peer};
use super::node::{Now, Raft, State};
use super::rules::{ChangeRequest, ChangeVerdict, Rules};
use crate::types::{LogIndex, NodeId, RequestId};

/// "The algorithm waits a fixed number of rounds (such as 10)" (thesis §4.2.1).
const ROUNDS_MAX: u32 = 10;
/// A catch-up round may take this many of the longest election timeouts; then the new node counts as unreachable.
const ROUND_TIMEOUTS: u32 = 4;

impl<R: Rules> Raft<R> {
    /// Whether what this node goes by is more than who the first members were, at whose time it was not there.
    pub(super) fn knows_members(&self) -> bool {
        self.id.life() == 0 || self.log.members_index() > LogIndex(0)
    }

    pub(super) fn change_membership(&mut self, cx: &mut Now<'_>, request: RequestId, members: BTreeSet<NodeId>) {
        let State::Leader(lead) = &self.state else {
            cx.reply(request, Outcome::NotLeader { leader: self.leader() });
            return;
        };
        let verdict = self.rules.membership_change(ChangeRequest {
            current: self.log.members(),
            proposed: &members,
            current_committed: self.log.members_index() <= self.commit,
            noop_committed: self.commit >= lead.noop,
        });
        let busy = self.transfer.is_some() || lead.joining.is_some();
        let added = members.difference(self.log.members()).next().copied();
        match (verdict, added) {
            (ChangeVerdict::Invalid, _) => cx.reply(request, Outcome::Invalid),
            (ChangeVerdict::Busy, _) => cx.reply(request, Outcome::Busy),
            (ChangeVerdict::Accept, _) if busy => cx.reply(request, Outcome::Busy),
            (ChangeVerdict::Accept, None) => self.append_proposal(cx, request, EntryPayload::Membership(members)),
            (ChangeVerdict::Accept, Some(id)) => self.begin_catch_up(cx, request, id, members),
        }
    }

    fn begin_catch_up(&mut self, cx: &mut Now<'_>, request: RequestId, id: NodeId, members: BTreeSet<NodeId>) {
        let goal = self.log.last_index();
        let State::Leader(lead) = &mut self.state else { return };
        lead.add(id, Peer::new(goal.next(), cx.at));
        lead.joining = Some(Joining { request, id, members, goal, rounds: 1, round_began: cx.at });
        self.begin_round(cx);
    }

    /// "The replication of entries to the new server is split into rounds. Each round replicates all the log entries present in
    /// the leader's log at the start of the round" (thesis §4.2.1). The first round that is quick enough is the last.
    pub(super) fn catch_up(&mut self, cx: &mut Now<'_>) {
        let last = self.log.last_index();
        let State::Leader(lead) = &mut self.state else { return };
        let matched = lead.joining.as_ref().and_then(|joining| lead.peer(joining.id)).map(|peer| peer.matched);
        let Some(joining) = &mut lead.joining else { return };
        if matched.is_none_or(|matched| matched < joining.goal) {
            return;
        }
        let took = cx.at.since(joining.round_began);
        // A leader on its way out appends nothing; the next answer after a transfer that fails brings the node here again.
        if self.rules.caught_up(took, self.config.election_timeout_min) && self.transfer.is_none() {
            let joining = lead.joining.take().expect("it was there a moment ago");
            self.append_proposal(cx, joining.request, EntryPayload::Membership(joining.members));
        } else if joining.rounds < ROUNDS_MAX {
            (joining.goal, joining.round_began) = (last, cx.at);
            joining.rounds += 1;
        } else {
            self.give_up_joining(cx);
        }
    }

    /// The node that is to be added does not answer, or a round takes for ever.
    pub(super) fn expire_joining(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &self.state else { return };
        let patience = self.config.election_timeout_max * ROUND_TIMEOUTS;
        if lead.joining.as_ref().is_some_and(|joining| cx.at >= joining.round_began + patience) {
            self.give_up_joining(cx);
        }
    }

    fn give_up_joining(&mut self, cx: &mut Now<'_>) {
        let State::Leader(lead) = &mut self.state else { return };
        if let Some(joining) = lead.joining.take() {
            lead.peers.retain(|(id, _)| *id != joining.id);
            cx.reply(joining.request, Outcome::GivenUp);
        }
    }
}
