//! What each part of the register's path promises.

use std::num::NonZeroU32;

use super::{ABSENT, HIDDEN, Register, RegisterOp};
use crate::linear::{Budget, Decision, Entry, Kept, Model, Op, Shortcut, Timeline, check, verify};
use RegisterOp::{Cas, Ousted, Read, Refused, Write};

fn entry(what: RegisterOp, invoked: u64, answered: u64) -> Entry<RegisterOp> {
    Entry { what, invoked, answered: Some(answered) }
}

fn crashed(what: RegisterOp, invoked: u64) -> Entry<RegisterOp> {
    Entry { what, invoked, answered: None }
}

/// What the shortcut says, with places among the entries; an order is replayed.
fn shortcut(entries: &[Entry<RegisterOp>]) -> Shortcut {
    let timeline = Timeline::new(entries).unwrap();
    let places = |ops: Vec<u32>| ops.into_iter().map(|op| timeline.source(op)).collect::<Vec<u32>>();
    match Register.shortcut(&timeline.ops) {
        Shortcut::Pass => Shortcut::Pass,
        Shortcut::Order(order) => {
            let order = places(order);
            verify::replays(&Register, entries, &order).unwrap();
            Shortcut::Order(order)
        }
        Shortcut::Conflict(conflict) => Shortcut::Conflict(places(conflict)),
    }
}

fn conflict(entries: &[Entry<RegisterOp>], expected: &[u32]) {
    let Shortcut::Conflict(mut found) = shortcut(entries) else { panic!("no conflict") };
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected);
    let decision = check(&Register, entries, &Budget::default()).unwrap();
    assert!(matches!(decision, Decision::Violation { verified: true, .. }), "{decision:?}");
}

fn is_order(entries: &[Entry<RegisterOp>]) {
    assert!(matches!(shortcut(entries), Shortcut::Order(_)));
}

#[test]
fn read_of_an_overwritten_value_conflicts_with_both_blocks() {
    conflict(
        &[entry(Write(7), 1, 2), entry(Write(9), 3, 4), entry(Read(7), 5, 6), entry(Read(9), 7, 8)],
        &[0, 1, 2, 3],
    );
    is_order(&[entry(Write(7), 1, 2), entry(Write(9), 3, 4), entry(Read(9), 5, 6)]);
}

#[test]
fn swap_forces_its_cluster_behind_the_expected_one() {
    let swap = Cas { expect: 7, new: 8 };
    is_order(&[entry(Write(7), 1, 9), entry(swap, 2, 9), entry(Write(9), 3, 9), entry(Read(8), 10, 11)]);
    let [write, read] = [entry(Write(7), 1, 2), entry(Read(7), 5, 6)];
    conflict(&[write, entry(swap, 3, 4), read], &[1, 2]);
    conflict(&[write, entry(swap, 3, 9), entry(Cas { expect: 7, new: 9 }, 3, 9)], &[1, 2]);
}

#[test]
fn swaps_in_a_ring_conflict() {
    let [there, back] = [Cas { expect: 7, new: 8 }, Cas { expect: 8, new: 7 }];
    assert!(matches!(shortcut(&[crashed(there, 1), crashed(back, 1), entry(Read(8), 2, 3)]), Shortcut::Conflict(_)));
    is_order(&[crashed(there, 1), crashed(back, 1), entry(Read(ABSENT), 2, 3)]);
}

#[test]
fn unanswered_swap_of_a_conflict_comes_with_its_proof() {
    let swap = Cas { expect: 7, new: 8 };
    let [write, unanswered] = [entry(Write(7), 1, 2), crashed(swap, 2)];
    let entries = [write, unanswered, entry(Read(8), 4, 5), entry(Cas { expect: 7, new: 9 }, 3, 9)];
    conflict(&entries, &[1, 2, 3]);
    is_order(&[write, unanswered, entry(Cas { expect: 7, new: 9 }, 3, 9)]);
}

