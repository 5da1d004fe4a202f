//! Failovers of hand-made histories whose answers are known.

use std::time::Duration;

use chaos_history::{FaultKind, History, Mark, NodeLife, Term};

use crate::analysis::{Analysis, Failover, PhaseOutcome, TermLeader, Why};
use crate::interval::{Elapsed, Interval};
use crate::sample::{Sample, at, interval, ms, node};

fn only(history: &History) -> Failover {
    let analysis = crate::analyse(history, None);
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

/// Three nodes; n1 leads term 1 and is killed at 1000; n2 leads term 2, n3 follows.
fn killed() -> Sample {
    let mut sample = Sample::new(3);
    sample
        .mark(0, Mark::LoadBegin)
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .write(1, 950, Some(955))
        .all_follow(&[1, 2, 3], 990, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1], &[])
        .life(1, 1001, NodeLife::Exited { code: None, signal: Some(9), expected: true })
        .write(1, 1010, None)
        .all_follow(&[2, 3], 1100, 1, 1)
        .follows(3, 1200, 1203, 1, 1)
        .follows(2, 1202, 1205, 2, 0)
        .follows(2, 1210, 1212, 2, 2)
        .follows(3, 1214, 1216, 2, 2)
        .write(2, 1220, Some(1226))
        .read(3, 1230, Some(1234))
        .heal(1, FaultKind::Kill, 2000, &[1]);
    sample
}

#[test]
fn a_killed_leader_gives_every_phase_with_the_bounds_of_the_answers_around_it() {
    let failover = only(&killed().history());
    assert_eq!((failover.old, failover.new), (led_by(1, 1), Some(led_by(2, 2))));
    assert_eq!(failover.injected, interval(1000, 1001));
    assert_eq!(failover.last_acknowledged, Some(interval(950, 955)));
    // n2 named n1 when asked at 1100 and no longer by 1205.
    assert_eq!(reached(&failover.phases.detected), interval(1100, 1205));
    // n2 did not claim when asked at 1202, and claimed by 1212.
    assert_eq!(reached(&failover.phases.elected), interval(1202, 1212));
    // The second of two adopters: n3 still named n1 when asked at 1200.
    assert_eq!(reached(&failover.phases.converged), interval(1202, 1216));
    assert_eq!(reached(&failover.phases.writable), interval(1220, 1226));
    // n3 directs clients to n2 by 1216, n2 serves by 1226.
    assert_eq!(reached(&failover.phases.available), interval(1220, 1226));
    assert_eq!(failover.healed, Some(interval(2000, 2001)));
    assert_eq!((failover.terms_consumed, failover.terms_without_leader), (Some(1), Some(0)));
    assert!(!failover.stalled);
}

#[test]
fn durations_count_from_the_injections_far_end_for_the_lower_and_its_near_end_for_the_upper_bound() {
    let elected = only(&killed().history()).phases.elected.reached().unwrap().after;
    assert_eq!(elected, Elapsed { lo: ms(1202 - 1001), hi: ms(1212 - 1000) });
}

#[test]
fn what_a_node_pushes_is_true_at_its_own_stamp() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1], &[])
        .pushes(2, 1150, 1400, 2, 0)
        .pushes(2, 1160, 1400, 2, 2)
        .pushes(3, 1162, 1400, 2, 2);
    let failover = only(&sample.history());
    assert_eq!(reached(&failover.phases.detected), interval(1000, 1150));
    assert_eq!(reached(&failover.phases.elected), interval(1150, 1160));
    assert_eq!(reached(&failover.phases.converged), interval(1150, 1162));
}

#[test]
fn a_followers_belief_proves_the_election_before_the_leaders_own_word() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1], &[])
        .follows(2, 1100, 1101, 2, 0)
        .follows(3, 1120, 1122, 2, 2)
        .follows(2, 1180, 1190, 2, 2);
    assert_eq!(reached(&only(&sample.history()).phases.elected), interval(1100, 1122));
}

#[test]
fn a_followers_death_is_no_failover() {
    for kind in [FaultKind::Kill, FaultKind::Pause] {
        let mut sample = Sample::new(3);
        sample.all_follow(&[1, 2, 3], 900, 1, 1).fault(1, kind, 1000, &[2, 3], &[]).follows(2, 1200, 1201, 2, 2);
        assert_eq!(crate::analyse(&sample.history(), None).failovers, []);
    }
}

