//! How many failovers had reached a phase after so long: the empirical distribution function, beside what theory expects.
//!
//! A panel per phase, all of one kind of fault over one scale of time, so that panels can be compared with one another. The
//! staircase is exact for any number of samples; nothing is smoothed, binned or extrapolated beyond the slowest one.

use std::fmt::Write;
use std::time::Duration;

use chaos_failover::{Distribution, Floor};
use chaos_plan::expect::Phase;

use super::axis::Axis;
use super::svg::{Anchor, Rect, Svg};
use crate::words::duration;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 38.0;
const RIGHT: f64 = 288.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 160.0;
/// More samples than these are a line without dots.
const DOTS_MAX: usize = 80;

/// One panel per phase that has samples.
pub(crate) fn panels(rows: &[&Distribution], floor: Option<&Floor>) -> Vec<String> {
    let longest = rows.iter().map(|row| row.figures.max).max().unwrap_or_default();
    let floors = rows.iter().filter_map(|row| floor?.of_phase(row.phase)).map(|floor| floor.min);
    let least = rows.iter().map(|row| row.figures.min).chain(floors).min().unwrap_or_default();
    let margin = longest.saturating_sub(least).max(Duration::from_millis(1)).mul_f64(0.06);
    let axis = Axis::between(least.saturating_sub(margin), longest + margin, LEFT, RIGHT).with_marks(4);
    rows.iter().map(|row| panel(row, floor, &axis)).collect()
}

fn panel(row: &Distribution, floor: Option<&Floor>, axis: &Axis) -> String {
    let mut svg = Svg::default();
    for percent in [0_u8, 50, 90, 100] {
        let y = height(u64::from(percent), 100);
        svg.line("grid", (LEFT, y), (RIGHT, y));
        svg.text("tick", (LEFT - 6.0, y + 3.5), Anchor::End, &format!("{percent} %"));
    }
    axis.draw(&mut svg, TOP, BOTTOM);
    svg.text("panel-title", (LEFT, 14.0), Anchor::Start, row.phase.name());
    let n = if row.figures.n == row.failovers {
        format!("n = {}", row.figures.n)
    } else {
        format!("n = {} of {} failovers", row.figures.n, row.failovers)
    };
    svg.text("bar-note", (RIGHT, 14.0), Anchor::End, &n);
    if let Some(floor) = floor {
        theory(&mut svg, axis, floor, row.phase);
    }
    measured(&mut svg, axis, row);
    let median = row.figures.p50.map_or(String::new(), |p50| format!(", half of them within {}", duration(p50)));
    let label = format!("{}: {n}{median}, the slowest {}", row.phase.name(), duration(row.figures.max));
    svg.finish(&label, WIDTH, HEIGHT)
}

/// What no failover can be faster than, and how many theory expects after so long.
fn theory(svg: &mut Svg, axis: &Axis, floor: &Floor, phase: Phase) {
    let Some(time) = floor.of_phase(phase) else { return };
    let x = axis.x(nanos(time.min));
    let rect = Rect { x: LEFT, y: TOP, width: x - LEFT, height: BOTTOM - TOP };
    svg.rect("below-floor", rect, &format!("no {} before {}", phase.name(), duration(time.min)));
    svg.line("floor", (x, TOP), (x, BOTTOM));
    if let Some(curve) = floor.curve(phase) {
        // What lies beyond the axis would be drawn at its end, as a wall.
        let shown = curve.iter().take_while(|(_, time)| axis.x(nanos(*time)) < RIGHT);
        let mut path = String::new();
        for (share, time) in shown {
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", axis.x(nanos(*time)), height(u64::from(*share), 1_000_000));
        }
        svg.path("theory", &path);
    } else if let Some(mean) = time.mean {
        // A report of an older version knows the mean only.
        let x = axis.x(nanos(mean));
        svg.line("floor mean", (x, TOP), (x, BOTTOM));
        svg.text("floor-label", (x, TOP - 4.0), Anchor::Middle, &format!("mean {}", duration(mean)));
    }
}

/// A step up by one n-th at each sample.
fn measured(svg: &mut Svg, axis: &Axis, row: &Distribution) {
    let n = row.samples.len() as u64;
    let mut path = format!("M{LEFT:.1} {BOTTOM:.1}");
    for (index, sample) in row.samples.iter().enumerate() {
        let _ = write!(path, "H{:.1}V{:.1}", axis.x(*sample), height(index as u64 + 1, n));
    }
    let _ = write!(path, "H{RIGHT:.1}");
    svg.path(&format!("steps {}", row.phase.name()), &path);
    if row.samples.len() <= DOTS_MAX {
        for (index, sample) in row.samples.iter().enumerate() {
            let center = (axis.x(*sample), height(index as u64 + 1, n));
            svg.circle("step", center, 2.2, &duration(Duration::from_nanos(*sample)));
        }
    }
}

/// Where `count` of `n` stands.
fn height(count: u64, n: u64) -> f64 {
    BOTTOM - count as f64 / n.max(1) as f64 * (BOTTOM - TOP)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use chaos_failover::Figures;
    use chaos_history::FaultKind;

    use super::*;

    #[test]
    fn the_staircase_climbs_by_one_sample_at_a_time_to_the_top() {
        let ms = Duration::from_millis;
        let samples: Vec<u64> = [150, 200, 200, 250].map(|it| it * 1_000_000).to_vec();
        let figures = Figures { n: 4, min: ms(150), p50: None, p90: None, p95: None, p99: None, max: ms(250) };
        let (kind, phase) = (FaultKind::Kill, Phase::Elected);
        let row = Distribution {
            kind,
            phase,
            failovers: 5,
            figures,
            uncertainty_max: ms(5),
            stalled: 0,
            stalled_millionths: 0,
            over_floor_millionths: None,
            samples,
        };
        let svg = panels(&[&row], None).remove(0);
        let path = svg.split("steps elected\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<f64> =
            path.split('V').skip(1).map(|it| it.split('H').next().unwrap().parse().unwrap()).collect();
        assert_eq!(heights, [height(1, 4), height(2, 4), height(3, 4), TOP].map(|it| (it * 10.0).round() / 10.0));
        assert!(svg.contains("n = 4 of 5 failovers"));
    }
}
