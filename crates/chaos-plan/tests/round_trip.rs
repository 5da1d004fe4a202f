//! Property: any workload that could have been loaded is written by `resolved_yaml` so that it loads to an equal one.
//!
//! The workloads here are made, not parsed: texts with anything in them, durations of every grain, steps nested in loops.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chaos_history::{NodeId, Seed, SourcePlace};
use chaos_plan::{
    Awaited, Check, Choice, Clients, DurationRange, Fault, FaultPlan, Filter, Hold, KillSignal, LockWork, Mix, Observe,
    Partition, ProcessTarget, RaftOptions, ReadConsistency, Source, Step, StepAction, System, Target, Until, Work,
    Workload, load_source, resolved_yaml,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1_u64..1_000).prop_map(Duration::from_nanos),
        (1_u64..100_000).prop_map(Duration::from_micros),
        (1_u64..100_000).prop_map(Duration::from_millis),
        (1_u64..600).prop_map(Duration::from_secs),
    ]
}

fn range() -> impl Strategy<Value = DurationRange> {
    (duration(), duration()).prop_map(|(a, b)| DurationRange { min: a.min(b), max: a.max(b) })
}

/// Between 1 ms and 60 s, the limits of `observe`.
fn poll() -> impl Strategy<Value = Duration> {
    (1_000_000_u64..=60_000_000_000).prop_map(Duration::from_nanos)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("- x: 1 # no".to_owned()),
        vec(any::<char>().prop_filter("no program can be given a NUL", |c| *c != '\0'), 0..20)
            .prop_map(|chars| chars.into_iter().collect()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("null".to_owned()), Just("1.5".to_owned()), "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}"]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Leader),
        Just(Target::OldLeader),
        Just(Target::Follower),
        Just(Target::Followers),
        Just(Target::Random),
        Just(Target::Majority),
        Just(Target::Minority),
        Just(Target::MinorityWithLeader),
        Just(Target::All),
        (1_u16..=4).prop_map(|last| Target::Nodes((1..=last).map(NodeId::new).collect())),
    ]
}

fn partition() -> impl Strategy<Value = Partition> {
    let nodes = |from: u16, to: u16| Target::Nodes((from..=to).map(NodeId::new).collect());
    prop_oneof![
        target().prop_filter("isolates everybody", |target| *target != Target::All).prop_map(Partition::Isolate),
        Just(Partition::Halves),
        (1_u16..4).prop_map(move |last| Partition::Groups(vec![nodes(1, last), nodes(last + 1, 5), Target::Leader])),
        Just(Partition::OneWay { from: Target::Leader, to: None }),
        Just(Partition::OneWay { from: Target::Followers, to: Some(Target::Leader) }),
        Just(Partition::MajoritiesRing),
        Just(Partition::Bridge(Target::Random)),
        (1_u16..=5).prop_map(|node| Partition::Bridge(Target::Nodes(vec![NodeId::new(node)]))),
    ]
}

fn process() -> impl Strategy<Value = Option<ProcessTarget>> {
    option::of(proptest::bool::ANY.prop_map(|with_children| ProcessTarget { name: "node".to_owned(), with_children }))
}

fn fault() -> impl Strategy<Value = Fault> {
    let signal = prop_oneof![Just(KillSignal::Kill), Just(KillSignal::Term)];
    prop_oneof![
        (target(), process(), signal).prop_map(|(target, process, signal)| Fault::Kill { target, process, signal }),
        (target(), process()).prop_map(|(target, process)| Fault::Pause { target, process }),
        partition().prop_map(Fault::Partition),
    ]
}

/// What may be undone, right after what it undoes.
fn open_and_undone() -> impl Strategy<Value = Vec<StepAction>> {
    let some = || option::of(target().prop_filter("all is written as nothing", |target| *target != Target::All));
    (fault(), some()).prop_map(|(fault, target)| {
        let undo = match &fault {
            Fault::Kill { .. } => StepAction::Restart { target },
            Fault::Pause { .. } => StepAction::Resume { target },
            Fault::Partition(_) => StepAction::Heal,
        };
        vec![StepAction::Fault { fault, hold: Hold::Open }, undo]
    })
}

fn simple() -> impl Strategy<Value = Vec<StepAction>> {
    prop_oneof![
        (fault(), range()).prop_map(|(fault, range)| vec![StepAction::Fault { fault, hold: Hold::For(range) }]),
        (fault(), duration(), duration()).prop_map(|(fault, plus, within)| {
            vec![StepAction::Fault { fault, hold: Hold::Until(Until { plus, within }) }]
        }),
        open_and_undone(),
        duration().prop_map(|within| vec![StepAction::Await { what: Awaited::Leader, within }]),
        (duration(), duration()).prop_map(|(stable, more)| {
            vec![StepAction::Await { what: Awaited::Stable(stable), within: stable + more }]
        }),
        range().prop_map(|range| vec![StepAction::Wait(range)]),
    ]
}

fn step(action: StepAction) -> Step {
    Step { number: 0, place: SourcePlace { file: String::new(), line: 1, column: 1 }, action }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flat = |groups: Vec<Vec<StepAction>>| groups.into_iter().flatten().map(step).collect::<Vec<_>>();
    let leaf = vec(simple(), 1..5).prop_map(flat);
    leaf.prop_recursive(3, 40, 4, |inner| {
        prop_oneof![
            (1_u32..=3, inner.clone()).prop_map(|(times, steps)| vec![step(StepAction::Repeat { times, steps })]),
            (duration(), range(), vec((1_u32..=1_000, inner), 1..4)).prop_map(|(lasting, every, choices)| {
                let choices = choices.into_iter().map(|(weight, steps)| Choice { weight, steps }).collect();
                vec![step(StepAction::Random { lasting, every, choices })]
            }),
        ]
    })
}

