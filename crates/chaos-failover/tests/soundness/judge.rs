//! Holds an analysis against the truth.

use std::collections::BTreeMap;

use chaos_failover::{Analysis, Failover, Interval, PhaseOutcome};

use crate::harness::{Record, Seen, at};
use crate::simulator::{Kind, Role, Truth};

/// What was judged, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) judged: BTreeMap<&'static str, u64>,
    pub(crate) wrong: Vec<String>,
    /// Bounds that are wider than they should be, and how many were looked at.
    pub(crate) wide: BTreeMap<&'static str, (u64, u64)>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        other.judged.into_iter().for_each(|(what, count)| *self.judged.entry(what).or_default() += count);
        self.wrong.extend(other.wrong);
        for (what, (wide, of)) in other.wide {
            let entry = self.wide.entry(what).or_default();
            *entry = (entry.0 + wide, entry.1 + of);
        }
    }

    fn check(&mut self, what: &'static str, right: bool, story: impl FnOnce() -> String) {
        *self.judged.entry(what).or_default() += 1;
        if !right {
            self.wrong.push(format!("{what}: {}", story()));
        }
    }

    /// Counts bounds that are wider than the answers around them. Some have to be: a node that another fault hit told nothing, or
    /// answers were lost in a row.
    fn narrow(&mut self, what: &'static str, narrow: bool) {
        let entry = self.wide.entry(what).or_default();
        *entry = (entry.0 + u64::from(!narrow), entry.1 + 1);
    }

    /// Every kind of claim was put to the test often.
    pub(crate) fn assert_not_vacuous(&self, timelines: u64) {
        for (what, count) in &self.judged {
            assert!(*count * 20 > timelines, "{what} was judged only {count} times in {timelines} timelines");
        }
        for (what, (wide, of)) in &self.wide {
            assert!(
                *of * 2 > timelines && *wide * 200 <= *of,
                "{what} is wider than the answers around it {wide} times of {of}"
            );
        }
        assert!(self.judged.len() >= 13 && self.wide.len() == 4, "{:?}", self.judged.keys());
    }
}

fn holds(interval: Interval, moment: u64) -> bool {
    interval.lo <= at(moment) && at(moment) <= interval.hi
}

/// A stretch in which a node led a term, by its own state.
#[derive(Clone, Copy, Debug)]
struct Reign {
    node: usize,
    term: u64,
    from: u64,
    to: u64,
}

struct Judge<'a> {
    seed: u64,
    truth: &'a Truth,
    record: &'a Record,
    analysis: &'a Analysis,
    reigns: Vec<Reign>,
}

pub(crate) fn judge(seed: u64, truth: &Truth, record: &Record, analysis: &Analysis, tally: &mut Tally) {
    let judge = Judge { seed, truth, record, analysis, reigns: reigns(truth) };
    for (index, failover) in analysis.failovers.iter().enumerate() {
        let close = analysis.failovers.get(index + 1).map_or(at(truth.end), |next| next.injected.lo);
        judge.failover(failover, close.0 / 1_000, tally);
    }
    judge.overlaps(tally);
    judge.outages(tally);
}

fn reigns(truth: &Truth) -> Vec<Reign> {
    let mut reigns = Vec::new();
    for (node, states) in truth.states.iter().enumerate() {
        let mut open: Option<Reign> = None;
        for (moment, state) in states.iter().chain([&(truth.end, states[0].1)]) {
            let leads = state.up && state.role == Role::Leader && *moment < truth.end;
            match &mut open {
                Some(reign) if leads && reign.term == state.term => {}
                Some(_) | None => {
                    reigns.extend(open.take().map(|reign| Reign { to: *moment, ..reign }));
                    open = leads.then_some(Reign { node, term: state.term, from: *moment, to: *moment });
                }
            }
        }
    }
    reigns.sort_by_key(|reign| reign.from);
    reigns
}

