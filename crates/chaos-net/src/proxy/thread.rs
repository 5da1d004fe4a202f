//! The proxies' thread: waits for sockets, orders and deadlines, and owns all connections between nodes.
//!
//! The idea: one turn takes in what epoll tells, follows orders, and moves what can be moved. Deadlines come from a timer of
//! nanoseconds, since the millisecond of a runtime's timers would be a large part of a short delay. When an order is answered, it is in
//! force: nobody but this thread moves a byte.
//!
//! Refuses to go on after an error of its own descriptors: it ends, all connections with it, and every later order is answered
//! with [`NetError::ProxiesEnded`].

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::addresses::Block;
use super::door::{Door, DoorState, begin_connect};
use super::flow::Flow;
use super::stream::{End, Stream, Wires};
use crate::{Conditions, CutMode, DropMode, HealMode, Link, chain, monotonic_ns, sys};

const WAKE: u64 = u64::MAX;
const TIMER: u64 = u64::MAX - 1;
/// Doors have the numbers from here on, ends of connections those below: twice the connection's number, and one more for the far end.
const DOORS: u64 = 1 << 62;
/// Events that one turn takes in.
const EVENTS_MAX: usize = 256;
/// Behind the fabric's, ahead of all normal processes.
const REAL_TIME_PRIORITY: i32 = 4;

/// What the network is to be like.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) cuts: BTreeMap<Link, CutMode>,
    pub(super) conditions: BTreeMap<Link, Conditions>,
}

/// What is asked of the thread.
pub(super) struct Order {
    pub(super) wanted: Wanted,
    /// How many connections were reset.
    pub(super) answer: Sender<io::Result<u64>>,
}

/// Everything that the thread owns.
pub(super) struct Proxies {
    block: Arc<Block>,
    doors: Vec<Door>,
    streams: BTreeMap<u64, Stream>,
    streams_begun: u64,
    wires: Wires,
    cuts: BTreeMap<Link, CutMode>,
    epoll: Epoll,
    timer: TimerFd,
    wake: Arc<EventFd>,
    orders: Receiver<Order>,
}

impl Proxies {
    pub(super) fn new(
        block: Arc<Block>,
        doors: Vec<Door>,
        wake: Arc<EventFd>,
        orders: Receiver<Order>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        for (number, door) in (DOORS..).zip(&doors) {
            epoll.add(door.descriptor(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, number))?;
        }
        let (streams, wires, cuts) = (BTreeMap::new(), Wires::new(), BTreeMap::new());
        Ok(Self { block, doors, streams, streams_begun: 0, wires, cuts, epoll, timer, wake, orders })
    }

    /// Runs until nobody can give orders any more.
    pub(super) fn run(mut self) {
        // Refused, both only make delays a little less exact.
        let _ = set_timerslack(1);
        let _ = sys::run_in_real_time(REAL_TIME_PRIORITY);
        if let Err(error) = self.turns() {
            tracing::error!(error = chain(&error), "the proxies end: nothing passes between nodes from now on");
        }
    }

    fn turns(&mut self) -> io::Result<()> {
        let mut more = false;
        loop {
            self.wait(more)?;
            if !self.obey() {
                return Ok(());
            }
            let now_ns = monotonic_ns();
            more = false;
            for stream in self.streams.values_mut() {
                more |= stream.pump(&mut self.wires, now_ns);
            }
            self.streams.retain(|_, stream| !stream.is_over());
        }
    }

