//! The kernel's queues of packets, bound to sockets of ours: receiving packets, giving verdicts, sending copies.
//!
//! ```text
//!   FORWARD: @cut drop → @conditioned: queue to 0..7 ──netlink── Packet { id, bytes }
//!                                         ↑                          │ held by the schedule
//!                          next node ←────┴── verdict: accept ←──────┘
//! ```
//!
//! The idea: a packet stays in the kernel while we hold it; only a copy of its bytes comes to us, and the verdict may carry
//! other bytes. We don't say that we take segments joined by offloads, so the kernel cuts them up and fills in their
//! checksums first, and chance acts upon what a wire would carry. An ordinary user's socket buffers a few hundred packets
//! only, whatever one asks for; so there are several queues, and the pairs of nodes are spread over them.
//!
//! Refuses to fail open: without its fabric a queued link carries nothing. And to lose packets in silence: the kernel numbers
//! a queue's packets, so each that didn't fit the socket's buffer leaves a gap, which is counted.
//! Source: `include/uapi/linux/netfilter/nfnetlink_queue.h`, `net/netfilter/nfnetlink_queue.c`, `raw(7)`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, setsockopt, socket, sockopt,
};

use super::schedule::{Action, PacketId, Release};
use crate::NetError;
use crate::netlink::{Batch, Socket, attribute, parse_messages};

/// Queues 0 to 7.
pub(crate) const QUEUES: u16 = 8;

const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIGURE: u16 = SUBSYSTEM | 2;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// No limit: the schedule has one, and counts what is beyond it.
const QUEUE_LEN_MAX: u32 = u32::MAX;
const RECEIVE_BUFFER_BYTES: usize = 64 << 20;
/// Fits the send buffer that an ordinary user's socket is born with.
const VERDICT_BYTES_MAX: usize = 32 * 1024;
/// A packet that seems to have waited longer than this was stamped before somebody set the host's clock.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// A packet as the kernel hands it over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) id: PacketId,
    /// How long it has been there: from the kernel's stamp until it was read. A delay begins with the former, whenever we wake.
    pub(crate) waited: Duration,
    /// The IP header and what follows.
    pub(crate) bytes: &'a [u8],
}

/// The bound queues of a network namespace.
#[derive(Debug)]
pub(crate) struct Queues {
    sockets: Vec<Socket>,
    verdicts: Vec<Batch>,
    copies: OwnedFd,
    /// The number of the last packet of each queue.
    last_numbers: Vec<u32>,
    overflowed: u64,
}

impl Queues {
    /// Binds the queues of the calling thread's network namespace.
    pub(crate) fn bind() -> Result<Self, NetError> {
        let sockets = (0..QUEUES).map(bind).collect::<Result<Vec<_>, _>>()?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let copies = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Raw)
            .map_err(|error| NetError::system("open a raw socket for copies of packets", error))?;
        // The kernel stamps all packets as soon as there is one socket that asks for it. Without, delays are a little less exact.
        let _ = setsockopt(&copies, sockopt::ReceiveTimestampns, &true);
        let verdicts = sockets.iter().map(|_| Batch::default()).collect();
        let last_numbers = vec![0; sockets.len()];
        Ok(Self { sockets, verdicts, copies, last_numbers, overflowed: 0 })
    }

    /// To wait upon.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    /// Hands what is in a queue's buffer to `each`, up to a number of packets; true when there was less.
    pub(crate) fn receive(
        &mut self,
        queue: usize,
        packets_max: usize,
        mut each: impl FnMut(Packet<'_>),
    ) -> Result<bool, NetError> {
        for _ in 0..packets_max {
            let Some(bytes) = self.sockets[queue].receive_now()? else { return Ok(true) };
            for message in parse_messages(bytes).filter(|message| message.kind == PACKET) {
                if let Some(packet) = parse(queue, message.payload) {
                    let missing = packet.id.number.wrapping_sub(self.last_numbers[queue]).wrapping_sub(1);
                    self.overflowed += u64::from(missing);
                    self.last_numbers[queue] = packet.id.number;
                    each(packet);
                }
            }
        }
        Ok(false)
    }

    /// Notes what is to be done with a packet; [`Queues::flush`] does it.
    pub(crate) fn decide(&mut self, release: &Release) -> Result<(), NetError> {
        let PacketId { queue, number } = release.id;
        let (verdict, changed, copy) = match &release.action {
            Action::Drop => (DROP, None, None),
            Action::Pass => (ACCEPT, None, None),
            Action::Alter { changed, copy } => (ACCEPT, changed.as_deref(), copy.as_deref()),
        };
        let batch = &mut self.verdicts[queue];
        batch.message(VERDICT, 0, &header(queue), String::new(), |message| {
            let mut verdict = verdict.to_be_bytes().to_vec();
            verdict.extend(number.to_be_bytes());
            message.put(2, &verdict);
            if let Some(bytes) = changed {
                message.put(10, bytes);
            }
        });
        if copy.is_some() || batch.byte_count() >= VERDICT_BYTES_MAX {
            self.flush_one(queue)?;
        }
        if let Some(bytes) = copy {
            self.send_copy(bytes);
        }
        Ok(())
    }

    /// Does what was decided.
    pub(crate) fn flush(&mut self) -> Result<(), NetError> {
        (0..self.sockets.len()).try_for_each(|queue| self.flush_one(queue))
    }

    /// Packets that the kernel has dropped because a socket's buffer was full, seen by the packets that came after them; and
    /// copies that could not be sent.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn flush_one(&mut self, queue: usize) -> Result<(), NetError> {
        let batch = std::mem::take(&mut self.verdicts[queue]);
        if batch.len() == 0 { Ok(()) } else { self.sockets[queue].post(batch) }
    }

    /// A copy leaves through OUTPUT, which has no rules.
    fn send_copy(&mut self, bytes: &[u8]) {
        let Some(destination) = bytes.get(16..20).and_then(|octets| <[u8; 4]>::try_from(octets).ok()) else { return };
        let target = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::from(destination), 0));
        if let Err(error) = sendto(self.copies.as_raw_fd(), bytes, &target, MsgFlags::empty()) {
            // Its buffer is full, for example.
            self.overflowed += 1;
            tracing::warn!(%error, "the copy of a packet could not be sent");
        }
    }
}

