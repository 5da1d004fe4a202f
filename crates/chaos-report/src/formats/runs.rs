//! Several reports as one JSON document, `chaos.reports/1`.
//!
//! ```json
//! {"schema":"chaos.reports/1","verdict":"fail","exit_code":1,"failovers":24,
//!  "distributions":[{"kind":"kill","phase":"elected",…}],"runs":[{"schema":"chaos.report/1",…}]}
//! ```

use chaos_failover::Distribution;
use serde::Serialize;

use super::pool::{failovers, pooled, worst};
use crate::{Report, ReportError, Verdict};

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
        exit_code: verdict.exit_code(),
        failovers: failovers(reports).count(),
        distributions: pooled(reports),
        runs: reports,
    };
    let mut json = serde_json::to_string_pretty(&runs)?;
    json.push('\n');
    Ok(json)
}
