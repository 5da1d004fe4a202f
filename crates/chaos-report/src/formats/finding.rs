//! What a report found, one by one: every check and every expectation in the shape that CI's formats share.

use std::time::Duration;

use chaos_failover::Judgement;
use chaos_history::SourcePlace;

use crate::model::{Check, CheckGroup, CheckVerdict, ExpectationResult, Report};
use crate::words::{duration, figure};
use crate::wrapped::Wrapped;

/// What became of one check or expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It holds.
    Good,
    /// A property does not hold.
    Violated,
    /// A property does not hold, as the plan expects.
    ViolatedAsExpected,
    /// An expectation was missed.
    Missed,
    /// Nobody can tell.
    Unknown,
}

impl Found {
    /// A mark that does without colour.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Good => "✔",
            Self::Violated | Self::ViolatedAsExpected | Self::Missed => "✘",
            Self::Unknown => "?",
        }
    }

    /// Whether a property does not hold, expected or not.
    pub(crate) fn is_violation(self) -> bool {
        match self {
            Self::Violated | Self::ViolatedAsExpected => true,
            Self::Good | Self::Missed | Self::Unknown => false,
        }
    }

    /// Its word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Good => "valid",
            Self::Violated => "violated",
            Self::ViolatedAsExpected => "violated, as the plan expects",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

/// One check or expectation.
#[derive(Debug)]
pub(crate) struct Finding<'r> {
    /// `safety`, `liveness`, `expectation`, `run` or `command`.
    pub(crate) group: &'static str,
    /// The property, or the expectation as it is written.
    pub(crate) name: &'r str,
    /// What became of it.
    pub(crate) found: Found,
    /// Why, or from how much.
    pub(crate) sentence: String,
    /// The argument behind the sentence.
    pub(crate) steps: &'r [String],
    /// The plan's line that it is about.
    pub(crate) place: Option<&'r SourcePlace>,
}

/// Everything that was checked and expected, and whether the run came to its end: so there is always at least one.
pub(crate) fn findings(report: &Report) -> Vec<Finding<'_>> {
    let checks = report.checks.iter().map(|check| of_check(check, report));
    let wrapped = report.wrapped.as_ref().map(of_command);
    checks.chain(report.expectations.iter().map(of_expectation)).chain([of_run(report)]).chain(wrapped).collect()
}

fn of_check<'r>(check: &'r Check, report: &'r Report) -> Finding<'r> {
    let group = match check.group {
        CheckGroup::Safety => "safety",
        CheckGroup::Liveness => "liveness",
    };
    let found = match check.verdict {
        CheckVerdict::Valid => Found::Good,
        CheckVerdict::Invalid if check.violation_expected => Found::ViolatedAsExpected,
        CheckVerdict::Invalid => Found::Violated,
        CheckVerdict::Unknown => Found::Unknown,
    };
    let witness = check.witness.as_ref();
    let sentence = witness.map(|witness| &witness.sentence).or(check.reason.as_ref()).unwrap_or(&check.basis);
    // The last that began is the one that the violation most likely follows from.
    let place = witness.and_then(|witness| {
        let active = |id| report.faults.iter().find(|fault| fault.id == id);
        witness.faults.iter().rev().find_map(|id| active(*id)?.source.as_ref())
    });
    let steps = witness.map_or(&[][..], |witness| &witness.steps);
    Finding { group, name: &check.property, found, sentence: sentence.clone(), steps, place }
}

fn of_expectation(result: &ExpectationResult) -> Finding<'_> {
    let (found, sentence) = match &result.judgement {
        Judgement::Met { value } => (Found::Good, figure(*value)),
        Judgement::Missed { value } => (Found::Missed, format!("measured {}", figure(*value))),
        Judgement::NotTold { reason } => (Found::Unknown, reason.clone()),
    };
    let place = result.source.as_ref();
    Finding { group: "expectation", name: &result.text, found, sentence, steps: &[], place }
}

/// A run that was cut short, or that checked nothing, is unknown whatever its checks say.
fn of_run(report: &Report) -> Finding<'_> {
    let (found, sentence) = match &report.run.cut_short {
        Some(cause) => (Found::Unknown, cause.clone()),
        None if report.checks.is_empty() => (Found::Unknown, "nothing was checked".to_owned()),
        None => (Found::Good, format!("after {}", duration(Duration::from_nanos(report.run.duration_ns)))),
    };
    Finding { group: "run", name: "the run came to its end", found, sentence, steps: &[], place: None }
}

/// A command whose end nobody knows has not succeeded.
fn of_command(wrapped: &Wrapped) -> Finding<'_> {
    let found = if wrapped.succeeded() { Found::Good } else { Found::Missed };
    Finding {
        group: "command",
        name: "the wrapped command succeeded",
        found,
        sentence: wrapped.in_words(),
        steps: &[],
        place: None,
    }
}
