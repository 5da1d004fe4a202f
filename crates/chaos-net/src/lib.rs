//! Namespaces, addresses, links and partitions, without root and without external tools.
//!
//! The idea: the kernel already knows how to make a private network and how to throw it away. [`isolation::enter`]
//! turns the process into the controller of a fresh set of namespaces, [`Star::build`] lays out one network namespace
//! per node around the controller's own one (the switch), and [`Star::set_cut`] replaces the whole set of cut directed
//! links in one netlink transaction. When anything of it dies, the kernel removes the rest: there is no clean-up code
//! that could be skipped. [`doctor::probe`] tries each primitive for real and names the remedy for what is refused.
//!
//! What this crate refuses to do: it knows no elections, plans, roles or node programs; it never touches the network of
//! the host; it starts no external tool, except `iptables-restore` when [`FilterKind::Iptables`] asks for it.
//!
//! ```text
//!   stub (the process the user started; forwards signals, passes the exit code on)
//!    └─ init, pid 1 of the new namespaces (reaps orphans; its death ends everything below)
//!        └─ controller: `enter` returns here                 node 0 ── 10.77.0.1 ┐
//!            └─ nodes, clients                                node 1 ── 10.77.0.2 ┼── switch: 10.77.0.254
//!                                                             node 2 ── 10.77.0.3 ┘   (FORWARD holds the cut)
//! ```
//!
//! Sources: `namespaces(7)`, `user_namespaces(7)`, `pid_namespaces(7)`, `netlink(7)`, `rtnetlink(7)`, and the kernel's
//! `include/uapi/linux/netfilter/nf_tables.h`.

pub mod doctor;
mod error;
mod init;
mod iptables;
pub mod isolation;
mod monotonic;
mod namespace;
mod netlink;
mod nftables;
mod nonroot;
mod probe;
mod reaper;
mod remedy;
mod rtnetlink;
mod star;
mod stub;
mod sys;

pub use error::{KernelError, NetError, chain};
pub use monotonic::monotonic_ns;
pub use namespace::{addresses_in, enter_namespace, in_namespace, listening_in, start_in_namespace};
pub use nonroot::start_as_nonroot;
pub use reaper::reap_orphans;
pub use star::{CutEffect, CutReceipt, FilterKind, Link, NODES_MAX, Star};
