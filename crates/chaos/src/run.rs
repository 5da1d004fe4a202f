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
use chaos_history::{FaultKind, Header, Mark, NodeId, RunDir, RunNanos, Seed, format};
use chaos_net::{Capture, Network};
use chaos_plan::{Clients, Fault, Source, Step, System, Work, Workload, all_steps};
use chaos_report::{CheckVerdict, Report};
use chaos_systems::{DefinedDriver, Launch};
use election::specimens::{self, Specimen};

use crate::args::RunArguments;
use crate::changes::Asked;
use crate::events::{Events, RunFormat};
use crate::failure::{Failure, never_hides_a_violation};
use crate::follow::{Alarms, Follow, Started};
use crate::home::Home;
use crate::live::{Live, SummaryTo};
use crate::means::{self, Means};
use crate::simulated::{self, WorldKind};
use crate::system::{self, Opened};
use crate::wrap::{Company, Wrap};
use crate::{again, judge, repeat, report, tested};

/// What is to be run, and how: what the arguments of `run` and `wrap` have in common.
pub(crate) struct Order<'a> {
    /// The workload, where its run goes, and how much is told.
    pub(crate) asked: &'a Asked,
    /// To whom it is told.
    pub(crate) format: RunFormat,
    /// The command that the run accompanies.
    pub(crate) wrap: Option<&'a Wrap>,
    /// Where it runs.
    pub(crate) world: WorldKind,
}

/// Runs a workload to its verdict.
pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    if let Some(times) = arguments.repeat.repeat {
        return repeat::run(arguments, times.into());
    }
    repeat::end_with_parent(arguments)?;
    carry_out(&Order { asked: &arguments.asked, format: arguments.format, wrap: None, world: arguments.world })
}

/// Runs what was ordered to its verdict.
pub(crate) fn carry_out(order: &Order<'_>) -> Result<ExitCode, Failure> {
    let alarms = Alarms::default();
    let mut follow: Box<dyn Follow> = match (order.format, order.wrap) {
        (RunFormat::Json, _) => Box::new(Events::new(alarms.clone())),
        (RunFormat::Text, None) => Box::new(Live::new(order.asked.quiet, SummaryTo::Stdout)),
        (RunFormat::Text, Some(_)) => Box::new(Live::new(order.asked.quiet, SummaryTo::Stderr)),
    };
    let followed = match order.world {
        WorldKind::Real => follow_out(order, follow.as_mut(), alarms),
        WorldKind::Sim => simulated::follow_out(order, follow.as_mut(), alarms),
    };
    followed.inspect_err(|failure| {
        follow.failed(failure.exit_code(), &failure.in_words());
    })
}

fn follow_out(order: &Order<'_>, follow: &mut dyn Follow, alarms: Alarms) -> Result<ExitCode, Failure> {
    let loaded = chaos_plan::load(Path::new(&order.asked.workload), &order.asked.changes.overrides())?;
    let (mut workload, written) = (loaded.workload, loaded.sources.into_iter().next());
    check_specimen(&workload)?;
    check_loads(&workload)?;
    let seed = order.asked.seed.map(Seed).or(workload.seed).unwrap_or_else(|| Seed(rand::random::<u32>().into()));
    workload.seed = Some(seed);

    let home = Home::enter(&workload)?;
    init_log();
    let means = Means::of(&workload, &home)?;

    let started = jiff::Timestamp::now();
    let directory = begin(order, &workload, seed, &started, follow)?;
    let watch = order.asked.stop_on_violation.then(|| watch(&workload, alarms));
    let (mut world, _) = build_world(&workload, &home, means, seed, &started, &directory, watch)?;
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

    let (report, written) = judged(&directory, written.as_ref())?;
    let violated = report.checks.iter().any(|check| check.verdict == CheckVerdict::Invalid);
    if !violated && !order.asked.keep {
        remove_data(&directory, workload.nodes);
    }
    kept_company?;
    tell(follow, &report, &directory, &workload, finished);
    let code = report::for_ci(&directory, &report);
    never_hides_a_violation(written, report.exit_code)?;
    Ok(ExitCode::from(code))
}

/// Makes the run directory, and says that the run begins.
pub(crate) fn begin(
    order: &Order<'_>,
    workload: &Workload,
    seed: Seed,
    started: &jiff::Timestamp,
    follow: &mut dyn Follow,
) -> Result<RunDir, Failure> {
    let directory = make_directory(order, workload, seed, started)?;
    let given = again::as_given(order, seed);
    again::save(&directory, &given).with_context(|| format!("write into {}", directory.root().display()))?;
    let faults = Engine::new(workload, seed, RunNanos::default()).progress().faults_total;
    follow.started(&Started { workload, seed, faults, directory: &directory, again: &given });
    Ok(directory)
}

/// The verdict on a run that has ended, and whether it could be written.
pub(crate) fn judged(directory: &RunDir, written: Option<&Source>) -> Result<(Report, Result<(), Failure>), Failure> {
    let mut report = judge::judge(directory)?;
    if let Some(written) = written {
        report::place_expectations(&mut report, written);
    }
    let written = judge::write(directory, &report);
    Ok((report, written))
}

/// Tells the verdict.
pub(crate) fn tell(
    follow: &mut dyn Follow,
    report: &Report,
    directory: &RunDir,
    workload: &Workload,
    finished: Finished,
) {
    if let Finished::NeverReady { seen } = finished {
        follow.remark(&format!("no leader within {:?} of the start; {seen}", workload.start_within));
    }
    follow.judged(report, directory);
}

