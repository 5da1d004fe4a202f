//! Each search alone, at each width, against brute force, on a model that has every kind of effect; and the budget.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::stream::{Halt, Ticket};
use super::*;
use crate::linear::entry::{Entry, Timeline};
use crate::linear::model::Effect;
use crate::linear::verify;

/// A number from 0 to 3 with every kind of effect; nothing but `Set` is possible in a state of 9 and above.
#[derive(Clone, Copy, Debug)]
struct Dial;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Turn {
    /// Read-only.
    See(u8),
    /// Read-only: anything else is there.
    SeeOther(u8),
    /// An overwrite; hidden from 9 on.
    Set(u8),
    /// An overwrite that equals `Set` in all but its name.
    Reset(u8),
    /// An update.
    Swap(u8, u8),
    /// An update that often changes nothing.
    Raise(u8),
    /// An update that changes nothing only at the top.
    Up,
}

impl Model for Dial {
    type Op = Turn;
    type State = u8;

    fn initial(&self) -> u8 {
        0
    }

    fn apply(&self, &state: &u8, op: &Turn) -> Option<u8> {
        match *op {
            Turn::Set(new) | Turn::Reset(new) => Some(new),
            Turn::See(_) | Turn::SeeOther(_) | Turn::Swap(..) | Turn::Raise(_) | Turn::Up if state >= 9 => None,
            Turn::See(seen) => (seen == state).then_some(state),
            Turn::SeeOther(unlike) => (unlike != state).then_some(state),
            Turn::Swap(expect, new) => (expect == state).then_some(new),
            Turn::Raise(least) => Some(state.max(least)),
            Turn::Up => Some((state + 1).min(3)),
        }
    }

    fn effect(&self, op: &Turn) -> Effect {
        match *op {
            Turn::See(_) | Turn::SeeOther(_) => Effect::ReadOnly,
            Turn::Set(new) | Turn::Reset(new) => Effect::Overwrite { hidden: new >= 9 },
            Turn::Swap(..) | Turn::Raise(_) | Turn::Up => Effect::Update,
        }
    }
}

/// A few operations at random times.
fn draw(random: &mut ChaCha8Rng) -> Vec<Entry<Turn>> {
    let (size, span) = (random.random_range(2..=8_usize), random.random_range(4..=24_u64));
    draw_some(random, size, span)
}

fn draw_some(random: &mut ChaCha8Rng, size: usize, span: u64) -> Vec<Entry<Turn>> {
    let (crash, kinds) = ([0, 5, 20, 50][random.random_range(0..4_usize)], random.random_range(0..128_u32));
    let longest = random.random_range(1..=span);
    let mut entries = Vec::new();
    while entries.len() < size {
        let kind = random.random_range(0..7_u32);
        if kinds >> kind & 1 == 0 && kind > 2 {
            continue;
        }
        let (a, b) = (random.random_range(0..4_u8), random.random_range(0..4_u8));
        let what = match kind {
            0 => Turn::See(a),
            1 => Turn::SeeOther(a),
            2 if random.random_bool(0.2) => Turn::Set(9 + a),
            2 => Turn::Set(a),
            3 => Turn::Reset(a),
            4 => Turn::Swap(a, b),
            5 => Turn::Raise(a),
            _ => Turn::Up,
        };
        let invoked = random.random_range(0..span);
        let answered = invoked + random.random_range(0..longest);
        entries.push(Entry { what, invoked, answered: (!random.random_ratio(crash, 100)).then_some(answered) });
    }
    entries
}

fn brute(ops: &[Op<Turn>]) -> bool {
    let mut visited = vec![(0_u32, 0_u8)];
    let mut next = 0;
    while let Some((placed, state)) = visited.get(next).copied() {
        next += 1;
        let left = || ops.iter().enumerate().filter(|(index, _)| placed >> index & 1 == 0);
        let Some(first) = left().filter_map(|(_, op)| op.ret).min() else { return true };
        for (index, op) in left().filter(|(_, op)| op.call < first.get()) {
            let after = Dial.apply(&state, &op.what).map(|after| (placed | 1 << index, after));
            visited.extend(after.filter(|after| !visited.contains(after)));
        }
    }
    false
}