impl Judge<'_> {
    fn story(&self, failover: &Failover, found: Interval, truth: u64) -> String {
        format!("seed {} fault {:?} {:?}: {found:?} for {:?}", self.seed, failover.fault, failover.kind, at(truth))
    }

    fn failover(&self, failover: &Failover, close: u64, tally: &mut Tally) {
        let fault = &self.truth.faults[failover.fault.0 as usize - 1];
        let (old, term, t0) = (failover.old.node.index(), failover.old.term.0, fault.from);
        tally.check("injected", holds(failover.injected, t0), || self.story(failover, failover.injected, t0));
        if let Some(healed) = failover.healed {
            tally.check("healed", holds(healed, fault.to), || self.story(failover, healed, fault.to));
        }
        // A fault aimed at a leader that is being replaced already is another experiment.
        if self.record.seen.iter().any(|seen| seen.state.term > term && seen.sent < t0) || self.rose(term) < t0 {
            return;
        }
        self.last_acknowledged(failover, tally);
        self.detected(failover, old, term, t0, tally);
        self.elected(failover, term, close, tally);
        self.converged(failover, tally);
        self.writable(failover, old, close, tally);
        self.available(failover, t0, tally);
        self.aftermath(failover, fault.to, tally);
        self.beside(failover, tally);
        if let Some(new) = failover.new {
            let led = self.reigns.iter().filter(|reign| reign.term > term && reign.term <= new.term.0).count() as u64;
            let without = failover.terms_without_leader.unwrap_or_default();
            let right = failover.terms_consumed == Some(new.term.0 - term) && without >= new.term.0 - term - led;
            tally.check("terms", right, || format!("seed {}: {failover:?}", self.seed));
        }
    }

    /// When anybody first had a term above this one.
    fn rose(&self, term: u64) -> u64 {
        let moments = self.truth.states.iter().flatten().filter(|(_, state)| state.term > term).map(|(from, _)| *from);
        moments.min().unwrap_or(u64::MAX)
    }

    fn last_acknowledged(&self, failover: &Failover, tally: &mut Tally) {
        let until = failover.healed.map_or(at(self.truth.end), |healed| healed.lo);
        let by_old = self.record.writes.iter().filter(|write| write.node == failover.old.node.index());
        let truth = by_old.filter(|write| at(write.completed) <= until).map(|write| write.acked).max();
        // Before the next fault, that is: a failover that never healed is looked at until then.
        if let (Some(found), Some(truth), Some(_)) = (failover.last_acknowledged, truth, failover.healed) {
            let next = self.analysis.failovers.iter().find(|other| other.injected.lo > failover.injected.lo);
            if next.is_none_or(|next| next.injected.lo > until) {
                tally.check("last acknowledged", holds(found, truth), || self.story(failover, found, truth));
            }
        }
    }

    fn detected(&self, failover: &Failover, old: usize, term: u64, t0: u64, tally: &mut Tally) {
        let Some(found) = failover.phases.detected.reached() else { return };
        let stops = (0..self.truth.nodes).filter(|node| *node != old).filter_map(|node| {
            let pairs = self.truth.states[node].windows(2);
            let stop = |pair: &&[(u64, crate::simulator::State)]| {
                let (before, after) = (pair[0].1, pair[1].1);
                let same = before.incarnation == after.incarnation && after.up;
                pair[1].0 >= t0 && same && before.names() == Some((old, term)) && after.names() != Some((old, term))
            };
            pairs.filter(|pair| stop(pair)).map(|pair| pair[1].0).next()
        });
        let Some(truth) = stops.min() else { return };
        tally.check("detected", holds(found.at, truth), || self.story(failover, found.at, truth));
        tally.narrow("detected", self.is_narrow(found.at));
    }

    fn elected(&self, failover: &Failover, term: u64, close: u64, tally: &mut Tally) {
        let told = |reign: &&Reign| {
            let names = |seen: &Seen| seen.state.names() == Some((reign.node, reign.term));
            reign.term > term && self.record.seen.iter().any(names)
        };
        let first = self.reigns.iter().filter(told).min_by_key(|reign| reign.term);
        match (&failover.phases.elected, first) {
            (PhaseOutcome::Reached(found), Some(first)) => {
                tally.check("elected", holds(found.at, first.from), || self.story(failover, found.at, first.from));
                let own = self.record.seen.iter().filter(|seen| seen.node == first.node);
                let width = around(own, first.from);
                let length = u64::try_from(found.at.length().as_micros()).unwrap_or(u64::MAX);
                tally.narrow("elected", length <= width + 2_000);
            }
            (PhaseOutcome::NotReached(_), Some(first)) => {
                // Nobody was elected within the fault or before the next; a poll's length is left for the telling.
                let killed = self.truth.faults[failover.fault.0 as usize - 1].kind == Kind::Kill;
                let until = if killed { close } else { close.min(self.truth.faults[failover.fault.0 as usize - 1].to) };
                let told = first.from + self.widest() > until;
                tally.check("not elected", told, || format!("seed {}: {failover:?}, but {first:?}", self.seed));
            }
            (PhaseOutcome::Reached(found), None) => {
                tally.check("elected", false, || self.story(failover, found.at, 0));
            }
            (PhaseOutcome::NotReached(_), None) => {}
        }
    }

    /// The longest distance between two answers of any node, its faults included.
    fn widest(&self) -> u64 {
        let of = |node: usize| {
            let mut sent: Vec<u64> =
                self.record.seen.iter().filter(|seen| seen.node == node).map(|seen| seen.received).collect();
            sent.sort_unstable();
            sent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(u64::MAX / 2)
        };
        (0..self.truth.nodes).map(of).max().unwrap_or_default()
    }

    fn converged(&self, failover: &Failover, tally: &mut Tally) {
        let (Some(found), Some(new)) = (failover.phases.converged.reached(), failover.new) else { return };
        let leader = (new.node.index(), new.term.0);
        let mut moments: Vec<u64> = self.truth.states.iter().flatten().map(|(from, _)| *from).collect();
        moments.sort_unstable();
        let agreed = |moment: &u64| {
            let names = |node: &usize| self.truth.at(*node, *moment).names() == Some(leader);
            (0..self.truth.nodes).filter(names).count() > self.truth.nodes / 2
        };
        match moments.into_iter().find(agreed) {
            Some(truth) => {
                tally.check("converged", holds(found.at, truth), || self.story(failover, found.at, truth));
                tally.narrow("converged", self.is_narrow(found.at));
            }
            None => tally.check("converged", false, || self.story(failover, found.at, 0)),
        }
    }

    fn writable(&self, failover: &Failover, old: usize, close: u64, tally: &mut Tally) {
        let Some(found) = failover.phases.writable.reached() else { return };
        let t0 = self.truth.faults[failover.fault.0 as usize - 1].from;
        // The old leader counts again from its fault's end on, which has a width of its own.
        let healed = failover.healed.map_or(u64::MAX, |healed| healed.lo.0 / 1_000);
        let counts = |write: &&crate::harness::Write| {
            write.invoked >= t0 && write.completed <= close && (write.node != old || write.completed >= healed)
        };
        let writes: Vec<_> = self.record.writes.iter().filter(counts).collect();
        let Some(truth) = writes.iter().map(|write| write.acked).min() else { return };
        tally.check("writable", holds(found.at, truth), || self.story(failover, found.at, truth));
        let width = writes.iter().map(|write| write.completed - write.invoked).max().unwrap_or_default();
        let length = u64::try_from(found.at.length().as_micros()).unwrap_or(u64::MAX);
        tally.narrow("writable", length <= 2 * width);
    }

    fn available(&self, failover: &Failover, t0: u64, tally: &mut Tally) {
        let phases = &failover.phases;
        let (Some(found), Some(writable), Some(converged)) =
            (phases.available.reached(), phases.writable.reached(), phases.converged.reached())
        else {
            return;
        };
        let Some(new) = failover.new else { return };
        let edges = self.truth.faults.iter().flat_map(|fault| [fault.from, fault.to]);
        let moment = converged.at.hi.0 / 1_000;
        // The endpoints are those of that moment; near a fault's edge they depend on its stamps.
        if edges.into_iter().any(|edge| edge + 60_000 > moment && edge < moment + 2_000) {
            return;
        }
        let mut truth = self.first_ack(t0, |_| true, writable.at);
        for node in 0..self.truth.nodes {
            let state = self.truth.at(node, moment);
            if !state.up || state.paused || !self.truth.connected(node, new.node.index(), moment) {
                continue;
            }
            let served = self.record.writes.iter().filter(|write| write.node == node && write.invoked >= t0);
            let served = served.map(|write| write.acked).min().unwrap_or(u64::MAX);
            let names =
                |state: &crate::simulator::State| state.names().is_some_and(|(_, term)| term > failover.old.term.0);
            let states = self.truth.states[node].iter().filter(|(from, state)| *from >= t0 && names(state));
            let directs = states.map(|(from, _)| *from).next().filter(|_| node != new.node.index());
            truth = truth.max(served.min(directs.unwrap_or(u64::MAX)));
        }
        // Pushed together: an endpoint that told of a leader which nobody else saw may be earlier than can be known.
        tally.check("available by then", truth <= found.at.hi.0 / 1_000 + 1, || self.story(failover, found.at, truth));
    }

    fn first_ack(&self, t0: u64, counts: impl Fn(&crate::harness::Write) -> bool, within: Interval) -> u64 {
        let acked =
            self.record.writes.iter().filter(|write| write.invoked >= t0 && counts(write)).map(|write| write.acked);
        acked.filter(|acked| holds(within, *acked)).min().unwrap_or(within.lo.0 / 1_000)
    }

    fn aftermath(&self, failover: &Failover, healed: u64, tally: &mut Tally) {
        let Some(aftermath) = failover.aftermath else { return };
        let next = self.truth.faults.iter().map(|fault| fault.from).filter(|from| *from > healed).min();
        let until = next.unwrap_or(self.truth.end);
        let after = self.reigns.iter().filter(|reign| healed <= reign.from && reign.from < until).count() as u64;
        tally.check("elections after the heal", aftermath.elections <= after, || {
            format!("seed {}: {} counted of {after}", self.seed, aftermath.elections)
        });
        if let Some(found) = aftermath.last_disturbance {
            let mut highest = 0;
            let mut rises: Vec<(u64, u64)> =
                self.truth.states.iter().flatten().map(|(from, state)| (*from, state.term)).collect();
            rises.sort_unstable();
            let mut disturbed = Vec::new();
            for (from, term) in rises {
                if term > highest {
                    highest = term;
                    disturbed.push(from);
                }
            }
            let majorities = self.reigns.iter().filter_map(|reign| self.majority_for(reign));
            disturbed.extend(majorities);
            let right = disturbed.iter().any(|moment| holds(found, *moment))
                || disturbed.iter().any(|moment| *moment < healed && found.lo <= at(healed));
            tally.check("last disturbance", right, || format!("seed {}: {found:?} of {disturbed:?}", self.seed));
        }
    }

    fn majority_for(&self, reign: &Reign) -> Option<u64> {
        let mut moments: Vec<u64> = self.truth.states.iter().flatten().map(|(from, _)| *from).collect();
        moments.sort_unstable();
        let names = |moment: u64, node: usize| self.truth.at(node, moment).names() == Some((reign.node, reign.term));
        moments
            .into_iter()
            .find(|moment| (0..self.truth.nodes).filter(|node| names(*moment, *node)).count() > self.truth.nodes / 2)
    }

    /// No wider than two distances between the answers around it, of the nodes that ran all the while.
    fn is_narrow(&self, found: Interval) -> bool {
        let (lo, hi) = (found.lo.0 / 1_000, found.hi.0 / 1_000);
        let runs = |node: usize| {
            let states =
                self.truth.states[node].iter().filter(|(from, _)| (lo.saturating_sub(60_000)..=hi).contains(from));
            states.map(|(_, state)| *state).chain([self.truth.at(node, lo)]).all(|state| state.up && !state.paused)
        };
        let gap = |node: usize| {
            let mut received: Vec<u64> = self
                .record
                .seen
                .iter()
                .filter(|seen| seen.node == node && seen.received + 300_000 > lo && seen.sent < hi + 300_000)
                .flat_map(|seen| [seen.sent, seen.received])
                .collect();
            received.sort_unstable();
            received.windows(4).map(|four| four[3] - four[0]).max().unwrap_or(u64::MAX / 8)
        };
        let widest = (0..self.truth.nodes).filter(|node| runs(*node)).map(gap).max().unwrap_or(u64::MAX / 8);
        hi - lo <= 2 * widest + 2_000
    }

    fn pauses(&self, node: usize) -> Vec<(u64, u64)> {
        let states = &self.truth.states[node];
        let end = |index: usize| states.get(index + 1).map_or(self.truth.end, |next| next.0);
        states
            .iter()
            .enumerate()
            .filter(|(_, (_, state))| state.paused)
            .map(|(index, (from, _))| (*from, end(index)))
            .collect()
    }

    /// For how long two reigns overlapped, stopped processes included and left out.
    fn overlap(&self, one: &Reign, other: &Reign) -> (u64, u64) {
        let (from, to) = (one.from.max(other.from), one.to.min(other.to));
        let with = to.saturating_sub(from);
        let mut edges = vec![from, to.max(from)];
        let pauses: Vec<(u64, u64)> = [one.node, other.node].into_iter().flat_map(|node| self.pauses(node)).collect();
        edges.extend(pauses.iter().flat_map(|(a, b)| [*a, *b]).filter(|edge| (from..to).contains(edge)));
        edges.sort_unstable();
        let stopped = |moment: u64| pauses.iter().any(|(a, b)| (*a..*b).contains(&moment));
        let without = edges.windows(2).filter(|pair| !stopped(pair[0])).map(|pair| pair[1] - pair[0]).sum();
        (without, with)
    }

    fn reign(&self, leader: chaos_failover::TermLeader) -> Option<&Reign> {
        self.reigns.iter().find(|reign| reign.node == leader.node.index() && reign.term == leader.term.0)
    }

    fn overlaps(&self, tally: &mut Tally) {
        for overlap in &self.analysis.overlaps {
            let (Some(older), Some(newer)) = (self.reign(overlap.older), self.reign(overlap.newer)) else {
                tally.check("overlap", false, || format!("seed {}: {overlap:?} of no reigns", self.seed));
                continue;
            };
            let (without, with) = self.overlap(older, newer);
            let (lo, hi) = (overlap.lasted.lo.as_micros(), overlap.lasted.hi.as_micros());
            let right = lo <= u128::from(without) && u128::from(with) <= hi;
            tally.check("overlap", right, || format!("seed {}: {overlap:?} for {without} to {with} us", self.seed));
        }
        let claimed = |reign: &&Reign| {
            let claims = |seen: &Seen| {
                seen.node == reign.node && seen.state.role == Role::Leader && seen.state.term == reign.term
            };
            self.record.seen.iter().any(claims)
        };
        let claimed: Vec<&Reign> = self.reigns.iter().filter(claimed).collect();
        for (index, one) in claimed.iter().enumerate() {
            for other in &claimed[index + 1..] {
                let with = self.overlap(one, other).1;
                if one.node == other.node || with == 0 {
                    continue;
                }
                let known = self.analysis.overlaps.iter().any(|overlap| {
                    let pair = [
                        (overlap.older.node.index(), overlap.older.term.0),
                        (overlap.newer.node.index(), overlap.newer.term.0),
                    ];
                    pair.contains(&(one.node, one.term)) && pair.contains(&(other.node, other.term))
                });
                tally.check("overlap is told", known, || format!("seed {}: {one:?} {other:?}", self.seed));
            }
        }
    }

    /// The failover's own overlap bounds the longest of its old leader with a newer one that claimed.
    fn beside(&self, failover: &Failover, tally: &mut Tally) {
        let Some(old) = self.reign(failover.old) else { return };
        let close =
            self.analysis.failovers.iter().map(|other| other.injected.lo).filter(|lo| *lo > failover.injected.lo).min();
        let newer = self.reigns.iter().filter(|reign| {
            let claims = |seen: &Seen| {
                seen.node == reign.node && seen.state.role == Role::Leader && seen.state.term == reign.term
            };
            reign.term > old.term && reign.node != old.node && self.record.seen.iter().any(claims)
        });
        let before = newer.filter(|reign| close.is_none_or(|close| at(reign.from) < close));
        let longest = before.map(|reign| self.overlap(old, reign)).max().unwrap_or_default();
        let right = u128::from(longest.1) <= failover.overlap.hi.as_micros();
        tally.check("failover's overlap", right, || format!("seed {}: {failover:?} for {longest:?}", self.seed));
    }

    /// Outages are exactly the gaps between acknowledgements to roaming clients that exceed twenty mean distances (at least 100 ms).
    fn outages(&self, tally: &mut Tally) {
        let dues = &self.record.roaming_dues;
        let (Some(first), Some(last)) = (dues.iter().min(), dues.iter().max()) else { return };
        let threshold = (100_000_000).max((last - first) * 1_000 / dues.len() as u64 * 20);
        let roaming = self.record.writes.iter().filter(|write| write.roaming);
        let mut moments: Vec<u64> = roaming.map(|write| write.completed).collect();
        moments.push(*first);
        // The last operation closes the last gap, unless its acknowledgement, or that of one before it, comes later still.
        moments.extend(moments.iter().all(|moment| moment < last).then_some(*last));
        moments.sort_unstable();
        let gaps = moments.windows(2).filter(|pair| (pair[1] - pair[0]) * 1_000 > threshold);
        let expected: Vec<(u64, u64)> = gaps.map(|pair| (pair[0] * 1_000, pair[1] * 1_000)).collect();
        let found: Vec<(u64, u64)> = self.analysis.outages.iter().map(|outage| (outage.from.0, outage.to.0)).collect();
        tally.check("outages", found == expected, || format!("seed {}: {found:?}, expected {expected:?}", self.seed));
    }
}

/// The distance between the answers just before and just after a moment.
fn around<'a>(seen: impl Iterator<Item = &'a Seen>, moment: u64) -> u64 {
    let (mut before, mut after) = (0, u64::MAX / 8);
    for seen in seen {
        if seen.received < moment {
            before = before.max(seen.sent);
        } else if seen.sent >= moment {
            after = after.min(seen.received);
        }
    }
    after - before
}
