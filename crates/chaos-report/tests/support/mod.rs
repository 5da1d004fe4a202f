//! A made-up but lawful run: five nodes, a leader that is killed, paused and cut off in turn, clients that never stop asking.
//! Times follow a small generator with a fixed seed, so that the same run comes out for ever.

#![expect(clippy::unwrap_used, reason = "made-up runs have the parts that they are made of, and small numbers")]

use std::collections::BTreeMap;

use chaos_check::linear::picture::{Bar, Picture, Place};
use chaos_check::{Outcome, Property, Verdict, Witness};
use chaos_failover::{Figure, Judgement, Timing, analyse};
use chaos_history::{
    Action, Belief, ClientRole, ElectionRole, Event, FaultEdge, FaultEvent, FaultId, FaultKind, Header, History,
    Impact, Link, Mark, NodeEvent, NodeId, NodeLife, NoteEvent, Observation, ObservationOutcome, ObservationSource,
    OpEvent, OpId, OpPhase, OpResult, ProcessId, Recorded, RunNanos, Seed, SourcePlace, Stamps, Term, Value,
};
use chaos_report::{ExpectationResult, Fact, Input, Report};

pub(crate) const NODES: u16 = 5;
const MS: u64 = 1_000_000;

/// How the cluster stands from one moment on.
#[derive(Clone, Copy)]
struct Reign {
    from: u64,
    leader: Option<u16>,
    term: u64,
    /// Who campaigns, while there is no leader.
    candidate: Option<u16>,
}

/// One fault: from, to, kind, victim.
type Broken = (u64, u64, FaultKind, u16);

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The run, with so many faults (4 s apart) and so many operations a second.
pub(crate) fn history(faults: u64, rate: u64) -> History {
    let mut draw = Draw(7);
    let (mut reigns, mut broken) = (vec![Reign { from: 0, leader: Some(2), term: 1, candidate: None }], Vec::new());
    for index in 0..faults {
        let at = (4000 * index + 3000) * MS + draw.below(40 * MS);
        let last = *reigns.last().unwrap();
        let victim = last.leader.unwrap();
        let kind = [FaultKind::Kill, FaultKind::Pause, FaultKind::Partition][usize::try_from(index % 3).unwrap()];
        let next = victim % NODES + 1;
        let detected = at + 110 * MS + draw.below(60 * MS);
        let split = index % 7 == 5;
        let elected = detected + (4 + 200 * u64::from(split)) * MS + draw.below(20 * MS);
        let term = last.term + 1 + u64::from(split);
        reigns.push(Reign { from: detected, leader: None, term, candidate: Some(next) });
        reigns.push(Reign { from: elected, leader: Some(next), term, candidate: None });
        broken.push((at, at + 1500 * MS, kind, victim));
    }
    let end = (4000 * faults + 3000) * MS;
    let mut events = vec![(0, note(Mark::LoadBegin)), (end - 50 * MS, note(Mark::LoadEnd))];
    observe(&mut events, &reigns, &broken, end);
    break_things(&mut events, &reigns, &broken);
    ask(&mut events, &reigns, &broken, end - 100 * MS, rate, &mut draw);
    events.sort_by_key(|(at, _)| *at);
    let record = |(index, (at, event))| Recorded { line: index + 2, at: RunNanos(at), event };
    History { header: header(), events: events.into_iter().enumerate().map(record).collect(), torn: false }
}

fn header() -> Header {
    Header {
        chaos_history: 1,
        simulated: None,
        workload: "partition".to_owned(),
        system: "raft".to_owned(),
        nodes: usize::from(NODES),
        seed: Seed(7),
        started: "2026-11-21T02:48:11Z".to_owned(),
        chaos: "0.1.0".to_owned(),
        testimony: chaos_history::Testimony::default(),
    }
}

fn note(mark: Mark) -> Event {
    Event::Note(NoteEvent { mark: Some(mark), text: String::new() })
}

fn hit(broken: &[Broken], node: u16, at: u64) -> Option<FaultKind> {
    broken.iter().find(|(from, to, _, victim)| *from <= at && at < *to && *victim == node).map(|(_, _, kind, _)| *kind)
}

fn reign(reigns: &[Reign], at: u64) -> Reign {
    *reigns.iter().rev().find(|reign| reign.from <= at).unwrap()
}

