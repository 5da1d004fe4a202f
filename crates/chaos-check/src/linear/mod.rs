//! Linearizability of one object of any kind, decided exactly, with a certificate that a stranger can re-check.
//!
//! ```text
//!                 ┌ claimed order ┐
//!  entries → ranks┤ shortcut      ├→ an order ───────────────────────→ verifier → Linearizable
//!  (stamps)       └ engine        ┘→ a conflict → minimiser → a core → verifier → Violation
//!                                  → the budget is spent ────────────────────────→ Undecided
//! ```
//!
//! *Who decides.* A [`Model`] is a sequential specification. Where a model knows a polynomial path for the operations at hand
//! ([`Model::shortcut`]) it is taken; everything else goes to the [`engine`], which is exact and exponential in the worst
//! case, and therefore bounded by a [`Budget`].
//!
//! *Who is believed.* Nobody but [`verify`]: it re-plays an order, and refutes a core by trying every order of it, from the
//! recorded stamps and the model's specification alone. What it doesn't confirm is [`Decision::Undecided`].
//!
//! Consistency model: linearizability (Herlihy and Wing, TOPLAS 1990). Every operation seems to happen at one instant between
//! its invocation and its answer; one without an answer at any instant after its invocation, or never. Equal stamps are
//! concurrent.
//!
//! This module refuses to know nodes, files and clocks. Objects are independent (Herlihy and Wing, theorem 1): [`Split`]
//! splits a history by key, and [`check_keyed`] judges each alone, on all cores.
//! *Who explains.* [`explain`](explain::explain) puts a core into a sentence, steps and a [`Picture`](picture::Picture).
//!
//! This module refuses to know keys, nodes, files and clocks. Objects are independent (Herlihy and Wing, theorem 1): split
//! a history by key and judge each alone, with [`check_all`] on all cores.

mod check;
mod decision;
pub mod engine;
mod entry;
pub mod explain;
mod forced;
mod keyed;
mod minimise;
mod model;
pub mod models;
pub mod online;
pub mod picture;
pub mod staleness;
pub mod verify;

pub use check::{check, check_all, check_claimed};
pub use decision::{Budget, Decision, Kept, Shortcut, Spent, Undecided};
pub use entry::{Entry, Op, StampError, Timeline};
pub use keyed::{KeyError, Keyed, Keys, Split, Whole, check_keyed};
pub use model::{Effect, Model};
