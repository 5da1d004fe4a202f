//! Trials in words: a table for a terminal, Markdown for a report, JSON for programs. Nothing is measured or judged here.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_check::Property;
use election::specimens::{self, Shown, Specimen};
use serde_json::{Value, json};

use super::Row;
use super::detectors::{Conviction, Detector};
use super::trial::{Attempt, SoundVerdict, Trial};

/// `chaos museum` without names.
pub(super) fn list() -> String {
    let mut text = format!("{:<26} {:<23} {}\n", "specimen", "property", "what is wrong with it");
    for specimen in specimens::ALL {
        let by = match specimen.shown {
            Shown::ByProcesses => "",
            Shown::ByWalks(_) => " (by walks)",
            Shown::ByScript(_) => " (by a script alone)",
        };
        let _ = writeln!(text, "{specimen:<26} {:<23} {}{by}", specimen.property, specimen.about);
    }
    let _ = write!(
        text,
        "\n{} broken nodes. `chaos explain NAME` says where it happened; `chaos museum NAME` puts one on trial.\n",
        specimens::ALL.len()
    );
    text
}

/// One specimen's trial, as it has just ended.
pub(super) fn line(row: &Row) -> String {
    let by_runs = row.trial.as_ref().map(of_trial);
    let words = by_runs.or_else(|| row.walks.as_ref().map(super::WalkTrial::line)).unwrap_or_default();
    format!("{:<26} {words}\n", row.specimen.name)
}

fn of_trial(trial: &Trial) -> String {
    let verdict = match trial.first_conviction() {
        Some((attempt, conviction)) => format!(
            "convicted   {:<23} {:>8} {} the first fault, {} by {}, run of {}",
            conviction.property.name(),
            conviction.after_fault.map(seconds).unwrap_or_default(),
            if conviction.after_fault.is_some() { "after" } else { "before" },
            of_runs(trial),
            names(&conviction.by),
            seconds(attempt.wall)
        ),
        None => format!("NOT convicted in {} runs{}", trial.attempts.len(), broken(trial)),
    };
    format!("{verdict}; sound node {}", sound(trial))
}

/// How many specimens each detector convicts.
pub(super) fn scores(rows: &[Row]) -> String {
    let tried = tried(rows).count();
    let scores = Detector::EACH.map(|detector| format!("{} {} of {tried}", detector.name(), score(rows, detector)));
    format!("convicted by evidence: {}\n", scores.join(", "))
}

fn tried(rows: &[Row]) -> impl Iterator<Item = (&'static Specimen, &Trial)> {
    rows.iter().filter_map(|row| Some((row.specimen, row.trial.as_ref()?)))
}

fn score(rows: &[Row], detector: Detector) -> usize {
    tried(rows).filter(|(_, trial)| trial.convicted_by(detector) > 0).count()
}

fn names(detectors: &[Detector]) -> String {
    let partial = detectors.iter().filter(|detector| **detector != Detector::All);
    let names: Vec<&str> = partial.map(|detector| detector.name()).collect();
    if names.is_empty() { "all evidence together".to_owned() } else { names.join(", ") }
}

fn of_runs(trial: &Trial) -> String {
    format!("{} of {} runs", trial.convicted_by(Detector::All), trial.attempts.len())
}

