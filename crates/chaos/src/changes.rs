//! What `run`, `wrap` and `plan` have in common on the command line: a workload, and what is changed of it.
//!
//! Every change becomes a `--set` before anything reads it, so that there is one kind of change, checked like the file's own words:
//!
//! ```text
//! --system etcd       system=etcd             in place of the workload's, whatever it says; first, so that what follows is of it
//! --version 3.5.1     system.version=3.5.1
//! --profile fast      system.profile=fast
//! --network proxy     network=proxy
//! --set KEY=VALUE     KEY=VALUE
//! --bin etcd=/opt/e   system.programs.etcd="/opt/e"
//! ```

use std::path::PathBuf;

use chaos_plan::system_override;

/// What is to be run, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// A workload file, or the name of a built-in one (see `chaos list`).
    pub(crate) workload: String,
    /// The seed of every random choice. Left out: the workload's own, or a fresh one, which is printed.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// The run directory, which must not exist yet. Left out: reports/<workload>/<UTC time>-<seed>.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// What is changed of the workload.
    #[command(flatten)]
    pub(crate) changes: Changes,
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

/// Changes of a workload.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Changes {
    /// Test this system instead of the workload's: raft, a built-in one (see `chaos list`), or a definition's file.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// The version of the system, one of those that its definition names. Left out: the first of them.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The tuning profile of the system, for example fast. Left out: default.
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What nodes talk over, in place of the workload's: netns, or proxy, which needs no namespaces, acts on TCP streams only, and is for
    /// raft, raft-rs and openraft.
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Change a value of the workload, for example nodes=3 or system.raft.heartbeat=20ms. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Take a program of the system under test from elsewhere, for example etcd=/opt/etcd/bin/etcd. May be repeated.
    #[arg(long = "bin", value_name = "NAME=PATH", value_parser = program)]
    programs: Vec<String>,
}

impl Changes {
    /// All of them as `--set` says them, in the order in which they are made.
    pub(crate) fn overrides(&self) -> Vec<String> {
        let named = [
            ("system", &self.system),
            ("system.version", &self.version),
            ("system.profile", &self.profile),
            ("network", &self.network),
        ];
        let named = named.into_iter().filter_map(|(key, name)| Some(system_override(key, name.as_ref()?)));
        named.chain(self.overrides.iter().cloned()).chain(self.programs.iter().cloned()).collect()
    }
}

/// `NAME=PATH` as the change of the workload that it stands for.
pub(crate) fn program(text: &str) -> Result<String, String> {
    chaos_plan::program_override(text)
        .ok_or_else(|| "a program's name and its path are wanted: etcd=/opt/etcd".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        asked: Asked,
    }

    fn overrides(words: &[&str]) -> Vec<String> {
        let line = Line::try_parse_from(["chaos"].iter().chain(words)).expect("the words are known");
        line.asked.changes.overrides()
    }

    #[test]
    fn the_system_comes_first_wherever_it_stands_on_the_line() {
        let words = ["--bin", "etcd=/opt/e", "--set", "nodes=3", "kill", "--profile", "fast", "--version", "3.5.1"];
        let words = [words.as_slice(), &["--system", "etcd", "--set", "system.tune.heartbeat=50"]].concat();
        assert_eq!(
            overrides(&words),
            [
                "system=etcd",
                "system.version=3.5.1",
                "system.profile=fast",
                "nodes=3",
                "system.tune.heartbeat=50",
                "system.programs.etcd=\"/opt/e\""
            ]
        );
    }

    #[test]
    fn nothing_is_changed_unasked() {
        assert!(overrides(&["kill"]).is_empty());
        assert!(Line::try_parse_from(["chaos", "kill", "--bin", "etcd"]).is_err());
    }
}
