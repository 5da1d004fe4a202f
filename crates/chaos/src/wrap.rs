//! `chaos wrap WORKLOAD -- CMD ARGS…`: a command of the user's own, for example a test suite, works against the cluster while
//! the fault plan runs against it; both verdicts come back.
//!
//! ```text
//! cluster starts ─▶ first leader ─▶ CMD starts ──────────────────▶ CMD ends ─▶ faults taken back ─▶ settle ─▶ final reads
//!                                   fault plan, again and again ───┘
//! ```
//!
//! CMD runs inside the run's network, where it reaches every node (`CHAOS_NODES`) whatever is cut between them, and nothing
//! else: there is no way out. Its streams are passed through, and kept under `wrap/` in the run directory; our own lines go to
//! standard error. The workload's `limit` doesn't end such a run, since CMD does; `--timeout` ends CMD.
//!
//! The first SIGINT, SIGTERM or SIGHUP goes to CMD, which has some seconds to end; then the run is over, too. A second one ends
//! everything at once. Whatever CMD leaves behind dies with the run.
//!
//! Exit code: 1 if a safety property is violated; else 4 if CMD failed; else as `chaos run`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_cluster::{Control, Guest, GuestHandle, GuestPlace, GuestStreams, OnSignal, RealWorld};
use chaos_engine::{Engine, Phase, Rounds};
use chaos_history::{NodeId, RunDir, Seed};
use chaos_report::Wrapped;
use chaos_systems::{RaftDriver, is_program, on_path};
use nix::sys::signal::Signal;

use crate::changes::Asked;
use crate::events::RunFormat;
use crate::failure::Failure;
use crate::run::{self, Order};
use crate::simulated::WorldKind;

/// How long the command may take to end after it was told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Arguments of `chaos wrap`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct WrapArguments {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    wrap: Wrap,
}

/// The command and how it is accompanied.
#[derive(Debug, clap::Args)]
pub(crate) struct Wrap {
    /// Do the fault plan once, and then leave the cluster alone until the command ends. Left out: it begins again and again.
    #[arg(long)]
    once: bool,
    /// End the command after this time (which is a failure of it). Left out: never.
    #[arg(long, value_name = "TIME", value_parser = crate::foreign::deadline)]
    timeout: Option<Duration>,
    /// The command with its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

const HELP: &str = "\
The command starts when the cluster has its first leader. It runs inside the run's network and finds in its environment:
  CHAOS_NODES              every node's address, separated by commas: 10.77.0.1:7002,10.77.0.2:7002,…
  CHAOS_NODE_1 …           the address of n1, …
  CHAOS_RUN_DIR            the run directory
  CHAOS_SEED               the seed
When it ends, faults are taken back, and the cluster is checked as always. The summary goes to standard error; the command's
output is passed through, and kept in wrap/stdout.log and wrap/stderr.log of the run directory.

Examples:
  chaos wrap kill -- cargo test                     leaders are killed until the tests are through
  chaos wrap partition --once --timeout 10min -- ./bench.sh --nodes 5

Exit codes: 1 a safety property is violated; else 4 the command failed; else as `chaos run`.";

/// `chaos wrap`.
pub(crate) fn wrap(arguments: &WrapArguments) -> Result<ExitCode, Failure> {
    let program = &arguments.wrap.command[0];
    if !can_be_started(program) {
        let program = program.to_string_lossy();
        return Err(Failure::Refused(anyhow!("`{program}` is no program that can be started (from here, or in PATH)")));
    }
    let wrap = Some(&arguments.wrap);
    run::carry_out(&Order { asked: &arguments.asked, format: RunFormat::Text, wrap, world: WorldKind::Real })
}

/// Whether there is such a program: known before a cluster is started for it.
fn can_be_started(program: &OsStr) -> bool {
    if program.to_string_lossy().contains('/') {
        is_program(Path::new(program))
    } else {
        on_path(program).next().is_some()
    }
}

impl Wrap {
    /// The words that stand for it on a command line, from its own options on.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.once.then(|| "--once".to_owned()));
        words.extend(self.timeout.map(|timeout| format!("--timeout={}ms", timeout.as_millis())));
        words.push("--".to_owned());
        words.extend(self.command_words());
        words
    }

    fn command_words(&self) -> impl Iterator<Item = String> {
        self.command.iter().map(|word| word.to_string_lossy().into_owned())
    }
}

/// The command beside a run: not started yet, under way, or over.
pub(crate) struct Company<'a> {
    wrap: &'a Wrap,
    control: Control,
    place: GuestPlace,
    directory: RunDir,
    seed: Seed,
    /// Of every node, where it answers clients.
    addresses: Vec<String>,
    guest: Option<Guest>,
    handle: Arc<OnceLock<GuestHandle>>,
    failure: Option<io::Error>,
}

