//! How many seeds a minute: run by `scripts/sim-speed.sh`, which puts the lines into a table.
//!
//! ```text
//! speed <what> <seconds> <threads>     what: clients, elections, partitions; `30x` instead of seconds: so many seeds
//! speed digest <runs> <threads>        each seed once; says one word for all their histories
//! speed double <runs> <threads>        each seed twice; says how many hashes differed
//! speed sound <runs> <threads>         each seed once, checked while it runs; says how many convicted the sound node
//! ```

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chaos_check::Property;
use chaos_history::Seed;
use chaos_plan::{Source, Workload, load_source};
use chaos_sim::{Keep, SimOptions, Simulated, Watching, simulate};

/// Five nodes, ten virtual seconds in all, of which one is the start and the warm-up.
fn workload(clients: &str, faults: &str) -> Workload {
    let text = format!(
        "name: speed\nabout: A benchmark.\nsystem: raft\nnodes: 5\nobserve: {{ every: 100ms }}\nclients:\n  - {clients}\n\
         checks: [election-safety, linearizable]\nsettle: 500ms\nfaults:\n  name: speed\n  about: Of a benchmark.\n  steps:\n{faults}\n"
    );
    let source = Source { name: "speed.yaml".to_owned(), text };
    let loaded = load_source(source, &[], &|_| Err(std::io::ErrorKind::NotFound.into()));
    loaded.unwrap_or_else(|errors| panic!("{errors}")).workload
}

const THREE_CLIENTS: &str =
    "{ register: { keys: 4, rate: 105/s, mix: { read: 2, write: 1, cas: 1 }, roaming: 3, pinned: false } }";
const IDLE: &str = "{ register: { keys: 1, rate: 1/s, roaming: 1, pinned: false } }";
const WAIT: &str = "    - wait: 8200ms";
const ISOLATIONS: &str = "    - repeat: 3\n      steps:\n        - partition: { isolate: leader }\n          for: 1300ms\n        - wait: 1433ms";
const KILLS: &str =
    "    - repeat: 3\n      steps:\n        - kill: leader\n          for: 1300ms\n        - wait: 1433ms";

fn of(what: &str) -> Option<(Workload, Vec<Property>)> {
    let online = vec![Property::ElectionSafety, Property::SingleVote, Property::Linearizable];
    match what {
        "clients" => Some((workload(THREE_CLIENTS, WAIT), online)),
        "partitions" => Some((workload(THREE_CLIENTS, ISOLATIONS), online)),
        "elections" => Some((workload(IDLE, KILLS), vec![Property::ElectionSafety, Property::SingleVote])),
        "quiet" => Some((workload(IDLE, WAIT), vec![Property::ElectionSafety, Property::SingleVote])),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "it measures how long simulating takes")]
fn now() -> Instant {
    Instant::now()
}

/// Processor time of the whole process, from Linux; zero elsewhere.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, amount, threads] = arguments.as_slice() else { return Err("speed <what> <amount> <threads>".into()) };
    let (amount, seeds_max): (u64, u64) = match amount.strip_suffix('x') {
        Some(seeds) => (1_000_000, seeds.parse()?),
        None => (amount.parse()?, u64::MAX),
    };
    let threads: u64 = threads.parse()?;
    match what.as_str() {
        "digest" => return digest(amount, threads),
        "double" => return double(amount, threads),
        "sound" => return sound(amount, threads),
        _ => {}
    }
    let (workload, properties) =
        of(what).ok_or("what: clients, partitions, elections, quiet, digest, double or sound")?;
    let options = SimOptions { keep: Keep::Nothing, watching: Watching::For(properties), ..SimOptions::default() };
    let (seeds, sums) = (AtomicU64::new(0), [const { AtomicU64::new(0) }; 3]);
    let (begin, used) = (now(), processor_time());
    let until = begin + Duration::from_secs(amount);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while now() < until {
                    let seed = seeds.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds_max {
                        seeds.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                    let simulated = simulate(&workload, Seed(seed), &options).unwrap_or_else(|error| panic!("{error}"));
                    count(&simulated, &sums);
                }
            });
        }
    });
    let (took, used) = (begin.elapsed(), processor_time() - used);
    let seeds = seeds.into_inner();
    let [happened, operations, virtual_ms] = sums.map(AtomicU64::into_inner);
    tell(what, seeds, took, used, [happened / seeds, operations / seeds, virtual_ms / seeds]);
    Ok(())
}

