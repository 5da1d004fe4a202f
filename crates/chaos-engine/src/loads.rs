//! All loads of a run, as if they were one.
//!
//! Each load has its own schedule, clients and random streams; numbers of operations, processes and values are the run's. What
//! may wait is bounded in each.

use std::time::Duration;

use chaos_history::{RunNanos, Seed};
use chaos_plan::Clients;

use crate::client::Numbers;
use crate::load::{Counts, Load, Object};
use crate::world::{Command, Completed};

/// The loads.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    loads: Vec<Load>,
    /// The longest that any client waits.
    timeout: Duration,
}

impl Loads {
    /// Loads that don't run yet.
    pub(crate) fn new(loads: &[Clients], nodes: usize, seed: Seed, numbers: &mut Numbers) -> Self {
        let timeout = loads.iter().map(|clients| clients.timeout).max().unwrap_or_default();
        Self { loads: loads.iter().map(|clients| Load::new(clients, nodes, seed, numbers)).collect(), timeout }
    }

    /// The longest that any client waits for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// From now on operations fall due.
    pub(crate) fn begin(&mut self, now: RunNanos) {
        self.loads.iter_mut().for_each(|load| load.begin(now));
    }

    /// No more operations fall due, and those that wait are dropped. Those under way go on.
    pub(crate) fn stop(&mut self) {
        self.loads.iter_mut().for_each(Load::stop);
    }

    /// How many operations are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.loads.iter().map(Load::under_way).sum()
    }

    /// How many operations wait for a free client.
    pub(crate) fn waiting(&self) -> usize {
        self.loads.iter().map(Load::waiting).sum()
    }

    /// How the operations ended so far.
    pub(crate) fn counts(&self) -> Counts {
        self.loads.iter().map(Load::counts).fold(Counts::default(), Counts::plus)
    }

    /// All objects, load by load.
    pub(crate) fn objects(&self) -> Vec<Object> {
        self.loads.iter().flat_map(Load::objects).collect()
    }

    /// When something falls due or a client that has work has rested enough.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        self.loads.iter().filter_map(Load::deadline).min()
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        self.loads.iter_mut().for_each(|load| load.advance(now, numbers, out));
    }

    /// Takes the end of an operation in; `false` if it isn't one of these, or has ended before.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        self.loads.iter_mut().any(|load| load.completed(completed, now, numbers))
    }
}
