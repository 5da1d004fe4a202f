//! All failovers as a table, for spreadsheets and data frames.
//!
//! One row per failover. Times are integers of nanoseconds, each moment as its lower and upper bound (`_lo_ns`, `_hi_ns`); phases
//! count from the fault's injection. A phase that was not reached has empty cells and its reason in `_why`.
//!
//! Source: RFC 4180 (CRLF, doubled quotes). A cell of foreign words that a spreadsheet would take for a formula (it begins
//! with `=`, `+`, `-` or `@`) begins with an apostrophe instead, as OWASP's "CSV Injection" advises; line breaks and tabs are
//! written as `\u{a}`, so that every line is a row.

use chaos_failover::{Elapsed, Failover, Interval, PhaseOutcome};
use chaos_plan::expect::Phase;

use crate::Report;
use crate::words::{Lines, visible};

pub(super) fn render(reports: &[Report]) -> String {
    let mut out = String::new();
    row(&mut out, header());
    for report in reports {
        for failover in &report.measured.failovers {
            row(&mut out, cells(report, failover));
        }
    }
    out
}

fn header() -> Vec<String> {
    let mut names: Vec<String> = ["run", "workload", "system", "specimen", "nodes", "seed", "fault", "kind", "label"]
        .into_iter()
        .chain(["plan_file", "plan_line", "old_leader", "old_term", "new_leader", "new_term"])
        .chain(["injected_lo_ns", "injected_hi_ns"])
        .map(str::to_owned)
        .collect();
    for phase in Phase::ALL.map(Phase::name) {
        names.extend([format!("{phase}_lo_ns"), format!("{phase}_hi_ns"), format!("{phase}_why")]);
    }
    let last = ["healed_lo_ns", "healed_hi_ns", "terms_consumed", "terms_without_leader", "outage_ns", "overlap_lo_ns"];
    names.extend(last.into_iter().chain(["overlap_hi_ns", "stalled"]).map(str::to_owned));
    names
}

fn cells(report: &Report, failover: &Failover) -> Vec<String> {
    let run = &report.run;
    let mut cells = vec![
        foreign(&run.directory),
        foreign(&run.workload),
        foreign(&run.system),
        foreign(run.specimen.as_deref().unwrap_or_default()),
        run.nodes.to_string(),
        run.seed.to_string(),
        failover.fault.0.to_string(),
        failover.kind.name().to_owned(),
        foreign(&failover.label),
        foreign(failover.source.as_ref().map_or("", |place| &place.file)),
        optional(failover.source.as_ref().map(|place| place.line)),
        failover.old.node.to_string(),
        failover.old.term.to_string(),
        optional(failover.new.map(|new| new.node)),
        optional(failover.new.map(|new| new.term)),
    ];
    cells.extend(bounds(Some(failover.injected)));
    for phase in Phase::ALL {
        cells.extend(match failover.phases.get(phase) {
            PhaseOutcome::Reached(reached) => [lo(reached.after), hi(reached.after), String::new()],
            PhaseOutcome::NotReached(missing) => [String::new(), String::new(), missing.why.text().to_owned()],
        });
    }
    cells.extend(bounds(failover.healed));
    cells.extend([
        optional(failover.terms_consumed),
        optional(failover.terms_without_leader),
        optional(failover.outage.map(|outage| outage.as_nanos())),
        lo(failover.overlap),
        hi(failover.overlap),
        failover.stalled.to_string(),
    ]);
    cells
}

fn bounds(interval: Option<Interval>) -> [String; 2] {
    [optional(interval.map(|it| it.lo.0)), optional(interval.map(|it| it.hi.0))]
}

fn lo(elapsed: Elapsed) -> String {
    elapsed.lo.as_nanos().to_string()
}

fn hi(elapsed: Elapsed) -> String {
    elapsed.hi.as_nanos().to_string()
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Foreign words, which a spreadsheet must not compute.
fn foreign(text: &str) -> String {
    let shown = visible(text, Lines::One);
    let computes = shown.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if computes { format!("'{shown}") } else { shown }
}

fn row(out: &mut String, cells: Vec<String>) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if cell.contains([',', '"', '\'', ' ', ';']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}
