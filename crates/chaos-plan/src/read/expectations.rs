//! What is hoped for: `failover.writable.p99: < 1500ms`.

use std::time::Duration;

use chaos_history::FaultKind;

use super::{Field, Reader};
use crate::error::{Mistake, one_of};
use crate::expect::{Bound, Comparison, Expectation, Metric, Phase, Statistic};
use crate::model::Check;
use crate::scalar;
use crate::words;
use crate::yaml::NodeKind;

/// The key of the checks that a workload shows violated.
const VIOLATION: &str = "violation";

const FIGURES: [&str; 5] = ["min", "p50", "p90", "p99", "max"];

/// Symbols and words of comparison, the longer before what they begin with.
const COMPARISONS: [(&str, Comparison); 8] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("at most ", Comparison::AtMost),
    ("at least ", Comparison::AtLeast),
    ("below ", Comparison::Less),
    ("above ", Comparison::Greater),
];

impl Reader {
    pub(super) fn expectations<'n>(&mut self, field: Field<'n>) -> Vec<(Expectation, Field<'n>)> {
        let NodeKind::Map(entries) = &field.node.kind else {
            self.wrong_type(field, "a mapping, for example `outage.max: < 3s`");
            return Vec::new();
        };
        let fields = entries.iter().map(|(key, node)| Field { name: &key.value, key: key.place, node });
        let fields = fields.filter(|field| field.name != VIOLATION);
        fields.filter_map(|field| self.expectation(field).map(|expectation| (expectation, field))).collect()
    }

    /// The checks that the workload shows violated, each of which it must check.
    pub(super) fn violations(&mut self, field: Field<'_>, checks: &[Check]) -> Vec<Check> {
        let NodeKind::Map(entries) = &field.node.kind else { return Vec::new() };
        let Some((key, node)) = entries.iter().find(|(key, _)| key.value == VIOLATION) else { return Vec::new() };
        let own = Field { name: &key.value, key: key.place, node };
        let items = match &node.kind {
            NodeKind::List(items) if !items.is_empty() => items.as_slice(),
            NodeKind::List(_) | NodeKind::Null | NodeKind::Map(_) => {
                self.wrong_type(own, "the name of a check, or a list of them");
                return Vec::new();
            }
            NodeKind::Scalar(_) => std::slice::from_ref(node),
        };
        let known: Vec<&'static str> = words::CHECKS.names().collect();
        let mut expected: Vec<Check> = Vec::new();
        for item in items {
            let Some(name) = self.one_of(Field { node: item, ..own }, "check", &known) else { continue };
            match checks.iter().find(|check| check.name() == name) {
                Some(check) if expected.contains(check) => {
                    self.note(Mistake::at(item.place, format!("the violation of `{name}` is expected already")));
                }
                Some(check) => expected.push(*check),
                None => {
                    let mistake = Mistake::at(item.place, format!("`{name}` is not checked"))
                        .label("so nobody would see its violation")
                        .help(format!("add `{name}` to `checks`"));
                    self.note(mistake);
                }
            }
        }
        expected
    }

    fn expectation(&mut self, field: Field<'_>) -> Option<Expectation> {
        let measured = self.metric(field);
        let text = self.text(field, "a comparison, for example `< 3s`")?.trim();
        let compared = self.comparison(field, text);
        let ((metric, statistic), (comparison, bound)) = (measured?, compared?);
        let bound = self.bound_of(field, metric, bound)?;
        if metric == Metric::LostWrites && matches!(comparison, Comparison::Less | Comparison::AtMost) {
            let mistake = Mistake::at(field.node.place, "`lost-writes` is a lower bound: some losses can't be proved")
                .label("so no upper limit can be told to hold")
                .help("that nothing is lost, `checks: [no-lost-writes]` tells; here only `>` and `>=` make sense");
            self.note(mistake);
            return None;
        }
        if let Some(why) = never_met(comparison, bound) {
            let mistake = Mistake::at(field.node.place, format!("nothing can meet `{}: {text}`", field.name));
            self.note(mistake.label(why));
            return None;
        }
        Some(Expectation { text: format!("{} {text}", field.name), metric, statistic, comparison, bound })
    }

    fn comparison<'t>(&mut self, field: Field<'_>, text: &'t str) -> Option<(Comparison, &'t str)> {
        let found = COMPARISONS.into_iter().find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)));
        if found.is_none() {
            let mistake = Mistake::at(field.node.place, format!("`{}` must be a comparison", field.name))
                .label("the comparison is missing")
                .help("begin with `<`, `<=`, `below`, `at most`, `above` or `at least`");
            self.note(mistake);
        }
        found
    }

    fn bound_of(&mut self, field: Field<'_>, metric: Metric, text: &str) -> Option<Bound> {
        let text = text.trim();
        let (wanted, read) = match metric {
            Metric::Failover { .. } | Metric::Outage | Metric::Overlap | Metric::StaleLeader | Metric::StepDown => {
                ("a time", scalar::duration(text).map(Bound::Time))
            }
            Metric::Failovers | Metric::Elections | Metric::NeedlessElections | Metric::LostWrites => {
                ("a whole number", scalar::whole(text).map(Bound::Count))
            }
            Metric::Availability => ("a percentage", scalar::share_millionths(text).map(Bound::ShareMillionths)),
        };
        match read {
            Ok(bound) => Some(bound),
            Err(why) => {
                let message = format!("`{}` must be compared with {wanted}", field.name);
                self.note(Mistake::at(field.node.place, message).label(why));
                None
            }
        }
    }

    /// Reads `failover.kill.writable.p99` and its like.
    fn metric(&mut self, field: Field<'_>) -> Option<(Metric, Statistic)> {
        let parts: Vec<&str> = field.name.split('.').collect();
        match parts.as_slice() {
            ["failovers", "count"] => Some((Metric::Failovers, Statistic::Count)),
            ["elections", "count"] => Some((Metric::Elections, Statistic::Count)),
            ["elections", "needless"] => Some((Metric::NeedlessElections, Statistic::Count)),
            ["availability"] => Some((Metric::Availability, Statistic::Value)),
            ["outage", "total"] => Some((Metric::Outage, Statistic::Total)),
            ["overlap", "total"] => Some((Metric::Overlap, Statistic::Total)),
            ["overlap", "max"] => Some((Metric::Overlap, Statistic::Max)),
            ["stale-leader", figure] => Some((Metric::StaleLeader, self.figure(field, figure)?)),
            ["step-down", figure] => Some((Metric::StepDown, self.figure(field, figure)?)),
            ["lost-writes"] => Some((Metric::LostWrites, Statistic::Count)),
            ["outage", figure] => Some((Metric::Outage, self.figure(field, figure)?)),
            ["failover", phase, figure] => self.failover(field, None, phase, figure),
            ["failover", kind, phase, figure] => {
                let Some(known) = FaultKind::named(kind) else {
                    self.unknown(field.key, "kind of fault", kind, &FaultKind::ALL.map(FaultKind::name));
                    return None;
                };
                self.failover(field, Some(known), phase, figure)
            }
            _ => {
                self.unknown_metric(field, &parts);
                None
            }
        }
    }

    fn unknown_metric(&mut self, field: Field<'_>, parts: &[&str]) {
        let first = parts.first().copied().unwrap_or_default();
        let known = [
            "failover",
            "failovers",
            "elections",
            "outage",
            "availability",
            "overlap",
            "stale-leader",
            "step-down",
            "lost-writes",
            VIOLATION,
        ];
        if known.contains(&first) {
            let form = match first {
                "failover" => "`failover.writable.p50`, or `failover.kill.writable.p50` of one kind of fault",
                "failovers" => "`failovers.count`",
                "elections" => "`elections.count` or `elections.needless`",
                "outage" => "`outage.max`",
                "overlap" => "`overlap.max` or `overlap.total`",
                "stale-leader" => "`stale-leader.max`",
                "step-down" => "`step-down.max`",
                "lost-writes" => "`lost-writes`",
                "violation" => "`violation`",
                _ => "`availability`",
            };
            let mistake =
                Mistake::at(field.key, format!("unknown metric `{}`", field.name)).help(format!("write {form}"));
            self.note(mistake);
        } else {
            self.unknown(field.key, "metric", first, &known);
        }
    }

    fn failover(
        &mut self,
        field: Field<'_>,
        kind: Option<FaultKind>,
        phase: &str,
        figure: &str,
    ) -> Option<(Metric, Statistic)> {
        let phase = match phase {
            "detected" => Some(Phase::Detected),
            "elected" => Some(Phase::Elected),
            "converged" => Some(Phase::Converged),
            "writable" => Some(Phase::Writable),
            "available" => Some(Phase::Available),
            unknown => {
                let names: Vec<_> = words::PHASES.names().collect();
                self.unknown(field.key, "phase", unknown, &names);
                None
            }
        };
        let figure = self.figure(field, figure);
        Some((Metric::Failover { phase: phase?, kind }, figure?))
    }

    fn figure(&mut self, field: Field<'_>, figure: &str) -> Option<Statistic> {
        let percentile = figure.strip_prefix('p').and_then(|number| number.parse().ok());
        match (figure, percentile) {
            ("min", _) => Some(Statistic::Min),
            ("max", _) => Some(Statistic::Max),
            (_, Some(percent @ 1..=99)) => Some(Statistic::Percentile(percent)),
            (_, Some(_) | None) => {
                let mistake = Mistake::at(field.key, format!("unknown figure `{figure}`"))
                    .help(format!("a figure is {}, or any p1 to p99", one_of(FIGURES)));
                self.note(mistake);
                None
            }
        }
    }
}

/// Why nothing measured can be like this, if so.
fn never_met(comparison: Comparison, bound: Bound) -> Option<&'static str> {
    match (comparison, bound) {
        (Comparison::Less, Bound::Time(Duration::ZERO) | Bound::Count(0) | Bound::ShareMillionths(0)) => {
            Some("nothing is less than nothing")
        }
        (Comparison::Greater, Bound::ShareMillionths(1_000_000..)) => Some("there is no more than all"),
        (Comparison::Less | Comparison::AtMost | Comparison::Greater | Comparison::AtLeast, _) => None,
    }
}
