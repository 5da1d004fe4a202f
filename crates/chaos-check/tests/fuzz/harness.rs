//! Draws histories, decides them by brute force, and compares.
//!
//! An honest history is a simulation: processes invoke, take effect at some moment in between, and answer or crash; instants
//! often coincide. A corrupt one then has an answer changed or an instant moved; most of those are violations, some are not,
//! and brute force knows which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Range;

use chaos_check::linear::engine::{self, Found};
use chaos_check::linear::{Budget, Decision, Effect, Entry, Kept, Model, Op, Timeline, check, verify};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The random numbers of one history.
pub(crate) type Random = ChaCha8Rng;

/// The operation of a subject.
pub(crate) type OpOf<S> = <<S as Subject>::Model as Model>::Op;

/// A model under test, with a specification of its own that is as plain as can be.
pub(crate) trait Subject {
    /// The model under test.
    type Model: Model;
    /// The plain specification's state.
    type State: Clone + Eq + Debug;

    /// The plain specification's first state.
    fn initial(&self) -> Self::State;

    /// The plain specification.
    fn apply(&self, state: &Self::State, op: &OpOf<Self>) -> Option<Self::State>;

    /// An operation that `process` might do now. Called again if it turns out to be impossible in the state.
    fn propose(&mut self, random: &mut Random, process: usize) -> OpOf<Self>;

    /// `op`, proposed for `process`, took effect.
    fn took(&mut self, _process: usize, _op: &OpOf<Self>) {}

    /// The model for these entries.
    fn model(&self, entries: &[Entry<OpOf<Self>>]) -> Self::Model;
}

/// The numbers of the histories to draw.
pub(crate) fn cases() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("CHAOS_FUZZ_FROM").unwrap_or(0);
    from..from + number("CHAOS_FUZZ").unwrap_or(100_000)
}

/// Holds as many histories as `CHAOS_FUZZ` says against brute force. `new` makes the subject of one history.
pub(crate) fn fuzz<S: Subject>(name: &str, new: impl Fn(&mut Random) -> S) {
    let (cases, (mut valid, mut invalid)) = (cases(), (0_u64, 0_u64));
    let count = cases.end - cases.start;
    for case in cases {
        let mut random = Random::seed_from_u64(case);
        let mut subject = new(&mut random);
        let entries = history(&mut subject, &mut random);
        let ops = Timeline::new(&entries).expect("the stamps are in order").ops;
        let truth = brute(&subject, &ops);
        *(if truth { &mut valid } else { &mut invalid }) += 1;
        let model = subject.model(&entries);
        let show = || {
            let lines: Vec<String> = entries.iter().map(|entry| format!("  {entry:?}")).collect();
            format!("{name}, CHAOS_FUZZ_FROM={case} CHAOS_FUZZ=1, truth {truth}:\n{}", lines.join("\n"))
        };
        let decision = check(&model, &entries, &Budget::default()).expect("the stamps are in order");
        match (&decision, truth) {
            (Decision::Linearizable(_), true) | (Decision::Violation { verified: true, .. }, false) => {}
            _ => panic!("{}\ncheck says {decision:?}", show()),
        }
        let found = engine::decide(&model, &ops, &Budget::default());
        match (&found, truth) {
            (Found::Order(_), true) | (Found::Nothing { .. }, false) => {}
            _ => panic!("{}\nthe engine says {found:?}", show()),
        }
        if let Some(normal) = model.normalise(&ops) {
            let normal = brute_of(&model.initial(), &normal, |state, op| model.apply(state, op));
            assert_eq!(normal, truth, "{}\nthe normal form is not equivalent", show());
        }
        if truth {
            let some = weakened(&model, &ops, &mut random);
            assert!(brute(&subject, &some), "{}\na weakening has no order: {some:#?}", show());
            let part = part(&model, &entries, &mut random);
            let refuted = verify::refutes(&model, &entries, &part);
            assert!(refuted.is_err(), "{}\nthe verifier takes for a refutation: {part:#?}", show());
        }
    }
    println!("{name}: {valid} valid, {invalid} invalid, 0 disagreements");
    let both = count < 1000 || (valid > count / 10 && invalid > count / 50);
    assert!(both, "{name}: the histories are one-sided: {valid} valid, {invalid} invalid");
}

/// Where a process is in its operation.
enum Stage<T> {
    Idle,
    Invoked(u64),
    Took(u64, T),
}

