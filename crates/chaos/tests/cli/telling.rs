//! The commands that tell something or write a file to start from: init, list, explain, doctor, completions, man.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::{chaos, host_can_run, output, stderr};
use serde_json::Value;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(arguments: &[&str]) -> Value {
    let told = output(&mut chaos(arguments));
    assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
    serde_json::from_slice(&told.stdout).expect("one JSON object")
}

/// Runs `chaos` in a directory of the test's own.
fn inside(folder: &Path, arguments: &[&str]) -> Output {
    output(chaos(arguments).current_dir(folder))
}

/// Every file below, with its text.
fn tree(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_init_writes_is_a_valid_plan_whose_editor_line_leads_to_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [("first", &[][..]), ("mydb", &["--system", "mydb"])] {
        let mut arguments = vec!["init"];
        arguments.extend(more);
        let init = inside(folder.path(), &arguments);
        assert_eq!(init.status.code(), Some(0), "{}", stderr(&init));
        let plan = format!("workloads/{name}.yaml");
        let resolved = inside(folder.path(), &["plan", &plan]);
        assert_eq!(resolved.status.code(), Some(0), "{}", stderr(&resolved));
        assert!(stdout(&resolved).contains(&format!("place: \"faults/{name}.yaml:")), "its own fault plan");
        let kinds = ["workloads", "faults", "workloads/systems"];
        for kind in &kinds[..if more.is_empty() { 2 } else { 3 }] {
            let text = fs::read_to_string(folder.path().join(kind).join(format!("{name}.yaml"))).unwrap();
            assert!(text.lines().filter(|line| line.contains("# ")).count() >= 5, "it teaches");
            if let Some(line) = text.lines().find(|line| line.starts_with("# yaml-language-server:")) {
                let schema = line.split_once("$schema=").expect("a schema").1;
                let schema = fs::read_to_string(folder.path().join(kind).join(schema)).expect("the schema is there");
                let _: Value = serde_json::from_str(&schema).expect("a schema is JSON");
            }
        }
    }
}

#[test]
fn a_plan_that_init_wrote_for_a_program_of_ones_own_runs_as_it_is() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let init = inside(folder.path(), &["init", "sub", "--system", "mydb"]);
    assert_eq!(init.status.code(), Some(0), "{}", stderr(&init));
    let sub = folder.path().join("sub");
    let run = inside(&sub, &["run", "workloads/mydb.yaml", "--seed", "3", "--quiet", "--out", "run"]);
    assert_eq!(run.status.code(), Some(0), "{}{}", stdout(&run), stderr(&run));
    let printed = stdout(&run);
    assert!(printed.contains("chaos run workloads/mydb.yaml --seed 3"), "how to run it again: {printed}");
    assert!(printed.contains("/sub/run/plan.yaml") && printed.contains("/sub/run/report.html"), "{printed}");
    let definition = fs::read_to_string(sub.join("workloads/systems/mydb.yaml")).unwrap();
    assert!(definition.contains("\nsystem: mydb\n") && !definition.contains("NAME: {"), "{definition}");
    assert!(
        fs::read_to_string(sub.join("run/plan.yaml")).unwrap().contains("system: mydb"),
        "the plan carries it along"
    );
}