#[test]
fn a_cut_takes_the_leader_away_only_if_it_costs_it_the_majority_both_ways() {
    let both = |one, other| [(one, other), (other, one)];
    let cases = [
        ("one follower of four", both(1, 2).to_vec(), false),
        ("two followers of four", [both(1, 2), both(1, 3)].concat(), false),
        ("three followers of four", [both(1, 2), both(1, 3), both(1, 4)].concat(), true),
        ("only what it hears from three", vec![(2, 1), (3, 1), (4, 1)], true),
    ];
    for (name, links, taken) in cases {
        let mut sample = Sample::new(5);
        sample.all_follow(&[1, 2, 3, 4, 5], 900, 1, 1).fault(1, FaultKind::Partition, 1000, &[1], &links);
        sample.follows(2, 1500, 1501, 1, 1);
        assert_eq!(crate::analyse(&sample.history(), None).failovers.len(), usize::from(taken), "{name}");
    }
}

#[test]
fn a_leader_that_comes_back_before_anybody_was_elected_was_never_failed_over() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Pause, 1000, &[1], &[])
        .heal(1, FaultKind::Pause, 1100, &[1])
        .write(1, 1110, Some(1115))
        .all_follow(&[1, 2, 3], 1200, 1, 1)
        .follows(2, 9000, 9001, 2, 2);
    let failover = only(&sample.history());
    assert_eq!(failover.new, None);
    assert_eq!(why(&failover.phases.elected), Why::FaultEnded);
    assert_eq!(why(&failover.phases.writable), Why::NotElected);
}

#[test]
fn a_killed_leader_is_failed_over_even_if_it_is_started_again_before_the_election() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1], &[])
        .heal(1, FaultKind::Kill, 1050, &[1])
        .follows(2, 1190, 1191, 1, 1)
        .follows(2, 1200, 1201, 2, 2);
    let failover = only(&sample.history());
    assert_eq!(reached(&failover.phases.elected), interval(1190, 1201));
}

#[test]
fn without_a_majority_nobody_can_be_elected_and_that_is_said() {
    let mut sample = Sample::new(3);
    sample.all_follow(&[1, 2, 3], 900, 1, 1).fault(1, FaultKind::Kill, 1000, &[1, 2], &[]).follows(3, 1500, 1501, 1, 0);
    let failover = only(&sample.history());
    assert_eq!(why(&failover.phases.elected), Why::NoMajority);
    assert_eq!(reached(&failover.phases.detected), interval(1000, 1501));
}

#[test]
fn the_next_fault_that_takes_a_leader_ends_the_watching() {
    let mut sample = killed();
    sample
        .fault_of(2, FaultKind::Kill, 3000, &[2], &[], (2, 2))
        .write(1, 3300, Some(3305))
        .follows(3, 3200, 3201, 2, 0)
        .follows(3, 3210, 3211, 3, 3)
        .follows(1, 3220, 3221, 3, 3);
    let analysis = crate::analyse(&sample.history(), None);
    let [first, second] = analysis.failovers.as_slice() else { panic!("{:?}", analysis.failovers) };
    assert_eq!(first.new, Some(led_by(2, 2)));
    assert_eq!((second.old, second.new), (led_by(2, 2), Some(led_by(3, 3))));
    assert_eq!(reached(&second.phases.writable), interval(3300, 3305));
}

#[test]
fn terms_that_nobody_led_are_counted() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1], &[])
        .all_follow(&[2, 3], 1200, 2, 0)
        .all_follow(&[2, 3], 1400, 3, 0)
        .all_follow(&[2, 3], 1600, 4, 3);
    let failover = only(&sample.history());
    assert_eq!((failover.terms_consumed, failover.terms_without_leader), (Some(3), Some(2)));
}

#[test]
fn an_acknowledgement_by_the_cut_off_leader_itself_is_not_the_clusters_recovery() {
    let links = [(1, 2), (2, 1), (1, 3), (3, 1)];
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Partition, 1000, &[1], &links)
        .write(1, 1020, Some(1030))
        .all_follow(&[2, 3], 1200, 2, 2)
        .write(2, 1210, Some(1215))
        .heal(1, FaultKind::Partition, 4000, &[1]);
    let failover = only(&sample.history());
    assert_eq!(reached(&failover.phases.writable), interval(1210, 1215));
    assert_eq!(failover.last_acknowledged, Some(interval(1020, 1030)));
}

