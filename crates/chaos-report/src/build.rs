//! From what others found to one report: the verdict, its sentence, the warnings.

use std::collections::BTreeMap;

use chaos_check::{Outcome, Property};
use chaos_failover::{Analysis, FaultBand, Figure, Judgement};
use chaos_history::{FaultId, Header, RunNanos, SourcePlace};

use crate::model::{
    ActedOn, Check, CheckGroup, CheckVerdict, ExpectationResult, Fact, FaultSummary, QuotedLine, Report, RunFacts,
    SCHEMA, Verdict, WitnessSummary,
};
use crate::notes::notes;
use crate::words::{count, duration};

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The history's first line.
    pub header: &'a Header,
    /// Which way the system was broken on purpose; `None` for the sound system.
    pub specimen: Option<&'a str>,
    /// The workload's own words about itself.
    pub about: &'a str,
    /// The fault plan's name.
    pub fault_plan: &'a str,
    /// The resolved plan, as YAML.
    pub plan: &'a str,
    /// The command line that runs it again, seed included.
    pub command: &'a str,
    /// The run directory.
    pub directory: &'a str,
    /// What ended the run before its end, if something did.
    pub cut_short: Option<String>,
    /// The checkers' outcomes.
    pub outcomes: &'a [Outcome],
    /// The text of the history's lines that witnesses name, see [`quoted_lines`](crate::quoted_lines).
    pub lines: &'a BTreeMap<usize, String>,
    /// The failover analysis.
    pub analysis: Analysis,
    /// The expectations, judged.
    pub expectations: Vec<ExpectationResult>,
    /// The violations that the plan expects.
    pub expected_violations: &'a [ExpectedViolation],
    /// The host.
    pub host: Vec<Fact>,
}

/// A check whose violation the plan expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedViolation {
    /// The plan's word for it, `no-lost-writes`.
    pub check: String,
    /// What it stands for: the expectation is met if any of these is violated.
    pub properties: Vec<Property>,
    /// Where it is written.
    pub source: Option<SourcePlace>,
}

impl Report {
    /// Puts a report together.
    #[must_use]
    pub fn new(input: Input<'_>) -> Self {
        let header = input.header;
        let bands = &input.analysis.timeline.faults;
        let expected = |outcome: &Outcome| {
            input.expected_violations.iter().any(|expected| expected.properties.contains(&outcome.property))
        };
        let checks: Vec<Check> = input
            .outcomes
            .iter()
            .map(|outcome| Check { violation_expected: expected(outcome), ..check(outcome, input.lines, bands) })
            .collect();
        let violations: Vec<ExpectationResult> =
            input.expected_violations.iter().map(|expected| came(expected, input.outcomes)).collect();
        let is_met = |result: &ExpectationResult| matches!(result.judgement, Judgement::Met { .. });
        let demonstrated = !violations.is_empty() && violations.iter().all(is_met);
        let expectations: Vec<ExpectationResult> = violations.into_iter().chain(input.expectations.clone()).collect();
        let verdict = verdict(&checks, &expectations, demonstrated, input.cut_short.is_none());
        let sentence = sentence(verdict, &checks, &expectations, &input);
        Self {
            schema: SCHEMA.to_owned(),
            chaos: header.chaos.clone(),
            verdict,
            exit_code: verdict.exit_code(),
            sentence,
            run: RunFacts {
                workload: header.workload.clone(),
                about: input.about.to_owned(),
                fault_plan: input.fault_plan.to_owned(),
                system: header.system.clone(),
                specimen: input.specimen.map(str::to_owned),
                nodes: header.nodes,
                seed: header.seed,
                started: header.started.clone(),
                duration_ns: input.analysis.end.0,
                command: input.command.to_owned(),
                given: None,
                directory: input.directory.to_owned(),
                cut_short: input.cut_short.clone(),
                acted_on: ActedOn::default(),
                tested: None,
            },
            faults: bands.iter().map(fault).collect(),
            warnings: warnings(&input, verdict),
            notes: notes(&input.analysis),
            checks,
            expectations,
            host: input.host,
            wrapped: None,
            plan: input.plan.to_owned(),
            measured: input.analysis,
        }
    }
}

