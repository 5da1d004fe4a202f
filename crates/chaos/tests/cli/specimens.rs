//! The verdict is sacred, both ways: each broken node is convicted, with a witness that names lines of the history, and the
//! sound node is acquitted under the same plan and seed.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::Path;

use crate::support::{chaos, host_can_run, output, report, stderr};

/// A specimen shows itself in a race that it can win by luck, so its plan is given so many seeds at most.
const SEEDS: u64 = 3;

/// Runs the specimen's plan until it is convicted, and then without the specimen.
fn check(specimen: &str, property: &str) {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = format!("crates/chaos/tests/specimens/{specimen}.yaml");
    let set = format!("system.raft.specimen={specimen}");
    let run = |seed: u64, out: &Path, more: &[&str]| {
        let seed = seed.to_string();
        let mut command = chaos(&["run", &plan, "--quiet", "--seed", &seed, "--out", out.to_str().unwrap()]);
        output(command.args(more))
    };

    let convicted = (1..=SEEDS).find(|seed| {
        let broken = folder.path().join(format!("broken-{seed}"));
        let ended = run(*seed, &broken, &["--set", &set]);
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{}", stderr(&ended));
        ended.status.code() == Some(1)
    });
    let seed = convicted.unwrap_or_else(|| panic!("{specimen} was acquitted with {SEEDS} seeds"));
    check_witness(&folder.path().join(format!("broken-{seed}")), property);

    let sound = folder.path().join("sound");
    let acquitted = run(seed, &sound, &[]);
    let printed = String::from_utf8_lossy(&acquitted.stdout).into_owned();
    assert_eq!(acquitted.status.code(), Some(0), "{printed}\n{}", stderr(&acquitted));
}

/// The property is violated, in a sentence, by few lines of the history that are quoted as they stand there.
fn check_witness(out: &Path, property: &str) {
    let report = report(out);
    let checks = report["checks"].as_array().expect("checks");
    let named = |check: &&serde_json::Value| check["property"].as_str().is_some_and(|name| name.starts_with(property));
    let check = checks.iter().find(named).unwrap_or_else(|| panic!("{property} was not checked"));
    assert_eq!(check["verdict"], "invalid", "{property}");
    let witness = &check["witness"];
    assert!(witness["sentence"].as_str().is_some_and(|sentence| sentence.len() > 20));
    let quoted = witness["lines"].as_array().expect("lines");
    assert!((2..=24).contains(&quoted.len()), "{} lines are too many to read", quoted.len());
    let history = fs::read_to_string(out.join("history.jsonl")).unwrap();
    let history: Vec<&str> = history.lines().collect();
    for line in quoted {
        let number = usize::try_from(line["line"].as_u64().expect("a number")).unwrap();
        assert_eq!(line["text"].as_str().expect("a text").trim_end(), history[number - 1], "line {number}");
    }
}

#[test]
fn a_voter_that_votes_twice_is_convicted_of_two_leaders_in_one_term() {
    check("double-vote", "ElectionSafety");
}

#[test]
fn half_a_cluster_that_takes_itself_for_a_majority_is_convicted_of_lost_order() {
    check("half-is-majority", "Linearizable");
}

#[test]
fn a_leader_that_never_steps_down_is_convicted_of_staying_after_the_heal() {
    check("no-step-down", "NoStaleLeaderAfterHeal");
}

#[test]
fn a_leader_that_answers_reads_alone_is_convicted_of_a_stale_one() {
    check("read-unconfirmed", "Linearizable");
}
