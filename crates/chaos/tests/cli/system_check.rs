//! `chaos system check` passes a right definition, and names what is wrong with a wrong one: the key, the node, the answer, the log.
//! The definition is that which `chaos init --system` writes, and the program is the reference node.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{assert_gone, chaos, host_can_run, output, stderr};

/// A directory with a definition of one's own, fresh from `chaos init`.
fn scaffold() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let init = output(chaos(&["init", "--system", "mydb"]).current_dir(folder.path()));
    assert_eq!(init.status.code(), Some(0), "{}", stderr(&init));
    folder
}

/// Changes a line of the definition.
fn change(folder: &Path, from: &str, to: &str) {
    let file = folder.join("workloads/systems/mydb.yaml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "there is no `{from}` to change");
    fs::write(&file, text.replace(from, to)).unwrap();
}

/// A check of the definition, whose scratch directory is in a place of the test's own.
fn check(folder: &Path, more: &[&str]) -> Command {
    let scratch = folder.join("scratch");
    fs::create_dir_all(&scratch).unwrap();
    let own = format!("mydb={}", env!("CARGO_BIN_EXE_chaos"));
    let mut arguments = vec!["system", "check", "workloads/systems/mydb.yaml"];
    if !more.contains(&"--bin") {
        arguments.extend(["--bin", &own]);
    }
    arguments.extend(more);
    let mut command = chaos(&arguments);
    command.current_dir(folder).env("TMPDIR", &scratch);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs the check and expects this exit code and these words; nothing may be left, neither processes nor files.
fn expect(folder: &Path, more: &[&str], code: i32, words: &[&str]) -> String {
    let done = output(&mut check(folder, more));
    let printed = format!("{}{}", stdout(&done), stderr(&done));
    assert_eq!(done.status.code(), Some(code), "{printed}");
    for word in words {
        assert!(printed.contains(word), "`{word}` is not in:\n{printed}");
    }
    let scratch = folder.join("scratch");
    assert_gone(scratch.to_str().unwrap(), Duration::from_secs(2));
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "files are left behind");
    printed
}

#[test]
fn the_definition_that_init_writes_works_as_it_is() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    let words = [
        "✔ observer self",
        "leads, and is named by all",
        "✔ ready 1",
        "✔ ready 2",
        "✔ port client 7002",
        "✔ client read of nothing",
        "✔ client write ",
        "✔ client cas ",
        "✔ client cas of another",
        "✔ client cas of nothing",
        "– client add",
        "– compare",
        "✔ failover",
        "✔ restart",
        "✔ term",
        "Everything that the definition declares works.",
    ];
    expect(folder.path(), &[], 0, &words);
}

#[test]
fn a_wrong_port_is_named_with_the_ports_on_which_the_nodes_do_listen() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "client: 7002", "client: 7003");
    let words =
        ["✘ start", "n1 did not answer", "✘ port client 7003", "the nodes listen on: 7001, 7002", "`ports.client`"];
    expect(folder.path(), &["--within", "3s"], 3, &words);
}

#[test]
fn an_answer_that_the_pattern_never_matches_is_shown_beside_it() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "    identity: answer.id ", "    pattern: 'Mode: (?<mode>\\w+)'\n    identity: answer.id ");
    let words = ["`Mode: (?<mode>\\w+)` does not match", "\"role\"", "`observers.self.pattern`"];
    let printed = expect(folder.path(), &["--within", "3s"], 3, &words);
    assert!(printed.contains("✔ port client 7002"), "the port is right:\n{printed}");
}

#[test]
fn a_path_that_the_nodes_do_not_know_is_named_with_the_status_of_their_answer() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "path: /status }", "path: /no-such-path }");
    let words = ["GET /no-such-path answered 404", "✘ observer self", "`observers.self.http`"];
    expect(folder.path(), &["--within", "3s"], 3, &words);
}

