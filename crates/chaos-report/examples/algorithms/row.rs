//! One algorithm under one fault: all its runs together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chaos_failover::{Figures, PhaseOutcome};
use chaos_report::{CheckVerdict, Report};

use crate::Error;
use crate::messages::{Messages, of_run};

/// The figures of a row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    runs: u64,
    faults: usize,
    stalled: usize,
    elected: Vec<Duration>,
    never: usize,
    overlap: Duration,
    messages: Messages,
    /// By property: valid, violated and unknown runs.
    verdicts: BTreeMap<String, [u64; 3]>,
}

impl Row {
    /// Reads every run of a cell; none is a row of dashes.
    pub(crate) fn read(cell: &Path) -> Result<Self, Error> {
        let mut row = Self::default();
        let Ok(runs) = fs::read_dir(cell) else { return Ok(row) };
        for run in runs {
            let run = run?.path();
            let Ok(json) = fs::read_to_string(run.join("report.json")) else { continue };
            let report: Report = serde_json::from_str(&json)?;
            row.add(&report);
            let Messages { electing, reigns } = of_run(&run)?;
            row.messages.electing += electing;
            row.messages.reigns += reigns;
        }
        Ok(row)
    }

    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.faults += report.faults.len();
        for check in &report.checks {
            let counted = self.verdicts.entry(check.property.clone()).or_default();
            counted[match check.verdict {
                CheckVerdict::Valid => 0,
                CheckVerdict::Invalid => 1,
                CheckVerdict::Unknown => 2,
            }] += 1;
        }
        for failover in &report.measured.failovers {
            self.stalled += usize::from(failover.stalled);
            match &failover.phases.elected {
                PhaseOutcome::Reached(reached) => self.elected.push(reached.after.hi),
                PhaseOutcome::NotReached(_) => self.never += 1,
            }
        }
        let overlaps = report.measured.overlaps.iter().map(|overlap| overlap.lasted.lo);
        self.overlap = overlaps.fold(self.overlap, Duration::max);
    }

    /// What stands in the table, beside the algorithm's name.
    pub(crate) fn cells(&self) -> [String; 8] {
        if self.runs == 0 {
            return std::array::from_fn(|_| "–".to_owned());
        }
        let reigns = self.messages.reigns;
        let later = reigns.saturating_sub(self.runs);
        [
            self.verdict("ElectionSafety"),
            self.verdict("OneLeaderAtATime"),
            self.elected_in_words(),
            if self.overlap.is_zero() { "none seen".to_owned() } else { millis(self.overlap) },
            ratio(self.messages.electing, reigns),
            ratio(later, self.faults as u64),
            self.faults.to_string(),
            self.stalled.to_string(),
        ]
    }

    fn verdict(&self, property: &str) -> String {
        match self.verdicts.get(property) {
            None => "–".to_owned(),
            Some([_, 0, 0]) => "valid".to_owned(),
            Some([_, violated, _]) if *violated > 0 => format!("**violated** ({violated} of {})", self.runs),
            Some([_, _, unknown]) => format!("unknown ({unknown} of {})", self.runs),
        }
    }

    fn elected_in_words(&self) -> String {
        let never = if self.never > 0 { format!(", {} never", self.never) } else { String::new() };
        match Figures::of(&self.elected) {
            None if self.never > 0 => format!("never ({})", self.never),
            None => "–".to_owned(),
            Some(Figures { n, p50, p90, p99, max, .. }) => {
                let or_dash = |value: Option<Duration>| value.map_or("–".to_owned(), millis);
                format!("{} / {} / {} / {} (n = {n}){never}", or_dash(p50), or_dash(p90), or_dash(p99), millis(max))
            }
        }
    }
}

fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// One decimal.
fn ratio(part: u64, of: u64) -> String {
    match (part * 10 + of / 2).checked_div(of) {
        Some(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
        None => "–".to_owned(),
    }
}
