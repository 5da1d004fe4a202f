//! Faults of nodes that run on, worse than before.
//!
//! | change | mechanism | confirmed when |
//! |---|---|---|
//! | slow | SIGSTOP to every thread and SIGCONT, in turns ([`slow`]) | every thread was stopped, for the first time |
//! | starve | one processor for all threads, shared with burners ([`starve`]) | the kernel shows that affinity of every thread |
//! | limit | `prlimit` of every process ([`limit`]) | the kernel shows that limit of every process |
//! | clock | another line in the node's clock page ([`crate::clocks`]) | its processes have that page in their memory |
//! | disk | a fault in the place of none, of the node's disk ([`crate::disk`]) | every call that begins later meets it |
//! | relax | the same backwards | the kernel shows what was before; of slow, the last SIGCONT has been sent |
//!
//! What is hindered are the processes that a node has, and what they start. A node that is started anew while the fault lasts runs
//! as it should, but for its clock and its disk, which are the node's; it still counts as hindered for whoever judges. A node that ends
//! by itself under a limit, or when its clock or disk goes wrong, was ended by the fault, and is started again when that ends.

mod clock;
mod disk;
mod limit;
mod slow;
mod starve;

use chaos_clock::Reset;
use chaos_engine::{FaultChange, FaultCommand};
use chaos_history::{FaultId, FaultKind, NodeId, Stamps};
use chaos_net::chain;
use chaos_plan::Hindrance;

use crate::process::{ClockChange, ProcessError};
use crate::world::{RealWorld, WorldError};
use limit::Limited;
use slow::Slowed;
pub(crate) use starve::Burnt;
use starve::Starved;

/// A node that a fault hinders.
#[derive(Debug)]
pub(crate) struct Hindered {
    fault: FaultId,
    node: NodeId,
    grip: Grip,
    /// Whether it has ended by itself meanwhile, and isn't started again.
    has_fallen: bool,
}

/// What undoes itself when it is dropped, but for what is the node's own.
#[derive(Debug)]
enum Grip {
    Slow(Slowed),
    Starve(Starved),
    Limit(Limited),
    /// The node's clock is wrong.
    Clock,
    /// The node's disk is spoilt.
    Disk,
}

impl Grip {
    /// Whether it stays when the node is started anew.
    fn is_the_nodes(&self) -> bool {
        match self {
            Self::Slow(_) | Self::Starve(_) | Self::Limit(_) => false,
            Self::Clock | Self::Disk => true,
        }
    }

    /// What a node that ends by itself has ended of; nothing if that is no wonder of this one.
    fn cause_of_end(&self) -> Option<&'static str> {
        match self {
            Self::Slow(_) | Self::Starve(_) => None,
            Self::Limit(_) => Some("limit"),
            Self::Clock => Some("wrong clock"),
            Self::Disk => Some("spoilt disk"),
        }
    }
}

impl RealWorld {
    /// Hinders the fault's nodes.
    pub(crate) fn hinder(
        &mut self,
        how: Hindrance,
        command: &FaultCommand,
        stamps: &mut Stamps,
    ) -> Result<Option<String>, WorldError> {
        // To be slowed, a node is stopped first, and that is the effect.
        let error = match how {
            Hindrance::Slow { .. } => self.pause(command, stamps)?,
            Hindrance::Starve { .. } | Hindrance::Limit(_) => None,
            Hindrance::Clock(clock) => return self.move_clocks(clock, command, stamps),
            Hindrance::Disk(disk) => return self.spoil_disks(disk, command, stamps),
        };
        if error.is_some() {
            return Ok(error);
        }
        let fault = command.id;
        let error = self.each_node(command, |world, node| {
            let grip = world.grip(how, node)?;
            world.hindered.push(Hindered { fault, node, grip, has_fallen: false });
            Ok(())
        })?;
        match how {
            Hindrance::Slow { .. } | Hindrance::Clock(_) | Hindrance::Disk(_) => {}
            Hindrance::Starve { .. } | Hindrance::Limit(_) => {
                stamps.call_end = self.clock.now();
                stamps.effect = error.is_none().then_some(stamps.call_end);
            }
        }
        Ok(error)
    }

