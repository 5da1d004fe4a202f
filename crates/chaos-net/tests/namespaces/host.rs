//! A run seen from outside: its exit code, its signals, and what is left after a kill -9.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use chaos_net::isolation::{self, EnterOptions, UserNamespace, mount_tmpfs};
use chaos_net::{FilterKind, Star, reap_orphans, start_in_namespace};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::star::all_links;
use crate::{Case, eventually};

pub(crate) const CASES: &[Case] = &[
    ("exit_code_passes_through_the_stub", exit_code_passes_through),
    ("an_ignored_sigchld_loses_no_exit_code", an_ignored_sigchld_loses_no_exit_code),
    ("death_by_a_signal_becomes_128_plus_n", death_by_a_signal),
    ("an_unhandled_sigterm_ends_the_run", an_unhandled_sigterm_ends_the_run),
    ("a_signal_arrives_once_whether_sent_to_stub_or_group", a_signal_arrives_once),
    ("doctor_reports_every_primitive", crate::doctor::doctor_reports_every_primitive),
    ("kill_9_of_the_stub_leaves_nothing", kill_9_of_the_stub),
    ("kill_9_of_the_init_leaves_nothing", kill_9_of_the_init),
    ("kill_9_of_the_controller_leaves_nothing", kill_9_of_the_controller),
    ("kill_9_leaves_nothing_in_root_mode_either", kill_9_in_root_mode),
];

const SECOND: Duration = Duration::from_secs(1);

/// Plays a controller; the marker in the arguments is how host cases find all its copies.
pub(crate) fn run_controller(role: &str) -> ExitCode {
    if role == "signals" {
        // Blocked before `enter`, so the mask must have come through both forks for this to work.
        SigSet::all().thread_block().unwrap();
    }
    let (role, user_namespace) = match role.strip_suffix("-if-needed") {
        Some(role) => (role, UserNamespace::IfNeeded),
        None => (role, UserNamespace::Always),
    };
    if let Err(error) = isolation::enter(&EnterOptions { user_namespace, ..EnterOptions::default() }) {
        println!("refused: {}", error.chain());
        return ExitCode::from(crate::SKIP_CODE);
    }
    match role {
        "exit-42" => ExitCode::from(42),
        "abort" => std::process::abort(),
        "idle" => say_ready_and_sleep(),
        "signals" => count_signals(),
        "cluster" => run_cluster(),
        other => panic!("no role `{other}`"),
    }
}

fn say_ready_and_sleep() -> ExitCode {
    println!("ready");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

/// Prints every signal it takes, and leaves on SIGTERM.
fn count_signals() -> ExitCode {
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC).unwrap();
    println!("ready");
    loop {
        std::io::stdout().flush().unwrap();
        let taken = i32::try_from(signals.read_signal().unwrap().unwrap().ssi_signo).unwrap();
        let taken = Signal::try_from(taken).unwrap();
        println!("{taken}");
        if taken == Signal::SIGTERM {
            return ExitCode::SUCCESS;
        }
    }
}

/// A star under a full cut, with processes of every stubborn kind.
fn run_cluster() -> ExitCode {
    let marker = std::env::args().next_back().unwrap();
    let mut star = Star::build(2, FilterKind::Nftables).unwrap();
    star.set_cut(&all_links(2)).unwrap();
    mount_tmpfs(Path::new("/tmp"), None).unwrap();
    let scripts = [
        "sleep 1000; :",
        "trap '' HUP TERM INT; while :; do sleep 1000; done",
        "setsid sh -c 'sleep 1000; :' $0 & sleep 1000; :",
    ];
    for (index, script) in scripts.iter().enumerate() {
        let mut command = Command::new("sh");
        command.args(["-c", script, &marker]);
        start_in_namespace(&mut command, star.namespace(index % 2)).unwrap();
        // Never waited for: the end of the namespace is the test.
        drop(command.spawn().unwrap());
    }
    say_ready_and_sleep()
}

struct Run {
    stub: Child,
    output: BufReader<ChildStdout>,
    marker: String,
}

impl Run {
    fn start(role: &str) -> Self {
        let marker = format!("chaos-net-test-{}-{role}", std::process::id());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--controller", role, &marker]).stdin(Stdio::null()).stdout(Stdio::piped());
        // Its own group, so that a group can be signalled without the test's.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut stub = command.spawn().unwrap();
        let output = BufReader::new(stub.stdout.take().unwrap());
        Self { stub, output, marker }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.starts_with("refused") {
            println!("{}", line.trim());
            std::process::exit(i32::from(crate::SKIP_CODE));
        }
        line.trim().to_owned()
    }

    fn expect_code(&mut self, expected: i32) {
        let code = self.stub.wait().unwrap().code();
        if code == Some(i32::from(crate::SKIP_CODE)) {
            self.line();
        }
        assert_eq!(code, Some(expected));
    }

