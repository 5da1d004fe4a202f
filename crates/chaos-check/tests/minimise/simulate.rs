//! Simulated clients of one register, and a read that they can't have had.

use chaos_check::linear::models::{ABSENT, RegisterOp};
use chaos_check::linear::{Entry, Timeline};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) ops: usize,
    pub(crate) processes: usize,
    /// Values are drawn from this many; `None`: each is new.
    pub(crate) values: Option<u32>,
    /// In per cent.
    pub(crate) crashed: u32,
    pub(crate) swaps: bool,
}

impl Case {
    /// All combinations, one after the other.
    pub(crate) fn numbered(number: usize, ops: usize) -> Self {
        let (processes, many) = [(5, 15), (10, 30), (20, 60), (40, 120)][number % 4];
        let crashed = [0, 5, 20][number / 4 % 3];
        let values = [None, Some(5), Some(many), None][number / 12 % 4];
        Self { ops, processes, values, crashed, swaps: number / 48 % 2 == 1 }
    }
}

enum Stage {
    Idle,
    Asked(u64),
    Took(u64, RegisterOp),
}

/// A linearizable history: each operation takes effect at some moment between question and answer.
pub(crate) fn honest(case: &Case, random: &mut ChaCha8Rng) -> Vec<Entry<RegisterOp>> {
    let mut stages: Vec<Stage> = (0..case.processes).map(|_| Stage::Idle).collect();
    let (mut held, mut written, mut now) = (ABSENT, 0_u32, 0_u64);
    let mut entries: Vec<Entry<RegisterOp>> = Vec::with_capacity(case.ops);
    while entries.len() < case.ops {
        now += u64::from(random.random_range(0..4_u32));
        let process = random.random_range(0..case.processes);
        stages[process] = match std::mem::replace(&mut stages[process], Stage::Idle) {
            Stage::Idle => Stage::Asked(now),
            Stage::Asked(at) => {
                let kind = random.random_range(0..4_u32);
                written += 1;
                let new = case.values.map_or(written, |values| random.random_range(1..=values));
                let op = match kind {
                    0 | 1 => RegisterOp::Read(held),
                    2 if case.swaps => RegisterOp::Cas { expect: held, new },
                    _ => RegisterOp::Write(new),
                };
                if random.random_ratio(case.crashed, 200) {
                    // Crashed before it took effect.
                    entries.push(Entry { what: op, invoked: at, answered: None });
                    Stage::Idle
                } else {
                    held = op.writes().unwrap_or(held);
                    Stage::Took(at, op)
                }
            }
            Stage::Took(at, what) => {
                let crashed = random.random_ratio(case.crashed, 200);
                entries.push(Entry { what, invoked: at, answered: (!crashed).then_some(now) });
                Stage::Idle
            }
        };
    }
    for stage in stages {
        if let Stage::Took(invoked, what) = stage {
            entries.push(Entry { what, invoked, answered: None });
        }
    }
    entries.sort_by_key(|entry| entry.invoked);
    entries
}

/// A history with a violation, and where it is, as places in the timeline.
pub(crate) struct Injected {
    pub(crate) entries: Vec<Entry<RegisterOp>>,
    /// Everything up to the answer that can't be passed.
    pub(crate) prefix: Vec<u32>,
    /// What is at the heart of it.
    pub(crate) heart: Vec<u32>,
}

/// What is injected.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A read saw a value that had definitely been overwritten.
    Stale,
    /// A read saw a value whose first write began only later.
    Early,
    /// Two swaps took the same value away, which was written once.
    Rivals,
}

/// The fault, at any of many places. `None` if it fits nowhere.
pub(crate) fn inject(case: &Case, fault: Fault, random: &mut ChaCha8Rng) -> Option<Injected> {
    let mut entries = honest(case, random);
    for _ in 0..300 {
        let place = random.random_range(0..entries.len());
        let found = match fault {
            Fault::Stale => stale(&entries, place, random),
            Fault::Early => early(&entries, place, random),
            Fault::Rivals => rivals(&entries, place, random),
        };
        let Some((what, heart)) = found else { continue };
        entries[place].what = what;
        let timeline = Timeline::new(&entries).expect("the stamps are in order");
        let mut ranked = vec![0_u32; entries.len()];
        (0..).zip(&timeline.ops).for_each(|(op, _)| ranked[timeline.source(op) as usize] = op);
        let mut heart: Vec<u32> = heart.iter().map(|&source| ranked[source]).collect();
        heart.sort_unstable();
        let end = heart.iter().map(|&op| timeline.ops[op as usize].ret.map_or(0, u32::from)).max()?;
        let prefix = (0_u32..).zip(&timeline.ops).filter(|(_, op)| op.call < end).map(|(op, _)| op).collect();
        return Some(Injected { entries, prefix, heart });
    }
    None
}

fn over(entry: &Entry<RegisterOp>, by: u64) -> bool {
    entry.answered.is_some_and(|answered| answered < by)
}

fn stale(entries: &[Entry<RegisterOp>], place: usize, random: &mut ChaCha8Rng) -> Option<(RegisterOp, Vec<usize>)> {
    let read = entries[place];
    let (RegisterOp::Read(saw), Some(answered)) = (read.what, read.answered) else { return None };
    let newer = (0..place)
        .filter(|&newer| entries[newer].what.writes().is_some() && over(&entries[newer], read.invoked))
        .max_by_key(|&newer| entries[newer].invoked)?;
    let older: Vec<u32> =
        entries[place.saturating_sub(500)..place].iter().filter_map(|entry| entry.what.writes()).collect();
    let old = older[random.random_range(0..older.len())];
    let gone = |entry: &Entry<RegisterOp>| {
        entry.what.writes() != Some(old) || entry.invoked > answered || over(entry, entries[newer].invoked)
    };
    let possible = old != saw && entries[newer].what.writes() != Some(old) && entries.iter().all(gone);
    possible.then(|| (RegisterOp::Read(old), vec![newer, place]))
}

fn early(entries: &[Entry<RegisterOp>], place: usize, random: &mut ChaCha8Rng) -> Option<(RegisterOp, Vec<usize>)> {
    let read = entries[place];
    let (RegisterOp::Read(_), Some(answered)) = (read.what, read.answered) else { return None };
    let writer = random.random_range(place..entries.len());
    let new = entries[writer].what.writes()?;
    let later = |entry: &Entry<RegisterOp>| entry.what.writes() != Some(new) || entry.invoked > answered;
    entries.iter().all(later).then(|| (RegisterOp::Read(new), vec![place]))
}

fn rivals(entries: &[Entry<RegisterOp>], place: usize, random: &mut ChaCha8Rng) -> Option<(RegisterOp, Vec<usize>)> {
    let (RegisterOp::Cas { new, .. }, Some(_)) = (entries[place].what, entries[place].answered) else { return None };
    let other = random.random_range(place.saturating_sub(20)..entries.len().min(place + 20));
    let (RegisterOp::Cas { expect, .. }, Some(_)) = (entries[other].what, entries[other].answered) else { return None };
    let writers: Vec<usize> =
        (0..entries.len()).filter(|&writer| entries[writer].what.writes() == Some(expect)).collect();
    let once = writers.len() == 1 && other != place && !writers.contains(&place);
    (once && expect != ABSENT).then(|| (RegisterOp::Cas { expect, new }, vec![place, other]))
}
