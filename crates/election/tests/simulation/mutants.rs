//! One wrong rule at a time: how a change to the fault generator, or to a check, is judged.
//!
//! The specimens of the crate are the mistakes worth showing to users; these are the rest of the decisions, so that no rule of
//! [`Rules`] could be wrong without a test that fails. Each test names the property that must fail. What random faults bring to
//! light in less than one seed of a hundred is left to the scripts (`tests/scenarios.rs`, `shown_by`).
//!
//! `SCORE=1 cargo test -p election --test simulation mutants -- --nocapture` prints in how many seeds each property fails.

use std::collections::BTreeMap;
use std::time::Duration;

use election::raft::{Ballot, Rules, VoteReply};
use election::{LogIndex, Nanos, NodeId, Term};

use crate::checks::Property::{self, *};
use crate::simulate;

/// A mutant: its name, the rule it breaks, the property that must fail, and within how many seeds.
macro_rules! mutants {
    ($($name:ident: $property:expr, $seeds:literal seeds, $options:ident => { $rule:item })*) => { $(
        #[test]
        fn $name() {
            #[derive(Clone)]
            struct Mutant;
            impl Rules for Mutant { $rule }
            let mut seen = BTreeMap::<Property, u32>::new();
            for seed in 0..$seeds {
                for property in simulate(Mutant, seed, stringify!($options) == "defaults").into_keys() {
                    *seen.entry(property).or_default() += 1;
                }
                if std::env::var_os("SCORE").is_none() && seen.contains_key(&$property) {
                    return;
                }
            }
            println!("{} in {} seeds: {seen:?}", stringify!($name), $seeds);
            assert!(seen.contains_key(&$property), "{:?} holds in {} seeds", $property, $seeds);
        }
    )* };
}

mutants! {
    vote_erased_on_step_down: SingleVote, 1000 seeds, any => {
        fn vote_after_step_down(&self, _: Option<NodeId>) -> Option<NodeId> { None }
    }
    no_log_check: LeaderCompleteness, 100 seeds, defaults => {
        fn up_to_date(&self, _: (Term, LogIndex), _: (Term, LogIndex)) -> bool { true }
    }
    longest_log_wins: LeaderCompleteness, 1000 seeds, any => {
        fn up_to_date(&self, candidate: (Term, LogIndex), voter: (Term, LogIndex)) -> bool { candidate.1 >= voter.1 }
    }
    no_promise: LeaseExclusivity, 100 seeds, defaults => {
        fn keeps_promise(&self, _: Ballot, _: bool, _: bool) -> bool { false }
    }
    restart_forgets_promise: LeaseExclusivity, 1000 seeds, defaults => {
        fn promises_after_restart(&self) -> bool { false }
    }
    pre_vote_counted: ElectionSafety, 1000 seeds, defaults => {
        fn counts_vote(&self, term: Term, _: bool, reply: &VoteReply) -> bool { reply.granted && reply.for_term == term }
    }
    fixed_timeout: Progress, 1000 seeds, any => {
        fn election_timeout(&self, min: Duration, _: Duration, _: u64) -> Duration { min }
    }
    removed_node_never_campaigns: Progress, 1000 seeds, any => {
        fn campaigns(&self, is_member: bool, _: bool) -> bool { is_member }
    }
    follower_over_commit: StateMachineSafety, 1000 seeds, any => {
        fn follower_commit(&self, leader_commit: LogIndex, _: LogIndex) -> LogIndex { leader_commit }
    }
    conflicting_tail_kept: LogMatching, 100 seeds, any => {
        fn conflicts(&self, _: Term, _: Term) -> bool { false }
    }
    truncate_on_append: LeaderCompleteness, 1000 seeds, any => {
        fn conflicts(&self, _: Term, _: Term) -> bool { true }
    }
    rejection_advances_match: Progress, 1000 seeds, any => {
        fn acknowledged(&self, _: bool, index: LogIndex) -> Option<LogIndex> { Some(index) }
    }
    read_before_noop: LinearizableReads, 1000 seeds, any => {
        fn read_index(&self, commit: LogIndex, _: LogIndex) -> LogIndex { commit }
    }
    lease_outlives_promise: LeaseExclusivity, 100 seeds, defaults => {
        fn lease_until(&self, sent: Nanos, promise: Duration, _: u32) -> Nanos { sent + promise * 3 }
    }
    lease_kept_on_transfer: LeaseExclusivity, 1000 seeds, defaults => {
        fn lease_allowed(&self, _: bool, _: bool) -> bool { true }
    }
    never_counts_its_quorum: LeaderOverlap, 1000 seeds, any => {
        fn quorum_lost(&self, _: Duration, _: Duration) -> bool { false }
    }
}
