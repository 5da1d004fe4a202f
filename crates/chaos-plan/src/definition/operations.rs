//! What a cluster can be told while it runs: to hand its leadership over, to go on without a member, to take one in.
//!
//! ```yaml
//! operations:
//!   transfer:
//!     at: leader
//!     to: required                     # a plan that doesn't say to whom gets a follower that is drawn
//!     http: { method: POST, port: client, path: /v3/maintenance/transfer-leadership, body: '{"targetID": "{{ to.identity | hex }}"}' }
//!     done: status == 200
//!   remove-member: { at: other, exec: [mytool, remove, "{{ target.id }}"], done: code == 0 }
//!   add-member: { at: other, exec: [mytool, add, "{{ target.ip }}"], done: code == 0 }
//! ```
//!
//! A member is removed first and its processes end then; it is added first and started then, with an empty disk. Templates of what it
//! is started with know `joining`, which is true in such a start, and `members`, which then are those of the moment, itself among them.

use super::{Ask, Expression, Pattern};

/// What a definition offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    /// The leader hands over.
    pub transfer: Option<TransferOperation>,
    /// Members go and come.
    pub membership: Option<MembershipOperations>,
}

/// How a leader is asked to hand over; `target` is the leader, `to` whom it is to hand over to, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferOperation {
    /// Whether a plan can say to whom.
    pub to: ToWhom,
    /// The question.
    pub asked: AskedOperation,
}

/// How the configuration is changed; `target` is the member that goes or comes.
#[derive(Clone, Debug, PartialEq)]
pub struct MembershipOperations {
    /// It goes.
    pub remove: AskedOperation,
    /// It comes.
    pub add: AskedOperation,
}

/// Whether a transfer can be told its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToWhom {
    /// The system wants to be told.
    Required,
    /// It can be told.
    Optional,
    /// It chooses by itself.
    Never,
}

/// An operation as it is asked for. Its templates know `target` and `to`: a node each, with what it calls itself as `identity`.
#[derive(Clone, Debug, PartialEq)]
pub struct AskedOperation {
    /// Whom.
    pub at: AskedAt,
    /// How.
    pub ask: Ask,
    /// Applied to the answer as a text.
    pub pattern: Option<Pattern>,
    /// True of an answer that says that it is done, now or before.
    pub done: Expression,
    /// True of an answer that says that it is not and will not be; whatever is neither is of unknown outcome.
    pub refused: Option<Expression>,
}

/// Who is asked for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedAt {
    /// Whoever leads, as far as it is known; others if that one can't do it.
    Leader,
    /// The node that it is about.
    Target,
    /// Any member but that one.
    Other,
}
