//! The run at a glance: faults, a lane per node, latencies and throughput, all over one axis of time.

use std::time::Duration;

use chaos_failover::{Overlap, PointOutcome};
use chaos_history::TermsFrom;

use super::axis::Axis;
use super::scatter;
use super::svg::{Anchor, Rect, Svg};
use super::{lanes, scatter::Scale};
use crate::Report;
use crate::words::duration;

/// The drawing's width; heights follow from its parts.
pub(crate) const WIDTH: f64 = 1200.0;
/// Where the time axis begins and ends.
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const RIGHT: f64 = 1188.0;

const LANE: f64 = 24.0;
const LANE_GAP: f64 = 7.0;
const FAULT_ROW: f64 = 17.0;
const SCATTER: f64 = 210.0;
const STRIP: f64 = 54.0;

/// Draws the timeline.
pub(crate) fn draw(report: &Report) -> String {
    let measured = &report.measured;
    let axis = Axis::new(Duration::from_nanos(measured.end.0), LEFT, RIGHT);
    let mut svg = Svg::default();
    let rows = lanes::fault_rows(&measured.timeline.faults);
    let lanes_top = 6.0 + rows.height(FAULT_ROW) + 8.0;
    let lanes_bottom = lanes_top + measured.timeline.lanes.len() as f64 * (LANE + LANE_GAP);
    let has_points = !measured.operations.points.is_empty();
    let (scatter_top, scatter_bottom) = (lanes_bottom + 26.0, lanes_bottom + 26.0 + SCATTER);
    let (strip_top, strip_bottom) = (scatter_bottom + 28.0, scatter_bottom + 28.0 + STRIP);
    let bottom = if has_points { strip_bottom } else { lanes_bottom };

    lanes::draw_fault_bands(&mut svg, &axis, &measured.timeline.faults, lanes_top - 4.0, bottom);
    axis.draw(&mut svg, lanes_top - 4.0, bottom);
    lanes::draw_fault_labels(&mut svg, &axis, &measured.timeline.faults, &rows, 6.0, FAULT_ROW);
    for (index, lane) in measured.timeline.lanes.iter().enumerate() {
        let top = lanes_top + index as f64 * (LANE + LANE_GAP);
        lanes::draw_lane(&mut svg, &axis, lane, (top, LANE), measured.testimony.terms);
    }
    for overlap in &measured.overlaps {
        draw_overlap(&mut svg, &axis, overlap, lanes_top, measured.testimony.terms);
    }
    for witness in report.checks.iter().filter_map(|check| check.witness.as_ref()) {
        let x = axis.at(witness.at);
        svg.line("violation", (x, lanes_top - 6.0), (x, bottom));
        svg.text("violation-mark", (x + 4.0, lanes_bottom + 7.0), Anchor::Start, "✘");
    }
    if has_points {
        let points = &measured.operations.points;
        for outage in &measured.outages {
            let (x, to) = (axis.at(outage.from), axis.at(outage.to));
            let title = format!("no service for {}", duration(outage.lasted));
            let rect = Rect { x, y: scatter_top, width: (to - x).max(1.0), height: SCATTER };
            svg.rect("outage", rect, &title);
            if to - x > 46.0 {
                svg.text(
                    "outage-label",
                    ((x + to) / 2.0, scatter_top + 12.0),
                    Anchor::Middle,
                    &duration(outage.lasted),
                );
            }
        }
        let scale = Scale::of(points, scatter_top, scatter_bottom);
        scale.draw(&mut svg, LEFT, RIGHT);
        for (outcome, class) in
            [(PointOutcome::Ok, "p-ok"), (PointOutcome::Fail, "p-fail"), (PointOutcome::Info, "p-info")]
        {
            scatter::draw(&mut svg, &axis, &scale, points, outcome, class);
        }
        svg.text("caption", (LEFT, scatter_top - 7.0), Anchor::Start, "latency from due, log scale");
        svg.text("caption", (LEFT, strip_top - 7.0), Anchor::Start, "acknowledged a second");
        scatter::draw_throughput(&mut svg, &axis, points, measured.end, (strip_top, strip_bottom));
    }
    let label = format!("Timeline of {}: faults, roles of every node, latencies", report.run.workload);
    svg.finish(&label, WIDTH, bottom + 22.0)
}

/// A sliver over the lanes of two nodes that claimed to lead at once. What is only possible is not drawn.
fn draw_overlap(svg: &mut Svg, axis: &Axis, overlap: &Overlap, top: f64, terms: TermsFrom) {
    if overlap.lasted.lo == Duration::ZERO {
        return;
    }
    let (x, to) = (axis.at(overlap.span.lo), axis.at(overlap.span.hi));
    let word = terms.word();
    let title = format!(
        "{} ({word} {}) and {} ({word} {}) both claimed to lead for at least {}, at most {}",
        overlap.older.node,
        overlap.older.term,
        overlap.newer.node,
        overlap.newer.term,
        duration(overlap.lasted.lo),
        duration(overlap.lasted.hi)
    );
    let class = if overlap.older.term == overlap.newer.term { "two-leaders" } else { "stale-leader" };
    for node in [overlap.older.node, overlap.newer.node] {
        let y = top + node.index() as f64 * (LANE + LANE_GAP) - 2.5;
        svg.rect(class, Rect { x, y, width: (to - x).max(2.0), height: LANE + 5.0 }, &title);
    }
}
