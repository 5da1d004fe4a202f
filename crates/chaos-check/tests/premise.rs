//! Who was up and connected, read from faults and node life, and how outcomes sum up.

use std::path::Path;
use std::time::Duration;

use chaos_check::{Budget, Outcome, Overall, Property, Topology, Verdict, check, overall};
use chaos_history::{
    Event, FaultEdge, FaultEvent, FaultKind, History, Impact, Link, NodeEvent, NodeId, NodeLife, Recorded, RunNanos,
};

const MS: u64 = 1_000_000;

fn read(name: &str) -> History {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories").join(name).with_extension("jsonl");
    History::read(&path).expect("a committed history reads")
}

#[test]
fn a_partition_splits_the_run_at_its_call_and_at_its_effect() {
    let topology = Topology::of(&read("reelection-in-time-valid"));
    let epochs: Vec<(u64, u64, Option<usize>, usize)> = topology
        .epochs
        .iter()
        .skip_while(|epoch| epoch.usable.len() < 3)
        .map(|epoch| {
            let clique = epoch.majority_clique(topology.nodes).map_or(0, |clique| clique.len());
            (epoch.from.0 / MS, epoch.to.0 / MS, Some(epoch.faults), clique)
        })
        .collect();
    assert_eq!(
        epochs,
        [
            (13, 50, Some(0), 3),
            (50, 51, Some(1), 2),
            (51, 250, Some(1), 2),
            (250, 251, Some(1), 2),
            (251, 500, Some(0), 3),
        ]
    );
    assert!(topology.epochs.windows(2).all(|pair| pair[0].to == pair[1].from), "no gaps");
}

#[test]
fn a_killed_node_is_not_usable_from_the_call_on() {
    let topology = Topology::of(&read("reelection-of-the-living-after-kill-invalid"));
    let usable_at = |at: u64| {
        let epoch = topology.epochs.iter().find(|epoch| epoch.from <= RunNanos(at) && RunNanos(at) < epoch.to).unwrap();
        epoch.usable.contains(&NodeId::new(1))
    };
    assert!(!usable_at(5 * MS), "started, not yet ready");
    assert!(usable_at(30 * MS));
    assert!(!usable_at(50 * MS));
    assert!(!usable_at(200 * MS));
}

/// The same history, in which somebody else is hit by the fault, or something more happens.
fn altered(alter: impl Fn(&mut Vec<Recorded>)) -> History {
    let mut history = read("reelection-of-the-living-after-kill-invalid");
    // Without the node's own end, only the fault tells that there is something about it.
    history.events.retain(|recorded| match &recorded.event {
        Event::Node(node) => !matches!(node.life, NodeLife::Exited { .. }),
        Event::Op(_)
        | Event::Observation(_)
        | Event::Fault(_)
        | Event::Stall(_)
        | Event::Note(_)
        | Event::Replica(_)
        | Event::View(_) => true,
    });
    alter(&mut history.events);
    history.events.sort_by_key(|recorded| recorded.at);
    history
}

