//! What goes wrong, and when: each seed draws its own mix of faults, and each fault ends.

use std::collections::BTreeSet;

use election::NodeId;
use election::raft::{Input, Rules};
use rand::RngExt;

use crate::world::{Happening, MS, World};

/// A fault under way, as far as its end must know.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Crash(NodeId),
    Pause(BTreeSet<NodeId>),
    Cut,
    Quiet,
    /// The next leader is cut off as soon as there is one, so many times.
    Rolling(u32),
    /// After a transfer: its old leader is cut off.
    Isolate(NodeId),
    /// Everybody but the leader restarts, and the leader is cut off: who remembers having promised it anything?
    Amnesia {
        leader: NodeId,
        spared: NodeId,
    },
    /// No member any more: it loses its disk.
    Removed(NodeId),
    /// It waits to become a member, in its next life.
    Absent(NodeId),
    /// Everything is healed but the link between an old leader and the new one.
    Triangle(NodeId),
}

/// How many kinds [`World::next_fault`] knows, besides [`REPLACE`].
pub(crate) const KINDS: u32 = 15;
/// Members come and go, as in [`REPLACE`], but keep their disks.
pub(crate) const MEMBERS: u32 = 10;
/// Members are removed, lose their disks, and return. Not together with [`MEMBERS`], which might make a node a member again before
/// its disk is gone: two operators that don't know of each other.
pub(crate) const REPLACE: u32 = KINDS;

impl<R: Rules + Clone> World<R> {
    pub(crate) fn next_fault(&mut self) {
        if self.calm {
            return;
        }
        let delay = self.rng.random_range(20..500) * MS;
        self.after(delay, Happening::Fault);
        let kinds: Vec<u32> = self.setup.faults.iter().copied().collect();
        if kinds.is_empty() {
            return;
        }
        let kind = kinds[self.rng.random_range(0..kinds.len())];
        let random = self.random_node();
        let leader = self.leader().unwrap_or(random);
        let lasts = self.rng.random_range(30..900) * MS;
        match kind {
            0 => self.isolate(leader, lasts),
            1 => self.isolate(random, lasts),
            2 => self.split(lasts),
            3 => self.one_way(leader, random, lasts),
            4 => self.kill(leader),
            5 => self.kill(random),
            6 => self.nodes.get_mut(&random).unwrap().crash_in_step = true,
            7 => self.pause(BTreeSet::from([leader]), lasts),
            8 => self.contest(leader),
            9 => self.transfer_and_cut(leader, random),
            MEMBERS => self.change_members(leader, random),
            REPLACE => self.replace(leader, random),
            11 => {
                self.writes_quiet = true;
                self.after(lasts, Happening::End(Fault::Quiet));
                self.after(lasts / 4, Happening::End(Fault::Rolling(3)));
            }
            12 => self.lose_sight(leader, random, None),
            13 => {
                let delay = self.rng.random_range(140..300) * MS;
                self.lose_sight(leader, random, Some(delay));
            }
            _ => {
                self.isolate(leader, 2_000 * MS);
                let delay = self.timeout_max() + self.rng.random_range(0..100) * MS;
                self.after(delay, Happening::End(Fault::Triangle(leader)));
            }
        }
    }

    pub(crate) fn end_fault(&mut self, fault: &Fault) {
        if self.calm {
            return;
        }
        match fault {
            Fault::Crash(id) => self.start(*id),
            Fault::Pause(ids) => ids.iter().for_each(|id| self.resume(*id)),
            Fault::Cut => self.cut.clear(),
            Fault::Quiet => self.writes_quiet = false,
            Fault::Rolling(left) => {
                if let (Some(leader), Some(left)) = (self.leader(), left.checked_sub(1)) {
                    self.isolate(leader, self.timeout_max());
                    let delay = self.timeout_max() + self.rng.random_range(5..60) * MS;
                    self.after(delay, Happening::End(Fault::Rolling(left)));
                }
            }
            Fault::Isolate(id) => self.isolate(*id, 300 * MS),
            Fault::Amnesia { leader, spared } => {
                self.isolate(*leader, 300 * MS);
                let others = self.nodes.keys().copied().filter(|id| id != leader && id != spared);
                for id in others.collect::<Vec<_>>() {
                    self.crash(id);
                    self.after(3 * MS, Happening::End(Fault::Crash(id)));
                }
            }
            Fault::Removed(id) => self.wipe(*id),
            Fault::Absent(id) => self.bring_back(*id),
            Fault::Triangle(old) => {
                self.cut.clear();
                if let Some(new) = self.leader().filter(|new| new != old) {
                    self.cut.extend([(*old, new), (new, *old)]);
                }
            }
        }
    }