#[test]
fn repeated_values_are_convicted_where_they_do_not_matter_and_passed_on_otherwise() {
    let writes = [entry(Write(7), 1, 2), entry(Write(7), 3, 4)];
    assert_eq!(shortcut(&writes), Shortcut::Pass);
    assert_eq!(shortcut(&[writes[0], writes[1], entry(Read(ABSENT), 5, 6)]), Shortcut::Conflict(vec![0, 2]));
}

#[test]
fn contents_need_not_be_small() {
    is_order(&[entry(Write(4_000_000_000), 1, 2), entry(Read(4_000_000_000), 3, 4)]);
}

/// Either refusal fits into the order of the only write: before it, behind it. But the one that needs the write to be early is
/// over before the one that needs it to be late begins.
#[test]
fn refusals_are_not_placed_independently_of_each_other() {
    let write = entry(Write(1), 1, 10);
    let [early, late] = [entry(Refused { unlike: ABSENT }, 2, 3), entry(Refused { unlike: 1 }, 4, 5)];
    is_order(&[write, early]);
    is_order(&[write, late]);
    assert_eq!(shortcut(&[write, early, late]), Shortcut::Pass);
    let decision = check(&Register, &[write, early, late], &Budget::default()).unwrap();
    assert!(matches!(decision, Decision::Violation { verified: true, .. }), "{decision:?}");
}

#[test]
fn refusal_inside_the_interval_of_its_content_conflicts() {
    let read = entry(Read(7), 5, 6);
    conflict(&[entry(Write(7), 1, 2), entry(Refused { unlike: 7 }, 3, 4), read, entry(Write(9), 4, 9)], &[0, 1, 2]);
    is_order(&[entry(Write(7), 1, 2), entry(Refused { unlike: 7 }, 3, 6), read, entry(Write(9), 4, 9)]);
}

#[test]
fn write_without_an_answer_makes_way_for_a_refusal() {
    let entries = [entry(Write(7), 1, 2), crashed(Write(8), 3), entry(Refused { unlike: 7 }, 4, 5)];
    is_order(&entries);
    let swap = [entry(Write(7), 1, 2), crashed(Cas { expect: 7, new: 8 }, 3), entry(Refused { unlike: 7 }, 4, 5)];
    is_order(&swap);
}

#[test]
fn block_nearby_makes_way_for_a_refusal() {
    // By their earliest instants 8 comes before 7 and 9 behind it, too late; 8 may come later.
    let entries = [
        entry(Write(8), 1, 20),
        entry(Write(7), 2, 3),
        entry(Read(7), 4, 5),
        entry(Refused { unlike: 7 }, 6, 7),
        entry(Write(9), 8, 21),
    ];
    is_order(&entries);
}

#[test]
fn refusal_in_a_counterexample_does_not_drag_in_every_write() {
    let mut entries: Vec<Entry<RegisterOp>> = (0..20).map(|at| entry(Write(at + 1), u64::from(at) * 10, 250)).collect();
    entries.extend([entry(Refused { unlike: 20 }, 300, 301), entry(Read(20), 302, 303)]);
    let kept = |index: u32| Kept { index, entry: entries[index as usize] };
    let core = [19, 20, 21].map(kept);
    assert!(verify::refutes(&Register, &entries, &core).is_err(), "a refusal depends on all writes");
    let mut core = core;
    core[1].entry.what = Ousted { unlike: 20 };
    assert_eq!(verify::refutes(&Register, &entries, &core), Ok(true));
}

#[test]
fn contents_that_nobody_can_tell_apart_become_one() {
    let op = |what, call, ret| Op { what, call, ret: NonZeroU32::new(ret) };
    let ops = [
        op(Write(7), 1, 2),
        op(Write(8), 3, 4),
        op(Refused { unlike: 3 }, 5, 6),
        op(Write(9), 7, 8),
        op(Write(10), 9, 10),
        op(Read(10), 11, 12),
    ];
    let what: Vec<RegisterOp> = Register.normalise(&ops).unwrap().into_iter().map(|op| op.what).collect();
    assert_eq!(what, [Write(1), Write(1), Refused { unlike: 3 }, Write(HIDDEN), Write(10), Read(10)]);
    assert_eq!(Register.normalise(&ops[4..]), None);
}
