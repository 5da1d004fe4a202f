//! The runner of cases that need namespaces of their own, shared by the crates that have such cases.
//!
//! The idea: entering namespaces needs a process with one thread, so this replaces the usual harness (`harness = false`): the
//! program starts itself once per case, with a deadline. An *inside* case runs as the controller of fresh namespaces, once with
//! a user namespace (what an ordinary user gets) and, for root, once more without. A *host* case stays outside.
//!
//! Refuses to pass in silence where the host allows no namespaces: it says SKIPPED and why.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use chaos_net::isolation::{self, EnterOptions, UserNamespace};

const CASE_DEADLINE: Duration = Duration::from_secs(60);
/// The exit code of a case that this host can't run.
pub(crate) const SKIP_CODE: u8 = 77;

/// A named claim and the code that proves it by not panicking.
pub(crate) type Case = (&'static str, fn());

/// The cases of a crate.
pub(crate) struct Suite {
    /// Those that run in fresh namespaces.
    pub(crate) inside: Vec<Case>,
    /// What is done in the namespaces before such a case.
    pub(crate) prepare: fn(),
    /// Those that run outside.
    pub(crate) host: &'static [Case],
}

impl Suite {
    /// Does what the program's arguments say: one case, a list of the cases, or all of them that match a word.
    pub(crate) fn run(&self, words: &[&str]) -> ExitCode {
        match words {
            ["--inside", name, mode] => self.run_inside(name, user_namespace(mode)),
            ["--host", name] => {
                find(self.host, name)();
                ExitCode::SUCCESS
            }
            _ if words.contains(&"--list") => {
                for name in self.names("") {
                    println!("{name}: test");
                }
                ExitCode::SUCCESS
            }
            _ => self.run_all(words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or("")),
        }
    }

    fn run_inside(&self, name: &str, user_namespace: UserNamespace) -> ExitCode {
        match isolation::enter(&EnterOptions { user_namespace, ..EnterOptions::default() }) {
            Ok(_) => {
                (self.prepare)();
                find(&self.inside, name)();
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("{}", error.chain());
                ExitCode::from(SKIP_CODE)
            }
        }
    }

    /// Names with their arguments: inside cases once per mode.
    fn names(&self, filter: &str) -> Vec<String> {
        let modes: &[&str] = if nix::unistd::geteuid().is_root() { &["user", "root"] } else { &["user"] };
        let inside =
            self.inside.iter().flat_map(|case| modes.iter().map(move |mode| format!("--inside {} {mode}", case.0)));
        let host = self.host.iter().map(|case| format!("--host {}", case.0));
        inside.chain(host).filter(|name| name.contains(filter)).collect()
    }

    fn run_all(&self, filter: &str) -> ExitCode {
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for name in self.names(filter) {
            let begin = Instant::now();
            let (code, output) = run_case(&name);
            let label = name.trim_start_matches("--inside ").trim_start_matches("--host ");
            let elapsed_ms = begin.elapsed().as_millis();
            match code {
                Some(0) => {
                    passed += 1;
                    println!("test {label} ... ok ({elapsed_ms} ms)");
                }
                Some(code) if code == i32::from(SKIP_CODE) => {
                    skipped += 1;
                    println!("test {label} ... SKIPPED: {}", output.trim());
                }
                _ => {
                    failed += 1;
                    println!("test {label} ... FAILED ({code:?}, {elapsed_ms} ms)\n{output}");
                }
            }
        }
        println!("\ntest result: {passed} passed; {failed} failed; {skipped} SKIPPED");
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn find(cases: &[Case], name: &str) -> fn() {
    cases.iter().find(|case| case.0 == name).unwrap_or_else(|| panic!("no case `{name}`")).1
}

fn user_namespace(mode: &str) -> UserNamespace {
    match mode {
        "user" => UserNamespace::Always,
        "root" => UserNamespace::Never,
        other => panic!("no mode `{other}`"),
    }
}

fn run_case(name: &str) -> (Option<i32>, String) {
    let program = std::env::current_exe().unwrap();
    let log = tempfile();
    let mut child = Command::new(program)
        .args(name.split(' '))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log.try_clone().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + CASE_DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    (status.and_then(|status| status.code()), read_all(log))
}

/// A file in memory for a case's output.
fn tempfile() -> std::fs::File {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    nix::sys::memfd::memfd_create(c"output", flags).unwrap().into()
}

fn read_all(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Waits until the condition holds.
pub(crate) fn eventually(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    begin.elapsed()
}
