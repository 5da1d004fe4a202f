//! The connection from one node to another, as TCP makes it: one a direction, dialled by the sender, as the reference node's transport does.
//!
//! ```text
//!          dial: 1 round trip            a cut, lost packets
//!   Down ───────────────────→ Up ─────────────────────────────→ Up, stalled ── a retransmission gets through ──→ Up
//!    ↑  └ refused, no answer                                         │
//!    └────────────── reset, the peer ended, TCP_USER_TIMEOUT ────────┘
//! ```
//!
//! *Order.* What arrives arrives in order. While something lost is waiting to be sent again, all behind it waits too.
//! *Retransmission.* After 208 ms and then at twice, four times, … that time (measured in namespaces: a cut of 1 s heals after 0.66 s more).
//! *A lost packet with others behind it* is sent again about a round trip after the first of them has arrived.
//! *One-way cuts.* If only the way back is cut, data arrive for one retransmission time and then stall.
//! *Giving up.* Data that are not acknowledged for [`Transport::user_timeout`](crate::Transport) end the connection at the sender; what was
//! held in the network (`drop: hold`) arrives after the heal all the same.
//! *Ends.* A process that is killed closes its connections at once, and whoever can hear it, hears so. A node that is cut off closes none.
//!
//! Left out: a connection of a killed process whose last bytes are still being retransmitted; they are lost.

use std::collections::VecDeque;

use chaos_plan::CutMode;

use crate::fate::Fates;
use crate::happening::Packet;
use crate::random::Draws;

/// How many messages wait for a connection at most; the oldest goes.
pub(crate) const WAITING_MAX: usize = 256;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is none.
    Down,
    /// It is being dialled.
    Dialling,
    /// It is there, with this incarnation of the receiver.
    Up { receiver: u32 },
}

/// Why something waits to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// One packet was lost: what is sent behind it shows that.
    Loss,
    /// Nothing passed: the kernel's timer has to run out, whatever is sent meanwhile.
    Cut,
}

/// What is lost or held up, and all behind it.
#[derive(Debug)]
pub(crate) struct Stall<M> {
    pub(crate) cause: Cause,
    /// When the first of it was sent.
    pub(crate) since: u64,
    /// How often it was sent again in vain.
    pub(crate) tries: u32,
    pub(crate) packets: VecDeque<Packet<M>>,
}

/// A message that waits for a connection.
#[derive(Debug)]
pub(crate) struct Waiting<M> {
    pub(crate) since: u64,
    pub(crate) to: election::NodeId,
    pub(crate) message: M,
}

/// A directed link with its connection.
#[derive(Debug)]
pub(crate) struct Wire<M> {
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) state: State,
    /// Rises whenever a connection ends, so that what was planned for it comes to nothing.
    pub(crate) generation: u32,
    pub(crate) waiting: VecDeque<Waiting<M>>,
    pub(crate) stall: Option<Stall<M>>,
    /// Since when the sender waits for acknowledgements that can't come.
    pub(crate) unacknowledged: Option<u64>,
    /// What the network holds for when the cut is healed.
    pub(crate) held: VecDeque<Packet<M>>,
    pub(crate) last_arrival: u64,
    pub(crate) cut: Option<CutMode>,
    pub(crate) fates: Option<Box<Fates>>,
    /// How often it was given conditions.
    pub(crate) spells: usize,
    pub(crate) draws: Draws,
}

impl<M> Wire<M> {
    /// A link without a connection.
    pub(crate) fn new(from: u16, to: u16, draws: Draws) -> Self {
        Self {
            from,
            to,
            state: State::Down,
            generation: 0,
            waiting: VecDeque::new(),
            stall: None,
            unacknowledged: None,
            held: VecDeque::new(),
            last_arrival: 0,
            cut: None,
            fates: None,
            spells: 0,
            draws,
        }
    }

    /// Whether packets pass.
    pub(crate) fn is_open(&self) -> bool {
        self.cut.is_none()
    }

    /// Puts a message before a connection that isn't there yet.
    pub(crate) fn wait(&mut self, waiting: Waiting<M>) {
        self.waiting.push_back(waiting);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
    }

    /// Ends the connection. What it had not delivered is lost, but for what the network holds.
    pub(crate) fn end(&mut self) {
        self.generation += 1;
        self.state = State::Down;
        self.unacknowledged = None;
        if let Some(stall) = self.stall.take()
            && self.cut.is_some_and(|mode| mode.drop == chaos_plan::DropMode::Hold)
        {
            self.held.extend(stall.packets);
        }
    }
}
