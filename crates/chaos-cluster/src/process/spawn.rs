//! One program in a node's namespaces: how its command line becomes a process, and who notices its end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use chaos_history::NodeId;
use chaos_net::Place;
use chaos_systems::CommandLine;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::ProcessError;
use super::clocked::NodeClock;
use super::disk::NodeDisk;

/// About as long as a child is traced when it executes another program under a clock.
const TRACED_FOR: Duration = Duration::from_millis(1);

/// Where a node's programs live and write.
#[derive(Debug)]
pub(super) struct Home {
    /// The node.
    pub(super) node: NodeId,
    /// Its directory.
    pub(super) directory: PathBuf,
    /// Where they run.
    pub(super) place: Place,
    /// What its files are on.
    pub(super) disk: NodeDisk,
    /// The clock of its programs, if that can be moved.
    pub(super) clock: Option<NodeClock>,
}

impl Home {
    /// Starts one of the node's processes, under the node's clock.
    pub(super) fn start(&self, line: &CommandLine, stdout: File, stderr: File) -> Result<Child, ProcessError> {
        let mut command = self.command(line, stdout, stderr)?;
        let Some(clock) = &self.clock else { return command.spawn().map_err(|source| self.start_error(line, source)) };
        let (node, program) = (self.node, line.program.clone());
        clock.spawn(&mut command).map_err(|source| ProcessError::Clock { node, program, source })
    }

    /// Starts a command that prepares the node, with true time.
    pub(super) fn spawn(&self, line: &CommandLine, stdout: File, stderr: File) -> Result<Child, ProcessError> {
        self.command(line, stdout, stderr)?.spawn().map_err(|source| self.start_error(line, source))
    }

    /// A program that reads nothing, in a process group of its own: Ctrl-C at the terminal is for the harness.
    fn command(&self, line: &CommandLine, stdout: File, stderr: File) -> Result<Command, ProcessError> {
        let mut command = Command::new(&line.program);
        command
            .args(&line.arguments)
            .envs(line.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        if let Some(directory) = &line.directory {
            command.current_dir(directory);
        }
        let failed = |source| self.start_error(line, source);
        self.place.start(&mut command).map_err(failed)?;
        if line.nonroot {
            chaos_net::start_as_nonroot(&mut command).map_err(failed)?;
        }
        self.disk.attach(&mut command).map_err(failed)?;
        Ok(command)
    }

    /// Opens a log of the node for more.
    pub(super) fn log(&self, name: &str) -> Result<File, ProcessError> {
        let path = self.directory.join(name);
        OpenOptions::new().create(true).append(true).open(&path).map_err(|source| self.files(&path, source))
    }

    pub(super) fn start_error(&self, line: &CommandLine, source: io::Error) -> ProcessError {
        ProcessError::Start { node: self.node, program: line.program.clone(), source }
    }

    pub(super) fn files(&self, path: &Path, source: io::Error) -> ProcessError {
        ProcessError::Files { node: self.node, path: path.to_owned(), source }
    }
}

/// Calls `ended`, on a thread of its own, when the child has ended; it stays a zombie until its owner takes its status.
///
/// # Errors
/// If there is no thread to be had.
pub(super) fn watch(node: NodeId, child: &Child, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let pid = pid_of(child);
    let watching = thread::Builder::new().name(format!("chaos-wait-{node}"));
    watching.spawn(move || {
        // Only looks: the status is taken by the owner.
        while !is_over(waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)) {
            // A signal for this process, or a child that is traced for less than this because it executes another program.
            thread::sleep(TRACED_FOR);
        }
        ended();
    })?;
    Ok(())
}

/// The child's number, unless it is a zombie.
pub(super) fn living(child: &Child) -> Option<Pid> {
    let pid = pid_of(child);
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    (!is_over(waitid(Id::Pid(pid), flags))).then_some(pid)
}

/// Whether that is how it looks when a child has ended, or when its status was taken.
fn is_over(seen: nix::Result<WaitStatus>) -> bool {
    matches!(seen, Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(Errno::ECHILD))
}

pub(super) fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are below 2^22"))
}

/// A command that prepares a node, while it runs. Ended when dropped, with everything of its process group.
#[derive(Debug)]
pub(crate) struct Attempt(pub(super) Child);

impl Attempt {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// If nobody can tell.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if living(&self.0).is_some() {
            // That it has ended meanwhile is what we want.
            let _ = killpg(pid_of(&self.0), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}
