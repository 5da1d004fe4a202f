//! Whether a check ends when it is told to, and holds no more than it may.
//!
//! On histories that nobody can decide: sixty additions of large even numbers are in flight while a read sees an odd sum. The
//! only way to find out that no subset of them makes it is to try all (subset sum is NP-complete, which is Gibbons and
//! Korach's argument that checking is). The flag is set 200 ms after the check began; what counts is the time from there
//! to the answer, on the wall, since that is what a caller waits. A check that ends for another reason than its limit is a
//! miss, as it shows nothing.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chaos_check::linear::{Budget, Decision, Effect, Entry, Model, Spent, check};
use nix::unistd::alarm;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::corpus::Corpus;
use crate::rows::Line;
use crate::sys;
use crate::text::{bytes, time};

const PATIENCE: Duration = Duration::from_millis(200);
const OVERRUN_MAX: Duration = Duration::from_millis(100);
const BYTES_ALLOWED: u64 = 64 << 20;
const BYTES_MAX: u64 = 70 << 20;
const ADDITIONS: u64 = 60;

/// A sum: the plainest object that is hard to check.
struct Sum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum SumOp {
    Add(u64),
    Saw(u64),
}

impl Model for Sum {
    type Op = SumOp;
    type State = u64;

    fn initial(&self) -> u64 {
        0
    }

    fn apply(&self, &sum: &u64, op: &SumOp) -> Option<u64> {
        match op {
            SumOp::Add(more) => Some(sum + more),
            SumOp::Saw(seen) => (*seen == sum).then_some(sum),
        }
    }

    fn effect(&self, op: &SumOp) -> Effect {
        match op {
            SumOp::Add(_) => Effect::Update,
            SumOp::Saw(_) => Effect::ReadOnly,
        }
    }
}

/// The additions are answered after the read, or never.
fn history(answered: bool) -> Vec<Entry<SumOp>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut additions: Vec<Entry<SumOp>> = (0..ADDITIONS)
        .map(|add| {
            let what = SumOp::Add(2 * random.random_range(1 << 30..1 << 50));
            Entry { what, invoked: add, answered: answered.then_some(1_000 + add) }
        })
        .collect();
    additions.push(Entry { what: SumOp::Saw((1 << 54) + 1), invoked: 100, answered: Some(200) });
    additions
}

/// In a process of its own: prints what ended the check, and nanoseconds beyond the flag or bytes.
pub(crate) fn here(which: &str) -> Result<(), String> {
    let (limit, additions) = which.split_once(", ").ok_or("a limit and a kind of history")?;
    let entries = history(additions == "answered");
    alarm::set(60);
    let (decision, number) = match limit {
        "stop" => stopped(&entries),
        "bytes" => {
            let bytes = usize::try_from(BYTES_ALLOWED).expect("64 MiB fit");
            let budget = Budget { configurations: u64::MAX, bytes, stop: None };
            let (decision, peak) = sys::peak_bytes(None, || check(&Sum, &entries, &budget));
            (decision.map_err(|error| error.to_string())?, peak)
        }
        _ => return Err(format!("there is no limit `{limit}`")),
    };
    let end = match decision {
        Decision::Linearizable(_) => return Err("an impossible sum was explained".to_owned()),
        Decision::Violation { .. } => "decided",
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
fn stopped(entries: &[Entry<SumOp>]) -> (Decision<SumOp>, u64) {
    let stop = AtomicBool::new(false);
    let budget = Budget { configurations: u64::MAX, bytes: usize::MAX, stop: Some(&stop) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(PATIENCE);
            stop.store(true, Ordering::Relaxed);
        });
        let begin = Instant::now();
        let decision = check(&Sum, entries, &budget).expect("the stamps are a history's");
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
    let line = |limit: &str, additions: &str| {
        let which = format!("{limit}, {additions}");
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
                    (format!("{end}, {} after the flag", time(overrun)), end == "stopped" && overrun <= OVERRUN_MAX)
                } else {
                    (format!("{end}, {}", bytes(number)), end == "bytes" && number <= BYTES_MAX)
                };
                Line { what: which, ours, theirs, ratio, pass: Some(pass), wrong: None }
            }
        }
    };
    let limits = ["stop", "bytes"].into_iter();
    limits.flat_map(|limit| ["answered", "lost"].map(|additions| line(limit, additions))).collect()
}
