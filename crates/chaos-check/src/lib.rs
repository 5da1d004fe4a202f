//! Pure checkers: a history in, a verdict with its witness out.
//!
//! Every checker answers with three values. `Valid` says that the property holds *for what the history shows*. `Invalid`
//! carries a [`Witness`]: a sentence, the few lines of the history that refute the property, and the argument. `Unknown`
//! says why nothing can be said; an empty history, a history without the evidence that a property needs, and a search that
//! ran out of its [`Budget`] are `Unknown`, never `Valid`.
//!
//! What is checked, and from which evidence:
//!
//! | property | evidence | file |
//! |---|---|---|
//! | [`Property::ElectionSafety`], [`Property::SingleVote`] | observations | `election.rs` |
//! | [`Property::TermMonotonic`] | observations | `terms.rs` |
//! | [`Property::Linearizable`] | operations | `register/`, `set/linear.rs` |
//! | [`Property::NoAcknowledgedWriteLost`] | operations, final reads | `acknowledged.rs`, `set/lost.rs` |
//! | [`Property::MutualExclusion`], [`Property::FencingMonotonic`], [`Property::ExclusiveAccess`] | operations | `locks/` |
//! | [`Property::ReplicasAgree`] | comparisons of replicas, final reads of sets | `replicas.rs` |
//! | [`Property::BoundedReelection`] | observations, faults, node life, stalls | `reelection.rs` |
//! | [`Property::Recovers`] | operations, faults, node life, stalls | `recovers.rs` |
//! | [`Property::NoStaleLeaderAfterHeal`] | observations, faults, node life, stalls | `stale_leader.rs` |
//! | [`Property::OneLeaderAtATime`] | observations, faults, node life | `one_leader/` |
//!
//! What a property makes of a system that shows no terms, or whose nodes speak only of themselves
//! ([`Testimony`](chaos_history::Testimony)), stands at the head of its file: numbers that the harness gave to reigns are never
//! taken for terms.
//!
//! *Objects of your own.* To check one, implement [`linear::Model`]: a first state, and `apply`, which says what follows from a
//! state and an operation, or that it can't be. Everything else is optional and makes checks faster or counterexamples
//! smaller. [`linear::check()`] answers with an order that you can re-play ([`linear::verify::replays`]), a few operations that
//! have no legal order by themselves, or what ran out. `examples/own_model.rs` checks a box office;
//! `scripts/checker-table.sh` prints what checks cost.
//!
//! This crate refuses to read files, to look at a clock, to draw random numbers and to measure: the same history gives the
//! same outcome, byte for byte. Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (Raft,
//! figure 3); Herlihy and Wing, "Linearizability" (TOPLAS 1990); Gibbons and Korach, "Testing Shared Memories" (SIAM J.
//! Comput. 1997); Lowe, "Testing for linearizability" (2017).

mod acknowledged;
mod answers;
mod election;
pub mod linear;
mod locks;
mod one_leader;
mod recovers;
mod reelection;
mod register;
mod replicas;
mod set;
mod stale_leader;
mod terms;
mod text;
pub mod topology;
mod verdict;
mod watch;

use chaos_history::History;

pub use linear::Budget;

pub use topology::{Epoch, Topology};
pub use verdict::{Outcome, Overall, Property, Verdict, Witness, overall};
pub use watch::{Alarm, Watch};

/// Judges one property of one history.
#[must_use]
pub fn check(history: &History, property: Property, budget: &Budget<'_>) -> Outcome {
    let (verdict, mut basis) = match property {
        Property::ElectionSafety => election::election_safety(history),
        Property::SingleVote => election::single_vote(history),
        Property::TermMonotonic => terms::term_monotonic(history),
        Property::Linearizable => register::linearizable(history, budget),
        Property::NoAcknowledgedWriteLost => acknowledged::no_acknowledged_write_lost(history),
        Property::MutualExclusion => locks::mutual_exclusion(history),
        Property::FencingMonotonic => locks::fencing(history),
        Property::ExclusiveAccess => locks::exclusive_access(history),
        Property::ReplicasAgree => replicas::replicas_agree(history),
        Property::BoundedReelection { within } => reelection::bounded_reelection(history, within),
        Property::Recovers { within } => recovers::recovers(history, within),
        Property::NoStaleLeaderAfterHeal { within } => stale_leader::no_stale_leader_after_heal(history, within),
        Property::OneLeaderAtATime { allowed } => one_leader::one_leader(history, allowed),
    };
    if history.torn {
        basis.push_str("; the history's last line is torn");
    }
    Outcome { property, verdict, basis }
}