fn count(simulated: &Simulated, sums: &[AtomicU64; 3]) {
    assert!(simulated.alarm.is_none(), "the sound node is convicted: {:?}", simulated.alarm);
    let counts = simulated.operations;
    let added = [simulated.happened, counts.ok + counts.fail + counts.info, simulated.end.0 / 1_000_000];
    for (sum, more) in sums.iter().zip(added) {
        sum.fetch_add(more, Ordering::Relaxed);
    }
}

/// One line of the table: seeds a minute by the clock and by processor time on two of them, then what a seed was.
#[expect(clippy::print_stdout, reason = "it is what the script reads")]
fn tell(what: &str, seeds: u64, took: Duration, used: Duration, [happened, operations, virtual_ms]: [u64; 3]) {
    let minute = |time: Duration| seeds * 60_000 / u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let cpu_us = u64::try_from(used.as_micros()).unwrap_or(u64::MAX) / seeds.max(1);
    println!(
        "{what} seeds={seeds} wall_per_minute={} two_cores_per_minute={} cpu_us={cpu_us} happenings={happened} operations={operations} virtual_ms={virtual_ms}",
        minute(took),
        2 * minute(used)
    );
}

/// The workloads that a seed may be of.
const VARIED: [&str; 3] = ["clients", "partitions", "elections"];

/// Calls `one` with each seed below `runs`, on all threads; how often it said yes.
fn each(runs: u64, threads: u64, one: impl Fn(u64) -> bool + Sync) -> u64 {
    let (next, count) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs {
                        return;
                    }
                    count.fetch_add(u64::from(one(seed)), Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

fn one_of<T>(all: &[T], seed: u64) -> &T {
    &all[usize::try_from(seed % all.len() as u64).unwrap_or(0)]
}

/// Equal before and after a change that is to change nothing: of the histories themselves, unlike the hash over what happens.
#[expect(clippy::print_stdout, reason = "it is what the script reads")]
fn digest(runs: u64, threads: u64) -> Result<(), Box<dyn std::error::Error>> {
    let varied: Vec<Workload> = VARIED.into_iter().filter_map(of).map(|(workload, _)| workload).collect();
    let options = SimOptions::default();
    let (digest, hashes) = (AtomicU64::new(0), AtomicU64::new(0));
    each(runs, threads, |seed| {
        let simulated = simulate(one_of(&varied, seed), Seed(seed), &options).unwrap_or_else(|error| panic!("{error}"));
        let mut hasher = DefaultHasher::new();
        format!("{:?}", simulated.history.events).hash(&mut hasher);
        digest.fetch_xor(hasher.finish(), Ordering::Relaxed);
        hashes.fetch_xor(simulated.hash, Ordering::Relaxed);
        true
    });
    println!("digest runs={runs} histories={:016x} hashes={:016x}", digest.into_inner(), hashes.into_inner());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the script reads")]
fn double(runs: u64, threads: u64) -> Result<(), Box<dyn std::error::Error>> {
    let workloads: Vec<Workload> = VARIED.into_iter().filter_map(of).map(|(workload, _)| workload).collect();
    let options = SimOptions { keep: Keep::Nothing, ..SimOptions::default() };
    let differing = each(runs, threads, |seed| {
        let hash = || simulate(one_of(&workloads, seed), Seed(seed), &options).map(|simulated| simulated.hash);
        let (one, other) = (hash(), hash());
        !matches!((one, other), (Ok(one), Ok(other)) if one == other)
    });
    println!("double runs={runs} differing={differing}");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the script reads")]
fn sound(runs: u64, threads: u64) -> Result<(), Box<dyn std::error::Error>> {
    let begin = now();
    let watched = |(workload, properties)| {
        (workload, SimOptions { keep: Keep::Nothing, watching: Watching::For(properties), ..SimOptions::default() })
    };
    let varied: Vec<(Workload, SimOptions)> = VARIED.into_iter().filter_map(of).map(watched).collect();
    let convicted = each(runs, threads, |seed| {
        let (workload, options) = one_of(&varied, seed);
        let simulated = simulate(workload, Seed(seed), options).unwrap_or_else(|error| panic!("{error}"));
        if let Some(alarm) = &simulated.alarm {
            println!("{} seed {seed}: {alarm:?}", one_of(&VARIED, seed));
        }
        simulated.alarm.is_some()
    });
    println!("sound runs={runs} convicted={convicted} seconds={}", begin.elapsed().as_secs());
    Ok(())
}
