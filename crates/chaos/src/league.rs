//! `chaos league DIR…`: many saved runs as one table, systems beside each other under the same faults.
//!
//! Reads `report.json` of every run directory under the named ones, and `not-run.txt` of what came to nothing; what that makes is
//! `chaos_report::league`. One of them that is damaged is named and left out: a table of a hundred runs doesn't wait for one.
//! Refuses to run anything: `scripts/league` does, and asks here how much is still missing.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use chaos_history::RunDir;
use chaos_report::Report;
use chaos_report::league::{League, NotRun, faults_so_far};

use crate::failure::{Failure, printable};
use crate::report::write_whole;
use crate::show;

/// The file in which whoever tried a run says why it came to nothing.
const NOT_RUN: &str = "not-run.txt";

/// A run directory lies at most so deep below a named one: fault, system, run.
const DEPTH_MAX: usize = 8;

/// Arguments of `chaos league`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct LeagueArguments {
    /// Run directories, and folders of them at any depth.
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// Write the league as Markdown to this file. Left out: it is printed, unless --html is given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the league as a page to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Render nothing: print how many of so many faults the runs haven't had yet. A folder that isn't there has no runs.
    #[arg(long, value_name = "N", conflicts_with_all = ["out", "html"])]
    missing: Option<u64>,
}

const HELP: &str = "\
Runs of one system, version, profile and fault (the workload's name) are pooled into one row. Run them by
  scripts/league                                        all systems, all faults, default and fast timeouts; resumable
  chaos run workloads/league/kill.yaml --system etcd    or one by one
A folder's `not-run.txt` says what could not be run, in lines `system: …`, `version: …`, `profile: …`, `fault: …`, `reason: …`.

Exits with 254 if a file is damaged, which is named and left out of what is written all the same.";

/// Renders a league, or counts what is missing of one.
pub(crate) fn league(arguments: &LeagueArguments) -> Result<ExitCode, Failure> {
    let mut found = Found::default();
    for directory in &arguments.directories {
        if arguments.missing.is_some() && !directory.exists() {
            continue;
        }
        found.gather(directory, 0).map_err(Failure::Refused)?;
    }
    for why in &found.damaged {
        // `eprint!` would panic where the reader has gone away.
        drop(writeln!(io::stderr(), "warning: left out: {}", printable(&format!("{why:#}"))));
    }
    if let Some(wanted) = arguments.missing {
        show::print(&format!("{}\n", wanted.saturating_sub(faults_so_far(&found.reports))));
        return Ok(ExitCode::SUCCESS);
    }
    if found.reports.is_empty() && found.not_run.is_empty() {
        let named: Vec<String> = arguments.directories.iter().map(|path| path.display().to_string()).collect();
        let why = anyhow!("there is no run with a report.json, and no {NOT_RUN}, under {}", named.join(", "));
        return Err(Failure::Refused(why));
    }
    let code = ExitCode::from(if found.damaged.is_empty() { 0 } else { 254 });
    let league = League::new(&found.reports, &found.not_run);
    if let Some(file) = &arguments.html {
        write_whole(file, &league.to_html().map_err(anyhow::Error::from)?).map_err(Failure::Refused)?;
    }
    match (&arguments.out, &arguments.html) {
        (Some(file), _) => write_whole(file, &league.to_markdown()).map_err(Failure::Refused)?,
        (None, Some(_)) => {}
        (None, None) => {
            show::print(&league.to_markdown());
            return Ok(code);
        }
    }
    for file in arguments.out.iter().chain(&arguments.html) {
        show::print(&format!("{}\n", file.display()));
    }
    let (runs, failovers) = (found.reports.len(), league.failovers());
    show::print(&format!("{runs} runs with {failovers} failovers, {} could not run\n", found.not_run.len()));
    Ok(code)
}

/// What lies under the named directories.
#[derive(Debug, Default)]
struct Found {
    reports: Vec<Report>,
    not_run: Vec<NotRun>,
    /// What is no report or no reason, though its name says so.
    damaged: Vec<anyhow::Error>,
}

impl Found {
    /// Takes a run directory, or looks through a folder, in the order of names.
    fn gather(&mut self, path: &Path, depth: usize) -> anyhow::Result<()> {
        let report = RunDir::at(path).report_json();
        if report.is_file() {
            match read_report(&report) {
                Ok(report) => self.reports.push(report),
                Err(why) => self.damaged.push(why),
            }
            return Ok(());
        }
        let not_run = path.join(NOT_RUN);
        if not_run.is_file() {
            match read_not_run(&not_run) {
                Ok(reason) => self.not_run.push(reason),
                Err(why) => self.damaged.push(why),
            }
        }
        let entries = fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
        // A run that is still going on, or broke, has a history and no report: its nodes' files are none of ours.
        if depth == DEPTH_MAX || RunDir::open(path).is_ok() {
            return Ok(());
        }
        let mut folders: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders.iter().try_for_each(|folder| self.gather(folder, depth + 1))
    }
}

fn read_report(file: &Path) -> anyhow::Result<Report> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("understand {}: `chaos report` writes it anew", file.display()))
}

fn read_not_run(file: &Path) -> anyhow::Result<NotRun> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    NotRun::read(&text).with_context(|| format!("understand {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_run_is_found_at_any_depth_and_read_strictly() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let cell = folder.path().join("kill/etcd-fast");
        fs::create_dir_all(&cell).expect("made");
        let text = "system: etcd\nprofile: fast\nfault: kill\nreason: not installed\n";
        fs::write(cell.join(NOT_RUN), text).expect("written");
        let mut found = Found::default();
        found.gather(folder.path(), 0).expect("readable");
        assert_eq!((found.reports.len(), found.not_run.len()), (0, 1));
        assert_eq!(found.not_run[0].reason, "not installed");

        fs::write(cell.join(NOT_RUN), "system: etcd\n").expect("written");
        let mut found = Found::default();
        found.gather(folder.path(), 0).expect("readable");
        assert!(found.not_run.is_empty(), "half a reason is none");
        let why = format!("{:#}", found.damaged[0]);
        assert!(why.contains("not-run.txt: no line `profile: …`"), "{why}");
    }
}
