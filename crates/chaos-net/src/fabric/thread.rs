//! The fabric's thread: waits for packets, orders and deadlines, and owns what they are about.
//!
//! The idea: one turn reads what has come, decides, and gives all verdicts of the turn in one call per queue. Deadlines
//! come first in a turn, so that a flood of packets can't delay what is due; and a turn reads a bounded number of packets.
//!
//! Refuses to go on after an error of its sockets: it ends, the kernel drops what is queued, and every later question to
//! the fabric is answered with [`NetError::FabricEnded`].

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};

use super::queue::Queues;
use super::schedule::{Action, Arrival, Release, Schedule, Treatment, nanos};
use super::{FabricCounters, QUEUES};
use crate::{Link, NetError, monotonic_ns, probe, star, sys};

/// Packets that one turn takes from a queue before it looks at deadlines again.
const PACKETS_A_TURN: usize = 64;
/// More than all queues' buffers hold; a flood that never ends must not keep the star waiting.
const CATCH_UP_TURNS_MAX: usize = 64;
/// Low among the real-time priorities: ahead of all normal processes, behind the kernel's own threads.
const REAL_TIME_PRIORITY: i32 = 5;

/// What the star wants of the fabric.
pub(super) enum Order {
    /// See [`super::Fabric::replace`].
    Replace { treatments: BTreeMap<Link, Treatment>, answer: Sender<u64> },
    /// See [`super::Fabric::catch_up`].
    CatchUp(Sender<()>),
    /// See [`super::Fabric::counters`].
    Count(Sender<Result<FabricCounters, NetError>>),
}

/// Everything that the thread owns.
pub(super) struct Fabric {
    queues: Queues,
    schedule: Schedule,
    orders: Receiver<Order>,
    wake: Arc<EventFd>,
    releases: Vec<Release>,
    packets: u64,
    real_time: bool,
}

impl Fabric {
    pub(super) fn new(queues: Queues, orders: Receiver<Order>, wake: Arc<EventFd>) -> Self {
        let (schedule, releases) = (Schedule::default(), Vec::new());
        Self { queues, schedule, orders, wake, releases, packets: 0, real_time: false }
    }

    /// Runs until the star drops its end of the channel.
    pub(super) fn run(mut self) {
        // Refused, both only make delays a little less exact; the counters tell how exact they were.
        let _ = set_timerslack(1);
        self.real_time = sys::run_in_real_time(REAL_TIME_PRIORITY).is_ok();
        let result = self.turns();
        if let Err(error) = result {
            tracing::error!(error = error.chain(), "the fabric ends: links with conditions carry nothing from now on");
        }
        let overflowed = self.overflowed();
        if overflowed > 0 {
            tracing::warn!(overflowed, "links with conditions have lost more packets than they were to lose");
        }
    }

    fn turns(&mut self) -> Result<(), NetError> {
        let mut drained = true;
        loop {
            if drained {
                self.wait()?;
            }
            self.schedule.release_due(monotonic_ns(), &mut self.releases);
            self.settle()?;
            drained = self.read_queues()?;
            // After the packets that came before it.
            if !self.obey()? {
                return Ok(());
            }
        }
    }

    /// Sleeps until something is to be done.
    fn wait(&self) -> Result<(), NetError> {
        let left =
            self.schedule.next_due_ns().map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(monotonic_ns())));
        let mut descriptors: Vec<PollFd<'_>> =
            self.queues.descriptors().map(|queue| PollFd::new(queue, PollFlags::POLLIN)).collect();
        descriptors.push(PollFd::new(self.wake.as_fd(), PollFlags::POLLIN));
        match ppoll(&mut descriptors, left.map(TimeSpec::from), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(NetError::system("wait for packets", error)),
        }
    }

    /// Decides on what the queues hold, a bounded number; true when that was all.
    fn read_queues(&mut self) -> Result<bool, NetError> {
        let mut drained = true;
        for queue in 0..usize::from(QUEUES) {
            let (schedule, releases, packets) = (&mut self.schedule, &mut self.releases, &mut self.packets);
            drained &= self.queues.receive(queue, PACKETS_A_TURN, |packet| {
                *packets += 1;
                let Some(link) = star::link_of(packet.bytes) else {
                    // The rule queues links only. A packet of another shape must not stay for ever.
                    releases.push(Release { id: packet.id, action: Action::Pass });
                    return;
                };
                let is_probe = probe::is_between_nodes(packet.bytes);
                let arrival = Arrival { id: packet.id, link, bytes: packet.bytes, is_probe };
                let arrived_ns = monotonic_ns().saturating_sub(nanos(packet.waited));
                schedule.arrive(arrived_ns, &arrival, releases);
            })?;
        }
        self.settle()?;
        Ok(drained)
    }

    fn settle(&mut self) -> Result<(), NetError> {
        self.releases.drain(..).try_for_each(|release| self.queues.decide(&release))?;
        self.queues.flush()
    }

    /// Follows the orders that have come; false when there will be no more.
    fn obey(&mut self) -> Result<bool, NetError> {
        let _ = self.wake.read();
        loop {
            // Nobody may be waiting any more for an answer; that is no reason to end.
            match self.orders.try_recv() {
                Ok(Order::Replace { treatments, answer }) => {
                    let released = self.schedule.replace(monotonic_ns(), &treatments, &mut self.releases);
                    self.settle()?;
                    let _ = answer.send(released);
                }
                Ok(Order::CatchUp(answer)) => {
                    for _ in 0..CATCH_UP_TURNS_MAX {
                        if self.read_queues()? {
                            break;
                        }
                    }
                    let _ = answer.send(());
                }
                Ok(Order::Count(answer)) => {
                    let _ = answer.send(self.count());
                }
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    fn overflowed(&self) -> u64 {
        self.queues.overflowed() + self.schedule.overflowed()
    }

    fn count(&self) -> Result<FabricCounters, NetError> {
        let processor_time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
            .map_err(|error| NetError::system("read the fabric's processor time", error))?;
        Ok(FabricCounters {
            links: self.schedule.counters().clone(),
            packets: self.packets,
            overflowed: self.overflowed(),
            processor_time: processor_time.into(),
            real_time: self.real_time,
        })
    }
}
