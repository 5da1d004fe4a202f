//! The order of a batch: durable first, then everything else, and nothing at all if the disk fails.

use std::sync::Arc;

use election::raft::{Ballot, Config, Message, Raft, Recovered, Sound, Vote};
use election::specimens::ClockKind;
use election::{Algorithm, LogIndex, NodeId, Term};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::clock::ClockRate;
use crate::inbox::{Answer, Success};
use crate::machine::Command;
use crate::storage::StorageOptions;

const SELF: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);

/// A driver without threads or sockets, and who reads what it publishes.
struct Bench {
    driver: Driver<Raft<Sound>>,
    state: watch::Receiver<Arc<State>>,
    events: broadcast::Receiver<Arc<str>>,
    directory: TempDir,
}

fn options(directory: &TempDir) -> StorageOptions {
    StorageOptions {
        directory: directory.path().to_path_buf(),
        id: SELF,
        new_life: None,
        cluster: "test".to_owned(),
        algorithm: Algorithm::Raft,
        sync: true,
        segment_bytes_max: 1 << 20,
    }
}

fn bench(members: &[NodeId]) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let (storage, recovered, incarnation) = Storage::open(&options(&directory)).unwrap();
    let clock = Clock::new(ClockRate::new(1.0).unwrap(), ClockKind::Monotonic);
    let metrics = Arc::new(Metrics::new(Raft::<Sound>::KINDS));
    let config = Config::new(members.iter().copied());
    let raft = Raft::new(SELF, config, Sound, 7, recovered, clock.read().node);
    let at = clock.read();
    let first = State::new(raft.status(at.node), raft.deadline(), at, incarnation, None);
    let (sender, state) = watch::channel(Arc::new(first));
    let (events_sender, events) = broadcast::channel(64);
    let publisher = Publisher { state: sender, events: events_sender, incarnation, specimen: None };
    let outbox = Outbox::unconnected(members.iter().copied().filter(|id| *id != SELF), Arc::clone(&metrics));
    let driver = Driver::new(raft, storage, Machine::default(), clock, outbox, publisher, metrics);
    Bench { driver, state, events, directory }
}

fn ask_for_vote(driver: &mut Driver<Raft<Sound>>) {
    let vote = Vote { term: Term(5), ballot: Ballot::Election, last_index: LogIndex(0), last_term: Term(0) };
    driver.take(Delivery::Message { from: PEER, message: Message::Vote(vote) });
}

fn on_disk(bench: Bench) -> Recovered {
    let Bench { driver, directory, .. } = bench;
    drop(driver);
    Storage::open(&options(&directory)).unwrap().1
}

#[test]
fn a_vote_is_on_disk_when_it_leaves() {
    let mut bench = bench(&[SELF, PEER, NodeId(3)]);
    ask_for_vote(&mut bench.driver);
    assert_eq!(bench.driver.outbox.waiting_bytes(PEER), 0, "it left before its batch ended");
    assert_eq!(bench.state.borrow().term, Term(0), "it was published before its batch ended");
    bench.driver.finish_batch().unwrap();
    assert!(bench.driver.outbox.waiting_bytes(PEER) > 0);
    assert_eq!(bench.state.borrow().voted_for, Some(PEER));
    let lines: Vec<_> = std::iter::from_fn(|| bench.events.try_recv().ok()).collect();
    assert!(lines.iter().any(|line| line.contains(r#""kind":"granted""#)), "{lines:?}");
    let hard = on_disk(bench).hard;
    assert_eq!((hard.term, hard.voted_for), (Term(5), Some(PEER)));
}

#[test]
fn on_a_broken_disk_nothing_leaves_and_nothing_is_published() {
    let mut bench = bench(&[SELF, PEER, NodeId(3)]);
    bench.driver.storage.break_disk();
    ask_for_vote(&mut bench.driver);
    let error = bench.driver.finish_batch().unwrap_err().to_string();
    assert!(error.contains("journal/00000001"), "{error}");
    assert_eq!(bench.driver.outbox.waiting_bytes(PEER), 0);
    assert_eq!(bench.state.borrow().term, Term(0));
    assert!(bench.events.try_recv().is_err());
}

/// Lets a cluster of one elect itself; it needs no messages.
fn lead_alone() -> Bench {
    let mut bench = bench(&[SELF]);
    while bench.state.borrow().leader.is_none() {
        let wait = bench.driver.protocol.deadline().since(bench.driver.clock.read().node);
        std::thread::sleep(wait);
        bench.driver.step(Input::Tick);
        bench.driver.finish_batch().unwrap();
    }
    bench
}

fn put(driver: &mut Driver<Raft<Sound>>, value: &str) -> oneshot::Receiver<Answer> {
    let (answer, receiver) = oneshot::channel();
    let command = Command::Put { key: "k".to_owned(), value: value.to_owned() };
    driver.take(Delivery::Request(Request { action: Action::Propose(command), answer }));
    receiver
}

#[test]
fn many_writes_share_one_sync_and_each_gets_its_own_answer() {
    let mut bench = lead_alone();
    let syncs_before = bench.driver.metrics.sync.count();
    let answers: Vec<_> = (0..50).map(|number| put(&mut bench.driver, &number.to_string())).collect();
    bench.driver.finish_batch().unwrap();
    assert_eq!(bench.driver.metrics.sync.count() - syncs_before, 1);
    let mut revisions: Vec<LogIndex> = Vec::new();
    for mut answer in answers {
        let Success::Applied { index, .. } = answer.try_recv().unwrap().unwrap() else {
            panic!("a write was answered as something else");
        };
        revisions.push(index);
    }
    assert!(revisions.is_sorted() && revisions.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(on_disk(bench).entries.len(), 51, "the no-op of the new leader and fifty commands");
}

#[test]
fn a_write_whose_sync_fails_is_not_answered() {
    let mut bench = lead_alone();
    bench.driver.storage.break_disk();
    let mut answer = put(&mut bench.driver, "lost");
    assert!(bench.driver.finish_batch().is_err());
    assert_eq!(answer.try_recv(), Err(oneshot::error::TryRecvError::Empty), "answered, or its sender dropped");
}

#[test]
fn a_request_whose_client_has_gone_is_not_done() {
    let mut bench = lead_alone();
    let before = bench.state.borrow().last;
    let (answer, receiver) = oneshot::channel();
    drop(receiver);
    let command = Command::Put { key: "k".to_owned(), value: "late".to_owned() };
    bench.driver.take(Delivery::Request(Request { action: Action::Propose(command), answer }));
    bench.driver.finish_batch().unwrap();
    assert_eq!(bench.state.borrow().last, before);
}