/// What a node says: a victim of a cut goes on to believe what it believed, for 300 ms as leader.
fn belief(reigns: &[Reign], broken: &[Broken], node: u16, at: u64) -> Option<Belief> {
    let fault = broken.iter().find(|(from, to, _, victim)| *from <= at && at < *to && *victim == node);
    let seen = match fault.map(|(from, _, kind, _)| (from, kind.impact())) {
        Some((_, Impact::Ends | Impact::Stops)) => return None,
        Some((from, Impact::Spares)) if at < from + 300 * MS => reign(reigns, from - 1),
        Some((from, Impact::Spares)) => Reign { leader: None, ..reign(reigns, from - 1) },
        Some((_, Impact::Hinders)) | None => reign(reigns, at),
    };
    let role = match seen {
        Reign { leader: Some(leader), .. } if leader == node => ElectionRole::Leader,
        Reign { candidate: Some(candidate), .. } if candidate == node => ElectionRole::Candidate,
        Reign { .. } => ElectionRole::Follower,
    };
    let leader = seen.leader.map(NodeId::new);
    Some(Belief { term: Term(seen.term), role, leader, voted_for: None, commit: None, lease_remaining_ns: None })
}

fn observe(events: &mut Vec<(u64, Event)>, reigns: &[Reign], broken: &[Broken], end: u64) {
    for tick in 0..end / (10 * MS) {
        for number in 1..=NODES {
            let sent = tick * 10 * MS + u64::from(number) * MS / 2;
            let received = sent + MS / 3;
            let outcome = match belief(reigns, broken, number, sent) {
                Some(belief) => ObservationOutcome::Answered(belief),
                None => ObservationOutcome::Silent("timed out".to_owned()),
            };
            let (sent, received_at) = (RunNanos(sent), RunNanos(received));
            let (node, source) = (NodeId::new(number), ObservationSource::Poll);
            let seen = Observation { node, incarnation: 1, source, sent, received: received_at, outcome };
            events.push((received, Event::Observation(seen)));
        }
    }
}

fn break_things(events: &mut Vec<(u64, Event)>, reigns: &[Reign], broken: &[Broken]) {
    for (index, (from, to, kind, victim)) in broken.iter().enumerate() {
        let node = NodeId::new(*victim);
        let label =
            if *kind == FaultKind::Partition { "isolate leader".to_owned() } else { format!("{} leader", kind.name()) };
        let others = NodeId::all(usize::from(NODES)).filter(|other| *other != node);
        let links = others.flat_map(|other| [Link { from: node, to: other }, Link { from: other, to: node }]);
        let links: Vec<Link> = if *kind == FaultKind::Partition { links.collect() } else { Vec::new() };
        let ruled = reign(reigns, *from);
        for (at, edge) in [(*from, FaultEdge::Begin), (*to, FaultEdge::End)] {
            let effect = RunNanos(at);
            let before = RunNanos(at - 60_000);
            let stamps = Stamps { scheduled: before, call_begin: before, call_end: effect, effect: Some(effect) };
            let fault = FaultEvent {
                process: None,
                id: FaultId(u32::try_from(index + 1).unwrap()),
                edge,
                kind: *kind,
                label: label.clone(),
                nodes: vec![node],
                links: links.clone(),
                leader: ruled.leader.map(|leader| (NodeId::new(leader), Term(ruled.term))),
                stamps,
                source: Some(SourcePlace { file: "faults/mixed.yaml".to_owned(), line: 8, column: 9 }),
                error: None,
            };
            events.push((at, Event::Fault(fault)));
        }
        if *kind == FaultKind::Kill {
            let life = |life| Event::Node(NodeEvent { node, incarnation: 1, life });
            events.push((*from, life(NodeLife::Exited { code: None, signal: Some(9), expected: true })));
            events.push((*to, life(NodeLife::Started { pid: 7 })));
        }
    }
}

