//! The fabric: a thread that holds, loses, doubles, delays and damages the packets of links that have conditions.
//!
//! ```text
//!   Star ── Order ──→ fabric thread ──┬─ queue    packets in, verdicts and copies out
//!        ←─ answer ──                 └─ schedule what happens to whom, and when (no I/O, no clock)
//!                                           └─ fate  what chance does to the n-th packet of a link
//! ```
//!
//! The idea: only packets of links with conditions are queued to userspace; all others stay in the kernel and cost nothing.
//! One thread owns all of it. It sleeps until a packet, an order or a deadline comes, in `ppoll(2)` with nanoseconds and
//! without timer slack; a timer of an async runtime has a grain of a millisecond. Where the host permits it, the thread
//! runs under SCHED_FIFO, so that busy nodes don't delay the delays.
//!
//! Refuses: locks (the star sends orders and waits for answers); to let packets of an earlier time into a later one: a link
//! whose conditions change has its held packets released before the call that changes them returns.
//! Source: `sched(7)`, `ppoll(2)`, `PR_SET_TIMERSLACK` in `prctl(2)`.

mod bucket;
mod fate;
mod packet;
mod queue;
mod schedule;
mod thread;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use self::queue::Queues;
use self::thread::{Fabric as Thread, Order};
use crate::{Link, NetError};

pub(crate) use self::queue::QUEUES;
pub(crate) use self::schedule::{Gate, Treatment};

/// What conditions have done to a link's packets so far, over all conditions that it had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets that the link was given, probes of ours left out.
    pub packets: u64,
    /// Packets dropped because the link was cut, where the cut lets the fabric see them ([`crate::HealMode::Kick`]).
    pub cut: u64,
    /// Packets lost by [`crate::Conditions::loss`].
    pub lost: u64,
    /// Packets dropped because the queue of [`crate::Conditions::rate`] was full.
    pub overran: u64,
    /// Packets that arrived twice.
    pub duplicated: u64,
    /// Packets held back so that others overtook.
    pub reordered: u64,
    /// Packets with a flipped bit.
    pub corrupted: u64,
    /// Probes of ours, which take the delay and no part in chance.
    pub probes: u64,
    /// The longest that a packet was held.
    pub held_longest: Duration,
    /// The longest that a packet was held beyond its time: how exact the delays were.
    pub late_longest: Duration,
}

/// What the fabric has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FabricCounters {
    /// Each link that has or had conditions.
    pub links: BTreeMap<Link, LinkCounters>,
    /// Packets that went through the fabric, probes included.
    pub packets: u64,
    /// Packets that came faster than the fabric could read, or when it held as many as it can. They were dropped, which is no
    /// part of the conditions: where this is not 0, links have lost more than they were to lose.
    pub overflowed: u64,
    /// The processor time that the fabric's thread has used.
    pub processor_time: Duration,
    /// Whether the thread runs under SCHED_FIFO, ahead of everything of normal priority.
    pub real_time: bool,
}

/// The running fabric. Dropping it ends the thread; what it holds then is dropped by the kernel.
#[derive(Debug)]
pub(crate) struct Fabric {
    orders: Option<Sender<Order>>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Fabric {
    /// Binds the queues of the calling thread's network namespace and starts the thread.
    pub(crate) fn start() -> Result<Self, NetError> {
        let failed = |error: std::io::Error| NetError::system("start the fabric's thread", error);
        let queues = Queues::bind()?;
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let wake = Arc::new(wake);
        let (orders, received) = channel();
        let fabric = Thread::new(queues, received, Arc::clone(&wake));
        let builder = std::thread::Builder::new().name("chaos-fabric".to_owned());
        let thread = builder.spawn(move || fabric.run()).map_err(failed)?;
        Ok(Self { orders: Some(orders), wake, thread: Some(thread) })
    }

    /// Makes these all the treatments there are, and releases what other links hold. Returns how many packets that were.
    pub(crate) fn replace(&self, treatments: BTreeMap<Link, Treatment>) -> Result<u64, NetError> {
        self.ask(|answer| Order::Replace { treatments, answer })
    }

    /// Handles all packets that have been queued before the call.
    pub(crate) fn catch_up(&self) -> Result<(), NetError> {
        self.ask(Order::CatchUp)
    }

    /// What it has done so far.
    pub(crate) fn counters(&self) -> Result<FabricCounters, NetError> {
        self.ask(Order::Count)?
    }

    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Result<T, NetError> {
        let (answer, answered): (Sender<T>, Receiver<T>) = channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order(answer)).is_ok());
        if sent {
            // Fails only when the counter is full, and then the thread is about to wake in any case.
            let _ = self.wake.write(1);
        }
        // A thread that has ended has dropped the sender: nobody waits for it.
        answered.recv().map_err(|_| NetError::FabricEnded)
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.wake.write(1);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the fabric's thread has panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fabric_that_has_ended_says_so_and_nobody_waits() {
        let (orders, received) = channel();
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).unwrap());
        // A thread that takes one order and ends without an answer, and then one that is not there any more.
        let thread = std::thread::spawn(move || drop(received.recv()));
        let fabric = Fabric { orders: Some(orders), wake, thread: Some(thread) };
        assert!(matches!(fabric.catch_up(), Err(NetError::FabricEnded)));
        assert!(matches!(fabric.counters(), Err(NetError::FabricEnded)));
        drop(fabric);
    }
}
