//! A whole run in one call: the same engine, checks and history as a real one.

use chaos_check::{Alarm, Property, Watch};
use chaos_engine::{Counts, Engine, Finished, World, drive};
use chaos_history::{FaultKind, Header, History, HistoryError, NoteEvent, RunNanos, Seed, format};
use chaos_plan::{Fault, Step, System, Work, Workload, all_steps};

use crate::program::{Program, ProgramError, RaftProgram};
use crate::random::ALGORITHM;
use crate::record::{Memory, Nowhere, Sink};
use crate::timings::Timings;
use crate::world::{SimWorld, SimWorldError, WorldOptions};

/// How a simulation is done, beside what its workload says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimOptions {
    /// How long things take.
    pub timings: Timings,
    /// Whether the history is kept.
    pub keep: Keep,
    /// What is watched while the run goes on.
    pub watching: Watching,
    /// A run in which more things happen than this ends with an error; the default is a thousand million.
    pub happenings_max: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            timings: Timings::default(),
            keep: Keep::History,
            watching: Watching::Nothing,
            happenings_max: 1_000_000_000,
        }
    }
}

/// Whether a simulation's history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it, in memory.
    History,
    /// Nothing but its hash and what the watch has seen.
    Nothing,
}

/// What is watched while a simulation goes on, at the cost of a few hundred nanoseconds an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watching {
    /// Nothing.
    Nothing,
    /// These properties, as far as they can be refuted before the end; the first violation ends the run.
    For(Vec<Property>),
}

/// What came of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// How the run ended.
    pub finished: Finished,
    /// A hash over everything that happened, in its order. Equal seeds have equal hashes.
    pub hash: u64,
    /// How many things happened.
    pub happened: u64,
    /// When the run ended, in virtual time.
    pub end: RunNanos,
    /// The violation that was seen while it went on, if one was.
    pub alarm: Option<Alarm>,
    /// How the operations ended.
    pub operations: Counts,
    /// The history as a recorder would have written it; without events if it wasn't kept.
    pub history: History,
}

/// Why a workload can't be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// Its system is not one of ours.
    #[error("simulate `{0}`: the simulator runs this project's own protocols; real systems need real processes")]
    NotOurs(String),
    /// A node of it is not.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its load is of locks.
    #[error("simulate a lock or an election load: the reference node has nothing to hold")]
    NothingToHold,
    /// It wants packets.
    #[error("simulate with `capture: true`: the simulator has messages and no packets")]
    NoPackets,
    /// Its fault plan asks for something that the simulator can't do.
    #[error("simulate {}: {remedy}", kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(", "))]
    Missing {
        /// The kinds of fault that it lacks.
        kinds: Vec<FaultKind>,
        /// Why, and what to do.
        remedy: String,
    },
    /// The history can't be written.
    #[error("record the run")]
    History(#[source] HistoryError),
    /// Nodes make so much of nothing that the run would never end.
    #[error("simulate on: more than {0} things have happened")]
    Runaway(u64),
}

impl From<SimWorldError<HistoryError>> for SimError {
    fn from(error: SimWorldError<HistoryError>) -> Self {
        match error {
            SimWorldError::Sink(error) => Self::History(error),
            SimWorldError::Runaway(limit) => Self::Runaway(limit),
        }
    }
}

impl From<SimWorldError<std::convert::Infallible>> for SimError {
    fn from(error: SimWorldError<std::convert::Infallible>) -> Self {
        match error {
            SimWorldError::Sink(never) => match never {},
            SimWorldError::Runaway(limit) => Self::Runaway(limit),
        }
    }
}

/// Whether a workload can be simulated at all, without simulating it.
///
/// # Errors
/// [`SimError`], saying why not.
pub fn check(workload: &Workload) -> Result<RaftProgram, SimError> {
    let System::Raft(options) = &workload.system else {
        return Err(SimError::NotOurs(workload.system.name().to_owned()));
    };
    if workload.clients.iter().any(|clients| matches!(clients.work, Work::Lock(_) | Work::Election { .. })) {
        return Err(SimError::NothingToHold);
    }
    if workload.capture {
        return Err(SimError::NoPackets);
    }
    let capabilities = crate::capabilities::capabilities();
    let missing = capabilities.missing(&workload.faults);
    if !missing.is_empty() {
        return Err(SimError::Missing { kinds: missing.into_iter().collect(), remedy: capabilities.remedy });
    }
    Ok(RaftProgram::new(options, workload.nodes)?)
}

