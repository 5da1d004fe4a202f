//! What the page's script draws, as JSON, and the packed columns beside it.
//!
//! ```json
//! {"end":62400000,"nodes":["n1","n2"],"roles":[[[0,1500,"leader",1,0]],[]],"life":[[[900,1200,"paused"]],[]],
//!  "faults":[{"id":1,"ink":"kill","label":"kill leader","nodes":[0],"from":3000102,"to":6000120}],
//!  "failovers":[{"fault":1,"title":"…","from":3000042,"to":3412000,"phases":[["elected",3200000,3212000]]}],…}
//! ```
//!
//! Times are microseconds since the run began, nodes are indices. Foreign text is made visible, and no `<` is left in any of
//! it, so that it can't end the element that it stands in.

use chaos_failover::{Failover, LifeState, RoleSegment};
use chaos_history::{ElectionRole, RunNanos, TermsFrom};
use chaos_plan::expect::Phase;
use minijinja::{Value as Word, context};
use serde_json::{Value, json};

use super::lanes::ink;
use super::pack::{self, micros};
use crate::words::{Lines, duration, role, visible};
use crate::{Report, ReportError, WitnessSummary};

/// Everything that the script reads, ready for the template.
pub(crate) fn embedded(report: &Report) -> Result<Word, ReportError> {
    let measured = &report.measured;
    let operations = pack::operations(&measured.operations.points);
    let rate = pack::rate(&measured.operations.points, measured.end);
    let questions: Vec<String> = measured.timeline.lanes.iter().map(|lane| pack::questions(&lane.asked)).collect();
    let run = harmless(&serde_json::to_string(&run(report, rate.bin_us))?);
    Ok(context! {
        run => Word::from_safe_string(run),
        operations => Word::from_safe_string(operations.packed),
        rate => Word::from_safe_string(rate.packed),
        questions => Word::from_safe_string(questions.join(" ")),
        thinned => operations.thinned,
    })
}

/// JSON that an HTML parser reads as nothing but text.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").replace('\'', "\\u0027")
}

fn run(report: &Report, bin_us: u64) -> Value {
    let measured = &report.measured;
    let lanes = &measured.timeline.lanes;
    let life = |state| match state {
        LifeState::Down => "down",
        LifeState::Paused => "paused",
        LifeState::Cut => "cut",
    };
    let lives = |lane: &chaos_failover::Lane| -> Vec<Value> {
        lane.life.iter().map(|it| json!([micros(it.from), micros(it.to), life(it.state)])).collect()
    };
    let overlaps = measured.overlaps.iter().filter(|overlap| !overlap.lasted.lo.is_zero()).map(|overlap| {
        let leader = |it: chaos_failover::TermLeader| json!([it.node.index(), it.term.0]);
        let (least, most) = (duration(overlap.lasted.lo), duration(overlap.lasted.hi));
        json!({"older": leader(overlap.older), "newer": leader(overlap.newer), "least": least, "most": most,
               "from": micros(overlap.span.lo), "to": micros(overlap.span.hi)})
    });
    json!({
        "end": micros(measured.end),
        "bin": bin_us,
        "term": measured.testimony.terms.word(),
        "nodes": lanes.iter().map(|lane| lane.node.to_string()).collect::<Vec<_>>(),
        "roles": lanes.iter().map(|lane| lane.roles.iter().map(segment).collect()).collect::<Vec<Vec<Value>>>(),
        "life": lanes.iter().map(lives).collect::<Vec<_>>(),
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        "failovers": measured.failovers.iter().map(|it| failover(it, measured.testimony.terms)).collect::<Vec<_>>(),
        "overlaps": overlaps.collect::<Vec<_>>(),
        "outages": measured.outages.iter().map(|it| json!([micros(it.from), micros(it.to)])).collect::<Vec<_>>(),
        "stalls": measured.stalls.iter().map(|it| json!([micros(it.from), micros(it.to)])).collect::<Vec<_>>(),
        "violations": violations(report),
    })
}

fn segment(segment: &RoleSegment) -> Value {
    let named = segment.leader.map(|leader| leader.index());
    let name = match segment.role {
        ElectionRole::Follower if segment.leader.is_none() => "leaderless",
        ElectionRole::Follower | ElectionRole::PreCandidate | ElectionRole::Candidate | ElectionRole::Leader => {
            role(segment.role)
        }
    };
    json!([micros(segment.from), micros(segment.to), name, segment.term.0, named])
}

fn fault(band: &crate::FaultSummary) -> Value {
    let nodes: Vec<usize> = band.nodes.iter().map(|node| node.index()).collect();
    json!({"id": band.id.0, "ink": ink(band.kind), "label": visible(&band.label, Lines::One), "nodes": nodes,
           "from": micros(band.span.lo), "to": micros(band.span.hi)})
}

/// From a failover's injection to the last of its phases.
pub(crate) fn extent(failover: &Failover) -> (RunNanos, RunNanos) {
    let reached = Phase::ALL.into_iter().filter_map(|phase| failover.phases.get(phase).reached());
    let last = reached.map(|reached| reached.at.hi).max();
    let healed = failover.healed.map(|healed| healed.hi);
    (failover.injected.lo, last.or(healed).unwrap_or(failover.injected.hi))
}

fn failover(failover: &Failover, terms: TermsFrom) -> Value {
    let reached = |phase: Phase| failover.phases.get(phase).reached().map(|reached| (phase.name(), reached.at));
    let phases = Phase::ALL.into_iter().filter_map(reached);
    let (from, to) = extent(failover);
    let word = terms.word();
    let new = failover.new.map_or("nobody".to_owned(), |new| format!("{} in {word} {}", new.node, new.term));
    let title = format!(
        "failover {}: {} · {} in {word} {} → {new}",
        failover.fault.0,
        visible(&failover.label, Lines::One),
        failover.old.node,
        failover.old.term
    );
    json!({"fault": failover.fault.0, "title": title, "from": micros(from), "to": micros(to),
           "phases": phases.map(|(name, at)| json!([name, micros(at.lo), micros(at.hi)])).collect::<Vec<_>>()})
}

fn violations(report: &Report) -> Vec<Value> {
    let convicted = report.checks.iter().filter_map(|check| check.witness.as_ref().map(|it| (check, it)));
    let one = |(check, witness): (&crate::Check, &WitnessSummary)| {
        let (from, to) = evidence(witness);
        json!({"property": check.property, "sentence": visible(&witness.sentence, Lines::One),
               "at": micros(witness.at), "from": micros(from), "to": micros(to)})
    };
    convicted.map(one).collect()
}

/// The stretch that a witness's quoted lines come from, by their own stamps, and the moment of the violation.
pub(crate) fn evidence(witness: &WitnessSummary) -> (RunNanos, RunNanos) {
    let stamp = |text: &String| serde_json::from_str::<Value>(text).ok()?.get("at")?.as_u64().map(RunNanos);
    let stamps = witness.lines.iter().filter_map(|line| line.text.as_ref().and_then(stamp));
    let (from, to) = stamps.fold((witness.at, witness.at), |(from, to), at| (from.min(at), to.max(at)));
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_can_not_end_the_element_that_they_stand_in() {
        let json = serde_json::to_string(&json!({"label": "</script><!--<script>&'"})).unwrap();
        let embedded = harmless(&json);
        assert!(!embedded.contains(['<', '>', '&', '\'']), "{embedded}");
        assert_eq!(serde_json::from_str::<Value>(&embedded).unwrap()["label"], "</script><!--<script>&'");
    }
}
