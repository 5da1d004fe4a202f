//! Property: any workload that could have been loaded is written by `resolved_yaml` so that it loads to an equal one.
//!
//! The workloads here are made, not parsed: texts with anything in them, durations of every grain, steps nested in loops.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use chaos_history::{NodeId, Seed, SourcePlace};
use chaos_plan::{
    Awaited, CallFault, Check, Choice, Clients, ClockFault, ClockWay, Condition, CutMode, Damage, DiskFailure,
    DiskFault, Distribution, DropMode, DurationRange, Fault, FaultPlan, FileSystem, Filter, HealMode, Hindrance, Hold,
    Jitter, Keep, KillSignal, LeaderChange, Limit, LinkConditions, LinkSelector, LockWork, Loss, Mix, Network, Observe,
    Partition, Phase, ProcessTarget, RaftOptions, ReadConsistency, Reorder, Source, Step, StepAction, Stop, System,
    Target, TermMark, Until, Ways, Work, Workload, load_source, resolved_yaml,
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
        (1_u16..=4).prop_map(|last| { Target::AllBut(Box::new(Target::Nodes((1..=last).map(NodeId::new).collect()))) }),
        Just(Target::AllBut(Box::new(Target::MinorityWithLeader))),
        // The first step of every plan here has it.
        Just(Target::Named("first".to_owned())),
    ]
}

fn links() -> impl Strategy<Value = Vec<LinkSelector>> {
    // A link names one node or one word on each side, and no node stands on both.
    let suits = |(from, to, _): &(Target, Target, bool)| {
        let known = |target: &Target| matches!(target, Target::Nodes(_) | Target::All | Target::AllBut(_));
        let several = |target: &Target| matches!(target, Target::Nodes(nodes) if nodes.len() > 1);
        let both_known = known(from) && known(to);
        !(from == to || both_known || several(from) || several(to))
    };
    let link = (target(), target(), any::<bool>()).prop_filter("no node is on both ends", suits);
    let link =
        link.prop_map(|(from, to, both)| LinkSelector { from, to, ways: if both { Ways::Both } else { Ways::One } });
    vec(link, 1..4)
}

fn phase() -> impl Strategy<Value = Phase> {
    prop_oneof![3 => Just(Phase::Drawn), 1 => Just(Phase::AtOnce), 1 => range().prop_map(Phase::Offset)]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        prop_oneof![Just(LeaderChange::Elected), Just(LeaderChange::Another), Just(LeaderChange::Lost)]
            .prop_map(Condition::Leader),
        Just(Condition::VoteGranted),
        (1_u64..1_000).prop_map(|term| Condition::Term(TermMark::At(term))),
        (1_u64..1_000).prop_map(|terms| Condition::Term(TermMark::Later(terms))),
        (1_u64..1_000_000).prop_map(Condition::Operations),
    ]
}

/// What begins with something else has no drawn phase, and in a `together` none of its own.
fn begin_at_once(steps: &mut [Step], together: bool) {
    let first = steps.first_mut().map(|step| &mut step.action);
    if let Some(StepAction::Fault { phase, .. } | StepAction::Together { phase, .. }) = first
        && (together || *phase == Phase::Drawn)
    {
        *phase = Phase::AtOnce;
    }
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
        links().prop_map(Partition::Cut),
        (1_u16..=5).prop_map(|node| Partition::Bridge(Target::Nodes(vec![NodeId::new(node)]))),
    ]
}

fn process() -> impl Strategy<Value = Option<ProcessTarget>> {
    option::of(proptest::bool::ANY.prop_map(|with_children| ProcessTarget { name: "node".to_owned(), with_children }))
}

/// In boxes, or the strategy of a whole plan would outgrow the stack.
fn fault() -> BoxedStrategy<Fault> {
    let signal = (0..KillSignal::ALL.len()).prop_map(|index| KillSignal::ALL[index]);
    prop_oneof![
        (target(), process(), signal).prop_map(|(target, process, signal)| Fault::Kill { target, process, signal }),
        (target(), process()).prop_map(|(target, process)| Fault::Pause { target, process }),
        (partition(), cut_mode()).prop_map(|(shape, mode)| Fault::Partition(shape, mode)),
        (links(), conditions()).prop_map(|(links, conditions)| Fault::Link { links, conditions }),
        target().prop_map(|target| Fault::FreezeHost { target }),
        (target(), range(), range()).prop_map(|(target, up, down)| Fault::CrashLoop { target, up, down }),
        (target(), proptest::bool::ANY).prop_map(|(target, random)| {
            let keep = if random { Keep::Random } else { Keep::Synced };
            // All power losses of a plan are of the same.
            Fault::PowerLoss { target, keep, file_system: FileSystem::Posix }
        }),
        (target(), "[a-zé*?\"' -]{1,8}[.]log", damage()).prop_map(|(target, file, damage)| Fault::CorruptFile {
            target,
            file,
            damage
        }),
        (target(), hindrance()).prop_map(|(target, how)| Fault::Hinder { target, how }),
        option::of(1_u16..=5).prop_map(|to| Fault::Transfer { to: to.map(|to| Target::Nodes(vec![NodeId::new(to)])) }),
        (1_u16..=5).prop_map(|node| Fault::RemoveMember { target: Target::Nodes(vec![NodeId::new(node)]) }),
    ]
    // On the heap: a test's stack has no room for several of these, each inside of the next.
    .boxed()
}