/// Simulates a run of the workload. The same workload, seed and options give the same outcome, to the bit, on every machine and thread.
///
/// # Errors
/// If the workload can't be simulated ([`check`]), or never comes to an end.
pub fn simulate(workload: &Workload, seed: Seed, options: &SimOptions) -> Result<Simulated, SimError> {
    simulate_program(check(workload)?, workload, seed, options)
}

/// The same with nodes of another program: the workload's system is not looked at but for how clients read.
///
/// # Errors
/// If the run never comes to an end.
pub fn simulate_program<P: Program>(
    program: P,
    workload: &Workload,
    seed: Seed,
    options: &SimOptions,
) -> Result<Simulated, SimError> {
    match options.keep {
        Keep::History => {
            let (simulated, Memory(events)) =
                run(program, workload, seed, options, Memory::default(), &mut |_, _, _| {})?;
            Ok(Simulated { history: History { events, ..simulated.history }, ..simulated })
        }
        Keep::Nothing => Ok(run(program, workload, seed, options, Nowhere, &mut |_, _, _| {})?.0),
    }
}

/// Follows a run as [`drive`] has it followed.
pub type OnProgress<'a> = &'a mut dyn FnMut(RunNanos, &chaos_engine::Event, &Engine);

/// The same with a recorder of the caller's choice, which is handed back: a history file, say.
///
/// # Errors
/// If the workload can't be simulated, its history can't be kept, or it never comes to an end.
pub fn simulate_into<S: Sink>(
    workload: &Workload,
    seed: Seed,
    options: &SimOptions,
    sink: S,
    on_progress: OnProgress<'_>,
) -> Result<(Simulated, S), SimError>
where
    SimError: From<SimWorldError<S::Error>>,
{
    run(check(workload)?, workload, seed, options, sink, on_progress)
}

fn run<P: Program, S: Sink>(
    program: P,
    workload: &Workload,
    seed: Seed,
    options: &SimOptions,
    sink: S,
    on_progress: OnProgress<'_>,
) -> Result<(Simulated, S), SimError>
where
    SimError: From<SimWorldError<S::Error>>,
{
    let alarm = std::cell::RefCell::new(None);
    let world_options = WorldOptions {
        nodes: workload.nodes,
        seed,
        observe: workload.observe,
        read: match &workload.system {
            System::Raft(options) => options.read,
            System::Defined(_) => chaos_plan::ReadConsistency::Linearizable,
        },
        timings: options.timings.clone(),
        watch: watch(workload, &options.watching, &alarm),
    };
    let mut world = SimWorld::new(program, world_options, sink).limited_to(options.happenings_max);
    world.start_nodes(workload.start_within)?;
    let mut engine = Engine::new(workload, seed, world.now());
    let finished = drive(&mut engine, &mut world, on_progress)?;
    let end = world.now();
    let (sink, hash, happened) = world.finish()?;
    let history = History { header: header(workload, seed), events: Vec::new(), torn: false };
    let operations = engine.progress().operations;
    let alarm = alarm.into_inner();
    Ok((Simulated { finished, hash, happened, end, alarm, operations, history }, sink))
}

/// Sees what is recorded, and ends the run at the first violation.
fn watch<'a>(
    workload: &Workload,
    watching: &Watching,
    alarm: &'a std::cell::RefCell<Option<Alarm>>,
) -> Option<crate::world::Watch<'a>> {
    let Watching::For(properties) = watching else { return None };
    let renews = all_steps(&workload.faults.steps).into_iter().filter_map(Step::fault);
    let renews = renews.map(Fault::kind).any(FaultKind::renews_nodes);
    let mut watch = Watch::new(properties, workload.nodes).of(workload.system.testimony()).renewing(renews);
    Some(Box::new(move |event| {
        let seen = watch.event(event)?;
        let why = format!("by the first violation: {} ({})", seen.sentence, seen.property.name());
        *alarm.borrow_mut() = Some(seen);
        Some(why)
    }))
}

/// The header of a simulated run. It says that it was simulated, by which version of the seed's meaning, and no time of day.
#[must_use]
pub fn header(workload: &Workload, seed: Seed) -> Header {
    Header {
        chaos_history: format::VERSION,
        workload: workload.name.clone(),
        system: workload.system.name().to_owned(),
        nodes: workload.nodes,
        seed,
        started: "1970-01-01T00:00:00Z".to_owned(),
        chaos: env!("CARGO_PKG_VERSION").to_owned(),
        testimony: workload.system.testimony(),
        simulated: Some(ALGORITHM.to_owned()),
    }
}

/// The remark with which a simulated history begins for people who read the file.
#[must_use]
pub fn remark() -> chaos_history::Event {
    let text = format!("simulated by {ALGORITHM}: virtual time, no processes");
    chaos_history::Event::Note(NoteEvent { mark: None, text })
}
