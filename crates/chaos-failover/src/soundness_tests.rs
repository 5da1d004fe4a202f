//! The bounds hold: over many made-up failovers whose true moments are known, polled at random, every interval contains its
//! moment. (That the intervals are narrow is checked too, or `[0, ∞)` would pass.)

use chaos_history::FaultKind;

use crate::analysis::PhaseOutcome;
use crate::interval::Interval;
use crate::sample::{Sample, at};

struct Draw(u64);

impl Draw {
    fn within(&mut self, lo: u64, hi: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        lo + (self.0 >> 33) % (hi - lo + 1)
    }
}

/// The true moments: n2 gives n1 up, n2 leads, n3 follows it.
struct Truth {
    detected: u64,
    elected: u64,
    followed: u64,
}

impl Truth {
    /// Term and leader (0: none) as node `who` truly sees them at `moment`.
    fn seen(&self, who: u16, moment: u64) -> (u64, u16) {
        match who {
            2 if moment < self.detected => (1, 1),
            2 if moment < self.elected => (2, 0),
            2 => (2, 2),
            _ if moment < self.followed => (1, 1),
            _ => (2, 2),
        }
    }
}

fn polled(draw: &mut Draw, truth: &Truth) -> Sample {
    let mut sample = Sample::new(3);
    sample.fault(1, FaultKind::Kill, 1000, &[1], &[]);
    for who in [2, 3] {
        let mut sent = draw.within(900, 910);
        while sent < 1600 {
            let received = sent + draw.within(0, 4);
            let answered = draw.within(sent, received);
            let (term, leader) = truth.seen(who, answered);
            sample.follows(who, sent, received, term, leader);
            sent = received + draw.within(1, 8);
        }
    }
    sample
}

#[test]
fn every_interval_contains_the_true_moment_and_is_no_wider_than_two_polls() {
    let mut draw = Draw(7);
    for round in 0..2000 {
        let detected = draw.within(1050, 1300);
        let elected = detected + draw.within(1, 60);
        let truth = Truth { detected, elected, followed: elected + draw.within(1, 40) };
        let analysis = crate::analyse(&polled(&mut draw, &truth).history(), None);
        let phases = &analysis.failovers[0].phases;
        let cases =
            [(&phases.detected, truth.detected), (&phases.elected, truth.elected), (&phases.converged, truth.followed)];
        for (outcome, moment) in cases {
            let PhaseOutcome::Reached(reached) = outcome else { panic!("round {round}: {outcome:?}") };
            let Interval { lo, hi } = reached.at;
            assert!(lo <= at(moment) && at(moment) <= hi, "round {round}: {moment} ms is outside of {lo} to {hi}");
            assert!(hi.since(lo).as_millis() <= 16, "round {round}: {lo} to {hi} is too wide");
        }
    }
}