#[test]
fn init_never_writes_over_anything_and_then_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("faults")).unwrap();
    fs::write(folder.path().join("faults/first.yaml"), "mine").unwrap();
    // A link that leads nowhere is somebody's, too.
    fs::create_dir_all(folder.path().join("workloads/systems")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("workloads/systems/other.yaml")).unwrap();
    let before = tree(folder.path());
    let first = inside(folder.path(), &["init"]);
    assert_eq!(first.status.code(), Some(254));
    assert!(
        stderr(&first).contains("faults/first.yaml") && !stderr(&first).contains("workloads/"),
        "{}",
        stderr(&first)
    );
    let other = inside(folder.path(), &["init", "--system", "other"]);
    assert_eq!(other.status.code(), Some(254));
    assert!(stderr(&other).contains("systems/other.yaml"), "{}", stderr(&other));
    for name in ["../escape", "a/b", "", ".hidden", "a b"] {
        assert_eq!(inside(folder.path(), &["init", "--name", name]).status.code(), Some(254), "{name}");
    }
    assert_eq!(tree(folder.path()), before);
    // What can't be written to its end leaves nothing of itself: `workloads` is in the way of a directory.
    let blocked = tempfile::tempdir().unwrap();
    fs::write(blocked.path().join("faults"), "a file").unwrap();
    let init = inside(blocked.path(), &["init"]);
    assert_eq!(init.status.code(), Some(254));
    assert_eq!(tree(blocked.path()), [("faults".to_owned(), "a file".to_owned())]);
}

#[test]
fn the_list_is_the_same_for_people_and_for_programs_and_what_it_names_exists() {
    let list = json(&["list", "--format", "json"]);
    assert_eq!(list["schema"], "chaos.list/1");
    let text = stdout(&output(&mut chaos(&["list"])));
    for (kind, least) in [("workloads", 8), ("faults", 8), ("specimens", 4), ("checks", 6)] {
        let items = list[kind].as_array().expect("a list");
        assert!(items.len() >= least, "{} {kind}", items.len());
        for item in items {
            let (name, about) = (item["name"].as_str().unwrap(), item["about"].as_str().unwrap());
            assert!(text.contains(name) && text.contains(about), "{name} is listed");
            assert!(about.len() > 10, "{name} says what it is");
        }
    }
    for workload in list["workloads"].as_array().unwrap() {
        let plan = output(&mut chaos(&["plan", workload["name"].as_str().unwrap()]));
        assert_eq!(plan.status.code(), Some(0), "{}", stderr(&plan));
    }
    for kind in ["checks", "specimens"] {
        for item in list[kind].as_array().unwrap() {
            json(&["explain", item["name"].as_str().unwrap(), "--format", "json"]);
        }
    }
}

#[test]
fn a_word_is_explained_however_it_is_written() {
    for word in ["ElectionSafety", "election-safety", "election_safety", "ELECTIONSAFETY", "election safety"] {
        let told = output(&mut chaos(&["explain", word]));
        assert_eq!(told.status.code(), Some(0), "{word}");
        let text = stdout(&told);
        for part in ["Promises:", "Checked:", "Unknown:", "figure 3", "double-vote"] {
            assert!(text.contains(part), "{word}: no `{part}` in\n{text}");
        }
    }
    for (words, expected) in [
        (&["t4"][..], "a majority of all nodes names one leader"),
        (&["exit-code", "4"], "wrapped command failed"),
        (&["254"], "what the user can mend"),
        (&["one-way"], "is heard by nobody"),
        (&["heartbeat"], "how often a leader shows"),
        (&["node-api"], "/status"),
        (&["host", "stall"], "canary"),
    ] {
        let told = stdout(&output(chaos(&["explain"]).args(words)));
        assert!(told.contains(expected), "{words:?}: {told}");
    }
}

#[test]
fn what_is_unknown_is_refused_with_what_was_probably_meant() {
    for (word, meant) in [
        ("linearisable", "linearizable"),
        ("partitoin", "partition"),
        ("NoStaleLeaderAfterHea", "NoStaleLeaderAfterHeal"),
    ] {
        let told = output(&mut chaos(&["explain", word]));
        assert_eq!(told.status.code(), Some(254), "{word}");
        assert!(stderr(&told).contains(&format!("did you mean `{meant}`?")), "{}", stderr(&told));
    }
    let nothing = output(&mut chaos(&["explain", "xyzzy"]));
    assert_eq!(nothing.status.code(), Some(254));
    assert!(!stderr(&nothing).contains("did you mean") && stderr(&nothing).contains("`chaos explain` lists"));
    assert_eq!(output(&mut chaos(&["explain", ""])).status.code(), Some(254));
}

