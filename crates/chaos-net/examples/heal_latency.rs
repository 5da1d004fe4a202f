//! Measures how long TCP takes after a heal until data arrives, for each way of cutting and healing.
//!
//! ```text
//! cargo run --release -p chaos-net --example heal_latency -- [samples=3]
//! ```
//!
//! The idea: a client writes 16 bytes every 10 ms; both directions are cut for a while, then healed; what counts is the time
//! from the heal's call to the first bytes that the server reads. Refuses to judge: it prints figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chaos_net::isolation::{self, EnterOptions, UserNamespace};
use chaos_net::{CutMode, DropMode, FilterKind, HealMode, Link, Star, in_namespace, monotonic_ns};

const CUTS_MS: [u64; 4] = [500, 1000, 2000, 4000];
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let samples: usize = std::env::args().nth(1).map_or(3, |text| text.parse().unwrap());
    isolation::enter(&EnterOptions { user_namespace: UserNamespace::Always, real_time: true })
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let mut star = Star::build(2, FilterKind::Nftables).unwrap_or_else(|error| panic!("{}", error.chain()));
    let modes = [
        ("lose, natural", CutMode::default()),
        ("lose, kick", CutMode { drop: DropMode::Lose, heal: HealMode::Kick }),
        ("hold", CutMode { drop: DropMode::Hold, heal: HealMode::Natural }),
    ];
    for (name, mode) in modes {
        for cut_ms in CUTS_MS {
            let mut times: Vec<f64> =
                (0..samples).map(|_| sample(&mut star, mode, cut_ms).as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            println!(
                "{name:14} cut for {cut_ms:>4} ms: data {:>8.2} ms after the heal, at most {:>8.2} ms",
                times[samples / 2],
                times[samples - 1]
            );
        }
    }
}

fn sample(star: &mut Star, mode: CutMode, cut_ms: u64) -> Duration {
    let address = SocketAddr::from((star.address(1), 6000));
    let listener = in_namespace(star.namespace(1), || TcpListener::bind(address)).unwrap();
    let mut client = in_namespace(star.namespace(0), || TcpStream::connect(address)).unwrap();
    client.set_nodelay(true).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let (stop, last_read_ns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                client.write_all(&[7; 16]).unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let reader = {
        let last_read_ns = Arc::clone(&last_read_ns);
        std::thread::spawn(move || {
            while matches!(server.read(&mut [0; 65_536]), Ok(length) if length > 0) {
                last_read_ns.store(monotonic_ns(), Ordering::Relaxed);
            }
        })
    };
    std::thread::sleep(Duration::from_millis(100));
    let links = [Link { from: 0, to: 1 }, Link { from: 1, to: 0 }];
    star.set_cuts(&links.iter().map(|link| (*link, mode)).collect()).unwrap();
    std::thread::sleep(Duration::from_millis(cut_ms));
    let heal_ns = star.set_cuts(&BTreeMap::new()).unwrap().call_begin_ns;
    let begin = Instant::now();
    let first_ns = loop {
        let read_ns = last_read_ns.load(Ordering::Relaxed);
        if read_ns > heal_ns {
            break read_ns;
        }
        assert!(begin.elapsed() < PATIENCE, "no data after the heal");
        std::thread::sleep(Duration::from_micros(50));
    };
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    reader.join().unwrap();
    Duration::from_nanos(first_ns - heal_ns)
}
