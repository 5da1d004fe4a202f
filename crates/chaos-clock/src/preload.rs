//! A node's clock by libfaketime: a library that is preloaded into every program of the node, and reads from a file how far off it is.
//!
//! It is for who doubts the swapped vDSO, or has a host that forbids it; it needs no permission, and no kernel of a kind. The file holds
//! one offset, `+12.345678901`; it is replaced as a whole (by renaming), and libfaketime is told to read it at every question, so
//! that a change is in force for all processes at their next one. libfaketime's own rates count from when each process began, which
//! would be a jump of another size in each; so a rate is made by replacing the offset every millisecond, in steps that small.
//!
//! What it doesn't move: static programs, those of Go (which ask the kernel themselves) and those of another C library
//! ([`crate::can_be_preloaded`] tells), and monotonic clocks, which it could only move together with every jump, also back at the end.
//!
//! What it leaves: the file goes with the clock. libfaketime keeps a page in `/dev/shm` per tree of processes, which a killed one leaves
//! there: whoever starts programs under such a clock gives them a `/dev/shm` of their own.
//!
//! Source: libfaketime 0.9.10, README, sections 4c, 4d and 4i.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::clock::Now;
use crate::law::{Law, Rate};
use crate::trial::{TEN_YEARS, YEAR};
use crate::{Change, ClockError, Refusal, Reset, Strobe};

/// The library's name, as `--bin` and plans say it.
pub const LIBRARY: &str = "libfaketime";

/// How often the offset of a clock that drifts is brought up to date.
const TICK: Duration = Duration::from_millis(1);

/// Where distributions put the library; the one for threads first, which serves programs without them too.
const FOLDERS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
    "/usr/local/lib/x86_64-linux-gnu/faketime",
];
const FILES: [&str; 2] = ["libfaketimeMT.so.1", "libfaketime.so.1"];

/// A node's clock. Copies are the same clock, which is right at first, and outlives the programs that were started under it.
#[derive(Clone, Debug)]
pub struct Preload {
    library: PathBuf,
    state: Arc<Mutex<State>>,
}

/// What a clock shows, and where it says so. The file ends with it.
#[derive(Debug)]
struct State {
    law: Law,
    file: PathBuf,
    /// Whether a thread keeps the offset up to date.
    is_drifting: bool,
}

