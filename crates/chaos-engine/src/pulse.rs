//! The beat of a crash loop: when each of its nodes is killed again, and when it is started again.
//!
//! Times count from what the world tells, and not from what was commanded: a node is down for its time from its end on, and up
//! for its time from its start on. So a start never overtakes the kill before it, however slow the host is. A node that ends by
//! itself meanwhile is started again like the others.

use std::collections::BTreeMap;

use chaos_history::{NodeId, NodeLife, RunNanos};
use chaos_plan::DurationRange;

use crate::random::Stream;

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    /// It was killed, and has not been heard to end.
    Dying,
    /// It is to be started then.
    Down { until: RunNanos },
    /// It was started, and has not been heard to be there.
    Starting,
    /// It is to be killed then.
    Up { until: RunNanos },
}

/// What is to be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stroke {
    Kill,
    Start,
}

/// The beat of one crash loop.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    stream: Stream,
    up: DurationRange,
    down: DurationRange,
    nodes: BTreeMap<NodeId, Beat>,
}

impl Pulse {
    /// Begins when its nodes have been told to end.
    pub(crate) fn new(nodes: &[NodeId], up: DurationRange, down: DurationRange, stream: Stream) -> Self {
        Self { stream, up, down, nodes: nodes.iter().map(|node| (*node, Beat::Dying)).collect() }
    }

    /// Takes in the life of a node.
    pub(crate) fn node(&mut self, node: NodeId, life: &NodeLife, now: RunNanos) {
        let Some(beat) = self.nodes.get_mut(&node) else { return };
        match life {
            NodeLife::Exited { .. } => *beat = Beat::Down { until: now + self.stream.within(self.down) },
            NodeLife::Started { .. } => *beat = Beat::Up { until: now + self.stream.within(self.up) },
            NodeLife::Ready | NodeLife::ProcessStarted { .. } | NodeLife::ProcessExited { .. } => {}
        }
    }

    /// What is due.
    pub(crate) fn strokes(&mut self, now: RunNanos) -> Vec<(NodeId, Stroke)> {
        let mut strokes = Vec::new();
        for (node, beat) in &mut self.nodes {
            match *beat {
                Beat::Down { until } if now >= until => {
                    *beat = Beat::Starting;
                    strokes.push((*node, Stroke::Start));
                }
                Beat::Up { until } if now >= until => {
                    *beat = Beat::Dying;
                    strokes.push((*node, Stroke::Kill));
                }
                Beat::Down { .. } | Beat::Up { .. } | Beat::Dying | Beat::Starting => {}
            }
        }
        strokes
    }

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<RunNanos> {
        let due = |beat: &Beat| match beat {
            Beat::Down { until } | Beat::Up { until } => Some(*until),
            Beat::Dying | Beat::Starting => None,
        };
        self.nodes.values().filter_map(due).min()
    }

    /// The nodes that were killed and have not been heard to end.
    pub(crate) fn dying(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().filter(|(_, beat)| **beat == Beat::Dying).map(|(node, _)| *node)
    }

    /// Whether there is such a node.
    pub(crate) fn is_dying(&self) -> bool {
        self.dying().next().is_some()
    }
}
