//! What is written is what is read, and what was torn is told.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint exempts only the test functions themselves")]

use std::fs;
use std::path::PathBuf;

use chaos_history::{
    Action, ClientRole, Completion, Event, Header, History, HistoryError, HistoryWriter, OpEvent, OpId, OpPhase,
    OpResult, OperationsError, ProcessId, Recorded, Revision, RunNanos, Seed, TermsFrom, Testimony, Value, operations,
};

fn documented_lines() -> Vec<String> {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/format.rs")).unwrap();
    source.lines().filter_map(|line| line.strip_prefix("//! {")).map(|line| format!("{{{line}")).collect()
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn every_documented_example_is_read_and_written_back_to_the_letter() {
    let lines = documented_lines();
    assert_eq!(lines.len(), 11, "one header and one example of each kind");
    let (folder, path) = written(&(lines.join("\n") + "\n"));
    let history = History::read(&path).unwrap();
    assert_eq!(history.events.len(), lines.len() - 1);
    assert!(!history.torn);

    let copy = folder.path().join("copy.jsonl");
    let mut writer = HistoryWriter::create(&copy, &history.header).unwrap();
    for recorded in history.events {
        assert_eq!(writer.append(recorded.at, recorded.event).unwrap(), recorded.line);
    }
    writer.flush().unwrap();
    let again: Vec<String> = fs::read_to_string(&copy).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(again, lines);
}

#[test]
fn a_history_cut_at_any_byte_is_read_up_to_its_last_whole_line() {
    let text = documented_lines().join("\n") + "\n";
    let header = text.find('\n').unwrap();
    for cut in 0..text.len() {
        let (_folder, path) = written(&text[..cut]);
        match History::read(&path) {
            Ok(history) => {
                let whole = text[..cut].matches('\n').count();
                // A last line that lacks only its line end is whole.
                let expected = whole.saturating_sub(1)..=whole;
                assert!(expected.contains(&history.events.len()), "{cut}: {} events", history.events.len());
            }
            Err(HistoryError::NoHeader { .. }) => assert!(cut < header, "{cut}"),
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
}

#[test]
fn a_broken_line_in_the_middle_is_refused_with_its_number() {
    let mut lines = documented_lines();
    lines[3].truncate(20);
    let (_folder, path) = written(&lines.join("\n"));
    assert!(matches!(History::read(&path), Err(HistoryError::Malformed { line: 4, .. })));
}

#[test]
fn other_versions_and_other_files_are_refused() {
    let (_folder, path) = written("{\"chaos_history\":2}\n");
    assert!(matches!(History::read(&path), Err(HistoryError::Version { found: 2, .. })));
    for other in ["", "hello\n", "{}\n", "[1,2]\n", "\u{0}\u{1}\n"] {
        let (_folder, path) = written(other);
        assert!(matches!(History::read(&path), Err(HistoryError::NoHeader { .. })), "{other:?}");
    }
}

#[test]
fn clusters_that_cannot_be_are_refused() {
    let header = documented_lines().remove(0);
    for nodes in ["0", "65535", "1000000000000"] {
        let (_folder, path) = written(&header.replace("\"nodes\":5", &format!("\"nodes\":{nodes}")));
        assert!(matches!(History::read(&path), Err(HistoryError::Nodes { .. })), "{nodes}");
    }
}

#[test]
fn a_header_says_what_its_observations_are_and_an_old_one_is_of_raft() {
    let plain = documented_lines().remove(0);
    let with = |testimony: &str| format!("{},\"testimony\":{testimony}}}", plain.trim_end_matches('}'));
    let reigns = Testimony { terms: TermsFrom::Reigns, names_leader: false, ..Testimony::default() };
    let cases = [
        (plain.clone(), Testimony::default()),
        (with("{}"), Testimony::default()),
        (with("{\"shows_life\":false}"), Testimony { shows_life: false, ..Testimony::default() }),
        (with("{\"snapshot\":false}"), Testimony { snapshot: false, ..Testimony::default() }),
        (with("{\"terms\":\"reigns\",\"names_leader\":false}"), reigns),
        (with("{\"names_leader\":false}"), Testimony { names_leader: false, ..Testimony::default() }),
    ];
    for (header, expected) in cases {
        let (folder, path) = written(&header);
        let history = History::read(&path).unwrap();
        assert_eq!(history.header.testimony, expected, "{header}");
        let copy = folder.path().join("copy.jsonl");
        HistoryWriter::create(&copy, &history.header).unwrap();
        assert_eq!(History::read(&copy).unwrap().header, history.header);
    }
    // A reader that would take a word it doesn't know for Raft's would take reign numbers for terms.
    let (_folder, path) = written(&with("{\"terms\":\"guessed\"}"));
    assert!(matches!(History::read(&path), Err(HistoryError::NoHeader { .. })));
}

#[test]
fn a_history_is_never_written_over() {
    let (_folder, path) = written("precious");
    let header = Header {
        chaos_history: 1,
        simulated: None,
        workload: "w".to_owned(),
        system: "raft".to_owned(),
        nodes: 3,
        seed: Seed(1),
        started: "2026-11-21T00:00:00Z".to_owned(),
        chaos: "0.1.0".to_owned(),
        testimony: Testimony::default(),
    };
    assert!(HistoryWriter::create(&path, &header).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

/// `1 invoke p0` and the like, one event a line.
fn events(script: &str) -> Vec<Recorded> {
    let parse = |(index, line): (usize, &str)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let phase = match words[1] {
            "invoke" => OpPhase::Invoke {
                role: ClientRole::Roaming,
                due: RunNanos(0),
                action: Action::Write { key: "k0".to_owned(), value: Value(1) },
            },
            "ok" => OpPhase::Ok(OpResult::Written { revision: Some(Revision(1)) }),
            "fail" => OpPhase::Fail { error: "no".to_owned() },
            "info" => OpPhase::Info { error: "who knows".to_owned() },
            other => panic!("no phase {other}"),
        };
        let event = OpEvent {
            id: OpId(words[0].parse().unwrap()),
            process: ProcessId(words[2][1..].parse().unwrap()),
            node: "n1".parse().unwrap(),
            phase,
        };
        Recorded { line: index + 2, at: RunNanos(index as u64), event: Event::Op(event) }
    };
    script.split(';').enumerate().map(parse).collect()
}

#[test]
fn invocations_are_joined_with_their_completions() {
    let joined = operations(&events("0 invoke p0; 1 invoke p1; 1 ok p1; 0 info p0; 2 invoke p1")).unwrap();
    let ends: Vec<(Option<RunNanos>, Option<usize>)> =
        joined.iter().map(|operation| (operation.completed, operation.complete_line)).collect();
    assert_eq!(ends, [(Some(RunNanos(3)), Some(5)), (Some(RunNanos(2)), Some(4)), (None, None)]);
    assert!(matches!(joined[0].completion, Completion::Info(_)));
    assert!(matches!(joined[1].completion, Completion::Ok(_)));
    assert!(matches!(joined[2].completion, Completion::Info(_)), "what is still under way is of unknown outcome");
}

#[test]
fn histories_that_no_client_can_produce_are_refused() {
    let cases = [
        ("0 invoke p0; 0 invoke p1", "invoked a second time"),
        ("0 ok p0", "not under way"),
        ("0 invoke p0; 0 ok p0; 0 ok p0", "not under way"),
        ("0 invoke p0; 1 invoke p0", "busy or ended"),
        ("0 invoke p0; 0 info p0; 1 invoke p0", "busy or ended"),
    ];
    for (script, expected) in cases {
        let error: OperationsError = operations(&events(script)).unwrap_err();
        assert!(error.to_string().contains(expected), "{script}: {error}");
    }
    assert!(operations(&events("0 invoke p0; 0 fail p0; 1 invoke p0")).is_ok(), "a failed operation frees its process");
}

#[test]
fn nodes_are_named_n_and_a_number_from_1() {
    for good in ["n1", "n9", "n65535"] {
        assert_eq!(good.parse::<chaos_history::NodeId>().unwrap().to_string(), good);
    }
    for bad in ["", "n", "n0", "1", "N1", "n-1", "n+1", "n1 ", "n65536", "n１"] {
        assert!(bad.parse::<chaos_history::NodeId>().is_err(), "{bad:?}");
    }
}
