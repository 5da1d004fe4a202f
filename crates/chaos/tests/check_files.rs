//! `chaos check FILE`: what it prints, and how it exits.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const VALID: &str = "0 :invoke :write 1\n0 :ok :write 1\n1 :invoke :read nil\n1 :ok :read 1\n";
const STALE: &str = "0 :invoke :write 1\n0 :ok :write 1\n1 :invoke :read nil\n1 :ok :read nil\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn chaos_check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos")).arg("check").args(arguments).output().unwrap()
}

/// Runs `chaos check` and expects an exit code, and texts on standard output and standard error together.
fn check(arguments: &[&str], code: i32, expected: &[&str]) -> String {
    let run = chaos_check(arguments);
    let printed = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(code), "{arguments:?}\n{printed}");
    for part in expected {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
    printed
}

#[test]
fn a_file_is_judged_and_the_worst_of_several_is_the_exit_code() {
    let folder = Folder::new();
    let (valid, stale) = (folder.file("valid.log", VALID), folder.file("stale.log", STALE));
    let (empty, damaged) = (folder.file("empty.log", ""), folder.file("damaged.log", "0 :ok :read 1\n"));
    check(
        &[&valid],
        0,
        &["valid: linearizable", "jepsen-log, register", "2 operations in 4 lines: 2 used", "it did not happen"],
    );
    check(
        &[&stale],
        1,
        &[
            "invalid: not linearizable",
            "\n  process 1 read nothing for the register after 1 had been acknowledged by process 0; nothing that was",
            "     1. process 0 wrote 1, asked at event 1 (line 1), acknowledged at event 2 (line 2)\n",
            "     2. process 1 read nothing, asked at event 3 (line 3), answered at event 4 (line 4)\n",
            "     3. the longest legal order that respects their times is process 0's write 1 (line 1)",
            "       1 process 0 ├──write 1──┤                       event 1 – event 2\n",
            "       ✘ process 1              ├──read nothing──┤     event 3 – event 4\n",
            "    2 of 2 operations have no legal order (the verifier tried all their orders)\n",
        ],
    );
    check(&[&empty], 254, &["empty.log", "a history of nothing has no verdict"]);
    check(&[&damaged], 254, &["damaged.log:1", "has none under way"]);
    check(
        &[&valid, &empty, &stale, &damaged],
        1,
        &["valid: linearizable", "invalid: not linearizable", "empty.log", "damaged.log:1"],
    );
    check(&[&valid, &empty], 254, &["valid: linearizable"]);
    check(&[&valid, &valid], 0, &[]);
}

#[test]
fn what_a_file_means_can_be_forced() {
    let folder = Folder::new();
    let refused = folder.file("refused.log", "0 :invoke :cas [0 1]\n0 :fail :cas [0 1]\n");
    check(&[&refused], 0, &["a failed cas: it did not happen"]);
    check(&["--failed-cas", "saw-another", "--initial", "0", &refused], 1, &["the register held something else"]);
    check(&["--model", "mutex", &refused], 254, &["`:cas` is no operation of a mutex"]);
    check(&["--format", "jepsen-edn", &refused], 254, &["refused.log:1"]);
    check(&["--format", "jespen", &refused], 254, &["choose one of jepsen-edn"]);
    check(&["--deadline", "60", &refused], 254, &["60s"]);
    check(&["--memory", "1", &refused], 254, &["1GiB"]);
}

#[test]
fn certificates_are_written_once_and_checked_by_anybody() {
    let folder = Folder::new();
    let (valid, stale) = (folder.file("valid.log", VALID), folder.file("stale.log", STALE));
    let proof = folder.path("proof.json");
    let proof = proof.to_str().unwrap();
    check(&["--certificate", proof, &valid], 0, &["certificate written to"]);
    check(&["--certificate", proof, &valid], 254, &["proof.json", "--verify"]);
    check(&["--verify", "--certificate", proof, &valid], 0, &["1 linearizable (2 operations in orders re-played)"]);
    // Of the other history it proves nothing.
    check(&["--verify", "--certificate", proof, &stale], 2, &["unknown", "THE CLAIM DOES NOT HOLD"]);
    check(&["--verify", "--certificate", &valid, &valid], 254, &["not a certificate"]);
    check(&["--verify", &stale], 1, &["2 operations in counterexamples refuted by trying all orders"]);
    check(&["--certificate", proof, &valid, &stale], 254, &["one file"]);
    let refutation = folder.path("refutation.json");
    let refutation = refutation.to_str().unwrap();
    check(&["--certificate", refutation, &stale], 1, &[]);
    check(&["--verify", "--certificate", refutation, &stale], 1, &["all orders of 2 of 2 operations tried"]);
}

