//! The run as lanes: who believed what, who was up, what was broken. Data for drawings, without any drawing.
//!
//! Boundaries between two answers are put in the middle of the interval in which the change happened.

use std::collections::BTreeMap;

use chaos_history::{
    ElectionRole, Event, FaultId, FaultKind, History, Mark, NodeId, ObservationOutcome, ObservationSource, RunNanos,
    SourcePlace, Term,
};

use crate::beliefs::{Answer, Beliefs};
use crate::conditions::Conditions;
use crate::interval::Interval;

/// The lanes of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// One per node, in order.
    pub lanes: Vec<Lane>,
    /// One per fault, in order of injection.
    pub faults: Vec<FaultBand>,
    /// The run's landmarks.
    pub landmarks: Vec<Landmark>,
}

/// What one node was and said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// The node.
    pub node: NodeId,
    /// What it said, in order; gaps where it was silent.
    pub roles: Vec<RoleSegment>,
    /// When it was not simply up.
    pub life: Vec<LifeSegment>,
    /// Every question that it was asked, in order of asking: between two answers nobody knows more.
    pub asked: Vec<Asked>,
}

/// A question to a node (or a node's unasked word, whose two stamps are one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it left.
    pub sent: RunNanos,
    /// When the answer was there, or the asking was given up.
    pub received: RunNanos,
    /// Whether there was an answer.
    pub answered: bool,
}

/// A stretch of time in which a node said the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleSegment {
    /// From.
    pub from: RunNanos,
    /// To.
    pub to: RunNanos,
    /// Its role.
    pub role: ElectionRole,
    /// Its term.
    pub term: Term,
    /// Whom it named.
    pub leader: Option<NodeId>,
}

/// A stretch of time in which a node was not simply up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeSegment {
    /// From.
    pub from: RunNanos,
    /// To.
    pub to: RunNanos,
    /// How it was.
    pub state: LifeState,
}

/// How a node was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeState {
    /// No process.
    Down,
    /// Its threads were stopped.
    Paused,
    /// Up, but without links both ways to a majority.
    Cut,
}

/// A fault's stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultBand {
    /// The fault.
    pub id: FaultId,
    /// Its kind.
    pub kind: FaultKind,
    /// The plan's words.
    pub label: String,
    /// Whom it was aimed at.
    pub nodes: Vec<NodeId>,
    /// The plan's line; `None` for the harness's own.
    pub source: Option<SourcePlace>,
    /// From its effect to its end, or to the end of the run.
    pub span: Interval,
}

/// A landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landmark {
    /// When.
    pub at: RunNanos,
    /// Which.
    pub mark: Mark,
}

/// Lays the history out in lanes.
pub(crate) fn timeline(history: &History, beliefs: &Beliefs, conditions: &Conditions) -> Timeline {
    let mut asked = asked(history);
    let lane = |node| {
        let asked = asked.remove(&node).unwrap_or_default();
        let silences: Vec<RunNanos> = asked.iter().filter(|it| !it.answered).map(|it| it.sent).collect();
        let roles = role_segments(beliefs.of(node), &silences);
        Lane { node, roles, life: life_segments(node, conditions), asked }
    };
    Timeline {
        lanes: NodeId::all(history.header.nodes).map(lane).collect(),
        faults: conditions.bands().collect(),
        landmarks: history.landmarks().map(|(at, mark)| Landmark { at, mark }).collect(),
    }
}

/// What each node was asked, in order of asking.
fn asked(history: &History) -> BTreeMap<NodeId, Vec<Asked>> {
    let mut by_node: BTreeMap<NodeId, Vec<Asked>> = BTreeMap::new();
    for recorded in &history.events {
        let Event::Observation(observation) = &recorded.event else { continue };
        let received = match observation.source {
            ObservationSource::Poll => observation.received.max(observation.sent),
            ObservationSource::Push => observation.sent,
        };
        let answered = matches!(observation.outcome, ObservationOutcome::Answered(_));
        by_node.entry(observation.node).or_default().push(Asked { sent: observation.sent, received, answered });
    }
    by_node.values_mut().for_each(|asked| asked.sort_unstable_by_key(|it| it.sent));
    by_node
}

fn role_segments(answers: &[Answer], silences: &[RunNanos]) -> Vec<RoleSegment> {
    let mut segments: Vec<RoleSegment> = Vec::new();
    let mut previous: Option<&Answer> = None;
    for answer in answers {
        let belief = (answer.role, answer.term, answer.leader);
        let silent_since = previous.is_some_and(|previous| {
            let next = silences.partition_point(|moment| *moment <= previous.to);
            silences.get(next).is_some_and(|moment| *moment < answer.from)
        });
        let begin = match (previous, segments.last_mut()) {
            (Some(previous), Some(last)) if !silent_since => {
                let said_before = (last.role, last.term, last.leader);
                let boundary = Interval::new(previous.from, answer.to).middle();
                if said_before == belief {
                    last.to = answer.to;
                    None
                } else {
                    last.to = boundary.max(last.from);
                    Some(last.to)
                }
            }
            (Some(_) | None, Some(_) | None) => Some(answer.from),
        };
        if let Some(from) = begin {
            let (role, term, leader) = belief;
            segments.push(RoleSegment { from, to: answer.to.max(from), role, term, leader });
        }
        previous = Some(answer);
    }
    segments
}

fn life_segments(node: NodeId, conditions: &Conditions) -> Vec<LifeSegment> {
    let states = [
        (LifeState::Cut, conditions.cut_off(node)),
        (LifeState::Paused, conditions.paused(node).to_vec()),
        (LifeState::Down, conditions.down(node).to_vec()),
    ];
    let segments = states.into_iter().flat_map(|(state, spans)| {
        spans.into_iter().map(move |span| LifeSegment { from: span.lo, to: span.hi, state })
    });
    segments.collect()
}
