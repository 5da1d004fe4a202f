//! Why a text is not read as a history: with the line, what is wrong, and what to do.

/// A text that is not read. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing in it.
    #[error("the file is empty: a history of nothing has no verdict")]
    Empty,
    /// Not text.
    #[error("line {line}: {what}")]
    NotText {
        /// The line.
        line: usize,
        /// What was found instead, and what to do.
        what: String,
    },
    /// No format fits.
    #[error(
        "nothing in the file was understood: it has neither the maps of a Jepsen or Porcupine history, nor lines such as \
         `0 :invoke :read nil`, nor a chaos header; name the format with --format if it is one of these"
    )]
    Unrecognised,
    /// The format fits, and there is no client's operation in it.
    #[error(
        "not one client operation in {lines} lines ({ignored} lines or forms were something else): nothing to judge"
    )]
    NoOperations {
        /// The lines of the text.
        lines: usize,
        /// What was left out.
        ignored: u64,
    },
    /// The text breaks its format.
    #[error("line {line}: {what}")]
    Malformed {
        /// The line.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// The events are no history.
    #[error("line {line}: {what}")]
    NotAHistory {
        /// The line.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// No model has these operations.
    #[error(
        "line {line}: `{function}` is no operation of a {model}; the operations of this history are {functions}, and known \
         are: {known}"
    )]
    UnknownOperation {
        /// The line of the first such operation.
        line: usize,
        /// The operation.
        function: String,
        /// The model that was forced or is the nearest.
        model: String,
        /// All operations of the history.
        functions: String,
        /// What each model has.
        known: String,
    },
    /// An option that is about registers, and the objects are none.
    #[error("{option} is about registers, and the history is of kind {kind}: leave {option} out, or name the --model")]
    NoEffect {
        /// The option.
        option: &'static str,
        /// What the objects are.
        kind: &'static str,
    },
    /// A value that the operation can't have.
    #[error("line {line}: {what}")]
    Value {
        /// The line.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl ParseError {
    /// The line, if the mistake has one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::Unrecognised | Self::NoOperations { .. } | Self::NoEffect { .. } => None,
            Self::NotText { line, .. }
            | Self::Malformed { line, .. }
            | Self::NotAHistory { line, .. }
            | Self::UnknownOperation { line, .. }
            | Self::Value { line, .. } => Some(*line),
        }
    }
}
