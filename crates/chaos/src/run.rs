//! `chaos run`: leave the host, start the cluster, let the engine break it, judge what was recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use chaos_cluster::{RealWorld, RealWorldOptions, Recorder, RunClock, StartError, Watch};
use chaos_engine::{Engine, Finished, World, drive};
use chaos_history::{Header, NodeId, RunDir, Seed, format};
use chaos_net::isolation::{self, EnterOptions};
use chaos_net::{FilterKind, NetError, Star};
use chaos_plan::{Filter, System, Workload};
use chaos_systems::{Driver, RaftDriver};
use election::specimens::SpecimenName;

use crate::args::RunArguments;
use crate::failure::Failure;
use crate::live::{self, Live};
use crate::{judge, repeat, show};

/// How long a node may take to answer its first question, beyond what the workload grants the first election.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a workload to its verdict.
pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    if let Some(times) = arguments.repeat.repeat {
        return repeat::run(arguments, times.into());
    }
    repeat::end_with_parent(arguments)?;
    let mut workload = chaos_plan::load(Path::new(&arguments.workload), &arguments.overrides)?.workload;
    check_specimen(&workload)?;
    let seed = arguments.seed.map(Seed).or(workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    workload.seed = Some(seed);

    // From here on this is pid 2 of namespaces of its own; whatever ends it, the kernel cleans up.
    isolation::enter(&EnterOptions::default()).map_err(Failure::refused)?;
    init_log();

    let started = jiff::Timestamp::now();
    let directory = make_directory(arguments, &workload, seed, &started)?;
    let watch = arguments.stop_on_violation.then(|| watch(&workload));
    let mut world = build_world(&workload, seed, &started, &directory, watch)?;
    let missing = world.capabilities().missing(&workload.faults);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|kind| kind.name()).collect();
        return Err(Failure::Refused(anyhow!("this host can't inject {}: see `chaos doctor`", names.join(", "))));
    }
    let mut live = Live::new(arguments.quiet);
    let finished = drive_world(&mut world, &workload, seed, &mut live);
    live.finish();
    let finished = finished?;
    world.finish().map_err(anyhow::Error::from)?;

    let report = judge::judge(&directory)?;
    judge::write(&directory, &report)?;
    if report.exit_code != 1 && !arguments.keep {
        remove_data(&directory, workload.nodes);
    }
    if let Finished::NeverReady { seen } = finished {
        show::print(&format!("no leader within {:?} of the start; {seen}\n", workload.start_within));
    }
    show::print(&report.to_terminal(live::stdout_is_colored(), live::width()));
    Ok(ExitCode::from(report.exit_code))
}

pub(crate) fn check_specimen(workload: &Workload) -> Result<(), Failure> {
    let System::Raft(options) = &workload.system;
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

/// Logs go to standard error, and only if asked for: results and the live view are what people look at.
fn init_log() {
    let filter = std::env::var("CHAOS_LOG").unwrap_or_else(|_| "error".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn make_directory(
    arguments: &RunArguments,
    workload: &Workload,
    seed: Seed,
    started: &jiff::Timestamp,
) -> Result<RunDir, Failure> {
    let path = arguments.out.clone().unwrap_or_else(|| {
        let run = format!("{}-{seed}", started.strftime("%Y-%m-%dT%H-%M-%SZ"));
        PathBuf::from("reports").join(&workload.name).join(run)
    });
    let refused = || format!("make the run directory {}", path.display());
    // Nodes get absolute paths: they may change their working directory.
    let path = std::path::absolute(&path).with_context(refused).map_err(Failure::Refused)?;
    let directory = RunDir::create(&path).with_context(refused).map_err(Failure::Refused)?;
    fs::write(directory.plan(), chaos_plan::resolved_yaml(workload))
        .with_context(|| format!("write {}", directory.plan().display()))?;
    for node in NodeId::all(workload.nodes) {
        fs::create_dir(directory.node(node)).with_context(|| format!("make {}", directory.node(node).display()))?;
    }
    Ok(directory)
}

fn build_world(
    workload: &Workload,
    seed: Seed,
    started: &jiff::Timestamp,
    directory: &RunDir,
    watch: Option<Watch>,
) -> Result<RealWorld, Failure> {
    let filter = match workload.filter {
        Filter::Nftables => FilterKind::Nftables,
        Filter::Iptables => FilterKind::Iptables,
    };
    let star = Star::build(workload.nodes, filter).map_err(net_failure)?;
    let addresses = NodeId::all(workload.nodes).map(|node| star.address(node.index())).collect();
    let own = std::env::current_exe().context("find this program's own file")?;
    let System::Raft(options) = &workload.system;
    let own_node = (own, vec!["node".into()]);
    let driver: Arc<dyn Driver> = Arc::new(
        RaftDriver::new(options.clone(), own_node, addresses, seed, CONNECT_TIMEOUT).map_err(anyhow::Error::from)?,
    );
    let header = Header {
        chaos_history: format::VERSION,
        workload: workload.name.clone(),
        system: workload.system.name().to_owned(),
        nodes: workload.nodes,
        seed,
        started: started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        chaos: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let recorder = Recorder::create(&directory.history(), &header).map_err(anyhow::Error::from)?;
    let options = RealWorldOptions {
        clock: RunClock::start(),
        star,
        driver,
        recorder,
        directory: directory.clone(),
        nodes: workload.nodes,
        observe: workload.observe,
        watch,
    };
    Ok(RealWorld::new(options).map_err(anyhow::Error::from)?)
}

/// Ends the run at the first violation.
fn watch(workload: &Workload) -> Watch {
    let mut watch = chaos_check::Watch::new(&judge::properties_of(workload), workload.nodes);
    Box::new(move |event| {
        let alarm = watch.event(event)?;
        Some(format!("by the first violation: {} ({})", alarm.sentence, alarm.property.name()))
    })
}

fn drive_world(world: &mut RealWorld, workload: &Workload, seed: Seed, live: &mut Live) -> Result<Finished, Failure> {
    world.interrupt_on_signals().map_err(anyhow::Error::from)?;
    world.start_nodes(workload.start_within).map_err(start_failure)?;
    let mut engine = Engine::new(workload, seed, world.now());
    let finished = drive(&mut engine, world, &mut |now, event, engine| live.update(now, event, engine));
    Ok(finished.map_err(anyhow::Error::from)?)
}

/// What the user can mend has a remedy, the rest is ours.
fn net_failure(error: NetError) -> Failure {
    if error.remedy().is_some() { Failure::refused(error) } else { Failure::Broken(error.into()) }
}

/// A cluster that doesn't come up: with the last words of the node that is to blame.
fn start_failure(error: StartError) -> Failure {
    let log = match &error {
        StartError::Exited { log, .. } | StartError::NeverAnswered { log, .. } => Some(log.clone()),
        StartError::World(_) | StartError::Process(_) | StartError::Interrupted => None,
    };
    let words = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
    let lines: Vec<&str> = words.lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
    let error = anyhow::Error::from(error);
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