#[test]
fn a_relative_path_of_a_nodes_command_is_relative_to_the_nodes_directory() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    let files = "files:\n  start.sh: { text: \"#!/bin/sh\\nexec $(cat words) \\\"$@\\\"\\n\", mode: \"0700\" }\n  words: \"{{ program.mydb }} node\"\n";
    change(
        folder.path(),
        "processes:\n  node:\n    run:\n      - mydb\n      - node\n",
        &format!("{files}processes:\n  node:\n    run:\n      - ./start.sh\n"),
    );
    expect(folder.path(), &["--nodes", "1"], 0, &["✔ start", "✔ client write"]);
}

#[test]
fn a_leader_whom_nobody_knows_is_named_in_the_nodes_own_words() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(
        folder.path(),
        "    leader: answer.leader           # whom",
        "    leader: \"'member-' ~ answer.leader\" # whom",
    );
    change(folder.path(), "that: answer.leader is not none", "that: answer.role != 'candidate'");
    let words = ["✘ observer self", "names `member-n", "no node is known by that name", "`observers.self.identity`"];
    expect(folder.path(), &["--within", "10s"], 3, &words);
}

#[test]
fn a_client_whose_port_is_another_service_fails_with_the_answers_words() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "  - write\n", "");
    change(folder.path(), "  driver: http\n  port: client", "  driver: http\n  port: peer");
    expect(folder.path(), &["--within", "10s"], 3, &["✔ observer self", "✘ client write", "info: ", "`client.port`"]);
}

#[test]
fn a_program_that_ends_at_once_is_named_with_its_exit_code_and_its_last_words() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "--heartbeat={{ tune.heartbeat }}ms", "--no-such-flag");
    let words = ["✘ start", "ended by itself", "exit code", "no-such-flag", "`processes.node.run`"];
    let printed = expect(folder.path(), &["--within", "20s"], 3, &words);
    assert!(!printed.contains("its log is"), "a log that is gone is named:\n{printed}");
}

#[test]
fn a_program_that_is_missing_is_named_before_anything_starts() {
    let folder = scaffold();
    expect(folder.path(), &["--bin", "mydb=/no/such/program"], 254, &["/no/such/program", "mydb"]);
    let file = folder.path().join("workloads/systems/mydb.yaml");
    let bare = output(chaos(&["system", "check", file.to_str().unwrap()]).current_dir(folder.path()));
    if host_can_run() {
        assert_eq!(bare.status.code(), Some(254));
        assert!(stderr(&bare).contains("mydb needs the program `mydb`"), "{}", stderr(&bare));
        assert!(stderr(&bare).contains("--bin mydb=PATH"), "{}", stderr(&bare));
    }
}

#[test]
fn a_program_of_another_version_than_the_definition_wants_is_refused() {
    if !host_can_run() {
        return;
    }
    let folder = scaffold();
    change(folder.path(), "system: mydb\n", "system: mydb\ninstall: { name: mydb, versions: [\"99.7\"] }\n");
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_chaos"), bin.join("mydb")).unwrap();
    let path = std::env::join_paths(
        [bin.clone()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = chaos(&["system", "check", "workloads/systems/mydb.yaml"]);
    let done = output(command.current_dir(folder.path()).env("PATH", path.unwrap()).env("CHAOS_SYSTEMS", &bin));
    let printed = stderr(&done);
    assert_eq!(done.status.code(), Some(254), "{printed}");
    for word in ["version", "99.7 is wanted", "scripts/systems/install mydb@99.7"] {
        assert!(printed.contains(word), "`{word}` is not in:\n{printed}");
    }
}

#[test]
fn mistakes_in_the_file_are_shown_with_their_line() {
    let folder = scaffold();
    change(folder.path(), "    role: answer.role ", "    rolle: answer.role ");
    expect(folder.path(), &[], 254, &["mydb.yaml:", "rolle", "did you mean `role`"]);
    let raft = output(&mut chaos(&["system", "check", "raft"]));
    assert_eq!(raft.status.code(), Some(254), "{}", stderr(&raft));
    let show = output(&mut chaos(&["system", "show", "etdc"]));
    assert_eq!(show.status.code(), Some(254));
    assert!(stderr(&show).contains("did you mean `etcd`"), "{}", stderr(&show));
}
