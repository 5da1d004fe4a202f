//! The terminal's text, without colour: of each run, and of several the figures over all at the end.

use std::fmt::Write;

use super::pool::{failovers, pooled, worst};
use crate::Report;
use crate::words::{count, duration};

/// As wide as CI's logs are shown without wrapping.
const WIDTH: usize = 100;

pub(super) fn render(reports: &[Report]) -> String {
    let mut out = String::new();
    for report in reports {
        out.push_str(&report.to_terminal(false, WIDTH));
        out.push('\n');
    }
    if reports.len() < 2 {
        return out.trim_end().to_owned() + "\n";
    }
    let (n, failovers) = (count(reports.len() as u64, "run"), count(failovers(reports).count() as u64, "failover"));
    let _ = writeln!(out, "{}  {n} together, {failovers}", worst(reports).word());
    let _ = writeln!(out, "  {:<24}{:>6}{:>10}{:>10}{:>10}{:>10}", "", "n", "p50", "p90", "p99", "max");
    for row in pooled(reports) {
        let figures = row.figures;
        let name = format!("{} {}", row.kind.name(), row.phase.name());
        let _ = write!(out, "  {name:<24}{:>6}", figures.n);
        for figure in [figures.p50, figures.p90, figures.p99, Some(figures.max)] {
            let _ = write!(out, "{:>10}", figure.map_or("–".to_owned(), duration));
        }
        out.push('\n');
    }
    out
}
