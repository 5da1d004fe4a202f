//! `chaos museum`: broken nodes, and whether this harness convicts them.
//!
//! A harness is judged by what it convicts. A specimen that real processes can't show is led along untimed walks ([`walks`]), and so is the
//! sound node. Each one that they can show has a directed plan; a trial runs it under one
//! seed after another until the specimen is convicted, and then once with the sound node, which must be acquitted. What was
//! recorded is judged several times, each time from a part of the evidence ([`detectors`]), so that the figures say which kind of
//! evidence convicts what. `trial` runs, `detectors` judges, `tell` puts it into words; nothing here decides what is a violation, which
//! is the checkers' business.
//!
//! For programs (`--format json`), version 1, one object on standard output; without names and `--all` the specimens alone:
//!
//! ```json
//! {"schema":"chaos.museum/1","command":"chaos museum double-vote","specimens":[{"name":"double-vote","about":"…","property":"ElectionSafety",
//!  "replaces":"Rules::grants_vote","configuration":"…","instances":["https://…"],"plan":"workloads/museum/double-vote.yaml","why_not":null,"walks":null,
//!  "trial":{"attempts":[{"seed":1,"wall_ms":9120,"convictions":[{"property":"ElectionSafety","by":["all","polls","events"],
//!  "after_fault_ms":612}]}],"sound":{"seed":1,"wall_ms":9050,"verdict":"acquitted","words":""}}}],
//!  "scores":{"all":1,"polls":1,"events":1,"operations":0,"of":1}}
//! ```

mod detectors;
mod tell;
mod trial;
mod walks;

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use election::specimens::{self, Shown, Specimen};

use self::trial::Trial;
use self::walks::WalkTrial;
use crate::failure::Failure;
use crate::list::Format;
use crate::report::write_whole;
use crate::show;

/// The directed plans by the names of their specimens.
static PLANS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/museum_plans.rs"));

/// Arguments of `chaos museum`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct MuseumArguments {
    /// Specimens to put on trial. Left out: they are listed.
    #[arg(value_name = "NAME", conflicts_with = "all")]
    names: Vec<String>,
    /// Put every specimen on trial that real processes or walks can show.
    #[arg(long)]
    all: bool,
    /// Under so many seeds at most: a specimen shows itself in races that it can win by luck.
    #[arg(long, value_name = "N", default_value = "10")]
    attempts: NonZeroU16,
    /// Don't stop at the first conviction: try every seed, to see how often the plan convicts.
    #[arg(long)]
    each: bool,
    /// The first seed; the others follow it.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Where the runs go; those that are there already, of an earlier call, are judged and not repeated. Left out: reports/museum/<UTC time>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the result as Markdown to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How to tell it: text for people, json for programs.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

const HELP: &str = "\
Examples:
  chaos museum                                   what there is
  chaos museum double-vote                       one trial
  chaos museum --all --report reports/museum.md  all of them, which takes half an hour

Exit codes:
  0  every specimen on trial was convicted, and the sound node acquitted under every plan
  1  the sound node was convicted
  2  the sound node's run could not be judged
  3  a specimen was not convicted";

/// Lists the specimens, or puts them on trial.
pub(crate) fn museum(arguments: &MuseumArguments) -> Result<ExitCode, Failure> {
    let chosen = chosen(arguments)?;
    let command = command(arguments);
    if chosen.is_empty() {
        let rows: Vec<Row> = specimens::ALL.iter().map(|specimen| Row::untried(specimen)).collect();
        show::print(&match arguments.format {
            Format::Text => tell::list(),
            Format::Json => format!("{}\n", tell::object(&command, &rows)),
        });
        return Ok(ExitCode::SUCCESS);
    }
    let directory = make_directory(arguments)?;
    let mut rows = Vec::new();
    for specimen in chosen {
        let row = Row::tried(specimen, arguments, &directory)?;
        if arguments.format == Format::Text {
            show::print(&tell::line(&row));
        }
        rows.push(row);
    }
    show::print(&match arguments.format {
        Format::Text => tell::scores(&rows),
        Format::Json => format!("{}\n", tell::object(&command, &rows)),
    });
    if let Some(file) = &arguments.report {
        write_whole(file, &tell::markdown(&command, &rows))?;
    }
    Ok(ExitCode::from(rows.iter().map(Row::exit_code).min_by_key(rank).unwrap_or(0)))
}

/// A specimen, with what it was tried by.
struct Row {
    specimen: &'static Specimen,
    /// With real processes.
    trial: Option<Trial>,
    /// By walks without time.
    walks: Option<WalkTrial>,
}

impl Row {
    fn untried(specimen: &'static Specimen) -> Self {
        Self { specimen, trial: None, walks: None }
    }

