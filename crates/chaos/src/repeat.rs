//! `chaos run WORKLOAD --repeat N`: one workload under N seeds, into one directory.
//!
//! ```text
//! reports/<workload>/<UTC time>-<seed>-x<N>/
//!     set.json  set.md     the runs and what they say together
//!     001/ 002/ …          run directories like any other
//! ```
//!
//! Each run is a process of its own, this very program with `--out`: a run leaves the host by forking, which a process with
//! threads can't do, and a run that breaks takes nothing with it. They run one after another unless `--jobs` says otherwise,
//! since runs beside each other take each other's processors and make failovers slower.
//!
//! The set ends at the first violation (a violation is never retried to green), at a run that could not be judged, or on a
//! signal, which is handed on to the runs. `set.json` is written anew after each run. If this process is killed, the kernel
//! ends the runs (`PR_SET_PDEATHSIG`).

use std::fs;
use std::io::{IsTerminal, Write};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_failover::Failover;
use chaos_history::mixing::{GOLDEN, mix};
use chaos_history::{RunDir, Seed};
use chaos_plan::Workload;
use chaos_report::{Report, RunSet, SetEnd, SetFacts, SetRun};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::args::RunArguments;
use crate::failure::{Failure, never_hides_a_violation, printable};
use crate::report::write_whole;
use crate::{again, run, show};

/// Options of `chaos run` that make it several runs.
#[derive(Debug, clap::Args)]
pub(crate) struct RepeatArguments {
    /// Run it so many times, each with a seed of its own, into one directory, and pool the failovers. Ends at the first violation.
    #[arg(long, value_name = "N", conflicts_with = "format")]
    pub(crate) repeat: Option<NonZeroU16>,
    /// So many runs at a time. More than one disturb each other: good for finding violations, bad for measuring.
    #[arg(long, value_name = "N", default_value = "1", requires = "repeat")]
    pub(crate) jobs: NonZeroU16,
    /// Go on after a violation too. The verdict stays that of the worst run.
    #[arg(long, requires = "repeat")]
    pub(crate) keep_going: bool,
    /// The process that this run ends with.
    #[arg(long, value_name = "PID", hide = true, conflicts_with = "repeat")]
    pub(crate) part_of: Option<i32>,
}

/// In a run of a set: ends this process when the one that repeats ends, however that ends.
pub(crate) fn end_with_parent(arguments: &RunArguments) -> Result<(), Failure> {
    let Some(parent) = arguments.repeat.part_of else { return Ok(()) };
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("tie this run to the set's process")?;
    // It may have ended before the line above.
    if getppid() == Pid::from_raw(parent) {
        return Ok(());
    }
    Err(Failure::Refused(anyhow!("--part-of {parent} names a process that has not started this one")))
}

/// Runs the workload so many times.
pub(crate) fn run(arguments: &RunArguments, times: u16) -> Result<ExitCode, Failure> {
    let workload =
        chaos_plan::load(Path::new(&arguments.asked.workload), &arguments.asked.changes.overrides())?.workload;
    run::check_specimen(&workload)?;
    run::check_loads(&workload)?;
    let seed = arguments.asked.seed.map(Seed).or(workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    let started = jiff::Timestamp::now();
    let directory = make_directory(arguments, &workload, seed, times, &started)?;
    let mut repetition = Repetition {
        arguments,
        seeds: seeds(seed, times.into()),
        set: RunSet::new(SetFacts {
            workload: workload.name.clone(),
            system: workload.system.name().to_owned(),
            nodes: workload.nodes,
            seed,
            started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            asked: times.into(),
        }),
        pooled: Vec::new(),
        progress: Progress::new(arguments.asked.quiet, times),
        directory,
    };
    repetition.save()?;
    // One thread: a run is told to end with the *thread* that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    let ended = runtime.block_on(repetition.all(arguments.repeat.jobs.get().into()))?;
    repetition.set.end(ended);
    let saved = repetition.save();
    repetition.progress.finish();
    let directory = repetition.directory.display();
    let again = again::of_set(arguments, times, seed);
    show::print(&format!(
        "{}  report     {directory}/set.md\n             {directory}/set.json\n  again      {again}\n",
        repetition.set.to_terminal()
    ));
    never_hides_a_violation(saved, repetition.set.exit_code)?;
    Ok(ExitCode::from(repetition.set.exit_code))
}

/// The seeds of a set: the first as given, the others by SplitMix64 from it and their number (32 bits, so that they can be
/// typed). A run of a set is thus repeated by its own seed alone, and a longer set begins with the shorter one's runs.
fn seeds(first: Seed, times: usize) -> Vec<Seed> {
    let mut seeds = vec![first];
    let mut state = first.0;
    while seeds.len() < times {
        state = state.wrapping_add(GOLDEN);
        let seed = Seed(mix(state) >> 32);
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
    }
    seeds
}

fn make_directory(
    arguments: &RunArguments,
    workload: &Workload,
    seed: Seed,
    times: u16,
    started: &jiff::Timestamp,
) -> Result<PathBuf, Failure> {
    let path = arguments.asked.out.clone().unwrap_or_else(|| {
        let set = format!("{}-{seed}-x{times}", started.strftime("%Y-%m-%dT%H-%M-%SZ"));
        PathBuf::from("reports").join(&workload.name).join(set)
    });
    let made = std::path::absolute(&path).and_then(|path| {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        // Never over another one.
        fs::create_dir(&path)?;
        Ok(path)
    });
    made.with_context(|| format!("make the set's directory {}", path.display())).map_err(Failure::Refused)
}

/// A set under way.
struct Repetition<'a> {
    arguments: &'a RunArguments,
    seeds: Vec<Seed>,
    set: RunSet,
    pooled: Vec<Failover>,
    progress: Progress,
    directory: PathBuf,
}