fn fault_of(events: &mut [Recorded]) -> &mut FaultEvent {
    let fault = events.iter_mut().find_map(|recorded| match &mut recorded.event {
        Event::Fault(fault) => Some(fault),
        Event::Op(_)
        | Event::Observation(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Note(_)
        | Event::Replica(_)
        | Event::View(_) => None,
    });
    fault.expect("the history has a fault")
}

fn life(ms: u64, number: u16, life: NodeLife) -> Recorded {
    let event = Event::Node(NodeEvent { node: NodeId::new(number), incarnation: 1, life });
    Recorded { line: 100, at: RunNanos(ms * MS), event }
}

fn usable(history: &History, ms: u64) -> Vec<u16> {
    let at = RunNanos(ms * MS);
    let topology = Topology::of(history);
    let epoch = topology.epochs.iter().find(|epoch| epoch.from <= at && at < epoch.to).expect("epochs have no gaps");
    epoch.usable.iter().map(|node| node.number()).collect()
}

#[test]
fn a_node_that_is_hindered_or_of_which_one_process_is_hit_is_nobodys_premise_and_is_not_down() {
    let of_process = [FaultKind::Kill, FaultKind::Pause].map(|kind| (kind, Some("agent".to_owned())));
    let hinders = FaultKind::ALL.into_iter().filter(|kind| kind.impact() == Impact::Hinders);
    for (kind, process) in of_process.into_iter().chain(hinders.map(|kind| (kind, None))) {
        let history = altered(|events| {
            let fault = fault_of(events);
            (fault.kind, fault.process) = (kind, process.clone());
            let mut end = fault.clone();
            (end.edge, end.stamps.call_begin, end.stamps.effect) =
                (FaultEdge::End, RunNanos(150 * MS), Some(RunNanos(160 * MS)));
            events.push(Recorded { line: 100, at: RunNanos(150 * MS), event: Event::Fault(end) });
        });
        assert_eq!((usable(&history, 40), usable(&history, 100)), (vec![1, 2, 3], vec![2, 3]), "{kind:?}");
        assert_eq!((usable(&history, 155), usable(&history, 165)), (vec![2, 3], vec![1, 2, 3]), "up all the while");
    }
}

#[test]
fn a_node_that_has_lost_a_process_is_nobodys_premise_until_it_is_back() {
    let process = || "agent".to_owned();
    let history = altered(|events| {
        events.retain(|recorded| !matches!(recorded.event, Event::Fault(_)));
        let exited = NodeLife::ProcessExited { process: process(), code: Some(1), signal: None, expected: false };
        events.push(life(60, 2, exited));
        events.push(life(120, 2, NodeLife::ProcessStarted { process: process(), pid: 9 }));
    });
    let seen: Vec<Vec<u16>> = [40, 100, 140].map(|ms| usable(&history, ms)).into();
    assert_eq!(seen, [vec![1, 2, 3], vec![1, 3], vec![1, 2, 3]]);
}

#[test]
fn nodes_without_their_service_nodes_are_nobodys_premise() {
    let started = || life(25, 4, NodeLife::Started { pid: 4 });
    let killed = altered(|events| {
        fault_of(events).nodes = vec![NodeId::new(4)];
        events.push(started());
    });
    let none: Vec<u16> = Vec::new();
    assert_eq!((usable(&killed, 20), usable(&killed, 40), usable(&killed, 100)), (none.clone(), vec![1, 2, 3], none));
    let cut_off = altered(|events| {
        let fault = fault_of(events);
        (fault.kind, fault.nodes) = (FaultKind::Partition, vec![NodeId::new(3)]);
        fault.links = vec![Link { from: NodeId::new(4), to: NodeId::new(3) }];
        events.push(started());
    });
    assert_eq!((usable(&cut_off, 40), usable(&cut_off, 100)), (vec![1, 2, 3], vec![1, 2]));
}

#[test]
fn one_way_cuts_count_as_cuts_for_a_clique() {
    let mut epoch = Topology::of(&read("reelection-lost-in-quiet-times-invalid")).epochs.pop().unwrap();
    let [n1, n2, n3] = [1, 2, 3].map(NodeId::new);
    assert!(epoch.is_whole(3));
    epoch.cut.insert(chaos_history::Link { from: n1, to: n2 });
    assert!(!epoch.connects(n2, n1) && epoch.connects(n2, n3));
    assert_eq!(epoch.majority_clique(3).unwrap(), [n1, n3].into());
    epoch.cut.insert(chaos_history::Link { from: n3, to: n1 });
    assert_eq!(epoch.majority_clique(3).unwrap(), [n2, n3].into());
    epoch.cut.insert(chaos_history::Link { from: n3, to: n2 });
    assert_eq!(epoch.majority_clique(3), None);
}

#[test]
fn a_violation_outranks_the_unknown_and_the_unknown_outranks_the_valid() {
    let outcome = |name: &str, property| check(&read(name), property, &Budget::default());
    let valid = outcome("election-new-leader-new-term-valid", Property::ElectionSafety);
    let unknown = outcome("election-nobody-named-unknown", Property::ElectionSafety);
    let invalid = outcome("election-belief-against-claim-invalid", Property::ElectionSafety);
    let sum = |outcomes: &[&Outcome]| overall(&outcomes.iter().map(|&outcome| outcome.clone()).collect::<Vec<_>>());
    assert_eq!(sum(&[]), Overall::Unknown);
    assert_eq!(sum(&[&valid]), Overall::Valid);
    assert_eq!(sum(&[&valid, &unknown, &valid]), Overall::Unknown);
    assert_eq!(sum(&[&unknown, &invalid, &valid]), Overall::Invalid);
}

#[test]
fn a_history_cut_short_keeps_its_violation_and_says_that_it_was_cut() {
    let mut history = read("register-stale-read-invalid");
    history.torn = true;
    let outcome = check(&history, Property::Linearizable, &Budget::default());
    assert!(matches!(outcome.verdict, Verdict::Invalid(_)));
    assert!(outcome.basis.ends_with("the history's last line is torn"), "{}", outcome.basis);
}

#[test]
fn a_longer_bound_never_convicts_where_a_shorter_one_acquits() {
    for name in ["reelection-never-invalid", "reelection-in-time-valid", "reelection-lost-in-quiet-times-invalid"] {
        let history = read(name);
        let convicts = |ms: u64| {
            let property = Property::BoundedReelection { within: Duration::from_millis(ms) };
            matches!(check(&history, property, &Budget::default()).verdict, Verdict::Invalid(_))
        };
        let verdicts: Vec<bool> = (100..300).step_by(10).map(convicts).collect();
        assert!(verdicts.is_sorted_by(|shorter, longer| shorter >= longer), "{name}: {verdicts:?}");
    }
}
