//! A Python program that does to its disk what a test tells it, and says what came of it.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A Python program on the disk that carries out one line of code after the other, and tells what came of it and how long it took.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const INTERPRETER: &str = r"
import errno, mmap, os, sys, time, threading
def told(line):
    begin = time.monotonic()
    try:
        exec(line, globals())
        outcome = 'ok'
    except OSError as error:
        outcome = errno.errorcode[error.errno]
    print(outcome, int((time.monotonic() - begin) * 1e6), flush=True)
for line in sys.stdin:
    told(line)
";

impl Program {
    /// Starts it in a directory; nothing, after a loud word, if there is no Python.
    pub(crate) fn start(directory: &Path, prepare: impl FnOnce(&mut Command)) -> Option<Self> {
        let mut command = Command::new("python3");
        command.arg("-c").arg(INTERPRETER).current_dir(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = match command.spawn() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                println!("SKIPPED: this test needs python3");
                return None;
            }
            child => child.unwrap(),
        };
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, input, output })
    }

    /// Lets it carry out a line.
    pub(crate) fn begin(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// What came of the line that was begun, and how long it took.
    pub(crate) fn outcome(&mut self) -> (String, Duration) {
        let mut text = String::new();
        self.output.read_line(&mut text).unwrap();
        let (outcome, micros) = text.trim().split_once(' ').unwrap_or_else(|| panic!("answered `{text}`"));
        (outcome.to_owned(), Duration::from_micros(micros.parse().unwrap()))
    }

    /// Has it carry out a line.
    pub(crate) fn run(&mut self, line: &str) -> (String, Duration) {
        self.begin(line);
        self.outcome()
    }

    /// Has it carry out a line that must come out so.
    pub(crate) fn check(&mut self, line: &str, expected: &str) {
        assert_eq!(self.run(line).0, expected, "{line}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a condition, long enough for the slowest machine.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