/// A run that has ended, by its index.
type Ended = (usize, std::io::Result<Output>);

impl Repetition<'_> {
    /// Runs all, so many at a time, and says why there are no more.
    async fn all(&mut self, jobs: usize) -> Result<SetEnd, Failure> {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
        let mut under_way: JoinSet<Ended> = JoinSet::new();
        let mut processes: Vec<(usize, Pid)> = Vec::new();
        let (mut next, mut ended) = (0, None);
        loop {
            while ended.is_none() && next < self.seeds.len() && under_way.len() < jobs {
                processes.extend(self.start(next, &mut under_way)?);
                next += 1;
            }
            let came = tokio::select! {
                Some(done) = under_way.join_next() => Some(done),
                _ = interrupt.recv() => { hand_on(&processes, Signal::SIGINT); None }
                _ = terminate.recv() => { hand_on(&processes, Signal::SIGTERM); None }
                _ = hangup.recv() => { hand_on(&processes, Signal::SIGHUP); None }
                else => return Ok(ended.unwrap_or(SetEnd::Complete)),
            };
            let Some(done) = came else {
                ended = Some(SetEnd::Interrupted);
                if under_way.is_empty() {
                    return Ok(SetEnd::Interrupted);
                }
                continue;
            };
            let (index, output) = done.context("wait for a run")?;
            processes.retain(|(of, _)| *of != index);
            let code = self.take(index, output, ended == Some(SetEnd::Interrupted))?;
            ended = ended.or(match code {
                // A system that did not come up once may do so the next time.
                1 | 254 | 255 if self.arguments.repeat.keep_going => None,
                1 => Some(SetEnd::Violation),
                254 | 255 => Some(SetEnd::Broken),
                _ => None,
            });
            if under_way.is_empty() && (ended.is_some() || next == self.seeds.len()) {
                return Ok(ended.unwrap_or(SetEnd::Complete));
            }
        }
    }

    fn start(&self, index: usize, under_way: &mut JoinSet<Ended>) -> Result<Option<(usize, Pid)>, Failure> {
        let own = std::env::current_exe().context("find this program's own file")?;
        let mut command = Command::new(own);
        command.args(["run", &self.arguments.asked.workload, "--quiet", "--seed", &self.seeds[index].to_string()]);
        command.arg("--part-of").arg(std::process::id().to_string());
        command.arg("--out").arg(self.directory.join(name(index)));
        for change in self.arguments.asked.changes.overrides() {
            command.arg("--set").arg(change);
        }
        for (flag, wanted) in
            [("--keep", self.arguments.asked.keep), ("--stop-on-violation", self.arguments.asked.stop_on_violation)]
        {
            if wanted {
                command.arg(flag);
            }
        }
        command.args(self.arguments.world.words());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().context("start a run")?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(|id| (index, Pid::from_raw(id)));
        under_way.spawn(async move { (index, child.wait_with_output().await) });
        Ok(pid)
    }

    /// Takes in a run that has ended. Returns its exit code.
    fn take(&mut self, index: usize, output: std::io::Result<Output>, interrupted: bool) -> Result<u8, Failure> {
        let output = output.context("wait for a run")?;
        let directory = name(index);
        let path = self.directory.join(&directory);
        let report = fs::read_to_string(RunDir::at(&path).report_json())
            .ok()
            .and_then(|text| serde_json::from_str::<Report>(&text).ok());
        // A run that a signal ended has no code; it failed, and so did we.
        let code = output.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(255);
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let sentence = match &report {
            Some(report) => report.sentence.clone(),
            None => words.lines().last().map_or_else(|| "it left no report".to_owned(), str::to_owned),
        };
        // A run without a report has no verdict, whatever its code says; one that was told to end before it began did no wrong.
        let code = match (report.is_none(), interrupted) {
            (true, true) => 2,
            (true, false) if code <= 3 => 255,
            (true, false) => code,
            // It may have failed to write something else after it had found a violation.
            (false, _) if code >= 254 && report.as_ref().is_some_and(|report| report.exit_code == 1) => 1,
            (false, _) => code,
        };
        let failovers = report.as_ref().map_or(0, |report| report.measured.failovers.len() as u64);
        let seed = self.seeds[index];
        let word = report.as_ref().map_or("BROKEN", |report| report.verdict.word());
        self.progress.run(&format!("run {directory}  seed {seed:<10}  {word:<7}  {failovers} failovers  {sentence}"));
        // What a run says to GitHub Actions goes on to it.
        for command in words.lines().filter(|line| line.starts_with("::")) {
            drop(writeln!(std::io::stderr(), "{command}"));
        }
        if code == 1 {
            show::print(&String::from_utf8_lossy(&output.stdout));
        } else if code >= 254 {
            self.progress.line(&words);
        }
        let run =
            SetRun { number: index + 1, directory, seed, exit_code: code, sentence, failovers, as_expected: false };
        self.set.add(run, report.as_ref(), &mut self.pooled);
        // A full disk costs the file, not the verdict: it is tried once more at the end.
        if let Err(failure) = self.save() {
            self.progress.line(&failure.in_words());
        }
        Ok(code)
    }

    /// Writes `set.json` and `set.md`, each by renaming: a reader never sees half a file.
    fn save(&self) -> Result<(), Failure> {
        let json = self.set.to_json().map_err(anyhow::Error::from)?;
        for (file, text) in [("set.json", json), ("set.md", self.set.to_markdown())] {
            write_whole(&self.directory.join(file), &text)?;
        }
        Ok(())
    }
}