#[test]
fn two_leaders_overlap_for_certain_between_their_claims_and_at_most_until_each_others_denial() {
    let links = [(1, 2), (2, 1), (1, 3), (3, 1)];
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Partition, 1000, &[1], &links)
        .follows(2, 1190, 1192, 1, 1)
        .follows(1, 1195, 1197, 1, 1)
        .follows(2, 1200, 1202, 2, 2)
        .follows(1, 1250, 1252, 1, 1)
        .follows(2, 1255, 1257, 2, 2)
        .follows(1, 1260, 1262, 1, 0);
    let failover = only(&sample.history());
    // Certain from n2's first claim (1202) to n1's last (1250); possible from 1190 to 1262.
    assert_eq!(failover.overlap, Elapsed { lo: ms(48), hi: ms(72) });
}

#[test]
fn a_paused_leader_may_but_need_not_overlap_with_its_successor() {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Pause, 1000, &[1], &[])
        .all_follow(&[2, 3], 1200, 2, 2)
        .heal(1, FaultKind::Pause, 2000, &[1])
        .follows(1, 2001, 2002, 1, 1)
        .all_follow(&[2, 3], 2003, 2, 2)
        .follows(1, 2010, 2011, 2, 2);
    let failover = only(&sample.history());
    assert_eq!(failover.overlap.lo, Duration::ZERO);
    assert!(failover.overlap.hi >= ms(800), "{:?}", failover.overlap);
}

#[test]
fn the_heal_may_disturb_and_needless_elections_are_counted() {
    let mut sample = killed();
    sample
        .all_follow(&[1, 2, 3], 2100, 2, 2)
        .all_follow(&[1, 3], 2200, 3, 0)
        .all_follow(&[1, 2, 3], 2210, 3, 3)
        .all_follow(&[1, 2, 3], 4000, 3, 3);
    let aftermath = only(&sample.history()).aftermath.unwrap();
    assert_eq!(aftermath.elections, 1);
    assert_eq!(aftermath.last_disturbance.unwrap().hi, at(2212));
}

#[test]
fn a_sample_that_overlaps_a_stall_is_marked_and_still_counted() {
    let mut sample = killed();
    sample.stall(1100, 1150);
    let analysis: Analysis = crate::analyse(&sample.history(), None);
    assert!(analysis.failovers[0].stalled);
    assert_eq!(analysis.distributions[0].stalled, 1);
    assert_eq!(analysis.distributions[0].figures.n, 1);
}

#[test]
fn kinds_of_faults_are_never_mixed() {
    let mut sample = killed();
    sample.fault_of(2, FaultKind::Pause, 3000, &[2], &[], (2, 2)).all_follow(&[1, 3], 3500, 3, 3);
    let analysis = crate::analyse(&sample.history(), None);
    assert!(analysis.distributions.iter().all(|distribution| distribution.failovers == 1));
    let kinds: Vec<FaultKind> = analysis.distributions.iter().map(|distribution| distribution.kind).collect();
    assert!(kinds.contains(&FaultKind::Kill) && kinds.contains(&FaultKind::Pause));
}

#[test]
fn an_empty_history_has_no_failovers_and_no_outages() {
    let analysis = crate::analyse(&Sample::new(3).history(), None);
    assert!(analysis.failovers.is_empty() && analysis.outages.is_empty() && analysis.distributions.is_empty());
    assert_eq!(analysis.operations.availability_millionths, None);
}

#[test]
fn a_node_that_comes_back_before_its_fault_ends_is_available_again() {
    // Both n1 and n3 are killed; n3 is started again at 1500, the fault itself ends at 9000.
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .fault(1, FaultKind::Kill, 1000, &[1, 3], &[])
        .life(1, 1001, NodeLife::Exited { code: None, signal: Some(9), expected: true })
        .life(3, 1001, NodeLife::Exited { code: None, signal: Some(9), expected: true })
        .life(3, 1500, NodeLife::Started { pid: 9 })
        .all_follow(&[2, 3], 1700, 2, 2)
        .heal(1, FaultKind::Kill, 9000, &[1]);
    let analysis = crate::analyse(&sample.history(), None);
    let down =
        |lane: usize| analysis.timeline.lanes[lane].life.iter().map(|life| (life.from, life.to)).collect::<Vec<_>>();
    assert_eq!(down(0), [(at(1001), at(9001))]);
    assert_eq!(down(2), [(at(1001), at(1500))]);
}

