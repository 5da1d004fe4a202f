//! Whatever is wrong, the user learns what, where and what to do, with the right exit code, and nothing is left running.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::support::{assert_gone, chaos, host_can_run, output, stderr};

/// Runs `kill` with a node program of the test's own and expects a refusal that names `expected`.
fn check_program(script: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (out, program) = (folder.path().join("run"), folder.path().join("node"));
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let set = format!("system.raft.program={}", program.display());
    let out_text = out.to_str().unwrap();
    let run = output(&mut chaos(&["run", "kill", "--out", out_text, "--set", &set, "--set", "start-within=2s"]));
    let printed = stderr(&run);
    assert_eq!(run.status.code(), Some(254), "a program that does not come up is for the user to mend: {printed}");
    for part in expected {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
    assert!(out.join("nodes/n1/stderr.log").is_file(), "logs are kept");
    assert_gone(out_text, Duration::from_secs(1));
}

#[test]
fn a_node_that_exits_at_once_is_named_with_its_exit_code_and_its_words() {
    if host_can_run() {
        check_program(
            "#!/bin/sh\necho no licence found >&2\nexit 7\n",
            &["ended by itself", "exit code 7", "stderr.log", "no licence found"],
        );
    }
}

#[test]
fn a_node_that_says_why_it_ends_on_its_standard_output_is_quoted_too() {
    if host_can_run() {
        check_program(
            "#!/bin/sh\necho no licence found\nexit 7\n",
            &["exit code 7", "stdout.log:\n  no licence found"],
        );
    }
}

#[test]
fn the_words_of_a_node_never_steer_the_terminal() {
    if host_can_run() {
        check_program("#!/bin/sh\nprintf '\\033[2Jgone\\n' >&2\nexit 7\n", &["\\u{1b}[2Jgone"]);
    }
}

#[test]
fn a_run_outlives_the_reader_of_its_live_view() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let plan = folder.path().join("plan.yaml");
    fs::write(&plan, "system: raft\nnodes: 1\nfaults: none\nsettle: 100ms\n").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let arguments = ["run", plan.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let status = chaos(&arguments).stdout(std::process::Stdio::null()).stderr(writer).status().unwrap();
    // Whatever the verdict, it is one: not a panic's 101.
    assert!(matches!(status.code(), Some(0 | 2 | 3)), "{status}");
    assert!(out.join("report.json").is_file());
}

#[test]
fn a_node_that_never_answers_is_named() {
    if host_can_run() {
        check_program("#!/bin/sh\nexec sleep 60\n", &["n1", "did not answer", "2s", "stderr.log"]);
    }
}

#[test]
fn a_node_that_takes_itself_for_another_is_told_by_its_words() {
    if !host_can_run() {
        return;
    }
    // Every node gets `--id nX` first; these all take themselves for n2, whose address the others lack. Which of them
    // ends first is chance.
    let chaos = env!("CARGO_BIN_EXE_chaos");
    check_program(
        &format!("#!/bin/sh\nshift 2\nexec {chaos} node --id n2 \"$@\"\n"),
        &["ended by itself", "stderr.log", "Cannot assign requested address"],
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = output(&mut chaos(&[
        "run",
        "kill",
        "--out",
        out.to_str().unwrap(),
        "--set",
        "system.raft.program=/no/such/program",
    ]));
    assert_eq!(run.status.code(), Some(254), "{}", stderr(&run));
    assert!(stderr(&run).contains("/no/such/program"), "{}", stderr(&run));
}

#[test]
fn mistakes_on_the_command_line_and_in_plans_are_exit_254() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("bad.yaml");
    fs::write(&plan, "name: bad\nsystem: raft\nnodes: 5\nfaults:\n  steps:\n    - partitoin: { isolate: leader }\n")
        .unwrap();
    let plan = plan.to_str().unwrap();
    let cases: [(&[&str], &str); 7] = [
        (&["run", "no/such/file.yaml"], "no/such/file.yaml"),
        (&["run", plan], "did you mean `partition`"),
        (&["run", "kill", "--set", "nods=3"], "did you mean `nodes`"),
        (&["run", "kill", "--set", "system.raft.specimen=doubel-vote"], "double-vote"),
        (&["run"], "WORKLOAD"),
        (&["runn"], "run"),
        (&["check", "/no/such/run"], "/no/such/run"),
    ];
    for (arguments, expected) in cases {
        let run = output(&mut chaos(arguments));
        assert_eq!(run.status.code(), Some(254), "{arguments:?}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{arguments:?}: `{expected}` is not in:\n{}", stderr(&run));
    }
}

#[test]
fn a_run_directory_is_never_written_over() {
    if !host_can_run() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("precious"), "x").unwrap();
    let run = output(&mut chaos(&["run", "kill", "--out", out.to_str().unwrap()]));
    assert_eq!(run.status.code(), Some(254), "{}", stderr(&run));
    assert!(Path::new(&out).join("precious").is_file());
}