#[test]
fn our_own_history_is_judged_without_its_directory() {
    let folder = Folder::new();
    let header = r#"{"chaos_history":1,"workload":"x","system":"raft","nodes":3,"seed":7,"started":"2026-11-21T02:48:11Z","chaos":"0.1.0"}"#;
    let op = |at: u64, id: u64, phase: &str| {
        format!("{{\"at\":{at},\"op\":{{\"id\":{id},\"process\":{id},\"node\":\"n1\",\"phase\":{phase}}}}}\n")
    };
    let invoke = |action: &str| format!("{{\"invoke\":{{\"role\":\"roaming\",\"due\":0,\"action\":{action}}}}}");
    let written = [
        op(1, 0, &invoke(r#"{"write":{"key":"k0","value":41}}"#)),
        op(2, 0, r#"{"ok":{"written":{}}}"#),
        op(3, 1, &invoke(r#"{"read":{"key":"k0"}}"#)),
    ]
    .concat();
    let read = |value: &str| {
        format!("{header}\n{written}{}", op(4, 1, &format!("{{\"ok\":{{\"read\":{{\"value\":{value}}}}}}}")))
    };
    let valid = folder.file("valid.jsonl", &read("41"));
    check(&[&valid], 0, &["read as chaos, cas-register, 1 key"]);
    let stale = folder.file("stale.jsonl", &read("null"));
    check(
        &[&stale],
        1,
        &[
            "process 1 (n1) read nothing for key k0 after 41 had been acknowledged by process 0 (n1)",
            "read nothing, asked at 0.000000003s (line 4), answered at 0.000000004s (line 5)",
            "key k0: 2 of 2 operations have no legal order",
        ],
    );
    let cas = [
        op(4, 1, r#"{"ok":{"read":{"value":41}}}"#),
        op(5, 2, &invoke(r#"{"cas":{"key":"k0","expect":41,"value":42}}"#)),
        op(6, 2, r#"{"ok":{"cas":{"swapped":false,"observed":41}}}"#),
    ];
    let contradiction = folder.file("contradiction.jsonl", &format!("{header}\n{written}{}", cas.concat()));
    check(
        &[&contradiction],
        1,
        &["process 2 (n1) was given an answer that contradicts itself: cas of 41, saw 41, at key k0\n"],
    );
    let nothing = folder.file("nothing.jsonl", &format!("{header}\n"));
    check(&[&nothing], 254, &["not one client operation"]);
    check(&["--model", "mutex", &valid], 254, &["leave out --model"]);
}

#[test]
fn what_a_file_says_never_steers_the_terminal() {
    let folder = Folder::new();
    let value = "\"\u{1b}[2J\u{202e}\"";
    let hostile =
        folder.file("hostile\u{1b}[31m.log", &STALE.replace('1', value).replace(&format!("{value} :"), "1 :"));
    for arguments in [&[hostile.as_str()][..], &["--model", "mutex", &hostile], &["--format", "jepsen-edn", &hostile]] {
        let printed = check(arguments, if arguments.len() == 1 { 1 } else { 254 }, &["hostile\\u{1b}[31m.log"]);
        assert!(!printed.contains(['\u{1b}', '\u{202e}']), "{printed:?}");
        let harmless = "wrote \"\\u{1b}[2J\\u{202e}\", asked at event 1";
        assert!(arguments.len() > 1 || printed.contains(harmless), "{printed}");
        assert!(arguments.len() > 1 || printed.contains("├──write \"\\u{1b}[2J\\u{202e}\"──┤"), "{printed}");
    }
}

#[test]
fn a_directory_without_a_history_says_what_it_wanted() {
    let folder = Folder::new();
    let path = folder.path("");
    check(&[path.to_str().unwrap()], 254, &["no run directory", "history.jsonl", "named as a file"]);
    check(&["/no/such/file.edn"], 254, &["/no/such/file.edn"]);
    check(&[], 254, &["PATH"]);
}
