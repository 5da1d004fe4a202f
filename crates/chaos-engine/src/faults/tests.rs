//! The promises of the books, one by one.

use super::*;
use chaos_history::Stamps;
use chaos_plan::{Partition, Target};

fn link(from: u16, to: u16) -> Link {
    Link { from: NodeId::new(from), to: NodeId::new(to) }
}

fn aimed(kind: FaultKind, nodes: &[u16], links: &[Link]) -> Aimed {
    let target = Target::All;
    let fault = match kind {
        FaultKind::Kill => Fault::Kill { target, process: None, signal: KillSignal::KILL },
        FaultKind::Pause => Fault::Pause { target, process: None },
        FaultKind::Partition => Fault::partition(Partition::Halves),
        FaultKind::FreezeHost => Fault::FreezeHost { target },
        FaultKind::Link
        | FaultKind::CrashLoop
        | FaultKind::Slow
        | FaultKind::Starve
        | FaultKind::Limit
        | FaultKind::Clock
        | FaultKind::Disk
        | FaultKind::PowerLoss
        | FaultKind::CorruptFile
        | FaultKind::Transfer
        | FaultKind::RemoveMember => unreachable!("not used here"),
    };
    Aimed {
        fault,
        label: kind.name().to_owned(),
        nodes: nodes.iter().copied().map(NodeId::new).collect(),
        links: links.to_vec(),
        conditioned: Vec::new(),
        pulse: None,
        seed: Seed(1),
        leader: None,
        to: None,
        scheduled: RunNanos(5),
        source: None,
    }
}

fn answer(books: &mut FaultsUnderWay, id: FaultId, edge: FaultEdge, error: Option<&str>) -> Vec<Command> {
    let stamps = Stamps { scheduled: RunNanos(5), call_begin: RunNanos(6), call_end: RunNanos(7), effect: None };
    let event = FaultEvent {
        id,
        edge,
        kind: FaultKind::Pause,
        label: "label".to_owned(),
        nodes: Vec::new(),
        process: None,
        links: Vec::new(),
        leader: None,
        stamps,
        source: None,
        error: error.map(str::to_owned),
    };
    let mut out = Vec::new();
    books.answered(&event, RunNanos(8), &mut out);
    out
}

fn edges(out: &[Command]) -> Vec<(u32, FaultEdge, FaultChange)> {
    let edge = |command: &Command| match command {
        Command::Fault(fault) => Some((fault.id.0, fault.edge, fault.change.clone())),
        Command::Invoke(_)
        | Command::Mark(..)
        | Command::Remark(_)
        | Command::Compare { .. }
        | Command::Alter { .. }
        | Command::Finish(_) => None,
    };
    out.iter().filter_map(edge).collect()
}

const LIFT: Lift = Lift { scheduled: RunNanos(9), source: None };

#[test]
fn overlapping_partitions_heal_in_any_order_and_keep_what_the_other_cuts() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    let first = books.begin(aimed(FaultKind::Partition, &[1], &[link(1, 2), link(2, 1)]), &mut out);
    let second = books.begin(aimed(FaultKind::Partition, &[1], &[link(1, 2), link(1, 3)]), &mut out);
    answer(&mut books, first, FaultEdge::Begin, None);
    answer(&mut books, second, FaultEdge::Begin, None);
    out.clear();
    books.lift_all(Some(FaultKind::Partition), &LIFT, &mut out);
    let expect = [
        (1, FaultEdge::End, FaultChange::Cut(Cut::of_links([link(1, 2), link(1, 3)]))),
        (2, FaultEdge::End, FaultChange::Cut(Cut::default())),
    ];
    assert_eq!(edges(&out), expect);
}

#[test]
fn a_frozen_host_stays_cut_off_when_a_partition_around_it_heals() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    let leg = [link(1, 2), link(2, 1)];
    let partition = books.begin(aimed(FaultKind::Partition, &[1], &leg), &mut out);
    let frozen = books.begin(aimed(FaultKind::FreezeHost, &[1], &leg), &mut out);
    answer(&mut books, partition, FaultEdge::Begin, None);
    answer(&mut books, frozen, FaultEdge::Begin, None);
    let whole = Cut { legs: BTreeSet::from([NodeId::new(1)]), ..Cut::of_links(leg) };
    assert_eq!(edges(&out)[1].2, FaultChange::Freeze(whole.clone()));
    out.clear();
    books.lift_all(Some(FaultKind::Partition), &LIFT, &mut out);
    books.lift(frozen, &LIFT, &mut out);
    let expect = [(1, FaultEdge::End, FaultChange::Cut(whole)), (2, FaultEdge::End, FaultChange::Thaw(Cut::default()))];
    assert_eq!(edges(&out), expect);
}

#[test]
fn an_end_waits_for_the_answer_to_its_begin() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    let id = books.begin(aimed(FaultKind::Kill, &[1, 2], &[]), &mut out);
    out.clear();
    books.lift(id, &LIFT, &mut out);
    assert_eq!(out, []);
    let out = answer(&mut books, id, FaultEdge::Begin, None);
    assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
}

#[test]
fn a_begin_that_failed_is_undone_once_and_is_over_when_that_is_answered() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    let id = books.begin(aimed(FaultKind::Pause, &[1], &[]), &mut out);
    let out = answer(&mut books, id, FaultEdge::Begin, Some("no such thread"));
    assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Resume)]);
    assert!(books.active_since(id).is_none() && !books.is_empty());
    answer(&mut books, id, FaultEdge::End, Some("still none"));
    assert!(books.is_empty());
}

#[test]
fn a_fault_ends_when_all_its_nodes_are_back() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    let id = books.begin(aimed(FaultKind::Kill, &[1, 2], &[]), &mut out);
    answer(&mut books, id, FaultEdge::Begin, None);
    out.clear();
    let ending = books.bring_back(FaultKind::Kill, &BTreeSet::from([NodeId::new(1)]), &LIFT, &mut out);
    let (change, nodes) = (FaultChange::Restart, vec![NodeId::new(1)]);
    let relief = Command::Alter { fault: id, change, nodes, process: None };
    assert_eq!((ending.len(), &out[..]), (0, &[relief][..]));
    out.clear();
    let ending = books.bring_back(FaultKind::Kill, &BTreeSet::from([NodeId::new(2)]), &LIFT, &mut out);
    assert_eq!(ending, BTreeSet::from([id]));
    assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
}

#[test]
fn force_ends_what_was_never_answered_and_nothing_twice() {
    let (mut books, mut out) = (FaultsUnderWay::default(), Vec::new());
    books.begin(aimed(FaultKind::Kill, &[1], &[]), &mut out);
    out.clear();
    books.force(&LIFT, &mut out);
    books.force(&LIFT, &mut out);
    assert_eq!(edges(&out), [(1, FaultEdge::End, FaultChange::Restart)]);
}
