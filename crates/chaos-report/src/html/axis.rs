//! One axis of time for every drawing, with round marks.

use std::time::Duration;

use chaos_history::RunNanos;

use super::svg::{Anchor, Svg};

/// Maps nanoseconds to horizontal positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    start_ns: u64,
    span_ns: u64,
    left: f64,
    right: f64,
    marks: u64,
}

impl Axis {
    /// From 0 at `left` to `span` at `right`; a span of zero is taken for one nanosecond.
    pub(crate) fn new(span: Duration, left: f64, right: f64) -> Self {
        Self::between(Duration::ZERO, span, left, right)
    }

    /// From `start` at `left` to `end` at `right`, where lengths from zero mean nothing and the space before `start` would be
    /// empty; an end that is not after the start is taken for one nanosecond after it.
    pub(crate) fn between(start: Duration, end: Duration, left: f64, right: f64) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { start_ns: nanos(start), span_ns: nanos(end.saturating_sub(start)).max(1), left, right, marks: 9 }
    }

    /// The same axis with at most so many marks, for a narrow drawing.
    pub(crate) fn with_marks(self, marks: u64) -> Self {
        Self { marks, ..self }
    }

    /// Where a moment of the run stands.
    pub(crate) fn at(&self, at: RunNanos) -> f64 {
        self.x(at.0)
    }

    /// Where a duration from zero stands; what is beyond an end stands at that end.
    pub(crate) fn x(&self, ns: u64) -> f64 {
        let share = ns.saturating_sub(self.start_ns).min(self.span_ns) as f64 / self.span_ns as f64;
        self.left + share * (self.right - self.left)
    }

    /// Grid lines from `top` to `bottom` and labels below them.
    pub(crate) fn draw(&self, svg: &mut Svg, top: f64, bottom: f64) {
        for tick in self.ticks() {
            let x = self.x(tick);
            svg.line("grid", (x, top), (x, bottom));
            svg.text("tick", (x, bottom + 14.0), Anchor::Middle, &self.label(tick));
        }
    }

    fn ticks(&self) -> impl Iterator<Item = u64> {
        let step = step(self.span_ns, self.marks);
        let end = self.start_ns.saturating_add(self.span_ns);
        (self.start_ns.div_ceil(step)..=end / step).map(move |index| index * step)
    }

    fn label(&self, ns: u64) -> String {
        let (unit, per, precise) = if self.span_ns >= 2_000_000_000 { ("s", 1e9, 1e9) } else { ("ms", 1e6, 1e6) };
        let step = step(self.span_ns, self.marks) as f64;
        if step < precise { format!("{:.1} {unit}", ns as f64 / per) } else { format!("{:.0} {unit}", ns as f64 / per) }
    }
}

/// The smallest of 1, 2, 5 × 10^k that cuts `span` into at most `parts`.
pub(crate) fn step(span: u64, parts: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            if span / (decade.saturating_mul(factor)) <= parts {
                return decade.saturating_mul(factor);
            }
        }
        decade = decade.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        for (span, expected) in [(60_000_000_000, 10_000_000_000), (9, 1), (480_000_000, 50_000_000), (0, 1)] {
            assert_eq!(step(span, 9), expected);
        }
    }

    #[test]
    fn an_axis_that_begins_late_has_its_marks_where_they_belong() {
        let axis = Axis::between(Duration::from_millis(88), Duration::from_millis(250), 0.0, 162.0);
        let ticks: Vec<(u64, f64)> = axis.ticks().map(|tick| (tick / 1_000_000, axis.x(tick))).collect();
        assert_eq!(ticks[0], (100, 12.0));
        assert_eq!(ticks.last(), Some(&(240, 152.0)));
        assert_eq!(axis.x(0), 0.0, "what is before the start stands at it");
    }

    #[test]
    fn the_ends_of_the_span_stand_at_the_ends_of_the_axis() {
        let axis = Axis::new(Duration::from_secs(10), 50.0, 150.0);
        let at = |seconds: u64| axis.at(RunNanos(seconds * 1_000_000_000));
        assert_eq!((at(0), at(5), at(10), at(99)), (50.0, 100.0, 150.0, 150.0));
    }
}
