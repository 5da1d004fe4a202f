//! `chaos run --format json`: what happens, as it happens, one JSON object a line on standard output and nothing else there.
//!
//! Version 1, `chaos.events/1`. The first line names the version; adding a key or a kind of event is no new version, so readers
//! skip what they don't know. Lines stand in the order in which the harness took things in, which for concurrent things may
//! differ by some milliseconds from that of their stamps. The last line is a `verdict`, or `failed` where there is none; a stream without either was cut
//! off with its process. Times are nanoseconds since the run began. One example of each, with every key:
//!
//! ```json
//! {"event":"run-started","schema":"chaos.events/1","chaos":"0.1.0","workload":"kill","fault_plan":"kill-leader","system":"raft","nodes":5,"seed":7,"faults":12,"directory":"/tmp/run","again":"chaos run kill --seed 7"}
//! {"event":"leader","at_ns":412000000,"node":"n2","term":1}
//! {"event":"fault-begin","at_ns":1500000000,"id":1,"kind":"kill","label":"kill leader","nodes":["n2"],"place":"faults/kill-leader.yaml:8","error":null}
//! {"event":"fault-end","at_ns":3500000000,"id":1,"kind":"kill","label":"kill leader","nodes":["n2"],"place":"faults/kill-leader.yaml:8","error":null}
//! {"event":"node-started","at_ns":3500200000,"node":"n2","pid":41}
//! {"event":"node-exited","at_ns":1500100000,"node":"n2","exit_code":null,"signal":9,"expected":true}
//! {"event":"progress","at_ns":2000000000,"phase":"faults","fraction_millionths":83000,"leader":"n1","term":2,"faults_over":0,"faults_total":12,"active_faults":["kill leader"],"waiting_for":"…","ok":402,"failed":38,"unknown":3}
//! {"event":"alarm","at_ns":2100000000,"property":"ElectionSafety","sentence":"n1 and n3 both led term 2."}
//! {"event":"interrupted","at_ns":2100000000,"why":"by the user"}
//! {"event":"verdict","verdict":"pass","exit_code":0,"sentence":"Every check holds over 12 failovers.","checks":[{"property":"ElectionSafety","verdict":"valid"}],"failovers":12,"directory":"/tmp/run","report_html":"/tmp/run/report.html","report_json":"/tmp/run/report.json","history":"/tmp/run/history.jsonl","plan":"/tmp/run/plan.yaml","again":["chaos run kill --seed 7","chaos run /tmp/run/plan.yaml"]}
//! {"event":"failed","exit_code":254,"message":"this host can't inject pause"}
//! ```
//!
//! `node-started` tells of restarts; all nodes have started before the first event after `run-started`. `leader` comes when a majority names another leader or term than before; `progress` once a second; `node-exited` with
//! `"expected":false` is a finding; `alarm` only with `--stop-on-violation`, and is no verdict. `faults` and `faults_total` are
//! null where the plan draws how many there will be; `place` and `error` are null where there is none.
//!
//! Refuses to end a run because nobody reads it any more: a closed standard output is written to no longer, and the run goes on
//! to its reports.

use std::io::Write;
use std::time::Duration;

use chaos_engine::{Engine, Event, Phase};
use chaos_history::{FaultEdge, FaultEvent, NodeId, NodeLife, RunDir, RunNanos, Term};
use chaos_report::{CheckVerdict, Report};
use serde_json::{Value, json};

use crate::follow::{Alarms, Follow, Started};

/// The format's name and version.
const SCHEMA: &str = "chaos.events/1";
/// How often `progress` is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How a run tells what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RunFormat {
    /// For people: a live view on standard error, the summary on standard output.
    #[default]
    Text,
    /// For programs: one JSON object a line on standard output (chaos.events/1).
    Json,
}

/// Writes the events of one run.
pub(crate) struct Events {
    /// `None` once nobody reads any more.
    out: Option<std::io::Stdout>,
    alarms: Alarms,
    leader: Option<(NodeId, Term)>,
    told: RunNanos,
}

impl Events {
    /// Nothing is told yet. `alarms` is where the watch of the run leaves what it saw.
    pub(crate) fn new(alarms: Alarms) -> Self {
        Self { out: Some(std::io::stdout()), alarms, leader: None, told: RunNanos::default() }
    }

    fn tell(&mut self, event: &Value) {
        let Some(out) = &mut self.out else { return };
        // One write a line, so that two processes with one pipe can't mix within a line.
        let line = format!("{event}\n");
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.out = None;
        }
    }

    fn progress(&mut self, now: RunNanos, engine: &Engine) {
        self.told = now;
        let progress = engine.progress();
        let phase = match progress.phase {
            Phase::Starting => "starting",
            Phase::Load => "load",
            Phase::Faults => "faults",
            Phase::Settling => "settling",
            Phase::FinalReads => "final-reads",
            Phase::Stopping => "stopping",
            Phase::Done => "done",
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a million")]
        let fraction = (progress.fraction.clamp(0.0, 1.0) * 1e6) as u64;
        self.tell(&json!({
            "event": "progress",
            "at_ns": now.0,
            "phase": phase,
            "fraction_millionths": fraction,
            "leader": progress.leader.map(|(node, _)| node.to_string()),
            "term": progress.leader.map(|(_, term)| term.0),
            "faults_over": progress.faults_done,
            "faults_total": progress.faults_total,
            "active_faults": progress.active_faults,
            "waiting_for": progress.waiting_for,
            "ok": progress.operations.ok,
            "failed": progress.operations.fail,
            "unknown": progress.operations.info,
        }));
    }
}