fn after(conviction: &Conviction) -> String {
    conviction.after_fault.map_or_else(|| "before".to_owned(), seconds)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// Runs that could not be judged.
fn broken(trial: &Trial) -> String {
    let why: Vec<&str> =
        trial.attempts.iter().filter_map(|attempt| attempt.findings.as_ref().err()).map(String::as_str).collect();
    why.first().map(|first| format!(", {} of which could not be judged: {first}", why.len())).unwrap_or_default()
}

fn sound(trial: &Trial) -> String {
    match trial.sound_verdict() {
        SoundVerdict::Acquitted => "acquitted".to_owned(),
        SoundVerdict::Convicted(of) => format!("CONVICTED ({of})"),
        SoundVerdict::Undecided(why) => format!("undecided ({why})"),
    }
}

/// Every property of which some attempt convicts, in the order of their first appearance.
fn properties(trial: &Trial) -> Vec<Property> {
    let mut properties: Vec<Property> = Vec::new();
    for conviction in trial.attempts.iter().flat_map(Attempt::convictions) {
        if !properties.contains(&conviction.property) {
            properties.push(conviction.property);
        }
    }
    properties
}

/// The report.
pub(super) fn markdown(command: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "# The museum of election bugs\n\n\
         Broken nodes, each with one rule of Raft replaced, and what this harness makes of them. Written by\n\n    {command}\n\n\
         A run is one of the specimen's directed plan (`workloads/museum/NAME.yaml`) with real processes, under a seed of its own. *After* \
         is the time from the first fault's begin to the end of the witness, *run* that of the whole run, both of the first run that \
         convicts. *Polls*, *events* and *operations* say in how many runs that part of the evidence alone convicts: what nodes answered about \
         term, role and leader; the same with what they said unasked and their votes; what clients were answered. The sound node ran once \
         under each plan. Counts depend on the plans and on the host; they rank specimens and detectors, and are no rates of anything else.\n\n"
    );
    text.push_str("| specimen | convicted of | runs | after | run | polls | events | operations | sound node |\n|---|---|--:|--:|--:|--:|--:|--:|---|\n");
    for (specimen, trial) in tried(rows) {
        let named: Vec<&str> = properties(trial).into_iter().map(Property::name).collect();
        let (property, after, run) = match trial.first_conviction() {
            Some((attempt, conviction)) => (named.join(", "), after(conviction), seconds(attempt.wall)),
            None => ("**not convicted**".to_owned(), "never".to_owned(), "–".to_owned()),
        };
        let runs = trial.attempts.len();
        let of = |detector| format!("{} of {runs}", trial.convicted_by(detector));
        let [all, polls, events, operations] = Detector::EACH.map(of);
        let sound = sound(trial).replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{specimen}` | {property} | {all} | {after} | {run} | {polls} | {events} | {operations} | {sound} |"
        );
    }
    let count = tried(rows).count();
    text.push_str("\n## Mutation score\n\n| evidence | specimens convicted | share |\n|---|--:|--:|\n");
    for detector in Detector::EACH {
        let convicted = score(rows, detector);
        let percent = 100 * convicted / count.max(1);
        let _ = writeln!(text, "| {} | {convicted} of {count} | {percent} % |", detector.name());
    }
    text.push_str(&by_walks(rows));
    text.push_str(&what_is_wrong(rows));
    text.push_str(&by_script());
    text
}

fn what_is_wrong(rows: &[Row]) -> String {
    let mut text = "\n## What is wrong with them\n\n| specimen | broken rule | in place of | shows with | seen in |\n|---|---|---|---|---|\n".to_owned();
    for specimen in rows.iter().map(|row| row.specimen) {
        let links: Vec<String> = specimen.instances.iter().map(|link| format!("[{}]({link})", short(link))).collect();
        let (about, replaces, configuration) = (specimen.about, specimen.replaces, specimen.configuration);
        let _ = writeln!(text, "| `{specimen}` | {about} | {replaces} | {configuration} | {} |", links.join(", "));
    }
    text
}

/// `etcd#8243` of a link to that issue, otherwise the host.
fn short(link: &str) -> String {
    let parts: Vec<&str> = link.trim_start_matches("https://").split('/').collect();
    match *parts.as_slice() {
        ["github.com", _, repository, "issues" | "pull", number] => format!("{repository}#{number}"),
        [host, ..] => host.to_owned(),
        [] => link.to_owned(),
    }
}

fn by_walks(rows: &[Row]) -> String {
    let walked: Vec<_> = rows.iter().filter_map(|row| Some((row.specimen, row.walks.as_ref()?))).collect();
    if walked.is_empty() {
        return String::new();
    }
    let mut text = "\n## By walks\n\n\
        Real processes can't show these; walks without time do (`chaos walk --specimen NAME` tells the way), and the sound node is led \
        along the same walks. *Walk*: the first that breaks a promise. *Moves*: what is left of it.\n\n\
        | specimen | convicted of | walk | moves | sound node | why no processes |\n|---|---|--:|--:|---|---|\n"
        .to_owned();
    for (specimen, walks) in walked {
        let why = why_not(specimen).unwrap_or_default();
        let _ = writeln!(text, "| `{specimen}` | {} | {why} |", walks.cells());
    }
    text
}

/// Why real processes can't show it.
fn why_not(specimen: &Specimen) -> Option<&'static str> {
    match specimen.shown {
        Shown::ByProcesses => None,
        Shown::ByWalks(why) | Shown::ByScript(why) => Some(why),
    }
}

fn by_script() -> String {
    let mut text = "\n## By a script alone\n\n\
        Real processes can't show these; `crates/election/tests/scenarios/museum/NAME.txt` does, message by message.\n\n\
        | specimen | broken rule | would violate | why no processes |\n|---|---|---|---|\n"
        .to_owned();
    for specimen in specimens::ALL {
        if let Shown::ByScript(why) = specimen.shown {
            let _ = writeln!(text, "| `{specimen}` | {} | {} | {why} |", specimen.about, specimen.property);
        }
    }
    text
}

/// The whole result for programs.
pub(super) fn object(command: &str, rows: &[Row]) -> Value {
    let tried = tried(rows).count();
    let mut scores: serde_json::Map<String, Value> =
        Detector::EACH.iter().map(|detector| (detector.name().to_owned(), json!(score(rows, *detector)))).collect();
    scores.insert("of".to_owned(), json!(tried));
    let specimens: Vec<Value> = rows.iter().map(of_row).collect();
    json!({"schema": "chaos.museum/1", "command": command, "specimens": specimens, "scores": scores})
}

fn of_row(row: &Row) -> Value {
    let specimen = row.specimen;
    let trial = row.trial.as_ref().map(|trial| {
        let (verdict, words) = match trial.sound_verdict() {
            SoundVerdict::Acquitted => ("acquitted", String::new()),
            SoundVerdict::Convicted(of) => ("convicted", of),
            SoundVerdict::Undecided(why) => ("undecided", why),
        };
        let sound =
            json!({"seed": trial.sound.seed, "wall_ms": millis(trial.sound.wall), "verdict": verdict, "words": words});
        json!({"attempts": trial.attempts.iter().map(attempt).collect::<Vec<Value>>(), "sound": sound})
    });
    json!({
        "name": specimen.name,
        "about": specimen.about,
        "property": specimen.property,
        "replaces": specimen.replaces,
        "configuration": specimen.configuration,
        "instances": specimen.instances,
        "plan": specimen.workload(),
        "why_not": why_not(specimen),
        "trial": trial,
        "walks": row.walks.as_ref().map(super::WalkTrial::object),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    let conviction = |conviction: &Conviction| {
        json!({
            "property": conviction.property.name(),
            "by": conviction.by.iter().map(|detector| detector.name()).collect::<Vec<&str>>(),
            "after_fault_ms": conviction.after_fault.map(millis),
            "sentence": conviction.sentence,
        })
    };
    let (convictions, unjudged) = match &attempt.findings {
        Ok(findings) => (findings.convictions.iter().map(conviction).collect(), findings.undecided.clone()),
        Err(why) => (Vec::new(), Some(why.clone())),
    };
    json!({"seed": attempt.seed, "wall_ms": millis(attempt.wall), "convictions": convictions, "unjudged": unjudged})
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::detectors::Findings;
    use super::*;

    fn trial(broken: bool, sound: Option<&str>) -> Trial {
        let conviction = |sentence: &str| Conviction {
            property: Property::ElectionSafety,
            by: vec![Detector::All, Detector::Events],
            after_fault: Some(Duration::from_millis(612)),
            sentence: sentence.to_owned(),
        };
        let attempt = |convictions| Attempt {
            seed: 1,
            wall: Duration::from_secs(9),
            findings: Ok(Findings { convictions, undecided: None }),
        };
        Trial {
            attempts: vec![
                attempt(Vec::new()),
                attempt(broken.then(|| conviction("two leaders")).into_iter().collect()),
            ],
            sound: attempt(sound.map(conviction).into_iter().collect()),
        }
    }

    #[test]
    fn a_trial_is_told_with_its_counts_and_the_exit_code_follows() {
        let specimen = specimens::ALL[0];
        let convicted = trial(true, None);
        assert_eq!(convicted.exit_code(), 0);
        let row = |trial| Row { trial: Some(trial), ..Row::untried(specimen) };
        let told = line(&row(convicted.clone()));
        assert!(told.contains("1 of 2 runs by events") && told.contains("sound node acquitted"), "{told}");
        let rows = [row(convicted)];
        assert_eq!(
            scores(&rows),
            "convicted by evidence: all 1 of 1, polls 0 of 1, events 1 of 1, operations 0 of 1\n"
        );
        let report = markdown("chaos museum", &rows);
        assert!(
            report.contains("| ElectionSafety | 1 of 2 | 0.61 s | 9.00 s | 0 of 2 | 1 of 2 | 0 of 2 | acquitted |"),
            "{report}"
        );
        assert_eq!(object("", &rows)["specimens"][0]["trial"]["attempts"][1]["convictions"][0]["after_fault_ms"], 612);
    }

    #[test]
    fn who_gets_away_and_who_is_wronged_are_told_apart() {
        let row = |trial| Row { trial: Some(trial), ..Row::untried(specimens::ALL[0]) };
        assert_eq!(row(trial(false, None)).exit_code(), 3);
        assert!(line(&row(trial(false, None))).contains("NOT convicted in 2 runs"));
        assert_eq!(row(trial(true, Some("two"))).exit_code(), 1);
        assert!(line(&row(trial(true, Some("two")))).contains("CONVICTED (ElectionSafety: two)"));
    }
}
