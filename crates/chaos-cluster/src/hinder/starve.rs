//! Starved nodes: all their threads are held on one processor, beside others that do nothing but use it.
//!
//! The scheduler shares a processor fairly, so one busy thread beside `k` burners gets one part of `k + 1`; a node with several busy
//! threads gets more, one that is idle waits for its turn after each wake-up. Burners are threads of the harness: they end with it.
//! They are neither stopped nor killed with the node, and their processor time is told apart from the harness's own.

use std::collections::BTreeMap;
use std::hint;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::inspect::{self, Belonging};

/// How long it may take until all threads are where they should be.
const MOVED_WITHIN: Duration = Duration::from_millis(200);
/// How long burners may take until they are on their processor.
const THERE_WITHIN: Duration = Duration::from_secs(1);
/// The states of burners, in order: waiting for the others, burning, to end.
const LAID: u8 = 0;
const BURNING: u8 = 1;
const OUT: u8 = 2;
/// How many listings in a row must show that.
const ROUNDS: u32 = 2;

/// A node that is being starved. Dropping this takes the burners away and gives its threads their processors back.
#[derive(Debug)]
pub(crate) struct Starved {
    belonging: Belonging,
    /// Where each thread was allowed to run.
    before: BTreeMap<Pid, CpuSet>,
    /// The same of threads that were made since.
    usual: CpuSet,
    fire: Arc<AtomicU8>,
    burners: Vec<JoinHandle<()>>,
}

/// How much processor time burners have used, in nanoseconds.
pub(crate) type Burnt = Arc<AtomicU64>;

impl Starved {
    /// Holds a node's threads on one processor, the `turn`th of those that they may use, beside so many burners.
    pub(super) fn begin(belonging: Belonging, turn: usize, burners: u32, burnt: &Burnt) -> io::Result<Self> {
        let processes = inspect::processes_in(belonging);
        let usual = processes.first().map_or(Err(Errno::ESRCH), |main| sched_getaffinity(main.pid))?;
        let allowed: Vec<usize> = (0..CpuSet::count()).filter(|cpu| usual.is_set(*cpu) == Ok(true)).collect();
        let mut one = CpuSet::new();
        one.set(allowed[turn % allowed.len()])?;
        let fire = Arc::new(AtomicU8::new(LAID));
        let mut starved = Self { belonging, before: BTreeMap::new(), usual, fire, burners: Vec::new() };
        let (there, arrivals) = mpsc::channel();
        for _ in 0..burners {
            let (fire, burnt, there) = (Arc::clone(&starved.fire), Arc::clone(burnt), there.clone());
            let work = move || {
                let moved = sched_setaffinity(Pid::from_raw(0), &one);
                // Whoever waits for this may have given up.
                let _ = there.send(moved);
                // Elsewhere it would starve somebody else.
                if moved.is_ok() {
                    burn(&fire, &burnt);
                }
            };
            starved.burners.push(thread::Builder::new().name("chaos-burn".to_owned()).spawn(work)?);
        }
        // None burns before all are there: beside the first, the last would take long to arrive.
        for _ in 0..burners {
            arrivals.recv_timeout(THERE_WITHIN).map_err(|_| io::ErrorKind::TimedOut)??;
        }
        let before = &mut starved.before;
        allow(belonging, |thread, allowed| {
            before.entry(thread).or_insert(*allowed);
            one
        })?;
        starved.becomes(BURNING);
        Ok(starved)
    }

    fn becomes(&self, state: u8) {
        self.fire.store(state, Ordering::Release);
        self.burners.iter().for_each(|burner| burner.thread().unpark());
    }

    /// Takes it back, and says whether every thread may run where it could before.
    pub(super) fn lift(mut self) -> io::Result<()> {
        self.give_back()
    }

    fn give_back(&mut self) -> io::Result<()> {
        self.becomes(OUT);
        for burner in self.burners.drain(..) {
            // A burner has nothing to panic about.
            let _ = burner.join();
        }
        allow(self.belonging, |thread, _| self.before.get(&thread).copied().unwrap_or(self.usual))
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // After `lift`, this finds everything in its place. Otherwise the world ends, and the nodes with it.
        let _ = self.give_back();
    }
}

/// Waits for the fire to be lit, and uses the processor that it is on until it is out.
fn burn(fire: &AtomicU8, burnt: &AtomicU64) {
    while fire.load(Ordering::Acquire) == LAID {
        thread::park();
    }
    while fire.load(Ordering::Relaxed) == BURNING {
        for _ in 0..1_000 {
            hint::spin_loop();
        }
    }
    // A clock that can't be read has nothing to tell.
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default();
    burnt.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Lets each of the node's threads run where `wanted` says, threads made meanwhile included, and returns when the kernel says that
/// it is so of all. `wanted` is asked with the thread and where it may run now.
fn allow(belonging: Belonging, mut wanted: impl FnMut(Pid, &CpuSet) -> CpuSet) -> io::Result<()> {
    let give_up = Instant::now() + MOVED_WITHIN;
    let mut rounds = 0;
    while rounds < ROUNDS {
        rounds += 1;
        for thread in inspect::processes_in(belonging).iter().flat_map(inspect::threads_of) {
            // A thread that has ended meanwhile needs nothing.
            let Ok(now) = sched_getaffinity(thread.pid) else { continue };
            let wanted = wanted(thread.pid, &now);
            if now == wanted {
                continue;
            }
            rounds = 0;
            match sched_setaffinity(thread.pid, &wanted) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if Instant::now() > give_up {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(())
}
