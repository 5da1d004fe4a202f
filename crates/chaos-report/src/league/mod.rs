//! The league: the same faults over many systems, one row per system, version, tuning profile and fault.
//!
//! It is made of the reports of saved runs, of which any number belong to one row: their failovers are pooled. Nothing is measured
//! here; figures are those of the reports, and percentiles obey the same rule ([`Figures`](chaos_failover::Figures)): what has too
//! few samples for one has none, and fewer than five samples stand there as they are. What never came is counted beside the
//! figures, never left out in silence. A system that could not run is a row too, with the reason.
//!
//! Refuses to rank: rows are in the order of their names. A second table sets what texts claim beside what was measured.

mod cell;
mod claims;
mod markdown;
mod not_run;
mod page;
mod row;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::FaultKind;

pub use not_run::{BadNotRun, NotRun};

use crate::{Report, ReportError};
use row::{Row, RowKey};

/// Faults in the order in which they are shown; others follow by name.
const FAULTS: [&str; 5] = ["kill", "pause", "partition", "one-way", "partial-partition"];

/// A league, ready to be rendered.
#[derive(Debug)]
pub struct League {
    /// One section per fault, in the order of [`FAULTS`].
    sections: Vec<Section>,
    /// What ran all of it: versions of chaos, kernels, processors.
    facts: Vec<(&'static str, String)>,
}

/// All rows of one fault.
#[derive(Debug)]
pub(crate) struct Section {
    /// The workload's name.
    pub(crate) fault: String,
    /// What the workload says of itself; empty if no run was judged.
    pub(crate) about: String,
    /// By system, version and profile.
    pub(crate) rows: Vec<Row>,
}

impl League {
    /// Pools the reports, and puts those that could not run beside them.
    #[must_use]
    pub fn new(reports: &[Report], not_run: &[NotRun]) -> Self {
        let mut rows: BTreeMap<(String, RowKey), Row> = BTreeMap::new();
        let mut abouts: BTreeMap<String, String> = BTreeMap::new();
        for report in reports {
            for (fault, kind) in faults_of(report) {
                abouts.entry(fault.clone()).or_insert_with(|| report.run.about.clone());
                let key = RowKey::of(report);
                let row = rows.entry((fault, key.clone())).or_insert_with(|| Row::new(key));
                row.add(report, kind);
            }
        }
        for failed in not_run {
            let key = RowKey::failed(failed);
            // Of a row that has runs, what failed later is a remark; its settings are those of the runs.
            let ran = rows.iter_mut().find(|((fault, known), _)| *fault == failed.fault && known.is_of(&key));
            match ran {
                Some((_, row)) => row.failed.push(failed.reason.clone()),
                None => {
                    let row = rows.entry((failed.fault.clone(), key.clone())).or_insert_with(|| Row::new(key));
                    row.failed.push(failed.reason.clone());
                }
            }
        }
        let mut sections: Vec<Section> = Vec::new();
        for ((fault, _), row) in rows {
            match sections.iter_mut().find(|section| section.fault == fault) {
                Some(section) => section.rows.push(row),
                None => {
                    let about = abouts.remove(&fault).unwrap_or_default();
                    sections.push(Section { fault, about, rows: vec![row] });
                }
            }
        }
        let rank = |fault: &str| FAULTS.iter().position(|known| *known == fault).unwrap_or(FAULTS.len());
        sections.sort_by(|a, b| (rank(&a.fault), &a.fault).cmp(&(rank(&b.fault), &b.fault)));
        Self { sections, facts: facts(reports) }
    }

    /// The league as a page of GitHub's Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::render(self)
    }

    /// The league as one HTML file that needs nothing else and runs no script.
    ///
    /// # Errors
    /// If the template can't be filled.
    pub fn to_html(&self) -> Result<String, ReportError> {
        page::render(self)
    }

    /// How many failovers all rows have together.
    #[must_use]
    pub fn failovers(&self) -> u64 {
        self.rows().map(|row| row.failovers).sum()
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }
}

/// How many faults runs have had so far, those that a run which was ended early had included. What is wanted of a row minus this
/// is what there is still to run.
#[must_use]
pub fn faults_so_far(reports: &[Report]) -> u64 {
    reports.iter().map(|report| report.faults.len() as u64).sum()
}

/// The sections that a report belongs to: its workload's, or one per kind of fault if it has several, since kinds are never mixed.
fn faults_of(report: &Report) -> Vec<(String, FaultKind)> {
    let mut kinds: Vec<FaultKind> = Vec::new();
    for fault in &report.faults {
        if !kinds.contains(&fault.kind) {
            kinds.push(fault.kind);
        }
    }
    let workload = &report.run.workload;
    match kinds.as_slice() {
        [] => Vec::new(),
        [kind] => vec![(workload.clone(), *kind)],
        [..] => kinds.iter().map(|kind| (format!("{workload}: {}", kind.name()), *kind)).collect(),
    }
}

fn facts(reports: &[Report]) -> Vec<(&'static str, String)> {
    let all = |pick: &dyn Fn(&Report) -> Option<String>| {
        let values: BTreeSet<String> = reports.iter().filter_map(pick).collect();
        values.into_iter().collect::<Vec<String>>().join(", ")
    };
    let host = |name: &'static str| {
        move |report: &Report| report.host.iter().find(|fact| fact.name == name).map(|fact| fact.value.clone())
    };
    let started: BTreeSet<&str> = reports.iter().map(|report| report.run.started.as_str()).collect();
    let when = match (started.first(), started.last()) {
        (Some(first), Some(last)) if first == last => (*first).to_owned(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        (None, _) | (_, None) => String::new(),
    };
    let facts = [
        ("runs", reports.len().to_string()),
        ("faults", faults_so_far(reports).to_string()),
        ("chaos", all(&|report| Some(report.chaos.clone()))),
        ("kernel", all(&host("kernel"))),
        ("processors", all(&host("processors"))),
        ("poll interval", all(&host("poll interval"))),
        ("run", when),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
