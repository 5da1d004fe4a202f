//! What the engine may ask of a world, and what a world may tell it.
//!
//! A world only executes commands and reports events: the real one with processes and packets, the simulated one with
//! neither. Everything that decides (whom a fault hits, when an operation is due) is the engine's, so that one plan means the
//! same in both.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{
    Action, ClientRole, FaultEdge, FaultEvent, FaultId, FaultKind, Link, Mark, NodeId, NodeLife, Observation, OpId,
    OpPhase, ProcessId, ReplicaOutcome, RunNanos, Seed, SourcePlace, Term,
};
use chaos_plan::{
    CutMode, Damage, Fault, FaultPlan, Hindrance, KillSignal, LinkConditions, ProcessTarget, Step, all_steps,
};

/// Something for the world to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Inject or take back a fault, and answer with [`Event::FaultDone`].
    Fault(FaultCommand),
    /// Invoke an operation now, and answer with [`Event::Completed`] by `deadline` at the latest.
    Invoke(Invocation),
    /// Give up nothing, just write the landmark (and the remark, which may be empty) into the history.
    Mark(Mark, String),
    /// Write a remark for people into the history: a note without a landmark.
    Remark(String),
    /// Ask a node what its replica holds, and answer with [`Event::Compared`] by `deadline` at the latest.
    Compare {
        /// The node.
        node: NodeId,
        /// After this, it counts as silent.
        deadline: RunNanos,
    },
    /// Change what a fault does to some of its nodes while it goes on: take a kill or a pause back for them, or let a crash loop
    /// kill and start them again. The fault itself ends later, once for all its nodes, so this is no edge: nothing is recorded but
    /// the nodes' own life (a remark if it fails), and there is no answer.
    Alter {
        /// The fault that goes on.
        fault: FaultId,
        /// [`FaultChange::Restart`], [`FaultChange::Resume`] or [`FaultChange::Kill`].
        change: FaultChange,
        /// The nodes that are meant.
        nodes: Vec<NodeId>,
        /// The fault's process, if it is of one.
        process: Option<ProcessTarget>,
    },
    /// The run is over: no more commands follow.
    Finish(Finished),
}

/// How a run ended, from the engine's point of view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The plan ran to its end.
    Completed,
    /// No majority named a leader in time, so nothing was tested.
    NeverReady {
        /// For people: what was seen instead, node by node.
        seen: String,
    },
    /// The workload's time limit ended it.
    LimitReached,
    /// The user ended it.
    Interrupted,
}

/// A fault, resolved to nodes and links.
///
/// Commands are executed in the order in which they were given, cuts above all: each carries the whole set.
/// An end follows every begin, also one that failed (it may have taken hold of some of its nodes), so taking back must leave
/// alone what is not broken: a running node that is restarted, a node that is gone or runs when it is resumed.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultCommand {
    /// Begin and end of one fault carry one number.
    pub id: FaultId,
    /// Whether this is the fault's begin or its end.
    pub edge: FaultEdge,
    /// What to do.
    pub change: FaultChange,
    /// What kind of fault this edge belongs to.
    pub kind: FaultKind,
    /// The plan's words.
    pub label: String,
    /// The nodes aimed at; at the end those that are to come back now (all of them, unless some were relieved before).
    pub nodes: Vec<NodeId>,
    /// The one process of those nodes that is hit; `None`: all of the node. Only kills and pauses have one.
    pub process: Option<ProcessTarget>,
    /// The directed links that this fault cuts.
    pub links: Vec<Link>,
    /// Whom a majority named when the fault was aimed.
    pub leader: Option<(NodeId, Term)>,
    /// When the plan wanted it.
    pub scheduled: RunNanos,
    /// The plan line that asked for it.
    pub source: Option<SourcePlace>,
}

/// The effect that is wanted of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultChange {
    /// End the processes of these nodes by a signal.
    Kill(KillSignal),
    /// Start the nodes again.
    Restart,
    /// Stop every thread of these nodes' processes.
    Pause,
    /// Let them run again.
    Resume,
    /// From now on treat packets just like this.
    Cut(Cut),
    /// Drop exactly these packets, and stop every thread of these nodes' processes.
    Freeze(Cut),
    /// Drop exactly these packets, and let these nodes run again.
    Thaw(Cut),
    /// End all processes of these nodes at the same time, and take from their disks what was not synced.
    LosePower {
        /// From which the part of it is drawn that stays; `None`: nothing does.
        kept: Option<Seed>,
    },
    /// Damage files of these nodes, whether they run or not.
    Corrupt {
        /// Which, by a glob on paths relative to a node's data directory.
        file: String,
        /// In which way.
        damage: Damage,
        /// From which the places are drawn.
        seed: Seed,
    },
    /// Ask the one node to hand its leadership over; confirmed when another one claims to lead.
    Transfer {
        /// To whom; `None`: to whom the system chooses.
        to: Option<NodeId>,
    },
    /// Have the cluster go on without these nodes, one after the other, and end their processes.
    RemoveMember,
    /// Have the cluster take them in again, and start them with empty disks.
    AddMember,
    /// Hinder the processes that these nodes have now, and those that they start.
    Hinder(Hindrance),
    /// Hinder them no more, and start again what ended because of it. Damage stays.
    Relax,
}

