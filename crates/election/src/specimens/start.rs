//! How a broken node is made: a [`Raft`] with other [`Rules`], or a sound one behind a [`Wrapper`] that falsifies its world.
//!
//! A wrapper stands where disk, clock and clients meet the protocol. It changes what the node recovers, hears or does, and nothing of
//! what it decides: so a mistake of a storage layer or a front end is told apart from one of the protocol.

use serde::{Deserialize, Serialize};

use crate::protocol::{Algorithm, Kind, Protocol};
use crate::raft::{Config, Input, Message, Output, Raft, Recovered, Rules, Sound, Status};
use crate::types::{Nanos, NodeId};

/// A node of Raft whose rules are chosen at run time.
pub struct Node(Box<dyn AnyRaft + Send>);

/// What of a [`Protocol`] can be called without knowing its type.
trait AnyRaft {
    fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>);
    fn deadline(&self) -> Nanos;
    fn status(&self, now: Nanos) -> Status;
}

impl Protocol for Node {
    const ALGORITHM: Algorithm = <Raft as Protocol>::ALGORITHM;
    const KINDS: &'static [Kind] = <Raft as Protocol>::KINDS;

    type Message = Message;

    fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>) {
        self.0.step(now, input, out);
    }

    fn deadline(&self) -> Nanos {
        self.0.deadline()
    }

    fn status(&self, now: Nanos) -> Status {
        self.0.status(now)
    }

    fn kind(message: &Message) -> &'static str {
        <Raft as Protocol>::kind(message)
    }
}

impl<R: Rules> AnyRaft for Raft<R> {
    fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>) {
        Self::step(self, now, input, out);
    }

    fn deadline(&self) -> Nanos {
        Self::deadline(self)
    }

    fn status(&self, now: Nanos) -> Status {
        Self::status(self, now)
    }
}

/// What a node is started with; see [`Raft::new`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Who.
    pub id: NodeId,
    /// Its settings, valid.
    pub config: Config,
    /// Of its randomness.
    pub seed: u64,
    /// What its disk held.
    pub recovered: Recovered,
    /// When.
    pub now: Nanos,
}

impl Start {
    /// A node under these rules.
    pub fn with<R: Rules + Send + 'static>(self, rules: R) -> Node {
        Node(Box::new(Raft::new(self.id, self.config, rules, self.seed, self.recovered, self.now)))
    }

    /// A sound node behind this wrapper.
    pub fn behind<W: Wrapper + Send + 'static>(mut self, mut wrapper: W) -> Node {
        self.recovered = wrapper.recovers(self.recovered);
        let raft = Raft::new(self.id, self.config, Sound, self.seed, self.recovered, self.now);
        Node(Box::new(Wrapped { raft, wrapper }))
    }
}

/// What stands between a sound node and its world. The defaults change nothing.
pub trait Wrapper {
    /// What the node learns of its disk when it starts.
    fn recovers(&mut self, recovered: Recovered) -> Recovered {
        recovered
    }

    /// What the node hears.
    fn hears(&mut self, input: Input) -> Input {
        input
    }

    /// What the world gets of what the node does in one step.
    fn does(&mut self, _now: Nanos, outputs: Vec<Output>) -> Vec<Output> {
        outputs
    }

    /// When the wrapper itself has something to do at the latest.
    fn deadline(&self) -> Nanos {
        Nanos::MAX
    }
}

struct Wrapped<W> {
    raft: Raft<Sound>,
    wrapper: W,
}

impl<W: Wrapper> AnyRaft for Wrapped<W> {
    fn step(&mut self, now: Nanos, input: Input, out: &mut Vec<Output>) {
        let mut outputs = Vec::new();
        self.raft.step(now, self.wrapper.hears(input), &mut outputs);
        out.extend(self.wrapper.does(now, outputs));
    }

    fn deadline(&self) -> Nanos {
        self.raft.deadline().min(self.wrapper.deadline())
    }

    fn status(&self, now: Nanos) -> Status {
        self.raft.status(now)
    }
}
