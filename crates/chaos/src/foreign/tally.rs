//! Several paths together: the exit code, and one sentence about all of them.

use std::path::Path;

use super::tell::{counted, shown};
use super::{INVALID, UNKNOWN, VALID};

/// How many paths that were not judged are named.
const NAMED_MAX: usize = 5;
/// The exit code of a run whose expectations were missed.
const MISSED: u8 = 3;

/// What became of each path.
#[derive(Default)]
pub(super) struct Tally {
    codes: Vec<u8>,
    unread: Vec<String>,
}

impl Tally {
    /// Takes the exit code of a path; `why`: it could not be judged.
    pub(super) fn add(&mut self, path: &Path, code: u8, why: Option<String>) {
        self.codes.push(code);
        if let Some(why) = why {
            let name = path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string());
            let why =
                why.replace(&format!("{}: ", path.display()), "").replace(&format!("{}:", path.display()), "line ");
            self.unread.push(format!("{}: {}", shown(&name, 80), shown(&why, 120)));
        }
    }

    /// The worst exit code.
    pub(super) fn worst(&self) -> u8 {
        self.codes.iter().copied().fold(VALID, chaos_report::worse)
    }

    /// `3 paths: 1 valid, 1 invalid, 1 not judged (a.log: the file is empty)`.
    pub(super) fn sentence(&self) -> String {
        let mut parts = Vec::new();
        for (code, word) in
            [(VALID, "valid"), (INVALID, "invalid"), (UNKNOWN, "unknown"), (MISSED, "with an expectation missed")]
        {
            let count = self.codes.iter().filter(|of| **of == code).count();
            if count > 0 {
                parts.push(format!("{count} {word}"));
            }
        }
        if !self.unread.is_empty() {
            let named = self.unread[..self.unread.len().min(NAMED_MAX)].join("; ");
            let more = self.unread.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            parts.push(format!("{} not judged ({named}{more})", self.unread.len()));
        }
        format!("{}: {}", counted(self.codes.len() as u64, "path"), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_outranks_everything_and_a_refusal_what_is_unknown() {
        for (codes, expect) in [
            (&[0, 2, 1, 254][..], 1),
            (&[0, 2, 254], 254),
            (&[3, 2, 0], 2),
            (&[0, 3], 3),
            (&[0], 0),
            (&[255, 254], 255),
        ] {
            assert_eq!(codes.iter().copied().fold(VALID, chaos_report::worse), expect, "{codes:?}");
        }
    }

    #[test]
    fn everything_is_counted_and_what_was_not_judged_is_named() {
        let mut tally = Tally::default();
        tally.add(Path::new("a/x.log"), 0, None);
        tally.add(Path::new("a/y.log"), 1, None);
        tally.add(Path::new("a/z.log"), 254, Some("a/z.log: the file is empty".to_owned()));
        tally.add(Path::new("a/w.log"), 254, Some("a/w.log:7: a `}` closes nothing".to_owned()));
        assert_eq!(
            tally.sentence(),
            "4 paths: 1 valid, 1 invalid, 2 not judged (z.log: the file is empty; w.log: line 7: a `}` closes nothing)"
        );
    }
}
