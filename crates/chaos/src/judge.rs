//! From a saved run to its verdict and reports. A run that has just ended is a saved run too.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_check::{Budget, Property};
use chaos_failover::{Timing, analyse, evaluate};
use chaos_history::{History, Mark, RunDir};
use chaos_plan::{Check, Source, System, Workload};
use chaos_report::{ExpectationResult, ExpectedViolation, Fact, Input, Report};

use crate::failure::Failure;
use crate::{again, live, show, tested, wrap};

/// What the floor assumes of the network: a round trip through two veth pairs and the switch, rounded up. The disk counts as
/// free, since a floor must not lie above what is possible.
const FLOOR_RTT: Duration = Duration::from_micros(100);

/// `chaos check DIR`: judges, prints, writes nothing. Returns the exit code.
pub(crate) fn check(directory: &Path, quiet: bool) -> Result<u8, Failure> {
    let report = judge(&open(directory)?)?;
    let text = report.to_terminal(live::stdout_is_colored(), live::width());
    if quiet {
        // The first line tells the verdict and what was run.
        show::print(&format!("{}: {}\n", directory.display(), text.lines().next().unwrap_or_default()));
    } else {
        show::print(&text);
    }
    Ok(report.exit_code)
}

/// `chaos report DIR`: judges and writes the reports again.
pub(crate) fn render(directory: &Path) -> Result<ExitCode, Failure> {
    let saved = open(directory)?;
    let report = judge(&saved)?;
    write(&saved, &report)?;
    show::print(&format!("{}\n{}\n", saved.report_html().display(), saved.report_json().display()));
    // Rendering worked; the verdict is in the report, and `chaos check` exits by it.
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn open(directory: &Path) -> Result<RunDir, Failure> {
    let missing = || {
        let directory = directory.display();
        format!(
            "{directory} is no run directory: it has no history.jsonl (a history of another tool is named as a file)"
        )
    };
    let directory = std::path::absolute(directory).with_context(missing).map_err(Failure::Refused)?;
    RunDir::open(&directory).with_context(missing).map_err(Failure::Refused)
}

/// Judges a saved run: everything that the report says.
pub(crate) fn judge(saved: &RunDir) -> Result<Report, Failure> {
    let history = History::read(&saved.history()).map_err(Failure::refused)?;
    let plan = fs::read_to_string(saved.plan())
        .with_context(|| format!("read {}", saved.plan().display()))
        .map_err(Failure::Refused)?;
    let source = Source { name: saved.plan().display().to_string(), text: plan.clone() };
    let places = chaos_plan::expectation_places(&source);
    let no_other_file = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let workload = chaos_plan::load_source(source, &[], &no_other_file)?.workload;

    if workload.nodes != history.header.nodes {
        let (plan, run) = (workload.nodes, history.header.nodes);
        let path = saved.plan().display().to_string();
        return Err(Failure::Refused(anyhow!("{path} is of {plan} nodes, the history beside it of {run}")));
    }
    let outcomes: Vec<_> = properties_of(&workload)
        .into_iter()
        .map(|property| chaos_check::check(&history, property, &Budget::default()))
        .collect();
    let (timing, specimen) = timing_and_specimen(&workload);
    let analysis = analyse(&history, timing.as_ref());
    let expectations = workload
        .expect
        .iter()
        .map(|expectation| ExpectationResult {
            text: expectation.text.clone(),
            judgement: evaluate(expectation, &analysis),
            source: places.iter().find(|(text, _)| *text == expectation.text).map(|(_, place)| place.clone()),
        })
        .collect();
    let expected_violations: Vec<ExpectedViolation> = workload
        .expect_violations
        .iter()
        .map(|check| {
            let text = format!("violation {}", check.name());
            let source = places.iter().find(|(of, _)| *of == text).map(|(_, place)| place.clone());
            ExpectedViolation { check: check.name().to_owned(), properties: properties(*check), source }
        })
        .collect();
    let wrapped = wrap::saved(saved)?;
    let lines = File::open(saved.history())
        .and_then(|file| chaos_report::quoted_lines(BufReader::new(file), &outcomes))
        .with_context(|| format!("read {}", saved.history().display()))?;
    let mut report = Report::new(Input {
        header: &history.header,
        specimen,
        about: &workload.about,
        fault_plan: &workload.faults.name,
        plan: &plan,
        command: &again::from_plan(saved, wrapped.as_ref()),
        directory: &saved.root().display().to_string(),
        cut_short: cut_short(&history),
        outcomes: &outcomes,
        lines: &lines,
        analysis,
        expectations,
        expected_violations: &expected_violations,
        host: host(&workload),
    });
    report.run.given = again::given(saved);
    report.run.tested = Some(tested::tested(&workload, &history));
    Ok(match wrapped {
        Some(wrapped) => report.with_wrapped(wrapped),
        None => report,
    })
}

/// The timeouts that the system declares, for the floor; and the broken node's name, if it is one of ours.
fn timing_and_specimen(workload: &Workload) -> (Option<Timing>, Option<&str>) {
    match &workload.system {
        System::Raft(options) => {
            (Some(Timing::of_raft(workload.nodes, options, FLOOR_RTT, Duration::ZERO)), options.specimen.as_deref())
        }
        System::Defined(defined) => {
            let timing = defined.timing();
            (timing.map(|timing| Timing::of_defined(workload.nodes, &timing, FLOOR_RTT, Duration::ZERO)), None)
        }
    }
}

/// Writes `report.json` and `report.html`, each whole or not at all.
pub(crate) fn write(saved: &RunDir, report: &Report) -> Result<(), Failure> {
    let json = report.to_json().map_err(anyhow::Error::from)?;
    let html = report.to_html().map_err(anyhow::Error::from)?;
    for (path, text) in [(saved.report_json(), json), (saved.report_html(), html)] {
        crate::report::write_whole(&path, &text)?;
    }
    Ok(())
}

/// Everything that a workload wants checked.
pub(crate) fn properties_of(workload: &Workload) -> Vec<Property> {
    // Whoever asks for one leader per term asks for single votes on the side; of a system that shows none, nobody has asked.
    let shows_votes = match &workload.system {
        System::Raft(_) => true,
        System::Defined(defined) => {
            defined.definition.observers.first().is_some_and(|observer| observer.voted_for.is_some())
        }
    };
    let wanted = workload.checks.iter().flat_map(|check| properties(*check));
    wanted.filter(|property| shows_votes || *property != Property::SingleVote).collect()
}

/// A plan's check as the checkers' properties. A node that votes twice is on its way to two leaders, so whoever asks for one
/// leader per term asks for one vote too.
pub(crate) fn properties(check: Check) -> Vec<Property> {
    match check {
        Check::ElectionSafety => vec![Property::ElectionSafety, Property::SingleVote],
        Check::TermMonotonic => vec![Property::TermMonotonic],
        Check::Linearizable => vec![Property::Linearizable],
        Check::NoAcknowledgedWriteLost => vec![Property::NoAcknowledgedWriteLost],
        Check::MutualExclusion => vec![Property::MutualExclusion],
        Check::Fencing => vec![Property::FencingMonotonic],
        Check::ExclusiveAccess => vec![Property::ExclusiveAccess],
        Check::ReplicasAgree => vec![Property::ReplicasAgree],
        Check::BoundedReelection { within } => vec![Property::BoundedReelection { within }],
        Check::Recovers { within } => vec![Property::Recovers { within }],
        Check::NoStaleLeaderAfterHeal { within } => vec![Property::NoStaleLeaderAfterHeal { within }],
        Check::OneLeaderAtATime { overlap } => vec![Property::OneLeaderAtATime { allowed: overlap }],
    }
}

/// What ended the run before its end, if something did.
fn cut_short(history: &History) -> Option<String> {
    if let Some((_, note)) = history.notes().find(|(_, note)| note.mark == Some(Mark::Interrupted)) {
        return Some(if note.text.is_empty() { "it was interrupted".to_owned() } else { note.text.clone() });
    }
    if history.landmark(Mark::RunEnd).is_none() {
        return Some("the history has no end: the harness was killed, or could not write".to_owned());
    }
    None
}

fn host(workload: &Workload) -> Vec<Fact> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    vec![
        fact("kernel", read("/proc/sys/kernel/osrelease")),
        fact("processors", processors.to_string()),
        fact("poll interval", format!("{:?}", workload.observe.every)),
        fact("packet filter", format!("{:?}", workload.filter).to_lowercase()),
    ]
}
