//! Measures how exactly the fabric delays, and what it costs.
//!
//! ```text
//! cargo run --release -p chaos-net --example fabric_accuracy -- [delay_ms=5] [seconds=3] [user|root]
//! ```
//!
//! The idea: five nodes, the same delay on all twenty links, and an open-loop sender that spreads a steady rate of
//! datagrams over them. What a datagram took is taken from the kernel's stamp of its arrival, so that a late reader does
//! not count; the delay asked for is subtracted. How late the sender itself wakes from its sleeps says what the host alone does to
//! whoever waits for a moment: its scheduler, and that of the machine below it. `root` skips the user namespace, so that sender
//! and fabric may run under SCHED_FIFO. Refuses to judge: it prints figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chaos_net::isolation::{self, EnterOptions, UserNamespace};
use chaos_net::{Conditions, FilterKind, Link, Star, in_namespace};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

const NODES: usize = 5;
const RATES: [u64; 3] = [1_000, 10_000, 50_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (delay, duration) = (Duration::from_millis(number(0, 5)), Duration::from_secs(number(1, 3)));
    let user_namespace = match arguments.get(2).map(String::as_str) {
        None | Some("user") => UserNamespace::Always,
        Some("root") => UserNamespace::Never,
        Some(other) => panic!("no mode `{other}`"),
    };
    isolation::enter(&EnterOptions { user_namespace, real_time: true })
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let mut star = Star::build(NODES, FilterKind::Nftables).unwrap_or_else(|error| panic!("{}", error.chain()));
    let sockets: Arc<Vec<UdpSocket>> = Arc::new((0..NODES).map(|node| socket(&star, node)).collect());
    let pairs = (0..NODES).flat_map(|from| (0..NODES).map(move |to| Link { from, to }));
    let links: Vec<Link> = pairs.filter(|link| link.from != link.to).collect();
    println!("delay {delay:?}, {} links, {duration:?} each", links.len());
    for conditions in [None, Some(Conditions { delay, ..Conditions::default() })] {
        let all: BTreeMap<Link, Conditions> =
            conditions.iter().flat_map(|conditions| links.iter().map(|link| (*link, *conditions))).collect();
        star.set_conditions(&all, 1).unwrap();
        star.confirm_conditions(Duration::from_secs(5)).unwrap();
        for rate in RATES {
            measure(&star, &sockets, &links, rate, duration, conditions.map_or(Duration::ZERO, |some| some.delay));
        }
    }
}

fn socket(star: &Star, node: usize) -> UdpSocket {
    let address = SocketAddr::from((star.address(node), 5000));
    let socket = in_namespace(star.namespace(node), || UdpSocket::bind(address)).unwrap();
    socket.set_nonblocking(true).unwrap();
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).unwrap();
    // As much as an ordinary user gets.
    setsockopt(&socket, sockopt::RcvBuf, &(1 << 22)).unwrap();
    socket
}

/// Nanoseconds of the clock with which the kernel stamps arrivals.
fn real_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

fn measure(star: &Star, sockets: &Arc<Vec<UdpSocket>>, links: &[Link], rate: u64, duration: Duration, delay: Duration) {
    let before = star.fabric_counters().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (sockets, stop) = (Arc::clone(sockets), Arc::clone(&stop));
        std::thread::spawn(move || read(&sockets, &stop))
    };
    let targets: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let begin = Instant::now();
    let (mut sent, mut late_ns) = (0, Vec::new());
    let count = rate * duration.as_secs();
    while sent < count {
        let due = begin + Duration::from_nanos(sent * 1_000_000_000 / rate);
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            std::thread::sleep(left);
            late_ns.push(i64::try_from(due.elapsed().as_nanos()).unwrap());
        }
        let link = links[usize::try_from(sent).unwrap() % links.len()];
        let mut datagram = [0; 100];
        datagram[..8].copy_from_slice(&real_ns().to_ne_bytes());
        let _ = sockets[link.from].send_to(&datagram, targets[link.to]);
        sent += 1;
    }
    let elapsed = begin.elapsed();
    std::thread::sleep(delay + Duration::from_millis(100));
    stop.store(true, Ordering::Relaxed);
    let mut errors = reader.join().unwrap();
    let after = star.fabric_counters().unwrap();
    let delay_ns = i64::try_from(delay.as_nanos()).unwrap();
    errors.iter_mut().for_each(|time_ns| *time_ns -= delay_ns);
    let early = errors.iter().filter(|error| **error < 0).count();
    let share = (after.processor_time - before.processor_time).as_secs_f64() / elapsed.as_secs_f64();
    println!(
        "  {} {:>6.0}/s sent, {:5.1} % arrived, {early} early; beyond the delay p50 {:7.1} µs p99 {:8.1} µs (sender woke {:6.1} µs late); \
         fabric {:4.1} % of a processor, {} overflowed, real time: {}",
        if delay.is_zero() { "kernel" } else { "fabric" },
        sent as f64 / elapsed.as_secs_f64(),
        100.0 * errors.len() as f64 / sent as f64,
        micros(&mut errors, 50),
        micros(&mut errors, 99),
        micros(&mut late_ns, 99),
        100.0 * share,
        after.overflowed - before.overflowed,
        after.real_time,
    );
}

/// A percentile in microseconds.
fn micros(nanos: &mut [i64], percent: usize) -> f64 {
    nanos.sort_unstable();
    nanos.get(nanos.len() * percent / 100).map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
}

/// How long each datagram took, in nanoseconds.
fn read(sockets: &[UdpSocket], stop: &AtomicBool) -> Vec<i64> {
    let mut times = Vec::new();
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    loop {
        let last = stop.load(Ordering::Relaxed);
        for socket in sockets {
            let mut datagram = [0; 128];
            loop {
                let mut parts = [IoSliceMut::new(&mut datagram)];
                let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
                let Ok(message) = received else { break };
                let stamp = message.cmsgs().unwrap().find_map(|part| {
                    if let ControlMessageOwned::ScmTimestampns(stamp) = part { Some(stamp) } else { None }
                });
                let Some(stamp) = stamp else { continue };
                let arrived_ns = stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec();
                let sent_ns = u64::from_ne_bytes(datagram[..8].try_into().unwrap());
                times.push(arrived_ns - i64::try_from(sent_ns).unwrap());
            }
        }
        if last {
            return times;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