    fn tried(specimen: &'static Specimen, arguments: &MuseumArguments, directory: &Path) -> Result<Self, Failure> {
        if let Shown::ByWalks(_) = specimen.shown {
            return Ok(Self { walks: Some(walks::hold(specimen)?), ..Self::untried(specimen) });
        }
        let plan = plan(specimen)?;
        let file = directory.join(format!("{specimen}.yaml"));
        fs::write(&file, plan).with_context(|| format!("write {}", file.display()))?;
        let seeds = (0..u64::from(arguments.attempts.get())).map(|nth| arguments.seed.wrapping_add(nth));
        let trial = trial::hold(&file, &directory.join(specimen.name), seeds, arguments.each)?;
        Ok(Self { trial: Some(trial), ..Self::untried(specimen) })
    }

    fn exit_code(&self) -> u8 {
        let codes = [self.trial.as_ref().map(Trial::exit_code), self.walks.as_ref().map(WalkTrial::exit_code)];
        codes.into_iter().flatten().min_by_key(rank).unwrap_or(0)
    }
}

/// The worst first: who is innocent and convicted is worse than who gets away.
fn rank(code: &u8) -> u8 {
    match code {
        0 => u8::MAX,
        code => *code,
    }
}

/// Who is to be tried.
fn chosen(arguments: &MuseumArguments) -> Result<Vec<&'static Specimen>, Failure> {
    if arguments.all {
        return Ok(specimens::ALL
            .iter()
            .copied()
            .filter(|specimen| !matches!(specimen.shown, Shown::ByScript(_)))
            .collect());
    }
    arguments.names.iter().map(|name| named(name)).collect()
}

/// The specimen of this name.
pub(crate) fn named(name: &str) -> Result<&'static Specimen, Failure> {
    Specimen::named(name).map_err(|error| {
        let meant = chaos_plan::nearest(name, specimens::ALL.iter().map(|specimen| specimen.name));
        let meant = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        Failure::Refused(anyhow!("{error}{meant}"))
    })
}

/// The text of a specimen's directed plan.
fn plan(specimen: &Specimen) -> Result<&'static str, Failure> {
    let plan = PLANS.iter().find(|(name, _)| *name == specimen.name).map(|(_, plan)| *plan);
    plan.ok_or_else(|| match specimen.shown {
        Shown::ByWalks(why) | Shown::ByScript(why) => {
            Failure::Refused(anyhow!("{specimen} can't be shown by real processes: {why}"))
        }
        Shown::ByProcesses => Failure::Broken(anyhow!("{specimen} has no plan")),
    })
}

fn make_directory(arguments: &MuseumArguments) -> Result<PathBuf, Failure> {
    let path = arguments.out.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
        Path::new("reports").join("museum").join(now)
    });
    let made = std::path::absolute(&path).and_then(|path| {
        fs::create_dir_all(&path)?;
        Ok(path)
    });
    made.with_context(|| format!("make {}", path.display())).map_err(Failure::Refused)
}

/// The command's line, as it can be given again.
fn command(arguments: &MuseumArguments) -> String {
    let mut words = vec!["chaos museum".to_owned()];
    words.extend(arguments.names.iter().cloned());
    words.extend(arguments.all.then(|| "--all".to_owned()));
    if arguments.all || !arguments.names.is_empty() {
        words.push(format!("--attempts {} --seed {}", arguments.attempts, arguments.seed));
    }
    words.extend(arguments.each.then(|| "--each".to_owned()));
    words.extend(arguments.out.as_ref().map(|directory| format!("--out {}", directory.display())));
    words.extend(arguments.report.as_ref().map(|file| format!("--report {}", file.display())));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use chaos_plan::{Source, System};

    use super::*;

    #[test]
    fn every_plan_runs_its_own_specimen_and_expects_the_property_that_its_row_names() {
        for (name, text) in PLANS {
            let specimen = Specimen::named(name).expect("a plan of the museum is of a specimen");
            assert!(specimen.workload().is_some_and(|file| file.ends_with(&format!("{name}.yaml"))), "{name}");
            let source = Source { name: format!("{name}.yaml"), text: (*text).to_owned() };
            let nothing = |_: &str| Err(std::io::ErrorKind::NotFound.into());
            let workload = chaos_plan::load_source(source, &[], &nothing).expect("a plan of the museum loads").workload;
            let System::Raft(options) = &workload.system else { panic!("{name} is of another system") };
            assert_eq!(options.specimen.as_deref(), Some(*name));
            let expected = workload.expect_violations.iter().flat_map(|check| crate::judge::properties(*check));
            let expected: Vec<&str> = expected.map(chaos_check::Property::name).collect();
            assert!(expected.contains(&specimen.property), "{name}: {expected:?}");
        }
    }

    #[test]
    fn every_specimen_that_processes_can_show_has_a_plan() {
        for specimen in specimens::ALL {
            assert_eq!(plan(specimen).is_ok(), specimen.workload().is_some(), "{specimen}");
        }
    }
}
