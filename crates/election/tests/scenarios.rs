//! Scripts of the protocol that a person can follow: `scenarios/*.txt`, each a conversation of commands and what they lead to.
//!
//! A line that begins with `>` is a command, the lines after it are its exact output; `#` begins a comment. Nothing happens by
//! itself: time stands still, messages wait, until the script says so. `UPDATE=1 cargo test -p election --test scenarios` writes
//! the outputs anew; read the difference before you commit it. The form follows etcd's rafttest and toyDB's goldenscripts.
//!
//! The commands are documented at [`Stage::command`].

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint exempts only the test functions themselves")]

#[path = "scenarios/museum.rs"]
mod museum;
#[path = "scenarios/show.rs"]
mod show;
#[path = "scenarios/stage.rs"]
mod stage;

use std::path::Path;
use std::time::Duration;

use election::raft::{Ballot, ChangeRequest, ChangeVerdict, Rules, Sound, VoteReply};
use election::specimens::{ClockKind, Node, Start};
use election::{LogIndex, NodeId, Term};

use stage::Stage;

/// How a sound node starts.
fn sound(start: Start) -> Node {
    start.with(Sound)
}

/// Plays a script and returns it with the outputs that came.
fn play(script: &str, start: fn(Start) -> Node) -> String {
    let mut stage = Stage::new(start, ClockKind::Monotonic);
    let mut played = String::new();
    let mut in_output = false;
    for line in script.lines() {
        let command = line.strip_prefix("> ");
        if command.is_none() && in_output && !line.is_empty() && !line.starts_with('#') {
            continue; // an old output
        }
        in_output = command.is_some();
        played += line;
        played.push('\n');
        for output in command.map(|command| stage.command(command)).unwrap_or_default() {
            played += &format!("  {output}\n");
        }
    }
    played
}

#[test]
fn every_scenario_plays_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    scripts.sort();
    assert!(scripts.len() >= 25, "the scenarios are gone");
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = Vec::new();
    for path in scripts {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = play(&written, sound);
        if played == written {
            continue;
        }
        if update {
            std::fs::write(&path, &played).unwrap();
        } else {
            let at = played.lines().zip(written.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let [came, expected] =
                [&played, &written].map(|text| text.lines().nth(at).unwrap_or("(the end)").to_owned());
            differing.push(format!("{}:{}\n  expected {expected}\n  came     {came}", path.display(), at + 1));
        }
    }
    assert!(differing.is_empty(), "{}\nUPDATE=1 writes the outputs anew", differing.join("\n"));
}

/// The entries that nodes applied at one index, if they are not all the same.
fn applied_twice(played: &str) -> Option<(&str, &str)> {
    let mut first: std::collections::BTreeMap<&str, &str> = std::collections::BTreeMap::new();
    let applied = played.lines().filter_map(|line| line.split_once(" applies ")).flat_map(|(_, list)| list.split(' '));
    applied.filter_map(|entry| Some((entry, entry.split_once('@')?.0))).find_map(|(entry, index)| {
        let before = *first.entry(index).or_insert(entry);
        (before != entry).then_some((before, entry))
    })
}

/// The correction of July 2015 (raft-dev): without it two majorities without a common member commit different entries.
#[test]
fn a_change_before_the_no_op_is_committed_splits_the_cluster() {
    #[derive(Clone)]
    struct Mutant;
    impl Rules for Mutant {
        fn membership_change(&self, change: ChangeRequest<'_>) -> ChangeVerdict {
            Sound.membership_change(ChangeRequest { noop_committed: true, ..change })
        }
    }
    let script = include_str!("scenarios/22-disjoint-majorities.txt");
    assert_eq!(applied_twice(&play(script, sound)), None);
    let split = play(script, |start| start.with(Mutant));
    assert_eq!(applied_twice(&split), Some(("2@2:noop", "2@1:members(n1,n3,n4)")), "{split}");
}

/// A wrong rule that random faults seldom or never bring to light must at least change the script that is about it.
macro_rules! shown_by {
    ($($name:ident: $script:literal => { $rule:item })*) => { $(
        #[test]
        fn $name() {
            #[derive(Clone)]
            struct Mutant;
            impl Rules for Mutant { $rule }
            let written = include_str!(concat!("scenarios/", $script));
            assert_ne!(play(written, |start| start.with(Mutant)), written, "the script does not show the mistake");
        }
    )* };
}

shown_by! {
    prior_term_commit: "06-figure-8.txt" => {
        fn may_commit(&self, _: Term, _: Term) -> bool { true }
    }
    read_before_noop: "07-read-index.txt" => {
        fn read_index(&self, commit: LogIndex, _: LogIndex) -> LogIndex { commit }
    }
    lease_kept_on_transfer: "10-transfer-aborted.txt" => {
        fn lease_allowed(&self, _: bool, _: bool) -> bool { true }
    }
    snapshot_takes_back: "11-snapshot.txt" => {
        fn accepts_snapshot(&self, _: LogIndex, _: LogIndex) -> bool { true }
    }
    removed_node_never_campaigns: "13-removed-node-still-needed.txt" => {
        fn campaigns(&self, is_member: bool, _: bool) -> bool { is_member }
    }
    vote_erased_on_step_down: "14-restart-keeps-vote.txt" => {
        fn vote_after_step_down(&self, _: Option<NodeId>) -> Option<NodeId> { None }
    }
    no_promise: "15-promise.txt" => {
        fn keeps_promise(&self, _: Ballot, _: bool, _: bool) -> bool { false }
    }
    restart_forgets_promise: "15-promise.txt" => {
        fn promises_after_restart(&self) -> bool { false }
    }
    pre_vote_hides_term: "16-pre-vote-tells-its-term.txt" => {
        fn vote_reply_term(&self, _: Term) -> Term { Term(0) }
    }
    old_reply_renews: "17-old-rounds.txt" => {
        fn renews_leadership(&self, _: Term, _: Term) -> bool { true }
    }
    stale_vote_counted: "18-stale-vote.txt" => {
        fn counts_vote(&self, _: Term, pre: bool, reply: &VoteReply) -> bool { reply.granted && reply.pre == pre }
    }
    members_change_too_early: "19-members-need-noop.txt" => {
        fn membership_change(&self, change: ChangeRequest<'_>) -> ChangeVerdict {
            Sound.membership_change(ChangeRequest { noop_committed: true, ..change })
        }
    }
    newcomer_campaigns: "24-catch-up.txt" => {
        fn campaigns(&self, _: bool, _: bool) -> bool { true }
    }
    added_before_it_has_the_log: "24-catch-up.txt" => {
        fn caught_up(&self, _: Duration, _: Duration) -> bool { true }
    }
    proposals_during_transfer: "25-transfer-given-up.txt" => {
        fn accepts_proposals(&self, _: bool) -> bool { true }
    }
    successor_asked_too_early: "25-transfer-given-up.txt" => {
        fn asks_successor(&self, _: LogIndex, _: LogIndex) -> bool { true }
    }
    refused_vote_rearms_timer: "20-refusal-keeps-timer.txt" => {
        fn vote_rearms_timer(&self, _: bool) -> bool { true }
    }
}
