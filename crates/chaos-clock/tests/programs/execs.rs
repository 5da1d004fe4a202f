//! Whatever a node executes has its clock: shells and their children, failed attempts, threads that execute, daemons.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use chaos_clock::{Clock, ClockError, Miss, Scope, has_clock, wait};

use crate::probe::{Probe, eventually};

const DAY: i64 = 86_400_000_000_000;

/// What a program prints, whose clock is a day ahead; and how many programs it was.
pub(crate) fn output_a_day_ahead(command: &mut Command) -> (String, u64) {
    let clock = Clock::new(Scope::Wall).unwrap();
    clock.jump(DAY).unwrap();
    let child = clock.spawn(command.stdin(Stdio::null()).stdout(Stdio::piped())).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(clock.take_missed(), []);
    (String::from_utf8(output.stdout).unwrap(), clock.given())
}

/// Fails unless each line is a time in seconds that lies a day ahead, give or take a minute.
pub(crate) fn assert_a_day_ahead(output: &str, lines: usize) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let shown: Vec<f64> = output.lines().map(|line| line.trim().parse().unwrap_or(f64::NAN)).collect();
    assert_eq!(shown.len(), lines, "{output}");
    for seconds in shown {
        assert!((seconds - now - 86_400.0).abs() < 60.0, "{seconds} is not a day ahead of {now}:\n{output}");
    }
}

fn bash(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script]);
    command
}

#[test]
fn children_grandchildren_and_successors_see_the_clock() {
    let (output, programs) = output_a_day_ahead(&mut bash(
        "date +%s; bash -c 'date +%s; (setsid date +%s)'; no-such-program 2>/dev/null; date +%s & wait; exec date +%s",
    ));
    assert_a_day_ahead(&output, 5);
    assert_eq!(programs, 8, "bash, date, bash, setsid, date, date and date got a clock, and setsid's date");
}

#[test]
fn what_is_forked_without_an_exec_sees_the_clock() {
    // Both are bash's own: gettimeofday, and time.
    let (output, programs) = output_a_day_ahead(&mut bash(
        "echo $EPOCHREALTIME; (echo $EPOCHREALTIME; (printf '%(%s)T\\n' -1)); printf '%(%s)T\\n' -1",
    ));
    assert_a_day_ahead(&output, 4);
    assert_eq!(programs, 1);
}

#[test]
fn a_daemon_that_nobody_waits_for_sees_the_clock() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shown");
    let script =
        format!("(setsid bash -c 'until [ -e go ]; do :; done; date +%s > part; mv part {}' &) &", file.display());
    let mut child = clock.spawn(bash(&script).current_dir(directory.path()).stdout(Stdio::null())).unwrap();
    assert!(wait(&mut child).unwrap().success());
    clock.jump(DAY).unwrap();
    std::fs::write(directory.path().join("go"), "").unwrap();
    eventually("the daemon tells the time", || file.exists());
    assert_a_day_ahead(&std::fs::read_to_string(&file).unwrap(), 1);
}

#[test]
fn hundreds_of_programs_at_once_all_get_the_clock() {
    let (output, programs) = output_a_day_ahead(&mut bash("for i in {1..200}; do date +%s & done; wait"));
    assert_a_day_ahead(&output, 200);
    assert_eq!(programs, 201);
}

#[test]
fn a_program_shows_that_it_has_a_clock() {
    let clock = Clock::new(Scope::Wall).unwrap();
    let probe = Probe::start(&clock);
    let place = |pid: u32| format!("/proc/{pid}");
    assert!(has_clock(Path::new(&place(probe.child.id()))).unwrap());
    assert!(!has_clock(Path::new("/proc/self")).unwrap(), "the harness has pages, and no clock");
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    assert!(!has_clock(Path::new(&place(other.id()))).unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_program_finds_its_descriptors_signals_and_capabilities_as_ever() {
    let script = "ls /proc/self/fd | wc -l; grep -E '^(SigPnd|ShdPnd|SigBlk|Cap)' /proc/self/status";
    let own = bash(script).stdin(Stdio::null()).output().unwrap();
    let (output, _) = output_a_day_ahead(&mut bash(script));
    assert_eq!(output, String::from_utf8(own.stdout).unwrap());
    // The same after attempts to execute what isn't there.
    let (output, _) =
        output_a_day_ahead(&mut bash(&format!("./no-such-program 2>/dev/null; exec bash -c \"{script}\"")));
    assert!(output.starts_with(&String::from_utf8(bash("ls /proc/self/fd | wc -l").output().unwrap().stdout).unwrap()));
}

/// A 32-bit program that ends with code 7: header, one segment, and `mov eax, 1; mov ebx, 7; int 0x80`.
fn program_of_32_bits() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let code = [0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80];
    let size = 84 + u32::try_from(code.len()).unwrap();
    let mut program = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // An executable for the 80386 that begins behind two headers, of 52 and 32 bytes.
    program.extend(words(&[0x0003_0002, 1, BASE + 84, 52, 0, 0, 0x0020_0034, 1, 0]));
    program.extend(words(&[1, 0, BASE, BASE, size, size, 5, 0x1000]));
    program.extend(code);
    program
}

#[test]
fn a_program_that_can_have_no_clock_is_told_and_runs_on() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::write(&program, program_of_32_bits()).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    if Command::new(&program).status().is_err() {
        println!("SKIPPED: this kernel runs no 32-bit programs");
        return;
    }
    let clock = Clock::new(Scope::Wall).unwrap();
    let error = clock.spawn(&mut Command::new(&program)).unwrap_err();
    assert!(matches!(error, ClockError::Missed(Miss::NotNative)), "{error:?}");
    assert_eq!(clock.take_missed().len(), 1);
    let mut child = clock.spawn(Command::new("sh").arg("-c").arg("\"$0\"; exit $?").arg(&program)).unwrap();
    assert_eq!(wait(&mut child).unwrap().code(), Some(7));
    let missed = clock.take_missed();
    assert!(missed.len() == 1 && missed[0].miss == Miss::NotNative, "{missed:?}");
}

#[test]
fn a_clock_is_seen_inside_of_namespaces() {
    let namespaces = ["--user", "--map-current-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let works = Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success());
    if !works {
        println!("SKIPPED: this host refuses namespaces, or lacks unshare(1)");
        return;
    }
    let (output, _) =
        output_a_day_ahead(Command::new("unshare").args(namespaces).args(["bash", "-c", "date +%s; exec date +%s"]));
    assert_a_day_ahead(&output, 2);
    // And the other way round: the harness inside, as in a run.
    let own = std::env::current_exe().unwrap();
    let case = ["--exact", "execs::children_grandchildren_and_successors_see_the_clock"];
    let inside = Command::new("unshare").args(namespaces).arg(own).args(case).output().unwrap();
    assert!(inside.status.success(), "{}", String::from_utf8_lossy(&inside.stdout));
}
