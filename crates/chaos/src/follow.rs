//! Whoever follows a run while it goes on: people (`live`) or programs (`events`). They get the same, and decide nothing.

use std::cell::RefCell;
use std::rc::Rc;

use chaos_check::Alarm;
use chaos_engine::{Engine, Event};
use chaos_history::{RunDir, RunNanos, Seed};
use chaos_plan::Workload;
use chaos_report::Report;

/// What is known of a run before anything has happened.
pub(crate) struct Started<'a> {
    /// What is run.
    pub(crate) workload: &'a Workload,
    /// With which seed.
    pub(crate) seed: Seed,
    /// How many fault steps there will be, if that isn't drawn.
    pub(crate) faults: Option<u32>,
    /// Where everything is kept.
    pub(crate) directory: &'a RunDir,
    /// The command line that runs it again.
    pub(crate) again: &'a str,
}

/// Follows one run.
pub(crate) trait Follow {
    /// The run directory is made; nothing runs yet.
    fn started(&mut self, started: &Started<'_>);
    /// Something happened, and the engine has taken it in.
    fn update(&mut self, now: RunNanos, event: &Event, engine: &Engine);
    /// Nothing more will happen; now it is judged.
    fn finish(&mut self);
    /// Something that the verdict needs to be understood.
    fn remark(&mut self, text: &str);
    /// It is judged, and the reports are written.
    fn judged(&mut self, report: &Report, directory: &RunDir);
    /// There is no verdict.
    fn failed(&mut self, exit_code: u8, message: &str);
}

/// Where the watch of a run leaves the violation that it saw, for whoever wants more than a sentence.
#[derive(Clone, Default)]
pub(crate) struct Alarms(Rc<RefCell<Option<Alarm>>>);

impl Alarms {
    /// Leaves one; the watch goes off once.
    pub(crate) fn leave(&self, alarm: Alarm) {
        *self.0.borrow_mut() = Some(alarm);
    }

    /// Takes it, if there is one.
    pub(crate) fn take(&self) -> Option<Alarm> {
        self.0.borrow_mut().take()
    }
}
