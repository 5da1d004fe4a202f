//! `chaos report --format` and `chaos schema`, end to end, on a saved run that is written here: it needs no namespaces.
#![expect(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const PLAN: &str = "\
version: 1
name: kill
system: raft
nodes: 3
seed: 3
faults:
  name: kill-leader
  steps:
    - kill: leader
      for: 1s
      place: \"faults/kill-leader.yaml:9:9\"
checks: [election-safety]
expect:
  failovers.count: at least 8
";

/// A leader is killed, and then two nodes lead one term.
const HISTORY: &str = r#"{"chaos_history":1,"workload":"kill","system":"raft","nodes":3,"seed":SEED,"started":"2026-11-21T10:21:29Z","chaos":"0.1.0"}
{"at":1000000,"note":{"mark":"load_begin"}}
{"at":2000000,"observation":{"node":"n3","incarnation":1,"source":"poll","sent":1500000,"received":2000000,"outcome":{"answered":{"term":1,"role":"leader","leader":"n3"}}}}
{"at":2100000,"observation":{"node":"n1","incarnation":1,"source":"poll","sent":1600000,"received":2100000,"outcome":{"answered":{"term":1,"role":"follower","leader":"n3"}}}}
{"at":3000000,"fault":{"id":1,"edge":"begin","kind":"kill","label":"kill leader","nodes":["n3"],"leader":["n3",1],"stamps":{"scheduled":2900000,"call_begin":2950000,"call_end":3000000,"effect":3000000},"source":{"file":"faults/kill-leader.yaml","line":9,"column":9}}}
{"at":5000000,"observation":{"node":"n1","incarnation":1,"source":"poll","sent":4500000,"received":5000000,"outcome":{"answered":{"term":2,"role":"leader","leader":"n1"}}}}
OTHER
{"at":7000000,"fault":{"id":1,"edge":"end","kind":"kill","label":"kill leader","nodes":["n3"],"leader":["n3",1],"stamps":{"scheduled":6900000,"call_begin":6950000,"call_end":7000000,"effect":7000000},"source":{"file":"faults/kill-leader.yaml","line":9,"column":9}}}
{"at":8000000,"note":{"mark":"load_end"}}
{"at":9000000,"note":{"mark":"run_end"}}
"#;

struct Runs(tempfile::TempDir);

impl Runs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A saved run in which n2 leads `term` at the end.
    fn save(&self, name: &str, seed: u64, term: u64) -> String {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let other = format!(
            r#"{{"at":6000000,"observation":{{"node":"n2","incarnation":1,"source":"poll","sent":5500000,"received":6000000,"outcome":{{"answered":{{"term":{term},"role":"leader","leader":"n2"}}}}}}}}"#
        );
        let history = HISTORY.replace("SEED", &seed.to_string()).replace("OTHER", &other);
        fs::write(folder.join("history.jsonl"), history).unwrap();
        fs::write(folder.join("plan.yaml"), PLAN).unwrap();
        folder.to_str().unwrap().to_owned()
    }
}

