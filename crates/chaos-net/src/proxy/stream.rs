//! A connection through the proxy: the end of who made it, the end of whom it is for, and a flow each way.
//!
//! ```text
//!   viewer ══ near ── flow 0 ──▶ far ══ peer
//!                  ◀── flow 1 ──
//! ```
//!
//! Both sockets tell their readiness once per change (edge-triggered), so that a dead one that is not to be read yet costs nothing.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::door::reset;
use super::flow::{Flow, What, Wire};
use crate::{DropMode, Link};

/// What is read at once.
const BITE_BYTES: usize = 16 << 10;
/// How often a turn reads from one end before it looks at the others.
const BITES_A_TURN: usize = 16;

/// All links' wires.
pub(super) type Wires = std::collections::BTreeMap<Link, Wire>;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct End {
    socket: Option<TcpStream>,
    readable: bool,
    writable: bool,
    /// The connection isn't there yet.
    connecting: bool,
}

impl End {
    pub(super) fn new(socket: TcpStream, connecting: bool) -> Self {
        // Small messages are not to wait for each other here, too.
        let _ = socket.set_nodelay(true);
        Self { socket: Some(socket), readable: true, writable: !connecting, connecting }
    }

    pub(super) fn socket(&self) -> Option<&TcpStream> {
        self.socket.as_ref()
    }

    fn reset(&mut self) {
        if let Some(socket) = self.socket.take() {
            // A connection that can't be reset is closed.
            let _ = reset(socket);
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) ends: [End; 2],
    pub(super) flows: [Flow; 2],
}

impl Stream {
    /// Takes in what epoll tells of an end.
    pub(super) fn wake(&mut self, side: usize, readable: bool, writable: bool) {
        let end = &mut self.ends[side];
        end.readable |= readable;
        if writable && end.connecting {
            end.connecting = false;
            let refused = end.socket.as_ref().and_then(|socket| socket.take_error().ok().flatten());
            if refused.is_some() {
                // What is read from it now is an error, which is passed on as one.
                end.socket = None;
            }
        }
        end.writable |= writable;
    }

    /// Whether there is nothing left of it.
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.socket.is_none()) || self.flows.iter().all(|flow| flow.finished)
    }

    /// Resets both ends.
    pub(super) fn reset(&mut self) {
        self.ends.iter_mut().for_each(End::reset);
    }

    /// Moves what can be moved; whether there is more that waits for nothing but its turn.
    pub(super) fn pump(&mut self, wires: &mut Wires, now_ns: u64) -> bool {
        let mut more = false;
        for side in 0..2 {
            let wire = wires.entry(self.flows[side].link).or_default();
            self.deliver(side, now_ns);
            for bite in 0..=BITES_A_TURN {
                if bite == BITES_A_TURN {
                    more = true;
                } else if !self.read(side, wire, now_ns) {
                    break;
                } else {
                    self.deliver(side, now_ns);
                }
            }
        }
        more
    }

    /// When something is to be done for it, if it is a matter of time.
    pub(super) fn next_ns(&self, wires: &Wires) -> Option<u64> {
        let next = |side: usize| {
            let flow = &self.flows[side];
            let receiver = &self.ends[1 - side];
            let stuck = receiver.socket.is_some() && !receiver.writable;
            let arrives = flow.next_ns().filter(|_| !stuck);
            let wire = wires.get(&flow.link)?;
            let takes = Some(wire.takes_from_ns()).filter(|at| *at > 0 && self.ends[side].readable && flow.takes(wire));
            arrives.into_iter().chain(takes).min()
        };
        [next(0), next(1)].into_iter().flatten().min()
    }

    /// Reads once from an end into its flow; whether anything came.
    fn read(&mut self, side: usize, wire: &mut Wire, now_ns: u64) -> bool {
        let (end, flow) = (&mut self.ends[side], &mut self.flows[side]);
        let Some(socket) = end.socket.as_mut().filter(|_| !end.connecting) else {
            // Its end is gone, and the other doesn't know yet.
            if !end.connecting && !flow.ended {
                flow.push(What::Reset, wire, now_ns);
            }
            return false;
        };
        if !end.readable || flow.ended {
            return false;
        }
        match wire.cut {
            Some(mode) if mode.drop == DropMode::Reject => return self.turn_back(side, wire, now_ns),
            Some(_) => {
                match socket.peek(&mut [0]) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => end.readable = false,
                    Ok(_) | Err(_) => flow.stands(now_ns),
                }
                return false;
            }
            None => {}
        }
        if !flow.takes(wire) || wire.takes_from_ns() > now_ns {
            return false;
        }
        let mut bytes = vec![0; wire.bite(BITE_BYTES)];
        match socket.read(&mut bytes) {
            Ok(0) => flow.push(What::End, wire, now_ns),
            Ok(length) => {
                bytes.truncate(length);
                flow.push(What::Bytes(bytes, 0), wire, now_ns);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => end.readable = false,
            Err(_) => {
                end.socket = None;
                flow.push(What::Reset, wire, now_ns);
            }
        }
        false
    }

    /// The link rejects what is sent: the sender's end is reset by its first byte, and the other end learns of it when the link is
    /// healed.
    fn turn_back(&mut self, side: usize, wire: &mut Wire, now_ns: u64) -> bool {
        let (end, flow) = (&mut self.ends[side], &mut self.flows[side]);
        let Some(socket) = &end.socket else { return false };
        match socket.peek(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => end.readable = false,
            Ok(_) | Err(_) => {
                end.reset();
                flow.lose();
                flow.push(What::Reset, wire, now_ns);
            }
        }
        false
    }

    /// Hands on what has arrived from an end.
    fn deliver(&mut self, side: usize, now_ns: u64) {
        let flow = &mut self.flows[side];
        let receiver = &mut self.ends[1 - side];
        if receiver.connecting {
            return;
        }
        while let Some(what) = flow.due(now_ns) {
            let Some(socket) = receiver.socket.as_mut() else {
                // Nobody is there to have it.
                flow.arrived();
                continue;
            };
            match what {
                What::Bytes(bytes, done) if receiver.writable => match socket.write(&bytes[*done..]) {
                    Ok(length) => {
                        *done += length;
                        if *done == bytes.len() {
                            flow.arrived();
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => receiver.writable = false,
                    // It is gone; that is told to the sender by the other flow.
                    Err(_) => receiver.socket = None,
                },
                What::Bytes(..) => return,
                What::End => {
                    // It may be gone, which the other flow tells.
                    let _ = socket.shutdown(Shutdown::Write);
                    flow.arrived();
                }
                What::Reset => {
                    receiver.reset();
                    flow.arrived();
                }
            }
        }
    }
}
