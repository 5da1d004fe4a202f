//! From a saved run to its verdict and reports. A run that has just ended is a saved run too.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_check::{Budget, Property};
use chaos_explore::demands;
pub(crate) use chaos_explore::properties;
use chaos_failover::{Timing, analyse, evaluate};
use chaos_history::{History, Mark, NodeId, RunDir};
use chaos_plan::{ClockWay, Network, RaftOptions, Source, System, Workload};
use chaos_report::{ActedOn, ExpectationResult, ExpectedViolation, Fact, Input, Report};

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
        specimen: specimen.as_deref(),
        about: &workload.about,
        fault_plan: &workload.faults.name,
        plan: &plan,
        command: &again::from_plan(saved, wrapped.as_ref(), history.header.simulated.is_some()),
        directory: &saved.root().display().to_string(),
        cut_short: cut_short(&history),
        outcomes: &outcomes,
        lines: &lines,
        analysis,
        expectations,
        expected_violations: &expected_violations,
        host: host(&workload, history.header.simulated.as_deref()),
    });
    report.run.given = again::given(saved);
    report.run.acted_on = match workload.network {
        Network::Namespaces { .. } | Network::Proxy if history.header.simulated.is_some() => ActedOn::Simulation,
        Network::Namespaces { .. } => ActedOn::Packets,
        Network::Proxy => ActedOn::TcpStreams,
    };
    report.run.tested = Some(tested::tested(&workload, &history));
    Ok(match wrapped {
        Some(wrapped) => report.with_wrapped(wrapped),
        None => report,
    })
}

/// The timeouts that the system declares, for the floor; and which of our own nodes are broken, if any are.
fn timing_and_specimen(workload: &Workload) -> (Option<Timing>, Option<String>) {
    let nodes = workload.nodes;
    match &workload.system {
        System::Raft(all) => {
            let of = |options| Timing::of_raft(nodes, options, FLOOR_RTT, Duration::ZERO);
            let timings: Vec<Timing> = NodeId::all(nodes).map(|node| of(all.of_node(node))).collect();
            (Timing::of_nodes(&timings), specimens(all))
        }
        System::Defined(defined) => {
            let of = |timing| Timing::of_defined(nodes, &timing, FLOOR_RTT, Duration::ZERO);
            let timings = defined.timings(nodes).map(|timings| timings.into_iter().map(of).collect::<Vec<Timing>>());
            (timings.and_then(|timings| Timing::of_nodes(&timings)), None)
        }
    }
}

/// `double-vote`, or `double-vote at n5`, or both.
fn specimens(all: &RaftOptions) -> Option<String> {
    let own = all.nodes.iter().filter(|(_, options)| options.specimen != all.specimen);
    let own = own.map(|(node, options)| format!("{} at {node}", options.specimen.as_deref().unwrap_or("sound")));
    let named: Vec<String> = all.specimen.iter().cloned().chain(own).collect();
    (!named.is_empty()).then(|| named.join(", "))
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
    demands(workload).into_iter().flat_map(|(_, properties)| properties).collect()
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

fn host(workload: &Workload, simulated: Option<&str>) -> Vec<Fact> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let fact = |name: &str, value: String| Fact { name: name.to_owned(), value };
    if let Some(by) = simulated {
        // What the host is like has changed nothing.
        let interval = fact("poll interval", format!("{:?}", workload.observe.every));
        return vec![fact("world", format!("simulated by {by}")), interval];
    }
    let network = match workload.network {
        Network::Namespaces { filter } => fact("packet filter", format!("{filter:?}").to_lowercase()),
        Network::Proxy => fact("network", "TCP proxies, without namespaces".to_owned()),
    };
    let mut facts = vec![
        fact("kernel", read("/proc/sys/kernel/osrelease")),
        fact("processors", processors.to_string()),
        fact("poll interval", format!("{:?}", workload.observe.every)),
        network,
    ];
    if workload.clocks != ClockWay::Vdso {
        facts.push(fact("clocks", "libfaketime".to_owned()));
    }
    facts
}
