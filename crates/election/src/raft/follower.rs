//! The follower's side of replication: taking entries and snapshots from the leader (paper §5.3, Fig. 2, Fig. 13).

use super::io::{Entry, Event, Output};
use super::message::{Append, AppendReply, InstallReply, InstallSnapshot, Message};
use super::node::{Now, Raft, State};
use super::rules::Rules;
use crate::types::{LogIndex, NodeId, Term};

/// Whether a message comes from the leader of this node's term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Leader,
    /// Its term is over; it must be told.
    Deposed,
    /// This node leads the same term, or its rules let it ignore a newer one. Neither happens under sound rules.
    Rival,
}

impl<R: Rules> Raft<R> {
    fn hear(&mut self, cx: &mut Now<'_>, from: NodeId, term: Term) -> Sender {
        if self.rules.is_deposed(term, self.hard.term) {
            if self.rules.deposed_rearms_timer() {
                self.arm(cx.at);
            }
            return Sender::Deposed;
        }
        if !self.observe_term(cx, term, Some(from)) {
            return Sender::Rival;
        }
        match &self.state {
            State::Leader(_) => return Sender::Rival,
            State::Follower { leader } if *leader == Some(from) => {}
            State::Follower { .. } | State::PreCandidate { .. } | State::Candidate { .. } => {
                self.become_follower(cx, term.max(self.hard.term), Some(from));
            }
        }
        self.heard = Some(cx.at);
        self.arm(cx.at);
        Sender::Leader
    }

    pub(super) fn on_append(&mut self, cx: &mut Now<'_>, from: NodeId, append: Append) {
        let Append { prev_index, prev_term, round, .. } = append;
        let settled = self.log.snapshot_index();
        let (accepted, index) = match self.hear(cx, from, append.term) {
            Sender::Rival => return,
            Sender::Deposed => {
                let reply = AppendReply { term: self.hard.term, round: 0, accepted: false, index: LogIndex(0) };
                cx.send(from, Message::AppendReply(reply));
                return;
            }
            // What is in the snapshot is committed, so the leader has the same.
            Sender::Leader if prev_index >= settled && self.log.term_at(prev_index) != Some(prev_term) => {
                (false, self.log.agreement_hint(prev_index.prev(), prev_term))
            }
            Sender::Leader => {
                let verified = append.entries.last().map_or(prev_index, |entry| entry.index);
                self.take_entries(cx, append.entries);
                let commit = self.rules.follower_commit(append.commit, verified).min(self.log.last_index());
                self.commit_to(cx, commit);
                (true, verified)
            }
        };
        cx.send(from, Message::AppendReply(AppendReply { term: self.hard.term, round, accepted, index }));
    }

    fn take_entries(&mut self, cx: &mut Now<'_>, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let members_index = self.log.members_index();
        let settled = self.log.snapshot_index();
        for entry in entries.into_iter().filter(|entry| entry.index > settled) {
            match self.log.term_at(entry.index) {
                Some(existing) if !self.rules.conflicts(existing, entry.term) => continue,
                Some(_) => {
                    if entry.index <= self.commit {
                        cx.event(Event::CommittedOverwritten { index: entry.index });
                    }
                    self.log.truncate(entry.index);
                }
                None => {}
            }
            self.log.append(entry);
        }
        if self.log.members_index() != members_index {
            self.members_changed(cx);
        }
    }

    pub(super) fn on_install_snapshot(&mut self, cx: &mut Now<'_>, from: NodeId, install: InstallSnapshot) {
        let round = match self.hear(cx, from, install.term) {
            Sender::Rival => return,
            Sender::Deposed => 0,
            Sender::Leader => {
                let meta = &install.snapshot.meta;
                if self.rules.accepts_snapshot(meta.last_index, self.commit) {
                    let (index, term) = (meta.last_index, meta.last_term);
                    let members = self.log.members().clone();
                    self.log.install(install.snapshot.clone());
                    self.commit = index;
                    cx.output(Output::RestoreSnapshot(install.snapshot));
                    cx.event(Event::Committed { index, term });
                    if *self.log.members() != members {
                        self.members_changed(cx);
                    }
                }
                install.round
            }
        };
        cx.send(from, Message::InstallReply(InstallReply { term: self.hard.term, round, index: self.commit }));
    }

    pub(super) fn members_changed(&mut self, cx: &mut Now<'_>) {
        let (index, members) = (self.log.members_index(), self.log.members().len());
        cx.event(Event::MembersChanged { index, members });
    }
}
