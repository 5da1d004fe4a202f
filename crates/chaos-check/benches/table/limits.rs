//! Whether a check ends when it is told to, and holds no more than it may.
//!
//! On histories that nobody decides soon: a register of five values with a hundred clients. The flag is set 200 ms after the
//! check began; what counts is the time from there to the answer, on the wall, since that is what a caller waits. A
//! check that is done before the flag shows nothing, and the line says so.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chaos_check::linear::models::{Register, RegisterOp};
use chaos_check::linear::{Budget, Decision, Entry, Spent, check};
use nix::unistd::alarm;

use crate::corpus::Corpus;
use crate::generate::Spec;
use crate::rows::Line;
use crate::sys;
use crate::text::{bytes, time};

const PATIENCE: Duration = Duration::from_millis(200);
const OVERRUN_MAX: Duration = Duration::from_millis(100);
const BYTES_ALLOWED: u64 = 64 << 20;
const BYTES_MAX: u64 = 70 << 20;
const SEEDS: std::ops::RangeInclusive<u32> = 1..=3;

fn history(seed: u32) -> Vec<Entry<RegisterOp>> {
    let name = format!("cas5_n1000_c100_i0_s0_r{seed}");
    let spec = name.parse::<Spec>().expect("a kind, operations, clients, crashes, violation and seed");
    spec.registers().into_entries()
}

/// In a process of its own: prints what ended the check, and nanoseconds beyond the flag or bytes.
pub(crate) fn here(which: &str) -> Result<(), String> {
    let (limit, seed) = which.split_once('-').ok_or("a limit and a seed")?;
    let entries = history(seed.parse().map_err(|_| "a seed is a number")?);
    alarm::set(60);
    let (decision, number) = match limit {
        "stop" => stopped(&entries),
        "bytes" => {
            let bytes = usize::try_from(BYTES_ALLOWED).expect("64 MiB fit");
            let budget = Budget { configurations: u64::MAX, bytes, stop: None };
            let (decision, peak) = sys::peak_bytes(None, || check(&Register, &entries, &budget));
            (decision.map_err(|error| error.to_string())?, peak)
        }
        _ => return Err(format!("there is no limit `{limit}`")),
    };
    let end = match decision {
        Decision::Linearizable(_) => "decided",
        Decision::Violation { .. } => return Err("a valid history was convicted".to_owned()),
        Decision::Undecided(undecided) => match undecided.spent {
            Spent::Stopped => "stopped",
            Spent::Bytes => "bytes",
            Spent::Configurations => "configurations",
            Spent::Disagreement(why) => return Err(why),
        },
    };
    crate::print(&format!("{end} {number}"));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a caller with a deadline has a clock; the crate has none")]
fn stopped(entries: &[Entry<RegisterOp>]) -> (Decision<RegisterOp>, u64) {
    let stop = AtomicBool::new(false);
    let budget = Budget { configurations: u64::MAX, bytes: usize::MAX, stop: Some(&stop) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(PATIENCE);
            stop.store(true, Ordering::Relaxed);
        });
        let begin = Instant::now();
        let decision = check(&Register, entries, &budget).expect("the stamps are a history's");
        let overrun = begin.elapsed().saturating_sub(PATIENCE);
        (decision, u64::try_from(overrun.as_nanos()).unwrap_or(u64::MAX))
    })
}

fn run(which: &str) -> Result<(String, u64), String> {
    let program = std::env::current_exe().map_err(|error| format!("can't find this program: {error}"))?;
    let output = Command::new(program).args(["--limit", which]).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("can't start a process: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let parts = text.trim().split_once(' ').and_then(|(end, number)| Some((end.to_owned(), number.parse().ok()?)));
    parts.filter(|_| output.status.success()).ok_or_else(|| format!("{which}: {}", output.status))
}

/// The lines of both limits.
pub(crate) fn lines(_corpus: &Corpus) -> Vec<Line> {
    let line = |limit: &str, seed: u32| {
        let which = format!("{limit}-{seed}");
        let (theirs, ratio) = ("-".to_owned(), "-".to_owned());
        match run(&which) {
            Err(error) => Line {
                what: which,
                ours: "no end in 60 s".to_owned(),
                theirs,
                ratio,
                pass: Some(false),
                wrong: Some(error),
            },
            Ok((end, number)) => {
                let (ours, pass) = if limit == "stop" {
                    let overrun = Duration::from_nanos(number);
                    (format!("{end}, {} after the flag", time(overrun)), overrun <= OVERRUN_MAX)
                } else {
                    (format!("{end}, {}", bytes(number)), number <= BYTES_MAX)
                };
                Line { what: which, ours, theirs, ratio, pass: Some(pass), wrong: None }
            }
        }
    };
    ["stop", "bytes"].iter().flat_map(|limit| SEEDS.map(move |seed| line(limit, seed))).collect()
}
