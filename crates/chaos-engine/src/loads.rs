//! All loads of a run, as if they were one.
//!
//! Each load has its own schedule, clients and random streams; numbers of operations, processes and values are the run's. What
//! may wait is bounded in each.

use std::time::Duration;

use chaos_history::{RunNanos, Seed};
use chaos_plan::{Clients, Work};

use crate::client::Numbers;
use crate::hold_load::HoldLoad;
use crate::load::{Counts, Load, Object};
use crate::world::{Command, Completed};

/// The loads.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    loads: Vec<Load>,
    /// Those of clients that hold something.
    holds: Vec<HoldLoad>,
    /// The longest that any client waits.
    timeout: Duration,
}

impl Loads {
    /// Loads that don't run yet.
    pub(crate) fn new(loads: &[Clients], nodes: usize, seed: Seed, numbers: &mut Numbers) -> Self {
        let longest = |clients: &Clients| match clients.work {
            Work::Register(_) | Work::Set { .. } => clients.timeout,
            // Who waits for a lock as the load ends may still get it, and then gives it back.
            Work::Lock(_) | Work::Election { .. } => clients.timeout * 2,
        };
        let timeout = loads.iter().map(longest).max().unwrap_or_default();
        let mut this = Self { loads: Vec::new(), holds: Vec::new(), timeout };
        for clients in loads {
            match HoldLoad::new(clients, nodes, seed, numbers) {
                Some(hold) => this.holds.push(hold),
                None => this.loads.push(Load::new(clients, nodes, seed, numbers)),
            }
        }
        this
    }

    /// The longest that any client waits for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// From now on operations fall due.
    pub(crate) fn begin(&mut self, now: RunNanos) {
        self.loads.iter_mut().for_each(|load| load.begin(now));
        self.holds.iter_mut().for_each(HoldLoad::begin);
    }

    /// No more operations fall due, and those that wait are dropped. Those under way go on.
    pub(crate) fn stop(&mut self) {
        self.loads.iter_mut().for_each(Load::stop);
        self.holds.iter_mut().for_each(HoldLoad::stop);
    }

    /// How many operations are under way.
    pub(crate) fn under_way(&self) -> usize {
        let holds: usize = self.holds.iter().map(HoldLoad::under_way).sum();
        self.loads.iter().map(Load::under_way).sum::<usize>() + holds
    }

    /// How many operations wait for a free client.
    pub(crate) fn waiting(&self) -> usize {
        self.loads.iter().map(Load::waiting).sum()
    }

    /// How the operations ended so far.
    pub(crate) fn counts(&self) -> Counts {
        let all = self.loads.iter().map(Load::counts).chain(self.holds.iter().map(HoldLoad::counts));
        all.fold(Counts::default(), Counts::plus)
    }

    /// All objects that are read at the end, load by load. Of a lock nothing is left that could be read.
    pub(crate) fn objects(&self) -> Vec<Object> {
        self.loads.iter().flat_map(Load::objects).collect()
    }

    /// When something falls due or a client that has work has rested enough.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        let holds = self.holds.iter().filter_map(HoldLoad::deadline);
        self.loads.iter().filter_map(Load::deadline).chain(holds).min()
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self, now: RunNanos, numbers: &mut Numbers, out: &mut Vec<Command>) {
        self.loads.iter_mut().for_each(|load| load.advance(now, numbers, out));
        self.holds.iter_mut().for_each(|load| load.advance(now, numbers, out));
    }

    /// Takes the end of an operation in; `false` if it isn't one of these, or has ended before.
    pub(crate) fn completed(&mut self, completed: &Completed, now: RunNanos, numbers: &mut Numbers) -> bool {
        self.loads.iter_mut().any(|load| load.completed(completed, now, numbers))
            || self.holds.iter_mut().any(|load| load.completed(completed, now, numbers))
    }
}