/// A definite violation outranks what is unknown, which outranks a missed expectation. A run without checks is unknown, and so
/// is one whose expectation can't be told: exit code 0 promises that every expectation is *met*. So is a run that did not come
/// to its end, since what it did not get to might have failed: half a history must not pass for a whole one.
///
/// A plan that shows a violation (`demonstrated`: all that it expects came) is judged by that: what else could not be told, or the
/// rest of a run that was ended at the violation, can't take it back. Any other violation is one.
fn verdict(checks: &[Check], expectations: &[ExpectationResult], demonstrated: bool, ran_to_its_end: bool) -> Verdict {
    let unexpected = |check: &Check| check.verdict == CheckVerdict::Invalid && !check.violation_expected;
    let unknown = checks.iter().any(|check| check.verdict == CheckVerdict::Unknown);
    let missed = |result: &ExpectationResult| matches!(result.judgement, Judgement::Missed { .. });
    let not_told = |result: &ExpectationResult| matches!(result.judgement, Judgement::NotTold { .. });
    if checks.iter().any(unexpected) {
        Verdict::Fail
    } else if !demonstrated && (unknown || checks.is_empty() || !ran_to_its_end) {
        Verdict::Unknown
    } else if expectations.iter().any(missed) {
        Verdict::Missed
    } else if expectations.iter().any(not_told) {
        Verdict::Unknown
    } else if demonstrated {
        Verdict::AsExpected
    } else {
        Verdict::Pass
    }
}

/// Whether an expected violation came.
fn came(expected: &ExpectedViolation, outcomes: &[Outcome]) -> ExpectationResult {
    let of_it = || outcomes.iter().filter(|outcome| expected.properties.contains(&outcome.property));
    let violated = of_it().any(|outcome| matches!(outcome.verdict, chaos_check::Verdict::Invalid(_)));
    let unknown = of_it().find_map(|outcome| match &outcome.verdict {
        chaos_check::Verdict::Unknown(reason) => Some(reason.clone()),
        chaos_check::Verdict::Valid | chaos_check::Verdict::Invalid(_) => None,
    });
    let judgement = match unknown {
        _ if violated => Judgement::Met { value: Figure::Violated(true) },
        Some(reason) => Judgement::NotTold { reason },
        None => Judgement::Missed { value: Figure::Violated(false) },
    };
    ExpectationResult { text: format!("violation {}", expected.check), judgement, source: expected.source.clone() }
}

fn sentence(verdict: Verdict, checks: &[Check], expectations: &[ExpectationResult], input: &Input<'_>) -> String {
    let failovers = count(input.analysis.failovers.len() as u64, "failover");
    match verdict {
        Verdict::Pass => format!("Every check holds over {failovers}."),
        Verdict::Fail => {
            // What nobody expected comes first.
            let unexpected = checks.iter().filter(|check| !check.violation_expected);
            let witness = unexpected.chain(checks).find_map(|check| check.witness.as_ref());
            witness.map_or("A check does not hold.".to_owned(), |witness| witness.sentence.clone())
        }
        Verdict::AsExpected => {
            let witness = checks.iter().find_map(|check| check.witness.as_ref());
            let witness = witness.map_or("a check does not hold", |witness| &witness.sentence);
            let unknown = checks.iter().find(|check| check.verdict == CheckVerdict::Unknown);
            let rest = unknown.map_or(String::new(), |check| format!(" ({} can't be told)", check.property));
            format!("Violated, as the plan expects: {witness}{rest}.")
        }
        Verdict::Missed if checks.iter().any(|check| check.verdict == CheckVerdict::Invalid) => {
            let missed = |result: &&ExpectationResult| matches!(result.judgement, Judgement::Missed { .. });
            let first = expectations.iter().find(missed).map_or("", |result| &result.text);
            format!("Violated, as the plan expects, but an expectation was missed: {first}.")
        }
        Verdict::Missed => {
            let missed = |result: &&ExpectationResult| matches!(result.judgement, Judgement::Missed { .. });
            let first = expectations.iter().find(missed).map_or("", |result| &result.text);
            format!("Every check holds over {failovers}, but an expectation was missed: {first}.")
        }
        Verdict::Unknown => match &input.cut_short {
            Some(cause) => format!("The run did not come to its end ({cause}); until then no check was violated."),
            None => unknown_sentence(checks, expectations),
        },
    }
}

