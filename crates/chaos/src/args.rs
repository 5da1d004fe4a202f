//! The command line, as clap reads it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use chaos_foreign::{FailedCas, Format, Keys, Kind};
use clap::{Parser, Subcommand};

use crate::changes::{Asked, Changes};
use crate::completions::CompletionsArguments;
use crate::doctor::DoctorArguments;
use crate::events::RunFormat;
use crate::explain::ExplainArguments;
use crate::init::InitArguments;
use crate::list::ListArguments;
use crate::man::ManArguments;
use crate::simulated::WorldKind;
use crate::wrap::WrapArguments;

/// Break a cluster on purpose and see who leads.
///
/// chaos starts the nodes of a cluster as real processes, kills, pauses and partitions them by a plan, asks every node who
/// leads, writes and reads as clients do, and then says whether the cluster kept its promises and how long it was without a
/// leader. No root, no containers, no other tools.
#[derive(Debug, Parser)]
#[command(name = "chaos", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  chaos run workloads/partition.yaml          run a workload and write its report
  chaos run kill --seed 7 --set nodes=3       a built-in workload, with changes
  chaos run workloads/league/kill.yaml --system etcd --profile fast
                                              a real system that is installed (scripts/systems/install etcd)
  chaos run partition --world sim             the same in virtual time, in a second
  chaos run partition --set system.raft.specimen=double-vote
                                              the same against a node that is broken on purpose
  chaos check reports/partition/<run>         judge a saved run again
  chaos check history.edn                     judge a history of Jepsen, Porcupine or chaos
  chaos wrap kill -- cargo test               a test suite of your own while leaders are killed
  chaos explore --specimen read-unconfirmed   search for a plan that shows what is wrong, and make it small
  chaos explain linearizable                  what does this word mean?
  chaos doctor                                what can this host do?

Exit codes:
  0  valid, and every expectation met         1  a safety property is violated
  2  unknown, or not run to its end           3  valid, but an expectation was missed
  4  the wrapped command failed (`chaos wrap`), and no safety property is violated
  254  the plan or the arguments are wrong, this host can't do it, or the system did not come up
  255  our own failure";

/// What chaos can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workload: start the cluster, break it, judge it, write the report.
    Run(RunArguments),
    /// Run a command of your own (a test suite, say) against a cluster while a fault plan runs, and judge both.
    Wrap(WrapArguments),
    /// Search for plans under which a promise is broken, make them small, and write them down as workloads.
    Explore(crate::explore::ExploreArguments),
    /// Lead the reference node through any order of things, without time, and show the shortest way to a broken promise.
    Walk(crate::walk::WalkArguments),
    /// Run a plan again, under one seed after another, until it shows what it is kept for.
    Replay(crate::replay::ReplayArguments),
    /// Write a workload and a fault plan of your own to start from.
    Init(InitArguments),
    /// Judge saved runs again, and histories of other tools; prints the verdicts and exits accordingly.
    Check(CheckArguments),
    /// Render saved runs' reports again, in any format; several runs are merged.
    Report(crate::report::ReportArguments),
    /// Print the JSON Schema of workloads, fault plans, system definitions or reports.
    Schema(crate::schema::SchemaArguments),
    /// Say whether B fails over slower than A: runs, sets of runs, or a stored baseline.
    Compare(crate::compare::CompareArguments),
    /// Say how far a system is from the timeouts that it declares, from the saved runs of a sweep.
    BenchFloor(crate::bench_floor::BenchFloorArguments),
    /// Put many saved runs into one table: systems beside each other under the same faults.
    League(crate::league::LeagueArguments),
    /// Validate a workload and print it with every default filled in.
    Plan(PlanArguments),
    /// List the built-in workloads, fault plans and systems, the broken nodes, and the checks.
    List(ListArguments),
    /// List the broken nodes, or put them on trial: each must be convicted, and the sound node acquitted.
    Museum(crate::museum::MuseumArguments),
    /// Explain a property, fault, target, phase, metric, exit code, note of a report, or any word of a plan.
    Explain(ExplainArguments),
    /// Print the language of workloads and fault plans, or that of system definitions.
    Language(crate::show::LanguageArguments),
    /// Try everything that a run needs of this host, and say what to change for what is missing.
    Doctor(DoctorArguments),
    /// Try a system's definition on a cluster, and say what works; or show a built-in one.
    System(crate::system_check::SystemArguments),
    /// Try or explain client programs, which speak chaos-client/1 with the harness and anything with a system.
    Client(crate::client_check::ClientArguments),
    /// Print completions for a shell.
    Completions(CompletionsArguments),
    /// Print the manual page of chaos, or write those of all commands into a directory.
    Man(ManArguments),
    /// Be one node of the reference cluster (what `run` starts).
    Node(Box<election_node::NodeArguments>),
}

