//! Where a failover's time went: a bar per failover from its injection, and the distribution of each phase beside the floor.

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_failover::{Distribution, Failover, Floor, PhaseOutcome};
use chaos_history::FaultKind;
use chaos_plan::expect::Phase;

use super::axis::Axis;
use super::svg::{Anchor, Rect, Svg};
use crate::words::duration;

const WIDTH: f64 = 1200.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 1130.0;
const ROW: f64 = 20.0;
/// More bars than these would be a wall; the table has all of them.
const BARS_MAX: usize = 80;

const PHASES: [Phase; 5] = [Phase::Detected, Phase::Elected, Phase::Converged, Phase::Writable, Phase::Available];

/// A bar per failover of one kind, in order of injection.
pub(crate) fn bars(failovers: &[&Failover], floor: Option<&Floor>) -> String {
    let longest =
        failovers.iter().flat_map(|failover| PHASES.map(|phase| failover.phases.get(phase).quoted())).flatten().max();
    let axis = Axis::new(longest.unwrap_or(Duration::from_millis(100)).mul_f64(1.06), LEFT, RIGHT);
    let mut svg = Svg::default();
    let shown = &failovers[..failovers.len().min(BARS_MAX)];
    let (top, bottom) = (18.0, 18.0 + shown.len() as f64 * ROW);
    axis.draw(&mut svg, top - 2.0, bottom);
    for (index, failover) in shown.iter().enumerate() {
        bar(&mut svg, &axis, failover, top + index as f64 * ROW);
    }
    if let Some(floor) = floor {
        let x = axis.x(nanos(floor.elected.min));
        let text = format!("elected, floor {}", duration(floor.elected.min));
        svg.line("floor", (x, top - 4.0), (x, bottom));
        // The two texts lead away from each other, since their lines may be close.
        svg.text("floor-label", (x + 3.0, top - 7.0), Anchor::End, &text);
        if let Some(mean) = floor.elected.mean {
            let x = axis.x(nanos(mean)).max(x + 9.0);
            let text = format!("elected, expected mean {}", duration(mean));
            svg.line("floor mean", (axis.x(nanos(mean)), top - 4.0), (axis.x(nanos(mean)), bottom));
            svg.text("floor-label", (x - 3.0, top - 7.0), Anchor::Start, &text);
        }
    }
    svg.finish("Phases of each failover, from the fault's injection", WIDTH, bottom + 20.0)
}

fn bar(svg: &mut Svg, axis: &Axis, failover: &Failover, y: f64) {
    let new = failover.new.map_or("–".to_owned(), |new| format!("{} t{}", new.node, new.term));
    let label = format!("{} · {} t{} → {new}", failover.fault.0, failover.old.node, failover.old.term);
    svg.text("bar-label", (LEFT - 10.0, y + 13.0), Anchor::End, &label);
    let mut from = axis.x(0);
    for phase in PHASES {
        let Some(reached) = failover.phases.get(phase).reached() else { continue };
        let to = axis.x(nanos(reached.after.hi));
        let title = format!("{} after {} to {}", phase.name(), duration(reached.after.lo), duration(reached.after.hi));
        if to > from {
            let rect = Rect { x: from, y: y + 3.0, width: to - from, height: ROW - 7.0 };
            svg.rect(&format!("phase {}", phase.name()), rect, &title);
            from = to;
        }
        if phase == Phase::Elected {
            let lo = axis.x(nanos(reached.after.lo));
            svg.line("whisker", (lo, y + ROW / 2.0 - 0.5), (to, y + ROW / 2.0 - 0.5));
        }
    }
    if let PhaseOutcome::NotReached(missing) = &failover.phases.elected {
        let text = format!("{}, watched for {}", missing.why.text(), duration(missing.watched));
        svg.text("never", (from + 8.0, y + 13.0), Anchor::Start, &text);
    } else if failover.stalled {
        svg.text("never", (from + 8.0, y + 13.0), Anchor::Start, "host stalled");
    }
}

/// The samples of every phase of one kind as stacked dots, with median and floor.
pub(crate) fn dots(rows: &[&Distribution], floor: Option<&Floor>, kind: FaultKind) -> String {
    const HEIGHT: f64 = 46.0;
    let longest = rows.iter().map(|row| row.figures.max).max().unwrap_or_default();
    let floors = rows.iter().filter_map(|row| floor?.of_phase(row.phase)).map(|floor| floor.min);
    let least = rows.iter().map(|row| row.figures.min).chain(floors).min().unwrap_or_default();
    // A little before the first dot, so that a narrow screen, which shows the left part first, shows dots.
    let axis = Axis::between(least.mul_f64(0.8), longest.mul_f64(1.06), LEFT, RIGHT);
    let mut svg = Svg::default();
    let (top, bottom) = (8.0, 8.0 + rows.len() as f64 * HEIGHT);
    axis.draw(&mut svg, top, bottom);
    for (index, row) in rows.iter().enumerate() {
        let base = top + (index as f64 + 1.0) * HEIGHT - 9.0;
        svg.text("bar-label", (LEFT - 10.0, base - 6.0), Anchor::End, row.phase.name());
        svg.text("bar-note", (LEFT - 10.0, base + 6.0), Anchor::End, &format!("n = {}", row.figures.n));
        if let Some(floor) = floor.and_then(|floor| floor.of_phase(row.phase)) {
            let (x, title) =
                (axis.x(nanos(floor.min)), format!("no {} before {}", row.phase.name(), duration(floor.min)));
            let rect = Rect { x: LEFT, y: base - HEIGHT + 14.0, width: x - LEFT, height: HEIGHT - 10.0 };
            svg.rect("below-floor", rect, &title);
            svg.line("floor", (x, base - HEIGHT + 14.0), (x, base + 4.0));
            if let Some(mean) = floor.mean {
                let x = axis.x(nanos(mean));
                svg.line("floor mean", (x, base - HEIGHT + 14.0), (x, base + 4.0));
            }
        }
        stack(&mut svg, &axis, row, base, HEIGHT - 16.0);
        if let Some(p50) = row.figures.p50 {
            let x = axis.x(nanos(p50));
            svg.line("median", (x, base - HEIGHT + 16.0), (x, base + 4.0));
        }
        let at = (axis.x(nanos(row.figures.max)) + 8.0, base + 3.0);
        svg.text("bar-note", at, Anchor::Start, &duration(row.figures.max));
    }
    svg.finish(&format!("Distribution of each phase of failovers by {}", kind.name()), WIDTH, bottom + 20.0)
}

/// Dots that fall onto one another are stacked up to the row's height; a higher stack is cut, and `n` beside it says how many
/// there are.
fn stack(svg: &mut Svg, axis: &Axis, row: &Distribution, base: f64, height: f64) {
    const DOT: f64 = 3.2;
    let mut stacks: BTreeMap<u64, u32> = BTreeMap::new();
    for sample in &row.samples {
        let x = axis.x(*sample);
        let column = column(x, DOT * 2.0);
        let level = stacks.entry(column).or_default();
        let lift = f64::from(*level) * DOT * 2.0;
        if lift <= height {
            let title = duration(Duration::from_nanos(*sample));
            svg.circle(&format!("dot {}", row.phase.name()), (x, base - lift), DOT, &title);
        }
        *level += 1;
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions are positive and below 1,200")]
fn column(x: f64, width: f64) -> u64 {
    (x / width) as u64
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