    fn stub_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.stub.id()).unwrap())
    }

    /// All processes with the marker in their arguments; zombies have none.
    fn processes(&self) -> Vec<PathBuf> {
        let directories = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        let has_marker = |directory: &PathBuf| {
            let arguments = std::fs::read(directory.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(&self.marker)
        };
        directories
            .filter(|path| path.join("stat").exists() && path.file_name().is_some_and(is_pid))
            .filter(has_marker)
            .collect()
    }

    fn child_of(&self, parent: Pid) -> Pid {
        let parents = self.processes().into_iter().map(|path| {
            let pid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            let stat = std::fs::read_to_string(path.join("stat")).unwrap();
            let parent: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap();
            (Pid::from_raw(pid), Pid::from_raw(parent))
        });
        parents.into_iter().find(|(_, found)| *found == parent).unwrap().0
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.stub.kill();
        let _ = self.stub.wait();
    }
}

fn is_pid(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.parse::<u32>().is_ok())
}

/// The namespaces of a process, as `kind:[inode]`.
fn namespaces_of(process: &Path) -> BTreeSet<PathBuf> {
    let kinds = ["net", "mnt", "pid", "user", "uts", "ipc"];
    kinds.iter().filter_map(|kind| std::fs::read_link(process.join("ns").join(kind)).ok()).collect()
}

fn namespaces_of_all() -> BTreeSet<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    processes.filter(|path| path.file_name().is_some_and(is_pid)).flat_map(|path| namespaces_of(&path)).collect()
}

fn exit_code_passes_through() {
    Run::start("exit-42").expect_code(42);
}

fn an_ignored_sigchld_loses_no_exit_code() {
    let program = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' CHLD; exec \"$@\"", "sh"]).arg(program);
    let code = shell.args(["--controller", "exit-42", "-"]).status().unwrap().code();
    if code == Some(i32::from(crate::SKIP_CODE)) {
        std::process::exit(i32::from(crate::SKIP_CODE));
    }
    assert_eq!(code, Some(42));
}

fn death_by_a_signal() {
    Run::start("abort").expect_code(128 + 6);
}

fn an_unhandled_sigterm_ends_the_run() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        // Whoever starts the tests in the background, or by nohup, makes them ignore it, and what they start inherits that.
        if ignored(signal) {
            continue;
        }
        let mut run = Run::start("idle");
        assert_eq!(run.line(), "ready");
        kill(run.stub_pid(), signal).unwrap();
        run.expect_code(code);
    }
}

/// Whether this process ignores a signal.
fn ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

fn a_signal_arrives_once() {
    let mut run = Run::start("signals");
    assert_eq!(run.line(), "ready");
    // Ctrl-C: the terminal signals the whole group.
    killpg(run.stub_pid(), Signal::SIGINT).unwrap();
    assert_eq!(run.line(), "SIGINT");
    // timeout(1): first the process, then its group.
    kill(run.stub_pid(), Signal::SIGHUP).unwrap();
    killpg(run.stub_pid(), Signal::SIGHUP).unwrap();
    assert_eq!(run.line(), "SIGHUP");
    // Everything that had been sent twice would come before this.
    kill(run.stub_pid(), Signal::SIGTERM).unwrap();
    assert_eq!(run.line(), "SIGTERM");
    run.expect_code(0);
}

fn kill_9(role: &str, victim: fn(&Run) -> Pid) {
    // When the stub dies first, the init's exit status falls to the nearest reaper; some containers' pid 1 is slow at it.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let mut run = Run::start(role);
    assert_eq!(run.line(), "ready");
    let is_complete = |run: &Run| run.processes().len() >= 7;
    eventually("stub, init, controller and four node processes are there", 5 * SECOND, || is_complete(&run));
    let before: BTreeSet<PathBuf> = run.processes().iter().flat_map(|path| namespaces_of(path)).collect();
    let own = namespaces_of(Path::new("/proc/self"));
    let theirs: BTreeSet<_> = before.difference(&own).cloned().collect();
    assert!(theirs.len() >= 7, "five kinds or six, and a network for each of two nodes: {theirs:?}");
    kill(victim(&run), Signal::SIGKILL).unwrap();
    let gone = eventually("all processes are gone", SECOND, || run.processes().is_empty());
    // A dead process that nobody has collected would still show its user namespace.
    eventually("the stub can be collected", SECOND - gone, || run.stub.try_wait().unwrap().is_some());
    eventually("no process is left in the namespaces", SECOND - gone, || {
        reap_orphans(|_| false).unwrap();
        namespaces_of_all().is_disjoint(&theirs)
    });
    println!("gone after {gone:?}");
    for (what, path) in [("links", "/proc/net/dev"), ("mounts", "/proc/self/mounts")] {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(!text.contains("chaos-v") && !text.contains("mode=0700"), "{what} of the host: {text}");
    }
}

fn init_of(run: &Run) -> Pid {
    run.child_of(run.stub_pid())
}

fn kill_9_of_the_stub() {
    kill_9("cluster", Run::stub_pid);
}

fn kill_9_of_the_init() {
    kill_9("cluster", init_of);
}

fn kill_9_of_the_controller() {
    kill_9("cluster", |run| run.child_of(init_of(run)));
}

/// For root without a user namespace; for anybody else the same as above.
fn kill_9_in_root_mode() {
    kill_9("cluster-if-needed", Run::stub_pid);
    kill_9("cluster-if-needed", init_of);
}