    /// Ends everything: what is up from now on must make progress. One node stays down if the members never change, for it is
    /// the majority that must.
    pub(crate) fn heal_all(&mut self) {
        self.calm = true;
        self.writes_quiet = false;
        self.cut.clear();
        let changes_members = [MEMBERS, REPLACE].iter().any(|kind| self.setup.faults.contains(kind));
        let absent = (!changes_members && self.rng.random_bool(0.5)).then(|| self.random_node());
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.resume(id);
            self.nodes.get_mut(&id).unwrap().crash_in_step = false;
            if absent == Some(id) { self.crash(id) } else { self.start(id) }
        }
    }

    fn isolate(&mut self, id: NodeId, lasts: u64) {
        for other in self.nodes.keys().filter(|other| **other != id) {
            self.cut.extend([(id, *other), (*other, id)]);
        }
        self.after(lasts, Happening::End(Fault::Cut));
    }

    fn split(&mut self, lasts: u64) {
        let half = self.nodes.len() / 2;
        let left: BTreeSet<NodeId> = (0..half).map(|_| self.random_node()).collect();
        for a in self.nodes.keys() {
            for b in self.nodes.keys().filter(|b| left.contains(a) != left.contains(b)) {
                self.cut.insert((*a, *b));
            }
        }
        self.after(lasts, Happening::End(Fault::Cut));
    }

    fn one_way(&mut self, from: NodeId, to: NodeId, lasts: u64) {
        self.cut.insert(if self.rng.random_bool(0.5) { (from, to) } else { (to, from) });
        self.after(lasts, Happening::End(Fault::Cut));
    }

    /// One follower no longer hears the leader, whom the others do hear. Nobody writes, so that its log stays good enough to win.
    fn lose_sight(&mut self, leader: NodeId, follower: NodeId, amnesia_after: Option<u64>) {
        self.writes_quiet = true;
        self.cut.extend([(leader, follower), (follower, leader)]);
        self.after(600 * MS, Happening::End(Fault::Cut));
        self.after(600 * MS, Happening::End(Fault::Quiet));
        if let Some(delay) = amnesia_after {
            self.after(delay, Happening::End(Fault::Amnesia { leader, spared: follower }));
        }
    }

    fn kill(&mut self, id: NodeId) {
        self.crash(id);
        let delay = self.rng.random_range(1..400) * MS;
        self.after(delay, Happening::End(Fault::Crash(id)));
    }

    fn pause(&mut self, ids: BTreeSet<NodeId>, lasts: u64) {
        for id in &ids {
            self.nodes.get_mut(id).unwrap().paused = true;
        }
        self.after(lasts, Happening::End(Fault::Pause(ids)));
    }

    /// The leader dies, the others are paused until all their timers have run out, and wake together.
    fn contest(&mut self, leader: NodeId) {
        self.kill(leader);
        let others: BTreeSet<NodeId> = self.nodes.keys().copied().filter(|id| *id != leader).collect();
        for id in &others {
            self.nodes.get_mut(id).unwrap().paused = true;
        }
        let lasts = self.timeout_max() * 3 / 2;
        self.after(lasts, Happening::End(Fault::Pause(others)));
    }

    fn transfer_and_cut(&mut self, leader: NodeId, random: NodeId) {
        let to = self.rng.random_bool(0.5).then_some(random);
        self.administer(leader, |request| Input::Transfer { request, to });
        if self.rng.random_bool(0.5) {
            let delay = self.rng.random_range(MS..6 * MS);
            self.after(delay, Happening::End(Fault::Isolate(leader)));
        }
    }

    /// Asks whoever leads, again and again, until the node is a member.
    fn bring_back(&mut self, id: NodeId) {
        if let Some(leader) = self.leader().filter(|leader| *leader != id) {
            let status = self.nodes[&leader].raft.as_ref().map(|raft| raft.status(self.local(leader)));
            if status.is_some_and(|status| status.members.contains(&id)) {
                return;
            }
            self.replace(leader, id);
        }
        let delay = self.rng.random_range(50..250) * MS;
        self.after(delay, Happening::End(Fault::Absent(id)));
    }

    /// Removes the node if it is a member, adds it otherwise.
    fn change_members(&mut self, leader: NodeId, random: NodeId) {
        let now = self.local(leader);
        let Some(raft) = &self.nodes[&leader].raft else { return };
        let mut members = (*raft.status(now).members).clone();
        if !members.remove(&random) {
            members.insert(random);
        }
        self.administer(leader, |request| Input::ChangeMembership { request, members });
    }
}
