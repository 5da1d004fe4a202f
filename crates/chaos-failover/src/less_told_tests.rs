//! Failovers of systems that show no term and whose nodes speak only of themselves.

use chaos_history::{FaultKind, Mark, NodeLife, Term};

use crate::analysis::{Failover, NotReached, PhaseOutcome, TermLeader, Why};
use crate::interval::{Elapsed, Interval};
use crate::sample::{Sample, at, interval, ms, node};

const ISOLATED: [(u16, u16); 4] = [(1, 2), (2, 1), (1, 3), (3, 1)];

fn only(sample: &Sample) -> Failover {
    let analysis = crate::analyse(&sample.history(), None);
    assert_eq!(analysis.failovers.len(), 1, "{:?}", analysis.failovers);
    analysis.failovers[0].clone()
}

fn reached(outcome: &PhaseOutcome) -> Interval {
    outcome.reached().unwrap_or_else(|| panic!("not reached: {outcome:?}")).at
}

fn why(outcome: &PhaseOutcome) -> Why {
    match outcome {
        PhaseOutcome::Reached(reached) => panic!("reached: {reached:?}"),
        PhaseOutcome::NotReached(missing) => missing.why,
    }
}

fn led_by(number: u16, term: u64) -> TermLeader {
    TermLeader { node: node(number), term: Term(term) }
}

/// n1 claims reign 1, and nobody else anything.
fn quiet_start(sample: &mut Sample) -> &mut Sample {
    sample.follows(1, 900, 902, 1, 1).all_follow(&[2, 3], 900, 1, 0);
    sample.follows(1, 990, 992, 1, 1).all_follow(&[2, 3], 990, 1, 0)
}

/// n1 is cut off at 1000, n2 claims reign 2 by 1202, n1 goes on claiming until 1500, and the cut is healed at 2000.
fn cut_off() -> Sample {
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample)
        .fault(1, FaultKind::Partition, 1000, &[1], &ISOLATED)
        .follows(1, 1100, 1102, 1, 1)
        .all_follow(&[2, 3], 1100, 1, 0)
        .follows(2, 1200, 1202, 2, 2)
        .follows(3, 1200, 1202, 2, 0)
        .write(2, 1210, Some(1220))
        .follows(1, 1400, 1402, 1, 1)
        .follows(2, 1410, 1412, 2, 2)
        .follows(3, 1410, 1412, 2, 0)
        .follows(1, 1500, 1502, 2, 0)
        .follows(2, 1600, 1602, 2, 2)
        .follows(3, 1600, 1602, 2, 0)
        .heal(1, FaultKind::Partition, 2000, &[1])
        .follows(1, 2500, 2502, 2, 0)
        .follows(2, 2500, 2502, 2, 2)
        .follows(3, 2500, 2502, 2, 0);
    sample
}

#[test]
fn claims_alone_tell_of_the_election_and_of_the_moment_with_one_claimant() {
    let failover = only(&cut_off());
    assert_eq!((failover.old, failover.new), (led_by(1, 1), Some(led_by(2, 2))));
    // Who noticed first, nobody said.
    assert_eq!(why(&failover.phases.detected), Why::NotTold);
    assert_eq!(reached(&failover.phases.elected), interval(1100, 1202));
    // Only when n1 denied, n2 was alone; it had been elected before.
    assert_eq!(reached(&failover.phases.converged), interval(1100, 1502));
    assert_eq!(reached(&failover.phases.writable), interval(1210, 1220));
    // n1 claimed when asked at 1400, and no longer by 1502: measured from the cut, within [1000, 1001].
    let stepped = failover.step_down.as_ref().and_then(PhaseOutcome::reached).expect("it stepped down");
    assert_eq!((stepped.at, stepped.after), (interval(1400, 1502), Elapsed { lo: ms(399), hi: ms(502) }));
    assert_eq!(failover.overlap, Elapsed { lo: ms(198), hi: ms(402) });
}

#[test]
fn a_view_elsewhere_tells_when_the_loss_was_noticed() {
    let told = |views: &[(u16, u64, u16)]| {
        let mut sample = cut_off();
        for (who, sent, leader) in views {
            sample.viewed(*who, *sent, *leader);
        }
        let analysis = crate::analyse(&sample.history(), None);
        assert_eq!(analysis.observed.views, views.len() as u64);
        analysis.failovers[0].phases.detected.clone()
    };
    assert_eq!(reached(&told(&[(2, 980, 1), (2, 1120, 0), (3, 990, 1), (3, 1150, 2)])), interval(1000, 1122));
    // What is told at the old leader itself, or without having named it, is no loss of it.
    assert_eq!(why(&told(&[(1, 980, 1), (1, 1120, 0), (3, 1150, 2)])), Why::NotTold);
}

