//! A command of the user's that lives in the run's network for a while: a test suite, a benchmark, a shell.
//!
//! It starts in the switch, from where every node is in reach whatever links are cut, and in a process group of its own, so that
//! signals meant for it reach its children too. Its output goes two ways, to a log and to whoever reads ours; when that reader
//! goes away, the pipe is closed and the command is told by SIGPIPE, as it would be without us.
//!
//! Its process tree is whatever lives in the switch beside the harness and the namespace's init: also daemons that left the
//! group. They are ended with the run ([`Guest::finish`]); should the harness be killed before, the kernel does it.
//!
//! Refuses to give it a terminal, or a way out of the run's network.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chaos_net::{Mark, Network, Place};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid};

use crate::inspect::{self, Belonging};

/// How long what was killed may take to vanish, and the rest of its output to arrive.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// The init of the run's pid namespace.
const INIT: Pid = Pid::from_raw(1);

/// Where the command's output goes besides the logs.
pub struct GuestStreams {
    /// Its standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Its standard error.
    pub stderr: Box<dyn Write + Send>,
}

/// Where the command lives: where every node is in reach whatever is cut.
pub struct GuestPlace(Option<Mark>);

impl GuestPlace {
    /// Beside the nodes of this network.
    #[must_use]
    pub fn beside(network: &Network) -> Self {
        match network {
            Network::Star(_) => Self(None),
            Network::Proxies { marks, .. } => Self(Some(marks.guest())),
        }
    }

    fn join(&self, command: &mut Command) -> io::Result<Belonging> {
        let Some(mark) = self.0 else {
            // The harness's own, which is the switch.
            return Belonging::to_namespace(File::open("/proc/self/ns/net")?.as_fd());
        };
        let place = Place::Host { mark, address: Ipv4Addr::LOCALHOST };
        place.start(command)?;
        Belonging::to(&place)
    }
}

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestEnd {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// From its start to its end.
    pub lasted: Duration,
    /// How many processes it had left behind.
    pub leftovers: usize,
}

/// A command that was started.
pub struct Guest {
    child: Child,
    belonging: Belonging,
    begun: Instant,
    handle: GuestHandle,
    copied: Receiver<()>,
    copies: usize,
}

/// A way to signal the command from any thread.
#[derive(Clone)]
pub struct GuestHandle(Arc<Shared>);

struct Shared {
    group: Pid,
    /// When its main process had ended.
    ended: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Guest {
    /// Starts the command, with its output also in `logs/stdout.log` and `logs/stderr.log`. `ended` is called on a thread of its
    /// own when its main process has ended.
    ///
    /// # Errors
    /// If the command can't be started, or the logs can't be made.
    pub fn start(
        mut command: Command,
        place: &GuestPlace,
        streams: GuestStreams,
        logs: &Path,
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (stdout_log, stderr_log) = (File::create(logs.join("stdout.log"))?, File::create(logs.join("stderr.log"))?);
        let belonging = place.join(&mut command)?;
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are below 2^22"));
        let handle = GuestHandle(Arc::new(Shared { group: pid, ended: Mutex::new(None), changed: Condvar::new() }));
        let (done, copied) = channel();
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let copies = copy(stdout, streams.stdout, stdout_log, done.clone())
            .and_then(|()| copy(stderr, streams.stderr, stderr_log, done))
            .and_then(|()| watch(pid, handle.clone(), ended));
        if let Err(error) = copies {
            // A command that nobody watches is worse than none. That it can't be killed means that it has ended.
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = child.wait();
            return Err(error);
        }
        Ok(Self { child, belonging, begun, handle, copied, copies: 2 })
    }

    /// A way to signal it from any thread.
    #[must_use]
    pub fn handle(&self) -> GuestHandle {
        self.handle.clone()
    }

    /// Ends what is left of it: its main process by SIGTERM and, after `patience`, by SIGKILL; then everything else that it
    /// started, at once.
    ///
    /// To be called when no node is being started any more: what is on its way into a node's namespace passes through the
    /// switch.
    ///
    /// # Errors
    /// If its exit status can't be had.
    pub fn finish(mut self, patience: Duration) -> io::Result<GuestEnd> {
        self.handle.end(Signal::SIGTERM, patience);
        let leftovers = end_leftovers(self.belonging, self.handle.0.group);
        let status = self.child.wait()?;
        let ended = *self.handle.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let lasted = ended.unwrap_or_else(Instant::now).duration_since(self.begun);
        // Every writer is gone, so both pipes end, unless one has hidden in namespaces of its own.
        let give_up = Instant::now() + GONE_WITHIN;
        for _ in 0..self.copies {
            let _ = self.copied.recv_timeout(give_up.saturating_duration_since(Instant::now()));
        }
        Ok(GuestEnd { code: status.code(), signal: status.signal(), lasted, leftovers })
    }
}

impl GuestHandle {
    /// Sends a signal to the command's process group. Nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        // The main process is not waited for before the end of the run, so that its number can't mean another group.
        let _ = killpg(self.0.group, signal);
    }

    /// Waits until its main process has ended, for this long at most; whether it has.
    #[must_use]
    pub fn wait(&self, patience: Duration) -> bool {
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(ended, patience, |ended| ended.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }

    /// Ends it by `first` and, if it is still there after `patience`, by SIGKILL. Nothing happens if it has ended.
    pub fn end(&self, first: Signal, patience: Duration) {
        if self.wait(Duration::ZERO) {
            return;
        }
        self.signal(first);
        if !self.wait(patience) {
            self.signal(Signal::SIGKILL);
            let _ = self.wait(GONE_WITHIN);
        }
    }
}

/// Tells when the main process has ended. Only looks: the status is taken by the owner.
fn watch(pid: Pid, handle: GuestHandle, ended: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let look = move || {
        while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
        *handle.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        handle.0.changed.notify_all();
        ended();
    };
    thread::Builder::new().name("chaos-guest".to_owned()).spawn(look).map(drop)
}

/// Copies until the end, to the log and on; says so when it is done.
fn copy(
    mut from: impl Read + Send + 'static,
    mut to: Box<dyn Write + Send>,
    mut log: File,
    done: Sender<()>,
) -> io::Result<()> {
    let work = move || {
        let mut buffer = [0; 16 << 10];
        loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            // A full disk must not stop the command; whoever reads along still has everything.
            let _ = log.write_all(&buffer[..length]);
            if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
                break;
            }
        }
        // Closes the pipe before anybody is told.
        drop(from);
        let _ = done.send(());
    };
    thread::Builder::new().name("chaos-copy".to_owned()).spawn(work).map(drop)
}

/// Kills everything that belongs to the command, and that is everything in the switch but the harness and the init, or all that bears its
/// mark; returns how many there were beside the main process.
fn end_leftovers(belonging: Belonging, main: Pid) -> usize {
    let guests = || {
        let all = inspect::processes_in(belonging).into_iter().map(|task| task.pid);
        all.filter(|pid| ![INIT, getpid(), main].contains(pid)).collect::<Vec<Pid>>()
    };
    let mut left = guests();
    let count = left.len();
    let give_up = Instant::now() + GONE_WITHIN;
    // What is being forked now is met in the next round.
    while !left.is_empty() && Instant::now() < give_up {
        for pid in left {
            // It may have ended by itself since it was listed.
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::sleep(Duration::from_micros(500));
        left = guests();
    }
    count
}
