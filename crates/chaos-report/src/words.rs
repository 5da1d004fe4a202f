//! Figures and foreign text as people read them.

use std::time::Duration;

use chaos_failover::{Figure, OperationStats};
use chaos_history::ElectionRole;

/// A duration with two or three significant digits: `412 µs`, `4.2 ms`, `612 ms`, `1.48 s`, `62.4 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (ms, s) = (duration.as_secs_f64() * 1e3, duration.as_secs_f64());
    match nanos {
        0 => "0 ms".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..10_000_000 => format!("{ms:.1} ms"),
        10_000_000..1_000_000_000 => format!("{ms:.0} ms"),
        1_000_000_000..10_000_000_000 => format!("{s:.2} s"),
        10_000_000_000.. => format!("{s:.1} s"),
    }
}

/// A number with its digits grouped by thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 failover`, `1,204 failovers`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Parts per million as per cent: `99.20 %`.
pub(crate) fn percent(millionths: u32) -> String {
    format!("{:.2} %", f64::from(millionths) / 1e4)
}

/// What clients asked and got; `None` without operations. Roaming clients find the leader, so their share tells how available
/// the service was; a client that stays with a follower is refused by design, which says nothing of the sort.
pub(crate) fn clients(operations: &OperationStats) -> Option<String> {
    let (roaming, pinned) = (operations.roaming, operations.pinned);
    let share = percent(operations.availability_millionths?);
    let unknown = |unknown: u64| if unknown == 0 { String::new() } else { format!(", {} unknown", grouped(unknown)) };
    let stayed = format!(
        "{} acknowledged, {} refused (as followers do){}",
        grouped(pinned.ok),
        grouped(pinned.fail),
        unknown(pinned.info)
    );
    if roaming.asked() == 0 {
        return Some(format!("all stay with one node: {stayed}; {share} of {} acknowledged", grouped(pinned.asked())));
    }
    let asked = count(roaming.asked(), "operation");
    let mut text = format!("{} of {asked} of roaming clients acknowledged ({share})", grouped(roaming.ok));
    if pinned.asked() > 0 {
        text.push_str(&format!(" · pinned to one node: {stayed}"));
    }
    Some(text)
}

/// A measured figure.
pub(crate) fn figure(figure: Figure) -> String {
    match figure {
        Figure::TimeNs(nanos) => duration(Duration::from_nanos(nanos)),
        Figure::Count(count) => grouped(count),
        Figure::ShareMillionths(share) => percent(share),
        Figure::Violated(true) => "violated".to_owned(),
        Figure::Violated(false) => "not violated".to_owned(),
    }
}

/// A role's name.
pub(crate) fn role(role: ElectionRole) -> &'static str {
    match role {
        ElectionRole::Follower => "follower",
        ElectionRole::PreCandidate => "pre-candidate",
        ElectionRole::Candidate => "candidate",
        ElectionRole::Leader => "leader",
    }
}

/// Foreign text with every character that could act on a terminal, or reorder what stands beside it, as a visible escape. Line
/// breaks and tabs are kept only where `lines` says that there may be several lines.
pub(crate) fn visible(text: &str, lines: Lines) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let kept = match character {
            '\n' | '\t' => lines == Lines::Several,
            // Soft hyphen, zero widths, direction marks, embeddings and isolates, invisible operators, byte order mark, tags.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => false,
            '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => false,
            other => !other.is_control(),
        };
        if kept {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// Whether a text may have several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// No: line breaks are escaped too.
    One,
    /// Yes.
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_the_digits_that_matter() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ns"),
            (412_000, "412 µs"),
            (4_210_000, "4.2 ms"),
            (611_600_000, "612 ms"),
            (1_480_000_000, "1.48 s"),
            (62_400_000_000, "62.4 s"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn what_acts_on_a_terminal_or_reorders_text_is_made_visible() {
        let hostile = "a\u{1b}[31mb\u{202e}c\u{200b}d\r\n";
        assert_eq!(visible(hostile, Lines::One), r"a\u{1b}[31mb\u{202e}c\u{200b}d\u{d}\u{a}");
        assert_eq!(visible("ä→日本\n", Lines::Several), "ä→日本\n");
    }
}
