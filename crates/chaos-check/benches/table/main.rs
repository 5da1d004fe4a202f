//! The table of what the checker costs, measured against `porcupine-rs` in the same run.
//!
//! `cargo bench -p chaos-check` measures everything, `cargo bench -p chaos-check -- etcd mutex` the rows whose names begin
//! so, and `-- --list` names them. Slowness is printed (`MISS`); only a wrong verdict, or a history on which nothing could be
//! measured, makes the exit code 1.
//!
//! To see where time goes: `CHAOS_PROFILE_MS=3000 perf record -g PROGRAM --measure ours etcd_004`, where PROGRAM is what
//! `cargo bench -p chaos-check --no-run` names. `verdict` instead of `ours` leaves out the certificate.
//!
//! Per line: our verdict (verified: `check` re-plays every order and refutes every counterexample before it answers), CPU
//! time and bytes allocated beyond the history's own; the same of the baseline; how many times longer the baseline took.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

#[path = "../generate/mod.rs"]
mod generate;

mod baseline;
mod case;
mod corpus;
mod limits;
mod measure;
mod rows;
mod stream;
mod sys;
mod text;

use std::process::ExitCode;

use corpus::Corpus;
use measure::Side;
use rows::ROWS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["--measure", "ours", name] => measure(Side::Ours, name),
        ["--measure", "verdict", name] => measure(Side::Verdict, name),
        ["--measure", "theirs", name] => measure(Side::Theirs, name),
        ["--stream", which, name] => stream::here(which, name).map(|measured| {
            print(&measured.to_string());
            ExitCode::SUCCESS
        }),
        ["--limit", which] => limits::here(which).map(|()| ExitCode::SUCCESS),
        _ if !words.contains(&"--bench") => {
            eprintln!("nothing is measured unless by `cargo bench`");
            return ExitCode::SUCCESS;
        }
        _ if words.contains(&"--list") => {
            ROWS.iter().for_each(|row| println!("{}: {}", row.id, row.class));
            return ExitCode::SUCCESS;
        }
        _ => table(&words),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what a process that measures tells the one that started it.
fn print(line: &str) {
    println!("{line}");
}

fn measure(side: Side, name: &str) -> Result<ExitCode, String> {
    print(&name.parse::<case::Case>()?.measure(side)?.to_string());
    Ok(ExitCode::SUCCESS)
}

fn table(words: &[&str]) -> Result<ExitCode, String> {
    let corpus = Corpus::find()?;
    let wanted: Vec<&str> = words.iter().filter(|word| !word.starts_with("--")).copied().collect();
    let rows = ROWS.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|name| row.id.starts_with(name)));
    let (mut passed, mut missed, mut wrong) = (0, 0, 0);
    for row in rows {
        let lines = (row.run)(&corpus);
        print!("{}", text::row(row, &lines));
        wrong += lines.iter().filter(|line| line.wrong.is_some()).count();
        passed += lines.iter().filter(|line| line.pass == Some(true)).count();
        missed += lines.iter().filter(|line| line.pass == Some(false)).count();
    }
    if passed + missed == 0 {
        return Err(format!("no row is named {}: see --list", wanted.join(" or ")));
    }
    println!("{passed} lines reach their targets, {missed} miss them, {wrong} are wrong");
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
