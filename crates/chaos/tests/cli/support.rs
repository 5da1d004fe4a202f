//! Runs the real binary in a folder of its own, and counts what it leaves behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The workspace's root, where `workloads/` and `faults/` are.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// A `chaos` command that can be told from every other one on the host: its run directory is `out`, which all of its
/// processes have on their command line or in their environment.
pub(crate) fn chaos(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaos"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs to the end and returns what was printed.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("chaos starts")
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The run's `report.json`.
pub(crate) fn report(out: &Path) -> serde_json::Value {
    let text = fs::read_to_string(out.join("report.json")).expect("the report is there");
    serde_json::from_str(&text).expect("the report is JSON")
}

/// The processes, of any namespace, whose command line or environment mentions `mark`.
pub(crate) fn processes_mentioning(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
            continue;
        }
        let mentions = |file: &str| {
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(mark)
        };
        if mentions("cmdline") || mentions("environ") {
            found.push(name);
        }
    }
    found
}

/// Waits until no process mentions `mark`.
///
/// # Panics
/// If one still does after `within`.
pub(crate) fn assert_gone(mark: &str, within: Duration) {
    let give_up = Instant::now() + within;
    loop {
        let left = processes_mentioning(mark);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < give_up, "still there after {within:?}: {left:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the condition holds.
///
/// # Panics
/// If it doesn't within 30 s, or the child ends first.
pub(crate) fn wait_for(what: &str, child: &mut Child, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(child.try_wait().expect("a child").is_none(), "chaos ended before {what}");
        assert!(Instant::now() < give_up, "no {what} within 30 s");
        thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
/// Whether this host lets an ordinary process make the namespaces that a run needs. Says so loudly when not.
pub(crate) fn host_can_run() -> bool {
    let doctor = output(&mut chaos(&["doctor"]));
    if doctor.status.success() {
        return true;
    }
    let reason = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(std::env::var_os("CI").is_none(), "CI must be able to run the real thing:\n{reason}");
    // A skipped test must not look like a passed one to whoever reads the output.
    eprintln!("SKIPPED: this host can't make the namespaces of a run:\n{reason}");
    false
}
