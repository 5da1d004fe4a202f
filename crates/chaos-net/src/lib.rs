//! Namespaces, addresses, links, partitions and link conditions, without root and without external tools.
//!
//! The idea: the kernel already knows how to make a private network and how to throw it away. [`isolation::enter`]
//! turns the process into the controller of a fresh set of namespaces, [`Star::build`] lays out one network namespace
//! per node around the controller's own one (the switch), [`Star::set_cut`] replaces the whole set of cut directed links in
//! one netlink transaction, and [`Star::set_conditions`] has single links delay, lose or damage packets. When anything of
//! it dies, the kernel removes the rest: there is no clean-up code that could be skipped. [`doctor::probe`] tries each
//! primitive for real and names the remedy for what is refused.
//!
//! Where namespaces are not to be had, [`guard::enter`] stays on the host and leaves nothing there, and [`Proxies`] stand between the
//! nodes' streams; [`Network`] is either.
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

mod capture;
mod conditions;
mod connections;
pub mod doctor;
mod error;
mod fabric;
pub mod guard;
mod init;
mod iptables;
pub mod isolation;
mod mark;
mod monotonic;
mod namespace;
mod netlink;
mod network;
mod nftables;
mod nonroot;
mod place;
mod probe;
mod proxy;
mod reaper;
mod remedy;
mod rtnetlink;
mod star;
mod stub;
mod sys;

pub use capture::{Capture, CaptureSummary, SNAP_LEN};
pub use conditions::{Conditions, Distribution, HOLD_MAX, Jitter, Loss, Rate, Reorder};
pub use error::{KernelError, NetError, chain};
pub use fabric::{FabricCounters, LinkCounters};
pub use mark::{Mark, RunMark};
pub use monotonic::monotonic_ns;
pub use namespace::{addresses_in, enter_namespace, in_namespace, listening_in, start_in_namespace};
pub use network::{Network, Treated};
pub use nonroot::start_as_nonroot;
pub use place::Place;
pub use proxy::{PROXIED_NODES_MAX, Proxies, conditions_of_streams, cut_of_streams};
pub use reaper::reap_orphans;
pub use star::{
    ConditionsEffect, ConditionsReceipt, CutEffect, CutMode, CutReceipt, DropMode, FilterKind, HealMode, Link,
    NODES_MAX, SWITCH, Star,
};