/// How many histories each search is held against.
const COUNT: u64 = 40_000;

fn agrees_with_brute_force(searches: Searches, width: Width) {
    let (mut valid, mut undecided) = (0_u64, 0_u64);
    for case in 0..COUNT {
        let entries = draw(&mut ChaCha8Rng::seed_from_u64(case));
        let timeline = Timeline::new(&entries).unwrap();
        let truth = brute(&timeline.ops);
        valid += u64::from(truth);
        let show = || format!("case {case}, truth {truth}: {:#?}", timeline.ops);
        match search(&Dial, &timeline.ops, &Budget::default(), searches, width) {
            Found::Order(order) => {
                assert!(truth, "{}", show());
                let order: Vec<u32> = order.into_iter().map(|op| timeline.source(op)).collect();
                let replayed = verify::replays(&Dial, &entries, &order);
                assert_eq!(replayed, Ok(()), "{order:?} of {}", show());
            }
            Found::Nothing { at } => {
                assert!(!truth, "{}", show());
                let end = timeline.ops[at as usize].deadline();
                let begun: Vec<Op<Turn>> = timeline.ops.iter().filter(|op| op.call < end).copied().collect();
                let open = begun.iter().map(|op| Op { ret: op.ret.filter(|ret| ret.get() <= end), ..*op });
                assert!(!brute(&open.collect::<Vec<_>>()), "refuted too early at {at}: {}", show());
            }
            Found::Spent(_) if searches == Searches::RELAXED => undecided += 1,
            Found::Spent(spent) => panic!("{spent:?} of {}", show()),
        }
    }
    assert!(valid > COUNT / 5 && valid < COUNT * 4 / 5, "one-sided: {valid} valid");
    assert!(undecided < COUNT * 9 / 10, "{undecided} undecided");
}

#[test]
fn breadth_first_alone_agrees_with_brute_force() {
    agrees_with_brute_force(Searches::BREADTH, Width::Narrowest);
}

#[test]
fn depth_first_alone_agrees_with_brute_force() {
    agrees_with_brute_force(Searches::DEPTH, Width::Narrowest);
}

#[test]
fn what_the_relaxed_search_says_agrees_with_brute_force() {
    agrees_with_brute_force(Searches::RELAXED, Width::Narrowest);
}

#[test]
fn middle_masks_agree_with_brute_force() {
    agrees_with_brute_force(Searches::BREADTH.with(Searches::DEPTH), Width::Middle);
}

#[test]
fn wide_masks_agree_with_brute_force() {
    agrees_with_brute_force(Searches::BREADTH, Width::Wide);
    agrees_with_brute_force(Searches::DEPTH, Width::Wide);
}

/// Feeds the events of a history; operations without an answer are lost at random times. The place of the operation at whose
/// answer a violation is seen.
fn feed(entries: &[Entry<Turn>], frontier: &mut Frontier<'_, Dial>, random: &mut ChaCha8Rng) -> Option<usize> {
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        events.push((entry.invoked, false, index));
        events.push((entry.answered.unwrap_or(entry.invoked + random.random_range(0..9)), true, index));
    }
    events.sort_unstable();
    let mut tickets: Vec<Option<Ticket>> = vec![None; entries.len()];
    for (_, _, index) in events {
        let entry = &entries[index];
        let fed = match (tickets[index], entry.answered) {
            (None, _) => {
                tickets[index] = Some(frontier.invoke());
                Ok(())
            }
            (Some(ticket), Some(_)) => frontier.answer(ticket, entry.what),
            (Some(ticket), None) => frontier.lose(ticket, Some(entry.what)),
        };
        match fed {
            Ok(()) => {}
            Err(Halt::Violation { at }) => return tickets.iter().position(|ticket| *ticket == Some(at)),
            Err(Halt::Spent { .. }) => panic!("the budget is large"),
        }
    }
    assert_eq!(frontier.held_back(), 0);
    None
}

