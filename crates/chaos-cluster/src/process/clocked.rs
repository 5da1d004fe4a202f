//! A node's clock: one for all of its processes, which it keeps when they end and are started again.
//!
//! It is a clock of the *node*, as a machine's: programs that are started under one that is off are off from their first
//! instruction. Commands that prepare a node, and those that ask it, have true time.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use chaos_clock::{Change, Clock, ClockError, Preload, Rate, Reset, Scope, Strobe};

use super::{NodeProcess, ProcessError};
use crate::inspect::{self, Task};

/// How long a process may be without its clock: from its exec to the swap.
const GIVEN_WITHIN: Duration = Duration::from_millis(100);

/// How the nodes of a run get clocks that can be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// Their vDSO is swapped at every exec: any program.
    Swapped(Scope),
    /// libfaketime is preloaded: dynamic programs that ask the C library. `/dev/shm` must be the run's own.
    Preloaded {
        /// The library.
        library: PathBuf,
    },
}

/// A node's clock.
#[derive(Debug)]
pub(super) enum NodeClock {
    /// In its programs' vDSO.
    Swapped(Clock),
    /// In a library.
    Preloaded(Preload),
}

impl NodeClock {
    /// Starts a program that sees it.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Child, ClockError> {
        match self {
            Self::Swapped(clock) => clock.spawn(command),
            Self::Preloaded(clock) => {
                clock.attach(command);
                command
                    .spawn()
                    .map_err(|source| ClockError::System { action: "start a program that has a clock", source })
            }
        }
    }

    fn jump(&self, by_ns: i64) -> Result<Change, ClockError> {
        match self {
            Self::Swapped(clock) => clock.jump(by_ns),
            Self::Preloaded(clock) => clock.jump(by_ns),
        }
    }

    fn set_rate(&self, rate: Rate) -> Result<Change, ClockError> {
        match self {
            Self::Swapped(clock) => Ok(clock.set_rate(rate)),
            Self::Preloaded(clock) => clock.set_rate(rate),
        }
    }

    fn strobe(&self, by_ns: i64, period: Duration) -> Result<Strobe, ClockError> {
        match self {
            Self::Swapped(clock) => clock.strobe(by_ns, period),
            Self::Preloaded(clock) => clock.strobe(by_ns, period),
        }
    }

    fn reset(&self, how: Reset) -> Result<Change, ClockError> {
        match self {
            Self::Swapped(clock) => Ok(clock.reset(how)),
            Self::Preloaded(clock) => clock.reset(how),
        }
    }

    /// What can't be looked at is taken for one that sees it: it has most likely ended.
    fn is_seen_by(&self, process: &Task) -> bool {
        match self {
            Self::Swapped(_) => inspect::has_clock(process),
            Self::Preloaded(clock) => clock.is_seen_by(inspect::directory(process)).unwrap_or(true),
        }
    }
}

/// What is done to a node's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockChange {
    /// It jumps by so many nanoseconds, ahead or back.
    Jump {
        /// Positive is ahead.
        by_ns: i64,
    },
    /// It goes at this rate.
    Rate(Rate),
    /// It jumps away and back again and again, until the next strobe or reset.
    Strobe {
        /// Positive is ahead.
        by_ns: i64,
        /// The time between two jumps.
        period: Duration,
    },
    /// It goes right again.
    Reset(Reset),
}

impl NodeProcess {
    /// Has all processes that are started from now on see a clock of the node's own, which is right at first.
    pub(crate) fn give_clock(&mut self, clocks: &Clocks) -> Result<(), ClockError> {
        self.home.clock = Some(match clocks {
            Clocks::Swapped(scope) => NodeClock::Swapped(Clock::new(*scope)?),
            // Beside the node's directory, which may be a disk that is spoilt.
            Clocks::Preloaded { library } => {
                NodeClock::Preloaded(Preload::new(library, &self.home.directory.with_extension("clock"))?)
            }
        });
        Ok(())
    }

    /// Moves the node's clock; at once, whether anything of it runs or not.
    pub(crate) fn set_clock(&mut self, change: ClockChange) -> Result<Change, ProcessError> {
        let node = self.home.node;
        let clock = self.home.clock.as_ref().ok_or(ProcessError::NoClock(node))?;
        let changed = match change {
            ClockChange::Jump { by_ns } => clock.jump(by_ns),
            ClockChange::Rate(rate) => clock.set_rate(rate),
            ClockChange::Strobe { by_ns, period } => {
                // A strobe ends back, and this one is to begin from there.
                self.strobe = None;
                clock.strobe(by_ns, period).map(|strobe| {
                    let first = strobe.first();
                    self.strobe = Some(strobe);
                    first
                })
            }
            ClockChange::Reset(reset) => {
                self.strobe = None;
                clock.reset(reset)
            }
        };
        changed.map_err(|source| ProcessError::ClockChange { node, source })
    }

    /// The processes of the node that don't see its clock, and don't get it either in the time that this takes.
    pub(crate) fn without_clock(&self) -> Vec<u32> {
        let give_up = Instant::now() + GIVEN_WITHIN;
        let mut without = self.seen_without_clock();
        while !without.is_empty() && Instant::now() < give_up {
            thread::sleep(Duration::from_millis(1));
            // One that is new among them has just begun.
            let still = self.seen_without_clock();
            without.retain(|process| still.contains(process));
        }
        without
    }

    fn seen_without_clock(&self) -> Vec<u32> {
        let Some(clock) = &self.home.clock else { return Vec::new() };
        let processes = self.processes();
        let without = processes.iter().filter(|process| !clock.is_seen_by(process));
        without.map(|process| process.pid.as_raw().cast_unsigned()).collect()
    }

    /// The programs that could not be given the node's clock when they were executed, since this was asked last, in words.
    pub(crate) fn take_missed_clocks(&self) -> Vec<String> {
        let missed = match &self.home.clock {
            Some(NodeClock::Swapped(clock)) => clock.take_missed(),
            Some(NodeClock::Preloaded(_)) | None => Vec::new(),
        };
        let node = self.home.node;
        missed.iter().map(|missed| format!("process {} of {node} had true time: {}", missed.pid, missed.miss)).collect()
    }
}
