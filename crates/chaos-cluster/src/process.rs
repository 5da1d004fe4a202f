//! One node's processes: started, stopped, resumed, killed, and gone when the owner is.
//!
//! Signals go to the node's main process and to every other process in its network namespace, since that is what a node is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaos_history::NodeId;
use chaos_systems::Launch;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::inspect::{self, NamespaceInode};
use crate::sys;

/// How long the threads of a paused node may take to stop before the pause counts as unconfirmed.
const STOP_CONFIRMED_WITHIN: Duration = Duration::from_millis(100);

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
    main: Option<Pid>,
    /// Whether the next end of the process is the harness's doing.
    pub(crate) ending: bool,
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

    /// Whether the main process has been started and not been seen to end.
    pub(crate) fn is_running(&self) -> bool {
        self.main.is_some()
    }

    /// Starts the node and returns its process id. `ended` is called, on a thread of its own, when the main process ends.
    pub(crate) fn start(
        &mut self,
        launch: &Launch,
        ended: impl FnOnce(io::Result<ExitStatus>) + Send + 'static,
    ) -> Result<u32, ProcessError> {
        if self.is_running() {
            return Err(ProcessError::Running(self.node));
        }
        let node = self.node;
        let failed = |source| ProcessError::Start { node, program: launch.program.clone(), source };
        std::fs::create_dir_all(self.data()).map_err(|source| self.files(&self.data(), source))?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .stdin(Stdio::null())
            .stdout(self.log("stdout.log")?)
            .stderr(self.log("stderr.log")?);
        // A process group of its own: Ctrl-C at the terminal is for the harness.
        command.process_group(0);
        chaos_net::start_in_namespace(&mut command, self.namespace.as_fd()).map_err(failed)?;
        let mut child = command.spawn().map_err(failed)?;
        let pid = child.id();
        self.main = Some(Pid::from_raw(i32::try_from(pid).expect("process ids are below 2^22")));
        self.incarnation += 1;
        self.ending = false;
        thread::spawn(move || ended(child.wait()));
        Ok(pid)
    }

    /// Notes that the main process has ended.
    pub(crate) fn has_ended(&mut self) {
        self.main = None;
    }

    /// Sends a signal to all of the node's processes, the main one first.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        let main = self.main.ok_or(ProcessError::NotRunning(self.node))?;
        kill(main, signal).map_err(|source| ProcessError::Signal { node: self.node, source })?;
        for other in inspect::processes_in(self.inode).into_iter().filter(|&pid| pid != main) {
            // It may have ended by itself since it was listed.
            let _ = kill(other, signal);
        }
        Ok(())
    }

    /// Stops every thread of the node's processes, without waiting for the effect.
    pub(crate) fn pause(&mut self) -> Result<(), ProcessError> {
        let main = self.main.ok_or(ProcessError::NotRunning(self.node))?;
        stop_threads(main).map_err(|source| ProcessError::Signal { node: self.node, source })?;
        for other in inspect::processes_in(self.inode).into_iter().filter(|&pid| pid != main) {
            let _ = stop_threads(other);
        }
        Ok(())
    }

    /// Waits until no thread of the node runs. A thread or process made while the others were being stopped is stopped here.
    pub(crate) fn confirm_paused(&self) -> Result<(), ProcessError> {
        let give_up = Instant::now() + STOP_CONFIRMED_WITHIN;
        loop {
            let running: Vec<Pid> = inspect::processes_in(self.inode)
                .into_iter()
                .filter(|&pid| inspect::threads_of(pid).iter().any(|&thread| !inspect::thread_is_stopped(pid, thread)))
                .collect();
            if running.is_empty() {
                return Ok(());
            }
            if Instant::now() > give_up {
                return Err(ProcessError::StillRunning(self.node));
            }
            for pid in running {
                let _ = stop_threads(pid);
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
        // SIGKILL reaches stopped processes too. That it fails means that nothing was left to kill.
        let _ = self.signal(Signal::SIGKILL);
    }
}

/// Sends SIGSTOP to each thread. Only the failure of the first counts: later ones may have ended meanwhile.
fn stop_threads(pid: Pid) -> nix::Result<()> {
    sys::signal_thread(pid, pid, Signal::SIGSTOP)?;
    for thread in inspect::threads_of(pid).into_iter().filter(|&thread| thread != pid) {
        let _ = sys::signal_thread(pid, thread, Signal::SIGSTOP);
    }
    Ok(())
}
