//! What `chaos check` prints of a file: the verdict, how the file was read, every counterexample in words and in a picture.
//!
//! Lines are broken between words at the terminal's width, as those of run directories are; only the verdict has a colour.

use std::collections::BTreeSet;
use std::path::Path;

use chaos_check::linear::explain::Explanation;
use chaos_foreign::{Finding, Judged, Keys, Limit, Outcome, Parsed, Rechecked};

use super::options::{bytes, time};
use super::{INVALID, UNKNOWN, VALID};
use crate::args::CheckArguments;
use crate::live;

/// How many objects are listed in detail.
const LISTED_MAX: usize = 20;
/// The narrowest terminal that is respected.
const WIDTH_MIN: usize = 50;

/// What only part of a history can say: its own verdict is "unknown" where all that was read is linearizable.
fn not_whole(parsed: &Parsed) -> Option<String> {
    if parsed.counts.used == 0 {
        return Some("unknown: not one operation says anything".to_owned());
    }
    parsed.torn.map(|line| format!("unknown: valid up to the cut in line {line}, and nobody knows what followed"))
}

/// The exit code of what was decided, and the words for it.
pub(super) fn verdict(judged: &[Judged], parsed: &Parsed, arguments: &CheckArguments) -> (u8, String) {
    let outcomes = || judged.iter().map(|judged| &judged.outcome);
    let (mut violated, mut verified, mut limit) = (false, false, None);
    for outcome in outcomes() {
        match outcome {
            Outcome::Linearizable(_) => {}
            Outcome::Violation { verified: by_all_orders, .. } => {
                violated = true;
                verified |= by_all_orders;
            }
            Outcome::Undecided { limit: spent, .. } => limit = limit.or(Some(*spent)),
        }
    }
    let word = match (violated, verified, limit) {
        (true, true, _) => return (INVALID, "invalid: not linearizable".to_owned()),
        (true, false, _) => {
            return (INVALID, "invalid: not linearizable (not re-checked: too many orders)".to_owned());
        }
        (false, _, Some(Limit::Time)) => {
            format!("unknown: time was up (raise --deadline, now {})", time(arguments.patience()))
        }
        (false, _, Some(Limit::Memory)) => {
            format!("unknown: memory was used up (raise --memory, now {})", bytes(arguments.bytes()))
        }
        (false, _, Some(Limit::Configurations)) => "unknown: the search was too long".to_owned(),
        (false, _, Some(Limit::Mistake)) => "unknown: a mistake of this checker, please report it".to_owned(),
        (false, _, None) => match not_whole(parsed) {
            Some(word) => word,
            None => return (VALID, "valid: linearizable".to_owned()),
        },
    };
    (UNKNOWN, word)
}

/// The exit code of what a certificate proves, and the words for it.
pub(super) fn verdict_of_recheck(rechecked: &[Rechecked], parsed: &Parsed) -> (u8, String) {
    let any = |wanted: fn(&Finding) -> bool| rechecked.iter().any(|rechecked| wanted(&rechecked.finding));
    if any(|finding| matches!(finding, Finding::Refuted(_))) {
        return (INVALID, "invalid: not linearizable".to_owned());
    }
    let word = if any(|finding| matches!(finding, Finding::DoesNotHold(_))) {
        "unknown: a claim does not hold".to_owned()
    } else if any(|finding| matches!(finding, Finding::TooMany(_))) {
        "unknown: a claim has too many orders to be checked".to_owned()
    } else if any(|finding| matches!(finding, Finding::NothingClaimed(_))) || rechecked.is_empty() {
        "unknown: not everything is proved".to_owned()
    } else {
        match not_whole(parsed) {
            Some(word) => word,
            None => return (VALID, "valid: linearizable".to_owned()),
        }
    };
    (UNKNOWN, word)
}

/// What is to be printed of one file.
pub(super) struct Paper {
    pub(super) text: String,
    color: bool,
    width: usize,
}

impl Paper {
    pub(super) fn new() -> Self {
        Self { text: String::new(), color: live::stdout_is_colored(), width: live::width().max(WIDTH_MIN) }
    }

    /// The first line: file and verdict.
    pub(super) fn head(&self) -> &str {
        self.text.split_inclusive('\n').next().unwrap_or_default()
    }

    pub(super) fn verdict(&mut self, name: &str, code: u8, word: &str) {
        let ink = match code {
            VALID => "32",
            INVALID => "1;31",
            _ => "33",
        };
        let word = if self.color { format!("\u{1b}[{ink}m{word}\u{1b}[0m") } else { word.to_owned() };
        self.text.push_str(&format!("{name}: {word}\n"));
    }