#[test]
fn a_failovers_own_latencies_count_from_due_and_only_within_its_window() {
    let failover = only(&killed().history());
    // Due at 1010 (never acknowledged) and at 1220 (6 ms); the write at 950 is before t0, the read at 1230 after the last phase.
    assert_eq!((failover.clients.ok, failover.clients.info, failover.clients.fail), (1, 1, 0));
    let latency = failover.latency.unwrap();
    assert_eq!((latency.n, latency.max), (1, ms(6)));
}

#[test]
fn the_time_with_two_leaders_counts_every_moment_once() {
    let mut sample = Sample::new(5);
    // n1 leads term 1 from 102 to 1000 at least, n2 term 2 from 502, n3 term 3 from 602, all three at once.
    for sent in (100..=1000).step_by(100) {
        sample.follows(1, sent, sent + 2, 1, 1);
        sample.follows(2, sent, sent + 2, 2, if sent >= 500 { 2 } else { 0 });
        sample.follows(3, sent, sent + 2, 3, if sent >= 600 { 3 } else { 0 });
    }
    let analysis = crate::analyse(&sample.history(), None);
    assert_eq!(analysis.overlaps.len(), 3);
    // Certain from 502 to 1000, possible from n2's last other word (400) to the end (1002).
    assert_eq!(analysis.overlap_total, Elapsed { lo: ms(498), hi: ms(602) });
}

#[test]
fn a_follower_that_nobody_asked_again_may_have_noticed_first() {
    let mut sample = Sample::new(5);
    sample.all_follow(&[1, 2, 3], 990, 1, 1).fault(1, FaultKind::Kill, 1000, &[1], &[]);
    sample.follows(3, 1100, 1102, 1, 1).follows(2, 1180, 1182, 1, 1);
    // n3 is killed before it is asked again; whether it had given n1 up by then nobody knows.
    sample.fault_of(2, FaultKind::Kill, 1150, &[3], &[], (1, 1)).follows(2, 1200, 1202, 2, 2);
    let failover = only(&sample.history());
    assert_eq!(reached(&failover.phases.detected), interval(1100, 1202));
}

/// Three nodes; n1 leads term 1 and is asked at 1000 to hand over; n2 leads term 2 from 1010 on, which confirms it.
fn transferred() -> Sample {
    let mut sample = Sample::new(3);
    sample
        .all_follow(&[1, 2, 3], 900, 1, 1)
        .all_follow(&[1, 2, 3], 990, 1, 1)
        .fault(1, FaultKind::Transfer, 1000, &[1], &[])
        .follows(2, 1008, 1010, 2, 2)
        .heal(1, FaultKind::Transfer, 1012, &[1])
        .all_follow(&[1, 2, 3], 1020, 2, 2)
        .all_follow(&[1, 2, 3], 3000, 2, 2);
    sample
}

#[test]
fn a_transfer_is_a_failover_of_its_own_kind_that_begins_when_it_is_asked_for() {
    let timing = crate::Timing::of_raft(3, &Default::default(), Duration::ZERO, Duration::ZERO);
    let analysis = crate::analyse(&transferred().history(), Some(&timing));
    let [failover] = &analysis.failovers[..] else { panic!("{:?}", analysis.failovers) };
    assert_eq!((failover.kind, failover.old, failover.new), (FaultKind::Transfer, led_by(1, 1), Some(led_by(2, 2))));
    assert_eq!(failover.injected, interval(1000, 1000), "its effect is what is measured");
    assert!(failover.phases.elected.reached().is_some() && failover.phases.converged.reached().is_some());
    assert_eq!(analysis.unplanned, [], "it was wanted");
    // Nobody waits for a timeout.
    assert!(analysis.distributions.iter().all(|row| row.over_floor_millionths.is_none()));
}
