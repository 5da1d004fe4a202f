//! Which protocol a node runs, and the one place that goes from its name to its type.

use election::bully::Bully;
use election::lease::Lease;
use election::paxos_lease::PaxosLease;
use election::raft::{Raft, Sound};
use election::ring::Ring;
use election::specimens::{Specimen, Start};
use election::zab::Zab;
use election::{Algorithm, NodeId, Protocol, Setup};

/// A protocol, with what only it has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Raft: sound, or broken in one way.
    Raft(Option<&'static Specimen>),
    Bully,
    Ring,
    /// A lease of one lock service, which is this node.
    Lease {
        service: NodeId,
    },
    PaxosLease,
    Zab,
}

/// What is done with a protocol, whatever its type.
pub(crate) trait WithProtocol {
    type Outcome;

    /// `begin` makes the node.
    fn run<P: Protocol + Send + 'static>(self, begin: impl FnOnce(Start) -> P) -> Self::Outcome;
}

impl Choice {
    /// From its parts, of which each algorithm takes what it knows; `None` for a lease without its service.
    pub(crate) fn of(
        algorithm: Algorithm,
        specimen: Option<&'static Specimen>,
        service: Option<NodeId>,
    ) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Raft => Self::Raft(specimen),
            Algorithm::Bully => Self::Bully,
            Algorithm::Ring => Self::Ring,
            Algorithm::Lease => Self::Lease { service: service? },
            Algorithm::PaxosLease => Self::PaxosLease,
            Algorithm::Zab => Self::Zab,
        })
    }

    /// Its name.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Raft(_) => Algorithm::Raft,
            Self::Bully => Algorithm::Bully,
            Self::Ring => Algorithm::Ring,
            Self::Lease { .. } => Algorithm::Lease,
            Self::PaxosLease => Algorithm::PaxosLease,
            Self::Zab => Algorithm::Zab,
        }
    }

    /// In which way it is broken.
    pub(crate) fn specimen(self) -> Option<&'static Specimen> {
        match self {
            Self::Raft(specimen) => specimen,
            Self::Bully | Self::Ring | Self::Lease { .. } | Self::PaxosLease | Self::Zab => None,
        }
    }

    /// The lock service.
    pub(crate) fn service(self) -> Option<NodeId> {
        match self {
            Self::Lease { service } => Some(service),
            Self::Raft(_) | Self::Bully | Self::Ring | Self::PaxosLease | Self::Zab => None,
        }
    }

    /// Does it with this protocol.
    pub(crate) fn with<W: WithProtocol>(self, what: W) -> W::Outcome {
        let setup = |own: &Start| Setup::from(&own.config);
        match self {
            Self::Raft(None) => what.run(|own| Raft::new(own.id, own.config, Sound, own.seed, own.recovered, own.now)),
            Self::Raft(Some(specimen)) => what.run(specimen.start),
            Self::Bully => what.run(|own| Bully::new(own.id, setup(&own), own.seed, &own.recovered, own.now)),
            Self::Ring => what.run(|own| Ring::new(own.id, setup(&own), own.seed, &own.recovered, own.now)),
            Self::Lease { service } => {
                what.run(move |own| Lease::new(own.id, service, setup(&own), own.seed, &own.recovered, own.now))
            }
            Self::PaxosLease => what.run(|own| PaxosLease::new(own.id, setup(&own), own.seed, &own.recovered, own.now)),
            Self::Zab => what.run(|own| Zab::new(own.id, setup(&own), own.seed, &own.recovered, own.now)),
        }
    }
}
