//! Programs of other languages and makers: static Go, CPython, a JVM, etcd. What isn't installed is skipped, aloud.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use chaos_clock::{Clock, Rate, Reset, Scope, trial, wait};

use crate::execs::{assert_a_day_ahead, output_a_day_ahead};
use crate::probe::eventually;

const DAY: i64 = 86_400_000_000_000;

/// Whether a program can be run at all.
fn is_there(program: &str, argument: &str) -> bool {
    let there = Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        println!("SKIPPED: `{program}` is not installed");
    }
    there
}

/// Prints its wall clock, from the main goroutine and from many others, a line for each line that it reads; and says how long
/// it has run by its monotonic clock.
const GO: &str = r#"
package main

import (
	"bufio"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

func main() {
	begin := time.Now()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "exec" {
			syscall.Exec("/proc/self/exe", os.Args, os.Environ())
		}
		var group sync.WaitGroup
		var low, high int64 = 1 << 62, -1 << 62
		var lock sync.Mutex
		for i := 0; i < 50; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				now := time.Now().UnixNano()
				lock.Lock()
				low, high = min(low, now), max(high, now)
				lock.Unlock()
			}()
		}
		group.Wait()
		fmt.Println(low, high, int64(time.Since(begin)))
	}
}
"#;

fn build_go(directory: &Path) -> PathBuf {
    let program = directory.join("shows");
    fs::write(directory.join("main.go"), GO).unwrap();
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg("main.go").current_dir(directory);
    build.envs([("CGO_ENABLED", "0"), ("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GO111MODULE", "off")]);
    let output = build.env("GOCACHE", directory.join("cache")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The Go program, running.
struct Go {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    fn start(clock: &Clock, program: &Path) -> Self {
        let mut child = clock.spawn(Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, questions, answers }
    }

    /// Fails unless all goroutines show a time that is off by something between the two; returns how long it has run.
    fn assert_offset(&mut self, least: i64, most: i64) -> i64 {
        /// How much the host may correct its own clock meanwhile.
        const CORRECTED: i64 = 2_000_000;
        let true_ns = || i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
        let before = true_ns();
        writeln!(self.questions, "show").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let after = true_ns();
        let numbers: Vec<i64> = answer.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [low, high, ran] = numbers[..] else { panic!("three numbers, not {answer}") };
        let (low, high) = (low - before, high - after);
        assert!(low >= least - CORRECTED && high <= most + CORRECTED, "{low}..{high}, expected {least}..{most}");
        ran
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = wait(&mut self.child);
    }
}

#[test]
fn a_static_go_program_sees_jumps_and_rates_in_all_goroutines_and_after_it_executes_itself() {
    if !is_there("go", "version") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::new(Scope::Wall).unwrap();
    let mut go = Go::start(&clock, &build_go(directory.path()));
    go.assert_offset(0, 0);
    clock.jump(-DAY).unwrap();
    go.assert_offset(-DAY, -DAY);
    clock.reset(Reset::Jump);
    go.assert_offset(0, 0);

    let begin = Instant::now();
    let ran = go.assert_offset(0, 0);
    clock.set_rate(Rate::new(2.0).unwrap());
    std::thread::sleep(Duration::from_millis(500));
    let least = clock.offset_ns();
    assert!(least >= 500_000_000);
    let ran = go.assert_offset(least, i64::MAX / 2) - ran;
    assert!(ran <= i64::try_from(begin.elapsed().as_nanos()).unwrap(), "monotonic time went on as always");

    clock.reset(Reset::Jump);
    clock.jump(DAY).unwrap();
    let given = clock.given();
    writeln!(go.questions, "exec").unwrap();
    // The next question must not be read by the old program.
    eventually("it executes itself", || clock.given() == given + 1);
    go.assert_offset(DAY, DAY);
}

#[test]
fn python_sees_the_clock_in_threads_forks_and_what_a_thread_executes() {
    if !is_there("python3", "--version") {
        return;
    }
    let script = "
import os, threading, time, datetime
print(time.time(), flush=True)
print(datetime.datetime.now().timestamp(), flush=True)
def show(): print(time.time(), flush=True)
thread = threading.Thread(target=show); thread.start(); thread.join()
child = os.fork()
if child == 0:
    show(); os._exit(0)
os.waitpid(child, 0)
def become(): os.execvp('date', ['date', '+%s'])
threading.Thread(target=become).start()
time.sleep(1000)
";
    let (output, _) = output_a_day_ahead(Command::new("python3").args(["-c", script]));
    assert_a_day_ahead(&output, 5);
}

#[test]
fn a_jvm_sees_the_clock() {
    if !is_there("java", "-version") || !is_there("javac", "-version") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = "
public class Shows {
    public static void main(String[] a) throws Exception {
        System.out.println(System.currentTimeMillis() / 1000.0);
        Thread thread = new Thread(() -> System.out.println(java.time.Instant.now().toEpochMilli() / 1000.0));
        thread.start();
        thread.join();
    }
}";
    fs::write(directory.path().join("Shows.java"), source).unwrap();
    let built = Command::new("javac").arg("Shows.java").current_dir(directory.path()).status().unwrap();
    assert!(built.success());
    let (output, _) =
        output_a_day_ahead(Command::new("java").args(["-cp", ".", "Shows"]).current_dir(directory.path()));
    assert_a_day_ahead(&output, 2);
}

/// The newest etcd that `scripts/systems/install` has put in its place.
fn etcd() -> Option<PathBuf> {
    let versions = Path::new(&std::env::var_os("HOME")?).join(".cache/chaos/systems/etcd");
    let mut programs: Vec<PathBuf> =
        fs::read_dir(versions).ok()?.flatten().map(|version| version.path().join("bin/etcd")).collect();
    programs.retain(|program| program.exists());
    programs.sort();
    programs.pop()
}

#[test]
fn etcd_serves_tomorrow() {
    let Some(etcd) = etcd() else {
        println!("SKIPPED: no etcd is installed (scripts/systems/install etcd)");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let clock = Clock::new(Scope::Wall).unwrap();
    clock.jump(DAY).unwrap();
    let urls = ["client", "peer"].map(|kind| [format!("--listen-{kind}-urls=unix://{kind}:0")]).concat();
    let log = fs::File::create(directory.path().join("log")).unwrap();
    let mut command = Command::new(etcd);
    command.args(urls).args(["--advertise-client-urls=unix://client:0", "--data-dir=data"]);
    let mut child = clock.spawn(command.current_dir(directory.path()).stdin(Stdio::null()).stderr(log)).unwrap();
    let give_up = Instant::now() + Duration::from_secs(60);
    let ready = loop {
        let log = fs::read_to_string(directory.path().join("log")).unwrap();
        if let Some(line) = log.lines().find(|line| line.contains("ready to serve client requests")) {
            break line.to_owned();
        }
        assert!(Instant::now() < give_up, "etcd is not ready:\n{log}");
        std::thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    wait(&mut child).unwrap();
    let (_, time) = ready.split_once("\"ts\":\"").expect("a line of JSON");
    let (time, _) = time.split_once('"').expect("a line of JSON");
    let seconds = Command::new("date").args(["+%s", "-d", time]).output().unwrap().stdout;
    assert_a_day_ahead(&String::from_utf8(seconds).unwrap(), 1);
}

#[test]
fn the_trial_finds_that_clocks_can_be_moved_here() {
    assert_eq!(trial(), Ok(()));
}
