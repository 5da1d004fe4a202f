//! Long histories, as a run of a minute or more writes them: correct ones are valid within the limits, and each with one
//! injected mistake is convicted with a small witness. The load is drawn from a seed: a simulated register per key, clients
//! with overlapping operations, and outages in which operations end in `info`, some of them taking effect much later.

use chaos_check::{Budget, Property, Verdict, check};
use chaos_history::{
    Action, ClientRole, Event, Header, History, NodeId, OpEvent, OpId, OpPhase, OpResult, ProcessId, Recorded,
    RunNanos, Seed, Value,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const OPERATIONS: u64 = 20_000;
const KEYS: usize = 4;
const MS: u64 = 1_000_000;

/// A simulated operation: when it is sent, when it takes effect, when its answer arrives.
struct Simulated {
    key: usize,
    action: Action,
    sent: u64,
    effect: Option<u64>,
    answered: Option<u64>,
    result: Option<OpResult>,
}

/// How a load is drawn.
#[derive(Clone, Copy)]
struct Load {
    seed: u64,
    /// Whether every write has a value of its own.
    unique: bool,
    /// Whether refused swaps tell what they saw.
    tells: bool,
}

fn simulate(load: Load) -> Vec<Simulated> {
    let random = &mut ChaCha8Rng::seed_from_u64(load.seed);
    let mut operations: Vec<Simulated> = (0..OPERATIONS)
        .map(|id| {
            // 250 operations a second, and in every 10 s an outage: 2 s, or 0.2 s where values repeat and the search must
            // choose among all that waits for its end.
            let sent = id * 4 * MS + random.random_range(0..MS);
            let outage = sent % (10_000 * MS) > if load.unique { 8_000 } else { 9_800 } * MS;
            let key = random.random_range(0..KEYS);
            let name = format!("k{key}");
            let value = Value(if load.unique { id + 1 } else { random.random_range(1..6) });
            let expect = Some(Value(random.random_range(1..6)));
            let action = match random.random_range(0..4) {
                0 | 1 => Action::Read { key: name },
                2 => Action::Write { key: name, value },
                _ => Action::Cas { key: name, expect, value },
            };
            // In an outage what is sent waits for its end together with all the rest, or nobody ever learns of it.
            let lost = outage && random.random_range(0..10) < 4;
            let wait = if outage { 10_000 * MS - sent % (10_000 * MS) } else { 0 };
            let effect = sent + wait + random.random_range(1..20 * MS);
            let answered = (!lost).then(|| effect + random.random_range(1..20 * MS));
            let effect = (!lost || random.random()).then_some(effect);
            Simulated { key, action, sent, effect, answered, result: None }
        })
        .collect();
    let mut by_effect: Vec<usize> = (0..operations.len()).filter(|&index| operations[index].effect.is_some()).collect();
    by_effect.sort_by_key(|&index| operations[index].effect);
    let mut held = [None; KEYS];
    for index in by_effect {
        let operation = &mut operations[index];
        let held = &mut held[operation.key];
        let before: Option<Value> = *held;
        operation.result = Some(match &mut operation.action {
            Action::Read { .. } => OpResult::Read { value: before, revision: None },
            Action::Write { value, .. } => {
                *held = Some(*value);
                OpResult::Written { revision: None }
            }
            Action::Cas { expect, value, .. } => {
                // Half of the swaps guess right, as those of clients that have read before.
                if random.random() {
                    *expect = before;
                }
                let swapped = *expect == before;
                if swapped {
                    *held = Some(*value);
                }
                OpResult::Cas { swapped, observed: load.tells.then_some(before), revision: None }
            }
            Action::Add { .. }
            | Action::Elements { .. }
            | Action::Acquire { .. }
            | Action::Release { .. }
            | Action::Access { .. } => unreachable!("this load is of registers"),
        });
    }
    operations
}

fn history(operations: &[Simulated]) -> History {
    let mut events: Vec<(u64, OpEvent)> = Vec::new();
    for (index, operation) in operations.iter().enumerate() {
        let event = |phase| OpEvent {
            id: OpId(index as u64),
            process: ProcessId(index as u64),
            node: NodeId::from_index(index % 5),
            phase,
        };
        let (due, action) = (RunNanos(operation.sent), operation.action.clone());
        events.push((operation.sent, event(OpPhase::Invoke { role: ClientRole::Roaming, due, action })));
        match (operation.answered, &operation.result) {
            (Some(at), Some(result)) => events.push((at, event(OpPhase::Ok(result.clone())))),
            _ => events.push((operation.sent + 1_000 * MS, event(OpPhase::Info { error: "timeout".to_owned() }))),
        }
    }
    events.sort_by_key(|(at, event)| (*at, event.id));
    let header = Header {
        chaos_history: 1,
        simulated: None,
        workload: "load".to_owned(),
        system: "simulated".to_owned(),
        nodes: 5,
        seed: Seed(0),
        started: "2026-11-21T00:00:00Z".to_owned(),
        chaos: "0.1.0".to_owned(),
        testimony: chaos_history::Testimony::default(),
    };
    let events = events
        .into_iter()
        .enumerate()
        .map(|(index, (at, event))| Recorded { line: index + 2, at: RunNanos(at), event: Event::Op(event) })
        .collect();
    History { header, events, torn: false }
}

fn verdict(operations: &[Simulated]) -> Verdict {
    check(&history(operations), Property::Linearizable, &Budget::default()).verdict
}

#[test]
fn correct_loads_are_valid_within_the_limits() {
    let loads = (1..4).map(|seed| (seed, true, true)).chain((4..6).map(|seed| (seed, true, false)));
    let loads = loads.chain((50..56).map(|seed| (seed, false, seed % 2 == 0)));
    for (seed, unique, tells) in loads {
        assert_eq!(verdict(&simulate(Load { seed, unique, tells })), Verdict::Valid, "seed {seed}");
    }
}

/// Checks that one change of a correct load is convicted, with few operations.
fn convicted(seed: u64, change: impl Fn(&mut Vec<Simulated>, &mut ChaCha8Rng)) {
    let mut operations = simulate(Load { seed, unique: true, tells: true });
    change(&mut operations, &mut ChaCha8Rng::seed_from_u64(seed));
    match verdict(&operations) {
        Verdict::Invalid(witness) => {
            assert!(witness.steps.len() <= 13, "seed {seed}: the witness is large: {witness:#?}");
        }
        other @ (Verdict::Valid | Verdict::Unknown(_)) => panic!("seed {seed}: the mistake is not found: {other:?}"),
    }
}

/// An answered read of a value, and the value that the key had held for certain until long before.
fn stale_read(operations: &mut [Simulated], random: &mut ChaCha8Rng) {
    loop {
        let index = random.random_range(operations.len() / 2..operations.len());
        let (key, sent) = (operations[index].key, operations[index].sent);
        let is_read = matches!(operations[index].action, Action::Read { .. });
        let old = operations.iter().find_map(|old| match (&old.result, &old.action, old.answered) {
            (Some(OpResult::Written { .. }), Action::Write { value, .. }, Some(answered))
                if old.key == key && answered + 5_000 * MS < sent && answered > 1_000 * MS =>
            {
                Some(*value)
            }
            _ => None,
        });
        if let (true, Some(old), Some(_)) = (is_read, old, operations[index].answered) {
            operations[index].result = Some(OpResult::Read { value: Some(old), revision: None });
            return;
        }
    }
}

#[test]
fn one_stale_read_is_convicted_with_a_small_witness() {
    for seed in 10..14 {
        convicted(seed, |operations, random| stale_read(operations, random));
    }
}

#[test]
fn one_lost_write_is_convicted_with_a_small_witness() {
    for seed in 20..24 {
        convicted(seed, |operations, random| {
            // A read sees 9; a later acknowledged write is lost; another read sees 9 again.
            let sent = operations.len() as u64 * 4 * MS + 10_000 * MS;
            let action = Action::Write { key: "k2".to_owned(), value: Value(9_000_000 + random.random_range(0..9)) };
            let last =
                operations.iter().filter(|operation| operation.key == 2).max_by_key(|operation| operation.effect);
            let last = last
                .and_then(|last| last.answered.and(last.result.clone()).map(|result| (last.action.clone(), result)));
            let held = match last {
                Some((action, OpResult::Written { .. } | OpResult::Cas { swapped: true, .. })) => action.written(),
                Some((_, OpResult::Read { value, .. })) => value,
                Some((_, OpResult::Cas { observed, .. })) => observed.flatten(),
                None => None,
                Some(_) => unreachable!("this load is of registers"),
            };
            for (offset, action, result) in [
                (0, action, OpResult::Written { revision: None }),
                (100, Action::Read { key: "k2".to_owned() }, OpResult::Read { value: held, revision: None }),
            ] {
                let sent = sent + offset * MS;
                let (effect, answered) = (Some(sent + 1), Some(sent + 2));
                operations.push(Simulated { key: 2, action, sent, effect, answered, result: Some(result) });
            }
        });
    }
}

#[test]
fn one_value_that_nobody_wrote_is_convicted_by_one_operation() {
    convicted(30, |operations, _| {
        let read = |operation: &&mut Simulated| {
            operation.answered.is_some() && matches!(operation.result, Some(OpResult::Read { .. }))
        };
        let operation = operations.iter_mut().filter(read).nth(1_000).unwrap();
        operation.result = Some(OpResult::Read { value: Some(Value(99_999_999)), revision: None });
    });
}

#[test]
fn an_absent_key_after_a_write_is_convicted_even_where_values_repeat() {
    for seed in 50..54 {
        let mut operations = simulate(Load { seed, unique: false, tells: seed % 2 == 0 });
        let read = |operation: &&mut Simulated| {
            operation.answered.is_some() && matches!(operation.result, Some(OpResult::Read { .. }))
        };
        let operation = operations.iter_mut().filter(read).nth(3_000).unwrap();
        operation.result = Some(OpResult::Read { value: None, revision: None });
        match verdict(&operations) {
            Verdict::Invalid(witness) => assert!(witness.steps.len() <= 3, "seed {seed}: {witness:#?}"),
            other @ (Verdict::Valid | Verdict::Unknown(_)) => panic!("seed {seed}: {other:?}"),
        }
    }
}

#[test]
fn verdicts_do_not_depend_on_names_of_keys_and_values() {
    for seed in 40..42 {
        for stale in [false, true] {
            let mut operations = simulate(Load { seed, unique: true, tells: true });
            if stale {
                stale_read(&mut operations, &mut ChaCha8Rng::seed_from_u64(seed));
            }
            let before = matches!(verdict(&operations), Verdict::Valid);
            let rename = |value: &mut Value| value.0 = value.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for operation in &mut operations {
                match &mut operation.action {
                    Action::Read { key } => key.insert(0, 'x'),
                    Action::Write { key, value } => {
                        key.insert(0, 'x');
                        rename(value);
                    }
                    Action::Cas { key, expect, value } => {
                        key.insert(0, 'x');
                        expect.iter_mut().for_each(rename);
                        rename(value);
                    }
                    Action::Add { .. }
                    | Action::Elements { .. }
                    | Action::Acquire { .. }
                    | Action::Release { .. }
                    | Action::Access { .. } => unreachable!("this load is of registers"),
                }
                match &mut operation.result {
                    Some(OpResult::Read { value: Some(value), .. }) => rename(value),
                    Some(OpResult::Cas { observed: Some(Some(value)), .. }) => rename(value),
                    _ => {}
                }
            }
            assert_eq!(before, matches!(verdict(&operations), Verdict::Valid), "seed {seed}");
            assert_eq!(before, !stale, "seed {seed}");
        }
    }
}
