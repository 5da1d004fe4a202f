//! The least that a cluster with a leader does, in turmoil: one node pings four others every 40 ms for ten virtual seconds, and each
//! answers; 20-byte datagrams, 0.1–1 ms on the way. `quiet` of chaos-sim's `speed` has the same heartbeats, and Raft, disks,
//! observers and checks besides.
//!
//! ```text
//! ping <seconds> <threads>
//! ```

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use turmoil::net::UdpSocket;

const PORT: u16 = 7001;
const OTHERS: [&str; 4] = ["n2", "n3", "n4", "n5"];
const HEARTBEAT: Duration = Duration::from_millis(40);
const ROUNDS: u32 = 250;

/// Simulates one seed; how many pongs came.
fn simulate(seed: u64) -> Result<u64, Box<dyn Error>> {
    let mut builder = turmoil::Builder::new();
    builder.rng_seed(seed).simulation_duration(Duration::from_secs(20)).tick_duration(Duration::from_millis(1));
    builder.min_message_latency(Duration::from_micros(100)).max_message_latency(Duration::from_millis(1));
    let mut sim = builder.build();
    for name in OTHERS {
        sim.host(name, || async {
            let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
            let mut buffer = [0; 64];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await?;
                socket.send_to(&buffer[..length], from).await?;
            }
        });
    }
    let pongs = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = std::rc::Rc::clone(&pongs);
    sim.client("n1", async move {
        let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
        let mut buffer = [0; 64];
        for _ in 0..ROUNDS {
            let until = tokio::time::Instant::now() + HEARTBEAT;
            for name in OTHERS {
                socket.send_to(&[7; 20], (name, PORT)).await?;
            }
            while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await {
                received?;
                counted.set(counted.get() + 1);
            }
        }
        Ok(())
    });
    sim.run()?;
    Ok(pongs.get())
}

/// Processor time of the whole process, from Linux.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, threads] = arguments.as_slice() else { return Err("ping <seconds> <threads>".into()) };
    let (seconds, threads): (u64, u64) = (seconds.parse()?, threads.parse()?);
    let (seeds, pongs) = (AtomicU64::new(0), AtomicU64::new(0));
    let (begin, used) = (Instant::now(), processor_time());
    let until = begin + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < until {
                    let seed = seeds.fetch_add(1, Ordering::Relaxed);
                    pongs.fetch_add(simulate(seed).expect("the simulation ends"), Ordering::Relaxed);
                }
            });
        }
    });
    let (elapsed, used) = (begin.elapsed(), processor_time().saturating_sub(used));
    let seeds = seeds.into_inner().max(1);
    let cpu_us = used.as_micros() as u64 / seeds;
    println!(
        "seeds={seeds} wall_per_minute={:.0} cpu_us={cpu_us} two_cores_per_minute={} operations=0 happenings={}",
        seeds as f64 * 60.0 / elapsed.as_secs_f64(),
        120_000_000 / cpu_us.max(1),
        2 * pongs.into_inner() / seeds,
    );
    Ok(())
}
