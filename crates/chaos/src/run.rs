//! `chaos run`: leave the host, start the cluster, let the engine break it, judge what was recorded.
//!
//! `chaos wrap` is the same with a command beside it, see [`crate::wrap`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use chaos_cluster::{RealWorld, RealWorldOptions, Recorder, RunClock, StartError, Watch};
use chaos_engine::{Command, Engine, Finished, World, drive};
use chaos_history::{Header, Mark, NodeId, RunDir, RunNanos, Seed, format};
use chaos_net::isolation::{self, EnterOptions};
use chaos_net::{FilterKind, NetError, Star};
use chaos_plan::{Clients, Filter, System, Work, Workload};
use chaos_report::CheckVerdict;
use chaos_systems::DefinedDriver;
use election::specimens::SpecimenName;

use crate::args::RunArguments;
use crate::changes::Asked;
use crate::events::{Events, RunFormat};
use crate::failure::{Failure, never_hides_a_violation};
use crate::follow::{Alarms, Follow, Started};
use crate::live::{Live, SummaryTo};
use crate::system::{self, Opened};
use crate::wrap::{Company, Wrap};
use crate::{again, judge, repeat, report, tested};

/// What is to be run, and how: what the arguments of `run` and `wrap` have in common.
pub(crate) struct Order<'a> {
    /// The workload, where its run goes, and how much is told.
    pub(crate) asked: &'a Asked,
    /// Changes of the workload, all of them as `--set` says them.
    pub(crate) overrides: &'a [String],
    /// To whom it is told.
    pub(crate) format: RunFormat,
    /// The command that the run accompanies.
    pub(crate) wrap: Option<&'a Wrap>,
}

/// Runs a workload to its verdict.
pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    if let Some(times) = arguments.repeat.repeat {
        return repeat::run(arguments, times.into());
    }
    repeat::end_with_parent(arguments)?;
    let overrides = arguments.asked.changes.overrides();
    carry_out(&Order { asked: &arguments.asked, overrides: &overrides, format: arguments.format, wrap: None })
}

/// Runs what was ordered to its verdict.
pub(crate) fn carry_out(order: &Order<'_>) -> Result<ExitCode, Failure> {
    let alarms = Alarms::default();
    let mut follow: Box<dyn Follow> = match (order.format, order.wrap) {
        (RunFormat::Json, _) => Box::new(Events::new(alarms.clone())),
        (RunFormat::Text, None) => Box::new(Live::new(order.asked.quiet, SummaryTo::Stdout)),
        (RunFormat::Text, Some(_)) => Box::new(Live::new(order.asked.quiet, SummaryTo::Stderr)),
    };
    follow_out(order, follow.as_mut(), alarms).inspect_err(|failure| {
        follow.failed(failure.exit_code(), &failure.in_words());
    })
}

fn follow_out(order: &Order<'_>, follow: &mut dyn Follow, alarms: Alarms) -> Result<ExitCode, Failure> {
    let loaded = chaos_plan::load(Path::new(&order.asked.workload), order.overrides)?;
    let (mut workload, written) = (loaded.workload, loaded.sources.into_iter().next());
    check_specimen(&workload)?;
    check_loads(&workload)?;
    let seed = order.asked.seed.map(Seed).or(workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    workload.seed = Some(seed);

    // From here on this is pid 2 of namespaces of its own; whatever ends it, the kernel cleans up.
    isolation::enter(&EnterOptions::default()).map_err(Failure::refused)?;
    init_log();

    let started = jiff::Timestamp::now();
    let directory = make_directory(order, &workload, seed, &started)?;
    let given = again::as_given(order, seed);
    again::save(&directory, &given).with_context(|| format!("write into {}", directory.root().display()))?;
    let faults = Engine::new(&workload, seed, RunNanos::default()).progress().faults_total;
    follow.started(&Started { workload: &workload, seed, faults, directory: &directory, again: &given });

    let watch = order.asked.stop_on_violation.then(|| watch(&workload, alarms));
    let (mut world, _) = build_world(&workload, seed, &started, &directory, watch)?;
    let missing = world.capabilities().missing(&workload.faults);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|kind| kind.name()).collect();
        return Err(Failure::Refused(anyhow!("this host can't inject {}: see `chaos doctor`", names.join(", "))));
    }
    let mut company = order.wrap.map(|wrap| Company::new(wrap, &world, &directory, seed, workload.nodes));
    let finished = drive_world(&mut world, &workload, seed, follow, company.as_mut())?;
    if let Some(company) = &company {
        // It may still need the nodes for what it does when it is told to end.
        company.end();
    }
    follow.finish();
    world.finish().map_err(anyhow::Error::from)?;
    // Also where the run has failed to start it, what happened is judged.
    let kept_company = company.map_or(Ok(()), Company::finish);

    let mut report = judge::judge(&directory)?;
    if let Some(written) = &written {
        report::place_expectations(&mut report, written);
    }
    let written = judge::write(&directory, &report);
    let violated = report.checks.iter().any(|check| check.verdict == CheckVerdict::Invalid);
    if !violated && !order.asked.keep {
        remove_data(&directory, workload.nodes);
    }
    kept_company?;
    if let Finished::NeverReady { seen } = finished {
        follow.remark(&format!("no leader within {:?} of the start; {seen}", workload.start_within));
    }
    follow.judged(&report, &directory);
    let code = report::for_ci(&directory, &report);
    never_hides_a_violation(written, report.exit_code)?;
    Ok(ExitCode::from(code))
}

