//! Which runs may be pooled, and what is pooled of them.
//!
//! Pooled are the failovers, whatever seed they came from: what one run has too few of for a percentile, twenty may have
//! enough of. Runs are of one experiment if workload, system, specimen, number of nodes and the floor of their timeouts are
//! the same; a distribution over anything else describes no system. The floor stands for the timeouts, which it is computed
//! from and which a report does not list.

use chaos_failover::{Analysis, Distribution, Failover, distributions_over};

use crate::{Report, Verdict};

/// Whether runs of different experiments may be pooled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// No.
    #[default]
    Alike,
    /// Yes: the user has been told, and wants it.
    Forced,
}

/// In what the runs differ, so that their figures can't be pooled; `None` if they are alike.
#[must_use]
pub fn unlike(reports: &[Report]) -> Option<String> {
    let first = reports.first()?;
    let differs = |what: &str, one: String, other: String| Some(format!("{what} differs: {one} and {other}"));
    reports.iter().skip(1).find_map(|other| {
        let (a, b) = (&first.run, &other.run);
        if a.workload != b.workload {
            differs("the workload", a.workload.clone(), b.workload.clone())
        } else if a.system_in_words() != b.system_in_words() {
            differs("the system", a.system_in_words(), b.system_in_words())
        } else if first.measured.floor != other.measured.floor {
            Some("the system's timeouts differ".to_owned())
        } else {
            None
        }
    })
}

/// The verdict over all runs: the gravest. No run is unknown.
#[must_use]
pub fn worst(reports: &[Report]) -> Verdict {
    let gravity = |verdict: &Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::AsExpected => 1,
        Verdict::Missed => 2,
        Verdict::Unknown => 3,
        Verdict::Fail => 4,
    };
    reports.iter().map(|report| report.verdict).max_by_key(gravity).unwrap_or(Verdict::Unknown)
}

/// The distributions over all runs.
pub(crate) fn pooled(reports: &[Report]) -> Vec<Distribution> {
    let all: Vec<&Failover> = failovers(reports).collect();
    let floor = reports.first().and_then(|first| first.measured.floor.as_ref());
    distributions_over(&all, floor)
}

/// The failovers of all runs.
pub(crate) fn failovers(reports: &[Report]) -> impl Iterator<Item = &Failover> {
    reports.iter().flat_map(|report| &report.measured.failovers)
}

/// The first run's analysis with the failovers, the outages and the operations of all.
pub(crate) fn analysis(reports: &[Report]) -> Option<Analysis> {
    let first = reports.first()?;
    let mut pooled_analysis = Analysis {
        failovers: failovers(reports).cloned().collect(),
        distributions: pooled(reports),
        ..first.measured.clone()
    };
    for report in &reports[1..] {
        pooled_analysis.outages.extend_from_slice(&report.measured.outages);
        pooled_analysis.operations.points.extend_from_slice(&report.measured.operations.points);
    }
    Some(pooled_analysis)
}
