//! What an end other than `:ok` was taken for, in sentences to print: a verdict holds only under them.

use crate::object::FailedCas;

const UNKNOWN: &str = "info, or no end: it may have happened at any time since its invocation, or never";

/// The rules of a history of chaos.
pub(crate) fn of_chaos() -> Vec<String> {
    vec![
        "fail: it did not happen".to_owned(),
        "a refused cas: the register held what its answer says; where it says nothing, anything but what was expected"
            .to_owned(),
        "a read without an answer: it says nothing".to_owned(),
        UNKNOWN.to_owned(),
    ]
}

/// The rules of registers.
pub(crate) fn of_registers(failed_cas: FailedCas) -> Vec<String> {
    let cas = match failed_cas {
        FailedCas::SawAnother => "a failed cas without an error: the register held something else than it expected",
        FailedCas::DidNotHappen => "a failed cas: it did not happen, whatever the register held",
    };
    vec![
        cas.to_owned(),
        "any other fail: it did not happen".to_owned(),
        "a read without an answer: it says nothing".to_owned(),
        UNKNOWN.to_owned(),
    ]
}

/// The rules of locks.
pub(crate) fn of_mutexes() -> Vec<String> {
    vec![
        "fail: it did not happen; a refused acquire may be spurious, and says nothing".to_owned(),
        "whoever releases: the lock does not ask who acquired it".to_owned(),
        UNKNOWN.to_owned(),
    ]
}

/// The rules of sets and strings.
pub(crate) fn of_others() -> Vec<String> {
    vec![
        "fail: it did not happen".to_owned(),
        "a read or get without an answer: it says nothing".to_owned(),
        UNKNOWN.to_owned(),
    ]
}