/// Arguments of `chaos run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// What is to be run.
    #[command(flatten)]
    pub(crate) asked: Asked,
    /// How to tell what happens: text for people, json for programs (events on standard output, one a line).
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: RunFormat,
    /// Where it runs: real, in processes; or sim, in virtual time, where one seed decides everything and a minute takes less than a second.
    /// The simulator runs the reference node only, and refuses plans with faults that it doesn't know.
    #[arg(long, value_name = "WORLD", value_enum, default_value_t)]
    pub(crate) world: WorldKind,
    /// Several runs instead of one.
    #[command(flatten)]
    pub(crate) repeat: crate::repeat::RepeatArguments,
}

const RUN_HELP: &str = "\
Ctrl-C once ends the run early: faults are taken back, and what happened is judged and reported (as unknown at best).
Ctrl-C twice ends it at once.

Set CHAOS_LOG (for example CHAOS_LOG=debug) to see what the harness does.";

/// Arguments of `chaos plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArguments {
    /// A workload file, or the name of a built-in one.
    pub(crate) workload: String,
    /// Print instead what each step of its fault plan will do, and by which means; exit code 254 if this host lacks one.
    #[arg(long)]
    pub(crate) steps: bool,
    /// What is changed of it.
    #[command(flatten)]
    pub(crate) changes: Changes,
}

/// Arguments of `chaos check`.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArguments {
    /// Run directories of chaos, or files: history.jsonl of chaos, history.edn or logs of Jepsen, logs of Porcupine.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How files are written: jepsen-edn, jepsen-log, etcd-log, porcupine-kv or chaos. Left out: by their content.
    #[arg(long, value_parser = crate::foreign::format)]
    pub(crate) format: Option<Format>,
    /// What the objects of files are. Left out: by their operations.
    #[arg(long, value_parser = crate::foreign::kind)]
    pub(crate) model: Option<Kind>,
    /// What a failed cas says: saw-another (the register held something else than it expected) or did-not-happen (nothing).
    /// Left out: saw-another in the etcd logs, did-not-happen elsewhere.
    #[arg(long, value_name = "MEANING", value_parser = crate::foreign::failed_cas)]
    pub(crate) failed_cas: Option<FailedCas>,
    /// Where keys stand: none, pairs (values are [key value]) or field (a :key of its own). Left out: by the values.
    #[arg(long, value_name = "PLACE", value_parser = crate::foreign::keys)]
    pub(crate) keys: Option<Keys>,
    /// What a register holds before the first write. Left out: nil.
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) initial: Option<String>,
    /// Say what the independent verifier checked again; with --certificate, check that file's claims instead of deciding.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Write the proof of every verdict to this file, which must not exist; with --verify, read it.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// When to give up searching: what is not decided then is unknown. Reading and explaining come on top. Left out: 10m.
    #[arg(long, value_name = "TIME", value_parser = crate::foreign::deadline)]
    pub(crate) deadline: Option<Duration>,
    /// How much memory searches may use in all. Left out: 1GiB.
    #[arg(long, value_name = "SIZE", value_parser = crate::foreign::size)]
    pub(crate) memory: Option<usize>,
    /// Threads that decide objects. Left out: as many as there are processors.
    #[arg(long, value_name = "N", value_parser = crate::foreign::threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Print one line per path.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const CHECK_HELP: &str = "\
Examples:
  chaos check reports/partition/<run>               judge a saved run again: everything that its workload asks for
  chaos check store/*/history.edn                   judge histories of Jepsen; exits by the worst
  chaos check --failed-cas saw-another history.edn  a :fail of a cas means that it saw another value
  chaos check --certificate proof.json history.edn  write why the verdict holds
  chaos check --verify --certificate proof.json history.edn
                                                    check a proof of anybody's, without deciding anything

A file's objects are judged for linearizability, each key by itself. The order of a file is taken for the order of time.
The options from --format to --threads are about files; a run directory says itself how it is judged. Of a history.jsonl
that lies beside its plan.yaml the whole run is judged, unless an option says how the file is to be read.

Exit codes, the worst of all paths:
  0  valid          1  invalid, whatever else          254  a file that is not understood, or can't be read
  2  unknown: undecided, or a claim that doesn't hold  3  valid, but a run's expectation was missed";