#[test]
fn while_two_claim_there_is_no_agreement() {
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample).fault(1, FaultKind::Partition, 1000, &[1], &ISOLATED);
    for sent in [1200, 1400, 1600, 1800] {
        sample.follows(1, sent, sent + 2, 1, 1).follows(2, sent, sent + 2, 2, 2).follows(3, sent, sent + 2, 2, 0);
    }
    let failover = only(&sample);
    assert_eq!(failover.new, Some(led_by(2, 2)));
    assert_eq!(why(&failover.phases.converged), Why::RunEnded);
    assert_eq!(failover.step_down.map(|outcome| why(&outcome)), Some(Why::RunEnded));
}

#[test]
fn a_stopped_or_dead_node_claims_nothing() {
    for kind in [FaultKind::Pause, FaultKind::Kill] {
        let mut sample = Sample::of_claims(3);
        quiet_start(&mut sample).fault(1, kind, 1000, &[1], &[]);
        if kind == FaultKind::Kill {
            sample.life(1, 1001, NodeLife::Exited { code: None, signal: Some(9), expected: true });
        }
        sample
            .all_follow(&[2, 3], 1100, 1, 0)
            .follows(2, 1200, 1202, 2, 2)
            .follows(3, 1204, 1206, 2, 0)
            .follows(2, 1300, 1302, 2, 2)
            .follows(3, 1304, 1306, 2, 0);
        assert_eq!(reached(&only(&sample).phases.converged), interval(1100, 1202), "{kind:?}");
    }
}

#[test]
fn a_resumed_leader_steps_down_from_the_moment_at_which_it_runs_again() {
    let resumed = |claims: bool| {
        let mut sample = Sample::of_claims(3);
        quiet_start(&mut sample).fault(1, FaultKind::Pause, 1000, &[1], &[]).follows(2, 1200, 1202, 2, 2).heal(
            1,
            FaultKind::Pause,
            2000,
            &[1],
        );
        if claims {
            sample.follows(1, 2010, 2012, 1, 1);
        }
        sample.follows(1, 2030, 2032, 2, 0).follows(2, 2100, 2102, 2, 2);
        let stepped = only(&sample).step_down.expect("of a pause there is one");
        (reached(&stepped), stepped.quoted().expect("reached"))
    };
    assert_eq!(resumed(true), (interval(2010, 2032), ms(32)));
    assert_eq!(resumed(false), (interval(2000, 2032), ms(32)));
}

#[test]
fn a_resumed_leader_whom_nobody_has_replaced_has_nothing_to_step_down_from() {
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample).fault(1, FaultKind::Pause, 1000, &[1], &[]).follows(2, 1200, 1202, 1, 0);
    sample.heal(1, FaultKind::Pause, 2000, &[1]).follows(1, 2010, 2012, 1, 1).follows(1, 2500, 2502, 1, 1);
    assert_eq!(only(&sample).step_down, None);
}

#[test]
fn a_resumed_leader_that_is_never_heard_again_was_not_seen_to_step_down_when_the_harness_ends_it() {
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample).fault(1, FaultKind::Pause, 1000, &[1], &[]).follows(2, 1200, 1202, 2, 2);
    sample.heal(1, FaultKind::Pause, 2000, &[1]).follows(2, 2900, 2902, 2, 2).mark(3000, Mark::RunEnd);
    sample.life(1, 3010, NodeLife::Exited { code: None, signal: Some(9), expected: true });
    sample.life(2, 3020, NodeLife::Exited { code: None, signal: Some(9), expected: true });
    let unseen = PhaseOutcome::NotReached(NotReached { why: Why::RunEnded, watched: ms(0) });
    assert_eq!(only(&sample).step_down, Some(unseen));
}

#[test]
fn a_killed_leader_has_no_step_down_and_an_exit_ends_a_claim() {
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample).fault(1, FaultKind::Kill, 1000, &[1], &[]).follows(2, 1200, 1202, 2, 2);
    assert_eq!(only(&sample).step_down, None);
    let mut sample = Sample::of_claims(3);
    quiet_start(&mut sample)
        .fault(1, FaultKind::Partition, 1000, &[1], &ISOLATED)
        .follows(1, 1100, 1102, 1, 1)
        .life(1, 1150, NodeLife::Exited { code: Some(1), signal: None, expected: false })
        .follows(2, 1200, 1202, 2, 2);
    let stepped = only(&sample).step_down.as_ref().and_then(PhaseOutcome::reached).expect("its process ended");
    assert_eq!(stepped.at, Interval::new(at(1150), at(1150)));
}
