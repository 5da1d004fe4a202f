//! What works of a definition, line by line, and what to change where something doesn't.

use crate::failure::printable;

/// What is known of one thing that a definition declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It does what it should; what was seen.
    Works(String),
    /// It doesn't.
    Broken {
        /// What was seen instead.
        why: String,
        /// What to change, and where.
        remedy: String,
    },
    /// It isn't declared, or could not be tried; why.
    Untried(String),
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(String, Outcome)>);

impl Findings {
    /// Adds a line.
    pub(super) fn add(&mut self, what: impl Into<String>, outcome: Outcome) {
        self.0.push((what.into(), outcome));
    }

    /// Something that works.
    pub(super) fn works(&mut self, what: impl Into<String>, seen: impl Into<String>) {
        self.add(what, Outcome::Works(seen.into()));
    }

    /// Something that doesn't, and what to do about it.
    pub(super) fn broken(&mut self, what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) {
        self.add(what, Outcome::Broken { why: why.into(), remedy: remedy.into() });
    }

    /// Something that isn't there or was not tried.
    pub(super) fn untried(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.add(what, Outcome::Untried(why.into()));
    }

    /// How many things don't work.
    pub(super) fn broken_count(&self) -> usize {
        self.0.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Broken { .. })).count()
    }

    /// The table. Words of nodes may stand in it, and steer no terminal.
    pub(super) fn table(&self) -> String {
        let width = self.0.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
        let mut text = String::new();
        for (what, outcome) in &self.0 {
            let (sign, seen, remedy) = match outcome {
                Outcome::Works(seen) => ('✔', seen, None),
                Outcome::Broken { why, remedy } => ('✘', why, Some(remedy)),
                Outcome::Untried(why) => ('–', why, None),
            };
            text.push_str(&format!("  {sign} {what:<width$}  {}\n", in_one_line(seen)));
            if let Some(remedy) = remedy {
                text.push_str(&format!("    {:width$}  → {}\n", "", in_one_line(remedy)));
            }
        }
        text
    }
}

/// Text of any origin in one line that steers no terminal.
pub(super) fn in_one_line(text: &str) -> String {
    printable(text.trim()).replace('\n', "\\n")
}

/// The beginning of a long text, in one line.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    let line = in_one_line(text);
    if line.chars().count() <= chars_max {
        return line;
    }
    line.chars().take(chars_max).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_works_and_the_remedy_of_what_does_not() {
        let mut findings = Findings::default();
        findings.works("start", "3 nodes");
        findings.broken("observer self", "n1: `no\x1b[2J`\nsecond", "observers.self.port");
        findings.untried("compare", "not declared");
        let table = findings.table();
        assert!(table.contains("✔ start          3 nodes\n"), "{table}");
        assert!(table.contains("✘ observer self  n1: `no\\u{1b}[2J`\\nsecond\n"), "{table}");
        assert!(table.contains("→ observers.self.port\n"), "{table}");
        assert!(table.contains("– compare        not declared\n"), "{table}");
        assert_eq!(findings.broken_count(), 1);
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        assert_eq!(shortened("ééé", 2), "éé…");
        assert_eq!(shortened("a\nb", 9), "a\\nb");
    }
}
