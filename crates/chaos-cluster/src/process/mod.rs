//! One node's processes: started, stopped, resumed, killed, and gone when the owner is.
//!
//! A node runs a *main* process, whose end is the node's, and maybe *further* ones (an agent, a side-car), whose ends are facts
//! of their own. Signals go to all of them and to every other process in the node's network namespace, since that is what a
//! node is: also to daemons that outlived the main process. The processes that were started from here are this process's
//! children, and each stays a zombie until its status is taken, so that its number means nobody else meanwhile. Whatever else a
//! node starts ends up as a child of the namespace's init, and whether it is gone can only be looked up.

mod clocked;
mod disk;
mod error;
mod prepare;
mod single;
mod spawn;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use chaos_clock::Strobe;
use chaos_history::NodeId;
use chaos_net::Place;
use chaos_systems::{Launch, LaunchProcess};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::inbox::{Ended, Ending};
use crate::inspect::{self, Belonging, Motion, Task};
use crate::sys;

pub use clocked::{ClockChange, Clocks};
pub use disk::Disks;
use disk::NodeDisk;
pub use error::ProcessError;
pub(crate) use prepare::in_words;
pub(crate) use single::StartedOne;
pub(crate) use spawn::Attempt;
use spawn::Home;

/// How long the threads of a paused node may take to stop before the pause counts as unconfirmed.
const STOP_CONFIRMED_WITHIN: Duration = Duration::from_millis(100);

/// How long what was killed may take to vanish before the harness goes on without.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// How many listings in a row must show that nothing runs.
const STILL_ROUNDS: u32 = 2;
/// The same while a thread waits in the kernel, perhaps for a child that it is just making.
const STILL_ROUNDS_IN_KERNEL: u32 = 10;

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    home: Home,
    belonging: Belonging,
    main: Option<Child>,
    /// What the main process was called when it was started last.
    main_name: String,
    /// Whether the next end of the main process is the harness's doing.
    ending: bool,
    /// The further processes whose ends have not been taken in.
    further: Vec<Further>,
    /// How many further processes there have been.
    further_begun: u64,
    /// Jumps its clock, while it does.
    strobe: Option<Strobe>,
    /// How many times it was started.
    pub(crate) incarnation: u64,
}

/// A process beside the main one.
#[derive(Debug)]
struct Further {
    serial: u64,
    name: String,
    child: Child,
    /// Whether its end is the harness's doing.
    ending: bool,
}

/// How a further process ended.
pub(crate) struct FurtherEnd {
    /// Its name.
    pub(crate) process: String,
    /// How, if anybody can tell.
    pub(crate) status: Ending,
    /// Whether that was the harness's doing.
    pub(crate) expected: bool,
}

/// The numbers of what was started.
pub(crate) struct StartedProcesses {
    /// The main process.
    pub(crate) main: u32,
    /// The further ones, by name.
    pub(crate) further: Vec<(String, u32)>,
}

impl NodeProcess {
    /// A node that isn't running yet, with `directory` for its logs and data.
    pub(crate) fn new(node: NodeId, directory: PathBuf, place: Place) -> io::Result<Self> {
        let belonging = Belonging::to(&place)?;
        let home = Home { node, directory, place, disk: NodeDisk::Sound, clock: None };
        Ok(Self {
            home,
            belonging,
            main: None,
            main_name: String::new(),
            ending: false,
            further: Vec::new(),
            further_begun: 0,
            strobe: None,
            incarnation: 0,
        })
    }

