//! How messages get from node to node: what [`Wire`] promises, carried out.

use chaos_engine::Cut;
use chaos_history::{Link, NodeId};
use chaos_plan::{CutMode, DropMode, HealMode};

use crate::fate::{Fates, there_and_back};
use crate::happening::{Happening, Leaving, Packet};
use crate::node::Delivery;
use crate::program::Program;
use crate::random::nanos;
use crate::record::Sink;
use crate::wire::{Cause, Stall, State, Waiting};
use crate::world::{Departure, Msg, SimWorld};

/// How soon a rejected packet's sender knows, nanoseconds (measured: a reset after 14 ms, since it is data that draw it).
const REJECTED_AFTER: u64 = 14_000_000;

impl<P: Program, S: Sink> SimWorld<'_, P, S> {
    pub(crate) fn wire_index(&self, from: usize, to: usize) -> usize {
        from * self.nodes.len() + to
    }

    fn reverse(&self, wire: usize) -> usize {
        self.wire_index(usize::from(self.wires[wire].to), usize::from(self.wires[wire].from))
    }

    /// A node lets a message go.
    pub(crate) fn send(&mut self, from: usize, to: election::NodeId, message: Msg<P>, left: u64) {
        let Some(index) = to.number().checked_sub(1).and_then(|index| usize::try_from(index).ok()) else { return };
        if index >= self.nodes.len() || index == from {
            return;
        }
        let wire = self.wire_index(from, index);
        let leaving = self.leaving(from, left);
        match self.wires[wire].state {
            State::Up { receiver } => self.transmit(wire, Packet { leaving, to, receiver, message }),
            State::Down | State::Dialling => self.wires[wire].wait(Waiting { since: left, to, message }),
        }
    }

    /// Puts a packet on a connection.
    fn transmit(&mut self, index: usize, packet: Packet<Msg<P>>) {
        let left = packet.leaving.left;
        let acknowledged = self.wires[self.reverse(index)].is_open();
        let wire = &mut self.wires[index];
        if let Some(stall) = &mut wire.stall {
            stall.packets.push_back(packet);
            if wire.cut.is_none() && acknowledged && stall.cause == Cause::Loss && stall.tries == 0 {
                self.noticed_behind(index);
            }
            return;
        }
        if let Some(mode) = wire.cut {
            match mode.drop {
                DropMode::Reject => self.lose_connection(index, left + REJECTED_AFTER),
                DropMode::Lose | DropMode::Hold => self.stall(index, packet, Cause::Cut),
            }
            return;
        }
        if !acknowledged {
            let since = *wire.unacknowledged.get_or_insert(left);
            if since == left {
                let at = left + nanos(self.transports[usize::from(wire.from)].user_timeout);
                let generation = wire.generation;
                self.plan(at, Happening::Retry { wire: small(index), generation });
            } else if left - since > nanos(self.timings.retransmit) {
                let packets = [packet].into();
                wire.stall = Some(Stall { cause: Cause::Cut, since, tries: 0, packets });
                self.plan_retry(index);
                return;
            }
        }
        let wire = &mut self.wires[index];
        let mut latency = self.timings.hop.draw(&mut wire.draws);
        if let Some(fates) = &mut wire.fates {
            // Lengths are only counted where they matter: to write a message down costs more than to send it.
            let bytes =
                if fates.has_rate() { postcard::to_stdvec(&packet.message).map_or(0, |bytes| bytes.len()) } else { 0 };
            let fate = fates.next(left, bytes);
            latency += fate.delay;
            if fate.lost {
                return self.stall(index, packet, Cause::Loss);
            }
        }
        self.arrive_after(index, latency, packet);
    }

    /// Plans a packet's arrival, after all before it.
    fn arrive_after(&mut self, index: usize, latency: u64, packet: Packet<Msg<P>>) {
        let wire = &mut self.wires[index];
        let at = (packet.leaving.left + latency).max(wire.last_arrival + 1);
        wire.last_arrival = at;
        self.plan(at, Happening::Deliver(packet));
    }

    /// A packet was lost or is held up: it waits, and all behind it.
    fn stall(&mut self, index: usize, packet: Packet<Msg<P>>, cause: Cause) {
        let wire = &mut self.wires[index];
        match &mut wire.stall {
            Some(stall) => {
                if cause == Cause::Cut {
                    stall.cause = cause;
                }
                stall.packets.push_back(packet);
            }
            None => {
                let since = packet.leaving.left;
                wire.stall = Some(Stall { cause, since, tries: 0, packets: [packet].into() });
                self.plan_retry(index);
            }
        }
    }

    /// Something behind a lost packet has been sent: if it gets through, the loss is known about a round trip later.
    fn noticed_behind(&mut self, index: usize) {
        let back = self.reverse(index);
        let there = there_and_back(self.wires[index].fates.as_deref(), self.wires[back].fates.as_deref());
        let wire = &mut self.wires[index];
        let lost = wire.fates.as_mut().is_some_and(|fates| fates.next(self.now, 0).lost);
        let Some(stall) = &wire.stall else { return };
        let Some(newest) = stall.packets.back().map(|packet| packet.leaving.left).filter(|_| !lost) else { return };
        let hop = self.timings.hop.draw(&mut wire.draws);
        self.release(index, newest + there + 2 * hop);
    }

    /// When a stalled sender's kernel tries again, or gives up.
    fn plan_retry(&mut self, index: usize) {
        let wire = &self.wires[index];
        let Some(stall) = &wire.stall else { return };
        let again = stall.since.saturating_add(nanos(self.timings.retransmit) << stall.tries.min(20));
        let end = stall.since + nanos(self.transports[usize::from(wire.from)].user_timeout);
        let generation = wire.generation;
        self.plan(again.min(end).max(self.now + 1), Happening::Retry { wire: small(index), generation });
    }

    /// A sender's kernel looks after what is not acknowledged.
    pub(crate) fn retry(&mut self, index: usize, generation: u32) {
        let wire = &mut self.wires[index];
        if wire.generation != generation {
            return;
        }
        let patience = nanos(self.transports[usize::from(wire.from)].user_timeout);
        let since = wire.stall.as_ref().map(|stall| stall.since).into_iter().chain(wire.unacknowledged).min();
        let Some(since) = since else { return };
        if self.now >= since + patience {
            return self.close(index);
        }
        if wire.stall.is_none() {
            return;
        }
        let lost = wire.fates.as_mut().is_some_and(|fates| fates.next(self.now, 0).lost);
        if wire.cut.is_some() || lost {
            if let Some(stall) = &mut wire.stall {
                stall.tries += 1;
            }
            return self.plan_retry(index);
        }
        let acknowledged = self.wires[self.reverse(index)].is_open();
        self.release(index, self.now);
        if !acknowledged {
            self.wires[index].unacknowledged = Some(since);
            self.plan(since + patience, Happening::Retry { wire: small(index), generation });
        }
    }

    /// Everything that was stalled goes on its way at this moment.
    fn release(&mut self, index: usize, at: u64) {
        let Some(stall) = self.wires[index].stall.take() else { return };
        for mut packet in stall.packets {
            packet.leaving.left = packet.leaving.left.max(at);
            let wire = &mut self.wires[index];
            let mut latency = self.timings.hop.draw(&mut wire.draws);
            latency += wire.fates.as_ref().map_or(0, |fates| nanos(fates.conditions().delay));
            self.arrive_after(index, latency, packet);
        }
    }

    /// A message arrives, if the process that sent it lived long enough and nothing has come between.
    pub(crate) fn deliver(&mut self, packet: Packet<Msg<P>>) {
        let from = usize::from(packet.leaving.node);
        match self.departure(packet.leaving) {
            Departure::Left => {}
            Departure::Never => return,
            Departure::Withheld => return self.nodes[from].withheld.push(Happening::Deliver(packet)),
        }
        let Some(to) = packet.to.number().checked_sub(1).and_then(|index| usize::try_from(index).ok()) else { return };
        let index = self.wire_index(from, to);
        if let Some(mode) = self.wires[index].cut {
            let is_current = self.wires[index].state == (State::Up { receiver: packet.receiver });
            return match mode.drop {
                DropMode::Lose | DropMode::Hold if is_current => self.stall(index, packet, Cause::Cut),
                DropMode::Hold => self.wires[index].held.push_back(packet),
                DropMode::Reject if is_current => self.lose_connection(index, self.now + REJECTED_AFTER),
                DropMode::Lose | DropMode::Reject => {}
            };
        }
        let node = &self.nodes[to];
        if !node.listens() || node.incarnation != packet.receiver {
            if self.wires[index].state == (State::Up { receiver: packet.receiver }) {
                self.hear_of_end(index);
            }
            return;
        }
        // What was meant for a former life is dropped by who receives it.
        if packet.to == node.own {
            let from = self.nodes[from].own;
            self.arrives(to, Delivery::Message { from, message: packet.message });
        }
    }

    /// The sender learns, a moment later and if the way back is open, that there is nobody any more.
    pub(crate) fn hear_of_end(&mut self, index: usize) {
        if self.wires[self.reverse(index)].is_open() {
            let wire = &mut self.wires[index];
            let at = self.now + self.timings.hop.draw(&mut wire.draws);
            self.lose_connection(index, at);
        }
    }

    fn lose_connection(&mut self, index: usize, at: u64) {
        let generation = self.wires[index].generation;
        self.plan(at, Happening::Lost { wire: small(index), generation });
    }

    /// A node's connection is gone.
    pub(crate) fn lost(&mut self, index: usize, generation: u32) {
        if self.wires[index].generation == generation && matches!(self.wires[index].state, State::Up { .. }) {
            self.close(index);
        }
    }

    /// Ends a connection at its sender, who dials again.
    fn close(&mut self, index: usize) {
        self.wires[index].end();
        self.dial_again(index, self.now);
    }

    fn dial_again(&mut self, index: usize, from: u64) {
        let sender = usize::from(self.wires[index].from);
        let delay = self.transports[sender].redial_delay;
        let at = from + self.nodes[sender].dial.between(delay, delay);
        let generation = self.wires[index].generation;
        self.plan(at, Happening::Dial { wire: small(index), generation });
    }

    /// A node that has just come up dials everybody.
    pub(crate) fn dial_all(&mut self, from: usize) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let wire = self.wire_index(from, to);
            let generation = self.wires[wire].generation;
            let at = self.now + self.timings.lateness.draw(&mut self.nodes[from].dial);
            self.plan(at, Happening::Dial { wire: small(wire), generation });
        }
    }

    /// A node dials.
    pub(crate) fn dial(&mut self, index: usize, generation: u32) {
        let (from, to) = (usize::from(self.wires[index].from), usize::from(self.wires[index].to));
        if self.wires[index].generation != generation || !self.nodes[from].is_up() {
            return;
        }
        if self.nodes[from].stopped_since.is_some() {
            self.nodes[from].withheld.push(Happening::Dial { wire: small(index), generation });
            return;
        }
        let back = self.reverse(index);
        let hops = 2 * self.timings.hop.draw(&mut self.wires[index].draws);
        let mut round_trip =
            hops + there_and_back(self.wires[index].fates.as_deref(), self.wires[back].fates.as_deref());
        let mut silent = false;
        for wire in [index, back] {
            // A rejected handshake fails as fast as one with nobody there.
            silent |= self.wires[wire].cut.is_some_and(|mode| mode.drop != DropMode::Reject);
            if let Some(fates) = &mut self.wires[wire].fates {
                let fate = fates.next(self.now, 0);
                silent |= fate.lost;
                round_trip += fate.delay.saturating_sub(nanos(fates.conditions().delay));
            }
        }
        let patience = nanos(self.transports[from].connect_timeout);
        if silent || round_trip > patience {
            return self.dial_again(index, self.now + patience);
        }
        let refused = [index, back].iter().any(|wire| !self.wires[*wire].is_open()) || !self.nodes[to].listens();
        if refused {
            return self.dial_again(index, self.now + round_trip);
        }
        self.wires[index].state = State::Dialling;
        let receiver = self.nodes[to].incarnation;
        self.plan(self.now + round_trip, Happening::Dialled { wire: small(index), generation, receiver });
    }

    /// A connection has come about, unless its other end has gone meanwhile.
    pub(crate) fn dialled(&mut self, index: usize, generation: u32, receiver: u32) {
        let (from, to) = (usize::from(self.wires[index].from), usize::from(self.wires[index].to));
        if self.wires[index].generation != generation || !self.nodes[from].is_up() {
            return;
        }
        if !self.nodes[to].listens() || self.nodes[to].incarnation != receiver {
            return self.close(index);
        }
        let age_max = nanos(self.transports[from].message_age_max);
        let left = self.now;
        let leaving = self.leaving(from, left);
        let wire = &mut self.wires[index];
        wire.state = State::Up { receiver };
        let waiting: Vec<_> =
            wire.waiting.drain(..).filter(|waiting| left.saturating_sub(waiting.since) <= age_max).collect();
        for Waiting { since, to, message } in waiting {
            let leaving = Leaving { left: leaving.left.max(since), ..leaving };
            self.transmit(index, Packet { leaving, to, receiver, message });
        }
    }

    /// From now on packets are treated like this.
    pub(crate) fn cut(&mut self, cut: &Cut) {
        let count = self.nodes.len();
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                let link = Link { from: NodeId::from_index(from), to: NodeId::from_index(to) };
                let index = self.wire_index(from, to);
                self.condition(index, cut.conditions.get(&link).copied());
                let (was, is) = (self.wires[index].cut, cut.links.get(&link).copied());
                self.wires[index].cut = is;
                if let (Some(mode), None) = (was, is) {
                    self.healed(index, mode);
                }
            }
        }
        for node in 0..count {
            let is_cut = cut.legs.contains(&NodeId::from_index(node));
            self.cut_leg(node, is_cut);
        }
    }

    fn condition(&mut self, index: usize, conditions: Option<chaos_plan::LinkConditions>) {
        let wire = &mut self.wires[index];
        match (conditions, &mut wire.fates) {
            (None, _) => wire.fates = None,
            (Some(conditions), Some(fates)) if *fates.conditions() == conditions => {}
            (Some(conditions), Some(fates)) => fates.become_like(conditions),
            (Some(conditions), None) => {
                // Conditions that come again are another spell of weather.
                wire.spells += 1;
                wire.fates = Some(Box::new(Fates::new(conditions, self.seed, index | wire.spells << 16)));
            }
        }
    }

    fn healed(&mut self, index: usize, mode: CutMode) {
        let back = self.reverse(index);
        if let Some(wire) = Some(&mut self.wires[back]).filter(|wire| wire.stall.is_none()) {
            // Acknowledgements pass again.
            wire.unacknowledged = None;
        }
        let held = std::mem::take(&mut self.wires[index].held);
        for mut packet in held {
            packet.leaving.left = self.now;
            let latency = self.timings.hop.draw(&mut self.wires[index].draws);
            self.arrive_after(index, latency, packet);
        }
        match (mode.drop, mode.heal) {
            (_, HealMode::Reset) => {
                if matches!(self.wires[index].state, State::Up { .. }) {
                    self.lose_connection(index, self.now);
                }
            }
            (DropMode::Hold, HealMode::Natural | HealMode::Kick)
            | (DropMode::Lose | DropMode::Reject, HealMode::Kick) => {
                self.release(index, self.now);
            }
            (DropMode::Lose | DropMode::Reject, HealMode::Natural) => {}
        }
    }
}

/// A number of a wire or a node as it is planned.
pub(crate) fn small(index: usize) -> u32 {
    u32::try_from(index).expect("a cluster has few links")
}