fn bind(queue: u16) -> Result<Socket, NetError> {
    const COMMAND: u16 = 1;
    const PARAMETERS: u16 = 2;
    const LENGTH_MAX: u16 = 3;
    const BIND: u8 = 1;
    const COPY_PACKET: u8 = 2;
    let mut socket = Socket::open(SockProtocol::NetlinkNetFilter)
        .map_err(|error| NetError::system("open an nfnetlink socket", error))?;
    socket.widen(RECEIVE_BUFFER_BYTES).map_err(|error| NetError::system("widen an nfnetlink socket", error))?;
    let mut batch = Batch::default();
    let header = header(usize::from(queue));
    batch.message(CONFIGURE, 0, &header, format!("bind netfilter queue {queue}"), |config| {
        config.put(COMMAND, &[BIND, 0, 0, 2]);
    });
    batch.message(CONFIGURE, 0, &header, format!("set up netfilter queue {queue}"), |config| {
        let mut whole_packets = 0xffff_u32.to_be_bytes().to_vec();
        whole_packets.push(COPY_PACKET);
        config.put(PARAMETERS, &whole_packets);
        config.put(LENGTH_MAX, &QUEUE_LEN_MAX.to_be_bytes());
    });
    let last_index = batch.len() - 1;
    socket.transact(batch, last_index)?;
    Ok(socket)
}

fn header(queue: usize) -> [u8; 4] {
    let [high, low] = u16::try_from(queue).unwrap_or(u16::MAX).to_be_bytes();
    [0, 0, high, low]
}

fn parse(queue: usize, payload: &[u8]) -> Option<Packet<'_>> {
    let attributes = payload.get(4..)?;
    let number = u32::from_be_bytes(attribute(attributes, 1)?.get(..4)?.try_into().ok()?);
    let waited = attribute(attributes, 4).and_then(|stamp| since(stamp, SystemTime::now())).unwrap_or_default();
    Some(Packet { id: PacketId { queue, number }, waited, bytes: attribute(attributes, 10).unwrap_or_default() })
}

/// The time since a stamp of the kernel's, by the clock that it stamps with; `None`: that clock was set in between.
fn since(stamp: &[u8], now: SystemTime) -> Option<Duration> {
    let part = |at: usize| Some(u64::from_be_bytes(stamp.get(at..at + 8)?.try_into().ok()?));
    let stamped =
        UNIX_EPOCH.checked_add(Duration::from_secs(part(0)?).checked_add(Duration::from_micros(part(8)?))?)?;
    now.duration_since(stamped).ok().filter(|waited| *waited <= WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_waits_from_its_stamp_on_unless_the_clock_was_set() {
        let stamp = |seconds: u64, micros: u64| [seconds.to_be_bytes(), micros.to_be_bytes()].concat();
        let now = UNIX_EPOCH + Duration::from_micros(7_000_300);
        assert_eq!(since(&stamp(7, 100), now), Some(Duration::from_micros(200)));
        assert_eq!(since(&stamp(7, 301), now), None, "stamped in the future");
        assert_eq!(since(&stamp(6, 900_000), now), None, "too long ago");
        assert_eq!(since(&stamp(u64::MAX, u64::MAX), now), None);
        assert_eq!(since(&[0; 15], now), None);
    }
}
