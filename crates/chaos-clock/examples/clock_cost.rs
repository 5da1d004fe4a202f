//! Measures what a clock costs: each reading of it, each program that is started under it, and each change of it.
//!
//! ```text
//! cargo run --release -p chaos-clock --example clock_cost -- [pairs=200]
//! ```
//!
//! Programs with and without a clock take turns, so that a busy machine is equally busy for both. The readings are made by this
//! very program, started for that; the programs are `true`, from the call that starts it to its end. Refuses to judge: it prints
//! figures.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example: its output is its result")]

use std::hint::black_box;
use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime};

use chaos_clock::{Clock, Rate, Reset, Scope, wait};

const READER: &str = "--reader";
/// Readings between two looks at the clock that measures them.
const BATCH: u32 = 10_000;
const BATCHES: usize = 200;

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some(READER) {
        println!("{} {}", nanos_per(SystemTime::now), nanos_per(nix::unistd::getppid));
        return;
    }
    let pairs: usize = argument.map_or(200, |pairs| pairs.parse().unwrap());
    let clock = Clock::new(Scope::Wall).unwrap();
    clock.jump(1_000_000_000).unwrap();
    clock.set_rate(Rate::new(1.25).unwrap());

    let (mut native, mut moved) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..pairs.div_ceil(10) {
        read(Command::spawn, &mut native);
        read(|command| clock.spawn(command).map_err(io::Error::other), &mut moved);
    }
    print("a reading, ns", &mut native[0], &mut moved[0]);
    print("a system call, ns", &mut native[1], &mut moved[1]);

    let (mut native, mut moved) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        native.push(life(Command::spawn));
        moved.push(life(|command| clock.spawn(command).map_err(io::Error::other)));
    }
    print("a program's life, µs", &mut native, &mut moved);

    let mut changes = Vec::new();
    for _ in 0..10_000 {
        for change in [clock.jump(1).unwrap(), clock.reset(Reset::Jump)] {
            changes.push(f64::from(u32::try_from(change.end_ns - change.begin_ns).unwrap()));
        }
    }
    changes.sort_by(f64::total_cmp);
    println!(
        "{:22} min {:8.1}  p50 {:8.1}  p99 {:8.1}",
        "a change, ns",
        at(&changes, 0.0),
        at(&changes, 0.5),
        at(&changes, 0.99)
    );
}

/// The fewest nanoseconds that it took in any batch: whatever else ran, it ran elsewhere then.
fn nanos_per<T>(act: impl Fn() -> T) -> f64 {
    let batch = || {
        let begin = Instant::now();
        for _ in 0..BATCH {
            black_box(act());
        }
        begin.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
    };
    (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

fn read(spawn: impl FnOnce(&mut Command) -> io::Result<Child>, samples: &mut [Vec<f64>; 2]) {
    let child = spawn(Command::new(std::env::current_exe().unwrap()).arg(READER).stdout(Stdio::piped())).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    samples.iter_mut().zip(said.split_whitespace()).for_each(|(samples, number)| samples.push(number.parse().unwrap()));
}

fn life(spawn: impl FnOnce(&mut Command) -> io::Result<Child>) -> f64 {
    let begin = Instant::now();
    let mut child = spawn(&mut Command::new("true")).unwrap();
    assert!(wait(&mut child).unwrap().success());
    begin.elapsed().as_secs_f64() * 1e6
}

fn print(what: &str, native: &mut [f64], moved: &mut [f64]) {
    for (kind, samples) in [("native", native), ("with a clock", moved)] {
        samples.sort_by(f64::total_cmp);
        println!(
            "{what:22} {kind:12}  min {:8.1}  p50 {:8.1}  p90 {:8.1}  n {}",
            at(samples, 0.0),
            at(samples, 0.5),
            at(samples, 0.9),
            samples.len()
        );
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "an index")]
fn at(sorted: &[f64], quantile: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * quantile) as usize]
}