impl Preload {
    /// A clock that is right, of programs that get this library, and that `file` tells them of: an absolute path, which they can all read.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn new(library: &Path, file: &Path) -> Result<Self, ClockError> {
        let state = State { law: Law::TRUE, file: file.to_owned(), is_drifting: false };
        state.publish(Now::read())?;
        Ok(Self { library: library.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// Has a program that is started by this command, and all that it starts, see the clock.
    pub fn attach(&self, command: &mut Command) {
        let mut preload = OsString::from(&self.library);
        // What the node itself preloads stays.
        let given = command.get_envs().find(|(name, _)| *name == OsStr::new("LD_PRELOAD")).and_then(|(_, value)| value);
        if let Some(given) = given.map(OsStr::to_owned).or_else(|| std::env::var_os("LD_PRELOAD")) {
            preload.push(":");
            preload.push(given);
        }
        command
            .env("LD_PRELOAD", preload)
            .env("FAKETIME_TIMESTAMP_FILE", &self.lock().file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            // A child's clock is its parent's, and the times of files are the kernel's.
            .env("FAKETIME_DONT_RESET", "1")
            .env("NO_FAKE_STAT", "1");
    }

    /// Whether a process, by its directory in `/proc`, has the library in its memory.
    ///
    /// # Errors
    /// If its memory map can't be read; also if the process is gone.
    pub fn is_seen_by(&self, process: &Path) -> io::Result<bool> {
        let maps = fs::read(process.join("maps"))?;
        // The linker may have followed links.
        let name = self.library.file_name().unwrap_or_default().as_encoded_bytes();
        Ok(maps.windows(name.len()).any(|part| part == name))
    }

    /// Jumps wall clocks by so many nanoseconds, ahead or back. Their rate stays.
    ///
    /// # Errors
    /// If they would then be more than a hundred years off, or the file can't be written.
    pub fn jump(&self, by_ns: i64) -> Result<Change, ClockError> {
        self.change(|law, now| law.jumped(now.wall_ns, by_ns))
    }

    /// Has wall clocks go at this rate from now on. That is no jump.
    ///
    /// # Errors
    /// If the file can't be written, or there is no thread to be had.
    pub fn set_rate(&self, rate: Rate) -> Result<Change, ClockError> {
        let change = self.change(|law, now| Ok(law.going(now.wall_ns, rate)))?;
        let mut state = self.lock();
        if rate != Rate::TRUE && !state.is_drifting {
            let drifting = Arc::downgrade(&self.state);
            let thread = thread::Builder::new().name("chaos-drift".to_owned()).spawn(move || drift(&drifting));
            thread.map_err(|source| ClockError::system("start a thread that has a clock drift", source))?;
            state.is_drifting = true;
        }
        Ok(change)
    }

    /// Has the clocks go right again.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn reset(&self, how: Reset) -> Result<Change, ClockError> {
        self.change(|law, now| {
            Ok(match how {
                Reset::Jump => Law::TRUE,
                Reset::KeepOffset => law.going(now.wall_ns, Rate::TRUE),
            })
        })
    }

    /// As [`crate::Clock::strobe`].
    ///
    /// # Errors
    /// As there, and if the file can't be written.
    pub fn strobe(&self, by_ns: i64, period: Duration) -> Result<Strobe, ClockError> {
        let clock = self.clone();
        Strobe::start(by_ns, period, move |by_ns| clock.jump(by_ns))
    }

    fn change(&self, make: impl FnOnce(Law, Now) -> Result<Law, ClockError>) -> Result<Change, ClockError> {
        let mut state = self.lock();
        let now = Now::read();
        let before = state.law;
        state.law = make(before, now)?;
        state.publish(now).inspect_err(|_| state.law = before)?;
        let stamp = |nanos: i64| u64::try_from(nanos).expect("the monotonic clock counts up from boot");
        let offset_ns = state.offset_ns(now);
        Ok(Change { begin_ns: stamp(now.monotonic_ns), end_ns: stamp(Now::read().monotonic_ns), offset_ns })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn offset_ns(&self, now: Now) -> i64 {
        self.law.at(now.wall_ns) - now.wall_ns
    }

    /// Replaces the file: whoever reads it sees the old offset or the new one, whole.
    fn publish(&self, now: Now) -> Result<(), ClockError> {
        let offset = self.offset_ns(now);
        let (sign, nanos) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
        let text = format!("{sign}{}.{:09}\n", nanos / 1_000_000_000, nanos % 1_000_000_000);
        let new = self.file.with_extension("new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.file));
        written.map_err(|source| ClockError::File { path: self.file.clone(), source })
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // The directory goes with the run in any case.
        let _ = fs::remove_file(&self.file);
    }
}

/// Brings the offset up to date until the clock goes right again, or is gone.
fn drift(state: &Weak<Mutex<State>>) {
    loop {
        thread::sleep(TICK);
        let Some(state) = state.upgrade() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.law.rate == Rate::TRUE {
            state.is_drifting = false;
            return;
        }
        if let Err(error) = state.publish(Now::read()) {
            tracing::warn!(%error, "a clock that drifts has stayed behind");
        }
    }
}

/// The library at the place that the user names, or where distributions put it.
///
/// # Errors
/// If it is not there, with the remedy.
pub fn find_library(given: Option<&Path>) -> Result<PathBuf, Refusal> {
    if let Some(given) = given {
        let path = std::path::absolute(given).unwrap_or_else(|_| given.to_owned());
        if path.is_file() {
            return Ok(path);
        }
        let reason = format!("{} is no file", path.display());
        return Err(Refusal { reason, remedy: format!("say where the library is: --bin {LIBRARY}=PATH") });
    }
    let places = FOLDERS.iter().flat_map(|folder| FILES.map(|file| Path::new(folder).join(file)));
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| Refusal {
        reason: format!("{LIBRARY} is in none of the usual places"),
        remedy: format!("apt-get install {LIBRARY}, or --bin {LIBRARY}=/path/to/libfaketimeMT.so.1"),
    })
}

/// Finds the library, starts `date` with it for real, and sees its clock ten years ahead.
///
/// # Errors
/// Why that doesn't work, with the remedy.
pub fn trial_of_library(given: Option<&Path>) -> Result<PathBuf, Refusal> {
    let library = find_library(given)?;
    let failed = |reason: String| Refusal {
        reason,
        remedy: format!("use the package {LIBRARY} of this host's own distribution"),
    };
    // Nothing else has this name at this time.
    let file = std::env::temp_dir().join(format!("chaos-{LIBRARY}-{}", std::process::id()));
    let ask = || -> Result<String, ClockError> {
        let clock = Preload::new(&library, &file)?;
        clock.jump(i64::try_from(TEN_YEARS.as_nanos()).expect("it is below 292 years"))?;
        let mut command = Command::new("date");
        clock.attach(command.arg("+%s").stdin(Stdio::null()));
        let output = command.output().map_err(|source| ClockError::system("run `date`", source))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let shown = ask().map_err(|error| failed(error.to_string()))?;
    let shown = shown.trim().parse().ok().map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let ahead = shown.and_then(|shown| shown.duration_since(SystemTime::now()).ok()).unwrap_or_default();
    if (TEN_YEARS - YEAR..TEN_YEARS + YEAR).contains(&ahead) {
        return Ok(library);
    }
    let days = ahead.as_secs() / 86_400;
    Err(failed(format!("`date` with {} and ten years is {days} days ahead", library.display())))
}