impl Follow for Events {
    fn started(&mut self, started: &Started<'_>) {
        self.tell(&json!({
            "event": "run-started",
            "schema": SCHEMA,
            "chaos": env!("CARGO_PKG_VERSION"),
            "workload": started.workload.name,
            "fault_plan": started.workload.faults.name,
            "system": started.workload.system.name(),
            "nodes": started.workload.nodes,
            "seed": started.seed.0,
            "faults": started.faults,
            "directory": started.directory.root().display().to_string(),
            "again": started.again,
        }));
    }

    fn update(&mut self, now: RunNanos, event: &Event, engine: &Engine) {
        match event {
            Event::FaultDone(fault) => self.tell(&fault_event(now, fault)),
            Event::Node { node, life: NodeLife::Started { pid } } => {
                self.tell(&json!({"event": "node-started", "at_ns": now.0, "node": node.to_string(), "pid": pid}));
            }
            Event::Node { node, life: NodeLife::Exited { code, signal, expected } } => self.tell(&json!({
                "event": "node-exited",
                "at_ns": now.0,
                "node": node.to_string(),
                "exit_code": code,
                "signal": signal,
                "expected": expected,
            })),
            Event::Node { node, life: NodeLife::ProcessStarted { process, pid } } => self.tell(&json!({
                "event": "process-started",
                "at_ns": now.0,
                "node": node.to_string(),
                "process": process,
                "pid": pid,
            })),
            Event::Node { node, life: NodeLife::ProcessExited { process, code, signal, expected } } => {
                self.tell(&json!({
                    "event": "process-exited",
                    "at_ns": now.0,
                    "node": node.to_string(),
                    "process": process,
                    "exit_code": code,
                    "signal": signal,
                    "expected": expected,
                }));
            }
            Event::Interrupt { why } => {
                if let Some(alarm) = self.alarms.take() {
                    self.tell(&json!({
                        "event": "alarm",
                        "at_ns": now.0,
                        "property": alarm.property.name(),
                        "sentence": alarm.sentence,
                    }));
                }
                self.tell(&json!({"event": "interrupted", "at_ns": now.0, "why": why}));
            }
            Event::Observed(_) => {
                let leader = engine.leader();
                if let Some((node, term)) = leader.filter(|_| leader != self.leader) {
                    self.leader = leader;
                    let node = node.to_string();
                    self.tell(&json!({"event": "leader", "at_ns": now.0, "node": node, "term": term.0}));
                }
            }
            Event::Tick
            | Event::Completed(_)
            | Event::Compared { .. }
            | Event::Conclude { .. }
            | Event::Node { life: NodeLife::Ready, .. } => {}
        }
        if now.since(self.told) >= PROGRESS_EVERY {
            self.progress(now, engine);
        }
    }

    fn finish(&mut self) {}

    /// The verdict's sentence says it, too.
    fn remark(&mut self, _text: &str) {}

    fn judged(&mut self, report: &Report, directory: &RunDir) {
        let verdict = report.verdict.name();
        let check = |check: &chaos_report::Check| {
            let verdict = match check.verdict {
                CheckVerdict::Valid => "valid",
                CheckVerdict::Invalid => "invalid",
                CheckVerdict::Unknown => "unknown",
            };
            match check.is_violated_as_expected() {
                true => json!({"property": check.property, "verdict": verdict, "violation_expected": true}),
                false => json!({"property": check.property, "verdict": verdict}),
            }
        };
        let again: Vec<&String> = report.run.given.iter().chain([&report.run.command]).collect();
        self.tell(&json!({
            "event": "verdict",
            "verdict": verdict,
            "exit_code": report.exit_code,
            "sentence": report.sentence,
            "checks": report.checks.iter().map(check).collect::<Vec<Value>>(),
            "failovers": report.measured.failovers.len(),
            "directory": directory.root().display().to_string(),
            "report_html": directory.report_html().display().to_string(),
            "report_json": directory.report_json().display().to_string(),
            "history": directory.history().display().to_string(),
            "plan": directory.plan().display().to_string(),
            "again": again,
        }));
    }

    fn failed(&mut self, exit_code: u8, message: &str) {
        self.tell(&json!({"event": "failed", "exit_code": exit_code, "message": message}));
    }
}

fn fault_event(now: RunNanos, fault: &FaultEvent) -> Value {
    let event = match fault.edge {
        FaultEdge::Begin => "fault-begin",
        FaultEdge::End => "fault-end",
    };
    json!({
        "event": event,
        "at_ns": now.0,
        "id": fault.id.0,
        "kind": fault.kind.name(),
        "label": fault.label,
        "nodes": fault.nodes.iter().map(ToString::to_string).collect::<Vec<String>>(),
        "place": fault.source.as_ref().map(|place| format!("{}:{}", place.file, place.line)),
        "error": fault.error,
    })
}