/// What becomes of packets: by all faults under way together, the change that carries this included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Nothing passes these directed links between nodes.
    pub links: BTreeMap<Link, CutMode>,
    /// What these do to packets while they are not cut.
    pub conditions: BTreeMap<Link, LinkConditions>,
    /// Nothing passes between these nodes and whoever is no node, clients and observers above all.
    pub legs: BTreeSet<NodeId>,
}

impl Cut {
    /// A cut of links between nodes alone.
    #[must_use]
    pub fn of_links(links: impl IntoIterator<Item = Link>) -> Self {
        let links = links.into_iter().map(|link| (link, CutMode::default())).collect();
        Self { links, ..Self::default() }
    }
}

/// An operation to invoke.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The operation.
    pub id: OpId,
    /// The process that runs it.
    pub process: ProcessId,
    /// Whom to ask.
    pub node: NodeId,
    /// Which part of the load asks.
    pub role: ClientRole,
    /// When it should have been sent.
    pub due: RunNanos,
    /// After this, the world completes it as `info` (or `fail`, if nothing was sent).
    pub deadline: RunNanos,
    /// What to ask.
    pub action: Action,
}

/// Something that happened in the world. By the time the engine sees it, it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time passed up to a deadline of the engine.
    Tick,
    /// A node was asked and answered or not.
    Observed(Observation),
    /// An operation ended.
    Completed(Completed),
    /// A node was asked what it holds.
    Compared {
        /// The node.
        node: NodeId,
        /// Its answer; `None` if the system knows no such question, which is not recorded.
        outcome: Option<ReplicaOutcome>,
    },
    /// A fault command was executed; the event carries its stamps and, if it failed, the error.
    FaultDone(FaultEvent),
    /// A node process started, became ready or ended.
    Node {
        /// The node.
        node: NodeId,
        /// What happened.
        life: NodeLife,
    },
    /// The user asks for an end. Every fault is taken back, then the run finishes.
    Interrupt {
        /// Who or what wants it, for people: `by the user`.
        why: String,
    },
    /// What the run accompanies is over ([`Engine::accompanying`](crate::Engine::accompanying)), and so is the fault plan: every
    /// fault is taken back, and the run comes to its proper end. Means nothing to other runs.
    Conclude {
        /// What is over, for people.
        why: String,
    },
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// The operation.
    pub id: OpId,
    /// How it ended; never [`OpPhase::Invoke`].
    pub phase: OpPhase,
    /// Whom the asked node named as leader, for clients that follow the leader.
    pub leader_hint: Option<NodeId>,
}

/// What a world can do. A plan that needs more is refused before anything starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds of fault that the world can inject.
    pub faults: BTreeSet<FaultKind>,
    /// Why the others are missing and what to change, for people.
    pub remedy: String,
}

impl Capabilities {
    /// The kinds of fault that the plan asks for and this world can't inject. Whoever starts a run refuses unless it is empty.
    #[must_use]
    pub fn missing(&self, plan: &FaultPlan) -> BTreeSet<FaultKind> {
        let needed: BTreeSet<FaultKind> =
            all_steps(&plan.steps).into_iter().filter_map(Step::fault).map(Fault::kind).collect();
        needed.difference(&self.faults).copied().collect()
    }
}

/// A place where commands become effects.
///
/// Every fault command is answered once, and every invocation is completed once, by its deadline. Commands of one fault, and
/// all cuts, take effect in the order in which they were given. What the engine is told is recorded before.
pub trait World {
    /// Why the world can't go on.
    type Error;

    /// What the world can do.
    fn capabilities(&self) -> &Capabilities;

    /// The run's clock.
    fn now(&self) -> RunNanos;

    /// Begins to execute a command. Never waits for its effect: that arrives as an event.
    ///
    /// # Errors
    /// If the world itself is broken (not if the effect fails: that is told in the event).
    fn execute(&mut self, command: Command) -> Result<(), Self::Error>;

    /// The next event with its stamp, already recorded; [`Event::Tick`] once `deadline` has passed.
    ///
    /// # Errors
    /// If the world can't go on.
    fn next_event(&mut self, deadline: RunNanos) -> Result<(RunNanos, Event), Self::Error>;
}