    /// A text behind a lead, broken between words; its other lines begin where it began.
    pub(super) fn wrapped(&mut self, lead: &str, text: &str) {
        let indent = lead.chars().count();
        let mut used = indent;
        self.text.push_str(lead);
        for (index, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if index > 0 && used + 1 + length > self.width && used > indent {
                self.text.push('\n');
                self.text.push_str(&" ".repeat(indent));
                used = indent;
            } else if index > 0 {
                self.text.push(' ');
                used += 1;
            }
            self.text.push_str(word);
            used += length;
        }
        self.text.push('\n');
    }

    /// How the history was read: what a verdict rests on. Rules that have been `told` of another file are not repeated.
    pub(super) fn reading(&mut self, parsed: &Parsed, told: &mut BTreeSet<String>) {
        let counts = &parsed.counts;
        let objects = match parsed.keys {
            Keys::None => "one object".to_owned(),
            Keys::Pairs | Keys::Field => counted(parsed.objects.len() as u64, "key"),
        };
        self.wrapped("  ", &format!("read as {}, {}, {objects}", parsed.format, parsed.kind));
        let mut unanswered = String::new();
        if counts.used_unanswered > 0 {
            unanswered = format!(" ({} of them without an answer)", counts.used_unanswered);
        }
        let (operations, lines) = (counted(counts.operations, "operation"), counted(counts.lines as u64, "line"));
        let mut line = format!("{operations} in {lines}: {} used{unanswered}", counts.used);
        if counts.did_not_happen > 0 {
            line.push_str(&format!(", {} did not happen", counts.did_not_happen));
        }
        if counts.unknown_reads > 0 {
            line.push_str(&format!(", {} without an answer", counted(counts.unknown_reads, "read")));
        }
        let others = counts.foreign + counts.other_lines;
        if others > 0 {
            let what = if others == 1 { "event or line" } else { "events or lines" };
            line.push_str(&format!("; {others} {what} of others left out"));
        }
        self.wrapped("  ", &line);
        if let Some(line) = parsed.torn {
            self.wrapped("  ", &format!("line {line} is cut off, or may be (it has no line end), and left out"));
        }
        for rule in parsed.rules.iter().filter(|rule| told.insert((*rule).clone())) {
            self.wrapped("  · ", &shown(rule, 400));
        }
    }

    pub(super) fn verdicts(&mut self, judged: &[Judged], arguments: &CheckArguments) {
        let (mut linearizable, mut violated, mut undecided, mut listed) = (0_u64, 0_u64, 0_u64, 0);
        let (mut replayed, mut tried, mut trusted) = (0_u64, 0_u64, 0_u64);
        for one in judged {
            match &one.outcome {
                Outcome::Linearizable(order) => {
                    linearizable += 1;
                    replayed += order.len() as u64;
                    continue;
                }
                Outcome::Violation { core, verified, .. } => {
                    violated += 1;
                    *(if *verified { &mut tried } else { &mut trusted }) += core.len() as u64;
                }
                Outcome::Undecided { .. } => undecided += 1,
            }
            listed += 1;
            if listed <= LISTED_MAX {
                self.outcome(one, arguments);
            }
        }
        if violated > 0 {
            self.text.push('\n');
        }
        if listed > LISTED_MAX {
            self.wrapped("  ", &format!("… and {} more that are not linearizable or undecided", listed - LISTED_MAX));
        }
        let objects = counted(judged.len() as u64, "object");
        self.wrapped("  ", &format!("{objects}: {linearizable} linearizable, {violated} not, {undecided} undecided"));
        if arguments.verify {
            let (replayed, tried) = (counted(replayed, "operation"), counted(tried, "operation"));
            self.wrapped(
                "  ",
                &format!(
                    "checked again: {replayed} in orders re-played, {tried} in counterexamples refuted by trying all orders"
                ),
            );
            if trusted > 0 {
                let trusted = counted(trusted, "operation");
                self.wrapped("  ", &format!("not checked again: {trusted} in counterexamples with too many orders"));
            }
        }
    }

    /// An object that is not linearizable, or not decided.
    fn outcome(&mut self, judged: &Judged, arguments: &CheckArguments) {
        let Judged { key, operations, outcome } = judged;
        let name = key.as_ref().map_or_else(String::new, |key| format!("key {}: ", shown(key, 80)));
        match outcome {
            Outcome::Linearizable(_) => {}
            Outcome::Violation { core, verified, cut_short, explanation } => {
                let how = if *verified {
                    "the verifier tried all their orders"
                } else {
                    "not re-checked: too many orders; the engine's word"
                };
                self.explanation(explanation);
                let (count, have) = (core.len(), if core.len() == 1 { "has" } else { "have" });
                self.wrapped(
                    "    ",
                    &format!("{name}{count} of {operations} operations {have} no legal order ({how})"),
                );
                if *cut_short && count > 2 {
                    let deadline = time(arguments.patience());
                    let text = format!("not shrunk further: time was up (raise --deadline, now {deadline})");
                    self.wrapped("    ", &text);
                }
            }
            Outcome::Undecided { limit: _, why } => {
                let operations = counted(*operations as u64, "operation");
                self.wrapped("  ", &format!("{name}undecided, {operations}: {}", shown(why, 400)));
            }
        }
    }

