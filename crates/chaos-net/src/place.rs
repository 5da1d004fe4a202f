//! Where a node lives: in a network namespace of its own, or on the host under a mark.
//!
//! Either is inherited by whatever is started there, so that a node's processes can be told from all others, daemons included.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use nix::unistd::{getpid, gettid};

use crate::{Mark, namespace, sys};

/// Where a node lives.
#[derive(Debug)]
pub enum Place {
    /// In this network namespace.
    Namespace(OwnedFd),
    /// On the host, at these addresses, with this mark on its processes.
    Host {
        /// On all of its processes.
        mark: Mark,
        /// The node's own.
        address: Ipv4Addr,
    },
}

impl Place {
    /// Another handle of the same place.
    ///
    /// # Errors
    /// When descriptors are not to be had.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Namespace(namespace) => Self::Namespace(namespace.try_clone()?),
            Self::Host { mark, address } => Self::Host { mark: *mark, address: *address },
        })
    }

    /// Has the command's process start there, without the caller needing `unsafe`. To be called on the thread that will spawn it.
    ///
    /// # Errors
    /// When a descriptor can't be duplicated. That the place can't be entered shows when the command is spawned.
    pub fn start(&self, command: &mut Command) -> io::Result<()> {
        match self {
            Self::Namespace(namespace) => namespace::start_in_namespace(command, namespace.as_fd()),
            Self::Host { mark, .. } => {
                let parent = (gettid() == getpid()).then(getpid);
                sys::with_mark(command, *mark, parent);
                Ok(())
            }
        }
    }

    /// The IPv4 addresses that the node's interfaces have at the moment.
    ///
    /// # Errors
    /// When the kernel doesn't list them.
    pub fn addresses(&self) -> io::Result<Vec<Ipv4Addr>> {
        match self {
            Self::Namespace(namespace) => namespace::addresses_in(namespace.as_fd()),
            Self::Host { address, .. } => Ok(vec![*address]),
        }
    }

    /// The TCP ports on which something listens at the node.
    ///
    /// # Errors
    /// When the kernel doesn't list them; on the host, where sockets are not told apart.
    pub fn listening(&self) -> io::Result<BTreeSet<u16>> {
        match self {
            Self::Namespace(namespace) => namespace::listening_in(namespace.as_fd()),
            Self::Host { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