    /// Sleeps until something is to be done, and takes in what the sockets tell.
    fn wait(&mut self, more: bool) -> io::Result<()> {
        let next_ns = self.streams.values().filter_map(|stream| stream.next_ns(&self.wires)).min();
        match next_ns.filter(|_| !more) {
            Some(at_ns) => {
                // A time of zero would disarm it.
                let at = Expiration::OneShot(TimeSpec::from(Duration::from_nanos(at_ns.max(1))));
                self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let timeout = if more { EpollTimeout::ZERO } else { EpollTimeout::NONE };
        let count = match self.epoll.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in &events[..count] {
            let flags = event.events();
            match event.data() {
                WAKE | TIMER => {}
                number @ DOORS.. => self.welcome(usize::try_from(number - DOORS).expect("doors are few")),
                number => {
                    let gone = flags.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
                    if let Some(stream) = self.streams.get_mut(&(number / 2)) {
                        let side = usize::from(number % 2 == 1);
                        let readable = gone || flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP);
                        stream.wake(side, readable, gone || flags.contains(EpollFlags::EPOLLOUT));
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets in who waits at a door.
    fn welcome(&mut self, door: usize) {
        loop {
            let Door { link, port, .. } = self.doors[door];
            let let_in =
                self.doors[door].next().and_then(|near| near.map(|near| self.connect(near, link, port)).transpose());
            match let_in {
                Ok(Some(())) => {}
                Ok(None) => return,
                // Who knocked sees a connection that is closed at once.
                Err(error) => {
                    tracing::warn!(error = chain(&error), ?link, port, "a connection between nodes is lost");
                    return;
                }
            }
        }
    }

    /// Carries a connection on to whom it is for, who sees it come from the address under which they know who made it.
    fn connect(&mut self, near: TcpStream, link: Link, port: u16) -> io::Result<()> {
        let Link { from: viewer, to: peer } = link;
        let target = SocketAddrV4::new(self.block.node(peer), port);
        let far = TcpStream::from(begin_connect(self.block.seen(peer, viewer), target)?);
        let number = self.streams_begun;
        self.streams_begun += 1;
        let back = Link { from: peer, to: viewer };
        let flow = |link: Link| Flow::new(link, self.cuts.contains_key(&link));
        let stream = Stream { ends: [End::new(near, false), End::new(far, true)], flows: [flow(link), flow(back)] };
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        for (token, end) in (2 * number..).zip(&stream.ends) {
            let socket: BorrowedFd<'_> = end.socket().expect("it is new").as_fd();
            self.epoll.add(socket, EpollEvent::new(flags, token))?;
        }
        self.streams.insert(number, stream);
        Ok(())
    }

    /// Follows the orders that have come; false when there will be no more.
    fn obey(&mut self) -> bool {
        let _ = self.wake.read();
        loop {
            match self.orders.try_recv() {
                Ok(Order { wanted, answer }) => {
                    // Nobody may be waiting any more for an answer; that is no reason to end.
                    let _ = answer.send(self.replace(wanted));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn replace(&mut self, wanted: Wanted) -> io::Result<u64> {
        // Who was let in before the cut is in.
        (0..self.doors.len()).for_each(|door| self.welcome(door));
        let now_ns = monotonic_ns();
        for stream in self.streams.values_mut() {
            // What was sent before the cut is under way.
            stream.pump(&mut self.wires, now_ns);
        }
        let before = std::mem::replace(&mut self.cuts, wanted.cuts);
        for (link, mode) in &self.cuts {
            self.wires.entry(*link).or_default().cut = Some(*mode);
        }
        let healed: Vec<(Link, CutMode)> = before
            .iter()
            .filter(|(link, _)| !self.cuts.contains_key(link))
            .map(|(link, mode)| (*link, *mode))
            .collect();
        for (link, _) in &healed {
            self.wires.entry(*link).or_default().cut = None;
        }
        for wire in self.wires.values_mut() {
            wire.conditions = None;
        }
        for (link, conditions) in wanted.conditions {
            self.wires.entry(link).or_default().conditions = Some(conditions);
        }
        let mut reset = 0;
        for stream in self.streams.values_mut() {
            let is_reset =
                |flow: &Flow| healed.iter().any(|(link, mode)| *link == flow.link && mode.heal == HealMode::Reset);
            if stream.flows.iter().any(is_reset) {
                stream.reset();
                reset += 1;
                continue;
            }
            for flow in &mut stream.flows {
                if self.cuts.contains_key(&flow.link) {
                    if !before.contains_key(&flow.link) {
                        flow.shut(now_ns);
                    }
                } else if before.contains_key(&flow.link) {
                    flow.open(now_ns);
                }
            }
        }
        for door in 0..self.doors.len() {
            self.set_door(door)?;
        }
        Ok(reset)
    }

    /// A handshake needs both directions; that its first packet is rejected is told to who sent it.
    fn set_door(&mut self, door: usize) -> io::Result<()> {
        let link = self.doors[door].link;
        let there = self.cuts.get(&link);
        let back = self.cuts.get(&Link { from: link.to, to: link.from });
        let state = match (there, back) {
            (Some(CutMode { drop: DropMode::Reject, .. }), _) => DoorState::Closed,
            (None, None) => DoorState::Open,
            (Some(_) | None, Some(_) | None) => DoorState::Hanging,
        };
        let was_open = self.doors[door].state() == DoorState::Open;
        self.doors[door].make(state)?;
        if state == DoorState::Open && !was_open {
            self.welcome(door);
        }
        Ok(())
    }
}