    /// The sentence, the argument, the drawing.
    fn explanation(&mut self, explanation: &Explanation) {
        self.text.push('\n');
        self.wrapped("  ", &shown(&explanation.sentence, 800));
        for (number, step) in (1..).zip(&explanation.steps) {
            self.wrapped(&format!("    {number:>2}. "), &shown(step, 1_200));
        }
        let mut picture = explanation.picture.clone();
        // Made harmless before they are laid out, so that columns stay in line; and once more as lines.
        for bar in &mut picture.bars {
            (bar.lane, bar.label) = (shown(&bar.lane, 80), shown(&bar.label, 80));
        }
        for line in picture.to_ascii_within(self.width - 4).lines() {
            self.text.push_str(&format!("    {}\n", shown(line, 400)));
        }
    }

    /// That a certificate was written, and what it is worth.
    pub(super) fn certificate(&mut self, file: &Path, judged: &[Judged]) {
        self.wrapped("  ", &format!("certificate written to {}", shown(&file.display().to_string(), 400)));
        let trusted = judged.iter().any(|one| matches!(one.outcome, Outcome::Violation { verified: false, .. }));
        if trusted {
            self.wrapped(
                "  ",
                "warning: it claims a violation that has too many orders to be checked again: --verify will call that unknown",
            );
        }
    }

    pub(super) fn recheck(&mut self, rechecked: &[Rechecked]) {
        let (mut replayed, mut refuted, mut listed) = ((0_u64, 0_u64), (0_u64, 0_u64), 0);
        for Rechecked { key, operations, finding } in rechecked {
            let name = key.as_ref().map_or_else(String::new, |key| format!("key {}: ", shown(key, 80)));
            let line = match finding {
                Finding::Replayed(count) => {
                    replayed = (replayed.0 + 1, replayed.1 + *count as u64);
                    continue;
                }
                Finding::Refuted(count) => {
                    refuted = (refuted.0 + 1, refuted.1 + *count as u64);
                    format!("not linearizable: all orders of {count} of {operations} operations tried, none is legal")
                }
                Finding::TooMany(count) => format!(
                    "claimed not to be linearizable: too many orders of {count} operations to check; a claim, no proof"
                ),
                Finding::NothingClaimed(why) => format!("nothing is proved: {why}"),
                Finding::DoesNotHold(why) => format!("THE CLAIM DOES NOT HOLD: {why}"),
            };
            listed += 1;
            if listed <= LISTED_MAX {
                self.wrapped("  ", &format!("{name}{}", shown(&line, 400)));
            }
        }
        if listed > LISTED_MAX {
            self.wrapped("  ", &format!("… and {} more", listed - LISTED_MAX));
        }
        let line = format!(
            "claims that hold: {} linearizable ({} in orders re-played), {} not ({} in counterexamples refuted)",
            replayed.0,
            counted(replayed.1, "operation"),
            refuted.0,
            counted(refuted.1, "operation"),
        );
        self.wrapped("  ", &line);
    }
}

pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Text of a file as one line that can't steer a terminal, cut to `chars_max`.
pub(super) fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for (place, c) in text.chars().enumerate() {
        if place == chars_max {
            out.push('…');
            break;
        }
        // Controls, and what turns the direction of writing or can't be seen.
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || hidden {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_never_steers_the_terminal() {
        assert_eq!(shown("a\u{1b}[2J\n\u{202e}b", 80), "a\\u{1b}[2J\\u{a}\\u{202e}b");
        assert_eq!(shown("abcdef", 3), "abc…");
    }

    #[test]
    fn lines_are_broken_between_words_and_begin_below_each_other() {
        let mut paper = Paper { text: String::new(), color: false, width: 12 };
        paper.wrapped("  1. ", "one two three a-long-word");
        assert_eq!(paper.text, "  1. one two\n     three\n     a-long-word\n");
    }

    #[test]
    fn a_verdict_has_a_colour_only_where_that_is_wanted() {
        let mut paper = Paper { text: String::new(), color: true, width: 80 };
        paper.verdict("a.log", INVALID, "invalid");
        assert_eq!(paper.head(), "a.log: \u{1b}[1;31minvalid\u{1b}[0m\n");
        paper = Paper { text: String::new(), color: false, width: 80 };
        paper.verdict("a.log", INVALID, "invalid");
        assert_eq!(paper.head(), "a.log: invalid\n");
    }
}
