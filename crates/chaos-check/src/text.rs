//! Numbers as the sentences of a verdict write them.

use std::time::Duration;

/// A count with its noun, digits grouped by thousands: `61,204 observations`, `1 observation`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// The first few of a list, and how many more there are.
pub(crate) fn some_of(items: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = items[..items.len().min(SHOWN)].join(", ");
    if items.len() > SHOWN { format!("{shown} and {} more", grouped(items.len() - SHOWN)) } else { shown }
}

/// A number with its digits grouped by thousands: `61,204`.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A duration in seconds, to the millisecond.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

/// A short duration in whole milliseconds, a longer one in seconds: `2 ms`, `12.3 s`.
pub(crate) fn brief(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.0} ms", duration.as_secs_f64() * 1e3)
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_are_milliseconds() {
        assert_eq!(
            (brief(Duration::from_micros(1_900)).as_str(), brief(Duration::from_secs(12)).as_str()),
            ("2 ms", "12.0 s")
        );
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, expected) in
            [(0, "0 reads"), (1, "1 read"), (999, "999 reads"), (1_000, "1,000 reads"), (1_234_567, "1,234,567 reads")]
        {
            assert_eq!(count(number, "read"), expected);
        }
    }
}
