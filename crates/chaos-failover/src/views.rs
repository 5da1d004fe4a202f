//! What further observers tell of the old leader's loss, where the nodes themselves speak only of themselves.
//!
//! A coordinator or a client at another node that named the leader, and now names nobody or somebody else, has noticed. Names are
//! compared without terms, since each observer numbers for itself. A view of the harness's is one of many that the system's
//! parts have, so only the upper bound is theirs; the lower one is the fault itself.

use std::collections::BTreeMap;

use chaos_history::{ElectionRole, Event, History, NodeId, ObservationOutcome, RunNanos};

/// When an answer was there, and whom it named.
type Told = (RunNanos, Option<NodeId>);

/// Per observer and node, whom it was told to lead, in the order of the answers.
#[derive(Debug, Default)]
pub(crate) struct Views {
    told: BTreeMap<(String, NodeId), Vec<Told>>,
    count: u64,
}

impl Views {
    /// Reads them out of a history.
    pub(crate) fn read(history: &History) -> Self {
        let mut views = Self::default();
        for recorded in &history.events {
            let Event::View(view) = &recorded.event else { continue };
            views.count += 1;
            let ObservationOutcome::Answered(belief) = &view.observation.outcome else { continue };
            let node = view.observation.node;
            let named = if belief.role == ElectionRole::Leader { Some(node) } else { belief.leader };
            views.told.entry((view.observer.clone(), node)).or_default().push((view.observation.received, named));
        }
        views.told.values_mut().for_each(|told| told.sort_by_key(|(at, _)| *at));
        views
    }

    /// How many there are, answered or not.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// When the first observer at another node had stopped naming `old` for certain, after `t0` and until `close`.
    pub(crate) fn first_loss(&self, old: NodeId, t0: RunNanos, close: RunNanos) -> Option<RunNanos> {
        let elsewhere = self.told.iter().filter(|((_, node), _)| *node != old).map(|(_, told)| told);
        let loss = |told: &Vec<Told>| {
            let stops = |pair: &&[Told]| pair[0].1 == Some(old) && pair[1].1 != Some(old);
            told.windows(2).filter(stops).map(|pair| pair[1].0).find(|at| *at > t0 && *at <= close)
        };
        elsewhere.filter_map(loss).min()
    }
}
