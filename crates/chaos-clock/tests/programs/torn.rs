//! Many threads read while the clock is changed as fast as it goes, and none sees a time that never was.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaos_clock::{Clock, Reset, Scope, wait};

use crate::probe::read_clocks;

const ROLE: &str = "CHAOS_CLOCK_TORN";
const AHEAD: i64 = 1_000_000_000_000;
const READERS: usize = 4;
/// How much the host may correct its own clock meanwhile.
const CORRECTED: i64 = 50_000_000;

/// The two laws that are alternated have nothing in common: the true one begins in 1970, the other now. Any mixture of them is
/// decades off.
#[test]
fn no_reader_sees_half_of_a_change() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    let now = read_clocks();
    let origin = (now.wall - now.monotonic).to_string();
    command.args(["--exact", "torn::reads_until_told", "--nocapture"]).env(ROLE, origin);
    let mut child = clock.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
    let end = Instant::now() + Duration::from_secs(2);
    let mut changes = 0;
    while Instant::now() < end {
        clock.jump(AHEAD).unwrap();
        clock.reset(Reset::Jump);
        changes += 2;
    }
    child.stdin.take().unwrap().write_all(b"end\n").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(wait(&mut child).unwrap().success(), "{said}");
    let counts =
        said.lines().find_map(|line| Some(line.split_once("read ")?.1)).expect("the readers say what they read");
    let counts: Vec<u64> = counts.split_whitespace().map(|count| count.parse().unwrap()).collect();
    println!("{changes} changes; read true, ahead, torn: {counts:?}");
    assert!(counts[0] > 0 && counts[1] > 0, "both laws were seen: {counts:?}");
    assert_eq!(counts[2], 0, "{said}");
}

/// Not a test, unless it runs as the readers.
#[test]
fn reads_until_told() {
    let Ok(origin) = std::env::var(ROLE) else { return };
    // True wall time at true monotonic time zero.
    let origin: i64 = origin.parse().unwrap();
    let over = AtomicBool::new(false);
    let mut sum = [0; 3];
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| read_until(&over, origin))).collect();
        std::io::stdin().read_line(&mut String::new()).unwrap();
        over.store(true, Ordering::Relaxed);
        for reader in readers {
            let counts = reader.join().unwrap();
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    });
    println!("read {} {} {}", sum[0], sum[1], sum[2]);
}

/// How many readings were true, ahead, and neither.
fn read_until(over: &AtomicBool, origin: i64) -> [u64; 3] {
    let mut counts = [0; 3];
    while !over.load(Ordering::Relaxed) {
        let (before, shown, after) = (read_clocks().monotonic, read_clocks().wall, read_clocks().monotonic);
        let lies = |origin: i64| (before - CORRECTED..after + CORRECTED).contains(&(shown - origin));
        let place = [origin, origin + AHEAD].iter().position(|origin| lies(*origin)).unwrap_or(2);
        if place == 2 {
            println!("torn: {shown} between {before} and {after} from {origin}");
        }
        counts[place] += 1;
    }
    counts
}
