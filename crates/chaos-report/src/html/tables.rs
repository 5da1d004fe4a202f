//! The page's tables: figures as text, ready for the template.

use std::time::Duration;

use chaos_failover::{Distribution, Failover, Floor, Judgement, PhaseOutcome};
use chaos_history::TermsFrom;
use minijinja::{Value, context};

use super::pack::micros;
use crate::Report;
use crate::model::{CheckVerdict, QuotedLine, WitnessSummary};
use crate::words::{duration, figure, grouped};

const NOTHING: &str = "–";

/// One row per check, with its witness.
pub(crate) fn checks(report: &Report) -> Vec<Value> {
    let row = |check: &crate::Check| {
        let (mark, class) = match check.verdict {
            CheckVerdict::Valid => ("✔", "good"),
            CheckVerdict::Invalid => ("✘", "bad"),
            CheckVerdict::Unknown => ("?", "doubtful"),
        };
        context! {
            property => check.property.clone(),
            basis => if check.is_violated_as_expected() { check.basis_in_words() } else { check.basis.clone() },
            reason => check.reason.clone(),
            witness => check.witness.as_ref().map(|witness| explain(report, witness)),
            mark, class,
        }
    };
    report.checks.iter().map(row).collect()
}

fn explain(report: &Report, witness: &WitnessSummary) -> Value {
    let active = || report.faults.iter().filter(|fault| witness.faults.contains(&fault.id));
    let during: Vec<String> = active().map(|fault| format!("fault {}: {}", fault.id.0, fault.label)).collect();
    let (from, to) = super::data::evidence(witness);
    let nodes: Vec<String> = witness.nodes.iter().map(ToString::to_string).collect();
    context! {
        sentence => witness.sentence.clone(),
        steps => witness.steps.clone(),
        lines => witness.lines.iter().map(quoted).collect::<Vec<Value>>(),
        at => witness.at.to_string(),
        nodes => nodes.join(", "),
        during => during.join("; "),
        plan => active().filter_map(|fault| planned(report, fault)).collect::<Vec<Value>>(),
        from => micros(from),
        to => micros(to),
        picture => witness.picture.as_ref().map(|picture| Value::from_safe_string(crate::picture::to_svg(picture))),
    }
}

/// The plan's words for a fault: where the user wrote them, and how the resolved plan has them.
fn planned(report: &Report, fault: &crate::FaultSummary) -> Option<Value> {
    let place = fault.source.as_ref()?;
    let step = super::plan::step(&report.plan, place);
    let numbered = |step: super::plan::QuotedStep| -> Vec<(usize, String)> {
        step.lines.into_iter().enumerate().map(|(index, text)| (step.line + index, text)).collect()
    };
    Some(context! {
        fault => fault.id.0,
        place => format!("{}:{}", place.file, place.line),
        lines => step.map(numbered),
    })
}

fn quoted(line: &QuotedLine) -> Value {
    context! { line => line.line, text => line.text.as_deref().map(with_short_lists) }
}

/// How many elements a list in a quoted line may have, and how many of a longer one stay at either end.
const LISTED_MAX: usize = 16;
const LISTED_ENDS: usize = 4;

/// A line of the history for people: of long lists (all that a set held) both ends, and how many elements lie between.
fn with_short_lists(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        short.push_str(before);
        short.push('[');
        rest = after;
        let Some((list, behind)) = after.split_once(']') else { break };
        let items: Vec<&str> = list.split(',').collect();
        if items.len() > LISTED_MAX && !list.contains(['[', '{', '"']) {
            let (first, last) = (&items[..LISTED_ENDS], &items[items.len() - LISTED_ENDS..]);
            let between = grouped((items.len() - 2 * LISTED_ENDS) as u64);
            short.push_str(&format!("{}, … {between} more …, {}", first.join(","), last.join(",")));
            short.push(']');
            rest = behind;
        }
    }
    short.push_str(rest);
    short
}

/// One row per expectation.
pub(crate) fn expectations(report: &Report) -> Vec<Value> {
    let row = |result: &crate::ExpectationResult| {
        let (mark, class, value) = match &result.judgement {
            Judgement::Met { value } => ("✔", "good", figure(*value)),
            Judgement::Missed { value } => ("✘", "bad", figure(*value)),
            Judgement::NotTold { reason } => ("?", "doubtful", reason.clone()),
        };
        context! { text => result.text.clone(), mark, class, value }
    };
    report.expectations.iter().map(row).collect()
}

