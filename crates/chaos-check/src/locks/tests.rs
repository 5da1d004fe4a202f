//! The lock checkers against the engine of `linear`, which decides by search, over random histories.

use chaos_history::{
    Action, ClientRole, Event, Header, History, NodeId, OpEvent, OpId, OpPhase, OpResult, ProcessId, Recorded,
    RunNanos, Seed,
};

use crate::linear::models::{FencedLock, FencedLockOp, Hold as Section, LeaseLock, LeaseLockOp};
use crate::linear::{Budget, Decision, Entry, check};
use crate::verdict::Verdict;

/// A small generator, the same for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One section: when its acquisition was asked for and answered, and its release, if that was answered with ok.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    acquire: (u64, u64),
    release: Option<(u64, u64)>,
    token: u64,
}

/// A few sections at random moments, all of them different; tokens mostly in the order of the acquisitions' answers.
fn drawn(random: &mut Random) -> Vec<Drawn> {
    let count = 2 + random.below(4);
    let mut moments: Vec<u64> = (1..=4 * count).collect();
    for last in (1..moments.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).unwrap();
        moments.swap(last, other);
    }
    let mut sections: Vec<Drawn> = moments
        .chunks_exact(4)
        .map(|four| {
            let mut four = [four[0], four[1], four[2], four[3]];
            // Sections that are spread over the whole time would all overlap.
            if random.below(3) > 0 {
                let start = four[0];
                four = [start * 8, start * 8 + 1 + random.below(9), start * 8 + 11, start * 8 + 12 + random.below(20)];
            } else {
                four.sort_unstable();
                four = four.map(|moment| moment * 8 + 5);
            }
            four.sort_unstable();
            let release = (random.below(3) > 0).then_some((four[2], four[3]));
            Drawn { acquire: (four[0], four[1]), release, token: 0 }
        })
        .collect();
    sections.sort_by_key(|section| section.acquire.1);
    for (index, section) in sections.iter_mut().enumerate() {
        section.token = 10 + index as u64;
    }
    if random.below(2) == 0 {
        let (one, other) = (random.below(count), random.below(count));
        let (one, other) = (usize::try_from(one).unwrap(), usize::try_from(other).unwrap());
        let token = sections[one].token;
        sections[one].token = sections[other].token;
        // Mostly a swap, sometimes the same token twice.
        if random.below(4) > 0 {
            sections[other].token = token;
        }
    }
    sections
}

/// The history of these sections: each by a process of its own, a release that is none answered with a failure.
fn history(sections: &[Drawn]) -> History {
    let mut events: Vec<(u64, OpEvent)> = Vec::new();
    let key = || "l0".to_owned();
    for (index, section) in sections.iter().enumerate() {
        let number = index as u64;
        let (process, node) = (ProcessId(number), NodeId::from_index(index % 3));
        let mut operation = |id, from: u64, to: u64, action, end| {
            let invoke = OpPhase::Invoke { role: ClientRole::Roaming, due: RunNanos(from), action };
            events.push((from, OpEvent { id: OpId(id), process, node, phase: invoke }));
            events.push((to, OpEvent { id: OpId(id), process, node, phase: end }));
        };
        let acquired = OpPhase::Ok(OpResult::Acquired { token: Some(section.token) });
        operation(2 * number, section.acquire.0, section.acquire.1, Action::Acquire { key: key() }, acquired);
        let (release, end) = match section.release {
            Some(release) => (release, OpPhase::Ok(OpResult::Released)),
            None => ((10_000, 10_001 + number), OpPhase::Fail { error: "lost before".to_owned() }),
        };
        operation(2 * number + 1, release.0, release.1, Action::Release { key: key() }, end);
    }
    events.sort_by_key(|(at, _)| *at);
    let recorded = |(index, (at, op)): (usize, (u64, OpEvent))| Recorded {
        line: index + 2,
        at: RunNanos(at),
        event: Event::Op(op),
    };
    let header = Header {
        testimony: chaos_history::Testimony::default(),
        chaos_history: chaos_history::format::VERSION,
        simulated: None,
        workload: "drawn".to_owned(),
        system: "none".to_owned(),
        nodes: 3,
        seed: Seed(1),
        started: String::new(),
        chaos: String::new(),
    };
    History { header, events: events.into_iter().enumerate().map(recorded).collect(), torn: false }
}

fn done<T>(what: T, call: u64, ret: u64) -> Entry<T> {
    Entry { what, invoked: call, answered: Some(ret) }
}

fn open<T>(what: T, call: u64) -> Entry<T> {
    Entry { what, invoked: call, answered: None }
}

fn is_linearizable<M: crate::linear::Model>(model: &M, entries: &[Entry<M::Op>]) -> bool {
    match check(model, entries, &Budget::default()) {
        Ok(Decision::Linearizable(_)) => true,
        Ok(Decision::Violation { .. }) => false,
        other => panic!("not decided: {other:?}"),
    }
}

/// Whether each instant of every acquisition and every proved hold can be had by one client at a time: leases may run out at any
/// moment since the acquisition was asked for.
fn has_exclusive_order(sections: &[Drawn]) -> bool {
    let entries = sections.iter().enumerate().flat_map(|(index, section)| {
        let hold = Section(u32::try_from(index).unwrap());
        let acquire = done(LeaseLockOp::Acquire(hold), section.acquire.0, section.acquire.1);
        let end = match section.release {
            Some((from, to)) => done(LeaseLockOp::Release(hold), from, to),
            None => open(LeaseLockOp::Expire(hold), section.acquire.0),
        };
        [acquire, end]
    });
    is_linearizable(&LeaseLock, &entries.collect::<Vec<_>>())
}

fn has_fenced_order(sections: &[Drawn]) -> bool {
    let entries = sections.iter().enumerate().flat_map(|(index, section)| {
        let hold = Section(u32::try_from(index).unwrap());
        let token = section.token;
        let acquire = done(FencedLockOp::Acquire { hold, token }, section.acquire.0, section.acquire.1);
        let end = match section.release {
            Some((from, to)) => done(FencedLockOp::Release(hold), from, to),
            None => open(FencedLockOp::Release(hold), section.acquire.0),
        };
        [acquire, end]
    });
    is_linearizable(&FencedLock, &entries.collect::<Vec<_>>())
}

#[test]
fn both_checkers_convict_what_has_no_legal_order_and_nothing_else() {
    let mut random = Random(7);
    let (mut exclusive, mut fenced, mut neither) = (0, 0, 0);
    for round in 0..20_000 {
        let sections = drawn(&mut random);
        let history = history(&sections);
        let convicted = |verdict: &Verdict| matches!(verdict, Verdict::Invalid(_));
        let (exclusion, _) = super::mutual_exclusion(&history);
        let (tokens, _) = super::fencing(&history);
        assert_eq!(convicted(&exclusion), !has_exclusive_order(&sections), "round {round}: {sections:?} {exclusion:?}");
        let either = convicted(&exclusion) || convicted(&tokens);
        assert_eq!(either, !has_fenced_order(&sections), "round {round}: {sections:?} {exclusion:?} {tokens:?}");
        exclusive += usize::from(convicted(&exclusion));
        fenced += usize::from(convicted(&tokens) && !convicted(&exclusion));
        neither += usize::from(!either);
    }
    assert!(exclusive > 1_000 && fenced > 1_000 && neither > 1_000, "{exclusive} {fenced} {neither}");
}