/// Numbers the steps in reading order and gives each a place of its own.
fn number(steps: &mut [Step], next: &mut usize, file: &str) {
    for step in steps {
        step.number = *next;
        step.place = SourcePlace { file: file.to_owned(), line: *next + 1, column: 2 * *next + 1 };
        *next += 1;
        match &mut step.action {
            StepAction::Repeat { steps, .. } => number(steps, next, file),
            StepAction::Random { choices, .. } => {
                choices.iter_mut().for_each(|choice| number(&mut choice.steps, next, file));
            }
            StepAction::Fault { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_) => {}
        }
    }
}

fn plan() -> impl Strategy<Value = FaultPlan> {
    let file = prop_oneof![Just("faults/a: b.yaml".to_owned()), Just("C:\\plans\\x.yaml".to_owned()), name()];
    (name(), text(), steps(), file).prop_map(|(name, about, mut steps, file)| {
        number(&mut steps, &mut 0, &file);
        FaultPlan { name, about: about.trim().to_owned(), steps }
    })
}

fn raft() -> impl Strategy<Value = RaftOptions> {
    let read =
        prop_oneof![Just(ReadConsistency::Linearizable), Just(ReadConsistency::Local), Just(ReadConsistency::Lease)];
    let program = option::of(text().prop_filter("a program has a name", |text| !text.is_empty()));
    let specimen = option::of("[a-z0-9-]{1,20}");
    (program, duration(), range(), any::<[bool; 4]>(), read, duration(), specimen, vec(text(), 0..4)).prop_map(
        |(program, heartbeat, above, flags, read, request_timeout, specimen, arguments)| RaftOptions {
            program: program.map(PathBuf::from),
            election_timeout: DurationRange { min: heartbeat + above.min, max: heartbeat + above.max },
            heartbeat,
            pre_vote: flags[0],
            check_quorum: flags[1],
            stickiness: flags[2],
            lease_reads: flags[3] || read == ReadConsistency::Lease,
            read,
            request_timeout,
            specimen,
            arguments,
        },
    )
}

fn clients() -> impl Strategy<Value = Vec<Clients>> {
    let rate = || prop_oneof![0.001_f64..100_000.0, (1_u32..1_000).prop_map(f64::from)];
    let common = || (1_usize..=1_000, rate(), 1_usize..=64, any::<bool>(), duration());
    let clients = |(keys, rate_per_second, roaming, pinned, timeout), work| Clients {
        work,
        keys,
        rate_per_second,
        roaming,
        pinned,
        timeout,
    };
    let register = (common(), 0_u32..=1_000, 1_u32..=1_000)
        .prop_map(move |(common, read, write)| clients(common, Work::Register(Mix { read, write, cas: read / 2 })));
    let set = (common(), 0_u32..1_000_000)
        .prop_map(move |(common, reads_millionths)| clients(common, Work::Set { reads_millionths }));
    let lock = (1_usize..=100, 1_usize..=64, range(), 0_u32..=1_000, any::<bool>(), duration()).prop_map(
        |(keys, roaming, hold, accesses, fencing, timeout)| {
            let work = Work::Lock(LockWork { hold, accesses, fencing });
            Clients { work, keys, roaming, timeout, ..Clients::of_lock() }
        },
    );
    let election = (1_usize..=64, range(), duration()).prop_map(|(roaming, hold, timeout)| {
        let work = Work::Election { hold };
        Clients { work, roaming, timeout, ..Clients::of_election() }
    });
    (register, set, lock, election, 0_u8..5).prop_map(|(register, set, lock, election, which)| match which {
        0 => vec![register],
        1 => vec![set],
        2 => vec![set, register],
        3 => vec![lock, register],
        _ => vec![election, set, lock],
    })
}

fn checks() -> impl Strategy<Value = Vec<Check>> {
    (duration(), duration(), 1_usize..=12).prop_map(|(within, later, count)| {
        let all = [
            Check::BoundedReelection { within },
            Check::Linearizable,
            Check::NoStaleLeaderAfterHeal { within: later },
            Check::ElectionSafety,
            Check::NoAcknowledgedWriteLost,
            Check::TermMonotonic,
            Check::ExclusiveAccess,
            Check::MutualExclusion,
            Check::Fencing,
            Check::ReplicasAgree,
            Check::Recovers { within },
            Check::OneLeaderAtATime { overlap: within },
        ];
        all[..count].to_vec()
    })
}

fn workload() -> impl Strategy<Value = Workload> {
    let head = (name(), text(), raft(), option::of(any::<u64>()), any::<bool>());
    let times = (poll(), poll(), duration(), duration());
    (head, times, clients(), plan(), checks()).prop_map(
        |((name, about, raft, seed, iptables), (every, timeout, start_within, settle), clients, faults, checks)| {
            Workload {
                name,
                about: about.trim().to_owned(),
                system: System::Raft(raft),
                nodes: 5,
                seed: seed.map(Seed),
                filter: if iptables { Filter::Iptables } else { Filter::Nftables },
                observe: Observe { every, timeout },
                clients,
                faults,
                expect_violations: checks.iter().copied().step_by(2).filter(|_| iptables).collect(),
                checks,
                expect: Vec::new(),
                start_within,
                settle,
                limit: Duration::from_secs(24 * 3_600),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_loads_to_an_equal_workload(workload in workload()) {
        let yaml = resolved_yaml(&workload);
        let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
        let source = Source { name: "plan.yaml".to_owned(), text: yaml.clone() };
        match load_source(source, &[], &nothing) {
            Ok(loaded) => prop_assert_eq!(loaded.workload, workload),
            Err(errors) => prop_assert!(false, "{}\n{}", errors, yaml),
        }
    }
}