/// One row per phase: percentiles that the sample supports, and how far the median is from the one that theory expects.
pub(crate) fn figures(rows: &[&Distribution], floor: Option<&Floor>) -> Vec<Value> {
    let optional = |value: Option<Duration>| value.map_or(NOTHING.to_owned(), duration);
    let row = |row: &&Distribution| {
        let figures = row.figures;
        let expected = floor.filter(|_| !row.kind.is_told()).and_then(|floor| floor.expected_median(row.phase));
        let floor = floor.and_then(|floor| floor.of_failovers(row.kind, row.phase));
        let ratio = row.over_floor_millionths.map(|ratio| format!("{:.2}", ratio as f64 / 1e6));
        context! {
            phase => row.phase.name(),
            n => grouped(figures.n),
            min => duration(figures.min),
            p50 => optional(figures.p50),
            p90 => optional(figures.p90),
            p95 => optional(figures.p95),
            p99 => optional(figures.p99),
            max => duration(figures.max),
            error => duration(row.uncertainty_max),
            floor => optional(floor.map(|floor| floor.min)),
            expected => optional(expected),
            ratio => ratio.unwrap_or(NOTHING.to_owned()),
        }
    };
    rows.iter().map(row).collect()
}

/// One failover as a row.
pub(crate) fn failover(failover: &Failover, terms: TermsFrom) -> Value {
    let letter = terms.letter();
    let phases = &failover.phases;
    let cells = [&phases.detected, &phases.elected, &phases.converged, &phases.writable, &phases.available].map(cell);
    let overlap = failover.overlap;
    let overlap = if overlap.hi == Duration::ZERO {
        NOTHING.to_owned()
    } else {
        format!("{} to {}", duration(overlap.lo), duration(overlap.hi))
    };
    let mut notes = Vec::new();
    if let Some(terms) = failover.terms_without_leader.filter(|terms| *terms > 0) {
        notes.push(format!("{terms} split"));
    }
    if let Some(elections) = failover.aftermath.map(|aftermath| aftermath.elections).filter(|elections| *elections > 0)
    {
        notes.push(format!("{elections} needless after the heal"));
    }
    if failover.lost_writes > 0 {
        notes.push(format!("{} lost", crate::words::count(failover.lost_writes, "acknowledged write")));
    }
    if failover.stalled {
        notes.push("host stalled".to_owned());
    }
    let settled = failover.aftermath.and_then(|aftermath| aftermath.last_disturbance).zip(failover.healed);
    let (from, to) = super::data::extent(failover);
    context! {
        id => failover.fault.0,
        from => micros(from),
        to => micros(to),
        label => failover.label.clone(),
        at => failover.injected.lo.to_string(),
        place => failover.source.as_ref().map(|place| format!("{}:{}", place.file, place.line)),
        old => format!("{} {letter}{}", failover.old.node, failover.old.term),
        new => failover.new.map_or(NOTHING.to_owned(), |new| format!("{} {letter}{}", new.node, new.term)),
        cells => cells.to_vec(),
        outage => failover.outage.map_or(NOTHING.to_owned(), duration),
        overlap,
        settled => settled.map_or(NOTHING.to_owned(), |(last, healed)| duration(last.since(healed).hi)),
        notes => notes.join(", "),
    }
}

fn cell(outcome: &PhaseOutcome) -> Value {
    match outcome {
        PhaseOutcome::Reached(reached) => context! {
            text => duration(reached.after.hi),
            least => duration(reached.after.lo),
            missing => false,
        },
        PhaseOutcome::NotReached(missing) => context! {
            text => NOTHING,
            least => format!("{}, watched for {}", missing.why.text(), duration(missing.watched)),
            missing => true,
        },
    }
}

/// Operations by kind, and the latency of those acknowledged.
pub(crate) fn latency(report: &Report) -> Value {
    let operations = &report.measured.operations;
    let kinds =
        [("read", operations.read), ("write", operations.write), ("cas", operations.cas), ("lock", operations.lock)];
    let kinds = kinds.into_iter().filter(|(name, counts)| *name != "lock" || counts.asked() > 0);
    let row = |(name, counts): (&str, chaos_failover::OperationCounts)| {
        context! { name, ok => grouped(counts.ok), fail => grouped(counts.fail), info => grouped(counts.info) }
    };
    let figures = operations.latency.map(|latency| {
        [
            ("min", latency.min),
            ("p50", latency.p50),
            ("p90", latency.p90),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
            ("max", latency.max),
        ]
        .map(|(name, value)| (name, duration(value)))
        .to_vec()
    });
    context! { kinds => kinds.map(row).collect::<Vec<Value>>(), figures }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_list_in_a_quoted_line_both_ends_stay_and_everything_else_as_it_is() {
        let numbers = |to: u64| (1..=to).map(|number| number.to_string()).collect::<Vec<String>>().join(",");
        let line = |list: &str| format!(r#"{{"a":["x",[1,2]],"values":[{list}],"b":[]}}"#);
        assert_eq!(with_short_lists(&line(&numbers(16))), line(&numbers(16)));
        let short = line("1,2,3,4, … 1,992 more …, 1997,1998,1999,2000");
        assert_eq!(with_short_lists(&line(&numbers(2_000))), short);
        assert_eq!(with_short_lists("no list [ that ends"), "no list [ that ends");
    }
}