fn cut_mode() -> impl Strategy<Value = CutMode> {
    (0..3_usize, 0..3_usize)
        .prop_map(|(drop, heal)| CutMode { drop: DropMode::ALL[drop].0, heal: HealMode::ALL[heal].0 })
        .prop_filter("only what is lost is sent again", |mode| {
            mode.heal != HealMode::Kick || mode.drop == DropMode::Lose
        })
}

/// At least a delay, and whatever else.
fn conditions() -> impl Strategy<Value = LinkConditions> {
    let time = || (1_u64..60_000_000_000).prop_map(Duration::from_nanos);
    let share = || 1_u32..1_000_000;
    let jitter = (time(), 0..3_usize).prop_map(|(by, like)| Jitter { by, like: Distribution::ALL[like].0 });
    let loss = (share(), 1_u32..=1_000).prop_map(|(share_millionths, burst)| Loss { share_millionths, burst });
    let reorder = (share(), time()).prop_map(|(share_millionths, by)| Reorder { share_millionths, by });
    let shares = (0_u32..1_000_000, 0_u32..1_000_000);
    (time(), option::of(jitter), option::of(loss), option::of(reorder), shares, option::of(8_u64..)).prop_map(
        |(delay, jitter, loss, reorder, (duplicate_millionths, corrupt_millionths), bits_per_second)| LinkConditions {
            delay,
            jitter,
            loss,
            duplicate_millionths,
            reorder,
            corrupt_millionths,
            bits_per_second,
        },
    )
}

fn hindrance() -> BoxedStrategy<Hindrance> {
    prop_oneof![
        (100_u64..1_000_000, 1_u64..1_000_000).prop_map(|(run, more)| {
            let (run, every) = (Duration::from_micros(run), Duration::from_micros(run + more));
            Hindrance::Slow { run, every }
        }),
        (20_000_u32..=500_000).prop_map(|share_millionths| Hindrance::Starve { share_millionths }),
        (1_u64..=1 << 20).prop_map(|count| Hindrance::Limit(Limit::OpenFiles(count))),
        any::<u64>().prop_map(|more_bytes| Hindrance::Limit(Limit::Memory { more_bytes })),
        clock().prop_map(Hindrance::Clock),
        (call(), call())
            .prop_filter("nothing is wrong", |both| *both != Default::default())
            .prop_map(|(sync, write)| Hindrance::Disk(DiskFault { sync, write })),
    ]
    .boxed()
}

fn call() -> impl Strategy<Value = CallFault> {
    let delay = prop_oneof![Just(Duration::ZERO), duration()];
    let failure = option::of((0..DiskFailure::ALL.len()).prop_map(|index| DiskFailure::ALL[index]));
    (delay, failure).prop_map(|(delay, failure)| CallFault { delay, failure })
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![(1_u32..=1_000).prop_map(Damage::FlipBits), (1_u64..).prop_map(|bytes| Damage::Truncate { bytes }),]
}

/// A fault that ends like this, unless it is over at once.
fn held(fault: Fault, hold: Hold, phase: Phase) -> StepAction {
    let at_once = Hold::For(DurationRange { min: Duration::ZERO, max: Duration::ZERO });
    let hold = if matches!(fault, Fault::CorruptFile { .. } | Fault::Transfer { .. }) { at_once } else { hold };
    StepAction::Fault { fault, hold, phase, name: None }
}

fn clock() -> impl Strategy<Value = ClockFault> {
    let by_ns = || prop_oneof![-1_000_000_000_000_i64..=-1, 1_i64..=1_000_000_000_000];
    prop_oneof![
        by_ns().prop_map(|by_ns| ClockFault::Jump { by_ns }),
        // All rates of a plan are for the same clocks.
        (1_000_001_u32..=64_000_000).prop_map(|millionths| ClockFault::Rate { millionths, monotonic: true }),
        (by_ns(), 100_u64..1_000_000)
            .prop_map(|(by_ns, micros)| ClockFault::Strobe { by_ns, every: Duration::from_micros(micros) }),
    ]
}

/// What may be undone, right after what it undoes; where no step undoes it, with an end of its own.
fn open_and_undone() -> impl Strategy<Value = Vec<StepAction>> {
    let some = || option::of(target().prop_filter("all is written as nothing", |target| *target != Target::All));
    (fault(), some()).prop_map(|(fault, target)| {
        let undo = match &fault {
            Fault::Kill { .. } => StepAction::Restart { target },
            Fault::Pause { .. } => StepAction::Resume { target },
            Fault::Partition(..) => StepAction::Heal,
            Fault::Link { .. }
            | Fault::FreezeHost { .. }
            | Fault::CrashLoop { .. }
            | Fault::PowerLoss { .. }
            | Fault::CorruptFile { .. }
            | Fault::Transfer { .. }
            | Fault::RemoveMember { .. }
            | Fault::Hinder { .. } => {
                let second = Duration::from_secs(1);
                let hold = Hold::For(DurationRange { min: second, max: second });
                return vec![held(fault, hold, Phase::Drawn)];
            }
        };
        vec![StepAction::Fault { fault, hold: Hold::Open, phase: Phase::Drawn, name: None }, undo]
    })
}

