//! Prometheus' text exposition format, for a textfile collector or a push gateway.
//!
//! ```text
//! # HELP chaos_failover_phase_seconds Time from the fault to the phase, upper bound of its measurement.
//! # TYPE chaos_failover_phase_seconds histogram
//! chaos_failover_phase_seconds_bucket{workload="kill",system="raft",kind="kill",phase="elected",le="0.25"} 9
//! ```
//!
//! Gauges stand per run (label `run`), histograms over all runs. Times are seconds, as Prometheus has them everywhere.
//!
//! Source: Prometheus docs, "Exposition formats" (text format 0.0.4): label values escape `\`, `"` and line feed.

use std::fmt::Write;
use std::time::Duration;

use chaos_failover::Distribution;

use super::finding::{Found, findings};
use super::pool::pooled;
use crate::words::{Lines, visible};
use crate::{Report, Verdict};

/// Upper bounds of the buckets in milliseconds: from a fast failover in a data centre to one that needs an operator.
const BUCKETS_MS: [u64; 20] =
    [5, 10, 20, 50, 100, 150, 200, 250, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000];

type Labels<'l> = Vec<(&'l str, String)>;

pub(super) fn render(reports: &[Report]) -> String {
    let mut out = String::new();
    verdicts(&mut out, reports);
    checks(&mut out, reports);
    service(&mut out, reports);
    phases(&mut out, reports);
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &Labels<'_>, value: &str) {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(out, "{name}{{{}}} {value}", labels.join(","));
}

/// A run's own labels. The number keeps two runs of one seed apart.
fn of_run<'l>(index: usize, report: &Report) -> Labels<'l> {
    let run = &report.run;
    vec![
        ("run", (index + 1).to_string()),
        ("workload", run.workload.clone()),
        ("system", run.system.clone()),
        ("seed", run.seed.to_string()),
    ]
}

fn verdicts(out: &mut String, reports: &[Report]) {
    let name = "chaos_run_verdict";
    head(out, name, "gauge", "1 for the verdict that the run has, 0 for the others.");
    for (index, report) in reports.iter().enumerate() {
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Unknown, Verdict::Missed, Verdict::AsExpected] {
            let mut labels = of_run(index, report);
            labels.push(("verdict", verdict.name().to_owned()));
            sample(out, name, &labels, if report.verdict == verdict { "1" } else { "0" });
        }
    }
    let name = "chaos_run_duration_seconds";
    head(out, name, "gauge", "How long the run lasted.");
    for (index, report) in reports.iter().enumerate() {
        sample(out, name, &of_run(index, report), &seconds(report.run.duration_ns.into()));
    }
}

fn checks(out: &mut String, reports: &[Report]) {
    let name = "chaos_check_ok";
    head(out, name, "gauge", "1 if the check holds or the expectation is met, 0 if not, NaN if nobody can tell.");
    for (index, report) in reports.iter().enumerate() {
        for finding in findings(report) {
            let mut labels = of_run(index, report);
            labels.extend([("group", finding.group.to_owned()), ("check", finding.name.to_owned())]);
            let value = match finding.found {
                Found::Good => "1",
                Found::Violated | Found::ViolatedAsExpected | Found::Missed => "0",
                Found::Unknown => "NaN",
            };
            sample(out, name, &labels, value);
        }
    }
}

fn service(out: &mut String, reports: &[Report]) {
    let numbered = || reports.iter().enumerate();
    let name = "chaos_failovers";
    head(out, name, "gauge", "Faults that took the leader away.");
    for (index, report) in numbered() {
        sample(out, name, &of_run(index, report), &report.measured.failovers.len().to_string());
    }
    let name = "chaos_outage_max_seconds";
    head(out, name, "gauge", "The longest time without service that clients saw.");
    for (index, report) in numbered() {
        let longest = report.measured.outage_max().unwrap_or_default();
        sample(out, name, &of_run(index, report), &seconds(longest.as_nanos()));
    }
    let name = "chaos_availability_ratio";
    head(out, name, "gauge", "The share of operations that were acknowledged.");
    for (index, report) in numbered() {
        if let Some(share) = report.measured.operations.availability_millionths {
            let share = format!("{}.{:06}", share / 1_000_000, share % 1_000_000);
            sample(out, name, &of_run(index, report), &share);
        }
    }
}

fn phases(out: &mut String, reports: &[Report]) {
    let Some(first) = reports.first() else { return };
    let distributions = pooled(reports);
    let labels = |row: &Distribution| -> Labels<'_> {
        vec![
            ("workload", first.run.workload.clone()),
            ("system", first.run.system.clone()),
            ("kind", row.kind.name().to_owned()),
            ("phase", row.phase.name().to_owned()),
        ]
    };
    let name = "chaos_failover_phase_seconds";
    head(out, name, "histogram", "Time from the fault to the phase, upper bound of its measurement.");
    for row in &distributions {
        histogram(out, name, &labels(row), row);
    }
    let name = "chaos_failover_phase_floor_seconds";
    head(out, name, "gauge", "The least that the system's own timeouts allow.");
    for row in &distributions {
        let floor = first.measured.floor.as_ref().and_then(|floor| floor.of_failovers(row.kind, row.phase));
        if let Some(floor) = floor {
            sample(out, name, &labels(row), &seconds(floor.min.as_nanos()));
        }
    }
}

fn histogram(out: &mut String, name: &str, labels: &Labels<'_>, row: &Distribution) {
    let buckets = BUCKETS_MS.map(|bound| (seconds(u128::from(bound) * 1_000_000), Duration::from_millis(bound)));
    for (le, bound) in buckets {
        let within = row.samples.iter().filter(|sample| Duration::from_nanos(**sample) <= bound).count();
        let labels = [labels.clone(), vec![("le", le)]].concat();
        sample(out, &format!("{name}_bucket"), &labels, &within.to_string());
    }
    let all = row.samples.len().to_string();
    let total: u128 = row.samples.iter().map(|sample| u128::from(*sample)).sum();
    sample(out, &format!("{name}_bucket"), &[labels.clone(), vec![("le", "+Inf".to_owned())]].concat(), &all);
    sample(out, &format!("{name}_sum"), labels, &seconds(total));
    sample(out, &format!("{name}_count"), labels, &all);
}

/// Nanoseconds as seconds, exactly and without trailing zeros.
fn seconds(nanos: u128) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(value: &str) -> String {
    visible(value, Lines::Several).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