/// Roaming clients reach whoever leads; every tenth operation belongs to a client that stays with a node.
fn ask(events: &mut Vec<(u64, Event)>, reigns: &[Reign], broken: &[Broken], end: u64, rate: u64, draw: &mut Draw) {
    let every = 1000 * MS / rate;
    for id in 0..end / every {
        let due = id * every;
        let ruled = reign(reigns, due);
        let pinned = id % 10 == 0;
        let number = if pinned { u16::try_from(id / 10 % 5).unwrap() + 1 } else { ruled.leader.unwrap_or(1) };
        let (role, node) = (if pinned { ClientRole::Pinned } else { ClientRole::Roaming }, NodeId::new(number));
        let (key, value) = ("k0".to_owned(), Value(id));
        let (action, result) = if id % 3 == 0 {
            (Action::Write { key, value }, OpResult::Written { revision: None })
        } else {
            (Action::Read { key }, OpResult::Read { value: None, revision: None })
        };
        let latency = 400_000 + draw.below(900_000) + if draw.below(50) == 0 { draw.below(30 * MS) } else { 0 };
        let (phase, latency) = match hit(broken, number, due).map(FaultKind::impact) {
            None | Some(Impact::Hinders) if ruled.leader == Some(number) => (OpPhase::Ok(result), latency),
            None | Some(Impact::Hinders) => (OpPhase::Fail { error: "not the leader".to_owned() }, latency / 2),
            Some(Impact::Ends) => (OpPhase::Fail { error: "connection refused".to_owned() }, latency / 3),
            Some(Impact::Stops | Impact::Spares) => (OpPhase::Info { error: "timed out".to_owned() }, 400 * MS),
        };
        let event = |phase| Event::Op(OpEvent { id: OpId(id), process: ProcessId(id), node, phase });
        events.push((due, event(OpPhase::Invoke { role, due: RunNanos(due), action })));
        events.push((due + latency, event(phase)));
    }
}

pub(crate) fn timing() -> Timing {
    let ms = std::time::Duration::from_millis;
    Timing {
        nodes: usize::from(NODES),
        election_timeout_min: ms(150),
        election_timeout_max: ms(300),
        heartbeat: ms(40),
        pre_vote: true,
        rtt: ms(0) + std::time::Duration::from_micros(80),
        fsync: std::time::Duration::from_micros(300),
        mixed: false,
    }
}

pub(crate) fn valid(property: Property) -> Outcome {
    let basis = "terms 1–23, 61,204 observations".to_owned();
    Outcome { property, verdict: Verdict::Valid, basis }
}

/// Two leaders in one term, in words that try to break out of the page.
pub(crate) fn invalid(sentence: &str, step: &str) -> Outcome {
    let witness = Witness {
        sentence: sentence.to_owned(),
        lines: vec![12, 17],
        steps: vec!["line 12: n3 says that it leads term 8".to_owned(), step.to_owned()],
        at: RunNanos(11_604_000_000),
        nodes: vec![NodeId::new(3), NodeId::new(5)],
        picture: None,
    };
    let basis = "terms 1–23, 61,204 observations".to_owned();
    Outcome { property: Property::ElectionSafety, verdict: Verdict::Invalid(witness), basis }
}

/// A stale read by `who`, a write of unknown outcome, and where the old value came from.
pub(crate) fn drawn_witness(who: &str) -> Picture {
    let bar = |lane: &str, label: &str, (begin, end): (usize, Option<usize>), place: Place| Bar {
        lane: lane.to_owned(),
        label: label.to_owned(),
        begin,
        end,
        asked: format!("{}.204s", begin + 1),
        answered: end.map(|end| format!("{}.210s", end + 1)),
        place,
    };
    let bars = vec![
        bar("n1", "write 7", (0, Some(1)), Place::Background),
        bar("n1", "write 9", (2, Some(5)), Place::At { number: 1, after: 2 }),
        bar("n3", "write 11", (3, None), Place::At { number: 2, after: 3 }),
        bar("n3", "read 11", (4, Some(6)), Place::At { number: 3, after: 4 }),
        bar(who, "read 7", (7, Some(8)), Place::Culprit),
        bar("n4", "write 12", (7, None), Place::Left),
    ];
    Picture { instants: 9, bars, omitted: 0 }
}

/// A report of such a run.
pub(crate) fn report(history: &History, outcomes: &[Outcome], about: &str, lines: &BTreeMap<usize, String>) -> Report {
    Report::new(input(history, outcomes, about, lines))
}

/// What it is made of.
pub(crate) fn input<'a>(
    history: &'a History,
    outcomes: &'a [Outcome],
    about: &'a str,
    lines: &'a BTreeMap<usize, String>,
) -> Input<'a> {
    Input {
        header: &history.header,
        specimen: None,
        about,
        fault_plan: "mixed",
        plan: "name: partition\nnodes: 5\nseed: 7\n",
        command: "chaos run workloads/partition.yaml --seed 7",
        directory: "reports/partition/20261121T024811-7",
        cut_short: None,
        outcomes,
        lines,
        analysis: analyse(history, Some(&timing())),
        expected_violations: &[],
        expectations: vec![ExpectationResult {
            text: "failover.writable.max < 1500ms".to_owned(),
            judgement: Judgement::Met { value: Figure::TimeNs(412 * MS) },
            source: None,
        }],
        host: vec![Fact { name: "kernel".to_owned(), value: "6.8.0".to_owned() }],
    }
}
