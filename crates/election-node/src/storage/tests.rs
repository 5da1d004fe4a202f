//! What a crash or a damaged disk does to the storage, tried at every byte.
//!
//! The claims: cut anywhere, the directory holds the state after some prefix of the commits, never a mixture; flipped
//! anywhere, it holds exactly what was committed or the start is refused, naming the file.

use std::fs;
use std::path::Path;

use election::raft::{Entry, EntryPayload, HardState, SnapshotMeta};

use super::*;

fn options(directory: &Path) -> StorageOptions {
    StorageOptions {
        directory: directory.to_path_buf(),
        id: NodeId(2),
        new_life: None,
        cluster: "test".to_owned(),
        algorithm: Algorithm::Raft,
        sync: true,
        segment_bytes_max: 1 << 20,
    }
}

fn entry(index: u64, term: u64, text: &str) -> Entry {
    Entry { index: LogIndex(index), term: Term(term), payload: EntryPayload::Command(text.as_bytes().into()) }
}

fn hard(term: u64, vote: Option<u64>) -> Option<HardState> {
    Some(HardState { term: Term(term), voted_for: vote.map(NodeId) })
}

fn append(entries: impl IntoIterator<Item = Entry>) -> Persist {
    Persist { append: entries.into_iter().collect(), ..Persist::default() }
}

fn snapshot(index: u64, term: u64) -> Snapshot {
    let meta = SnapshotMeta { last_index: LogIndex(index), last_term: Term(term), members: [NodeId(2)].into() };
    Snapshot { meta, data: vec![7; 10] }
}

/// The commits that the crash tests cut and damage: each one frame.
fn history() -> Vec<Persist> {
    vec![
        Persist { hard: hard(1, Some(2)), ..Persist::default() },
        append([entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 1, "c")]),
        Persist { hard: hard(2, None), ..Persist::default() },
        Persist { truncate_from: Some(LogIndex(2)), append: vec![entry(2, 2, "B")], ..Persist::default() },
        Persist { hard: hard(3, Some(1)), ..append([entry(3, 2, "C")]) },
    ]
}

/// Writes the history into a directory; returns what a start finds after each commit, the empty state first.
fn write_history(directory: &Path) -> Vec<Recovered> {
    let (mut storage, recovered, _) = Storage::open(&options(directory)).unwrap();
    let mut states = vec![recovered];
    for persist in history() {
        let mut next = states.last().unwrap().clone();
        next.hard = persist.hard.unwrap_or(next.hard);
        if let Some(from) = persist.truncate_from {
            next.entries.retain(|entry| entry.index < from);
        }
        next.entries.extend(persist.append.clone());
        states.push(next);
        storage.stage(persist).unwrap();
        storage.commit().unwrap();
    }
    states
}

fn reopen(directory: &Path) -> Result<Recovered, NodeError> {
    Storage::open(&options(directory)).map(|(_, recovered, _)| recovered)
}

#[test]
fn what_was_committed_is_found_again_and_the_incarnation_grows() {
    let directory = tempfile::tempdir().unwrap();
    let states = write_history(directory.path());
    for incarnation in 2..4 {
        let (_, recovered, found) = Storage::open(&options(directory.path())).unwrap();
        assert_eq!((&recovered, found), (states.last().unwrap(), incarnation));
    }
}

#[test]
fn a_journal_cut_at_any_byte_holds_the_state_after_some_commit_and_takes_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let states = write_history(directory.path());
    let path = directory.path().join("journal/00000001");
    let content = fs::read(&path).unwrap();
    let mut newest_seen = 0;
    let mut refused = 0;
    for length in 0..content.len() {
        fs::write(&path, &content[..length]).unwrap();
        let recovered = match reopen(directory.path()) {
            Ok(recovered) => recovered,
            Err(NodeError::Corrupt { .. }) => {
                // Only the part that a rename put in place whole may not be cut.
                assert_eq!(newest_seen, 0, "refused at {length}, after a state had been readable");
                refused += 1;
                continue;
            }
            Err(error) => panic!("cut at {length}: {error}"),
        };
        let position = states.iter().position(|state| *state == recovered);
        let position = position.unwrap_or_else(|| panic!("cut at {length} mixes states: {recovered:?}"));
        assert!(position >= newest_seen, "cut at {length} holds less than a shorter file");
        newest_seen = position;
        continue_after(directory.path(), &recovered);
    }
    assert!((1..80).contains(&refused), "{refused} lengths were refused");
    assert_eq!(newest_seen, states.len() - 1, "the last commit survives a cut of the seal behind it");
}

