//! The clock of every stamp in this crate: `CLOCK_MONOTONIC`, which all processes of the host share whatever their
//! namespaces are. Wall time and time namespaces are refused: a fault must not move its own stamp.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
///
/// # Panics
/// Never on Linux: the clock always exists and its reading is positive.
#[must_use]
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on every Linux");
    let seconds = u64::try_from(now.tv_sec()).expect("the clock counts up from boot");
    let nanos = u64::try_from(now.tv_nsec()).expect("nanoseconds are between 0 and 999,999,999");
    seconds * 1_000_000_000 + nanos
}