impl<'a> Company<'a> {
    /// The command will start when there is a leader.
    pub(crate) fn new(wrap: &'a Wrap, world: &RealWorld, directory: &RunDir, seed: Seed, nodes: usize) -> Self {
        let handle = Arc::new(OnceLock::new());
        let (control, place, directory) = (world.control(), world.guest_place(), directory.clone());
        let address = |node: NodeId| format!("{}:{}", world.address(node), RaftDriver::CLIENT_PORT);
        let addresses = NodeId::all(nodes).map(address).collect();
        Self { wrap, control, place, directory, seed, addresses, guest: None, handle, failure: None }
    }

    /// How often the fault plan is done.
    pub(crate) fn rounds(&self) -> Rounds {
        if self.wrap.once { Rounds::One } else { Rounds::Many }
    }

    /// What becomes of the first signal: it is the command's, and then the run's.
    pub(crate) fn on_signal(&self) -> OnSignal {
        let (handle, control) = (Arc::clone(&self.handle), self.control.clone());
        Box::new(move |signal| {
            let (handle, control) = (Arc::clone(&handle), control.clone());
            // The command may take its time; whoever waits for a second signal may not.
            thread::spawn(move || {
                if let Some(guest) = handle.get() {
                    guest.end(signal, PATIENCE);
                }
                control.interrupt("by the user");
            });
        })
    }

    /// Starts the command as soon as there is a leader.
    pub(crate) fn update(&mut self, engine: &Engine) {
        if self.guest.is_some() || self.failure.is_some() {
            return;
        }
        // Before that the cluster isn't there, and after it the run is being ended already.
        if !matches!(engine.progress().phase, Phase::Load | Phase::Faults) {
            return;
        }
        match self.start() {
            Ok(guest) => {
                let handle = guest.handle();
                self.limit(handle.clone());
                // It is set once: the guest is started once.
                let _ = self.handle.set(handle);
                self.guest = Some(guest);
                self.control.remark("the wrapped command has started");
            }
            Err(error) => {
                self.failure = Some(error);
                self.control.interrupt("because the wrapped command could not be started");
            }
        }
    }

    fn start(&self) -> io::Result<Guest> {
        let logs = self.logs();
        fs::create_dir(&logs)?;
        let (program, arguments) = self.wrap.command.split_first().expect("clap asks for one word at least");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("CHAOS_NODES", self.addresses.join(","))
            .env("CHAOS_RUN_DIR", self.directory.root())
            .env("CHAOS_SEED", self.seed.to_string())
            .envs((1..).zip(&self.addresses).map(|(number, address)| (format!("CHAOS_NODE_{number}"), address)));
        let streams = GuestStreams { stdout: Box::new(io::stdout()), stderr: Box::new(io::stderr()) };
        let control = self.control.clone();
        Guest::start(command, &self.place, streams, &logs, move || control.conclude("the wrapped command has ended"))
    }

    /// Ends the command when its time is over.
    fn limit(&self, guest: GuestHandle) {
        let Some(timeout) = self.wrap.timeout else { return };
        let control = self.control.clone();
        // It ends with the process, at the latest.
        thread::spawn(move || {
            if !guest.wait(timeout) {
                control.remark("the wrapped command is ended: its time is over");
                guest.end(Signal::SIGTERM, PATIENCE);
            }
        });
    }

    /// Ends the command's main process, if it is still there.
    pub(crate) fn end(&self) {
        if let Some(guest) = self.handle.get() {
            guest.end(Signal::SIGTERM, PATIENCE);
        }
    }

    /// Ends what the command has left behind, and keeps how it ended. To be called when all nodes have ended.
    ///
    /// # Errors
    /// If it could not be started, or its end can't be kept.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        if let Some(error) = self.failure {
            let program = self.wrap.command[0].to_string_lossy().into_owned();
            return Err(Failure::Refused(anyhow::Error::from(error).context(format!("start `{program}`"))));
        }
        let (command, once, logs) = (self.wrap.command_words().collect(), self.wrap.once, self.logs());
        // Without a leader it never began.
        let Some(guest) = self.guest else { return Ok(()) };
        let end = guest.finish(PATIENCE).context("end the wrapped command")?;
        let wrapped = Wrapped {
            command,
            exit_code: end.code,
            signal: end.signal,
            lasted_ns: u64::try_from(end.lasted.as_nanos()).unwrap_or(u64::MAX),
            leftovers: end.leftovers,
            once,
        };
        let json = serde_json::to_string(&wrapped).context("write how the wrapped command ended")?;
        let file = logs.join(ENDED);
        fs::write(&file, format!("{json}\n")).with_context(|| format!("write {}", file.display()))?;
        Ok(())
    }

    fn logs(&self) -> PathBuf {
        self.directory.root().join(FOLDER)
    }
}

/// Where everything about the command is kept in a run directory.
const FOLDER: &str = "wrap";
/// How it ended.
const ENDED: &str = "command.json";

/// How the command of a saved run ended; `None` if there was none, or if the run was cut off before its end.
///
/// # Errors
/// If what was kept can't be read.
pub(crate) fn saved(directory: &RunDir) -> Result<Option<Wrapped>, Failure> {
    let file = directory.root().join(FOLDER).join(ENDED);
    let reading = || format!("read {}", file.display());
    match fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(reading).map_err(Failure::Refused),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Refused(anyhow::Error::from(error).context(reading()))),
    }
}
