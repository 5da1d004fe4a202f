//! `chaos report`, and the files that `chaos run` leaves beside its report: judging is another module's, writing is here.
//!
//! A file appears whole or not at all: it is written beside its place and then moved there, so that an error (a full disk, a
//! folder without permission) leaves what was there before. Several files are all tried, whatever becomes of the first.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chaos_history::RunDir;
use chaos_plan::Source;
use chaos_report::formats::{self, Format, FormatError, Pooling, SUMMARY_BYTES_MAX};
use chaos_report::{Report, RunSet};

use crate::failure::Failure;
use crate::{judge, show};

/// Arguments of `chaos report`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ReportArguments {
    /// Run directories, or directories of run directories. Several are several runs of one experiment: their failovers are
    /// pooled, the gravest verdict counts.
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// How to write: html, json, junit, markdown, github, trace, prometheus, csv, hlog or text. Left out: report.html and
    /// report.json, into each run directory.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Where to write: a file, or a directory, where the file gets its usual name. Left out: standard output.
    #[arg(long, value_name = "FILE|DIR", requires = "format")]
    out: Option<PathBuf>,
    /// Pool runs though their workloads, systems, node counts or timeouts differ.
    #[arg(long, requires = "format")]
    force: bool,
}

const HELP: &str = "\
Examples:
  chaos report reports/kill/<run>                             report.html and report.json, anew
  chaos report reports/kill/* --format junit --out junit.xml  one suite per run
  chaos report reports/kill/* --format text                   every run, and the figures over all
  chaos report reports/kill/<run> --format trace --out .      trace.json, for ui.perfetto.dev

Exits with 0 if everything was written, whatever the verdict: `chaos check` exits by that.";

/// Judges saved runs and writes their reports.
pub(crate) fn report(arguments: &ReportArguments) -> Result<ExitCode, Failure> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for named in &arguments.directories {
        directories.extend(runs_in(named)?);
    }
    let Some(format) = arguments.format else {
        for directory in &directories {
            judge::render(directory)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    if format == Format::Html && directories.len() > 1 {
        return Err(Failure::refused(FormatError::OneRunOnly(format)));
    }
    refuse_twice(&directories)?;
    let reports: Vec<Report> =
        directories.iter().map(|directory| judge::judge(&judge::open(directory)?)).collect::<Result<_, Failure>>()?;
    let pooling = if arguments.force { Pooling::Forced } else { Pooling::Alike };
    let text = formats::render(format, &reports, pooling).map_err(|error| match error {
        FormatError::Unlike(_) => Failure::Refused(anyhow!("{error} (--force pools them all the same)")),
        FormatError::NoReport | FormatError::OneRunOnly(_) => Failure::refused(error),
        FormatError::Report(_) => Failure::Broken(error.into()),
    })?;
    match &arguments.out {
        None => show::print(&text),
        Some(out) => {
            let path = if out.is_dir() { out.join(format.file_name()) } else { out.clone() };
            write_whole(&path, &text).map_err(Failure::Refused)?;
            show::print(&format!("{}\n", path.display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The run directories that are meant: the one that is named or, if it is none, those right inside of it, by name. What is
/// neither stays as it is named, and is refused when it is opened.
fn runs_in(named: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_run = |path: &Path| RunDir::open(path).is_ok();
    if is_run(named) {
        return Ok(vec![named.to_owned()]);
    }
    if let Ok(text) = fs::read_to_string(named.join("set.json")) {
        let set: RunSet = serde_json::from_str(&text)
            .with_context(|| format!("understand {}/set.json", named.display()))
            .map_err(Failure::Refused)?;
        // What is left out silently would make the set look better than it is.
        if let Some(lost) = set.runs.iter().find(|run| !is_run(&named.join(&run.directory))) {
            let (set, run, code) = (named.display(), &lost.directory, lost.exit_code);
            let why =
                anyhow!("{set}/{run} can't be read, and ended with exit code {code}: name the other runs one by one");
            return Err(Failure::Refused(why));
        }
        if set.runs.len() < set.asked {
            let (done, asked) = (set.runs.len(), set.asked);
            drop(writeln!(io::stderr(), "note: {} has {done} of {asked} runs", named.display()));
        }
    }
    let inside = fs::read_dir(named).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut runs: Vec<PathBuf> = inside.filter(|path| is_run(path)).collect();
    runs.sort();
    Ok(if runs.is_empty() { vec![named.to_owned()] } else { runs })
}

/// A run that is named twice would count as two.
fn refuse_twice(directories: &[PathBuf]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for directory in directories {
        // What is not there is refused when it is opened.
        let place = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        if !seen.insert(place) {
            return Err(Failure::Refused(anyhow!("{} is named twice: a run counts once", directory.display())));
        }
    }
    Ok(())
}

/// Says of each missed expectation where the user wrote it: in the workload that the run was started from, as far as that is a
/// file whose line is still there.
pub(crate) fn place_expectations(report: &mut Report, workload: &Source) {
    for (text, place) in chaos_plan::expectation_places(workload) {
        for result in report.expectations.iter_mut().filter(|result| result.text == text) {
            result.source = Some(place.clone());
        }
    }
}

/// After a run: `junit.xml` and `summary.md` beside the report and, in a job of GitHub Actions, its summary and annotations. Tells
/// on standard error what could not be written; whatever could be, is. Returns the run's exit code, which is a failure of
/// ours only where the verdict is none.
pub(crate) fn for_ci(directory: &RunDir, report: &Report) -> u8 {
    let reports = std::slice::from_ref(report);
    let mut failed = Vec::new();
    for format in [Format::Junit, Format::Markdown] {
        let written = formats::render(format, reports, Pooling::Alike)
            .map_err(anyhow::Error::from)
            .and_then(|text| write_whole(&directory.root().join(format.file_name()), &text));
        failed.extend(written.err());
    }
    if let Some(summary) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        failed.extend(append_summary(Path::new(&summary), reports).err());
    }
    if env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        match formats::render(Format::Github, reports, Pooling::Alike) {
            // The runner reads commands from both streams, and standard output may belong to another program.
            Ok(commands) => drop(io::stderr().write_all(commands.as_bytes())),
            Err(error) => failed.push(error.into()),
        }
    }
    let told = failed.into_iter().map(|error| Failure::Broken(error).tell(io::stderr().is_terminal())).max();
    if report.exit_code == 0 { told.unwrap_or(0) } else { report.exit_code }
}

/// Adds to the job's summary what it still has room for: one that is too large is dropped as a whole.
fn append_summary(path: &Path, reports: &[Report]) -> anyhow::Result<()> {
    let write = || format!("add to the job's summary {}", path.display());
    let taken = fs::metadata(path).map_or(0, |file| usize::try_from(file.len()).unwrap_or(usize::MAX));
    let text = formats::summary_within(reports, SUMMARY_BYTES_MAX.saturating_sub(taken + 1))?;
    let mut file = OpenOptions::new().create(true).append(true).open(path).with_context(write)?;
    file.write_all(format!("{text}\n").as_bytes()).with_context(write)
}

/// Writes a file whole or not at all. What is no file (a pipe, a device) is written to as it is.
pub(crate) fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || format!("write {}", path.display());
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text).with_context(write);
    }
    let name = path.file_name().ok_or_else(|| anyhow!("write {}: it names no file", path.display()))?;
    let beside = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Best effort: the error that is told is the first.
        drop(fs::remove_file(&beside));
    }
    written.with_context(write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder for the test")
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_beside_it() {
        let folder = folder();
        let path = folder.path().join("junit.xml");
        write_whole(&path, "old").unwrap();
        // A folder in the place of the part: whoever runs the test may not be stopped by permissions.
        fs::create_dir(folder.path().join(format!(".junit.xml.{}.part", std::process::id()))).unwrap();
        let error = write_whole(&path, "new").unwrap_err();
        assert!(format!("{error:#}").contains("junit.xml"), "{error:#}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        let other = folder.path().join("no/such/folder.xml");
        assert!(format!("{:#}", write_whole(&other, "new").unwrap_err()).contains("no/such/folder.xml"));
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = folder();
        let path = folder.path().join("a.txt");
        write_whole(&path, "a longer text").unwrap();
        write_whole(&path, "short").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