/// One more commit after a recovery is found by the next start.
fn continue_after(directory: &Path, before: &Recovered) {
    let (mut storage, ..) = Storage::open(&options(directory)).unwrap();
    let index = before.entries.last().map_or(1, |entry| entry.index.0 + 1);
    let added = entry(index, before.hard.term.0, "new");
    storage.stage(append([added.clone()])).unwrap();
    storage.commit().unwrap();
    drop(storage);
    let mut expected = before.clone();
    expected.entries.push(added);
    assert_eq!(reopen(directory).unwrap(), expected);
}

#[test]
fn a_journal_with_any_flipped_bit_is_read_exactly_or_refused() {
    let directory = tempfile::tempdir().unwrap();
    let states = write_history(directory.path());
    let path = directory.path().join("journal/00000001");
    let content = fs::read(&path).unwrap();
    let mut refused = 0;
    for bit in 0..content.len() * 8 {
        let mut damaged = content.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).unwrap();
        match reopen(directory.path()) {
            Ok(recovered) => assert_eq!(&recovered, states.last().unwrap(), "bit {bit} was lost in silence"),
            Err(NodeError::Corrupt { path: named, offset, .. }) => {
                assert!(named == path && offset <= (bit / 8) as u64, "bit {bit}: blamed {named:?} at {offset}");
                refused += 1;
            }
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    let seal_bits = 8 * 8;
    assert_eq!(refused, content.len() * 8 - seal_bits, "only damage to the seal is harmless");
}

#[test]
fn a_torn_write_over_the_seal_costs_only_what_was_not_yet_durable() {
    let directory = tempfile::tempdir().unwrap();
    let states = write_history(directory.path());
    let path = directory.path().join("journal/00000001");
    let before = fs::read(&path).unwrap();
    let frame_at = before.len() - 8;
    let (mut storage, ..) = Storage::open(&options(directory.path())).unwrap();
    storage.stage(append((4..40).map(|index| entry(index, 3, "a longer entry than the seal is")))).unwrap();
    storage.commit().unwrap();
    drop(storage);
    let after = fs::read(&path).unwrap();
    // Pages reach the disk in any order: keep the old bytes in any window of the new frame.
    for start in (frame_at..after.len() - 8).step_by(7) {
        let end = (start + 64).min(after.len() - 8);
        let mut torn = after[..after.len() - 8].to_vec();
        let old = |at: usize| before.get(at).copied().unwrap_or(0);
        (start..end).for_each(|at| torn[at] = old(at));
        fs::write(&path, &torn).unwrap();
        assert_eq!(&reopen(directory.path()).unwrap(), states.last().unwrap(), "window at {start}");
    }
}

#[test]
fn segments_covered_by_a_snapshot_are_removed_and_the_rest_still_replays() {
    let directory = tempfile::tempdir().unwrap();
    let small = StorageOptions { segment_bytes_max: 200, ..options(directory.path()) };
    let (mut storage, ..) = Storage::open(&small).unwrap();
    storage.stage(Persist { hard: hard(1, Some(2)), ..Persist::default() }).unwrap();
    for index in 1..=50 {
        storage.stage(append([entry(index, 1, "some bytes to fill a segment")])).unwrap();
        storage.commit().unwrap();
    }
    let count = || fs::read_dir(directory.path().join("journal")).unwrap().count();
    let before = count();
    assert!(before > 5, "only {before} segments");
    storage.stage(Persist { snapshot: Some(Box::new(snapshot(40, 1))), ..Persist::default() }).unwrap();
    storage.commit().unwrap();
    assert!(count() < before / 2, "{} of {before} segments are left", count());
    drop(storage);
    let (_, recovered, _) = Storage::open(&small).unwrap();
    assert_eq!(recovered.hard, hard(1, Some(2)).unwrap());
    assert_eq!(recovered.snapshot, Some(snapshot(40, 1)));
    assert_eq!(recovered.entries.iter().map(|entry| entry.index.0).collect::<Vec<_>>(), (41..=50).collect::<Vec<_>>());
}

#[test]
fn a_missing_segment_is_refused() {
    for missing in ["00000001", "00000002"] {
        let directory = tempfile::tempdir().unwrap();
        let small = StorageOptions { segment_bytes_max: 100, ..options(directory.path()) };
        let (mut storage, ..) = Storage::open(&small).unwrap();
        storage.stage(Persist { hard: hard(1, None), ..Persist::default() }).unwrap();
        for index in 1..=12 {
            storage.stage(append([entry(index, 1, "some bytes to fill a segment")])).unwrap();
            storage.commit().unwrap();
        }
        drop(storage);
        fs::remove_file(directory.path().join("journal").join(missing)).unwrap();
        let refusal = Storage::open(&small).map(drop).expect_err("a hole is refused");
        assert!(matches!(refusal, NodeError::Corrupt { .. }), "{refusal}");
    }
}

#[test]
fn a_snapshot_whose_log_was_not_yet_cut_decides_what_the_log_keeps() {
    // (snapshot index, snapshot term) over a log 1..=3 of terms 1, 1, 2 → entries kept
    let cases: [(u64, u64, &[u64]); 4] = [(2, 1, &[3]), (2, 2, &[]), (3, 2, &[]), (9, 2, &[])];
    for (index, term, kept) in cases {
        let directory = tempfile::tempdir().unwrap();
        let (mut storage, ..) = Storage::open(&options(directory.path())).unwrap();
        let log = append([entry(1, 1, "a"), entry(2, 1, "b"), entry(3, 2, "c")]);
        storage.stage(Persist { hard: hard(2, None), ..log }).unwrap();
        storage.stage(Persist { snapshot: Some(Box::new(snapshot(index, term))), ..Persist::default() }).unwrap();
        drop(storage);
        let found: Vec<_> = reopen(directory.path()).unwrap().entries.iter().map(|entry| entry.index.0).collect();
        assert_eq!(found, kept, "snapshot {index} of term {term}");
    }
}

#[test]
fn an_installed_snapshot_replaces_the_log_and_the_log_goes_on_after_it() {
    // The log was 1..=3; a snapshot within it with another term also cuts what follows, one beyond it leaves a hole.
    for (index, truncate_from) in [(2, Some(LogIndex(3))), (20, None)] {
        let directory = tempfile::tempdir().unwrap();
        write_history(directory.path());
        let (mut storage, ..) = Storage::open(&options(directory.path())).unwrap();
        let after = entry(index + 1, 4, "after");
        let install = Persist {
            snapshot: Some(Box::new(snapshot(index, 4))),
            truncate_from,
            hard: hard(4, None),
            ..append([after.clone()])
        };
        storage.stage(install).unwrap();
        storage.commit().unwrap();
        drop(storage);
        let recovered = reopen(directory.path()).unwrap();
        assert_eq!(recovered.entries, [after]);
        assert_eq!(recovered.snapshot, Some(snapshot(index, 4)));
        assert_eq!(recovered.hard.term, Term(4));
        fs::remove_file(directory.path().join("snapshot")).unwrap();
        let refusal = reopen(directory.path()).unwrap_err().to_string();
        assert!(refusal.contains("snapshot at offset 0: it ends at entry 0"), "{refusal}");
    }
}

#[test]
fn a_directory_of_another_node_another_cluster_or_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let ours = options(directory.path());
    let (storage, ..) = Storage::open(&ours).unwrap();
    let check = |options: &StorageOptions, expected: &str| {
        let refusal = Storage::open(options).map(drop).expect_err("refused").to_string();
        assert!(refusal.contains(expected), "{refusal}");
    };
    check(&ours, "another process is running on it");
    drop(storage);
    check(&StorageOptions { id: NodeId(3), ..ours.clone() }, "it belongs to n2, and this is n3");
    check(&StorageOptions { cluster: "other".to_owned(), ..ours.clone() }, "the cluster `test`, and this is `other`");
    fs::remove_file(directory.path().join("identity")).unwrap();
    assert!(Storage::open(&ours).is_ok(), "an empty node without identity is one whose first start was interrupted");
    drop(write_history(directory.path()));
    fs::remove_file(directory.path().join("identity")).unwrap();
    check(&ours, "a node ran here before");
}

#[test]
fn a_life_begins_with_an_empty_directory_and_lasts_as_long_as_it() {
    let directory = tempfile::tempdir().unwrap();
    let id_of = |life| {
        let options = StorageOptions { new_life: life, ..options(directory.path()) };
        Storage::open(&options).unwrap().0.id()
    };
    let first = NodeId(2).in_life(7);
    assert_eq!([id_of(Some(7)), id_of(Some(8)), id_of(None)], [first; 3]);
    fs::remove_dir_all(directory.path()).unwrap();
    assert_eq!([id_of(None), id_of(Some(9))], [NodeId(2); 2], "a node that was there from the start stays what it was");
}

#[test]
fn a_start_interrupted_while_replacing_files_ignores_the_unfinished_ones() {
    let directory = tempfile::tempdir().unwrap();
    let states = write_history(directory.path());
    for name in ["identity.tmp", "snapshot.tmp", "journal/00000002.tmp"] {
        fs::write(directory.path().join(name), b"half").unwrap();
    }
    assert_eq!(&reopen(directory.path()).unwrap(), states.last().unwrap());
    assert!(!directory.path().join("snapshot.tmp").exists());
}