/// A tiny random history.
pub(crate) fn history<S: Subject>(subject: &mut S, random: &mut Random) -> Vec<Entry<OpOf<S>>> {
    let (processes, size) = (random.random_range(2..=5_usize), random.random_range(3..=9_usize));
    let crash = [0, 5, 20, 50][random.random_range(0..4_usize)];
    let corruptions = if random.random_bool(0.65) { random.random_range(1..=3) } else { 0 };
    let mut entries: Vec<Entry<OpOf<S>>> = Vec::new();
    let mut names: Vec<usize> = (0..processes).collect();
    let mut stages: Vec<Stage<OpOf<S>>> = (0..processes).map(|_| Stage::Idle).collect();
    let (mut state, mut now, mut begun) = (subject.initial(), 0_u64, 0);
    for _ in 0..400 {
        let process = random.random_range(0..processes);
        now += u64::from(random.random_range(0..3_u32) > 0);
        stages[process] = match std::mem::replace(&mut stages[process], Stage::Idle) {
            Stage::Idle if begun == size => Stage::Idle,
            Stage::Idle => {
                begun += 1;
                Stage::Invoked(now)
            }
            Stage::Invoked(at) if random.random_ratio(crash, 100) => {
                // Crashed before it took effect, if it ever would have.
                let what = subject.propose(random, names[process]);
                entries.push(Entry { what, invoked: at, answered: None });
                names[process] = processes + begun;
                Stage::Idle
            }
            Stage::Invoked(at) => {
                let mut stage = Stage::Invoked(at);
                for _ in 0..8 {
                    let op = subject.propose(random, names[process]);
                    if let Some(next) = subject.apply(&state, &op) {
                        state = next;
                        subject.took(names[process], &op);
                        stage = Stage::Took(at, op);
                        break;
                    }
                }
                stage
            }
            Stage::Took(at, what) => {
                let crashed = random.random_ratio(crash, 100);
                entries.push(Entry { what, invoked: at, answered: (!crashed).then_some(now) });
                if crashed {
                    names[process] = processes + begun;
                }
                Stage::Idle
            }
        };
    }
    for stage in stages {
        if let Stage::Took(invoked, what) = stage {
            entries.push(Entry { what, invoked, answered: None });
        }
    }
    for _ in 0..if entries.is_empty() { 0 } else { corruptions } {
        let place = random.random_range(0..entries.len());
        let (invoked, answered) = (entries[place].invoked, entries[place].answered);
        match random.random_range(0..5_u32) {
            0 => entries[place].answered = answered.map(|answered| random.random_range(invoked..=answered)),
            1 => entries[place].invoked = random.random_range(invoked..=answered.unwrap_or(now)),
            _ => entries[place].what = subject.propose(random, place),
        }
    }
    entries
}

/// Whether `ops` have a legal order by the subject's plain specification: every order is tried.
pub(crate) fn brute<S: Subject>(subject: &S, ops: &[Op<OpOf<S>>]) -> bool {
    brute_of(&subject.initial(), ops, |state, op| subject.apply(state, op))
}

/// Whether `ops` have a legal order by a specification: every order is tried.
pub(crate) fn brute_of<T, State: Clone + Eq>(
    initial: &State,
    ops: &[Op<T>],
    apply: impl Fn(&State, &T) -> Option<State>,
) -> bool {
    // Depth first, by what is placed: a queue has as many states as its elements have orders.
    let mut visited: BTreeMap<u32, Vec<State>> = BTreeMap::new();
    let mut open: Vec<(u32, State)> = vec![(0, initial.clone())];
    while let Some((placed, state)) = open.pop() {
        let left = || ops.iter().enumerate().filter(|(index, _)| placed >> index & 1 == 0);
        let Some(first) = left().filter_map(|(_, op)| op.ret).min() else { return true };
        for (index, op) in left().filter(|(_, op)| op.call < first.get()) {
            let Some(after) = apply(&state, &op.what) else { continue };
            let placed = placed | 1 << index;
            let states = visited.entry(placed).or_default();
            if !states.contains(&after) {
                states.push(after.clone());
                open.push((placed, after));
            }
        }
    }
    false
}

/// Some of the operations, some in weaker form or without their answers: a weakening or none, as the verifier will say.
fn part<M: Model>(model: &M, entries: &[Entry<M::Op>], random: &mut Random) -> Vec<Kept<M::Op>> {
    let (keep, weaken) = (random.random_range(0.3..0.9), random.random_range(0.0..0.9));
    let others: Vec<&M::Op> = entries.iter().map(|entry| &entry.what).collect();
    let mut part = Vec::new();
    for (index, entry) in (0_u32..).zip(entries) {
        if !random.random_bool(keep) {
            continue;
        }
        let mut entry = entry.clone();
        let mut forms = model.weaker(&entry.what);
        forms.extend(model.weaker_beside(&entry.what, &others));
        if !forms.is_empty() && random.random_bool(weaken) {
            entry.what = forms.swap_remove(random.random_range(0..forms.len()));
        }
        if random.random_bool(0.1) {
            entry.answered = None;
        }
        part.push(Kept { index, entry });
    }
    part
}

/// A weakening that the model says is sound: some operations, whatever they depend on, some in weaker form.
fn weakened<M: Model>(model: &M, ops: &[Op<M::Op>], random: &mut Random) -> Vec<Op<M::Op>> {
    let mut keep: BTreeSet<usize> = (0..ops.len()).filter(|_| random.random_bool(0.4)).collect();
    let others: Vec<&M::Op> = keep.iter().map(|kept| &ops[*kept].what).collect();
    let mut what: Vec<M::Op> = ops.iter().map(|op| op.what.clone()).collect();
    for what in &mut what {
        let weaker = if random.random_bool(0.5) { model.weaker(what) } else { model.weaker_beside(what, &others) };
        assert!(weaker.iter().all(|weaker| model.is_weaker(what, weaker)), "{what:?}: {weaker:?}");
        if !weaker.is_empty() && random.random_bool(0.7) {
            *what = weaker[random.random_range(0..weaker.len())].clone();
        }
    }
    loop {
        let needed = |place: &usize| {
            !keep.contains(place)
                && model.effect(&ops[*place].what) != Effect::ReadOnly
                && !keep.iter().all(|kept| model.independent(&what[*kept], &ops[*place].what))
        };
        let more: Vec<usize> = (0..ops.len()).filter(needed).collect();
        if more.is_empty() {
            return keep.into_iter().map(|place| Op { what: what[place].clone(), ..ops[place] }).collect();
        }
        keep.extend(more);
    }
}
