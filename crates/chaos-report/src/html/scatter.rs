//! Latencies as points and acknowledgements as a strip.
//!
//! Points that fall into the same two units of the drawing are one point, since nobody could tell them apart; so a hundred
//! thousand operations stay a few hundred kilobytes, and no outlier is lost. This drawing is for paper and for readers without
//! a script; the script's own draws every operation.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use chaos_failover::{OperationPoint, PointOutcome};
use chaos_history::RunNanos;

use super::axis::Axis;
use super::svg::{Anchor, Svg};
use super::timeline::{LEFT, RIGHT};
use crate::words::grouped;

/// The logarithmic scale of latencies, from one power of ten to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    least: i32,
    most: i32,
    top: f64,
    bottom: f64,
}

impl Scale {
    /// The decades that hold all points.
    pub(crate) fn of(points: &[OperationPoint], top: f64, bottom: f64) -> Self {
        let latencies = || points.iter().map(|point| point.latency.as_secs_f64().max(1e-6).log10());
        let least = latencies().fold(f64::INFINITY, f64::min).floor();
        let most = latencies().fold(f64::NEG_INFINITY, f64::max).ceil();
        let (least, most) = (decade(least, -4), decade(most, 0));
        Self { least, most: most.max(least + 1), top, bottom }
    }

    fn y(&self, latency: Duration) -> f64 {
        let log = latency.as_secs_f64().max(1e-9).log10();
        let share = (log - f64::from(self.least)) / f64::from(self.most - self.least);
        self.bottom - share.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    pub(crate) fn draw(&self, svg: &mut Svg, left: f64, right: f64) {
        for exponent in self.least..=self.most {
            let latency = Duration::from_secs_f64(10_f64.powi(exponent));
            let y = self.y(latency);
            svg.line("grid", (left, y), (right, y));
            let label = match exponent {
                ..=-4 => format!("{} µs", latency.as_micros()),
                -3..=-1 => format!("{} ms", latency.as_millis()),
                0.. => format!("{} s", latency.as_secs()),
            };
            svg.text("tick", (left - 8.0, y + 4.0), Anchor::End, &label);
        }
    }
}

/// A logarithm as a whole exponent between a microsecond and a thousand seconds; `otherwise` for no points at all.
fn decade(log: f64, otherwise: i32) -> i32 {
    (-6..=3).find(|exponent| f64::from(*exponent) >= log).filter(|_| log.is_finite()).unwrap_or(otherwise)
}

/// The points of one outcome: first those of clients that stay with a node (faint), then the others.
pub(crate) fn draw(
    svg: &mut Svg,
    axis: &Axis,
    scale: &Scale,
    points: &[OperationPoint],
    outcome: PointOutcome,
    class: &str,
) {
    for (pinned, strength) in [(true, "faint"), (false, "firm")] {
        let own = points.iter().filter(|point| point.outcome == outcome && point.pinned == pinned);
        let cells: BTreeSet<(i32, i32)> =
            own.map(|point| (unit(axis.at(point.due)), unit(scale.y(point.latency)))).collect();
        svg.path(&format!("{class} {strength}"), &marks(&cells, outcome));
    }
}

#[expect(clippy::cast_possible_truncation, reason = "drawings are a few thousand units wide")]
fn unit(position: f64) -> i32 {
    (position / 2.0).round() as i32 * 2
}

/// One path for all marks, in relative moves: a dot each for what happened, a cross for what failed, a plus for what nobody
/// knows, so that the three differ without colour too.
fn marks(cells: &BTreeSet<(i32, i32)>, outcome: PointOutcome) -> String {
    let (shape, back) = match outcome {
        PointOutcome::Ok => ("h0", (0, 0)),
        PointOutcome::Fail => ("l4 4m0-4l-4 4", (0, 4)),
        PointOutcome::Info => ("h5m-3-3v5", (2, 2)),
    };
    let (mut data, mut at) = (String::new(), (0, 0));
    for (x, y) in cells {
        let start = match outcome {
            PointOutcome::Ok => (*x, *y),
            PointOutcome::Fail | PointOutcome::Info => (x - 2, y - 2),
        };
        let _ = write!(data, "m{} {}{shape}", start.0 - at.0, start.1 - at.1);
        at = (start.0 + back.0, start.1 + back.1);
    }
    data
}

/// Acknowledged operations a second over the run, as an area.
pub(crate) fn draw_throughput(
    svg: &mut Svg,
    axis: &Axis,
    points: &[OperationPoint],
    end: RunNanos,
    (top, bottom): (f64, f64),
) {
    const BINS: usize = 240;
    let bin_ns = (end.0 / BINS as u64).max(1);
    let mut bins = [0_u64; BINS];
    for point in points.iter().filter(|point| point.outcome == PointOutcome::Ok) {
        let done = point.due + point.latency;
        let index = usize::try_from(done.0 / bin_ns).unwrap_or(usize::MAX).min(BINS - 1);
        bins[index] += 1;
    }
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    let mut data = format!("M{LEFT:.1} {bottom:.1}");
    for (index, count) in bins.iter().enumerate() {
        let y = bottom - (*count as f64 / most as f64) * (bottom - top);
        let (from, to) = (axis.x(index as u64 * bin_ns), axis.x((index as u64 + 1) * bin_ns));
        let _ = write!(data, "L{from:.1} {y:.1}H{to:.1}");
    }
    let _ = write!(data, "V{bottom:.1}Z");
    svg.path("throughput", &data);
    let per_second = u128::from(most) * 1_000_000_000 / u128::from(bin_ns);
    let label = grouped(u64::try_from(per_second).unwrap_or(u64::MAX));
    svg.text("tick", (LEFT - 8.0, top + 4.0), Anchor::End, &label);
    svg.text("tick", (LEFT - 8.0, bottom + 4.0), Anchor::End, "0");
    svg.line("axis", (LEFT, bottom), (RIGHT, bottom));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(ms: u64, latency_us: u64) -> OperationPoint {
        OperationPoint {
            due: RunNanos(ms * 1_000_000),
            latency: Duration::from_micros(latency_us),
            outcome: PointOutcome::Ok,
            pinned: false,
        }
    }

    #[test]
    fn a_hundred_thousand_points_stay_small() {
        let points: Vec<OperationPoint> = (0..100_000).map(|index| point(index, 300 + index * 7919 % 40_000)).collect();
        let axis = Axis::new(Duration::from_secs(100), LEFT, RIGHT);
        let scale = Scale::of(&points, 0.0, 210.0);
        let mut svg = Svg::default();
        draw(&mut svg, &axis, &scale, &points, PointOutcome::Ok, "p-ok");
        let size = svg.finish("", 1200.0, 210.0).len();
        assert!(size < 1_000_000, "{size} bytes");
    }

    #[test]
    fn the_scale_holds_its_slowest_point() {
        let points = [point(0, 700), point(1, 4_200_000)];
        let scale = Scale::of(&points, 0.0, 200.0);
        assert_eq!((scale.least, scale.most), (-4, 1));
        assert!(scale.y(points[1].latency) > 0.0 && scale.y(points[0].latency) <= 200.0);
    }
}
