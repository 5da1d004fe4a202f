//! Histories as files, each with what every checker must say about it.
//!
//! `histories/NAME.jsonl` is a history, `histories/NAME.txt` the checks and their rendered outcomes. The last word of the
//! name is the verdict of the first check, so that rewriting the expectations (`UPDATE_HISTORIES=1 cargo test`) can't turn
//! a conviction into an acquittal unseen.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_check::{Budget, Outcome, Property, Verdict, check};
use chaos_history::History;

/// A check as the expectations write it: the property's name, and its bound in milliseconds if it has one.
fn property(text: &str) -> Property {
    let (name, bound) = text.split_once(' ').unwrap_or((text, "0"));
    let within = Duration::from_millis(bound.parse().expect("a bound is a number of milliseconds"));
    match name {
        "ElectionSafety" => Property::ElectionSafety,
        "SingleVote" => Property::SingleVote,
        "TermMonotonic" => Property::TermMonotonic,
        "Linearizable" => Property::Linearizable,
        "ReplicasAgree" => Property::ReplicasAgree,
        "NoAcknowledgedWriteLost" => Property::NoAcknowledgedWriteLost,
        "MutualExclusion" => Property::MutualExclusion,
        "FencingMonotonic" => Property::FencingMonotonic,
        "ExclusiveAccess" => Property::ExclusiveAccess,
        "BoundedReelection" => Property::BoundedReelection { within },
        "Recovers" => Property::Recovers { within },
        "NoStaleLeaderAfterHeal" => Property::NoStaleLeaderAfterHeal { within },
        "OneLeaderAtATime" => Property::OneLeaderAtATime { allowed: within },
        _ => panic!("unknown property {name}"),
    }
}

fn render(text: &str, outcome: &Outcome) -> String {
    let mut rendered = format!("check: {text}\n");
    match &outcome.verdict {
        Verdict::Valid => rendered.push_str("valid\n"),
        Verdict::Unknown(reason) => rendered.push_str(&format!("unknown: {reason}\n")),
        Verdict::Invalid(witness) => {
            rendered.push_str(&format!("invalid: {}\n", witness.sentence));
            for step in &witness.steps {
                rendered.push_str(&format!("  {step}\n"));
            }
            rendered.push_str(&format!("at {}, lines {:?}, nodes {:?}\n", witness.at, witness.lines, witness.nodes));
        }
    }
    rendered.push_str(&format!("basis: {}\n", outcome.basis));
    rendered
}

fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "valid",
        Verdict::Invalid(_) => "invalid",
        Verdict::Unknown(_) => "unknown",
    }
}

fn histories() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the histories are committed")
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths
}

#[test]
fn every_history_gets_its_verdict_and_its_witness() {
    let update = std::env::var_os("UPDATE_HISTORIES").is_some();
    let paths = histories();
    assert!(paths.len() > 30, "the histories are there");
    let mut wrong = String::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let expected_path = path.with_extension("txt");
        let expected = fs::read_to_string(&expected_path).unwrap();
        let history = History::read(&path).unwrap();
        let mut actual = String::new();
        for (index, text) in expected.lines().filter_map(|line| line.strip_prefix("check: ")).enumerate() {
            let outcome = check(&history, property(text), &Budget::default());
            if index == 0 {
                let word = name.rsplit('-').next().unwrap();
                assert_eq!(verdict_word(&outcome.verdict), word, "{name}: {outcome:#?}");
            }
            actual.push_str(&render(text, &outcome));
        }
        assert!(!actual.is_empty(), "{name} checks something");
        if update {
            fs::write(&expected_path, &actual).unwrap();
        } else if actual != expected {
            writeln!(wrong, "{name}:\n--- expected\n{expected}--- actual\n{actual}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn witnesses_name_existing_lines_in_order_and_every_step_names_one() {
    for path in histories() {
        let history = History::read(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap();
        for text in expected.lines().filter_map(|line| line.strip_prefix("check: ")) {
            let Verdict::Invalid(witness) = check(&history, property(text), &Budget::default()).verdict else {
                continue;
            };
            assert!(!witness.lines.is_empty(), "{}", path.display());
            assert!(witness.lines.is_sorted_by(|one, other| one < other), "{}", path.display());
            for line in &witness.lines {
                assert!(history.events.iter().any(|recorded| recorded.line == *line), "{} line {line}", path.display());
            }
            assert!(witness.steps.iter().all(|step| step.contains("line")), "{}: {witness:#?}", path.display());
        }
    }
}
