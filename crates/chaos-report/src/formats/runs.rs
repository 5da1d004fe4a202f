//! Several reports as one JSON document, `chaos.reports/1`.
//!
//! ```json
//! {"schema":"chaos.reports/1","verdict":"fail","exit_code":1,"failovers":24,
//!  "distributions":[{"kind":"kill","phase":"elected",…}],"runs":[{"schema":"chaos.report/1",…}]}
//! ```

use chaos_failover::Distribution;
use serde::Serialize;

use super::pool::{failovers, pooled, worst};
use crate::{COMMAND_FAILED, Report, ReportError, Verdict};

#[derive(Serialize)]
struct Runs<'r> {
    schema: &'static str,
    /// The gravest of all.
    verdict: Verdict,
    exit_code: u8,
    failovers: usize,
    /// Over the failovers of all runs.
    distributions: Vec<Distribution>,
    runs: &'r [Report],
}

pub(super) fn render(reports: &[Report]) -> Result<String, ReportError> {
    let verdict = worst(reports);
    let runs = Runs {
        schema: "chaos.reports/1",
        verdict,
        exit_code: worst_code(reports),
        failovers: failovers(reports).count(),
        distributions: pooled(reports),
        runs: reports,
    };
    let mut json = serde_json::to_string_pretty(&runs)?;
    json.push('\n');
    Ok(json)
}

/// The exit code that tells of the gravest: the verdict's, unless a wrapped command failed where no check and no expectation did.
fn worst_code(reports: &[Report]) -> u8 {
    let code = worst(reports).exit_code();
    let failed = reports.iter().any(|report| report.exit_code == COMMAND_FAILED);
    if failed && code != Verdict::Fail.exit_code() { COMMAND_FAILED } else { code }
}
