//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
  chaos run partition --set system.raft.specimen=double-vote
                                              the same against a node that is broken on purpose
  chaos check reports/partition/<run>         judge a saved run again
  chaos doctor                                what can this host do?

Exit codes:
  0  valid, and every expectation met         1  a safety property is violated
  2  unknown, or not run to its end           3  valid, but an expectation was missed
  254  the plan or the arguments are wrong, or this host can't do it
  255  our own failure";

/// What chaos can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workload: start the cluster, break it, judge it, write the report.
    Run(RunArguments),
    /// Judge a saved run again; prints the verdicts and exits accordingly.
    Check(SavedRun),
    /// Render a saved run's report.json and report.html again.
    Report(SavedRun),
    /// Validate a workload and print it with every default filled in.
    Plan(PlanArguments),
    /// List the built-in workloads and fault plans, and the broken nodes.
    List,
    /// Print the language of workloads and fault plans.
    Language,
    /// Try everything that a run needs of this host, and say what to change for what is missing.
    Doctor,
    /// Be one node of the reference cluster (what `run` starts).
    Node(Box<election_node::NodeArguments>),
}

/// Arguments of `chaos run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// A workload file, or the name of a built-in one (see `chaos list`).
    pub(crate) workload: String,
    /// The seed of every random choice. Left out: the workload's own, or a fresh one, which is printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The run directory, which must not exist yet. Left out: reports/<workload>/<UTC time>-<seed>.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Change a value of the workload, for example nodes=3 or system.raft.heartbeat=20ms. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Keep the nodes' data directories after a valid run too.
    #[arg(long)]
    pub(crate) keep: bool,
    /// End the run at the first violation that can be seen while it goes on (two leaders, a second vote, a fallen term, an
    /// impossible answer), instead of when the fault plan is through.
    #[arg(long)]
    pub(crate) stop_on_violation: bool,
    /// Print only the summary.
    #[arg(long, short)]
    pub(crate) quiet: bool,
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
    /// Change a value of the workload. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

/// A run that was saved.
#[derive(Debug, clap::Args)]
pub(crate) struct SavedRun {
    /// The run directory.
    pub(crate) directory: PathBuf,
}
