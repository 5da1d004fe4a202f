//! What steers a list of steps: when steps begin, how often they are done, and which way links are cut.
//!
//! Like the rest of the model it is meant: a condition can be seen of the system under test, a sweep has rounds to step through.

use std::fmt;
use std::time::Duration;

use crate::fault::{Fault, Partition};
use crate::model::{DurationRange, Step, StepAction, Target};
use crate::scalar::write_duration;

/// Something that sets steps off (`on`), or ends a repetition (`until`). It counts from when it is begun to be watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// About the leader that a majority names.
    Leader(LeaderChange),
    /// A node is seen to have voted for another one, in a newer term than any vote that was seen before.
    VoteGranted,
    /// A node is seen in this term, or a later one.
    Term(TermMark),
    /// So many operations have been acknowledged.
    Operations(u64),
    /// The leader says that less than this is left of its lease.
    LeaseBelow(Duration),
}

/// What may happen to the leader that a majority names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaderChange {
    /// A majority names a leader that it did not name before, be it the same node in a newer term.
    Elected,
    /// A majority names another node.
    Another,
    /// The leader that a majority named is named by one no longer.
    Lost,
}

/// A term that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermMark {
    /// This one.
    At(u64),
    /// So many after the newest one that was seen.
    Later(u64),
}

impl fmt::Display for Condition {
    /// As a plan writes it, without the braces: `leader: elected`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader(LeaderChange::Elected) => f.write_str("leader: elected"),
            Self::Leader(LeaderChange::Another) => f.write_str("leader: another"),
            Self::Leader(LeaderChange::Lost) => f.write_str("leader: lost"),
            Self::VoteGranted => f.write_str("vote: granted"),
            Self::Term(TermMark::At(term)) => write!(f, "term: {term}"),
            // In quotes, since a reader of YAML may take it for a number without its sign.
            Self::Term(TermMark::Later(terms)) => write!(f, "term: \"+{terms}\""),
            Self::Operations(count) => write!(f, "operations: {count}"),
            Self::LeaseBelow(bound) => write!(f, "lease: {{ below: {} }}", write_duration(*bound)),
        }
    }
}

/// What ends a repetition before its rounds are over: looked at between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// It has been seen since the repetition began.
    pub condition: Condition,
    /// Or so much time has passed.
    pub within: Option<Duration>,
}

/// When within a heartbeat a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A drawn part of one heartbeat after its turn came.
    Drawn,
    /// The moment its turn comes.
    AtOnce,
    /// So long after a beat, drawn from the range.
    Offset(DurationRange),
    /// In the k-th of n rounds of the repetition around it, `k / n` of a heartbeat after a beat.
    Sweep,
}

/// Links between two targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSelector {
    /// Whose packets.
    pub from: Target,
    /// To whom.
    pub to: Target,
    /// Whether the way back is meant too.
    pub ways: Ways,
}

/// Directions of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// From the first to the second.
    One,
    /// Both.
    Both,
}

impl fmt::Display for LinkSelector {
    /// As a plan writes it: `leader -> n2`, `n3 <-> follower`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.ways {
            Ways::One => "->",
            Ways::Both => "<->",
        };
        write!(f, "{} {arrow} {}", self.from, self.to)
    }
}

impl StepAction {
    /// The lists of steps inside this one, in reading order.
    #[must_use]
    pub fn nested(&self) -> Vec<&[Step]> {
        match self {
            Self::On { steps, .. } | Self::Repeat { steps, .. } => vec![steps],
            Self::Together { branches, .. } => branches.iter().map(Vec::as_slice).collect(),
            Self::Random { choices, .. } => choices.iter().map(|choice| choice.steps.as_slice()).collect(),
            Self::Fault { .. }
            | Self::Restart { .. }
            | Self::Resume { .. }
            | Self::Heal
            | Self::Await { .. }
            | Self::Wait(_) => Vec::new(),
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub fn nested_mut(&mut self) -> Vec<&mut [Step]> {
        match self {
            Self::On { steps, .. } | Self::Repeat { steps, .. } => vec![steps],
            Self::Together { branches, .. } => branches.iter_mut().map(Vec::as_mut_slice).collect(),
            Self::Random { choices, .. } => choices.iter_mut().map(|choice| choice.steps.as_mut_slice()).collect(),
            Self::Fault { .. }
            | Self::Restart { .. }
            | Self::Resume { .. }
            | Self::Heal
            | Self::Await { .. }
            | Self::Wait(_) => Vec::new(),
        }
    }
}

impl Step {
    /// The fault that it injects, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        if let StepAction::Fault { fault, .. } = &self.action { Some(fault) } else { None }
    }
}

/// These steps and all that are inside of them, in reading order.
#[must_use]
pub fn all_steps(steps: &[Step]) -> Vec<&Step> {
    let mut found = Vec::new();
    for step in steps {
        found.push(step);
        found.extend(step.action.nested().into_iter().flat_map(all_steps));
    }
    found
}

impl Fault {
    /// Everybody at whom it aims.
    #[must_use]
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Self::Kill { target, .. }
            | Self::Pause { target, .. }
            | Self::FreezeHost { target }
            | Self::CrashLoop { target, .. }
            | Self::PowerLoss { target, .. }
            | Self::CorruptFile { target, .. }
            | Self::RemoveMember { target }
            | Self::Hinder { target, .. } => vec![target],
            Self::Transfer { to } => [&Target::Leader].into_iter().chain(to).collect(),
            Self::Partition(Partition::Isolate(target) | Partition::Bridge(target), _) => vec![target],
            Self::Partition(Partition::Halves | Partition::MajoritiesRing, _) => Vec::new(),
            Self::Partition(Partition::Groups(groups), _) => groups.iter().collect(),
            Self::Partition(Partition::OneWay { from, to }, _) => [from].into_iter().chain(to).collect(),
            Self::Partition(Partition::Cut(links), _) | Self::Link { links, .. } => {
                links.iter().flat_map(|link| [&link.from, &link.to]).collect()
            }
        }
    }
}

impl Target {
    /// Whether it can be taken for one node: how many a step of that name hits, is known when it has.
    #[must_use]
    pub fn is_one(&self) -> bool {
        match self {
            Self::Leader | Self::OldLeader | Self::Voter | Self::Follower | Self::Random | Self::Named(_) => true,
            Self::Nodes(nodes) => nodes.len() <= 1,
            Self::Followers
            | Self::Majority
            | Self::Minority
            | Self::MinorityWithLeader
            | Self::All
            | Self::Service
            | Self::AllBut(_) => false,
        }
    }

    /// Whether it is nobody where no votes are seen.
    #[must_use]
    pub fn needs_votes(&self) -> bool {
        match self {
            Self::Voter => true,
            Self::AllBut(target) => target.needs_votes(),
            Self::Leader
            | Self::OldLeader
            | Self::Follower
            | Self::Followers
            | Self::Random
            | Self::Majority
            | Self::Minority
            | Self::MinorityWithLeader
            | Self::All
            | Self::Service
            | Self::Nodes(_)
            | Self::Named(_) => false,
        }
    }

    /// Whether it is nobody while nobody leads.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        match self {
            Self::Leader | Self::Follower | Self::Followers | Self::MinorityWithLeader => true,
            Self::AllBut(target) => target.needs_leader(),
            Self::OldLeader
            | Self::Voter
            | Self::Random
            | Self::Majority
            | Self::Minority
            | Self::All
            | Self::Service
            | Self::Nodes(_)
            | Self::Named(_) => false,
        }
    }
}
