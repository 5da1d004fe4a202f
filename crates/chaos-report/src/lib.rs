//! One summary of a run, rendered in many ways: JSON for programs, HTML for people, a few lines for the terminal, and the
//! [formats](formats) of other tools.
//!
//! [`Report::new`] puts together what others found: the history's header, the checkers' outcomes, the failover analysis, what
//! became of the expectations. The verdict and the exit code are computed here and nowhere else, so that every rendering
//! and the process's own exit say the same.
//!
//! Everything that came from a node, a plan or a user is data: it is escaped in HTML, and control and bidirectional
//! characters are written as visible escapes everywhere, so that a system under test can't dress up its own report.
//!
//! This crate refuses to check, to measure and to touch files or the network: a report can be drawn again, years later, from
//! the saved run. The HTML is one file that works offline: no font, no address of anything outside of itself, and
//! whole without its one script too.

mod build;
mod compare;
mod evidence;
pub mod formats;
mod html;
pub mod league;
mod model;
mod notes;
mod picture;
mod schema;
mod set;
mod terminal;
mod words;
mod wrapped;

pub use build::{ExpectedViolation, Input};
pub use compare::{COMPARE_SCHEMA, CompareReport};
pub use evidence::quoted_lines;
pub use model::{
    ActedOn, Check, CheckGroup, CheckVerdict, ExpectationResult, Fact, FaultSummary, QuotedLine, Report, RunFacts,
    SCHEMA, Tested, TestedNode, Verdict, WitnessSummary,
};
pub use schema::report_schema;
pub use set::{RunSet, SET_SCHEMA, SetEnd, SetFacts, SetRun, worse};
pub use terminal::{Style, to_terminal};
pub use wrapped::{COMMAND_FAILED, Wrapped};

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