#[test]
fn every_topic_that_is_listed_can_be_explained() {
    let topics = json(&["explain", "--format", "json"]);
    let topics = topics["topics"].as_array().unwrap().clone();
    assert!(topics.len() > 80, "{} topics", topics.len());
    let text = stdout(&output(&mut chaos(&["explain"])));
    for topic in &topics {
        assert!(text.contains(topic["topic"].as_str().unwrap()));
    }
    // A few of them by the binary; that all are found is a unit test.
    for topic in topics.iter().step_by(20) {
        let told = json(&["explain", topic["topic"].as_str().unwrap(), "--format", "json"]);
        assert_eq!(told["title"], topic["title"]);
    }
}

#[test]
fn every_step_of_a_plan_is_told_with_its_line_and_with_means_that_the_doctor_knows() {
    if !host_can_run() {
        return;
    }
    let told = output(&mut chaos(&["plan", "kill", "--set", "faults=random", "--steps"]));
    let text = stdout(&told);
    assert_eq!(told.status.code(), Some(0), "{text}");
    for line in
        ["   13      kill leader, for 1s..3s\n", "   36      start all that are down\n", "3 of 12:", "60.5s at least"]
    {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(text.contains("  ok       partition     one nf_tables transaction in the switch\n"), "{text}");
    // Each plan's means are tried; one that doctor calls by another name would be missing everywhere.
    let doctor = json(&["doctor", "--format", "json"]);
    let all_work = doctor["primitives"].as_array().unwrap().iter().all(|primitive| primitive["works"] == true);
    for plan in json(&["list", "--format", "json"])["faults"].as_array().unwrap() {
        let plan = format!("faults={}", plan["name"].as_str().unwrap());
        let told = output(&mut chaos(&["plan", "kill", "--set", &plan, "--steps"]));
        assert!(told.status.code() == Some(0) || !all_work, "{plan}: {}{}", stdout(&told), stderr(&told));
    }
}

#[test]
fn the_doctor_tells_programs_what_it_tells_people() {
    let text = output(&mut chaos(&["doctor"]));
    let told = output(&mut chaos(&["doctor", "--format", "json"]));
    assert_eq!(text.status.code(), told.status.code());
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["can_run"].as_bool(), Some(text.status.success()));
    let primitives = told["primitives"].as_array().unwrap();
    assert!(primitives.len() >= 5);
    for primitive in primitives {
        let works = primitive["works"].as_bool().unwrap();
        assert_eq!(works, primitive["remedy"].is_null(), "what is missing has its remedy: {primitive}");
        let name = primitive["name"].as_str().unwrap();
        let line = stdout(&text).lines().find(|line| line.contains(name)).map(str::to_owned).expect("its line");
        assert_eq!(line.trim_start().starts_with("ok"), works, "{line}");
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let commands =
        ["run", "wrap", "init", "check", "report", "plan", "list", "explain", "doctor", "completions", "man"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&mut chaos(&["completions", shell]));
        assert_eq!(script.status.code(), Some(0), "{}", stderr(&script));
        let script = stdout(&script);
        for command in commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("stop-on-violation"), "{shell} completes options");
    }
    // The one shell that is sure to be there reads its script.
    let bash = output(&mut chaos(&["completions", "bash"]));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chaos.bash"), &bash.stdout).unwrap();
    let read = std::process::Command::new("bash").arg("-n").arg(folder.path().join("chaos.bash")).status();
    assert!(read.is_ok_and(|status| status.success()), "bash reads its script");

    let pages = folder.path().join("man1");
    let man = output(&mut chaos(&["man", pages.to_str().unwrap()]));
    assert_eq!(man.status.code(), Some(0), "{}", stderr(&man));
    for command in commands {
        let page = fs::read_to_string(pages.join(format!("chaos-{command}.1"))).expect("a page");
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(stdout(&output(&mut chaos(&["man"]))).contains(".TH chaos 1"));
}
