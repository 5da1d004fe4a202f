//! What can go wrong here, split by what the caller does about it: fix the call, change the host, or report a defect.
//!
//! Messages are fragments that name the action and the object; the cause is in `source`, so that a chain printer shows
//! each part once. A refusal by the host always carries its remedy.

use std::io;
use std::time::Duration;

const FILTER_REMEDY: &str = "choose the nf_tables filter (leave `filter: iptables` out)";

const PORT_REMEDY: &str = "end it (`ss -ltnp` shows what it is), or run in namespaces (`network: netns`)";

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The caller has started threads already; namespaces of users and processes can only be left by a lone thread.
    #[error("enter namespaces: the process has {threads} threads, call it at the top of main, before any is started")]
    NotSingleThreaded {
        /// Threads found.
        threads: usize,
    },
    /// The host does not allow it. The remedy is one line for the user.
    #[error("{action}: this host refuses it ({reason}); remedy: {remedy}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// Why the host says no, as far as can be told.
        reason: String,
        /// What to change.
        remedy: String,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// A system call failed in a way that no setting explains.
    #[error("{action}")]
    System {
        /// What was tried, and on which object.
        action: String,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// The kernel rejected a netlink message.
    #[error("{action}")]
    Netlink {
        /// What the message was to do.
        action: String,
        /// The kernel's answer.
        #[source]
        source: KernelError,
    },
    /// A netlink message does not fit its format.
    #[error("{action}: an attribute or message exceeds the netlink format's length")]
    MessageTooLong {
        /// What the message was to do.
        action: String,
    },
    /// An external program that was asked for is not installed.
    #[error("run `{program}`: not found; remedy: {remedy}")]
    ProgramMissing {
        /// The program's name.
        program: &'static str,
        /// What to install or choose instead.
        remedy: &'static str,
    },
    /// An external program failed.
    #[error("run `{program}`: {status}: {stderr}")]
    ProgramFailed {
        /// The program's name.
        program: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it printed on standard error, trimmed.
        stderr: String,
    },
    /// The number of nodes is out of range.
    #[error("build a star of {nodes} nodes: between 1 and {max} are possible")]
    NodeCount {
        /// Nodes asked for.
        nodes: usize,
        /// Largest star.
        max: usize,
    },
    /// A cut or conditions name a node that is not there, or a node's link to itself.
    #[error("cut or treat link {from} -> {to}: no such link in a star of {nodes} nodes")]
    NoSuchLink {
        /// Index of the sending node.
        from: usize,
        /// Index of the receiving node.
        to: usize,
        /// Nodes of the star.
        nodes: usize,
    },
    /// A capture needs a name for each node.
    #[error("start a capture with {names} names: the star has {nodes} nodes")]
    CaptureNames {
        /// Names given.
        names: usize,
        /// Nodes of the star.
        nodes: usize,
    },
    /// Conditions contradict themselves, or mean nothing.
    #[error("set conditions of link {from} -> {to}: {mistake}")]
    Conditions {
        /// Index of the sending node.
        from: usize,
        /// Index of the receiving node.
        to: usize,
        /// What is wrong with them.
        mistake: String,
    },
    /// Conditions, and cuts that hold or reject, need the nf_tables filter.
    #[error("treat links: the filter `iptables` can only lose their packets; remedy: {FILTER_REMEDY}")]
    FilterOnlyCuts,
    /// The fabric's thread has ended; the log says why. Links with conditions carry nothing.
    #[error("ask the fabric of links with conditions: its thread has ended")]
    FabricEnded,
    /// A fault is of packets, and proxies have none.
    #[error("treat a link of proxies: {0}")]
    NotOnStreams(&'static str),
    /// The proxies' thread has ended; the log says why. Nothing passes between nodes.
    #[error("ask the proxies: their thread has ended")]
    ProxiesEnded,
    /// Something on this host listens on a port at every address.
    #[error(
        "open port {port} between nodes: something on this host listens on it at all addresses; remedy: {PORT_REMEDY}"
    )]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Probes did not show the expected conditions within the time allowed.
    #[error("confirm conditions within {within:?}: {detail}")]
    ConditionsNotConfirmed {
        /// The time that was allowed.
        within: Duration,
        /// What was seen instead.
        detail: String,
    },
    /// Probes did not show the expected cut within the time allowed.
    #[error("confirm cut within {within:?}: {detail}")]
    NotConfirmed {
        /// The time that was allowed.
        within: Duration,
        /// What the last round of probes saw instead.
        detail: String,
    },
}

/// The kernel's answer to a netlink message.
#[derive(Debug, thiserror::Error)]
pub struct KernelError {
    /// The error number, as an I/O error.
    pub errno: io::Error,
    /// The kernel's own words (extended acknowledgement), where it gave some.
    pub detail: Option<String>,
}

impl std::fmt::Display for KernelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{} (kernel: {detail})", self.errno),
            None => write!(f, "{}", self.errno),
        }
    }
}

impl NetError {
    /// A [`NetError::System`] from anything that converts into an I/O error.
    pub(crate) fn system(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { action: action.into(), source: source.into() }
    }

    /// The one-line remedy, where the error has one.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Refused { remedy, .. } => Some(remedy),
            Self::ProgramMissing { remedy, .. } => Some(remedy),
            Self::FilterOnlyCuts => Some(FILTER_REMEDY),
            Self::PortTaken { .. } => Some(PORT_REMEDY),
            Self::NotSingleThreaded { .. }
            | Self::System { .. }
            | Self::Netlink { .. }
            | Self::MessageTooLong { .. }
            | Self::ProgramFailed { .. }
            | Self::NodeCount { .. }
            | Self::NoSuchLink { .. }
            | Self::CaptureNames { .. }
            | Self::Conditions { .. }
            | Self::FabricEnded
            | Self::NotOnStreams(_)
            | Self::ProxiesEnded
            | Self::ConditionsNotConfirmed { .. }
            | Self::NotConfirmed { .. } => None,
        }
    }

    /// What went wrong with its causes, in one line, without the remedy; for a report that shows the remedy beside it.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { action, reason, source, .. } => format!("{action}: {source} ({reason})"),
            Self::ProgramMissing { program, .. } => format!("`{program}` is not installed"),
            Self::PortTaken { port } => format!("something on this host listens on port {port} at all addresses"),
            Self::NotSingleThreaded { .. }
            | Self::System { .. }
            | Self::Netlink { .. }
            | Self::MessageTooLong { .. }
            | Self::ProgramFailed { .. }
            | Self::NodeCount { .. }
            | Self::NoSuchLink { .. }
            | Self::CaptureNames { .. }
            | Self::Conditions { .. }
            | Self::FilterOnlyCuts
            | Self::FabricEnded
            | Self::NotOnStreams(_)
            | Self::ProxiesEnded
            | Self::ConditionsNotConfirmed { .. }
            | Self::NotConfirmed { .. } => self.chain(),
        }
    }

    /// The error with its causes, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