    fn grip(&self, how: Hindrance, node: NodeId) -> Result<Grip, ProcessError> {
        let process = &self.nodes[node.index()];
        if process.processes().is_empty() {
            return Err(ProcessError::NotRunning(node));
        }
        let belonging = process.belonging();
        let grip = match how {
            Hindrance::Slow { run, every } => Slowed::begin(belonging, run, every).map(Grip::Slow),
            Hindrance::Starve { share_millionths } => {
                let burners = burners(share_millionths);
                Starved::begin(belonging, node.index(), burners, &self.burnt).map(Grip::Starve)
            }
            Hindrance::Limit(limit) => Limited::begin(belonging, limit).map(Grip::Limit),
            Hindrance::Clock(_) | Hindrance::Disk(_) => unreachable!("they are the node's, not its processes'"),
        };
        grip.map_err(|source| ProcessError::Hinder { node, source })
    }

    /// Lets the fault's nodes run as before.
    pub(crate) fn relax(&mut self, command: &FaultCommand, stamps: &mut Stamps) -> Result<Option<String>, WorldError> {
        let (mut errors, mut fallen) = (Vec::new(), Vec::new());
        for hindered in self.hindered.extract_if(.., |hindered| hindered.fault == command.id).collect::<Vec<_>>() {
            let Hindered { node, grip, has_fallen, .. } = hindered;
            fallen.extend(grip.cause_of_end().filter(|_| has_fallen).map(|cause| (node, cause)));
            errors.extend(self.let_go(node, grip)?.err());
        }
        if command.kind == FaultKind::Slow {
            // Of a fault that failed half-way some nodes are stopped, and in nobody's grip.
            let resumed = self.bring_back(command.id, &FaultChange::Resume, &command.nodes, None)?;
            if let Some(error) = resumed {
                self.remark(error)?;
            }
        }
        fallen.retain(|(node, _)| !self.nodes[node.index()].is_running() && !self.is_gone(*node));
        for (node, cause) in fallen {
            self.remark(format!("{node} had ended under its {cause}; it is started again"))?;
            errors.extend(self.start_node(node)?.err());
        }
        stamps.call_end = self.clock.now();
        stamps.effect = errors.is_empty().then_some(stamps.call_end);
        let texts: Vec<String> = errors.iter().map(|error| chain(error)).collect();
        Ok((!texts.is_empty()).then(|| texts.join("; ")))
    }

    fn let_go(&mut self, node: NodeId, grip: Grip) -> Result<Result<(), ProcessError>, WorldError> {
        let lifted = match grip {
            Grip::Slow(slowed) => {
                drop(slowed);
                Ok(())
            }
            Grip::Starve(starved) => starved.lift(),
            Grip::Limit(limited) => limited.lift(),
            Grip::Clock => return Ok(self.set_clock(node, ClockChange::Reset(Reset::Jump)).map(drop)),
            Grip::Disk => return self.mend_disk(node),
        };
        Ok(lifted.map_err(|source| ProcessError::Hinder { node, source }))
    }

    /// Takes in that a node has ended by itself.
    pub(crate) fn fell(&mut self, node: NodeId) {
        for hindered in self.hindered.iter_mut().filter(|hindered| hindered.node == node) {
            hindered.has_fallen = true;
        }
    }

    /// A node is about to be started anew: what hindered its processes is over.
    pub(crate) fn release(&mut self, node: NodeId) {
        self.hindered.retain(|hindered| hindered.node != node || hindered.grip.is_the_nodes());
        for hindered in self.hindered.iter_mut().filter(|hindered| hindered.node == node) {
            hindered.has_fallen = false;
        }
    }
}

/// How many threads beside one leave it about this share of a processor.
fn burners(share_millionths: u32) -> u32 {
    (1_000_000 + share_millionths / 2) / share_millionths - 1
}