fn chaos(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chaos")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs and expects success; returns standard output.
fn ok(arguments: &[&str]) -> String {
    let output = chaos(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    stdout(&output)
}

/// Runs, and expects a refusal that names all of `expected`.
fn refused(arguments: &[&str], expected: &[&str]) {
    let output = chaos(arguments);
    let printed = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(254), "{arguments:?}: {printed}");
    for part in expected {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
}

#[test]
fn a_violation_is_annotated_at_the_plans_line_and_a_miss_at_the_expectations() {
    let runs = Runs::new();
    let run = runs.save("run", 3, 2);
    let commands = ok(&["report", &run, "--format", "github"]);
    let lines: Vec<&str> = commands.lines().collect();
    assert!(lines[0].starts_with("::error file=faults/kill-leader.yaml,line=9,col=9,title=kill%3A ElectionSafety::"));
    assert!(lines[1].contains("plan.yaml,line=14,") && lines[1].contains("failovers.count at least 8"), "{commands}");
}

#[test]
fn without_a_format_page_and_json_are_written_into_the_run_as_ever() {
    let runs = Runs::new();
    let run = runs.save("run", 3, 2);
    let printed = ok(&["report", &run]);
    assert!(printed.contains("report.html") && printed.contains("report.json"));
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(runs.path("run/report.json")).unwrap()).unwrap();
    assert_eq!((&report["schema"], &report["verdict"]), (&"chaos.report/1".into(), &"fail".into()));
    assert_eq!(report["faults"][0]["source"]["line"], 9);
}

#[test]
fn every_format_goes_to_standard_output_to_a_file_and_into_a_folder() {
    let runs = Runs::new();
    let run = runs.save("run", 3, 2);
    let names = [
        ("html", "report.html"),
        ("json", "report.json"),
        ("junit", "junit.xml"),
        ("markdown", "summary.md"),
        ("github", "annotations.txt"),
        ("trace", "trace.json"),
        ("prometheus", "chaos.prom"),
        ("csv", "failovers.csv"),
        ("hlog", "failovers.hlog"),
        ("text", "report.txt"),
    ];
    let folder = runs.path("out");
    fs::create_dir(&folder).unwrap();
    for (format, name) in names {
        let printed = ok(&["report", &run, "--format", format]);
        assert!(!printed.is_empty(), "{format}");
        let file = runs.path("one-file");
        ok(&["report", &run, "--format", format, "--out", file.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(&file).unwrap(), printed, "{format}");
        ok(&["report", &run, "--format", format, "--out", folder.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), printed, "{format}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), names.len(), "nothing half-written is left");
}

#[test]
fn several_runs_are_merged_and_the_gravest_verdict_wins() {
    let runs = Runs::new();
    let (bad, good) = (runs.save("bad", 3, 2), runs.save("good", 4, 3));
    let merged: serde_json::Value = serde_json::from_str(&ok(&["report", &good, &bad, "--format", "json"])).unwrap();
    assert_eq!((&merged["verdict"], &merged["failovers"]), (&"fail".into(), &2.into()));
    assert_eq!(merged["runs"][0]["run"]["seed"], 4);
    assert_eq!(ok(&["report", &good, &bad, "--format", "csv"]).lines().count(), 3);
    assert!(ok(&["report", &good, &bad, "--format", "text"]).contains("FAIL  2 runs together, 2 failovers"));
    // The directory around them means both, and what else lies there is none.
    fs::create_dir(runs.path("notes")).unwrap();
    let around = runs.path("").to_str().unwrap().to_owned();
    assert_eq!(ok(&["report", &around, "--format", "csv"]), ok(&["report", &bad, &good, "--format", "csv"]));
    let notes = runs.path("notes").to_str().unwrap().to_owned();
    refused(&["report", &notes, "--format", "csv"], &["is no run directory"]);
}

#[test]
fn runs_of_different_timeouts_are_refused_with_the_way_out() {
    let runs = Runs::new();
    let (one, other) = (runs.save("one", 3, 3), runs.save("other", 4, 3));
    let slower = PLAN.replace("system: raft", "system: { raft: { heartbeat: 20ms } }");
    fs::write(runs.path("other/plan.yaml"), slower).unwrap();
    refused(&["report", &one, &other, "--format", "markdown"], &["the system's timeouts differ", "--force"]);
    ok(&["report", &one, &other, "--format", "markdown", "--force"]);
    ok(&["report", &one, &other, "--format", "junit"]);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let runs = Runs::new();
    let run = runs.save("run", 3, 2);
    refused(&["report", &run, "--format", "junt"], &["junt", "the formats are html, json, junit"]);
    refused(&["report", &run, &run, "--format", "html"], &["html shows one run"]);
    // By another way, and it would still count as two.
    refused(&["report", &run, &format!("{run}/."), "--format", "csv"], &["named twice"]);
    ok(&["report", &run]);
    refused(&["compare", "--save-baseline", "x.json", &run, &format!("{run}/.")], &["named twice"]);
    refused(&["report", &run, "--out", "x"], &["--format"]);
    refused(&["report", "/nowhere", "--format", "csv"], &["/nowhere is no run directory"]);
    let nowhere = runs.path("no/such/junit.xml");
    refused(&["report", &run, "--format", "junit", "--out", nowhere.to_str().unwrap()], &["no/such/junit.xml"]);
    refused(&["schema", "plan"], &["workload", "faults", "system", "report"]);
}

#[test]
fn output_that_is_lost_is_no_success() {
    let runs = Runs::new();
    let run = runs.save("run", 3, 2);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = crate::support::chaos(&["report", &run, "--format", "csv"]).stdout(full).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{told}");
    assert!(told.contains("write standard output"), "{told}");
}

#[test]
fn a_set_that_lost_a_run_is_not_reported_as_if_it_had_not() {
    let runs = Runs::new();
    fs::create_dir(runs.path("set")).unwrap();
    runs.save("set/001", 3, 2);
    let set = r#"{"schema":"chaos.set/1","chaos":"0.1.0","workload":"partition","system":"raft","nodes":5,"seed":7,
        "started":"2026-01-01T00:00:00Z","asked":2,"ended":"violation","verdict":"fail","exit_code":1,"runs":[
        {"number":1,"directory":"001","seed":7,"exit_code":0,"sentence":"","failovers":3},
        {"number":2,"directory":"002","seed":8,"exit_code":1,"sentence":"","failovers":0}],
        "distributions":[],"floor":null,"failovers":3,"never_elected":0,"outage_max_ns":null}"#;
    fs::write(runs.path("set/set.json"), set).unwrap();
    let path = runs.path("set");
    refused(&["report", path.to_str().unwrap(), "--format", "junit"], &["002 can't be read", "exit code 1"]);
}

/// One node, no fault, an expectation that can't be met: the shortest run that has something to tell.
#[test]
fn a_run_in_a_job_of_github_actions_leaves_summary_annotations_and_junit() {
    if !crate::support::host_can_run() {
        return;
    }
    let runs = Runs::new();
    let (out, summary, plan) = (runs.path("run"), runs.path("step-summary"), runs.path("hope.yaml"));
    let text = "system: raft\nnodes: 1\nfaults: none\nsettle: 100ms\nexpect:\n  failovers.count: at least 8\n";
    fs::write(&plan, text).unwrap();
    fs::write(&summary, "what an earlier command wrote\n").unwrap();
    let mut command =
        crate::support::chaos(&["run", plan.to_str().unwrap(), "--quiet", "--out", out.to_str().unwrap()]);
    let run = command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(3), "{told}");
    let place = format!("::error file={},line=6,col=3,title=hope%3A failovers.count", plan.display());
    assert!(told.contains(&place), "`{place}` is not in:\n{told}");
    let whole = fs::read_to_string(&summary).unwrap();
    assert!(whole.starts_with("what an earlier command wrote\n## ✘ MISSED hope"), "{whole}");
    assert_eq!(
        whole.lines().skip(1).collect::<Vec<_>>(),
        fs::read_to_string(out.join("summary.md")).unwrap().lines().chain([""]).collect::<Vec<_>>()
    );
    let junit = fs::read_to_string(out.join("junit.xml")).unwrap();
    assert!(junit.contains("<failure type=\"missed\"") && junit.contains("line=\"6\""), "{junit}");

    // A summary that can't be written is told, and changes no verdict.
    let out = runs.path("again");
    let mut command =
        crate::support::chaos(&["run", plan.to_str().unwrap(), "--quiet", "--out", out.to_str().unwrap()]);
    let run = command.env("GITHUB_STEP_SUMMARY", runs.path("no/such/file")).output().unwrap();
    assert_eq!(run.status.code(), Some(3));
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("add to the job's summary") && told.contains("no/such/file"), "{told}");
    assert!(!told.contains("::error"), "no job of GitHub Actions, no commands");
    assert!(out.join("junit.xml").is_file() && out.join("summary.md").is_file() && out.join("report.html").is_file());
}

#[test]
fn schemas_are_printed_and_a_report_names_the_one_that_it_follows() {
    for kind in ["workload", "faults", "system", "report"] {
        let schema: serde_json::Value = serde_json::from_str(&ok(&["schema", kind])).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#", "{kind}");
        assert_eq!(schema["$id"], format!("urn:chaos:{kind}:1"));
    }
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../chaos-report/schema/report-1.json");
    assert_eq!(ok(&["schema", "report"]), fs::read_to_string(published).unwrap());
}
