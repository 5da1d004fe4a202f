//! From a history to its failovers: which faults took the leader away, and when each phase was reached.
//!
//! A fault takes the leader away if the leader that a majority named when it was aimed is among the killed or paused nodes, or
//! can no longer exchange packets both ways with a majority of live nodes, or is asked to hand over (one that refuses is not: nothing was
//! broken). Everything else (a follower's death, a cut that
//! leaves the leader its majority) is no failover, whatever happens then.

use std::collections::BTreeSet;

use chaos_history::{Completion, History, Impact, NodeId, Operation, RunNanos, Stall, Term, operations};

use crate::analysis::{
    Analysis, Failover, HealAftermath, NotReached, Observed, Outage, Overlap, PhaseOutcome, Phases, Reached,
    TermLeader, Why,
};
use crate::beliefs::{Answer, Beliefs, Changed};
use crate::conditions::{Conditions, FaultSpan};
use crate::distribution::distributions_over;
use crate::floor::{Floor, Timing};
use crate::incident::incidents;
use crate::interval::{Elapsed, Interval};
use crate::lost::lost_writes;
use crate::operations::{due_within, is_acknowledged_write, is_load, statistics};
use crate::outage::{longest, outages, owner};
use crate::overlap::{leaderships, overlaps, total};
use crate::step_down::step_down;
use crate::timeline::timeline;
use crate::unplanned::{elections, unplanned};
use crate::views::Views;

