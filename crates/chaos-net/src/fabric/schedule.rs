//! Which packet goes on when: the fabric's decisions, without a socket or a clock.
//!
//! The idea: each link has a treatment and, with it, a stream of fates, a token bucket and the time at which its last
//! packet is due. A packet that waits lies in one heap of deadlines for all links. What happens to it is decided when it
//! arrives, so that the heap holds only times and orders. In the order of a wire: loss first, then the rate's queue, then
//! the delay; a lost packet takes no room, and a copy no tokens.
//!
//! A cut that is to see its packets is a closed gate in front of all that, and takes no fate from the stream.
//!
//! Refuses to hold what belongs to the past: when a link's treatment changes, what it holds is released at once, in the
//! order in which it was due; or dropped, if the link is cut now. Source: `tc-netem(8)`, `tc-tbf(8)`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::bucket::Bucket;
use super::fate::{Fate, Fates};
use super::packet::{Flow, flip_a_bit};
use crate::{Conditions, Link, LinkCounters};

/// Packets that wait at most, over all links: a second of 130 packets a millisecond, which take 300 MB of the kernel.
const WAITING_MAX: usize = 1 << 17;
/// Flows of a link of which the last packet is kept; more than a client opens that tries again and again during a cut.
const FLOWS_MAX: usize = 4096;
/// Due only when a gate opens.
const NEVER_NS: u64 = u64::MAX;

/// A packet that the kernel holds for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PacketId {
    pub(crate) queue: usize,
    pub(crate) number: u32,
}

/// A packet that has arrived, IP header first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) id: PacketId,
    pub(crate) link: Link,
    pub(crate) bytes: &'a [u8],
    /// It is a probe of ours: it takes the delay and no part in chance.
    pub(crate) is_probe: bool,
}

/// What is to be done with a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) id: PacketId,
    pub(crate) action: Action,
}

/// See [`Release`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Drop,
    Pass,
    /// It goes on with other bytes, or a copy of it follows it, or both.
    Alter {
        changed: Option<Vec<u8>>,
        copy: Option<Vec<u8>>,
    },
}

/// What is done with a link's packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Treatment {
    pub(crate) conditions: Conditions,
    pub(crate) seed: u64,
    pub(crate) gate: Gate,
}

impl Treatment {
    /// Whether the same stream of fates serves both.
    fn continues(&self, other: &Self) -> bool {
        self.conditions == other.conditions && self.seed == other.seed
    }
}

/// Whether a link's packets get as far as its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// They do.
    Open,
    /// They are dropped.
    Closed,
    /// They wait until the gate opens.
    Hold,
    /// They are dropped, but the last one of each flow, which waits until the gate opens.
    KeepLast,
}

/// A packet that waits, ordered by when it is due and then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    due_ns: u64,
    sequence: u64,
    arrived_ns: u64,
    id: PacketId,
    link: Link,
}

/// A treated link.
#[derive(Debug)]
struct Lane {
    treatment: Treatment,
    fates: Fates,
    /// When the last packet that keeps its place is due.
    last_due_ns: u64,
    bucket: Bucket,
    /// What [`Gate::KeepLast`] keeps.
    last: BTreeMap<Flow, Waiting>,
}

/// The packets that wait, and what is known of each link.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    lanes: BTreeMap<Link, Lane>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// What waiting packets carry that isn't plain; by their sequence.
    alterations: BTreeMap<u64, Action>,
    next_sequence: u64,
    counters: BTreeMap<Link, LinkCounters>,
    overflowed: u64,
}

impl Schedule {
    /// Decides on a packet. What is to be done now is added to `out`.
    pub(crate) fn arrive(&mut self, now_ns: u64, arrival: &Arrival<'_>, out: &mut Vec<Release>) {
        let Arrival { id, link, bytes, is_probe } = *arrival;
        let Some(lane) = self.lanes.get_mut(&link) else {
            // It was queued before the link was healed.
            self.counters.entry(link).or_default().probes += u64::from(is_probe);
            out.push(Release { id, action: Action::Pass });
            return;
        };
        let counters = self.counters.entry(link).or_default();
        *(if is_probe { &mut counters.probes } else { &mut counters.packets }) += 1;
        if lane.treatment.gate != Gate::Open {
            self.stop(now_ns, arrival, out);
            return;
        }
        if is_probe {
            let due_ns = now_ns.saturating_add(nanos(lane.treatment.conditions.delay));
            self.hold(Waiting { due_ns, sequence: 0, arrived_ns: now_ns, id, link }, Action::Pass, out);
            return;
        }
        let fate = lane.fates.next();
        let departure_ns = match lane.treatment.conditions.rate {
            _ if fate.lost => None,
            None => Some(now_ns),
            Some(rate) => lane.bucket.pass(rate, now_ns, bytes.len()),
        };
        let Some(departure_ns) = departure_ns else {
            *(if fate.lost { &mut counters.lost } else { &mut counters.overran }) += 1;
            out.push(Release { id, action: Action::Drop });
            return;
        };
        let due_ns = lane.due(departure_ns, &fate, counters);
        let action = alter(bytes, &fate, counters);
        if due_ns <= now_ns {
            // What has become due since the last turn comes first, or this one would overtake it.
            self.release_due(now_ns, out);
            out.push(Release { id, action });
        } else {
            self.hold(Waiting { due_ns, sequence: 0, arrived_ns: now_ns, id, link }, action, out);
        }
    }

