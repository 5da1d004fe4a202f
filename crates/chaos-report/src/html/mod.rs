//! The report as one HTML file that needs no font, no script and no address of anything outside of itself.
//!
//! The page is a minijinja template with automatic escaping; the drawings are SVG made in Rust, whose text is escaped by
//! [`svg::escape`]. That page is whole. One script, in the page too, puts a timeline in the place of the drawn one that can be
//! zoomed, and makes rows jump to their moment; without it nothing is missing but that.
//!
//! A strict [content security policy](policy) names the script and the style sheet by their digests, so that even a mistake in
//! the escaping would run nothing.

mod axis;
mod data;
mod lanes;
mod pack;
mod percentiles;
mod phases;
mod plan;
pub(crate) mod policy;
mod scatter;
pub(crate) mod svg;
mod tables;
mod timeline;

use std::time::Duration;

use chaos_failover::{Distribution, Failover};
use chaos_history::{FaultKind, Impact};
use minijinja::{AutoEscape, Environment, Value, context};

use crate::words::{Lines, duration, grouped, percent, visible};
use crate::{Report, ReportError};

const PAGE: &str = include_str!("../../templates/report.html");
pub(crate) const STYLE: &str = include_str!("../../templates/report.css");
/// The script's files are parts of one function, so that they share names with one another and with nothing else.
const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("../../templates/js/data.js"),
    include_str!("../../templates/js/view.js"),
    include_str!("../../templates/js/lanes.js"),
    include_str!("../../templates/js/clients.js"),
    include_str!("../../templates/js/overview.js"),
    include_str!("../../templates/js/stage.js"),
    include_str!("../../templates/js/page.js"),
    "})();\n"
);

/// Renders the page.
pub(crate) fn render(report: &Report) -> Result<String, ReportError> {
    let mut environment = environment();
    environment.add_template("report.html", PAGE)?;
    let html = environment.get_template("report.html")?.render(context! {
        policy => Value::from_safe_string(policy::content_security_policy(SCRIPT, STYLE)),
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        data => data::embedded(report)?,
        report => page(report),
        facts => facts(report),
        checks => tables::checks(report),
        expectations => tables::expectations(report),
        kinds => kinds(report),
        timeline => Value::from_safe_string(timeline::draw(report)),
        legend => legend(report),
        latency => tables::latency(report),
        clients => crate::words::clients(&report.measured.operations),
        plan => report.plan.clone(),
    })?;
    Ok(html)
}

/// Where templates are filled: everything is escaped but what this crate made itself and marked safe.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| {
        // Foreign text is made visible before it is escaped.
        match value.as_str() {
            Some(text) if !value.is_safe() => {
                minijinja::escape_formatter(out, state, &Value::from(visible(text, Lines::Several)))
            }
            Some(_) | None => minijinja::escape_formatter(out, state, value),
        }
    });
    environment
}

/// The page's own words.
fn page(report: &Report) -> Value {
    let class = match report.verdict {
        crate::Verdict::Pass => "pass",
        crate::Verdict::Fail => "fail",
        crate::Verdict::Unknown => "unknown",
        crate::Verdict::Missed => "missed",
        crate::Verdict::AsExpected => "expected",
    };
    let fact = |fact: &crate::Fact| context! { name => fact.name.clone(), value => fact.value.clone() };
    context! {
        schema => report.schema.clone(),
        verdict => report.verdict.word(),
        verdict_class => class,
        title => report.run.workload.clone(),
        sentence => report.sentence.clone(),
        about => report.run.about.clone(),
        command => report.run.given.as_ref().unwrap_or(&report.run.command).clone(),
        warnings => report.warnings.clone(),
        notes => report.notes.clone(),
        host => report.host.iter().map(fact).collect::<Vec<Value>>(),
        has_operations => !report.measured.operations.points.is_empty(),
    }
}

/// Name and value, for the strip below the verdict.
fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let (run, measured) = (&report.run, &report.measured);
    let mut facts = vec![
        ("system", run.system_in_words()),
        ("fault plan", run.fault_plan.clone()),
        ("seed", run.seed.to_string()),
        ("lasted", duration(Duration::from_nanos(run.duration_ns))),
        ("failovers", grouped(measured.failovers.len() as u64)),
    ];
    if let Some(tested) = &run.tested {
        facts.insert(1, ("tested", tested.in_words()));
    }
    if let Some((lowest, highest)) = measured.observed.terms {
        let answers = grouped(measured.observed.answers);
        facts.push(("observed", format!("{answers} answers, {}s {lowest}–{highest}", measured.testimony.terms.word())));
    }
    if let Some(share) = measured.operations.availability_millionths {
        let (roaming, pinned) = (measured.operations.roaming.asked(), measured.operations.pinned.asked());
        let (asked, whose) = if roaming > 0 { (roaming, "roaming") } else { (pinned, "pinned") };
        facts.push(("availability", format!("{} of {} {whose} operations", percent(share), grouped(asked))));
    }
    if let Some(longest) = measured.outage_max() {
        facts.push(("longest outage", duration(longest)));
    }
    if let Some(wrapped) = &report.wrapped {
        facts.push(("wrapped command", format!("{}: {}", wrapped.command.join(" "), wrapped.in_words())));
    }
    facts.push(("started", run.started.clone()));
    facts.push(("chaos", report.chaos.clone()));
    facts
}

/// One section per kind of fault that took a leader away.
fn kinds(report: &Report) -> Vec<Value> {
    let measured = &report.measured;
    let terms = measured.testimony.terms;
    let section = |kind: FaultKind| {
        let failovers: Vec<&Failover> = measured.failovers.iter().filter(|failover| failover.kind == kind).collect();
        let rows: Vec<&Distribution> = measured.distributions.iter().filter(|row| row.kind == kind).collect();
        let floor = measured.floor.as_ref().filter(|_| !kind.is_told());
        let panels = percentiles::panels(&rows, floor);
        (!failovers.is_empty()).then(|| {
            context! {
                name => kind.name(),
                n => failovers.len(),
                bars => Value::from_safe_string(phases::bars(&failovers, floor, terms)),
                panels => panels.into_iter().map(Value::from_safe_string).collect::<Vec<Value>>(),
                figures => tables::figures(&rows, floor),
                rows => failovers.iter().map(|failover| tables::failover(failover, terms)).collect::<Vec<Value>>(),
            }
        })
    };
    FaultKind::ALL.into_iter().filter_map(section).collect()
}

/// Which marks the timeline uses.
fn legend(report: &Report) -> Vec<(&'static str, &'static str)> {
    let mut legend = vec![
        ("leader", "leader"),
        ("candidate", "candidate"),
        ("pre-candidate", "pre-candidate"),
        ("follower", "follower"),
        ("leaderless", "follower that knows no leader"),
    ];
    let has = |impact| report.faults.iter().any(|fault| fault.kind.impact() == impact);
    if has(Impact::Ends) {
        legend.push(("down", "down"));
    }
    if has(Impact::Stops) {
        legend.push(("paused", "paused"));
    }
    if has(Impact::Spares) {
        legend.push(("cut", "cut off from a majority"));
    }
    if report.measured.overlaps.iter().any(|overlap| overlap.lasted.lo > Duration::ZERO) {
        legend.push(("stale-leader", "two nodes claim to lead"));
    }
    legend
}
