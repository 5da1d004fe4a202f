//! `chaos system`: is this definition of a system right?
//!
//! `check` starts a cluster of the definition, asks every observer at every node, tries every condition, every operation and the
//! comparer, kills the leader, waits for another, starts the first again, and says what works and which key of the file to change
//! where something doesn't. `show` prints a built-in definition to start from.
//!
//! Refuses to judge the system: whether it keeps its promises is what runs are for. Nothing is left behind, unless `--out` says
//! where.

mod findings;
mod operations;
mod steps;
mod trial;
mod views;

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_history::{RunDir, Seed};
use chaos_net::isolation::{self, EnterOptions};
use chaos_plan::definition::DefinedSystem;
use chaos_plan::{Source, System, Workload, builtin};
use chaos_systems::{DefinedDriver, Programs};
use clap::Subcommand;

use self::findings::{Findings, in_one_line};
use self::trial::{Abort, Trial};
use crate::failure::Failure;
use crate::home::Home;
use crate::means::Means;
use crate::{run, show};

/// Far above any sensible definition.
const DEFINITION_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `chaos system`.
#[derive(Debug, clap::Args)]
pub(crate) struct SystemArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a cluster of a definition, try everything in it, kill the leader, and say what works.
    #[command(after_help = HELP)]
    Check(CheckArguments),
    /// Print a built-in definition.
    Show(ShowArguments),
}

const HELP: &str = "\
Examples:
  chaos system check etcd --version 3.4.23
  chaos system check workloads/systems/mydb.yaml --bin mydb=./target/release/mydb

Exit codes:
  0    everything that the definition declares works
  3    something doesn't: the table names the key to change
  254  the file is wrong, a program is missing or of another version, or this host can't do it
  255  interrupted, or our own failure";

#[derive(Debug, clap::Args)]
struct CheckArguments {
    /// A definition's file, or the name of a built-in one (see `chaos list`).
    #[arg(value_name = "FILE|NAME")]
    system: String,
    /// Which of the definition's versions. Left out: the first.
    #[arg(long)]
    version: Option<String>,
    /// Which of its tuning profiles. Left out: `default`.
    #[arg(long)]
    profile: Option<String>,
    /// Take a program from elsewhere, for example etcd=/opt/etcd/bin/etcd. May be repeated.
    #[arg(long = "bin", value_name = "NAME=PATH", value_parser = crate::changes::program)]
    programs: Vec<String>,
    /// How many nodes; with fewer than three nobody is killed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// How long the start, the failover and the restart may take, each.
    #[arg(long, value_name = "TIME", default_value = "2min", value_parser = crate::foreign::deadline)]
    within: Duration,
    /// Keep logs, data and history in this directory, which must not exist yet. Left out: nothing is kept.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ShowArguments {
    /// The name of a built-in definition.
    name: String,
}

