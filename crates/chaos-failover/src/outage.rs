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

use chaos_history::{Completion, FaultId, Operation, RunNanos};

use crate::analysis::Outage;
use crate::conditions::FaultSpan;
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
        fault: None,
    })
    .collect()
}

/// The fault that an outage belongs to, see [`Outage::fault`]. Every outage belongs to one fault at most, so that a failover
/// does not show the next one's. `faults` are in order of injection; `takes` tells which of them took a leader away.
pub(crate) fn owner(outage: &Outage, faults: &[FaultSpan], takes: impl Fn(FaultId) -> bool) -> Option<FaultId> {
    let spanned = || faults.iter().filter(|fault| outage.from <= fault.begun.hi && fault.begun.lo < outage.to);
    let before = faults.iter().rev().find(|fault| fault.begun.hi < outage.from);
    let found = spanned().find(|fault| takes(fault.begin.id)).or_else(|| spanned().next()).or(before);
    found.map(|fault| fault.begin.id)
}

/// The longest of the outages that belong to `fault`.
pub(crate) fn longest(outages: &[Outage], fault: FaultId) -> Option<Duration> {
    outages.iter().filter(|outage| outage.fault == Some(fault)).map(|outage| outage.lasted).max()
}

#[cfg(test)]
mod tests {
    use chaos_history::{FaultKind, Mark};

    use super::*;
    use crate::sample::{Sample, at, ms};

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
        let outage = Outage { from: at(493), to: at(803), lasted: ms(310), ended: true, fault: None };
        assert_eq!(asked(&[(500, 800)]), [outage]);
    }

    #[test]
    fn an_outage_that_lasts_until_the_load_ends_has_not_ended() {
        let outages = asked(&[(1500, 9999)]);
        assert_eq!(outages, [Outage { from: at(1493), to: at(1990), lasted: ms(497), ended: false, fault: None }]);
    }

    #[test]
    fn a_cluster_that_never_serves_is_one_long_outage() {
        let outages = asked(&[(0, 9999)]);
        assert_eq!(outages, [Outage { from: at(0), to: at(1990), lasted: ms(1990), ended: false, fault: None }]);
    }

    #[test]
    fn an_outage_belongs_to_the_fault_that_falls_into_it_and_to_no_other() {
        let mut sample = Sample::new(3);
        sample.mark(0, Mark::LoadBegin).all_follow(&[1, 2, 3], 250, 1, 1);
        sample.fault(1, FaultKind::Pause, 300, &[1], &[]).all_follow(&[2, 3], 500, 2, 2).heal(
            1,
            FaultKind::Pause,
            700,
            &[1],
        );
        sample.fault_of(2, FaultKind::Pause, 1200, &[2], &[], (2, 2)).all_follow(&[1, 3], 1500, 3, 3);
        sample.heal(2, FaultKind::Pause, 1800, &[2]);
        for due in (0..3000).step_by(10) {
            // After the second heal there is an outage that has no fault in it.
            let refused = [(300, 610), (1200, 1710), (2000, 2250)].iter().any(|(from, to)| *from <= due && due < *to);
            sample.write(3, due, (!refused).then_some(due + 3));
        }
        let analysis = crate::analyse(&sample.mark(3000, Mark::LoadEnd).history(), None);
        let owners: Vec<Option<u32>> = analysis.outages.iter().map(|outage| outage.fault.map(|id| id.0)).collect();
        assert_eq!(owners, [Some(1), Some(2), Some(2)]);
        let of = |index: usize| (analysis.failovers[index].outage, analysis.failovers[index].aftermath.unwrap().outage);
        assert_eq!(of(0), (Some(ms(320)), None));
        assert_eq!(of(1), (Some(ms(520)), Some(ms(260))));
    }

    #[test]
    fn a_followers_fault_that_stops_the_service_takes_its_outage_from_the_failover_before() {
        let mut sample = Sample::new(3);
        sample.mark(0, Mark::LoadBegin).all_follow(&[1, 2, 3], 250, 1, 1);
        sample.fault(1, FaultKind::Pause, 300, &[1], &[]).all_follow(&[2, 3], 500, 2, 2).heal(
            1,
            FaultKind::Pause,
            700,
            &[1],
        );
        sample.fault_of(2, FaultKind::Kill, 1200, &[1, 3], &[], (2, 2)).heal(2, FaultKind::Kill, 1700, &[1, 3]);
        for due in (0..3000).step_by(10) {
            let refused = [(300, 610), (1200, 1710)].iter().any(|(from, to)| *from <= due && due < *to);
            sample.write(2, due, (!refused).then_some(due + 3));
        }
        let analysis = crate::analyse(&sample.mark(3000, Mark::LoadEnd).history(), None);
        assert_eq!(analysis.failovers.len(), 1);
        assert_eq!(analysis.failovers[0].outage, Some(ms(320)));
        assert_eq!(analysis.outages[1].fault.map(|id| id.0), Some(2));
    }
}
