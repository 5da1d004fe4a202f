//! The museum of election bugs: broken nodes, each with one decision of [`Rules`](crate::raft::Rules) replaced, or a sound node behind
//! a [`Wrapper`] that falsifies its disk, clock or clients. What a harness must be able to convict.
//!
//! A harness that never fails anything proves nothing. Each file here is one mistake that real systems made, with the faults that
//! bring it to light in real processes, or the reason why it takes walks without time, or a script. The sound path contains none of this: a shell asks
//! [`Specimen::named`] once at its start.
//!
//! A new one is a file, which holds the rule and the row of data about it, a line `mod` and a line in [`ALL`]; and its two proofs: a
//! script in `tests/scenarios/museum/NAME.txt`, which shows that it is alive, and a plan in `workloads/museum/NAME.yaml`.

mod change_before_no_op;
mod changes_at_once;
mod conflicting_tail_kept;
mod deposed_leader_followed;
mod deposed_leader_heeded;
mod double_vote;
mod duplicate_vote_counted;
mod fixed_timeout;
mod follower_over_commit;
mod half_is_majority;
mod ignores_newer_term;
mod leader_counted_twice;
mod lease_back_after_transfer;
mod lease_checked_on_beat;
mod lease_from_receipt;
mod lease_kept_on_transfer;
mod lease_on_wall_clock;
mod lease_outlives_promise;
mod lease_without_margin;
mod local_reads;
mod longest_log_wins;
mod no_check_quorum;
mod no_log_check;
mod no_promise;
mod no_step_down;
mod old_reply_renews;
mod old_snapshot_taken;
mod one_is_enough;
mod own_vote_forgotten;
mod pre_vote_counted;
mod pre_vote_hides_term;
mod prior_term_commit;
mod read_before_no_op;
mod read_unconfirmed;
mod refusal_rearms_timer;
mod rejection_advances_match;
mod restart_forgets_promise;
mod specimen;
mod stale_vote_counted;
mod start;
mod term_in_memory;
mod truncate_on_append;
mod vote_erased_on_step_down;
mod vote_in_memory;
mod written_later;

pub use double_vote::DoubleVote;
pub use half_is_majority::HalfIsMajority;
pub use no_step_down::NoStepDown;
pub use read_unconfirmed::ReadUnconfirmed;
pub use specimen::{ClockKind, Shown, Specimen, UnknownSpecimen};
pub use start::{Node, Start, Wrapper};

/// Every specimen, by what it breaks: votes and terms, quorums and logs in elections, leaders and followers, the log, reads, leases,
/// members.
pub static ALL: &[&Specimen] = &[
    &double_vote::SPECIMEN,
    &own_vote_forgotten::SPECIMEN,
    &vote_erased_on_step_down::SPECIMEN,
    &vote_in_memory::SPECIMEN,
    &term_in_memory::SPECIMEN,
    &stale_vote_counted::SPECIMEN,
    &duplicate_vote_counted::SPECIMEN,
    &pre_vote_counted::SPECIMEN,
    &half_is_majority::SPECIMEN,
    &one_is_enough::SPECIMEN,
    &no_log_check::SPECIMEN,
    &longest_log_wins::SPECIMEN,
    &no_step_down::SPECIMEN,
    &ignores_newer_term::SPECIMEN,
    &no_check_quorum::SPECIMEN,
    &deposed_leader_heeded::SPECIMEN,
    &deposed_leader_followed::SPECIMEN,
    &pre_vote_hides_term::SPECIMEN,
    &fixed_timeout::SPECIMEN,
    &refusal_rearms_timer::SPECIMEN,
    &prior_term_commit::SPECIMEN,
    &leader_counted_twice::SPECIMEN,
    &follower_over_commit::SPECIMEN,
    &conflicting_tail_kept::SPECIMEN,
    &truncate_on_append::SPECIMEN,
    &rejection_advances_match::SPECIMEN,
    &old_snapshot_taken::SPECIMEN,
    &written_later::SPECIMEN,
    &read_unconfirmed::SPECIMEN,
    &local_reads::SPECIMEN,
    &read_before_no_op::SPECIMEN,
    &old_reply_renews::SPECIMEN,
    &lease_outlives_promise::SPECIMEN,
    &lease_without_margin::SPECIMEN,
    &lease_from_receipt::SPECIMEN,
    &lease_checked_on_beat::SPECIMEN,
    &lease_on_wall_clock::SPECIMEN,
    &lease_kept_on_transfer::SPECIMEN,
    &lease_back_after_transfer::SPECIMEN,
    &restart_forgets_promise::SPECIMEN,
    &no_promise::SPECIMEN,
    &change_before_no_op::SPECIMEN,
    &changes_at_once::SPECIMEN,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_found() {
        let names: BTreeSet<&str> = ALL.iter().map(|specimen| specimen.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|specimen| Specimen::named(specimen.name) == Ok(specimen)));
        assert_eq!(Specimen::named("nonsense"), Err(UnknownSpecimen("nonsense".to_owned())));
    }

    #[test]
    fn every_row_says_what_it_must() {
        for specimen in ALL {
            let texts = [specimen.about, specimen.replaces, specimen.configuration, specimen.plan, specimen.property];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.ends_with('.')), "{specimen}");
            assert!(!specimen.instances.is_empty(), "{specimen}");
            assert!(specimen.instances.iter().all(|link| link.starts_with("http")), "{specimen}");
        }
    }
}
