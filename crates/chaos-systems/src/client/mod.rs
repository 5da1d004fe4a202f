//! What clients speak with a system: one driver per wire protocol, found by name.
//!
//! A driver translates the words of the history (read, write, cas, add, elements, acquire, release) into one protocol and its
//! answers back. It decides one thing only, and verdicts hang on it: whether an operation that did not succeed is `fail` (the
//! system's own definite word that it did not happen, or a connection refused before a byte was sent) or `info` (anything else:
//! broken off, unreadable, ambiguous). Every driver says in its head which answers are definite, and why.
//!
//! Drivers refuse to try again (a repeated write could happen twice), to follow redirects, to believe a value that no client has
//! written (it becomes a value without a writer, for the checker), and to be given options that they don't know.
//!
//! One [`Client`] is one session with the system: registers and sets are shared by everybody who uses it, but a lock belongs to
//! the session that took it, so that whoever tests locks opens a client per process.

mod amqp;
mod answer;
mod etcd;
mod http;
mod kafka;
mod nats;
mod options;
mod ovsdb;
mod pool;
mod postgres;
mod program;
mod redis;
#[cfg(test)]
pub(crate) mod trial;
pub(crate) mod web;
mod wire;
mod zookeeper;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chaos_history::Seed;
use chaos_plan::definition::{HttpExchange, HttpOperation, Scope};

pub(crate) use answer::{
    done, failed, foreign, member, named, no_words, shortened, unknown, written_as, written_as_bytes,
};
pub use ovsdb::SCHEMA as OVSDB_SCHEMA;
pub use program::PROTOCOL_TEXT;
pub use program::conformance::{RuleOutcome, RuleReport, check_client};

use crate::driver::Client;

/// Everything that a driver may need.
#[derive(Clone, Debug)]
pub struct ClientSetup {
    /// The driver's name.
    pub driver: String,
    /// Where each node answers clients, `n1` first; without a port of its own (a `program`, say), port 0.
    pub endpoints: Vec<SocketAddr>,
    /// The driver's options, rendered.
    pub options: BTreeMap<String, String>,
    /// For `http`: what each operation sends.
    pub http: BTreeMap<HttpOperation, HttpExchange>,
    /// For `program`: the command, rendered.
    pub program: Vec<String>,
    /// How many nodes are under test; hints that name others are dropped.
    pub nodes: usize,
    /// What templates see.
    pub scope: Scope,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// Every random choice is drawn from it.
    pub seed: Seed,
}

/// Why a driver can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// There is no driver of this name.
    #[error("unknown client driver `{name}`{}; there are: {}", in_question(.meant), .known.join(", "))]
    UnknownDriver {
        /// What was asked for.
        name: String,
        /// What was most likely meant.
        meant: Option<String>,
        /// All drivers.
        known: Vec<String>,
    },
    /// The driver has no such option.
    #[error("the client driver `{driver}` has no option `{option}`{}; {}", in_question(.meant), known_options(.known))]
    UnknownOption {
        /// The driver.
        driver: String,
        /// The option.
        option: String,
        /// What was most likely meant.
        meant: Option<String>,
        /// All options of the driver.
        known: Vec<String>,
    },
    /// An option has a value that makes no sense.
    #[error("option `{option}` of the client driver `{driver}` is `{value}`, but must be {expected}")]
    BadOption {
        /// The driver.
        driver: String,
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// Something without which the driver can't work is missing or wrong.
    #[error("the client driver `{driver}` {what}")]
    Unusable {
        /// The driver.
        driver: String,
        /// What, beginning with a verb.
        what: String,
    },
}

fn in_question(meant: &Option<String>) -> String {
    meant.as_ref().map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"))
}

fn known_options(known: &[String]) -> String {
    if known.is_empty() { "it has none".to_owned() } else { format!("it has: {}", known.join(", ")) }
}

/// How one driver is opened: it takes what it knows from the options and refuses the rest.
type Open = fn(&ClientSetup) -> Result<Arc<dyn Client>, ClientError>;

/// Every driver by name, in alphabetical order.
const DRIVERS: &[(&str, Open)] = &[
    ("amqp", amqp::open),
    ("etcd", etcd::open),
    ("http", http::open),
    ("kafka", kafka::open),
    ("nats", nats::open),
    ("ovsdb", ovsdb::open),
    ("postgres", postgres::open),
    ("program", program::open),
    ("redis", redis::open),
    ("zookeeper", zookeeper::open),
];

/// The names of all drivers.
pub fn drivers() -> impl Iterator<Item = &'static str> {
    DRIVERS.iter().map(|(name, _)| *name)
}

/// Opens the driver that the setup names. Nothing is connected yet.
///
/// # Errors
/// If there is no such driver, or if it is given what it doesn't know or can't use.
pub fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    match DRIVERS.iter().find(|(name, _)| *name == setup.driver) {
        Some((_, open)) => open(setup),
        None => Err(ClientError::UnknownDriver {
            name: setup.driver.clone(),
            meant: chaos_plan::nearest(&setup.driver, drivers()).map(str::to_owned),
            known: drivers().map(str::to_owned).collect(),
        }),
    }
}
