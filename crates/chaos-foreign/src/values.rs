//! What an operation was about: the value of its invocation, or the one that only its end tells.
//!
//! A client may make up its value itself, so that the invocation says `nil` and the end `5`. The value of the end is taken then,
//! as by Knossos (`knossos.history/complete`). Two values that differ are refused, since nobody knows which of them was
//! written; so is an operation that may have written something and says nowhere what: left out, or taken for a write of
//! `nil`, it would make valid histories invalid.

use crate::edn::Edn;
use crate::error::ParseError;
use crate::join::{Call, Ended};
use crate::keys::Keyed;

/// Whether operations of this name bring a value along.
fn brings(f: &str) -> bool {
    matches!(f, "write" | "cas" | "add" | "put" | "append")
}

/// Gives each call that was invoked with nothing the value of its end. Says whether there was one.
pub(crate) fn complete(calls: &mut [Call<'_>]) -> bool {
    let mut completed = false;
    for call in calls.iter_mut().filter(|call| brings(call.f) && call.value == Edn::Nil) {
        if let Ended::Ok(told) = &call.ended
            && *told != Edn::Nil
        {
            call.value = told.clone();
            completed = true;
        }
    }
    completed
}

/// The same for values behind keys, which have been taken off; then holds invocations and ends against each other.
/// `completed`: values of this history were told by ends only.
///
/// # Errors
/// If an end tells another value than its invocation, or nothing tells what an operation may have written.
pub(crate) fn settle(calls: &mut [Keyed<'_>], mut completed: bool) -> Result<(), ParseError> {
    let mut nil_was_meant = false;
    for Keyed { call, .. } in calls.iter_mut().filter(|keyed| brings(keyed.call.f)) {
        let (Ended::Ok(told), Some((_, line))) = (&call.ended, call.answered) else { continue };
        match (&call.value, told) {
            (Edn::Nil, Edn::Nil) => nil_was_meant = true,
            (Edn::Nil, told) => {
                call.value = told.clone();
                completed = true;
            }
            (_, Edn::Nil) => {}
            (asked, told) if asked == told || asked.canonical() == told.canonical() => {}
            (asked, told) => {
                let what = format!(
                    "this :{} ends with {}, and was invoked with {} in line {}: which of them was meant? make them the \
                     same, or one of them nil",
                    call.f,
                    told.canonical(),
                    asked.canonical(),
                    call.invoked_line
                );
                return Err(ParseError::Value { line, what });
            }
        }
    }
    let unknown = |call: &Call<'_>| brings(call.f) && call.value == Edn::Nil && matches!(call.ended, Ended::Unknown);
    match calls.iter().find(|keyed| unknown(&keyed.call)) {
        Some(Keyed { call, .. }) if completed || !nil_was_meant => Err(ParseError::Value {
            line: call.invoked_line,
            what: format!(
                "this :{} was invoked with nil and has no :ok that tells its value: nobody knows what it may have \
                 written, and no verdict can leave that open; give it the value that was tried",
                call.f
            ),
        }),
        Some(_) | None => Ok(()),
    }
}
