//! The probe: a program of ours that tells what its clocks show, and what it tells is held against true time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chaos_clock::{Change, Clock, wait};
use nix::time::{ClockId, clock_gettime};

/// Set for the program that is to be a probe.
const ROLE: &str = "CHAOS_CLOCK_PROBE";
/// What comes before an answer; the test harness has things to say, too.
const ANSWER: &str = "shows ";

/// One answer, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) wall: i64,
    pub(crate) coarse: i64,
    pub(crate) tai: i64,
    pub(crate) monotonic: i64,
    pub(crate) boottime: i64,
}

/// An answer between two true times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) before: Shown,
    pub(crate) shown: Shown,
    pub(crate) after: Shown,
}

impl Reading {
    /// Between what the offset of a clock from the truth lies.
    pub(crate) fn offset(&self, clock: impl Fn(&Shown) -> i64) -> (i64, i64) {
        (clock(&self.shown) - clock(&self.after), clock(&self.shown) - clock(&self.before))
    }

    /// Fails unless the clock may be off by so much, give or take what the host corrects its own clock meanwhile.
    pub(crate) fn assert_offset(&self, what: &str, clock: impl Fn(&Shown) -> i64, expected: (i64, i64)) {
        const CORRECTED: i64 = 2_000_000;
        let (low, high) = self.offset(clock);
        let meets = low <= expected.1 + CORRECTED && expected.0 <= high + CORRECTED;
        assert!(meets, "{what} is {low}..{high} ns off, expected {expected:?}");
    }
}

/// What the clocks show to the caller.
pub(crate) fn read_clocks() -> Shown {
    let nanos = |clock| {
        let time = clock_gettime(clock).unwrap();
        time.tv_sec() * 1_000_000_000 + time.tv_nsec()
    };
    Shown {
        wall: nanos(ClockId::CLOCK_REALTIME),
        coarse: nanos(ClockId::CLOCK_REALTIME_COARSE),
        tai: nanos(ClockId::CLOCK_TAI),
        monotonic: nanos(ClockId::CLOCK_MONOTONIC),
        boottime: nanos(ClockId::CLOCK_BOOTTIME),
    }
}

/// A probe that runs under a clock.
pub(crate) struct Probe {
    pub(crate) child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Probe {
    pub(crate) fn start(clock: &Clock) -> Self {
        Self::start_by(clock, Command::new(std::env::current_exe().unwrap()))
    }

    /// Starts it by a command that ends in this program's name.
    pub(crate) fn start_by(clock: &Clock, mut command: Command) -> Self {
        command.args(["--exact", "probe::answers_questions", "--nocapture"]).env(ROLE, "1");
        let mut child = clock.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    /// Asks the probe's main thread.
    pub(crate) fn ask(&mut self) -> Reading {
        self.ask_for("main")
    }

    /// Asks a thread that is started for it.
    pub(crate) fn ask_thread(&mut self) -> Reading {
        self.ask_for("thread")
    }

    fn ask_for(&mut self, who: &str) -> Reading {
        let before = read_clocks();
        writeln!(self.questions, "{who}").unwrap();
        let mut line = String::new();
        let numbers: Vec<i64> = loop {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the probe has ended");
            if let Some((_, answer)) = line.split_once(ANSWER) {
                break answer.split_whitespace().map(|number| number.parse().unwrap()).collect();
            }
        };
        let after = read_clocks();
        let [wall, coarse, tai, monotonic, boottime] = numbers[..] else { panic!("five clocks, not {line}") };
        Reading { before, shown: Shown { wall, coarse, tai, monotonic, boottime }, after }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = wait(&mut self.child);
    }
}

/// Not a test, unless it runs as the probe.
#[test]
fn answers_questions() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    for question in std::io::stdin().lines() {
        let shown = match question.unwrap().as_str() {
            "thread" => thread::spawn(read_clocks).join().unwrap(),
            _ => read_clocks(),
        };
        println!("{ANSWER}{} {} {} {} {}", shown.wall, shown.coarse, shown.tai, shown.monotonic, shown.boottime);
    }
}

/// Between what the time lies that has passed from a change to a reading.
pub(crate) fn since(change: Change, reading: &Reading) -> (i64, i64) {
    let stamp = |nanos: u64| i64::try_from(nanos).unwrap();
    (reading.before.monotonic - stamp(change.end_ns), reading.after.monotonic - stamp(change.begin_ns))
}

/// Waits until the condition holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: not within a minute");
        thread::sleep(Duration::from_millis(1));
    }
}
