//! One node's processes: started, stopped, resumed, killed, and gone when the owner is.
//!
//! Signals go to the node's main process and to every other process in its network namespace, since that is what a node is:
//! also to daemons that outlived the main process. The main process is this process's child and stays a zombie until
//! [`NodeProcess::take_ending`], so that its number means nobody else meanwhile. Whatever else a node starts ends up as a
//! child of the namespace's init, and whether it is gone can only be looked up.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaos_history::NodeId;
use chaos_systems::Launch;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::inbox::Ending;
use crate::inspect::{self, Motion, NamespaceInode, Task};
use crate::sys;

/// How long the threads of a paused node may take to stop before the pause counts as unconfirmed.
const STOP_CONFIRMED_WITHIN: Duration = Duration::from_millis(100);

/// How long what was killed may take to vanish before the harness goes on without.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// How many listings in a row must show that nothing runs.
const STILL_ROUNDS: u32 = 2;
/// The same while a thread waits in the kernel, perhaps for a child that it is just making.
const STILL_ROUNDS_IN_KERNEL: u32 = 10;

/// Why something can't be done to a node.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program can't be started.
    #[error("start {node}: run `{}`", program.display())]
    Start {
        /// The node.
        node: NodeId,
        /// Its program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A directory or log file of the node can't be made.
    #[error("start {node}: write {}", path.display())]
    Files {
        /// The node.
        node: NodeId,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The node has no process.
    #[error("{0} is not running")]
    NotRunning(NodeId),
    /// The node has a process already.
    #[error("{0} is running already")]
    Running(NodeId),
    /// A signal was refused.
    #[error("signal {node}")]
    Signal {
        /// The node.
        node: NodeId,
        /// The cause.
        #[source]
        source: Errno,
    },
    /// Some threads went on running.
    #[error("{0}: some threads were still running 100 ms after they were told to stop")]
    StillRunning(NodeId),
}

/// A node, running or not.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    node: NodeId,
    directory: PathBuf,
    namespace: OwnedFd,
    inode: NamespaceInode,
    main: Option<Child>,
    /// Whether the next end of the process is the harness's doing.
    ending: bool,
    /// How many times it was started.
    pub(crate) incarnation: u64,
}

impl NodeProcess {
    /// A node that isn't running yet, with `directory` for its logs and data.
    pub(crate) fn new(node: NodeId, directory: PathBuf, namespace: OwnedFd) -> io::Result<Self> {
        let inode = inspect::namespace_inode(namespace.as_fd())?;
        Ok(Self { node, directory, namespace, inode, main: None, ending: false, incarnation: 0 })
    }

