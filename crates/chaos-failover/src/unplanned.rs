//! Leaders that came without a fault: an election timeout too short for the load, a stalled host, or the mark of a fault that
//! had ended. One that took over from a healthy leader is needless. Told apart from failovers, and never counted in their distributions.

use std::time::Duration;

use chaos_history::{RunNanos, Stall};

use crate::analysis::{Failover, PhaseOutcome, TermLeader, Unplanned, Why};
use crate::beliefs::{Beliefs, Changed};
use crate::conditions::Conditions;
use crate::interval::Interval;

/// How long after a stall an election may still be its work: an election timeout and a round of votes, generously.
const STALL_REACH: Duration = Duration::from_millis(500);

/// Every leader that a majority came to name, the first one included; a majority that goes back to an older term elects nobody.
fn elected(beliefs: &Beliefs) -> impl Iterator<Item = (Interval, TermLeader)> {
    let mut newest = None;
    beliefs.changes().iter().filter_map(move |change| {
        let Changed::Majority(leader) = change.what else { return None };
        let newer = newest.is_none_or(|newest| leader.term > newest);
        newer.then(|| {
            newest = Some(leader.term);
            (change.at, leader)
        })
    })
}

/// How many there were.
pub(crate) fn elections(beliefs: &Beliefs) -> u64 {
    elected(beliefs).count() as u64
}

/// All of them, in order. The first leader of the run is expected; a failover's own belongs to that failover.
pub(crate) fn unplanned(
    beliefs: &Beliefs,
    conditions: &Conditions,
    failovers: &[Failover],
    stalls: &[Stall],
) -> Vec<Unplanned> {
    let mut seen: Option<TermLeader> = None;
    let mut found = Vec::new();
    for (at, leader) in elected(beliefs) {
        let first = seen.is_none();
        let previous = seen.replace(leader);
        let under_way = conditions
            .faults()
            .iter()
            .any(|fault| fault.begun.lo <= at.hi && fault.ended.is_none_or(|ended| at.lo <= ended.hi));
        // An election during a fault that took no leader away, or a second one of a failover, is that fault's work.
        let of_failover = |failover: &Failover| failover.new == Some(leader) || left_nobody(failover, previous);
        if first || under_way || failovers.iter().any(of_failover) {
            continue;
        }
        let ended = |hi: RunNanos| hi < at.lo;
        let before = conditions.faults().iter().rev().find(|fault| fault.ended.is_some_and(|end| ended(end.hi)));
        let reach = RunNanos(at.lo.0.saturating_sub(crate::interval::nanos(STALL_REACH)));
        let watched = Interval::new(reach, at.hi);
        let stalled = stalls.iter().any(|stall| Interval::new(stall.from, stall.to).meets(watched));
        found.push(Unplanned {
            leader,
            at,
            after: before.map(|fault| fault.begin.id),
            stalled,
            previous,
            needless: !stalled && previous.is_some_and(|previous| conditions.healthy(previous.node, watched)),
        });
    }
    found
}

/// Whether this failover took `previous` away and left no node that could be elected, so that the next leader comes of its end.
fn left_nobody(failover: &Failover, previous: Option<TermLeader>) -> bool {
    match failover.phases.elected {
        PhaseOutcome::NotReached(missing) => missing.why == Why::NoMajority && previous == Some(failover.old),
        PhaseOutcome::Reached(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use chaos_history::{FaultKind, NodeLife, Term};

    use crate::sample::{Sample, node};

    #[test]
    fn only_a_leader_that_no_fault_explains_is_unplanned() {
        let mut sample = Sample::new(3);
        sample
            .all_follow(&[1, 2, 3], 100, 1, 1)
            .all_follow(&[1, 2, 3], 900, 1, 1)
            .fault(1, FaultKind::Kill, 1000, &[1], &[])
            .all_follow(&[2, 3], 1200, 2, 2)
            .heal(1, FaultKind::Kill, 2000, &[1])
            .all_follow(&[1, 2, 3], 2900, 2, 2)
            .stall(3000, 3200)
            .all_follow(&[1, 2, 3], 3300, 3, 3)
            .all_follow(&[1, 2, 3], 5000, 3, 3)
            .all_follow(&[1, 2, 3], 5100, 4, 1);
        let unplanned = crate::analyse(&sample.history(), None).unplanned;
        let told: Vec<_> = unplanned.iter().map(|it| (it.leader.term, it.leader.node, it.stalled)).collect();
        assert_eq!(told, [(Term(3), node(3), true), (Term(4), node(1), false)]);
        assert!(unplanned.iter().all(|it| it.after.is_some_and(|id| id.0 == 1)));
    }

    #[test]
    fn an_election_is_needless_only_if_the_leader_before_was_healthy() {
        let exited = NodeLife::Exited { code: Some(101), signal: None, expected: false };
        type Disturb<'a> = &'a dyn Fn(&mut Sample);
        let cases: [(&str, Disturb<'_>, bool); 4] = [
            ("nothing was wrong", &|_| {}, true),
            (
                "the host stalled",
                &|sample| {
                    sample.stall(3000, 3200);
                },
                false,
            ),
            (
                "the leader ended by itself",
                &|sample| {
                    sample.life(1, 3100, exited.clone());
                },
                false,
            ),
            (
                "a follower ended by itself",
                &|sample| {
                    sample.life(3, 3100, exited.clone());
                },
                true,
            ),
        ];
        for (name, disturb, needless) in cases {
            let mut sample = Sample::new(3);
            sample.all_follow(&[1, 2, 3], 100, 1, 1).all_follow(&[1, 2, 3], 3000, 1, 1);
            disturb(&mut sample);
            sample.all_follow(&[2, 3], 3300, 2, 2).all_follow(&[2, 3], 3400, 2, 2);
            let unplanned = crate::analyse(&sample.history(), None).unplanned;
            let told: Vec<_> = unplanned.iter().map(|it| (it.previous.map(|old| old.node), it.needless)).collect();
            assert_eq!(told, [(Some(node(1)), needless)], "{name}");
        }
    }

    #[test]
    fn the_leader_that_comes_when_a_fault_of_everybody_ends_is_not_unplanned() {
        let mut sample = Sample::new(3);
        sample
            .all_follow(&[1, 2, 3], 900, 1, 1)
            .fault(1, FaultKind::Pause, 1000, &[1, 2, 3], &[])
            .heal(1, FaultKind::Pause, 2000, &[1, 2, 3])
            .all_follow(&[1, 2, 3], 2200, 1, 1)
            .all_follow(&[1, 2, 3], 2400, 2, 2);
        assert_eq!(crate::analyse(&sample.history(), None).unplanned, []);
    }
}