/// Tries a definition, or shows one.
pub(crate) fn system(arguments: &SystemArguments) -> Result<ExitCode, Failure> {
    match &arguments.what {
        What::Check(arguments) => check(arguments),
        What::Show(arguments) => {
            let known = || builtin::systems().iter().map(|built_in| built_in.name);
            let source = builtin::system(&arguments.name).ok_or_else(|| {
                let meant =
                    chaos_plan::nearest(&arguments.name, known()).map(|name| format!("; did you mean `{name}`?"));
                let known = known().collect::<Vec<_>>().join(", ");
                let name = in_one_line(&arguments.name);
                let meant = meant.unwrap_or_default();
                Failure::Refused(anyhow!("there is no built-in system `{name}`{meant}\nthere are: {known}"))
            })?;
            show::print(&source.text);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let workload = workload(arguments)?;
    let System::Defined(system) = &workload.system else {
        return Err(Failure::Refused(anyhow!("the reference node is built in: a definition is what can be checked")));
    };
    let system = DefinedSystem::clone(system);
    // The number of the process that the user started; inside of the namespaces every check has the same.
    let path = Scratch::path(arguments.out.as_deref(), std::process::id())?;
    // What is missing is said before anything is made.
    Programs::find(&system, &chaos_systems::cache()).map_err(Failure::refused)?;
    isolation::enter(&EnterOptions::default()).map_err(Failure::refused)?;
    run::init_log();
    let scratch = Scratch::make(path, arguments.out.is_some())?;

    let directory = run::fill_directory(&scratch.path, &workload)?;
    let started = jiff::Timestamp::now();
    let (world, driver) =
        run::build_world(&workload, &Home::Namespaces, Means::default(), Seed(1), &started, &directory, None)?;
    let driver = driver.context("a defined system has its driver")?;
    show::print(&heading(&system, &driver, arguments.nodes));
    let mut trial = Trial::new(world, driver, system, workload.nodes, directory, arguments.within);
    let done = steps::all(&mut trial);
    let findings = trial.finish().map_err(anyhow::Error::from)?;
    match done {
        Ok(()) => {}
        Err(Abort::World(error)) => return Err(Failure::Broken(error.into())),
        Err(Abort::Interrupted(why)) => {
            return Err(Failure::Broken(anyhow!("interrupted {why}; known by then:\n{}", findings.table())));
        }
    }
    show::print(&summary(&findings, arguments.out.as_deref()));
    Ok(ExitCode::from(if findings.broken_count() == 0 { 0 } else { 3 }))
}

/// The definition as a workload without load or faults, so that it is read like every other.
fn workload(arguments: &CheckArguments) -> Result<Workload, Failure> {
    let mut text = format!(
        "name: check\nsystem: {{ use: {} }}\nnodes: {}\nclients: none\nfaults: none\nchecks: [reelection: {{ within: 1min }}]\n\
         settle: 2min\n",
        quoted(&arguments.system),
        arguments.nodes
    );
    text.push_str(&format!("start-within: {}ms\n", arguments.within.as_millis()));
    let chosen =
        |key: &str, value: &Option<String>| value.as_ref().map(|value| format!("system.{key}={}", quoted(value)));
    let mut overrides: Vec<String> =
        [chosen("version", &arguments.version), chosen("profile", &arguments.profile)].into_iter().flatten().collect();
    overrides.extend(arguments.programs.iter().cloned());
    let source = Source { name: "chaos system check".to_owned(), text };
    Ok(chaos_plan::load_source(source, &overrides, &read_definition)?.workload)
}

/// Reads a file that is small, as every definition is.
fn read_definition(name: &str) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(name)?.take(DEFINITION_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > DEFINITION_BYTES_MAX {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

/// As a YAML text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn heading(system: &DefinedSystem, driver: &DefinedDriver, nodes: u8) -> String {
    let definition = &system.definition;
    let version = system.version().map_or_else(String::new, |version| format!(" {version}"));
    let mut text = format!("{}{version}, {nodes} nodes, profile {}\n", definition.name, system.profile);
    if let Some(untested) = &definition.untested {
        text.push_str(&format!("  nobody has tried this definition: {}\n", in_one_line(untested)));
    }
    for (name, path) in driver.programs() {
        text.push_str(&program_line(name, path, driver.versions().get(name).map(String::as_str)));
    }
    text
}

/// Where a program is, and which version of it, if it tells that.
fn program_line(name: &str, path: &Path, version: Option<&str>) -> String {
    let version = version.map_or_else(String::new, |version| format!("  version {}", in_one_line(version)));
    format!("  program {name}  {}{version}\n", path.display())
}

fn summary(findings: &Findings, out: Option<&Path>) -> String {
    let mut text = format!("\n{}", findings.table());
    match findings.broken_count() {
        0 => text.push_str("\nEverything that the definition declares works.\n"),
        count => {
            text.push_str(&format!("\n{count} of these don't work.\n"));
            if out.is_none() {
                text.push_str("All logs: chaos system check … --out DIR\n");
            }
        }
    }
    text
}

/// Where a check keeps what its nodes write; gone with the check unless the user wants to have it.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Where it will be; nothing is made yet.
    fn path(out: Option<&Path>, pid: u32) -> Result<PathBuf, Failure> {
        let own = || std::env::temp_dir().join(format!("chaos-check-{pid}-{:08x}", rand::random::<u32>()));
        let path = out.map_or_else(own, Path::to_owned);
        let absolute = std::path::absolute(&path).with_context(|| format!("find {}", path.display()));
        absolute.map_err(Failure::Refused)
    }

    /// Makes it. What is there already is somebody else's, and left alone.
    fn make(path: PathBuf, keep: bool) -> Result<Self, Failure> {
        let made = RunDir::create(&path).with_context(|| format!("make the directory {}", path.display()));
        made.map_err(Failure::Refused)?;
        Ok(Self { path, keep })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::error!(path = %self.path.display(), %error, "could not remove what the check has written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_can_be_checked_whatever_it_promises() {
        for system in builtin::systems() {
            let arguments = CheckArguments {
                system: system.name.to_owned(),
                version: None,
                profile: None,
                programs: Vec::new(),
                nodes: 3,
                within: Duration::from_secs(60),
                out: None,
            };
            assert!(workload(&arguments).is_ok(), "{}", system.name);
        }
    }

    #[test]
    fn a_programs_version_stands_apart_from_its_path_and_steers_no_terminal() {
        let line = |version| program_line("mydb", Path::new("/opt/chaos"), version);
        assert_eq!(line(Some(" 0.1.0\x1b[2J\n")), "  program mydb  /opt/chaos  version 0.1.0\\u{1b}[2J\n");
        assert_eq!(line(None), "  program mydb  /opt/chaos\n");
    }
}
