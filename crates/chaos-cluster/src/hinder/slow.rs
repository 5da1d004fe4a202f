//! Slowed nodes: every thread is stopped but for a while of each period.
//!
//! A thread of the harness sends SIGSTOP to every thread of the node, waits, lets the processes go on, waits, and so on. Threads
//! that it has seen before are stopped first, so that a stop takes microseconds; only then is looked for new ones.
//! No plain `renice`: it can't be taken back by an ordinary user, and leaves an idle machine's nodes as fast as before.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::inspect::{self, Belonging};
use crate::sys;

/// How often is looked for new processes at most: a listing of `/proc` costs more than a stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A node that is being slowed. Dropping this lets it run.
#[derive(Debug)]
pub(crate) struct Slowed {
    until: Option<Sender<()>>,
    pacer: Option<JoinHandle<()>>,
}

impl Slowed {
    /// Takes over a node that has just been stopped: from now on it runs for `run` of each `every`.
    pub(super) fn begin(belonging: Belonging, run: Duration, every: Duration) -> io::Result<Self> {
        let (until, over) = mpsc::channel();
        let work = move || {
            // The default of 50 µs would be a large part of a short run. That it can't be set makes the runs longer.
            let _ = nix::sys::prctl::set_timerslack(1);
            let mut node = Node { belonging, processes: Vec::new(), threads: Vec::new(), looked: None };
            node.stop();
            let mut due = Instant::now();
            loop {
                due += every - run;
                if over.recv_timeout(due.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                node.go_on();
                due += run;
                if over.recv_timeout(due.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                node.stop();
                // Periods that the host has made us miss are not made up for.
                due = due.max(Instant::now());
            }
            node.look();
            node.go_on();
        };
        let pacer = thread::Builder::new().name("chaos-slow".to_owned()).spawn(work)?;
        Ok(Self { until: Some(until), pacer: Some(pacer) })
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.until = None;
        if let Some(pacer) = self.pacer.take() {
            // It doesn't panic; if it did, the node would stand still, and its end is for others to see to.
            let _ = pacer.join();
        }
    }
}

/// What the pacer knows of the node.
struct Node {
    belonging: Belonging,
    processes: Vec<inspect::Task>,
    /// Process and thread.
    threads: Vec<(Pid, Pid)>,
    looked: Option<Instant>,
}

impl Node {
    fn look(&mut self) {
        self.processes = inspect::processes_in(self.belonging);
        self.looked = Some(Instant::now());
    }

    fn stop(&mut self) {
        // Whatever has ended meanwhile stands still for good.
        for (process, thread) in &self.threads {
            let _ = sys::signal_thread(*process, *thread, Signal::SIGSTOP);
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.look();
        }
        let threads = |process: &inspect::Task| {
            let pid = process.pid;
            inspect::threads_of(process).into_iter().map(move |thread| (pid, thread.pid))
        };
        let now: Vec<(Pid, Pid)> = self.processes.iter().flat_map(threads).collect();
        for (process, thread) in now.iter().filter(|thread| !self.threads.contains(thread)) {
            let _ = sys::signal_thread(*process, *thread, Signal::SIGSTOP);
        }
        self.threads = now;
    }

    fn go_on(&self) {
        for process in &self.processes {
            let _ = kill(process.pid, Signal::SIGCONT);
        }
    }
}