fn streams_agree_with_brute_force(stress: bool) {
    for case in 0..COUNT {
        let mut random = ChaCha8Rng::seed_from_u64(case);
        let entries = draw(&mut random);
        let timeline = Timeline::new(&entries).unwrap();
        let mut frontier = Frontier::new(&Dial, Budget::default());
        if stress {
            frontier = frontier.under_stress();
        }
        let seen = feed(&entries, &mut frontier, &mut random);
        let breadth = search(&Dial, &timeline.ops, &Budget::default(), Searches::BREADTH, Width::Narrowest);
        match (breadth, seen) {
            (Found::Order(_), None) => {
                let answers = entries.iter().filter(|entry| entry.answered.is_some()).count();
                assert_eq!(frontier.answers_proved(), answers as u64);
            }
            (Found::Nothing { at }, Some(seen)) => {
                let (at, seen) = (entries[timeline.source(at) as usize], entries[seen]);
                assert_eq!(at.answered, seen.answered, "case {case}");
            }
            (found, seen) => panic!("case {case}: {found:?}, but the stream {seen:?}: {entries:#?}"),
        }
    }
}

#[test]
fn streams_see_a_violation_at_the_answer_where_the_breadth_first_search_does() {
    streams_agree_with_brute_force(false);
}

#[test]
fn streams_may_forget_and_widen_at_any_moment() {
    streams_agree_with_brute_force(true);
}

/// Brute force can't follow here, but two orders of search and the verifier can't easily err alike.
#[test]
fn both_orders_of_search_agree_on_longer_histories() {
    let (mut valid, mut invalid) = (0, 0);
    for case in 0..COUNT / 20 {
        let mut random = ChaCha8Rng::seed_from_u64(case);
        let size = random.random_range(10..=40_usize);
        let span = random.random_range(20..=200_u64);
        let entries = draw_some(&mut random, size, span);
        let timeline = Timeline::new(&entries).unwrap();
        let budget = Budget::default();
        let run = |searches| search(&Dial, &timeline.ops, &budget, searches, Width::Narrowest);
        match (run(Searches::BREADTH), run(Searches::DEPTH)) {
            (Found::Order(one), Found::Order(other)) => {
                valid += 1;
                for order in [one, other] {
                    let order: Vec<u32> = order.into_iter().map(|op| timeline.source(op)).collect();
                    assert_eq!(verify::replays(&Dial, &entries, &order), Ok(()), "case {case}");
                }
            }
            (Found::Nothing { at: one }, Found::Nothing { at: other }) => {
                invalid += 1;
                assert_eq!(one, other, "case {case}");
            }
            (breadth, depth) => panic!("case {case}: breadth first {breadth:?}, depth first {depth:?}"),
        }
    }
    assert!(valid > 50 && invalid > 50, "one-sided: {valid} valid, {invalid} invalid");
}

/// The engine finds an order, in every order of search; `ops` are what, invoked, answered.
fn has_an_order(ops: &[(Turn, u64, Option<u64>)]) {
    let entries: Vec<Entry<Turn>> =
        ops.iter().map(|&(what, invoked, answered)| Entry { what, invoked, answered }).collect();
    let timeline = Timeline::new(&entries).unwrap();
    assert!(brute(&timeline.ops));
    for searches in [Searches::BREADTH, Searches::DEPTH] {
        let found = search(&Dial, &timeline.ops, &Budget::default(), searches, Width::Narrowest);
        assert!(matches!(found, Found::Order(_)), "{found:?}");
    }
}

#[test]
fn overwrites_ride_on_one_that_leads_back_to_where_we_are() {
    let order = |back: Option<u64>| {
        [
            (Turn::Set(2), 0, Some(20)),
            (Turn::Set(0), 0, back),
            (Turn::Swap(0, 3), 0, Some(10)),
            (Turn::See(3), 40, Some(50)),
        ]
    };
    has_an_order(&order(Some(30)));
    has_an_order(&order(None));
}

#[test]
fn an_open_operation_is_not_kept_back_by_an_idle_equal() {
    has_an_order(&[
        (Turn::Set(3), 0, Some(1)),
        (Turn::Up, 2, Some(60)),
        (Turn::See(3), 3, Some(4)),
        (Turn::Set(0), 5, Some(6)),
        (Turn::Up, 7, Some(70)),
        (Turn::See(1), 8, Some(9)),
        (Turn::See(1), 80, Some(90)),
    ]);
}
