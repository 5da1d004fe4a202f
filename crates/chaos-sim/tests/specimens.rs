//! The sound node is acquitted of everything, over many seeds; each broken one is convicted of what it does, and of nothing that it
//! doesn't.

use chaos_check::Property;

mod support;
use support::{run, violates, workload};

const ISOLATE: &str = "    - await: leader
    - repeat: 3
      steps:
        - partition: { isolate: leader }
          for: 1200ms..1500ms
        - await: { stable: 300ms, within: 10s }";

const HALVES: &str = "    - await: leader
    - repeat: 3
      steps:
        - partition: halves
          for: 1500ms..2s
        - await: { stable: 300ms, within: 10s }";

/// All followers stop before their timers run out, and go on together: a contest for one term.
const CONTEST: &str = "    - await: leader
    - repeat: 6
      steps:
        - kill: leader
          for: 1500ms
        - await: { stable: 300ms, within: 10s }";

fn check(specimen: &str, more: &str, steps: &str, convicts: &[Property]) {
    let system = format!("{more}\nseed: 1");
    let mut convicted = vec![0; convicts.len()];
    for seed in 0..8 {
        let mut workload = workload(&system, steps);
        if let chaos_plan::System::Raft(options) = &mut workload.system {
            options.specimen = Some(specimen.to_owned()).filter(|specimen| specimen != "sound");
            if specimen == "double-vote" {
                // Equal timeouts make every failover a contest.
                options.election_timeout.max = options.election_timeout.min + std::time::Duration::from_millis(1);
                options.pre_vote = false;
                options.stickiness = false;
            }
        }
        let simulated = run(&workload, seed);
        let all = [
            Property::ElectionSafety,
            Property::SingleVote,
            Property::TermMonotonic,
            Property::Linearizable,
            Property::NoAcknowledgedWriteLost,
        ];
        for property in all {
            let violated = violates(&simulated.history, property);
            match convicts.iter().position(|convict| *convict == property) {
                Some(place) => convicted[place] += usize::from(violated),
                None => assert!(!violated || !convicts.is_empty(), "{specimen}, seed {seed}: {}", property.name()),
            }
        }
    }
    for (property, count) in convicts.iter().zip(convicted) {
        assert!(count > 0, "{specimen} is not convicted of {}", property.name());
    }
}

#[test]
fn the_sound_node_is_acquitted() {
    for steps in [ISOLATE, HALVES, CONTEST] {
        check("sound", "", steps, &[]);
    }
}

#[test]
fn a_node_that_votes_twice_is_convicted_of_it() {
    check("double-vote", "", CONTEST, &[Property::SingleVote]);
}

#[test]
fn half_a_majority_loses_writes() {
    check("half-is-majority", "", HALVES, &[Property::Linearizable, Property::NoAcknowledgedWriteLost]);
}

#[test]
fn a_leader_that_asks_nobody_serves_what_is_stale() {
    check("read-unconfirmed", "", ISOLATE, &[Property::Linearizable]);
}

#[test]
fn a_leader_that_never_steps_down_is_seen_beside_its_successor() {
    let mut workload = workload("", ISOLATE);
    let within = std::time::Duration::from_millis(700);
    let stale = Property::NoStaleLeaderAfterHeal { within };
    assert!(!violates(&run(&workload, 1).history, stale), "the sound one steps down");
    if let chaos_plan::System::Raft(options) = &mut workload.system {
        options.specimen = Some("no-step-down".to_owned());
    }
    let convicted = (0..4).any(|seed| violates(&run(&workload, seed).history, stale));
    assert!(convicted, "no-step-down stays leader after the heal");
}
