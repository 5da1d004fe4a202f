//! The league from the outside: what `chaos league` refuses, and that `scripts/league` and `scripts/systems/check` resume, go on after
//! a failure, and write down why something could not run. In place of chaos they get a program that notes what it was asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

fn chaos(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos")).args(words).current_dir(root()).output().expect("chaos starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs are counted in files; one of redis breaks, one of ovsdb injects nothing, nats has no profile `fast`.
const FAKE: &str = r#"#!/usr/bin/env bash
echo "$@" >>"$FAKE_LOG"
case $1 in
  plan)
    case "$*" in *nats*fast*) echo 'error: `nats` has no profile `fast`' >&2; exit 254 ;; esac ;;
  league)
    case $2 in
      --missing)
        had=$(cat "$4"/*/faults 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')
        echo $(($3 > had ? $3 - had : 0)) ;;
      *) echo rendered ;;
    esac ;;
  run)
    out= faults=0
    while [ $# -gt 0 ]; do
      case $1 in --out) out=$2 ;; faults.steps.repeat=*) faults=${1#*repeat=} ;; --system) system=$2 ;; esac
      shift
    done
    case $system in
      redis) printf 'error: no leader within 60s\n  its last words: | gone\n' >&2; exit 255 ;;
      ovsdb) faults=0 ;;
      hashicorp-raft) printf 'error: hashicorp-raft is not installed\n  help: scripts/systems/install hashicorp-raft@1.7.3\n' >&2; exit 254 ;;
    esac
    mkdir -p "$out" && echo "$faults" >"$out/faults" && echo "PASS  smoke" ;;
esac
"#;

struct Fake {
    folder: tempfile::TempDir,
}

impl Fake {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let program = folder.path().join("chaos");
        fs::write(&program, FAKE).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made executable");
        Self { folder }
    }

    fn script(&self, script: &str, words: &[&str]) -> Output {
        Command::new(root().join(script))
            .args(words)
            .env("CHAOS", self.folder.path().join("chaos"))
            .env("FAKE_LOG", self.folder.path().join("log"))
            .output()
            .expect("the script starts")
    }

    fn league(&self, words: &[&str]) -> Output {
        let out = self.folder.path().join("out");
        let words = [words, &["--out", out.to_str().expect("a plain path")]].concat();
        self.script("scripts/league", &words)
    }

    /// The commands that were given so far that begin with `verb`.
    fn asked(&self, verb: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(verb)).map(str::to_owned).collect()
    }

    fn cell(&self, path: &str) -> PathBuf {
        self.folder.path().join("out/league-runs").join(path)
    }
}

#[test]
fn a_cell_is_run_in_batches_until_it_has_enough_and_then_skipped() {
    let fake = Fake::new();
    let words = ["etcd@3.5.1", "--profile", "fast", "--fault", "kill", "--times", "30"];
    let output = fake.league(&words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let runs = fake.asked("run");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    for word in
        ["workloads/league/kill.yaml", "--system etcd", "--version 3.5.1", "--profile fast", "repeat=20 ", "--seed 1 "]
    {
        assert!(runs[0].contains(word), "{word} in {}", runs[0]);
    }
    assert!(runs[1].contains("repeat=10 ") && runs[1].contains("--seed 2 "), "{}", runs[1]);
    assert!(fake.cell("kill/etcd@3.5.1-fast/002/faults").is_file());
    assert!(text(&output.stdout).contains("rendered"));
    assert!(fake.league(&words).status.success());
    assert_eq!(fake.asked("run").len(), 2, "a cell that has enough is not run again");
}

#[test]
fn a_run_that_breaks_ends_its_cell_and_not_the_league() {
    let fake = Fake::new();
    let output = fake.league(&["redis", "ovsdb", "etcd", "--profile", "fast", "--fault", "kill", "--times", "3"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let why = |cell: &str| fs::read_to_string(fake.cell(cell).join("not-run.txt")).unwrap_or_default();
    let redis = why("kill/redis-fast");
    assert!(
        redis.contains("system: redis\nversion: \nprofile: fast\nfault: kill\nreason: error: no leader"),
        "{redis}"
    );
    assert!(why("kill/ovsdb-fast").contains("reason: a run injected no fault"));
    assert_eq!(why("kill/etcd-fast"), "");
    assert_eq!(fake.asked("run").len(), 3);
}

#[test]
fn a_system_without_the_profile_has_no_such_cell() {
    let fake = Fake::new();
    assert!(fake.league(&["nats", "--fault", "kill", "--times", "1"]).status.success());
    assert!(fake.cell("kill/nats-default/001").is_dir() && !fake.cell("kill/nats-fast").exists());
}

#[test]
fn the_scripts_refuse_what_they_do_not_know() {
    let fake = Fake::new();
    let odd = [&["--profile", "../evil"][..], &["--profile", ""], &["etcd@../../x"], &["etcd@"]];
    let wrong = [&["coffee"][..], &["--fault", "../kill"], &["--times", "0"], &["--times"], &["--what"]];
    for words in wrong.into_iter().chain(odd) {
        let output = fake.script("scripts/league", words);
        assert_eq!(output.status.code(), Some(254), "{words:?}: {}", text(&output.stdout));
    }
    for words in [&["coffee"][..], &["--slow"], &["--fast", "etcd"]] {
        assert_eq!(fake.script("scripts/systems/check", words).status.code(), Some(254), "{words:?}");
    }
    assert!(fake.asked("run").is_empty());
}

#[test]
fn the_check_fails_for_what_is_installed_and_broken_and_not_for_what_is_missing() {
    let fake = Fake::new();
    let output = fake.script("scripts/systems/check", &["etcd", "hashicorp-raft"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.contains("missing") && table.contains("scripts/systems/install hashicorp-raft@1.7.3"), "{table}");
    let output = fake.script("scripts/systems/check", &["etcd", "redis"]);
    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("FAILED") && table.contains("exit 255: error: no leader within 60s"), "{table}");
    // VRRP must be convicted; one that passes has not been looked at.
    assert_eq!(fake.script("scripts/systems/check", &["keepalived"]).status.code(), Some(1));
}

#[test]
fn a_league_of_nothing_is_refused_and_everything_is_missing_of_it() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().to_str().expect("a plain path");
    let output = chaos(&["league", path]);
    assert_eq!(output.status.code(), Some(254));
    assert!(text(&output.stderr).contains("there is no run with a report.json"), "{}", text(&output.stderr));
    let nowhere = format!("{path}/nowhere");
    assert_eq!(text(&chaos(&["league", "--missing", "20", &nowhere]).stdout), "20\n");
    assert_eq!(chaos(&["league", &nowhere]).status.code(), Some(254));
}

#[test]
fn a_damaged_report_is_named_and_left_out_and_the_others_are_rendered() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let (damaged, whole) = (folder.path().join("kill/etcd-fast/001"), folder.path().join("kill/nats-fast"));
    fs::create_dir_all(&damaged).expect("made");
    fs::create_dir_all(&whole).expect("made");
    fs::write(damaged.join("report.json"), "{\"schema\": \"chaos.rep").expect("written");
    let why = "system: nats\nversion: \nprofile: fast\nfault: kill\nreason: not installed\n";
    fs::write(whole.join("not-run.txt"), why).expect("written");
    let path = folder.path().to_str().expect("a plain path");
    let output = chaos(&["league", path]);
    assert_eq!(output.status.code(), Some(254), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("| nats · fast | did not run: not installed |"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("etcd-fast/001/report.json"), "{}", text(&output.stderr));
    let output = chaos(&["league", "--missing", "20", path]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "20\n".to_owned()), "it has to be run again");
}

#[test]
fn rendering_the_league_of_a_folder_without_runs_is_refused() {
    let fake = Fake::new();
    let output = fake.script("scripts/league", &["--render", "--out", "/nonexistent/x"]);
    assert_eq!(output.status.code(), Some(254));
    assert!(text(&output.stderr).contains("/nonexistent/x/league-runs"), "{}", text(&output.stderr));
}

#[test]
fn what_could_not_run_is_rendered_in_both_forms() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let cell = folder.path().join("kill/rabbitmq-fast");
    fs::create_dir_all(&cell).expect("made");
    let why = "system: rabbitmq\nversion: 3.10.8\nprofile: fast\nfault: kill\nreason: <b>not</b> installed\n";
    fs::write(cell.join("not-run.txt"), why).expect("written");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let (out, html) = (path("league.md"), path("league.html"));
    let output = chaos(&["league", &path("kill"), "--out", &out, "--html", &html]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let (markdown, page) = (fs::read_to_string(out).expect("written"), fs::read_to_string(html).expect("written"));
    assert!(
        markdown.contains("| rabbitmq 3.10.8 · fast | did not run: &lt;b&gt;not&lt;/b&gt; installed |"),
        "{markdown}"
    );
    assert!(page.contains("did not run: &lt;b&gt;not") && !page.contains("<b>not"), "{page}");
}
