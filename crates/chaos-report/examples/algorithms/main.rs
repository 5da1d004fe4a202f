//! Sets election algorithms beside each other, from saved runs of `workloads/algorithms`:
//! `cargo run --release -p chaos-report --example algorithms -- OUT.md RUNS-DIRECTORY`.
//!
//! The directory holds a run in each RUNS/FAULT/SYSTEM/NUMBER. Verdicts and times are those of the runs' `report.json`, messages those that
//! the nodes have counted themselves (`nodes/*/counts.jsonl`, written by `chaos node --counts`). `scripts/algorithms` makes the runs and
//! calls this.
//!
//! It judges and measures nothing: what a report doesn't say is a dash here, and what never came is said to have never come.
#![expect(clippy::print_stderr, reason = "a command-line program")]

mod messages;
mod row;
mod theory;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use row::Row;
use theory::THEORY;

type Error = Box<dyn std::error::Error>;

/// The faults, in the order of the table, and what is worth knowing of each.
const FAULTS: [(&str, &str); 4] = [
    ("kill", "the leader is killed until another one leads"),
    ("pause", "the leader is stopped until another one leads, and wakes"),
    ("partition", "the leader is cut off from the others until another one leads"),
    ("minority", "five nodes are cut into two, two and one for 2 s: nobody has a majority"),
];

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [out, runs] = arguments.as_slice() else {
        eprintln!("usage: algorithms OUT.md RUNS-DIRECTORY");
        return ExitCode::from(254);
    };
    match table(runs).and_then(|text| Ok(fs::write(out, text)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(255)
        }
    }
}

fn table(runs: &Path) -> Result<String, Error> {
    let mut text = String::from(
        "# Six election algorithms under the same faults\n\n\
         Written by `scripts/algorithms` from runs of `workloads/algorithms` on real processes: five nodes (and a lock service beside \
         those of `lease`), heartbeat 40 ms, timeouts 150–300 ms, no clients. All are asked for one leader per term and for one at a \
         time, whatever they promise; what an algorithm doesn't promise and doesn't keep is its nature, not a mistake.\n\n\
         - **elected**: from the fault to the first claim of a newer reign, upper bounds; p50 / p90 / p99 / max. A percentile stands \
         only where there are enough samples for it (5, 29 and 299).\n\
         - **overlap**: the longest time for which two leaders certainly led at once.\n\
         - **messages**: those sent to bring elections about, as the nodes count them, per reign begun.\n\
         - **reigns**: begun per fault, the first of each run left out.\n",
    );
    for (fault, about) in FAULTS {
        write!(text, "\n## {fault}: {about}\n\n")?;
        text.push_str(
            "| algorithm | per term | at a time | elected | overlap | messages | reigns | faults | stalled |\n",
        );
        text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        for theory in &THEORY {
            let row = Row::read(&runs.join(fault).join(theory.system))?;
            writeln!(text, "| `{}` | {} |", theory.name, row.cells().join(" | "))?;
        }
    }
    text.push_str("\n## What theory says\n\n");
    text.push_str(
        "| algorithm | promises | messages per election of n nodes | without a majority |\n|---|---|---|---|\n",
    );
    for theory in &THEORY {
        writeln!(text, "| `{}` | {} | {} | {} |", theory.name, theory.promises, theory.messages, theory.minority)?;
    }
    text.push_str(
        "\nThe counts of messages without losses are held against these by the test `counts` of the crate `election`. Real elections \
         cost more where several nodes notice at once, where votes are told again, and where one has to be held twice.\n",
    );
    Ok(text)
}