pub(crate) fn check_specimen(workload: &Workload) -> Result<(), Failure> {
    let System::Raft(options) = &workload.system else { return Ok(()) };
    match (&options.specimen, &options.program) {
        // Another program may know other specimens.
        (Some(name), None) => name.parse::<SpecimenName>().map(drop).map_err(|error| {
            let known = SpecimenName::ALL.map(SpecimenName::as_str);
            let meant = chaos_plan::nearest(name, known).map(|name| format!("; did you mean `{name}`?"));
            Failure::Refused(anyhow!("system.raft.specimen: {error}{}", meant.unwrap_or_default()))
        }),
        (Some(_), Some(_)) | (None, _) => Ok(()),
    }
}

/// The reference node knows registers only.
pub(crate) fn check_loads(workload: &Workload) -> Result<(), Failure> {
    let holds = |clients: &Clients| matches!(clients.work, Work::Lock(_) | Work::Election { .. });
    match &workload.system {
        System::Raft(_) if workload.clients.iter().any(holds) => Err(Failure::Refused(anyhow!(
            "clients: the reference node has nothing to hold; a lock or an election load needs a system like `etcd`"
        ))),
        System::Raft(_) | System::Defined(_) => Ok(()),
    }
}

/// Logs go to standard error, and only if asked for: results and the live view are what people look at.
pub(crate) fn init_log() {
    let filter = std::env::var("CHAOS_LOG").unwrap_or_else(|_| "error".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn make_directory(
    order: &Order<'_>,
    workload: &Workload,
    seed: Seed,
    started: &jiff::Timestamp,
) -> Result<RunDir, Failure> {
    let path = order.asked.out.clone().unwrap_or_else(|| {
        let run = format!("{}-{seed}", started.strftime("%Y-%m-%dT%H-%M-%SZ"));
        PathBuf::from("reports").join(&workload.name).join(run)
    });
    let refused = || format!("make the run directory {}", path.display());
    // Nodes get absolute paths: they may change their working directory.
    let path = std::path::absolute(&path).with_context(refused).map_err(Failure::Refused)?;
    RunDir::create(&path).with_context(refused).map_err(Failure::Refused)?;
    fill_directory(&path, workload)
}

/// Puts the resolved plan and a directory for every node into a new run directory.
pub(crate) fn fill_directory(path: &Path, workload: &Workload) -> Result<RunDir, Failure> {
    let directory = RunDir::at(path);
    fs::write(directory.plan(), chaos_plan::resolved_yaml(workload))
        .with_context(|| format!("write {}", directory.plan().display()))?;
    for node in NodeId::all(workload.nodes + system::service_nodes(workload)) {
        fs::create_dir(directory.node(node)).with_context(|| format!("make {}", directory.node(node).display()))?;
    }
    Ok(directory)
}

/// The world of a workload, with its driver if the system is a defined one.
pub(crate) fn build_world(
    workload: &Workload,
    seed: Seed,
    started: &jiff::Timestamp,
    directory: &RunDir,
    watch: Option<Watch>,
) -> Result<(RealWorld, Option<Arc<DefinedDriver>>), Failure> {
    let filter = match workload.filter {
        Filter::Nftables => FilterKind::Nftables,
        Filter::Iptables => FilterKind::Iptables,
    };
    let service = system::service_nodes(workload);
    let star = Star::build(workload.nodes + service, filter).map_err(net_failure)?;
    let Opened { driver, defined, programs } = system::open(workload, seed, &star, directory)?;
    let header = Header {
        chaos_history: format::VERSION,
        workload: workload.name.clone(),
        system: workload.system.name().to_owned(),
        nodes: workload.nodes,
        seed,
        started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        chaos: env!("CARGO_PKG_VERSION").to_owned(),
        testimony: workload.system.testimony(),
    };
    let recorder = Recorder::create(&directory.history(), &header).map_err(anyhow::Error::from)?;
    let options = RealWorldOptions {
        clock: RunClock::start(),
        star,
        driver,
        recorder,
        directory: directory.clone(),
        nodes: workload.nodes,
        service,
        observe: workload.observe,
        watch,
    };
    let mut world = RealWorld::new(options).map_err(anyhow::Error::from)?;
    match &workload.system {
        System::Raft(_) => {}
        System::Defined(_) => world.serve_resource().map_err(anyhow::Error::from)?,
    }
    for (program, version) in programs {
        world.execute(Command::Remark(tested::remark(&program, &version))).map_err(anyhow::Error::from)?;
    }
    Ok((world, defined))
}

/// Ends the run at the first violation.
fn watch(workload: &Workload, alarms: Alarms) -> Watch {
    let mut watch =
        chaos_check::Watch::new(&judge::properties_of(workload), workload.nodes).of(workload.system.testimony());
    Box::new(move |event| {
        let alarm = watch.event(event)?;
        let why = format!("by the first violation: {} ({})", alarm.sentence, alarm.property.name());
        alarms.leave(alarm);
        Some(why)
    })
}

fn drive_world(
    world: &mut RealWorld,
    workload: &Workload,
    seed: Seed,
    follow: &mut dyn Follow,
    mut company: Option<&mut Company<'_>>,
) -> Result<Finished, Failure> {
    world.interrupt_on_signals(company.as_ref().map(|company| company.on_signal())).map_err(anyhow::Error::from)?;
    match world.start_nodes(workload.start_within) {
        Ok(()) => {}
        Err(StartError::Interrupted { why }) => {
            // What was seen until then is judged like any run that was ended early: the very first election may be the violation.
            world.execute(Command::Mark(Mark::Interrupted, why)).map_err(anyhow::Error::from)?;
            return Ok(Finished::Interrupted);
        }
        Err(error) => return Err(start_failure(workload.system.name(), error)),
    }
    let mut engine = Engine::new(workload, seed, world.now());
    if let Some(company) = &company {
        engine = engine.accompanying(company.rounds());
    }
    let finished = drive(&mut engine, world, &mut |now, event, engine| {
        follow.update(now, event, engine);
        if let Some(company) = &mut company {
            company.update(engine);
        }
    });
    Ok(finished.map_err(anyhow::Error::from)?)
}

/// What the user can mend has a remedy, the rest is ours.
fn net_failure(error: NetError) -> Failure {
    if error.remedy().is_some() { Failure::refused(error) } else { Failure::Broken(error.into()) }
}

/// A cluster that doesn't come up: with the last words of the node that is to blame.
fn start_failure(system: &str, error: StartError) -> Failure {
    let words = error.log().and_then(|log| fs::read(log).ok()).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let lines: Vec<&str> = words.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
    let error = anyhow::Error::from(error).context(format!("start {system}"));
    if last.is_empty() {
        Failure::Broken(error)
    } else {
        Failure::Broken(anyhow!("{error:#}\nits last words:\n  {last}"))
    }
}

/// The nodes' data is evidence only if something is wrong.
fn remove_data(directory: &RunDir, nodes: usize) {
    for node in NodeId::all(nodes) {
        let data = directory.node(node).join("data");
        if let Err(error) = fs::remove_dir_all(&data) {
            tracing::warn!(path = %data.display(), %error, "could not remove a node's data");
        }
    }
}
