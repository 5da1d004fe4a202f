//! What the search and the walk found once they still find, about as soon: the first search of each row of `reports/explore.md`, and its
//! walks. Both repeat themselves exactly, so nothing here depends on the host.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use chaos_check::Budget;
use chaos_explore::generate::Space;
use chaos_explore::{Outcome, SearchOptions, Trials, demands, judge, search};
use chaos_history::Seed;
use chaos_plan::Workload;
use chaos_sim::{SimOptions, capabilities, simulate};

use crate::support::{chaos, output, stderr};

/// Searches that took more plans than this would take minutes; `scripts/explore-table.sh` does them.
const PLANS_MAX: u64 = 30;
const WALKS_MAX: u64 = 300;

/// More than three times as many, and more than ten above, is worse and no luck.
fn allowed(before: u64) -> u64 {
    (3 * before).max(before + 10)
}

/// Of each specimen: how many plans it took, and how many walks; `None` where nothing was found.
fn rows() -> Vec<(String, Option<u64>, Option<u64>)> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports/explore.md");
    let text = fs::read_to_string(table).expect("the table is there");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| specimen"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].parse().ok(), cells[10].parse().ok())
    })
    .collect()
}

struct Simulator;

impl Trials for Simulator {
    fn run(&self, workload: &Workload, seed: Seed) -> Outcome {
        match simulate(workload, seed, &SimOptions::default()) {
            Ok(simulated) => judge(&simulated.history, &demands(workload), &Budget::default()),
            Err(error) => Outcome { broken: Some(error.to_string()), ..Outcome::default() },
        }
    }
}

#[test]
fn the_search_is_no_more_than_three_times_worse_than_its_table_says() {
    let rows = rows();
    assert!(rows.len() > 15, "the table has rows: {rows:?}");
    let mut worse = Vec::new();
    for (specimen, plans) in rows.iter().filter_map(|(specimen, plans, _)| plans.map(|plans| (specimen, plans))) {
        if plans > PLANS_MAX {
            continue;
        }
        let space = Space::of_reference(Some(specimen), capabilities().faults);
        let options = SearchOptions {
            trials_max: Some(allowed(plans)),
            twice_every: 0,
            shrink: chaos_explore::ShrinkOptions { runs_max: 0, attempts: 1 },
            amplify: None,
            ..SearchOptions::simulated(Seed(1), NonZeroUsize::MIN)
        };
        let found = search(&Simulator, &space, &options, &|| false, &mut |_, _| {});
        if found.first_violation.is_none() {
            worse.push(format!("{specimen}: nothing in {} plans, where it took {plans}", found.trials));
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[test]
fn walks_find_what_they_found() {
    let mut worse = Vec::new();
    for (specimen, _, walks) in rows() {
        let Some(walks) = walks.filter(|walks| *walks <= WALKS_MAX) else { continue };
        let most = allowed(walks).to_string();
        let walked = output(&mut chaos(&["walk", "--specimen", &specimen, "--walks", &most, "--threads", "1"]));
        let printed = String::from_utf8_lossy(&walked.stdout).into_owned();
        if walked.status.code() != Some(1) || !printed.contains(" is violated by ") {
            worse.push(format!("{specimen}, where it took {walks}: {printed}{}", stderr(&walked)));
        }
    }
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

#[test]
fn a_walk_ends_in_the_shortest_way_to_what_is_broken_and_finds_nothing_wrong_with_the_sound_node() {
    let found = output(&mut chaos(&["walk", "--specimen", "double-vote", "--walks", "200"]));
    let printed = String::from_utf8_lossy(&found.stdout).into_owned();
    assert_eq!(found.status.code(), Some(1), "{printed}{}", stderr(&found));
    assert!(printed.contains("single-vote is violated by double-vote") && printed.contains(" votes for "), "{printed}");
    assert!(printed.lines().count() < 60, "a short story: {printed}");

    let found = output(&mut chaos(&["walk", "--specimen", "double-vote", "--walks", "200", "--format", "json"]));
    let object: serde_json::Value = serde_json::from_slice(&found.stdout).expect("one object");
    assert_eq!(object["schema"], "chaos.walk/1");
    assert_eq!(object["found"]["property"], "single-vote");
    assert!(object["found"]["moves"].as_array().is_some_and(|moves| moves.len() > 2), "{object}");

    let sound = output(&mut chaos(&["walk", "--walks", "64", "--steps", "2000", "--seed", "7"]));
    let printed = String::from_utf8_lossy(&sound.stdout).into_owned();
    assert_eq!(sound.status.code(), Some(0), "{printed}");
    assert_eq!(printed, "NOTHING FOUND  64 walks of the sound node, 2000 steps each\n");

    let cases: [(&[&str], &str); 4] = [
        (&["walk", "--specimen", "double-vot"], "did you mean `double-vote`?"),
        (&["walk", "--nodes", "0"], "from 1 to 9"),
        (&["walk", "--walks", "0"], "--walks"),
        (&["walk", "--seed", "18446744073709551615"], "64 bits"),
    ];
    for (words, expected) in cases {
        let refused = output(&mut chaos(words));
        assert_eq!(refused.status.code(), Some(254), "{words:?}");
        assert!(stderr(&refused).contains(expected), "{words:?}: {}", stderr(&refused));
    }
}