fn simple() -> impl Strategy<Value = Vec<StepAction>> {
    prop_oneof![
        (fault(), range(), phase()).prop_map(|(fault, range, phase)| { vec![held(fault, Hold::For(range), phase)] }),
        (fault(), duration(), duration())
            .prop_map(|(fault, plus, within)| { vec![held(fault, Hold::Until(Until { plus, within }), Phase::Drawn)] }),
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
            (1_u32..=3, option::of((condition(), option::of(duration()))), inner.clone()).prop_map(
                |(times, until, steps)| {
                    let until = until.map(|(condition, within)| Stop { condition, within });
                    vec![step(StepAction::Repeat { times, until, steps })]
                }
            ),
            (condition(), option::of(range()), duration(), option::of(inner.clone())).prop_map(
                |(condition, after, within, steps)| {
                    let after = after.unwrap_or(DurationRange { min: Duration::ZERO, max: Duration::ZERO });
                    let mut steps = steps.unwrap_or_default();
                    begin_at_once(&mut steps, false);
                    vec![step(StepAction::On { condition, after, within, steps })]
                }
            ),
            (phase(), vec(inner.clone(), 2..4)).prop_map(|(phase, mut branches)| {
                branches.iter_mut().for_each(|steps| begin_at_once(steps, true));
                vec![step(StepAction::Together { phase, branches })]
            }),
            (duration(), range(), option::of(1_u32..=1_000_000), vec((1_u32..=1_000, inner), 1..4)).prop_map(
                |(lasting, every, swarm_millionths, choices)| {
                    let choices = choices.into_iter().map(|(weight, steps)| Choice { weight, steps }).collect();
                    vec![step(StepAction::Random { lasting, every, swarm_millionths, choices })]
                }
            ),
        ]
    })
}

/// Numbers the steps in reading order and gives each a place of its own.
fn number(steps: &mut [Step], next: &mut usize, file: &str) {
    for step in steps {
        step.number = *next;
        step.place = SourcePlace { file: file.to_owned(), line: *next + 1, column: 2 * *next + 1 };
        *next += 1;
        step.action.nested_mut().into_iter().for_each(|steps| number(steps, next, file));
    }
}

fn plan() -> impl Strategy<Value = FaultPlan> {
    let file = prop_oneof![Just("faults/a: b.yaml".to_owned()), Just("C:\\plans\\x.yaml".to_owned()), name()];
    (name(), text(), phase(), steps(), file).prop_map(|(name, about, phase, mut steps, file)| {
        let range = DurationRange { min: Duration::from_millis(1), max: Duration::from_millis(2) };
        let fault = Fault::Pause { target: Target::Random, process: None };
        let hold = Hold::For(range);
        steps.insert(0, step(StepAction::Fault { fault, hold, phase, name: Some("first".to_owned()) }));
        number(&mut steps, &mut 0, &file);
        FaultPlan { name, about: about.trim().to_owned(), steps }
    })
}

fn raft() -> impl Strategy<Value = RaftOptions> {
    (raft_node(), vec((raft_node(), 0..5_usize), 0..3)).prop_map(|(all, others)| {
        let own = |(own, index): (RaftOptions, usize)| {
            // What is all nodes' alone, and what a node can't take back.
            let program = own.program.clone().or_else(|| all.program.clone());
            let lease_reads = own.lease_reads || all.read == ReadConsistency::Lease;
            (NodeId::from_index(index), RaftOptions { read: all.read, record: all.record, lease_reads, program, ..own })
        };
        RaftOptions { nodes: others.into_iter().map(own).collect(), ..all.clone() }
    })
}

fn raft_node() -> impl Strategy<Value = RaftOptions> {
    let read =
        prop_oneof![Just(ReadConsistency::Linearizable), Just(ReadConsistency::Local), Just(ReadConsistency::Lease)];
    let program = option::of(text().prop_filter("a program has a name", |text| !text.is_empty()));
    let specimen = option::of("[a-z0-9-]{5,20}");
    (program, duration(), range(), any::<[bool; 5]>(), read, duration(), specimen, vec(text(), 0..4)).prop_map(
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
            record: flags[4],
            nodes: BTreeMap::new(),
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
                // That one only cuts.
                network: match (iptables, faults.steps.is_empty(), seed) {
                    (true, true, Some(_)) => Network::Namespaces { filter: Filter::Iptables },
                    (true, true, None) => Network::Proxy,
                    (true, false, _) | (false, _, _) => Network::default(),
                },
                capture: iptables,
                clocks: if start_within.as_nanos() % 2 == 0 {
                    ClockWay::Libfaketime { library: Some("/opt/lib: x".into()) }
                } else {
                    ClockWay::Vdso
                },
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
