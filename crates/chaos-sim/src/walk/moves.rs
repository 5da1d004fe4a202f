//! What can happen in a walk, as data: so that a walk can be gone again, and again without some of it.

use std::fmt;
use std::time::Duration;

use chaos_history::NodeId;

/// A message under way, by what stays true of it when something else is left out of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Who sent it.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// How many that were sent after it, between the same two, are under way.
    pub newer: u16,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A message arrives.
    Deliver {
        /// Which.
        letter: Letter,
        /// How much later it is then for the receiver; under 3 ms.
        later: Duration,
    },
    /// A message arrives, and stays under way.
    Repeat {
        /// Which.
        letter: Letter,
        /// How much later it is then for the receiver; under 3 ms.
        later: Duration,
    },
    /// A message is lost.
    Lose {
        /// Which.
        letter: Letter,
    },
    /// A node's deadline passes.
    TimeOut {
        /// Whose.
        node: NodeId,
    },
    /// A node is asked to append a command.
    Propose {
        /// Which.
        node: NodeId,
    },
    /// A node is asked to read.
    Read {
        /// Which.
        node: NodeId,
    },
    /// A node is asked to make others the members.
    Change {
        /// Which.
        node: NodeId,
        /// The members there should be: bit 0 is n1.
        members: u16,
    },
    /// A node takes its oldest message, or its deadline where it has none, ends after so many of the outputs, and starts again.
    Crash {
        /// Which.
        node: NodeId,
        /// How many things it still does: writes, sends and reports count alike. Below 4.
        outputs: u8,
        /// How much later it is then for the node; under 3 ms.
        later: Duration,
    },
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver { letter: Letter { from, to, .. }, .. } => write!(f, "{from}'s message reaches {to}"),
            Self::Repeat { letter: Letter { from, to, .. }, .. } => {
                write!(f, "{from}'s message reaches {to}, and not for the last time")
            }
            Self::Lose { letter: Letter { from, to, .. } } => write!(f, "{from}'s message to {to} is lost"),
            Self::TimeOut { node } => write!(f, "{node} waits no longer"),
            Self::Propose { node } => write!(f, "{node} is asked to append a command"),
            Self::Read { node } => write!(f, "{node} is asked to read"),
            Self::Change { node, members } => {
                let names: Vec<String> =
                    members_of(*members).map(|member| NodeId::from_index(member).to_string()).collect();
                write!(f, "{node} is asked to make {} the members", names.join(", "))
            }
            Self::Crash { node, outputs, .. } => {
                write!(f, "{node} crashes after {outputs} more outputs, and starts again")
            }
        }
    }
}

/// The indices of the members that a set of bits means.
pub(super) fn members_of(bits: u16) -> impl Iterator<Item = usize> {
    (0..16).filter(move |member| bits & 1 << member != 0)
}