fn unknown_sentence(checks: &[Check], expectations: &[ExpectationResult]) -> String {
    if checks.is_empty() {
        return "Nothing was checked.".to_owned();
    }
    if let Some(check) = checks.iter().find(|check| check.verdict == CheckVerdict::Unknown) {
        return format!("{} can't be told: {}.", check.property, check.reason.as_deref().unwrap_or("no reason given"));
    }
    let not_told = expectations.iter().find_map(|result| match &result.judgement {
        Judgement::NotTold { reason } => Some((&result.text, reason)),
        Judgement::Met { .. } | Judgement::Missed { .. } => None,
    });
    let Some((text, reason)) = not_told else { return "Nothing can be told.".to_owned() };
    format!("Every check holds, but an expectation can't be told: {text} ({reason}).")
}

fn check(outcome: &Outcome, lines: &BTreeMap<usize, String>, bands: &[FaultBand]) -> Check {
    let (verdict, reason, witness) = match &outcome.verdict {
        chaos_check::Verdict::Valid => (CheckVerdict::Valid, None, None),
        chaos_check::Verdict::Unknown(reason) => (CheckVerdict::Unknown, Some(reason.clone()), None),
        chaos_check::Verdict::Invalid(witness) => {
            let quote = |line: &usize| QuotedLine { line: *line, text: lines.get(line).cloned() };
            let summary = WitnessSummary {
                sentence: witness.sentence.clone(),
                steps: witness.steps.clone(),
                lines: witness.lines.iter().map(quote).collect(),
                at: witness.at,
                nodes: witness.nodes.clone(),
                faults: faults_at(witness.at, bands),
                picture: witness.picture.clone(),
            };
            (CheckVerdict::Invalid, None, Some(summary))
        }
    };
    let (property, basis) = (outcome.property.to_string(), outcome.basis.clone());
    Check { property, group: group(outcome.property), verdict, violation_expected: false, basis, reason, witness }
}

fn group(property: Property) -> CheckGroup {
    match property {
        Property::ElectionSafety
        | Property::SingleVote
        | Property::TermMonotonic
        | Property::Linearizable
        | Property::NoAcknowledgedWriteLost
        | Property::MutualExclusion
        | Property::FencingMonotonic
        | Property::ExclusiveAccess
        | Property::ReplicasAgree
        | Property::OneLeaderAtATime { .. } => CheckGroup::Safety,
        Property::BoundedReelection { .. } | Property::NoStaleLeaderAfterHeal { .. } | Property::Recovers { .. } => {
            CheckGroup::Liveness
        }
    }
}

fn faults_at(at: RunNanos, bands: &[FaultBand]) -> Vec<FaultId> {
    bands.iter().filter(|band| band.span.lo <= at && at <= band.span.hi).map(|band| band.id).collect()
}

fn fault(band: &FaultBand) -> FaultSummary {
    let (label, nodes, source) = (band.label.clone(), band.nodes.clone(), band.source.clone());
    FaultSummary { id: band.id, kind: band.kind, label, nodes, source, span: band.span }
}

/// More incidents than these are counted and not listed.
const INCIDENTS_MAX: usize = 12;

/// What a reader should know before trusting the figures.
fn warnings(input: &Input<'_>, verdict: Verdict) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(specimen) = input.specimen.filter(|_| verdict == Verdict::Pass) {
        warnings.push(format!("the broken node `{specimen}` was not caught by this workload"));
    }
    if let Some(cause) = &input.cut_short {
        warnings.push(cut_short(cause));
    }
    let incidents = &input.analysis.incidents;
    warnings.extend(incidents.iter().take(INCIDENTS_MAX).map(|incident| format!("{}: {}", incident.at, incident.what)));
    if incidents.len() > INCIDENTS_MAX {
        warnings.push(format!("and {} more of this sort", incidents.len() - INCIDENTS_MAX));
    }
    if let Some(error) = &input.analysis.operations.unreadable {
        warnings.push(format!("no figure rests on clients, since their operations don't fit together: {error}"));
    }
    let stalled = input.analysis.failovers.iter().filter(|failover| failover.stalled).count() as u64;
    if stalled > 0 {
        let longest = input.analysis.stalls.iter().map(|stall| stall.to.since(stall.from)).max().unwrap_or_default();
        let share = input.analysis.failovers.len();
        warnings.push(format!(
            "{stalled} of {share} failovers overlap a stall of the host (the longest lasted {}): their times are doubtful",
            duration(longest)
        ));
    }
    warnings
}

