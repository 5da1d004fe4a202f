//! Tests of what a search does when it may not go on.

use std::sync::atomic::AtomicBool;

use super::stream::Halt;
use super::*;
use crate::linear::decision::Spent;
use crate::linear::entry::{Entry, Timeline};
use crate::linear::models::{Register, RegisterOp};

/// So many operations that are easy.
const EASY: u32 = 40;

/// Easy operations one after the other, then `width` concurrent writes, each seen by two concurrent readers and one after another
/// in the opposite order: there is no legal order, and that takes long to see.
fn hard(width: u32) -> Vec<Entry<RegisterOp>> {
    let mut entries = Vec::new();
    for turn in 0..EASY {
        let at = u64::from(turn) * 10;
        entries.push(Entry { what: RegisterOp::Write(turn % 3), invoked: at, answered: Some(at + 5) });
    }
    let begin = u64::from(EASY) * 10;
    let end = begin + 10 * u64::from(width) + 10;
    for value in 1..=width {
        let read = begin + 10 * u64::from(value);
        entries.push(Entry {
            what: RegisterOp::Write(100 + value),
            invoked: begin,
            answered: Some(end + 100 + u64::from(value)),
        });
        entries.push(Entry { what: RegisterOp::Read(100 + value), invoked: begin, answered: Some(end) });
        entries.push(Entry { what: RegisterOp::Read(100 + value), invoked: read, answered: Some(read + 5) });
    }
    entries.push(Entry { what: RegisterOp::Read(101), invoked: end + 1, answered: Some(end + 2) });
    entries.push(Entry { what: RegisterOp::Read(102), invoked: end + 3, answered: Some(end + 4) });
    entries.push(Entry { what: RegisterOp::Read(101), invoked: end + 5, answered: Some(end + 6) });
    entries
}

fn spent(budget: &Budget<'_>) -> (Vec<Entry<RegisterOp>>, Undecided) {
    let entries = hard(40);
    let timeline = Timeline::new(&entries).unwrap();
    match decide(&Register, &timeline.ops, budget) {
        Found::Spent(undecided) => {
            let reached = undecided.reached.map(|op| timeline.source(op));
            (entries, Undecided { reached, ..undecided })
        }
        found @ (Found::Order(_) | Found::Nothing { .. }) => panic!("{found:?} within {budget:?}"),
    }
}

#[test]
fn configurations_are_limited_and_the_proved_prefix_is_named() {
    for configurations in [1_000, 20_000] {
        let (entries, undecided) = spent(&Budget { configurations, ..Budget::default() });
        assert_eq!(undecided.spent, Spent::Configurations);
        assert!(undecided.configurations <= configurations + 64, "{undecided:?}");
        assert!(undecided.answers_proved >= u64::from(EASY), "{undecided:?}");
        let reached = entries[undecided.reached.unwrap() as usize].answered.unwrap();
        let before = entries.iter().filter(|entry| entry.answered.is_some_and(|answered| answered < reached)).count();
        assert_eq!(undecided.answers_proved, before as u64);
        let prefix: Vec<Entry<RegisterOp>> = entries
            .iter()
            .filter(|entry| entry.invoked < reached)
            .map(|entry| Entry { answered: entry.answered.filter(|answered| *answered < reached), ..*entry })
            .collect();
        let prefix = Timeline::new(&prefix).unwrap().ops;
        assert!(matches!(decide(&Register, &prefix, &Budget::default()), Found::Order(_)));
    }
}

#[test]
fn bytes_are_limited() {
    let (_, undecided) = spent(&Budget { bytes: 1 << 20, configurations: u64::MAX, ..Budget::default() });
    assert_eq!(undecided.spent, Spent::Bytes);
    assert!(undecided.answers_proved >= u64::from(EASY));
}

#[test]
fn a_search_stops_when_it_is_told_to() {
    let stop = AtomicBool::new(true);
    let (_, undecided) = spent(&Budget { stop: Some(&stop), ..Budget::default() });
    assert_eq!(undecided.spent, Spent::Stopped);
    assert!(undecided.configurations <= 1_000);
}

#[test]
fn what_was_found_is_the_same_every_time() {
    let budget = Budget { configurations: 5_000, ..Budget::default() };
    assert_eq!(spent(&budget), spent(&budget));
}

#[test]
fn a_stream_holds_its_budget_and_says_where() {
    let mut frontier =
        Frontier::new(&Register, Budget { bytes: 1 << 20, configurations: u64::MAX, ..Budget::default() });
    let entries = hard(40);
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        events.extend([(entry.invoked, false, index), (entry.answered.unwrap(), true, index)]);
    }
    events.sort_unstable();
    let mut tickets = vec![None; entries.len()];
    let mut halt = None;
    for (_, answer, index) in events {
        if answer {
            halt = halt.or(frontier.answer(tickets[index].unwrap(), entries[index].what).err());
        } else {
            tickets[index] = Some(frontier.invoke());
        }
    }
    assert!(matches!(halt, Some(Halt::Spent { spent: Spent::Bytes, .. })), "{halt:?}");
    assert!(frontier.answers_proved() >= u64::from(EASY));
    assert!(frontier.bytes() < (1 << 20) + (1 << 19), "{}", frontier.bytes());
}
