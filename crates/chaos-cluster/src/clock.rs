//! The run's clock: `CLOCK_MONOTONIC` of the host, counted from the run's start.

use chaos_history::RunNanos;
use nix::time::{ClockId, clock_gettime};

/// Reads the run's time. Copies of it agree.
#[derive(Clone, Copy, Debug)]
pub struct RunClock {
    origin_nanos: u64,
}

impl RunClock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin_nanos: monotonic_nanos() }
    }

    /// The time since the run began.
    #[must_use]
    pub fn now(&self) -> RunNanos {
        self.from_monotonic(monotonic_nanos())
    }

    /// A stamp of the host's monotonic clock as run time; zero if it lies before the run.
    #[must_use]
    pub fn from_monotonic(&self, nanos: u64) -> RunNanos {
        RunNanos(nanos.saturating_sub(self.origin_nanos))
    }
}

fn monotonic_nanos() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has a monotonic clock");
    let nanos = i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec());
    u64::try_from(nanos).expect("a monotonic clock is positive and within 584 years")
}
