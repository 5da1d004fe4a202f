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
    // Lines are broken where the terminal ends.
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in expected {
        assert!(flat(&printed).contains(&flat(part)), "`{part}` is not in:\n{printed}");
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
            "\n  process 1 read nil for the register after 1 had been acknowledged by process 0; nothing that was",
            "     1. process 0 wrote 1, asked at line 1, acknowledged at line 2\n",
            "     2. process 1 read nil, asked at line 3, answered at line 4\n",
            "     3. the longest legal order that respects their times is process 0's write 1 (line 1)",
            "       1 process 0 ├──write 1──┤                       line 1 – line 2\n",
            "       ✘ process 1              ├──read nil──┤  line 3 – line 4\n",
            "    2 of 2 operations have no legal order (the verifier tried all their orders)\n",
        ],
    );
    check(&[&empty], 254, &["empty.log", "a history of nothing has no verdict"]);
    check(&[&damaged], 254, &["damaged.log:1", "has none under way"]);
    check(
        &[&valid, &empty, &stale, &damaged],
        1,
        &[
            "valid: linearizable",
            "invalid: not linearizable",
            "4 paths: 1 valid, 1 invalid, 2 not judged (empty.log: the file is empty: a history of nothing has no verdict; \
             damaged.log: line 1: process 0 ends :read",
        ],
    );
    check(&[&valid, &empty], 254, &["valid: linearizable", "2 paths: 1 valid, 1 not judged"]);
    // How files were read is told once.
    let printed = check(&[&valid, &valid], 0, &["2 paths: 2 valid"]);
    assert_eq!(printed.matches("any other fail").count(), 1, "{printed}");
    let printed = check(&["--quiet", &valid, &stale], 1, &["2 paths: 1 valid, 1 invalid"]);
    assert_eq!(printed.lines().count(), 3, "{printed}");
}