    /// Where the node keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
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
        let pid = pid_of(self.main.as_ref()?);
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        matches!(waitid(Id::Pid(pid), flags), Ok(WaitStatus::StillAlive)).then_some(pid)
    }

    /// All processes of the node that are alive.
    pub(crate) fn processes(&self) -> Vec<Task> {
        inspect::processes_in(self.inode)
    }

    /// Starts the node and returns its process id. `ended` is called, on a thread of its own, when the main process has ended.
    pub(crate) fn start(
        &mut self,
        launch: &Launch,
        ended: impl FnOnce() + Send + 'static,
    ) -> Result<u32, ProcessError> {
        if self.is_running() {
            return Err(ProcessError::Running(self.node));
        }
        let node = self.node;
        let main = &launch.processes.first().expect("a node runs something").command;
        let failed = |source| ProcessError::Start { node, program: main.program.clone(), source };
        std::fs::create_dir_all(self.data()).map_err(|source| self.files(&self.data(), source))?;
        let mut command = Command::new(&main.program);
        command
            .args(&main.arguments)
            .stdin(Stdio::null())
            .stdout(self.log("stdout.log")?)
            .stderr(self.log("stderr.log")?);
        // A process group of its own: Ctrl-C at the terminal is for the harness.
        command.process_group(0);
        chaos_net::start_in_namespace(&mut command, self.namespace.as_fd()).map_err(failed)?;
        let mut child = command.spawn().map_err(failed)?;
        let pid = pid_of(&child);
        let watched = thread::Builder::new().name(format!("chaos-wait-{node}")).spawn(move || {
            // Only looks: the status is taken by the owner. Any other error than an interruption means that it was taken.
            while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
            ended();
        });
        if let Err(source) = watched {
            // A node that nobody watches is worse than none. That it can't be killed means that it has ended.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(source));
        }
        let id = child.id();
        self.main = Some(child);
        self.incarnation += 1;
        self.ending = false;
        Ok(id)
    }

    /// Takes in that the main process has ended: how, and whether that was the harness's doing. `None` if there is none.
    /// Returns at once if it has ended.
    pub(crate) fn take_ending(&mut self) -> Option<(Ending, bool)> {
        let status = self.main.take()?.wait();
        Some((status, std::mem::take(&mut self.ending)))
    }

    /// Sends a signal that is meant to end the node to all of its processes, the main one first.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let lived = self.living_main().is_some();
        self.signal(signal)?;
        // What had ended before ended by itself.
        self.ending |= lived;
        Ok(())
    }

    /// Sends a signal to all of the node's processes, the main one first.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let main = self.living_main();
        if let Some(main) = main {
            kill(main, signal).map_err(|source| ProcessError::Signal { node: self.node, source })?;
        }
        let processes = self.processes();
        if main.is_none() && processes.is_empty() {
            return Err(ProcessError::NotRunning(self.node));
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
        while self.signal(Signal::SIGKILL).is_ok() && Instant::now() < give_up {
            thread::sleep(Duration::from_micros(200));
        }
        count
    }

    /// Stops every thread of the node's processes, without waiting for the effect.
    pub(crate) fn pause(&mut self) -> Result<(), ProcessError> {
        let main = self.living_main();
        let mut processes = self.processes();
        if processes.is_empty() {
            return Err(ProcessError::NotRunning(self.node));
        }
        processes.sort_by_key(|process| Some(process.pid) != main);
        processes.iter().for_each(stop_threads);
        Ok(())
    }

    /// Waits until no thread of the node runs. A thread or process made while the others were being stopped is stopped here.
    pub(crate) fn confirm_paused(&self) -> Result<(), ProcessError> {
        let give_up = Instant::now() + STOP_CONFIRMED_WITHIN;
        let mut told = BTreeSet::new();
        // A thread may have forked between the listing and its stop; a later listing has its child. One that waits in the kernel
        // may be in the middle of that, so more listings must agree.
        let mut still_rounds = 0;
        loop {
            let mut running: Vec<(Task, Task)> = Vec::new();
            let mut in_kernel = false;
            for process in self.processes() {
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
                return Err(ProcessError::StillRunning(self.node));
            }
            for (process, thread) in running {
                // It may have ended since.
                let _ = sys::signal_thread(process.pid, thread.pid, Signal::SIGSTOP);
                told.insert(thread.pid);
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn log(&self, name: &str) -> Result<File, ProcessError> {
        let path = self.directory.join(name);
        OpenOptions::new().create(true).append(true).open(&path).map_err(|source| self.files(&path, source))
    }

    fn files(&self, path: &Path, source: io::Error) -> ProcessError {
        ProcessError::Files { node: self.node, path: path.to_owned(), source }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // SIGKILL reaches stopped processes too. Processes that are just being forked are met in the next round.
        self.end_leftovers();
        if self.living_main().is_none() {
            // Nobody is left to be told how it ended.
            let _ = self.take_ending();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are below 2^22"))
}

/// Sends SIGSTOP to each thread. Those that have ended meanwhile are as still as can be.
fn stop_threads(process: &Task) {
    for thread in inspect::threads_of(process) {
        let _ = sys::signal_thread(process.pid, thread.pid, Signal::SIGSTOP);
    }
}
