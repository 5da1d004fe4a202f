//! Measures how long a busy process goes on after it was told to stop: by SIGSTOP to the process, and to each of its threads.
//!
//! ```text
//! cargo run --release -p chaos-cluster --example pause_latency -- [samples=200] [threads=16]
//! ```
//!
//! The idea: each thread of the busy process writes the time into a slot of a file, over and over. After a stop, once all threads stand
//! still, the newest of those times is the last sign of life. The two ways take turns, so that a busy machine is equally busy for
//! both. Refuses to judge: it prints figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use chaos_cluster::stop_every_thread;
use chaos_net::monotonic_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SLOT: usize = size_of::<u64>();

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, path, threads] = &arguments[..]
        && role == "busy"
    {
        be_busy(Path::new(path), threads.parse().unwrap());
    }
    let number = |index: usize, default: usize| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (samples, threads) = (number(0, 200), number(1, 16));
    // In memory: a write is then about as long as the system call itself.
    let path = format!("/dev/shm/chaos-pause-latency-{}", std::process::id());
    let slots = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    slots.set_len((threads * SLOT) as u64).unwrap();
    let mut busy = Command::new(std::env::current_exe().unwrap());
    let mut busy = busy.args(["busy", &path, &threads.to_string()]).spawn().unwrap();
    let pid = Pid::from_raw(busy.id().cast_signed());
    while newest(&slots, threads).1 == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let (mut process, mut each) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        process.push(sample(pid, &slots, threads, || kill(pid, Signal::SIGSTOP).unwrap()));
        each.push(sample(pid, &slots, threads, || stop_every_thread(pid)));
    }
    end(&mut busy);
    std::fs::remove_file(path).unwrap();
    println!("{samples} stops of {threads} busy threads: from the call to the last sign of life of any thread");
    print("SIGSTOP to the process", process);
    print("SIGSTOP to each thread", each);
}

/// Writes the time, over and over, in so many threads.
fn be_busy(path: &Path, threads: usize) -> ! {
    let write = |slot: usize| {
        let file = File::options().write(true).open(path).unwrap();
        move || loop {
            file.write_all_at(&monotonic_ns().to_ne_bytes(), (slot * SLOT) as u64).unwrap();
        }
    };
    (1..threads).for_each(|slot| drop(thread::spawn(write(slot))));
    write(0)()
}

/// The newest and the oldest of all threads' times.
fn newest(slots: &File, threads: usize) -> (u64, u64) {
    let mut bytes = vec![0; threads * SLOT];
    slots.read_exact_at(&mut bytes, 0).unwrap();
    let times: Vec<u64> = bytes.chunks_exact(SLOT).map(|slot| u64::from_ne_bytes(slot.try_into().unwrap())).collect();
    (*times.iter().max().unwrap(), *times.iter().min().unwrap())
}

/// How long the process showed life after it was told to stop, in nanoseconds.
fn sample(pid: Pid, slots: &File, threads: usize, stop: impl FnOnce()) -> u64 {
    thread::sleep(Duration::from_millis(5));
    let begin_ns = monotonic_ns();
    stop();
    while !stands_still(pid) {
        thread::sleep(Duration::from_millis(1));
    }
    let last_ns = newest(slots, threads).0;
    kill(pid, Signal::SIGCONT).unwrap();
    last_ns.saturating_sub(begin_ns)
}

fn stands_still(pid: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut stats = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap());
    stats.all(|stat| stat.rsplit(')').next().unwrap().trim_start().starts_with('T'))
}

fn end(busy: &mut Child) {
    busy.kill().unwrap();
    busy.wait().unwrap();
}

fn print(name: &str, mut nanos: Vec<u64>) {
    nanos.sort_unstable();
    let micros = |percent: usize| nanos[(nanos.len() * percent / 100).min(nanos.len() - 1)] as f64 / 1e3;
    println!("  {name:24} n={:4}  p50 {:>9.1} µs  p99 {:>9.1} µs", nanos.len(), micros(50), micros(99));
}
