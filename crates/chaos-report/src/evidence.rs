//! The lines of the history that a witness names, so that the reader needs no second window.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use chaos_check::{Outcome, Verdict};

/// Reads from a history's text the lines that the witnesses of `outcomes` name. Line 1 is the header.
///
/// # Errors
/// If the text can't be read. Lines that aren't there (or aren't UTF-8) are left out.
pub fn quoted_lines(history: impl BufRead, outcomes: &[Outcome]) -> io::Result<BTreeMap<usize, String>> {
    let wanted: BTreeSet<usize> = outcomes
        .iter()
        .flat_map(|outcome| match &outcome.verdict {
            Verdict::Invalid(witness) => witness.lines.clone(),
            Verdict::Valid | Verdict::Unknown(_) => Vec::new(),
        })
        .collect();
    let Some(last) = wanted.last().copied() else { return Ok(BTreeMap::new()) };
    let mut quoted = BTreeMap::new();
    for (index, text) in history.split(b'\n').take(last).enumerate() {
        let text = text?;
        if wanted.contains(&(index + 1)) {
            quoted.extend(String::from_utf8(text).ok().map(|text| (index + 1, text)));
        }
    }
    Ok(quoted)
}
