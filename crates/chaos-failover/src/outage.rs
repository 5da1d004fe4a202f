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

#[cfg(test)]
mod tests {
    use chaos_history::Mark;

    use super::*;
    use crate::sample::{Sample, at, interval, ms};

    /// Asks every 10 ms from 0 to 1990; acknowledged 3 ms later unless invoked within `silent`.
    fn asked(silent: &[(u64, u64)]) -> Vec<Outage> {
        let mut sample = Sample::new(3);
        sample.mark(0, Mark::LoadBegin);
        for due in (0..2000).step_by(10) {
            let refused = silent.iter().any(|(from, to)| *from <= due && due < *to);
            sample.write(1, due, (!refused).then_some(due + 3));
        }
        crate::analyse(&sample.mark(2000, Mark::LoadEnd).history(), None).outages
    }

    #[test]
    fn a_gap_between_acknowledgements_is_an_outage_only_above_the_threshold() {
        // Twenty distances of 10 ms are a threshold of 199 ms.
        assert_eq!(asked(&[(500, 680)]), []);
        let outage = Outage { from: at(493), to: at(803), lasted: ms(310), ended: true };
        assert_eq!(asked(&[(500, 800)]), [outage]);
    }

    #[test]
    fn an_outage_that_lasts_until_the_load_ends_has_not_ended() {
        let outages = asked(&[(1500, 9999)]);
        assert_eq!(outages, [Outage { from: at(1493), to: at(1990), lasted: ms(497), ended: false }]);
    }

    #[test]
    fn a_cluster_that_never_serves_is_one_long_outage() {
        let outages = asked(&[(0, 9999)]);
        assert_eq!(outages, [Outage { from: at(0), to: at(1990), lasted: ms(1990), ended: false }]);
    }

    #[test]
    fn only_outages_within_the_window_count_for_a_failover() {
        let outages = asked(&[(300, 600), (1200, 1700)]);
        assert_eq!(longest(&outages, interval(0, 700)), Some(ms(310)));
        assert_eq!(longest(&outages, interval(0, 1900)), Some(ms(510)));
        assert_eq!(longest(&outages, interval(700, 1100)), None);
    }
}
