//! The command lines that run a run again: as it was given, and from the saved plan.
//!
//! `command.txt` in the run directory holds the first, with the seed filled in; a report that is rendered again years later
//! still quotes it. Real processes don't repeat their timing: the same seed gives the same draws (whom faults hit, how long they
//! last, what clients ask), not the same microseconds.

use std::fs;
use std::io;

use chaos_history::{RunDir, Seed};
use chaos_report::Wrapped;

use crate::args::RunArguments;
use crate::run::Order;
use crate::simulated::WorldKind;

/// The file's name.
const FILE: &str = "command.txt";

/// The command line as it was given, seed included.
pub(crate) fn as_given(order: &Order<'_>, seed: Seed) -> String {
    let verb = if order.wrap.is_some() { "wrap" } else { "run" };
    let mut words: Vec<String> = ["chaos", verb, &order.asked.workload].map(str::to_owned).to_vec();
    words.extend(["--seed".to_owned(), seed.to_string()]);
    for change in order.asked.changes.overrides() {
        words.extend(["--set".to_owned(), change]);
    }
    if order.asked.stop_on_violation {
        words.push("--stop-on-violation".to_owned());
    }
    words.extend(order.world.words());
    if let Some(wrap) = order.wrap {
        words.extend(wrap.words());
    }
    line(&words)
}

/// The command line of a set, seed included.
pub(crate) fn of_set(arguments: &RunArguments, times: u16, seed: Seed) -> String {
    let (seed, times) = (seed.to_string(), times.to_string());
    let mut words: Vec<String> =
        ["chaos", "run", &arguments.asked.workload, "--seed", &seed, "--repeat", &times].map(str::to_owned).to_vec();
    for change in arguments.asked.changes.overrides() {
        words.extend(["--set".to_owned(), change]);
    }
    words.extend(arguments.world.words());
    let flags = [
        ("--keep-going", arguments.repeat.keep_going),
        ("--stop-on-violation", arguments.asked.stop_on_violation),
        ("--keep", arguments.asked.keep),
    ];
    words.extend(flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned()));
    if arguments.repeat.jobs.get() > 1 {
        words.extend(["--jobs".to_owned(), arguments.repeat.jobs.to_string()]);
    }
    line(&words)
}

/// Keeps it.
pub(crate) fn save(directory: &RunDir, given: &str) -> io::Result<()> {
    fs::write(directory.root().join(FILE), format!("{given}\n"))
}

/// What was kept; `None` in run directories of older versions.
pub(crate) fn given(directory: &RunDir) -> Option<String> {
    let text = fs::read_to_string(directory.root().join(FILE)).ok()?;
    text.lines().next().map(str::to_owned)
}

/// The saved plan has every override and the seed in it, so it is what runs the same again.
pub(crate) fn from_plan(directory: &RunDir, wrapped: Option<&Wrapped>, simulated: bool) -> String {
    let plan = directory.plan().display().to_string();
    let mut words: Vec<String> =
        Vec::from(["chaos", if wrapped.is_some() { "wrap" } else { "run" }].map(str::to_owned));
    words.push(plan);
    if simulated {
        words.extend(WorldKind::Sim.words());
    }
    if let Some(wrapped) = wrapped {
        words.extend(wrapped.once.then(|| "--once".to_owned()));
        words.push("--".to_owned());
        words.extend(wrapped.command.iter().cloned());
    }
    line(&words)
}

/// Words as a shell reads them back.
fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<String>>().join(" ")
}

/// A word that a POSIX shell reads as itself, on one line: a line break would make two of it, and is left out of what is a
/// help for people.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let word: String = word.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_quoted_word_back_as_it_was() {
        for word in
            ["kill", "nodes=3", "", "a b", "it's", "$HOME", "`x`", "expect.outage.max=< 3s", "ä", "*", "\"q\"", "a\\b"]
        {
            let script = format!("printf %s {}", quoted(word));
            let read = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&read.stdout), word, "{script}");
        }
    }
}