pub(crate) fn check_specimen(workload: &Workload) -> Result<(), Failure> {
    let System::Raft(all) = &workload.system else { return Ok(()) };
    let own = all.nodes.iter().map(|(node, options)| (format!("system.nodes.{node}.specimen"), options));
    for (place, options) in std::iter::once(("system.raft.specimen".to_owned(), all)).chain(own) {
        // Another program may know other specimens.
        let Some(name) = options.specimen.as_ref().filter(|_| options.program.is_none()) else { continue };
        Specimen::named(name).map_err(|error| {
            let known = specimens::ALL.iter().map(|specimen| specimen.name);
            let meant = chaos_plan::nearest(name, known).map(|name| format!("; did you mean `{name}`?"));
            Failure::Refused(anyhow!("{place}: {error}{}", meant.unwrap_or_default()))
        })?;
    }
    Ok(())
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
    home: &Home,
    means: Means,
    seed: Seed,
    started: &jiff::Timestamp,
    directory: &RunDir,
    watch: Option<Watch>,
) -> Result<(RealWorld, Option<Arc<DefinedDriver>>), Failure> {
    let service = system::service_nodes(workload);
    let network = home.build_network(workload)?;
    let capture = workload.capture.then(|| capture(&network, directory)).transpose()?;
    let Opened { driver, defined, programs } = system::open(workload, seed, home, &network, directory)?;
    let launch = |node: NodeId| driver.launch(node, &directory.node(node).join("data"));
    let launches: Vec<Launch> = NodeId::all(workload.nodes + service).map(launch).collect();
    means::check_programs(workload, means.clocks.as_ref(), &launches)?;
    let header = Header {
        chaos_history: format::VERSION,
        simulated: None,
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
        clocks: means.clocks,
        clock: RunClock::start(),
        network,
        capture,
        driver,
        recorder,
        directory: directory.clone(),
        nodes: workload.nodes,
        service,
        observe: workload.observe,
        seed,
        disks: means.disks,
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

/// Writes down what passes between the nodes, from before the first of them is started.
fn capture(network: &Network, directory: &RunDir) -> Result<Capture, Failure> {
    let Network::Star(star) = network else {
        return Err(Failure::Refused(anyhow!("`capture: true` needs namespaces: proxies have no packets")));
    };
    let path = directory.capture();
    let file = fs::File::create_new(&path).with_context(|| format!("make {}", path.display()))?;
    let names: Vec<String> = NodeId::all(star.nodes()).map(|node| node.to_string()).collect();
    star.capture(file, &names).map_err(Failure::refused)
}

/// Ends the run at the first violation.
fn watch(workload: &Workload, alarms: Alarms) -> Watch {
    let renews = all_steps(&workload.faults.steps).into_iter().filter_map(Step::fault);
    let renews = renews.map(Fault::kind).any(FaultKind::renews_nodes);
    let mut watch = chaos_check::Watch::new(&judge::properties_of(workload), workload.nodes)
        .of(workload.system.testimony())
        .renewing(renews);
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
        Err(error) => return Err(start_failure(&workload.system, error)),
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

/// A cluster that doesn't come up: with the last words of the node that is to blame. A program that ends or stays silent is for the user
/// to mend, unless it is our own.
fn start_failure(system: &System, error: StartError) -> Failure {
    let own = match system {
        System::Raft(options) => options.program.is_none(),
        System::Defined(_) => false,
    };
    let ours = match &error {
        StartError::World(_) | StartError::Interrupted { .. } => true,
        StartError::Process(_)
        | StartError::Exited { .. }
        | StartError::ProcessExited { .. }
        | StartError::Preparation { .. }
        | StartError::NeverAnswered { .. }
        | StartError::NotReady { .. } => own,
    };
    let words = error.log().map(last_words).unwrap_or_default();
    let error = anyhow::Error::from(error).context(format!("start {}", system.name()));
    let error = if words.is_empty() { error } else { anyhow!("{error:#}{words}") };
    if ours { Failure::Broken(error) } else { Failure::Refused(error) }
}

/// The end of a log, and of the standard output that was written beside it: many programs say there why they end.
fn last_words(log: &Path) -> String {
    let beside = log.file_name().map(|name| name.to_string_lossy().replace("stderr.log", "stdout.log"));
    let beside = beside.map(|name| log.with_file_name(name)).filter(|beside| beside != log);
    let mut text = String::new();
    for log in std::iter::once(log).chain(beside.as_deref()) {
        let words = fs::read(log).unwrap_or_default();
        let words = String::from_utf8_lossy(&words[words.len().saturating_sub(LAST_WORDS_BYTES)..]).into_owned();
        let lines: Vec<&str> = words.lines().filter(|line| !line.trim().is_empty()).collect();
        if !lines.is_empty() {
            let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
            text.push_str(&format!("\nthe last words in {}:\n  {last}", log.display()));
        }
    }
    text
}

/// How much of a log's end is looked at for its last lines.
const LAST_WORDS_BYTES: usize = 16 << 10;

/// The nodes' data is evidence only if something is wrong.
fn remove_data(directory: &RunDir, nodes: usize) {
    for node in NodeId::all(nodes) {
        let data = directory.node(node).join("data");
        if let Err(error) = fs::remove_dir_all(&data) {
            tracing::warn!(path = %data.display(), %error, "could not remove a node's data");
        }
    }
}
