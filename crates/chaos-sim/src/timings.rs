//! How long things take where nothing is broken.
//!
//! Each is a table of quantiles in nanoseconds, of which every draw takes one: a distribution without arithmetic.
//!
//! Where the default ones come from: questions, requests, hops, syncs and the ends of processes from one real run of `kill` (five nodes in
//! namespaces, two processors that much other work shared), by the arithmetic that stands in `scripts/sim-calibrate.sh`; retransmissions from
//! cuts of TCP connections. What a node works on a message, how late its timer is, how long it takes to start, and how soon stopped threads are
//! seen to have stopped, are estimates of the same host. On a host of its own all of them are shorter.

use std::time::Duration;

use crate::random::Draws;

/// A distribution as sixteen quantiles (1/32, 3/32, … 31/32), nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay(pub [u32; 16]);

impl Delay {
    /// Always this long, at most 4.29 s.
    #[must_use]
    pub const fn constant(nanos: u32) -> Self {
        Self([nanos; 16])
    }

    /// Nanoseconds.
    pub(crate) fn draw(&self, draws: &mut Draws) -> u64 {
        u64::from(draws.pick(&self.0))
    }
}

/// The times of a run in which nothing is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the moment at which a node lets a message go to the moment at which the other's protocol thread has it.
    pub hop: Delay,
    /// What a node takes over one thing that arrives (a message, a request, its timer), without the disk.
    pub work: Delay,
    /// Writing a batch and waiting until the disk has it.
    pub sync: Delay,
    /// How late a timer is.
    pub lateness: Delay,
    /// An observer's question to a node, there and back.
    pub question: Delay,
    /// One way of a client's request or answer.
    pub request: Delay,
    /// What a connection that must be made adds to a client's request.
    pub connect: Delay,
    /// From the fork of a node's process until it listens.
    pub boot: Delay,
    /// From a signal until the process is seen to have ended.
    pub exit: Delay,
    /// From a signal until all threads are seen to have stopped.
    pub stop: Delay,
    /// From the command until the packet filter, a disk or a clock is seen to be changed.
    pub change: Delay,
    /// How soon a listener that lost its node tries again.
    pub listen_again: Duration,
    /// The first retransmission of TCP; the later ones come at twice, four times, … that time after the loss.
    pub retransmit: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            hop: Delay([
                185_000, 203_000, 215_000, 226_000, 240_000, 251_000, 269_000, 283_000, 309_000, 337_000, 367_000,
                418_000, 478_000, 616_000, 806_000, 1_800_000,
            ]),
            work: Delay([
                6_000, 7_000, 8_000, 8_500, 9_000, 9_500, 10_000, 11_000, 12_000, 13_000, 14_000, 16_000, 18_000,
                22_000, 30_000, 60_000,
            ]),
            sync: Delay([
                386_000, 438_000, 483_000, 524_000, 565_000, 608_000, 643_000, 700_000, 734_000, 753_000, 803_000,
                880_000, 992_000, 1_114_000, 1_400_000, 2_400_000,
            ]),
            lateness: Delay([
                52_000, 55_000, 57_000, 59_000, 61_000, 63_000, 65_000, 67_000, 70_000, 73_000, 77_000, 83_000, 92_000,
                110_000, 160_000, 400_000,
            ]),
            question: Delay([
                114_000, 143_000, 165_000, 184_000, 204_000, 224_000, 247_000, 272_000, 303_000, 337_000, 378_000,
                430_000, 500_000, 611_000, 826_000, 1_509_000,
            ]),
            request: Delay([
                60_000, 94_000, 116_000, 136_000, 154_000, 174_000, 196_000, 221_000, 250_000, 286_000, 345_000,
                416_000, 518_000, 668_000, 1_054_000, 2_500_000,
            ]),
            connect: Delay::constant(60_000),
            boot: Delay([
                7_000_000, 8_000_000, 9_000_000, 9_500_000, 10_000_000, 11_000_000, 12_000_000, 12_500_000, 13_000_000,
                14_000_000, 15_000_000, 16_000_000, 18_000_000, 21_000_000, 28_000_000, 45_000_000,
            ]),
            exit: Delay::constant(1_600_000),
            stop: Delay::constant(400_000),
            change: Delay::constant(88_000),
            listen_again: Duration::from_millis(20),
            retransmit: Duration::from_millis(208),
        }
    }
}