/// `by the user` is how, anything else is why.
fn cut_short(cause: &str) -> String {
    if cause.starts_with("by ") {
        format!("the run was stopped early {cause}")
    } else {
        format!("the run ended early: {cause}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(verdict: CheckVerdict) -> Check {
        let (property, basis) = ("ElectionSafety".to_owned(), String::new());
        let group = CheckGroup::Safety;
        Check { property, group, verdict, violation_expected: false, basis, reason: None, witness: None }
    }

    fn judged(judgement: Judgement) -> ExpectationResult {
        ExpectationResult { text: "outage.max < 3s".to_owned(), judgement, source: None }
    }

    #[test]
    fn the_exit_code_is_that_of_the_gravest_finding() {
        let (valid, invalid, unknown) = (CheckVerdict::Valid, CheckVerdict::Invalid, CheckVerdict::Unknown);
        let value = Figure::Count(1);
        let met = || judged(Judgement::Met { value });
        let missed = || judged(Judgement::Missed { value });
        let not_told = || judged(Judgement::NotTold { reason: "no samples".to_owned() });
        let cases = [
            (vec![valid], vec![met()], true, 0),
            (vec![valid], vec![], true, 0),
            (vec![valid, invalid, unknown], vec![missed()], true, 1),
            (vec![valid, unknown], vec![missed()], true, 2),
            (vec![], vec![met()], true, 2),
            (vec![valid], vec![met(), missed(), not_told()], true, 3),
            (vec![valid], vec![met(), not_told()], true, 2),
            (vec![valid], vec![met()], false, 2),
            (vec![valid], vec![missed()], false, 2),
            (vec![valid, invalid], vec![met()], false, 1),
        ];
        for (verdicts, expectations, ran_to_its_end, expected) in cases {
            let checks: Vec<Check> = verdicts.iter().map(|verdict| checked(*verdict)).collect();
            assert_eq!(
                verdict(&checks, &expectations, false, ran_to_its_end).exit_code(),
                expected,
                "{verdicts:?} {expectations:?}"
            );
        }
    }

    #[test]
    fn an_expected_violation_is_no_failure_and_hides_no_other() {
        let (valid, invalid, unknown) = (CheckVerdict::Valid, CheckVerdict::Invalid, CheckVerdict::Unknown);
        // The verdict of the check whose violation is expected, that of another, whether it came to its end, another expectation.
        let cases = [
            (invalid, valid, true, true, 0),
            (invalid, unknown, true, true, 0),
            (invalid, valid, false, true, 0),
            (invalid, invalid, true, true, 1),
            (invalid, invalid, false, false, 1),
            (valid, invalid, true, true, 1),
            (valid, valid, true, true, 3),
            (invalid, valid, true, false, 3),
            (unknown, valid, true, true, 2),
            (valid, unknown, true, true, 2),
            (valid, valid, false, true, 2),
        ];
        for (expected, other, ran_to_its_end, met, code) in cases {
            let of = |property, verdict| Outcome { property, verdict, basis: String::new() };
            let as_outcome = |verdict| match verdict {
                CheckVerdict::Valid => chaos_check::Verdict::Valid,
                CheckVerdict::Unknown => chaos_check::Verdict::Unknown("no".to_owned()),
                CheckVerdict::Invalid => chaos_check::Verdict::Invalid(chaos_check::Witness {
                    sentence: "it broke".to_owned(),
                    lines: vec![2],
                    steps: Vec::new(),
                    at: RunNanos(1),
                    nodes: Vec::new(),
                    picture: None,
                }),
            };
            let outcomes = [of(Property::NoAcknowledgedWriteLost, as_outcome(expected))];
            let properties = vec![Property::NoAcknowledgedWriteLost];
            let result =
                came(&ExpectedViolation { check: "no-lost-writes".to_owned(), properties, source: None }, &outcomes);
            let demonstrated = matches!(result.judgement, Judgement::Met { .. });
            let value = Figure::Count(1);
            let further = judged(if met { Judgement::Met { value } } else { Judgement::Missed { value } });
            let checks = [Check { violation_expected: true, ..checked(expected) }, checked(other)];
            let verdict = verdict(&checks, &[result, further], demonstrated, ran_to_its_end);
            assert_eq!(verdict.exit_code(), code, "{expected:?} {other:?} {ran_to_its_end} {met}");
            assert_eq!(verdict == Verdict::AsExpected, code == 0);
        }
    }
}
