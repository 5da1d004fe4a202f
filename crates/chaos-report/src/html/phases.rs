//! Where a failover's time went: a bar per failover from its injection, its phases end to end, beside the floor.

use std::time::Duration;

use chaos_failover::{Failover, Floor, PhaseOutcome};
use chaos_history::TermsFrom;
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
pub(crate) fn bars(failovers: &[&Failover], floor: Option<&Floor>, terms: TermsFrom) -> String {
    let longest =
        failovers.iter().flat_map(|failover| PHASES.map(|phase| failover.phases.get(phase).quoted())).flatten().max();
    let axis = Axis::new(longest.unwrap_or(Duration::from_millis(100)).mul_f64(1.06), LEFT, RIGHT);
    let mut svg = Svg::default();
    let shown = &failovers[..failovers.len().min(BARS_MAX)];
    let (top, bottom) = (18.0, 18.0 + shown.len() as f64 * ROW);
    axis.draw(&mut svg, top - 2.0, bottom);
    for (index, failover) in shown.iter().enumerate() {
        bar(&mut svg, &axis, failover, (top + index as f64 * ROW, terms));
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

fn bar(svg: &mut Svg, axis: &Axis, failover: &Failover, (y, terms): (f64, TermsFrom)) {
    let letter = terms.letter();
    let new = failover.new.map_or("–".to_owned(), |new| format!("{} {letter}{}", new.node, new.term));
    let label = format!("{} · {} {letter}{} → {new}", failover.fault.0, failover.old.node, failover.old.term);
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
