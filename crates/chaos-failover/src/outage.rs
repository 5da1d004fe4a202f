//! Times without service, as clients that never stop asking saw them.
//!
//! ```text
//!  acknowledged   | | || | |                     | ||| |
//!  asked          | | || | || | | | || | | | | | | ||| |
//!                          └────── outage ───────┘
//! ```
//!
//! An outage is a longest gap between acknowledgements while the load is on that exceeds a threshold: 100 ms or twenty mean
//! distances between operations, whichever is longer, so that a slow load is not taken for an outage.

use std::time::Duration;

use chaos_history::{Completion, Operation, RunNanos};

use crate::analysis::Outage;
use crate::interval::Interval;
use crate::operations::service;

const THRESHOLD_MIN: Duration = Duration::from_millis(100);
const THRESHOLD_ARRIVALS: u32 = 20;

/// All outages of the load, in order. None without operations: nobody asked, nobody was refused.
pub(crate) fn outages(operations: &[Operation], load: Interval) -> Vec<Outage> {
    let asked: Vec<&Operation> =
        service(operations).into_iter().filter(|op| load.lo <= op.due && op.due <= load.hi).collect();
    let Some(first_due) = asked.iter().map(|op| op.due).min() else { return Vec::new() };
    let last_due = asked.iter().map(|op| op.due).max().unwrap_or(first_due);
    let arrivals = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    let threshold = THRESHOLD_MIN.max(last_due.since(first_due) / arrivals * THRESHOLD_ARRIVALS);

    let acknowledged = |op: &&Operation| match op.completion {
        Completion::Ok(_) => op.completed,
        Completion::Fail(_) | Completion::Info(_) => None,
    };
    let mut moments: Vec<RunNanos> = asked.iter().filter_map(acknowledged).collect();
    moments.sort_unstable();
    let came_back = moments.len();
    // The last operation's moment closes the last gap: after it nobody asked.
    let all: Vec<RunNanos> = [first_due].into_iter().chain(moments).chain([last_due]).collect();
    let gaps = all.windows(2).enumerate().filter(|(_, pair)| pair[1].since(pair[0]) > threshold);
    gaps.map(|(index, pair)| Outage {
        from: pair[0],
        to: pair[1],
        lasted: pair[1].since(pair[0]),
        ended: index < came_back,
    })
    .collect()
}

/// The longest of the outages that share an instant with `window`.
pub(crate) fn longest(outages: &[Outage], window: Interval) -> Option<Duration> {
    let meeting = outages.iter().filter(|outage| outage.from < window.hi && outage.to > window.lo);
    meeting.map(|outage| outage.lasted).max()
}
