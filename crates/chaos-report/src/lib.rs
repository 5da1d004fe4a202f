//! One summary of a run, rendered three ways: JSON for programs, HTML for people, a few lines for the terminal.
//!
//! [`Report::new`] puts together what others found: the history's header, the checkers' outcomes, the failover analysis, what
//! became of the expectations. The verdict and the exit code are computed here and nowhere else, so that every rendering
//! and the process's own exit say the same.
//!
//! Everything that came from a node, a plan or a user is data: it is escaped in HTML, and control and bidirectional
//! characters are written as visible escapes everywhere, so that a system under test can't dress up its own report.
//!
//! This crate refuses to check, to measure and to touch files or the network: a report can be drawn again, years later, from
//! the saved run. The HTML is one file without a script, a font or an address of anything outside of itself.

mod build;
mod compare;
mod evidence;
mod html;
mod model;
mod notes;
mod picture;
mod set;
mod terminal;
mod words;

pub use build::Input;
pub use compare::{COMPARE_SCHEMA, CompareReport};
pub use evidence::quoted_lines;
pub use model::{
    Check, CheckGroup, CheckVerdict, ExpectationResult, Fact, FaultSummary, QuotedLine, Report, RunFacts, SCHEMA,
    Verdict, WitnessSummary,
};
pub use set::{RunSet, SET_SCHEMA, SetEnd, SetRun, worse};
pub use terminal::{Style, to_terminal};

/// Why a report can't be rendered. Either is a defect of this crate, not of the run.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The values can't be written as JSON.
    #[error("write the report as json")]
    Json(#[from] serde_json::Error),
    /// The template can't be filled.
    #[error("fill the report's template")]
    Html(#[from] minijinja::Error),
}
