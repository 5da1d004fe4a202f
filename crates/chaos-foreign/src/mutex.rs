//! Locks of `:acquire` and `:release`.
//!
//! Jepsen's `mutex` doesn't ask who releases, so neither does this. A refused acquire says nothing: it may have met
//! another that was refused or given up, too.

use chaos_check::linear::models::{BareMutex, BareMutexOp};

use crate::build::{self, Meaning, Names};
use crate::error::ParseError;
use crate::join::Ended;
use crate::keys::Keyed;
use crate::object::{Counts, Object, Words};

/// The locks of the calls.
///
/// # Errors
/// Never, as calls of other functions were refused before.
pub(crate) fn build(
    keys: Vec<Option<String>>,
    calls: Vec<Keyed<'_>>,
    counts: &mut Counts,
) -> Result<Vec<Object<BareMutex>>, ParseError> {
    let meaning = |keyed: &Keyed<'_>, (): &mut ()| {
        let op = if keyed.call.f == "acquire" { BareMutexOp::Acquire } else { BareMutexOp::Release };
        Ok(match keyed.call.ended {
            Ended::Ok(_) => Meaning::Answered(op),
            Ended::Fail { .. } => Meaning::DidNotHappen,
            Ended::Unknown => Meaning::Unanswered(op),
        })
    };
    let drafts = build::drafts(keys, calls, counts, || (), meaning)?;
    Ok(drafts.into_iter().map(|draft| draft.finish(|()| (BareMutex, Names::none()))).collect())
}

impl Words for BareMutex {
    fn say(&self, op: &BareMutexOp, _names: &[String]) -> String {
        let words = match op {
            BareMutexOp::Acquire => "acquire",
            BareMutexOp::Release => "release",
            BareMutexOp::Busy => "acquire refused, held",
            BareMutexOp::Hold => "left held, whatever it was",
            BareMutexOp::Free => "left free, whatever it was",
        };
        words.to_owned()
    }
}