    /// Adds what is due to `out`.
    pub(crate) fn release_due(&mut self, now_ns: u64, out: &mut Vec<Release>) {
        while self.waiting.peek().is_some_and(|next| next.0.due_ns <= now_ns) {
            let Some(Reverse(waiting)) = self.waiting.pop() else { break };
            let counters = self.counters.entry(waiting.link).or_default();
            counters.late_longest = counters.late_longest.max(Duration::from_nanos(now_ns - waiting.due_ns));
            self.release(now_ns, &waiting, out);
        }
    }

    /// When the next packet is due.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|next| next.0.due_ns).filter(|due_ns| *due_ns != NEVER_NS)
    }

    /// Makes these all the treatments there are. Links whose treatment stays go on undisturbed; what the others hold is
    /// added to `out`. Returns how many packets that were.
    pub(crate) fn replace(
        &mut self,
        now_ns: u64,
        treatments: &BTreeMap<Link, Treatment>,
        out: &mut Vec<Release>,
    ) -> u64 {
        let old = std::mem::take(&mut self.lanes);
        let is_same = |link: &Link| old.get(link).map(|lane| &lane.treatment) == treatments.get(link);
        let (kept, mut freed): (Vec<_>, Vec<_>) =
            self.waiting.drain().map(|waiting| waiting.0).partition(|waiting| is_same(&waiting.link));
        self.waiting = kept.into_iter().map(Reverse).collect();
        for (link, mut lane) in old {
            let treatment = treatments.get(&link);
            if treatment != Some(&lane.treatment) {
                freed.extend(std::mem::take(&mut lane.last).into_values());
                lane.last_due_ns = 0;
            }
            if let Some(treatment) = treatment.filter(|treatment| treatment.continues(&lane.treatment)) {
                lane.treatment = *treatment;
                self.lanes.insert(link, lane);
            }
        }
        for (link, treatment) in treatments {
            self.counters.entry(*link).or_default();
            self.lanes.entry(*link).or_insert_with(|| Lane::new(*treatment, *link));
        }
        freed.sort_unstable();
        freed.into_iter().map(|waiting| self.free(now_ns, waiting, treatments, out)).sum()
    }

    /// Lets a packet go whose link's treatment has changed, unless the link is cut now; returns how many went.
    fn free(
        &mut self,
        now_ns: u64,
        waiting: Waiting,
        treatments: &BTreeMap<Link, Treatment>,
        out: &mut Vec<Release>,
    ) -> u64 {
        match treatments.get(&waiting.link).map_or(Gate::Open, |treatment| treatment.gate) {
            Gate::Open => {
                self.release(now_ns, &waiting, out);
                return 1;
            }
            Gate::Hold => self.waiting.push(Reverse(Waiting { due_ns: NEVER_NS, ..waiting })),
            Gate::Closed | Gate::KeepLast => {
                self.alterations.remove(&waiting.sequence);
                self.discard(waiting.link, waiting.id, out);
            }
        }
        0
    }

    /// What a gate that is not open does with a packet.
    fn stop(&mut self, now_ns: u64, arrival: &Arrival<'_>, out: &mut Vec<Release>) {
        let Arrival { id, link, bytes, is_probe } = *arrival;
        let Some(lane) = self.lanes.get_mut(&link) else { return };
        let waiting = Waiting { due_ns: NEVER_NS, sequence: self.next_sequence, arrived_ns: now_ns, id, link };
        if is_probe {
            // One that came after the heal would tell of a time that is over.
            out.push(Release { id, action: Action::Drop });
            return;
        }
        match lane.treatment.gate {
            Gate::Hold => self.hold(waiting, Action::Pass, out),
            Gate::KeepLast => {
                self.next_sequence += 1;
                let flow = Flow::of(bytes);
                let is_full = lane.last.len() >= FLOWS_MAX && !lane.last.contains_key(&flow);
                let too_many = if is_full { Some(waiting) } else { lane.last.insert(flow, waiting) };
                if let Some(dropped) = too_many {
                    self.discard(link, dropped.id, out);
                }
            }
            Gate::Open | Gate::Closed => self.discard(link, id, out),
        }
    }

    fn discard(&mut self, link: Link, id: PacketId, out: &mut Vec<Release>) {
        self.counters.entry(link).or_default().cut += 1;
        out.push(Release { id, action: Action::Drop });
    }

    /// What has happened on each link that ever had a treatment.
    pub(crate) fn counters(&self) -> &BTreeMap<Link, LinkCounters> {
        &self.counters
    }

    /// Packets dropped because too many waited.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Lets a packet wait, with the next sequence.
    fn hold(&mut self, waiting: Waiting, action: Action, out: &mut Vec<Release>) {
        if self.waiting.len() >= WAITING_MAX {
            self.overflowed += 1;
            out.push(Release { id: waiting.id, action: Action::Drop });
            return;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        if action != Action::Pass {
            self.alterations.insert(sequence, action);
        }
        self.waiting.push(Reverse(Waiting { sequence, ..waiting }));
    }

    fn release(&mut self, now_ns: u64, waiting: &Waiting, out: &mut Vec<Release>) {
        let counters = self.counters.entry(waiting.link).or_default();
        counters.held_longest =
            counters.held_longest.max(Duration::from_nanos(now_ns.saturating_sub(waiting.arrived_ns)));
        let action = self.alterations.remove(&waiting.sequence).unwrap_or(Action::Pass);
        out.push(Release { id: waiting.id, action });
    }
}

