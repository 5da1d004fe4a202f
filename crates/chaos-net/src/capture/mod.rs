//! Capturing what passes the switch, both ends of each link, as a file for Wireshark.
//!
//! The idea: a packet socket in the switch sees each leg: what comes from a node, before cuts and conditions, and what goes to
//! a node, behind them. So a lost packet is in the file once, and a delayed one twice with its delay in between. The kernel
//! writes into a ring that we map ([`sys::PacketRing`]), since an ordinary user's socket buffers only some hundred packets;
//! a thread of its own writes the file.
//!
//! Refuses to lose packets in silence: what didn't fit the ring is counted. And to look finer than the kernel does: packets
//! between un-faulted links appear as offloading left them, that is, several segments in one, without checksums, and cut off
//! at [`SNAP_LEN`]. Source: `packet(7)`; `Documentation/networking/packet_mmap.rst`.

mod pcapng;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};

use self::pcapng::{Captured, Direction};
use crate::NetError;
use crate::sys::{PacketRing, RingFrame};

/// Bytes of a packet that are captured, IP header first; whole packets of links with conditions are shorter.
pub const SNAP_LEN: u32 = PacketRing::SNAP_LEN;

/// How long a packet waits at most before the file has it, so that a killed run keeps its packets too.
const FLUSH_MS: u16 = 200;
const BUFFER_BYTES: usize = 1 << 20;

/// A running capture. Dropping it ends the file as [`Capture::stop`] does, and tells nobody how it went.
#[derive(Debug)]
pub struct Capture {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<Result<CaptureSummary, NetError>>>,
}

/// What a capture has in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureSummary {
    /// Packets, each counted at each end of its link.
    pub packets: u64,
    /// Packets that came faster than they could be written, and are missing.
    pub missing: u64,
}

/// A node as the capture knows it.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    /// Of the device in the switch.
    pub(crate) index: u32,
}

impl Capture {
    /// Starts to capture in the calling thread's network namespace, the switch.
    pub(crate) fn start(file: File, legs: Vec<Leg>, switch: Ipv4Addr) -> Result<Self, NetError> {
        let failed = |error: std::io::Error| NetError::system("start a capture", error);
        let ring = PacketRing::open().map_err(|error| NetError::system("open a packet socket with a ring", error))?;
        let stop = EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|error| failed(error.into()))?;
        let stop = Arc::new(stop);
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        let nodes: Vec<_> = legs.iter().map(|leg| (leg.name.clone(), leg.address)).collect();
        pcapng::begin(&mut out, &nodes, ("switch", switch), SNAP_LEN).and_then(|()| out.flush()).map_err(failed)?;
        let packets = vec![0; legs.len()];
        let writer = Writer { ring, stop: Arc::clone(&stop), out, legs, packets };
        let builder = std::thread::Builder::new().name("chaos-capture".to_owned());
        let thread = builder.spawn(move || writer.run()).map_err(failed)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the capture: everything that passed the switch before is in the file.
    ///
    /// # Errors
    /// When the file could not be written.
    ///
    /// # Panics
    /// When the capture's thread has panicked.
    pub fn stop(mut self) -> Result<CaptureSummary, NetError> {
        let thread = self.thread.take().expect("only stop and drop take it");
        self.end(thread)
    }

    fn end(&self, thread: JoinHandle<Result<CaptureSummary, NetError>>) -> Result<CaptureSummary, NetError> {
        let _ = self.stop.write(1);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if let Err(error) = self.end(thread) {
            tracing::warn!(error = error.chain(), "the capture is not whole");
        }
    }
}

/// What the thread owns.
struct Writer {
    ring: PacketRing,
    stop: Arc<EventFd>,
    out: BufWriter<File>,
    legs: Vec<Leg>,
    packets: Vec<u64>,
}

impl Writer {
    fn run(mut self) -> Result<CaptureSummary, NetError> {
        let summary = self.write_all().map_err(|error| NetError::system("write a capture", error))?;
        if summary.missing > 0 {
            tracing::warn!(missing = summary.missing, "packets are missing in the capture");
        }
        Ok(summary)
    }

    fn write_all(&mut self) -> std::io::Result<CaptureSummary> {
        let mut flushed = Instant::now();
        loop {
            let (ring, stop) = (self.ring.as_fd(), self.stop.as_fd());
            let mut waited = [PollFd::new(ring, PollFlags::POLLIN), PollFd::new(stop, PollFlags::POLLIN)];
            match poll(&mut waited, PollTimeout::from(FLUSH_MS)) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => (),
                Err(error) => return Err(error.into()),
            }
            let stopped = waited[1].any().unwrap_or(false);
            // After the order to stop is seen, so that what came before it is written; more than a ring full didn't.
            let (legs, packets, out) = (&self.legs, &mut self.packets, &mut self.out);
            for _ in 0..PacketRing::FRAMES {
                if self.ring.take(|frame| write_frame(out, legs, packets, frame)).transpose()?.is_none() {
                    break;
                }
            }
            if stopped {
                break;
            }
            if flushed.elapsed() >= Duration::from_millis(FLUSH_MS.into()) {
                self.out.flush()?;
                flushed = Instant::now();
            }
        }
        let now = clock_gettime(ClockId::CLOCK_REALTIME)?;
        pcapng::end(&mut self.out, nanos(now.tv_sec(), now.tv_nsec()), &self.packets)?;
        self.out.flush()?;
        Ok(CaptureSummary { packets: self.packets.iter().sum(), missing: self.ring.missing()? })
    }
}

fn write_frame(out: &mut impl Write, legs: &[Leg], packets: &mut [u64], frame: &RingFrame<'_>) -> std::io::Result<()> {
    // The switch's loopback and devices of other origin are none of the star's.
    let Some(at) = legs.iter().position(|leg| leg.index == frame.device) else { return Ok(()) };
    packets[at] += 1;
    let captured = Captured {
        interface: u32::try_from(at).unwrap_or(u32::MAX),
        time_ns: frame.time_ns,
        original_len: frame.original_len,
        bytes: frame.bytes,
        // Seen from the node, which is at the other end of the leg.
        direction: if frame.leaves_here { Direction::Inbound } else { Direction::Outbound },
    };
    pcapng::packet(out, &captured)
}

fn nanos(seconds: i64, nanos: i64) -> u64 {
    u64::try_from(seconds * 1_000_000_000 + nanos).unwrap_or(0)
}