/// Measures a history. `timing` is what is known of the system's timeouts, for the theoretical floor.
///
/// Operations that don't fit together leave every figure that rests on clients empty and say so in
/// [`OperationStats::unreadable`](crate::OperationStats::unreadable); what rests on observations stays.
#[must_use]
pub fn analyse(history: &History, timing: Option<&Timing>) -> Analysis {
    let (operations, unreadable) = match operations(&history.events) {
        Ok(operations) => (operations, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let conditions = Conditions::read(history);
    let beliefs = Beliefs::read(history, &conditions);
    let views = Views::read(history);
    let mut outages = outages(&operations, conditions.load());
    let leaderships = leaderships(&beliefs, &conditions);
    let overlaps = overlaps(&leaderships);
    let stalls: Vec<Stall> = history.stalls().copied().collect();
    let taken: Vec<(&FaultSpan, TermLeader)> =
        conditions.faults().iter().filter_map(|fault| Some((fault, takes_leader(fault, &conditions)?))).collect();
    for outage in &mut outages {
        outage.fault = owner(outage, conditions.faults(), |id| taken.iter().any(|(fault, _)| fault.begin.id == id));
    }
    let mut failovers: Vec<Failover> = taken
        .iter()
        .enumerate()
        .map(|(index, (fault, old))| {
            let next = taken.get(index + 1).map(|(next, _)| next.begun.lo);
            let case = Case {
                beliefs: &beliefs,
                conditions: &conditions,
                operations: &operations,
                views: Some(&views).filter(|_| !history.header.testimony.names_leader),
                fault,
                old: *old,
                next,
            };
            case.failover(&outages, &overlaps, &stalls)
        })
        .collect();
    let lost_writes = lost_writes(&operations, &failovers, history.header.nodes);
    for failover in &mut failovers {
        failover.lost_writes = lost_writes.iter().filter(|lost| lost.fault == Some(failover.fault)).count() as u64;
    }
    let floor = timing.and_then(Floor::of);
    Analysis {
        nodes: history.header.nodes,
        testimony: history.header.testimony,
        end: history.end(),
        distributions: distributions_over(&failovers.iter().collect::<Vec<_>>(), floor.as_ref()),
        floor,
        operations: statistics(&operations, unreadable),
        observed: Observed { views: views.count(), ..beliefs.observed() },
        timeline: timeline(history, &beliefs, &conditions),
        elections: elections(&beliefs),
        unplanned: unplanned(&beliefs, &conditions, &failovers, &stalls),
        failovers,
        outages,
        overlap_total: total(&leaderships),
        overlaps,
        lost_writes,
        stalls,
        incidents: incidents(history),
    }
}

/// The leader that this fault took away, if it took one.
fn takes_leader(fault: &FaultSpan, conditions: &Conditions) -> Option<TermLeader> {
    let (node, term) = fault.begin.leader?;
    let taken = match fault.begin.kind.impact() {
        Impact::Ends | Impact::Stops | Impact::Hinders => fault.begin.nodes.contains(&node),
        Impact::Spares if fault.begin.kind.takes_leadership() => fault.begin.nodes.contains(&node),
        Impact::Spares => conditions.reach(node, fault.begun.hi) < conditions.majority(),
    };
    taken.then_some(TermLeader { node, term })
}

/// One fault that took the leader away, with everything to judge it by.
struct Case<'a> {
    beliefs: &'a Beliefs,
    conditions: &'a Conditions,
    operations: &'a [Operation],
    /// What further observers told, where nodes speak only of themselves.
    views: Option<&'a Views>,
    fault: &'a FaultSpan,
    old: TermLeader,
    /// When the next fault that took a leader away began.
    next: Option<RunNanos>,
}

impl Case<'_> {
    fn failover(&self, outages: &[Outage], overlaps: &[Overlap], stalls: &[Stall]) -> Failover {
        let t0 = self.fault.begun;
        let election = self.elected();
        let convergence = election.ok().and_then(|_| self.converged());
        let new = convergence.map(|(leader, _)| leader).or(election.ok().map(|(leader, _)| leader));
        let phases = self.phases(election, convergence);
        let furthest = [&phases.available, &phases.writable, &phases.converged, &phases.elected, &phases.detected]
            .into_iter()
            .find_map(PhaseOutcome::reached);
        let measured = Interval::new(t0.lo, furthest.map_or(self.close(), |reached| reached.at.hi));
        let begin = &self.fault.begin;
        let (clients, latency) = due_within(self.operations, measured);
        Failover {
            fault: begin.id,
            kind: begin.kind,
            label: begin.label.clone(),
            source: begin.source.clone(),
            old: self.old,
            new,
            injected: t0,
            last_acknowledged: self.last_acknowledged(),
            healed: self.fault.ended,
            aftermath: self.aftermath(phases.converged.reached().is_some(), outages),
            terms_consumed: new.map(|new| new.term.0.saturating_sub(self.old.term.0)),
            terms_without_leader: new.map(|new| self.terms_without_leader(new.term)),
            outage: longest(outages, begin.id),
            overlap: self.overlap(overlaps),
            step_down: step_down(
                self.beliefs,
                self.conditions,
                (self.fault, self.old, new),
                (self.close(), self.why_close()),
            ),
            lost_writes: 0,
            clients,
            latency,
            stalled: stalls.iter().any(|stall| Interval::new(stall.from, stall.to).meets(measured)),
            phases,
        }
    }

    fn phases(
        &self,
        election: Result<(TermLeader, Interval), Why>,
        convergence: Option<(TermLeader, Interval)>,
    ) -> Phases {
        let not_elected = election.err().map(|_| Why::NotElected);
        let after_election = |at: Option<Interval>, without: Why| match not_elected {
            Some(why) => Err(why),
            None => at.ok_or(without),
        };
        let writable =
            after_election(self.writable(), if self.has_writes() { self.why_close() } else { Why::NoClients });
        // Where nobody names anybody, endpoints are judged by where they stood when somebody was elected.
        let agreed = convergence.or(election.ok().filter(|_| self.views.is_some()));
        let available = match (agreed, writable) {
            (Some((leader, at)), Ok(writable)) => self.available(leader, at, writable),
            (Some(_) | None, Err(why)) => Err(why),
            (None, Ok(_)) => Err(self.why_close()),
        };
        // Who was elected had stopped naming the old leader by then, seen or not.
        let by_election = election.ok().filter(|(leader, _)| leader.node != self.old.node);
        let by_election = by_election.map(|(_, at)| Interval::new(self.fault.begun.lo, at.hi.max(self.fault.begun.lo)));
        let detected = match self.views {
            None => self.detected().or(by_election).ok_or(self.why_undetected()),
            Some(views) => {
                let (t0, loss) =
                    (self.fault.begun.lo, views.first_loss(self.old.node, self.fault.begun.lo, self.close()));
                loss.map(|hi| Interval::new(t0, hi)).ok_or(Why::NotTold)
            }
        };
        Phases {
            detected: self.outcome(detected),
            elected: self.outcome(election.map(|(_, at)| at)),
            converged: self.outcome(after_election(convergence.map(|(_, at)| at), self.why_close())),
            writable: self.outcome(writable),
            available: self.outcome(available),
        }
    }

    fn outcome(&self, at: Result<Interval, Why>) -> PhaseOutcome {
        match at {
            Ok(at) => {
                let at = at.not_before(self.fault.begun.lo);
                PhaseOutcome::Reached(Reached { at, after: at.since(self.fault.begun) })
            }
            Err(why) => {
                let until = match why {
                    Why::FaultEnded | Why::NoMajority | Why::NotElected => self.election_close(),
                    Why::NextFault | Why::RunEnded | Why::NoClients | Why::NotTold => self.close(),
                };
                PhaseOutcome::NotReached(NotReached { why, watched: until.since(self.fault.begun.hi) })
            }
        }
    }

    /// Until when this failover's phases are looked for: the next one's beginning, or the end of the history.
    fn close(&self) -> RunNanos {
        self.next.unwrap_or(self.conditions.end())
    }

    fn why_close(&self) -> Why {
        if self.next.is_some() { Why::NextFault } else { Why::RunEnded }
    }

    /// Nobody had to notice anything of a fault that ended first; what they stop naming later is none of its work.
    fn why_undetected(&self) -> Why {
        if self.election_close() < self.close() { Why::FaultEnded } else { self.why_close() }
    }

    /// Until when an election counts as this fault's work. A paused or cut-off leader that comes back leads on, so that a later
    /// election is none of this failover's; a killed leader has lost its leadership for good.
    fn election_close(&self) -> RunNanos {
        match self.fault.ended {
            // Of one process of the leader's, the rest may lead on.
            Some(ended) if !self.fault.begin.kind.ends_processes() || self.fault.begin.process.is_some() => {
                ended.hi.min(self.close())
            }
            Some(_) | None => self.close(),
        }
    }

    /// t1. Only what was asked of the old leader itself counts, and only until the fault ended: after that it may serve anew.
    fn last_acknowledged(&self) -> Option<Interval> {
        let until = self.fault.ended.map_or(self.close(), |ended| ended.lo.min(self.close()));
        let by_old = self.operations.iter().filter(|op| op.node == self.old.node && is_load(op));
        let acknowledged = by_old.filter_map(|op| match op.completion {
            Completion::Ok(_) => op.completed.map(|completed| Interval::new(op.invoked, completed)),
            Completion::Fail(_) | Completion::Info(_) => None,
        });
        acknowledged.filter(|at| at.hi <= until).max_by_key(|at| at.hi)
    }

    /// t2. Of each other node the change from the last answer that names the old leader to the first that doesn't (by the same
    /// process: a restarted one knows nothing); of these the first. A node that nobody saw change may have been the first all the
    /// same, from its last answer on: it widens the bound downwards.
    fn detected(&self) -> Option<Interval> {
        let (t0, close) = (self.fault.begun.lo, self.close());
        let (mut lo, mut hi): (Option<RunNanos>, Option<RunNanos>) = (None, None);
        for (node, answers) in self.beliefs.nodes().filter(|(node, _)| *node != self.old.node) {
            let named = |answer: &Answer| answer.names() == Some(self.old);
            let change = answers.windows(2).find(|pair| {
                let stops = named(&pair[0]) && !named(&pair[1]) && pair[0].incarnation == pair[1].incarnation;
                stops && pair[1].to > t0 && pair[1].to <= close && pair[0].from < self.election_close()
            });
            let since = match change {
                Some(pair) => {
                    hi = Some(hi.map_or(pair[1].to, |hi| hi.min(pair[1].to)));
                    // A process that this same fault stopped noticed nothing before it ran again.
                    let stopped = Some(self.fault.begun.hi).filter(|_| self.hits(node));
                    Some(stopped.map_or(pair[0].from, |at| self.conditions.awake_from(node, at.max(pair[0].from))))
                }
                None => self.unseen(node, answers),
            };
            lo = [lo, since].into_iter().flatten().min();
        }
        Some(Interval::new(lo?, hi?).not_before(t0))
    }

    /// Whether this fault ended or stopped the node.
    fn hits(&self, node: NodeId) -> bool {
        let takes_it = match self.fault.begin.kind.impact() {
            Impact::Ends | Impact::Stops => true,
            Impact::Hinders | Impact::Spares => false,
        };
        takes_it && self.fault.begin.nodes.contains(&node)
    }

    /// From when on a node that named the old leader, and was not seen to stop, can have stopped.
    fn unseen(&self, node: NodeId, answers: &[Answer]) -> Option<RunNanos> {
        let last = answers.iter().rposition(|answer| answer.names() == Some(self.old))?;
        let stopped_before = answers.get(last + 1).is_some_and(|next| next.to <= self.fault.begun.lo);
        let since = answers[last].from.max(self.fault.begun.lo);
        let down = self.conditions.down(node).iter().any(|span| span.lo <= since && since < span.hi);
        (!stopped_before && !self.hits(node) && !down).then(|| self.conditions.awake_from(node, since))
    }

    /// t3.
    fn elected(&self) -> Result<(TermLeader, Interval), Why> {
        let close = self.election_close();
        let after_fault = |(_, at): &(TermLeader, Interval)| at.hi >= self.fault.begun.lo;
        let in_time = |(_, at): &(TermLeader, Interval)| at.lo < close && at.hi <= self.close();
        let found = self.beliefs.elections_after(self.old.term).find(after_fault).filter(in_time);
        found.ok_or_else(|| {
            if !self.conditions.electable(self.old.node, self.fault.begun.hi) {
                Why::NoMajority
            } else if close < self.close() {
                Why::FaultEnded
            } else {
                self.why_close()
            }
        })
    }

    /// t4.
    fn converged(&self) -> Option<(TermLeader, Interval)> {
        self.beliefs.changes().iter().find_map(|change| match change.what {
            Changed::Majority(leader)
                if leader.term > self.old.term
                    && change.at.hi >= self.fault.begun.lo
                    && change.at.hi <= self.close() =>
            {
                Some((leader, change.at))
            }
            Changed::Majority(_) | Changed::Term(_) => None,
        })
    }

    fn has_writes(&self) -> bool {
        let (t0, close) = (self.fault.begun.hi, self.close());
        let mut asked = self.operations.iter().filter(|op| is_load(op) && op.invoked >= t0 && op.invoked <= close);
        asked.any(|op| op.action.written().is_some())
    }

    /// t5. An acknowledgement by the old leader during its own fault is not the cluster's recovery (in a sound system there is
    /// none; in a broken one it would make the failover look instant).
    fn writable(&self) -> Option<Interval> {
        let still_gone = |op: &Operation, completed: RunNanos| {
            op.node == self.old.node && self.fault.ended.is_none_or(|ended| completed < ended.lo)
        };
        self.first_acknowledged(|op| {
            is_acknowledged_write(op) && op.completed.is_some_and(|completed| !still_gone(op, completed))
        })
    }

    /// When the first of the operations that count, and were invoked after t0, took effect: by the first acknowledgement at the
    /// latest, and not before the first of them was asked (an answer can be overtaken by that of a later question).
    fn first_acknowledged(&self, counts: impl Fn(&Operation) -> bool) -> Option<Interval> {
        let t0 = self.fault.begun;
        let asked = self.operations.iter().filter(|op| is_load(op) && op.invoked >= t0.lo && counts(op));
        let acknowledged: Vec<Interval> = asked
            .filter_map(|op| match op.completion {
                Completion::Ok(_) => op.completed.map(|completed| Interval::new(op.invoked, completed)),
                Completion::Fail(_) | Completion::Info(_) => None,
            })
            .filter(|at| at.hi <= self.close())
            .collect();
        let hi = acknowledged.iter().filter(|at| at.lo >= t0.hi).map(|at| at.hi).min()?;
        let lo = acknowledged.iter().map(|at| at.lo).min()?;
        Some(Interval::new(lo, hi))
    }

    /// t6, see [`Phases::available`].
    fn available(&self, leader: TermLeader, converged: Interval, writable: Interval) -> Result<Interval, Why> {
        let live = |node: &NodeId| {
            self.conditions.lives(*node, converged.hi) && self.conditions.connected(*node, leader.node, converged.hi)
        };
        let probed: BTreeSet<NodeId> = self.operations.iter().filter(|op| is_load(op)).map(|op| op.node).collect();
        // A node that refuses, and names nobody, may all the same send clients the right way.
        let unserved = if self.views.is_some() { Why::NotTold } else { self.why_close() };
        let mut all = writable;
        for node in probed.into_iter().filter(live) {
            let serves = [self.first_service(node), self.first_direction(node).filter(|_| node != leader.node)];
            let first = serves.into_iter().flatten().min_by_key(|at| at.hi).ok_or(unserved)?;
            all = Interval { lo: all.lo.max(first.lo), hi: all.hi.max(first.hi) };
        }
        Ok(all)
    }

    /// The node's first acknowledgement of an operation invoked after t0.
    fn first_service(&self, node: NodeId) -> Option<Interval> {
        self.first_acknowledged(|op| op.node == node)
    }

    /// The node's first answer that names a leader of a higher term.
    fn first_direction(&self, node: NodeId) -> Option<Interval> {
        let answers = self.beliefs.of(node);
        let directs = |answer: &Answer| {
            answer.to >= self.fault.begun.lo && answer.names().is_some_and(|leader| leader.term > self.old.term)
        };
        let index = answers.iter().position(directs)?;
        let before = index.checked_sub(1).map_or(self.fault.begun.lo, |before| answers[before].from);
        Some(Interval::new(before, answers[index].to)).filter(|at| at.hi <= self.close())
    }

    /// t8 and what it cost.
    fn aftermath(&self, converged: bool, outages: &[Outage]) -> Option<HealAftermath> {
        let healed = self.fault.ended?;
        let next_fault = self.conditions.faults().iter().map(|fault| fault.begun.lo).find(|at| *at > healed.lo);
        let until = next_fault.unwrap_or(self.conditions.end());
        let quiet = Interval::new(healed.lo, until);
        let changes = self.beliefs.changes().iter().map(|change| change.at);
        let elections =
            self.beliefs.elections_after(self.old.term).filter(|(_, at)| healed.hi <= at.lo && at.hi <= until);
        let second = outages.iter().filter(|outage| healed.hi <= outage.from && outage.to <= until);
        Some(HealAftermath {
            last_disturbance: changes.filter(|at| at.hi > quiet.lo && at.hi <= quiet.hi).max_by_key(|at| at.hi),
            elections: if converged { elections.count() as u64 } else { 0 },
            outage: second.map(|outage| outage.lasted).max(),
        })
    }

    fn terms_without_leader(&self, new: Term) -> u64 {
        let led = self.beliefs.elections_after(self.old.term).filter(|(leader, _)| leader.term <= new).count() as u64;
        new.0.saturating_sub(self.old.term.0).saturating_sub(led)
    }

    /// The longest overlap of the old leadership with one of a newer term, within this failover's window.
    fn overlap(&self, overlaps: &[Overlap]) -> Elapsed {
        let own = overlaps.iter().filter(|overlap| overlap.older == self.old && overlap.newer.term > self.old.term);
        let beside = own.filter(|overlap| overlap.span.lo <= self.close()).map(|overlap| overlap.lasted);
        beside.fold(Elapsed::default(), |all, one| Elapsed { lo: all.lo.max(one.lo), hi: all.hi.max(one.hi) })
    }
}
