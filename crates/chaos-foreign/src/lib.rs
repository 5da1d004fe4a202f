//! Histories of other tools, read into objects that `chaos-check` decides.
//!
//! ```text
//! text → format (by its content) → events → calls (invocation and end) → keys → model → objects with entries
//! ```
//!
//! | format | what it looks like | by default a failed cas |
//! |---|---|---|
//! | [`Format::JepsenEdn`] | `{:type :invoke, :f :read, :process 0, :value nil}`, one after another or in a vector | did not happen |
//! | [`Format::JepsenLog`] | `… 0 :invoke :read nil`, among other lines | did not happen |
//! | [`Format::EtcdLog`] | the same behind `INFO  jepsen.util - `: the 103 logs that Porcupine is tested with | saw another value |
//! | [`Format::PorcupineKv`] | `{:process 0, :type :invoke, :f :append, :key "3", :value "x 0 0 y"}` | |
//! | [`Format::Chaos`] | our own `history.jsonl`; see [`from_history`] | as it says |
//!
//! *Nothing is guessed that a verdict hangs on.* A client's operation that the model doesn't know, an end without its
//! invocation, a form that is no EDN: each is an error with its line. What a `:fail` means differs from tool to tool; it is
//! declared, chosen by the caller or by the format, and told in [`Parsed::rules`].
//!
//! *Nothing is valid that was not understood.* A text without one operation is an error, never an empty history.
//!
//! This crate refuses to open files and to look at clocks; [`judge`] only hands objects to `chaos-check`. The order of the file is taken for the order of time,
//! as by Knossos and Porcupine. O(n log n) time; the text and its operations are in memory at once.
//!
//! Sources: jepsen-io/jepsen (`jepsen.history`, `jepsen.independent`, `jepsen.util/log-op`), jepsen-io/knossos (models),
//! anishathalye/porcupine (`porcupine_test.go`: the meaning of the etcd and kv logs).
//!
//! ```
//! use chaos_check::linear::{Budget, Decision, check};
//! use chaos_foreign::{Objects, Options, parse};
//!
//! let history = "{:process 0, :type :invoke, :f :write, :value 1}
//!                {:process 0, :type :ok, :f :write, :value 1}
//!                {:process 1, :type :invoke, :f :read, :value nil}
//!                {:process 1, :type :ok, :f :read, :value nil}";
//! let parsed = parse(history.as_bytes(), &Options::default())?;
//! let Objects::Register(registers) = &parsed.objects else { panic!("these are registers") };
//! let decision = check(&registers[0].model, &registers[0].entries, &Budget::default()).expect("stamps are in order");
//! assert!(matches!(decision, Decision::Violation { verified: true, .. }), "the read missed a write that was over");
//! # Ok::<(), chaos_foreign::ParseError>(())
//! ```

mod build;
mod certificate;
mod chaos;
mod edn;
mod error;
mod event;
mod join;
mod judge;
mod keys;
mod kv;
mod mutex;
mod object;
mod read;
mod register;
mod rules;
mod set;
mod story;
mod values;

pub use certificate::{Certificate, CertificateError, Finding, Rechecked, recheck};
pub use chaos::from_history;
pub use error::ParseError;
pub use judge::{CoreOperation, Judged, Limit, Outcome, judge};
pub use object::{Counts, FailedCas, Format, Keys, Object, Objects, Parsed, Refusal, Source, Words};
pub use read::{Kind, Options, detect, parse};