impl Lane {
    fn new(treatment: Treatment, link: Link) -> Self {
        let fates = Fates::new(treatment.conditions, treatment.seed, link);
        Self { treatment, fates, last_due_ns: 0, bucket: Bucket::default(), last: BTreeMap::new() }
    }

    /// When a packet that leaves the rate's queue at `departure_ns` is due.
    fn due(&mut self, departure_ns: u64, fate: &Fate, counters: &mut LinkCounters) -> u64 {
        let due_ns = departure_ns.saturating_add(nanos(fate.delay)).max(self.last_due_ns);
        self.last_due_ns = due_ns;
        if !fate.reordered {
            return due_ns;
        }
        // Held back beyond its place, which the packets behind it don't wait for.
        counters.reordered += 1;
        due_ns.saturating_add(self.treatment.conditions.reorder.map_or(0, |reorder| nanos(reorder.by)))
    }
}

/// What a fate makes of a packet that goes on.
fn alter(bytes: &[u8], fate: &Fate, counters: &mut LinkCounters) -> Action {
    let changed = fate.corrupted.and_then(|place| flip_a_bit(bytes, place));
    counters.corrupted += u64::from(changed.is_some());
    counters.duplicated += u64::from(fate.duplicated);
    let copy = fate.duplicated.then(|| changed.clone().unwrap_or_else(|| bytes.to_vec()));
    if changed.is_none() && copy.is_none() { Action::Pass } else { Action::Alter { changed, copy } }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Distribution, Jitter, Loss, Reorder};

    const LINK: Link = Link { from: 0, to: 1 };
    const MS: u64 = 1_000_000;

    fn treatment(conditions: Conditions) -> Treatment {
        Treatment { conditions, seed: 1, gate: Gate::Open }
    }

    fn schedule(conditions: Conditions) -> Schedule {
        let mut schedule = Schedule::default();
        schedule.replace(0, &BTreeMap::from([(LINK, treatment(conditions))]), &mut Vec::new());
        schedule
    }

    /// Sends `count` packets of `length` bytes, one each `gap_ns`, and returns the order and times of those that pass.
    fn run(conditions: Conditions, count: u32, gap_ns: u64, length: usize) -> Vec<(u32, u64)> {
        let mut schedule = schedule(conditions);
        let bytes = vec![0x45; length];
        let mut passed = Vec::new();
        let mut note = |now_ns: u64, out: &mut Vec<Release>| {
            passed.extend(
                out.drain(..)
                    .filter(|release| release.action != Action::Drop)
                    .map(|release| (release.id.number, now_ns)),
            );
        };
        let mut out = Vec::new();
        for number in 0..count {
            let now_ns = u64::from(number) * gap_ns;
            while let Some(due_ns) = schedule.next_due_ns().filter(|due_ns| *due_ns <= now_ns) {
                schedule.release_due(due_ns, &mut out);
                note(due_ns, &mut out);
            }
            let id = PacketId { queue: 0, number };
            schedule.arrive(now_ns, &Arrival { id, link: LINK, bytes: &bytes, is_probe: false }, &mut out);
            note(now_ns, &mut out);
        }
        while let Some(due_ns) = schedule.next_due_ns() {
            schedule.release_due(due_ns, &mut out);
            note(due_ns, &mut out);
        }
        passed
    }

    #[test]
    fn a_delay_is_kept_to_the_nanosecond() {
        let passed = run(Conditions { delay: Duration::from_millis(5), ..Conditions::default() }, 100, MS, 100);
        assert_eq!(passed.len(), 100);
        assert!(passed.iter().all(|(number, at_ns)| *at_ns == u64::from(*number) * MS + 5 * MS));
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jitter = Some(Jitter { spread: Duration::from_millis(5), distribution: Distribution::Uniform });
        let delay = Duration::from_millis(10);
        let jittery = run(Conditions { delay, jitter, ..Conditions::default() }, 1000, MS, 100);
        assert!(jittery.is_sorted_by_key(|packet| packet.0), "queues don't overtake");
        let reorder = Some(Reorder { share: 0.1, by: Duration::from_millis(3) });
        let reordered = run(Conditions { delay, reorder, ..Conditions::default() }, 1000, MS, 100);
        let overtaken = reordered.windows(2).filter(|pair| pair[0].0 > pair[1].0).count();
        assert!((50..150).contains(&overtaken), "{overtaken} of 1000");
        let late = reordered.iter().filter(|(number, at_ns)| *at_ns == u64::from(*number) * MS + 13 * MS).count();
        assert!((60..140).contains(&late), "{late} of 1000 are 3 ms later than the others");
    }

    #[test]
    fn a_packet_without_delay_does_not_overtake_one_that_is_due() {
        let jitter = Some(Jitter { spread: Duration::from_millis(5), distribution: Distribution::Normal });
        let mut schedule = schedule(Conditions { jitter, ..Conditions::default() });
        let mut out = Vec::new();
        // A reader that is late: what is due is released only with the next arrival.
        for number in 0..200 {
            let id = PacketId { queue: 0, number };
            let arrival = Arrival { id, link: LINK, bytes: &[0x45; 40], is_probe: false };
            schedule.arrive(u64::from(number) * 20 * MS, &arrival, &mut out);
        }
        schedule.release_due(NEVER_NS, &mut out);
        let order: Vec<u32> = out.iter().map(|release| release.id.number).collect();
        assert_eq!(order, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_changed_treatment_releases_what_its_link_holds_in_order_and_no_other() {
        let other = Link { from: 1, to: 0 };
        let slow = treatment(Conditions { delay: Duration::from_secs(1), ..Conditions::default() });
        let mut schedule = Schedule::default();
        let mut out = Vec::new();
        schedule.replace(0, &BTreeMap::from([(LINK, slow), (other, slow)]), &mut out);
        for number in 0..10 {
            let link = if number % 2 == 0 { LINK } else { other };
            let arrival = Arrival { id: PacketId { queue: 0, number }, link, bytes: &[0x45; 40], is_probe: false };
            schedule.arrive(u64::from(number), &arrival, &mut out);
        }
        assert_eq!(out, []);
        assert_eq!(schedule.replace(MS, &BTreeMap::from([(other, slow)]), &mut out), 5);
        assert_eq!(out.drain(..).map(|release| release.id.number).collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        schedule.release_due(1_000_000_003, &mut out);
        assert_eq!(out.drain(..).map(|release| release.id.number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(schedule.counters()[&LINK].held_longest, Duration::from_nanos(MS));
    }

    /// Sends packets of ports 0, 1, 2, 0, 1, 2, … while the gate is `gate`, opens it, and returns what passes then.
    fn through(gate: Gate) -> (Vec<u32>, LinkCounters) {
        let lossy = Conditions { loss: Loss::Independent { share: 0.5 }, ..Conditions::default() };
        let mut schedule = schedule(lossy);
        let mut out = Vec::new();
        schedule.replace(0, &BTreeMap::from([(LINK, Treatment { gate, ..treatment(lossy) })]), &mut out);
        for number in 0..9 {
            let mut bytes = vec![0x45; 40];
            bytes[20] = u8::try_from(number % 3).unwrap();
            let id = PacketId { queue: 0, number };
            schedule.arrive(u64::from(number), &Arrival { id, link: LINK, bytes: &bytes, is_probe: false }, &mut out);
        }
        assert!(out.drain(..).all(|release| release.action == Action::Drop), "nothing passes a gate that isn't open");
        assert_eq!(schedule.next_due_ns(), None);
        let released = schedule.replace(MS, &BTreeMap::from([(LINK, treatment(lossy))]), &mut out);
        assert_eq!(released, out.len() as u64);
        (out.iter().map(|release| release.id.number).collect(), schedule.counters()[&LINK])
    }

    #[test]
    fn gates_hold_all_or_the_last_of_each_flow_or_nothing() {
        assert_eq!(through(Gate::Hold).0, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let (last, counters) = through(Gate::KeepLast);
        assert_eq!((last, counters.cut, counters.lost), (vec![6, 7, 8], 6, 0));
        let (none, counters) = through(Gate::Closed);
        assert_eq!((none, counters.cut, counters.lost), (vec![], 9, 0));
    }

    #[test]
    fn a_gate_that_closes_drops_or_keeps_what_is_under_way() {
        let slow = treatment(Conditions { delay: Duration::from_secs(1), ..Conditions::default() });
        for (gate, dropped, released) in [(Gate::Closed, 1, 0), (Gate::KeepLast, 1, 0), (Gate::Hold, 0, 1)] {
            let mut schedule = schedule(slow.conditions);
            let mut out = Vec::new();
            let arrival =
                Arrival { id: PacketId { queue: 0, number: 1 }, link: LINK, bytes: &[0x45; 40], is_probe: false };
            schedule.arrive(0, &arrival, &mut out);
            assert_eq!(schedule.replace(0, &BTreeMap::from([(LINK, Treatment { gate, ..slow })]), &mut out), 0);
            assert_eq!(out.len(), dropped, "{gate:?}");
            assert_eq!(schedule.replace(0, &BTreeMap::new(), &mut out), released, "{gate:?}");
        }
    }

    #[test]
    fn more_packets_than_can_wait_are_dropped_and_counted() {
        let mut schedule = schedule(Conditions { delay: Duration::from_secs(1), ..Conditions::default() });
        let mut out = Vec::new();
        for number in 0..u32::try_from(WAITING_MAX).unwrap() + 10 {
            let arrival =
                Arrival { id: PacketId { queue: 0, number }, link: LINK, bytes: &[0x45; 40], is_probe: false };
            schedule.arrive(0, &arrival, &mut out);
        }
        assert_eq!((schedule.overflowed(), out.len()), (10, 10));
        assert!(out.iter().all(|release| release.action == Action::Drop));
    }

    #[test]
    fn corruption_changes_one_bit_behind_the_header_and_copies_are_of_what_goes_on() {
        let mut schedule = schedule(Conditions { corrupt: 1.0, duplicate: 1.0, ..Conditions::default() });
        let mut places = std::collections::BTreeSet::new();
        for number in 0..2000 {
            let mut out = Vec::new();
            let arrival =
                Arrival { id: PacketId { queue: 0, number }, link: LINK, bytes: &[0x45; 30], is_probe: false };
            schedule.arrive(0, &arrival, &mut out);
            let Action::Alter { changed: Some(changed), copy: Some(copy) } = &out[0].action else { panic!("{out:?}") };
            assert_eq!(changed, copy);
            let flipped: Vec<usize> = (0..240).filter(|bit| (changed[bit / 8] ^ 0x45) >> (bit % 8) & 1 == 1).collect();
            assert!(flipped.len() == 1 && flipped[0] >= 160, "{flipped:?}");
            places.insert(flipped[0]);
        }
        assert_eq!(places.len(), 80, "every bit behind the header has its turn");
    }

    #[test]
    fn a_probe_takes_the_delay_and_no_part_in_chance() {
        let conditions = Conditions {
            delay: Duration::from_millis(5),
            loss: Loss::Independent { share: 1.0 },
            ..Conditions::default()
        };
        let mut schedule = schedule(conditions);
        let mut out = Vec::new();
        let arrival = Arrival { id: PacketId { queue: 0, number: 1 }, link: LINK, bytes: &[0x45; 40], is_probe: true };
        schedule.arrive(MS, &arrival, &mut out);
        assert_eq!((schedule.next_due_ns(), out.len()), (Some(6 * MS), 0));
        schedule.release_due(6 * MS, &mut out);
        assert_eq!(out[0].action, Action::Pass);
        let counters = schedule.counters()[&LINK];
        assert_eq!((counters.packets, counters.probes, counters.lost), (0, 1, 0));
    }
}
