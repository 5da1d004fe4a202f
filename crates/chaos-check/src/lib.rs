//! Pure checkers: a history in, a verdict with its witness out