#[test]
fn what_a_file_means_can_be_forced() {
    let folder = Folder::new();
    let refused = folder.file("refused.log", "0 :invoke :cas [0 1]\n0 :fail :cas [0 1]\n");
    check(&[&refused], 2, &["unknown: not one operation says anything", "a failed cas: it did not happen"]);
    check(&["--initial", "0", "--model", "set", &refused], 254, &["`:cas` is no operation of a set"]);
    let lock = folder.file("lock.log", "0 :invoke :acquire nil\n0 :ok :acquire nil\n");
    check(&["--initial", "5", &lock], 254, &["--initial is about registers, and the history is of kind mutex"]);
    check(&["--failed-cas", "saw-another", &lock], 254, &["--failed-cas is about registers"]);
    check(&["--threads", "0", &lock], 254, &["a number of threads, 1 or more"]);
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
    // The verdict isn't lost where its proof can't be written.
    check(&["--certificate", "/no/such/folder/proof.json", &stale], 1, &["invalid: not linearizable", "proof.json"]);
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
    check(&[&valid], 0, &["read as chaos, cas-register, 1 key", "only linearizability is judged", "chaos check DIR"]);
    // Beside its plan it is a run, and judged as one: here the plan is none.
    let run = folder.file("history.jsonl", &read("41"));
    check(&[&run], 0, &["only linearizability is judged"]);
    folder.file("plan.yaml", "nonsense: 1\n");
    check(&[&run], 254, &["which is judged as a whole", "nonsense"]);
    check(&["--threads", "1", &run], 0, &["only linearizability is judged"]);
    let directory = folder.path("");
    check(
        &["--deadline", "1s", "--memory", "1GiB", directory.to_str().unwrap()],
        254,
        &["--deadline, --memory are about files"],
    );
    let marked = folder.file("marked.jsonl", &format!("\u{feff}{}", read("41")));
    check(&[&marked], 254, &["byte order mark"]);
    let stale = folder.file("stale.jsonl", &read("null"));
    check(
        &[&stale],
        1,
        &[
            "n1 read nil for key k0 after 41 had been acknowledged by itself",
            "read nil, asked at 0.000s (line 4), answered at 0.000s (line 5)",
            "key k0: 2 of 2 operations have no legal order",
        ],
    );
    let cas = [
        op(4, 1, r#"{"ok":{"read":{"value":41}}}"#),
        op(5, 2, &invoke(r#"{"cas":{"key":"k0","expect":41,"value":42}}"#)),
        op(6, 2, r#"{"ok":{"cas":{"swapped":false,"observed":41}}}"#),
    ];
    let contradiction = folder.file("contradiction.jsonl", &format!("{header}\n{written}{}", cas.concat()));
    check(&[&contradiction], 1, &["n1 was given an answer that contradicts itself: cas of 41, saw 41, at key k0\n"]);
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
        let harmless = "wrote \"\\u{1b}[2J\\u{202e}\", asked at line 1";
        assert!(arguments.len() > 1 || printed.contains(harmless), "{printed}");
        assert!(arguments.len() > 1 || printed.contains("├──write \"\\u{1b}[2J\\u{202e}\"──┤"), "{printed}");
    }
}

#[test]
fn a_directory_without_a_history_says_what_it_wanted() {
    let folder = Folder::new();
    let path = folder.path("");
    check(&[path.to_str().unwrap()], 254, &["no run directory", "history.jsonl", "named as a file"]);
    check(&["/dev/zero"], 254, &["/dev/zero is neither a file nor a pipe"]);
    // An entry of Jepsen's store.
    folder.file("history.edn", &edn(VALID));
    check(&[path.to_str().unwrap()], 0, &["history.edn: valid: linearizable"]);
    check(&["/no/such/file.edn"], 254, &["/no/such/file.edn"]);
    check(&[], 254, &["PATH"]);
}

/// The events of a log as maps.
fn edn(log: &str) -> String {
    let map = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        format!("{{:process {} :type {} :f {} :value {}}}\n", words[0], words[1], words[2], words[3])
    };
    log.lines().map(map).collect()
}

#[test]
fn what_is_cut_off_or_says_nothing_is_not_valid() {
    let folder = Folder::new();
    let cut = folder.file("cut.edn", &format!("{}{{:process 1 :type :invoke :f :re", edn(VALID)));
    check(&[&cut], 2, &["unknown: valid up to the cut in line 5", "line 5 is cut off"]);
    let cut = folder.file("cut-stale.edn", &format!("{}{{:process 1 :type :invoke :f :re", edn(STALE)));
    check(&[&cut], 1, &["invalid: not linearizable"]);
    let swallowed = edn(VALID).replace(":value 1} {", ":value \"1} {").replace('\n', " ").replacen("1}", "\"1}", 1);
    check(
        &[&folder.file("swallowed.edn", &format!("{} {swallowed}", edn(VALID).replace('\n', " ")))],
        2,
        &["unknown: valid up to the cut in line 1"],
    );
    for nothing in
        ["0 :invoke :read nil\n0 :info :read nil\n", "0 :invoke :write 1\n0 :fail :write 1\n", "0 :invoke :read nil\n"]
    {
        check(&[&folder.file("nothing.log", nothing)], 2, &["unknown: not one operation says anything"]);
    }
}

#[test]
fn an_objection_to_a_certificate_names_the_operation() {
    let folder = Folder::new();
    let (valid, proof) = (folder.file("valid.log", VALID), folder.path("proof.json"));
    let proof = proof.to_str().unwrap();
    check(&["--certificate", proof, &valid], 0, &[]);
    let text = fs::read_to_string(proof).unwrap();
    assert!(text.contains("[1,3]"), "{text}");
    fs::write(proof, text.replace("[1,3]", "[3,1]")).unwrap();
    check(
        &["--verify", "--certificate", proof, &valid],
        2,
        &["unknown: a claim does not hold", "process 1's read 1 (line 3) is impossible at its place"],
    );
}