    /// Where the node keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.directory.join("data")
    }

    /// What its processes have in common.
    pub(crate) fn belonging(&self) -> Belonging {
        self.belonging
    }

    /// Whether the main process has been started and its end not been taken in.
    pub(crate) fn is_running(&self) -> bool {
        self.main.is_some()
    }

    /// Whether the main process has ended, and nobody has taken that in.
    pub(crate) fn is_zombie(&self) -> bool {
        self.main.is_some() && self.living_main().is_none()
    }

    /// The main process, unless it is a zombie.
    fn living_main(&self) -> Option<Pid> {
        spawn::living(self.main.as_ref()?)
    }

    /// All processes of the node that are alive.
    pub(crate) fn processes(&self) -> Vec<Task> {
        inspect::processes_in(self.belonging)
    }

    /// Starts the node's processes in their order and returns their ids. `ended` is called, on a thread of its own, when one of
    /// them has ended. If one can't be started, those before it are ended.
    pub(crate) fn start(
        &mut self,
        launch: &Launch,
        ended: impl Fn(Ended) + Clone + Send + 'static,
    ) -> Result<StartedProcesses, ProcessError> {
        if self.is_running() {
            return Err(ProcessError::Running(self.home.node));
        }
        let (main, further) = launch.processes.split_first().expect("a node runs something");
        let data = self.data();
        std::fs::create_dir_all(&data).map_err(|source| self.home.files(&data, source))?;
        if self.incarnation > 0 {
            self.remove(&launch.remove)?;
        }
        let (stdout, stderr) = (self.home.log("stdout.log")?, self.home.log("stderr.log")?);
        let child = self.home.start(&main.command, stdout, stderr)?;
        let (incarnation, told) = (self.incarnation + 1, ended.clone());
        let child = self.watched(child, main, move || told(Ended::Main { incarnation }))?;
        let id = child.id();
        self.main = Some(child);
        self.main_name.clone_from(&main.name);
        self.incarnation = incarnation;
        self.ending = false;
        let mut started = StartedProcesses { main: id, further: Vec::new() };
        for process in further {
            match self.start_further(process, ended.clone()) {
                Ok(pid) => started.further.push((process.name.clone(), pid)),
                Err(error) => {
                    // The start never was, so nobody is to hear of these ends.
                    self.end_leftovers();
                    self.forget_the_dead();
                    return Err(error);
                }
            }
        }
        Ok(started)
    }

    /// Starts a process beside the main one.
    fn start_further(
        &mut self,
        process: &LaunchProcess,
        ended: impl FnOnce(Ended) + Send + 'static,
    ) -> Result<u32, ProcessError> {
        let log = |stream: &str| self.home.log(&format!("{}.{stream}.log", process.name));
        let child = self.home.start(&process.command, log("stdout")?, log("stderr")?)?;
        let serial = self.further_begun;
        self.further_begun += 1;
        let child = self.watched(child, process, move || ended(Ended::Further { serial }))?;
        let id = child.id();
        self.further.push(Further { serial, name: process.name.clone(), child, ending: false });
        Ok(id)
    }

    /// Has the child's end noticed.
    fn watched(
        &self,
        mut child: Child,
        process: &LaunchProcess,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<Child, ProcessError> {
        match spawn::watch(self.home.node, &child, ended) {
            Ok(()) => Ok(child),
            Err(source) => {
                // A process that nobody watches is worse than none. That it can't be killed means that it has ended.
                let _ = child.kill();
                let _ = child.wait();
                Err(self.home.start_error(&process.command, source))
            }
        }
    }

    /// Takes in that the main process has ended: how, and whether that was the harness's doing. `None` if there is none.
    /// Returns at once if it has ended.
    pub(crate) fn take_ending(&mut self) -> Option<(Ending, bool)> {
        let status = self.main.take()?.wait();
        Some((status, std::mem::take(&mut self.ending)))
    }

    /// Takes in that a further process has ended. `None` if that was taken in before.
    pub(crate) fn take_further_ending(&mut self, serial: u64) -> Option<FurtherEnd> {
        let place = self.further.iter().position(|further| further.serial == serial)?;
        Some(ending_of(self.further.remove(place)))
    }

    /// Takes in the ends of all further processes that have ended.
    pub(crate) fn take_further_endings(&mut self) -> Vec<FurtherEnd> {
        let over = self.further.extract_if(.., |further| spawn::living(&further.child).is_none());
        over.map(ending_of).collect()
    }

    /// Takes the ends of all that has ended, for nobody.
    fn forget_the_dead(&mut self) {
        if self.living_main().is_none() {
            let _ = self.take_ending();
        }
        drop(self.take_further_endings());
    }

    /// Sends a signal that is meant to end the node to all of its processes, the main one first.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let lived = self.living_main().is_some();
        let alive: Vec<bool> = self.further.iter().map(|further| spawn::living(&further.child).is_some()).collect();
        self.signal(signal)?;
        // What had ended before ended by itself.
        self.ending |= lived;
        for (further, lived) in self.further.iter_mut().zip(alive) {
            further.ending |= lived;
        }
        Ok(())
    }

    /// Whether the node's next end is counted as the harness's doing, though nobody signals it: a member that is removed may end by
    /// itself.
    pub(crate) fn may_end(&mut self, may: bool) {
        self.ending = may && self.living_main().is_some();
        for further in &mut self.further {
            further.ending = may;
        }
    }

    /// Sends a signal to all of the node's processes, the main one first.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let main = self.living_main();
        if let Some(main) = main {
            kill(main, signal).map_err(|source| ProcessError::Signal { node: self.home.node, source })?;
        }
        let processes = self.processes();
        if main.is_none() && processes.is_empty() {
            return Err(ProcessError::NotRunning(self.home.node));
        }
        for other in processes.iter().filter(|process| Some(process.pid) != main) {
            // It may have ended by itself since it was listed.
            let _ = kill(other.pid, signal);
        }
        Ok(())
    }

    /// Ends what a main process that is gone has left behind, and returns how many processes that were.
    pub(crate) fn end_leftovers(&mut self) -> usize {
        let count = self.processes().len();
        let give_up = Instant::now() + GONE_WITHIN;
        while self.end(Signal::SIGKILL).is_ok() && Instant::now() < give_up {
            thread::sleep(Duration::from_micros(200));
        }
        count
    }

    /// Stops every thread of the node's processes, without waiting for the effect.
    pub(crate) fn pause(&mut self) -> Result<(), ProcessError> {
        let main = self.living_main();
        let mut processes = self.processes();
        if processes.is_empty() {
            return Err(ProcessError::NotRunning(self.home.node));
        }
        processes.sort_by_key(|process| Some(process.pid) != main);
        processes.iter().for_each(stop_threads);
        Ok(())
    }

    /// Waits until no thread of the node runs. A thread or process made while the others were being stopped is stopped here.
    pub(crate) fn confirm_paused(&self) -> Result<(), ProcessError> {
        self.confirm_stopped(|| self.processes())
    }

    fn confirm_stopped(&self, listed: impl Fn() -> Vec<Task>) -> Result<(), ProcessError> {
        let give_up = Instant::now() + STOP_CONFIRMED_WITHIN;
        let mut told = BTreeSet::new();
        // A thread may have forked between the listing and its stop; a later listing has its child. One that waits in the kernel
        // may be in the middle of that, so more listings must agree.
        let mut still_rounds = 0;
        loop {
            let mut running: Vec<(Task, Task)> = Vec::new();
            let mut in_kernel = false;
            for process in listed() {
                let threads = inspect::threads_of(&process).into_iter();
                let still_free = threads.filter(|thread| match inspect::motion(thread) {
                    Motion::Stopped => false,
                    Motion::InKernel => {
                        in_kernel = true;
                        !told.contains(&thread.pid)
                    }
                    Motion::Free => true,
                });
                running.extend(still_free.map(|thread| (process.clone(), thread)));
            }
            still_rounds = if running.is_empty() { still_rounds + 1 } else { 0 };
            if still_rounds >= if in_kernel { STILL_ROUNDS_IN_KERNEL } else { STILL_ROUNDS } {
                return Ok(());
            }
            if Instant::now() > give_up {
                return Err(ProcessError::StillRunning(self.home.node));
            }
            for (process, thread) in running {
                // It may have ended since.
                let _ = sys::signal_thread(process.pid, thread.pid, Signal::SIGSTOP);
                told.insert(thread.pid);
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // SIGKILL reaches stopped processes too. Processes that are just being forked are met in the next round.
        self.end_leftovers();
        self.forget_the_dead();
    }
}

fn ending_of(further: Further) -> FurtherEnd {
    let Further { name, mut child, ending, .. } = further;
    FurtherEnd { process: name, status: child.wait(), expected: ending }
}

/// Sends SIGSTOP to each thread. Those that have ended meanwhile are as still as can be.
fn stop_threads(process: &Task) {
    for thread in inspect::threads_of(process) {
        let _ = sys::signal_thread(process.pid, thread.pid, Signal::SIGSTOP);
    }
}

/// Stops a process as a pause does: SIGSTOP to each of its threads. Returns before they stand still. For programs that measure how
/// long that takes; a process that is gone is as still as can be.
pub fn stop_every_thread(pid: Pid) {
    if let Some(process) = inspect::process(pid) {
        stop_threads(&process);
    }
}
