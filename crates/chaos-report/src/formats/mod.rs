//! The report for other programs: one file per format, each a pure function from one or more reports to text.
//!
//! Several reports are several runs of one experiment. Every format keeps the runs apart where it lists findings, and pools
//! their failovers where it gives distributions; the gravest verdict is the verdict of all. What may be pooled is decided
//! in [`pool`](mod@pool), for all formats alike.
//!
//! Words of nodes, plans and users are data in every one of these formats: each file says how its reader is kept from taking
//! them for anything else. Refuses to write files and to choose a format by a file's name.

mod csv;
mod finding;
mod github;
mod hlog;
mod junit;
mod markdown;
mod pool;
mod prometheus;
mod runs;
mod text;
mod trace;

use std::fmt;
use std::str::FromStr;

use crate::{Report, ReportError};

pub use github::ANNOTATIONS_MAX;
pub use markdown::BYTES_MAX as SUMMARY_BYTES_MAX;
pub use pool::{Pooling, unlike, worst};

/// How reports can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A page for people, of one run.
    Html,
    /// `chaos.report/1` of one run, `chaos.reports/1` of several.
    Json,
    /// JUnit XML, a test case per check and expectation.
    Junit,
    /// Markdown for `$GITHUB_STEP_SUMMARY`, [`SUMMARY_BYTES_MAX`] at most.
    Markdown,
    /// Workflow commands that annotate the plan's lines, [`ANNOTATIONS_MAX`] at most.
    Github,
    /// Trace events for ui.perfetto.dev and chrome://tracing.
    Trace,
    /// Prometheus' text exposition format.
    Prometheus,
    /// A table of all failovers.
    Csv,
    /// HdrHistogram's interval log of the failovers' phases.
    Hlog,
    /// What the terminal shows.
    Text,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Html,
        Self::Json,
        Self::Junit,
        Self::Markdown,
        Self::Github,
        Self::Trace,
        Self::Prometheus,
        Self::Csv,
        Self::Hlog,
        Self::Text,
    ];

    /// Its word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
            Self::Github => "github",
            Self::Trace => "trace",
            Self::Prometheus => "prometheus",
            Self::Csv => "csv",
            Self::Hlog => "hlog",
            Self::Text => "text",
        }
    }

    /// What its file is called in a directory.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Json => "report.json",
            Self::Junit => "junit.xml",
            Self::Markdown => "summary.md",
            Self::Github => "annotations.txt",
            Self::Trace => "trace.json",
            Self::Prometheus => "chaos.prom",
            Self::Csv => "failovers.csv",
            Self::Hlog => "failovers.hlog",
            Self::Text => "report.txt",
        }
    }

    /// Whether it gives figures over all runs together, so that they must be runs of one experiment.
    #[must_use]
    pub fn pools(self) -> bool {
        match self {
            Self::Json | Self::Markdown | Self::Prometheus | Self::Hlog | Self::Text => true,
            Self::Html | Self::Junit | Self::Github | Self::Trace | Self::Csv => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or(UnknownFormat)
    }
}

/// No format has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the formats are html, json, junit, markdown, github, trace, prometheus, csv, hlog and text")]
pub struct UnknownFormat;

/// Why reports can't be written in a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// There is nothing to write.
    #[error("no report to write")]
    NoReport,
    /// The format shows one run.
    #[error("{0} shows one run: name one directory, or take another format")]
    OneRunOnly(Format),
    /// The runs are of different experiments.
    #[error("these runs can't be pooled: {0}")]
    Unlike(String),
    /// A report can't be rendered.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Writes the reports of one or more runs in a format.
///
/// # Errors
/// If there is no report, if the format can't show several, or if it pools what is not alike and `pooling` does not force it.
pub fn render(format: Format, reports: &[Report], pooling: Pooling) -> Result<String, FormatError> {
    let Some(first) = reports.first() else { return Err(FormatError::NoReport) };
    if format.pools()
        && pooling == Pooling::Alike
        && let Some(difference) = unlike(reports)
    {
        return Err(FormatError::Unlike(difference));
    }
    Ok(match format {
        Format::Html if reports.len() > 1 => return Err(FormatError::OneRunOnly(format)),
        Format::Html => first.to_html()?,
        Format::Json if reports.len() > 1 => runs::render(reports)?,
        Format::Json => first.to_json()?,
        Format::Junit => junit::render(reports),
        Format::Markdown => markdown::render(reports, SUMMARY_BYTES_MAX),
        Format::Github => github::render(reports),
        Format::Trace => trace::render(reports)?,
        Format::Prometheus => prometheus::render(reports),
        Format::Csv => csv::render(reports),
        Format::Hlog => hlog::render(reports),
        Format::Text => text::render(reports),
    })
}

/// The Markdown summary in at most so many bytes, for a summary file that has something in it already.
///
/// # Errors
/// As [`render`].
pub fn summary_within(reports: &[Report], bytes_max: usize) -> Result<String, FormatError> {
    if reports.is_empty() {
        return Err(FormatError::NoReport);
    }
    Ok(markdown::render(reports, bytes_max.min(SUMMARY_BYTES_MAX)))
}