/// A run's directory inside of the set's.
fn name(index: usize) -> String {
    format!("{:03}", index + 1)
}

/// Hands a signal on. A terminal's Ctrl-C has reached the runs already; they drop a second one that comes at once.
fn hand_on(processes: &[(usize, Pid)], signal: Signal) {
    for (_, process) in processes {
        // One that has just ended needs none.
        let _ = kill(*process, signal);
    }
}

/// How far the set is: a bar in a terminal, a line a run elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    fn new(quiet: bool, times: u16) -> Self {
        let bar = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let bar = ProgressBar::with_draw_target(Some(times.into()), ProgressDrawTarget::stderr());
            let template = "{wide_bar:.cyan/dim} {pos} of {len} runs, {elapsed} gone, {eta} to go";
            bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, quiet }
    }

    fn run(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        if !self.quiet {
            self.line(line);
        }
    }

    fn line(&self, line: &str) {
        // Whatever a run or a node said is data.
        let shown = printable(line);
        match &self.bar {
            Some(bar) => bar.println(shown),
            None => drop(writeln!(std::io::stderr(), "{shown}")),
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_set_begins_with_the_shorter_ones_seeds_and_none_comes_twice() {
        let (few, many) = (seeds(Seed(7), 5), seeds(Seed(7), 500));
        assert_eq!(few[..], many[..5]);
        assert_eq!(few[0], Seed(7));
        let distinct: std::collections::BTreeSet<u64> = many.iter().map(|seed| seed.0).collect();
        assert_eq!(distinct.len(), 500);
        assert_ne!(seeds(Seed(8), 5)[1], few[1]);
    }
}
