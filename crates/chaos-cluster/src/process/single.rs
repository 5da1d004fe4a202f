//! One process of a node alone: ended, stopped, resumed and started again while the others run on.
//!
//! It is found by the number under which it was started, never by its name in the process table, which a program may choose. Its
//! children are left alone, since they may be what the node is for (a database below its agent), unless they are asked for.

use chaos_plan::ProcessTarget;
use chaos_systems::Launch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{NodeProcess, ProcessError, spawn, stop_threads};
use crate::inbox::Ended;
use crate::inspect::{self, Task};

/// What starting one process again came to.
pub(crate) enum StartedOne {
    /// The main process, under this number: the node has a new incarnation.
    Main(u32),
    /// A further process, under this number.
    Further(u32),
    /// It runs already, or there is no node left to run in.
    Nothing,
}

impl NodeProcess {
    /// Sends a signal that is meant to end the process to it, and returns what it went to.
    pub(crate) fn end_one(&mut self, target: &ProcessTarget, signal: Signal) -> Result<Vec<Task>, ProcessError> {
        let tasks = self.tasks(target)?;
        let root = tasks.first().map(|root| root.pid);
        self.signal_tasks(&tasks, signal)?;
        // It lived until now, so its end is not its own doing.
        self.ending |= target.name == self.main_name;
        for further in self.further.iter_mut().filter(|further| root == Some(spawn::pid_of(&further.child))) {
            further.ending = true;
        }
        Ok(tasks)
    }

    /// Stops every thread of the process, without waiting for the effect.
    pub(crate) fn pause_one(&self, target: &ProcessTarget) -> Result<(), ProcessError> {
        self.tasks(target)?.iter().for_each(stop_threads);
        Ok(())
    }

    /// Waits until no thread of the process runs.
    pub(crate) fn confirm_one_paused(&self, target: &ProcessTarget) -> Result<(), ProcessError> {
        self.confirm_stopped(|| self.tasks(target).unwrap_or_default())
    }

    /// Lets the process run again. That it is gone is no error.
    pub(crate) fn resume_one(&self, target: &ProcessTarget) -> Result<(), ProcessError> {
        match self.tasks(target) {
            Ok(tasks) => self.signal_tasks(&tasks, Signal::SIGCONT),
            Err(_) => Ok(()),
        }
    }

    /// Starts the process again while the others run on. Its own end must have been taken in.
    pub(crate) fn start_one(
        &mut self,
        target: &ProcessTarget,
        launch: &Launch,
        ended: impl Fn(Ended) + Clone + Send + 'static,
    ) -> Result<StartedOne, ProcessError> {
        let Some(place) = launch.processes.iter().position(|process| process.name == target.name) else {
            return Err(self.missing(target));
        };
        let process = launch.processes[place].clone();
        let nobody_left = !self.is_running() && self.processes().is_empty();
        if self.root(target).is_some() || nobody_left {
            return Ok(StartedOne::Nothing);
        }
        if place == 0 {
            // What a restart of the whole node removes may be in use by those that run on.
            let alone = Launch { processes: vec![process], ..Launch::default() };
            return self.start(&alone, ended).map(|started| StartedOne::Main(started.main));
        }
        self.start_further(&process, ended).map(StartedOne::Further)
    }

    /// The processes that are meant; at least one.
    fn tasks(&self, target: &ProcessTarget) -> Result<Vec<Task>, ProcessError> {
        let root = self.root(target).ok_or_else(|| self.missing(target))?;
        let mut tasks = inspect::with_descendants(root, &self.processes());
        if !target.with_children {
            tasks.truncate(1);
        }
        if tasks.is_empty() { Err(self.missing(target)) } else { Ok(tasks) }
    }

    /// The process that was started under this name, unless it has ended.
    fn root(&self, target: &ProcessTarget) -> Option<Pid> {
        if target.name == self.main_name {
            return self.living_main();
        }
        let mut named = self.further.iter().filter(|further| further.name == target.name);
        named.find_map(|further| spawn::living(&further.child))
    }

    fn signal_tasks(&self, tasks: &[Task], signal: Signal) -> Result<(), ProcessError> {
        let (root, children) = tasks.split_first().expect("a process that is meant was found");
        kill(root.pid, signal).map_err(|source| ProcessError::Signal { node: self.home.node, source })?;
        for child in children {
            // It may have ended by itself since it was listed.
            let _ = kill(child.pid, signal);
        }
        Ok(())
    }

    fn missing(&self, target: &ProcessTarget) -> ProcessError {
        ProcessError::NoProcess { node: self.home.node, process: target.name.clone() }
    }
}
