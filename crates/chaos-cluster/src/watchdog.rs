//! A canary: a thread that sleeps a millisecond at a time and reports when the host let it sleep much longer.
//!
//! What was measured during such a stall says something about the host and nothing about the system under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chaos_history::Stall;

use crate::clock::RunClock;

const PERIOD: Duration = Duration::from_millis(1);
/// Lateness from which a stall is reported: half of the shortest heartbeat that people configure.
const STALL_MIN: Duration = Duration::from_millis(20);

/// Runs until dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the canary; `report` gets every stall.
    pub(crate) fn start(clock: RunClock, report: impl Fn(Stall) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            // From one look at the clock to the next, so that no moment lies between two measurements.
            let mut last = clock.now();
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(PERIOD);
                let (due, now) = (last + PERIOD, clock.now());
                last = now;
                if now.since(due) >= STALL_MIN {
                    report(Stall { from: due, to: now });
                    // Waiting for somebody to hear the report is no stall of the host.
                    last = clock.now();
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
