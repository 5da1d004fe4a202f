//! What the answers of a system are worth: whose word they are, where their terms come from, whether they name anybody else.
//!
//! Raft nodes tell a term and whom they follow. Others tell less: Redis shows a role and no term, a candidate for a lease says
//! no more than "I hold it" or "I don't". A reader that takes the one for the other convicts the innocent, so a history says at
//! its head what its observations are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Observation;

/// What the main observations of a history are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Testimony {
    /// Where their terms come from.
    #[serde(default)]
    pub terms: TermsFrom,
    /// Whether a node names the leader that it follows; otherwise it speaks only of itself.
    #[serde(default = "yes")]
    pub names_leader: bool,
    /// Whether only a process that runs can give an answer; a log that is read or an address that is looked for speaks on for a
    /// process that is stopped.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub shows_life: bool,
    /// Whether all parts of an answer are of one moment. Otherwise a node that has just entered a term may show the old leader, or its old
    /// vote, beside the new term, and only what it claims of itself counts.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub snapshot: bool,
}

impl Default for Testimony {
    /// Nodes tell their term and whom they follow, as Raft's do.
    fn default() -> Self {
        Self { terms: TermsFrom::System, names_leader: true, shows_life: true, snapshot: true }
    }
}

impl Testimony {
    /// Whether it is what nodes of Raft tell, which a header leaves out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        *self == Self::default()
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

/// Where the terms of observations come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TermsFrom {
    /// The system shows them.
    #[default]
    System,
    /// The system shows none: they number reigns in the order in which the harness saw them begin, see
    /// [`Reigns`](crate::Reigns). They order what was seen, and prove nothing about the system's own order.
    Reigns,
}

impl TermsFrom {
    /// What such a number is called where people read it: nobody should take the harness's for the system's.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "term",
            Self::Reigns => "reign",
        }
    }

    /// The same where there is room for a letter.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Self::System => "t",
            Self::Reigns => "r",
        }
    }

    /// Whether the system shows them, which a line leaves out.
    #[must_use]
    pub fn is_system(&self) -> bool {
        *self == Self::System
    }
}

/// Whose word an observer brings. They may differ, and the difference is a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestimonyOf {
    /// The node's word on its own role.
    OwnRole,
    /// A coordinator's belief of who leads, told at the node.
    Coordinator,
    /// What a client that asks the node is told or granted.
    ClientView,
}

impl TestimonyOf {
    /// The word for it in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnRole => "own-role",
            Self::Coordinator => "coordinator",
            Self::ClientView => "client-view",
        }
    }
}

/// What an observer beside the main one was told at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The observer's name.
    pub observer: String,
    /// Whose word it is.
    pub of: TestimonyOf,
    /// Where the terms of this observer come from; each observer's are its own.
    #[serde(default, skip_serializing_if = "TermsFrom::is_system")]
    pub terms: TermsFrom,
    /// What was asked and told.
    pub observation: Observation,
}
