//! `150ms`, `1.5s` and `150ms..300ms`: times as people write them.
//!
//! A number always carries its unit; a bare `300` is refused, since half of all programs mean seconds by it.

use std::time::Duration;

/// Parses one duration: a decimal number followed by `us`, `ms`, `s` or `m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let shape = "write a number and a unit (us, ms, s, m), for example 40ms or 1.5s";
    let unit_at =
        text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| format!("`{text}` has no unit: {shape}"))?;
    let (number, unit) = text.split_at(unit_at);
    let seconds_per_unit = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(format!("`{unit}` is not a unit: {shape}")),
    };
    let digits_only = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: Option<f64> = digits_only.then(|| number.parse().ok()).flatten();
    let value = value.ok_or_else(|| format!("`{number}` is not a number: {shape}"))?;
    Duration::try_from_secs_f64(value * seconds_per_unit)
        .ok()
        .map(|duration| Duration::from_micros(u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX)))
        .filter(|duration| *duration <= Duration::from_secs(24 * 3600))
        .ok_or_else(|| format!("`{text}` is longer than a day"))
}

/// A range of durations, both ends included in what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationRange {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

/// Parses `MIN..MAX`, or one duration for both.
pub(super) fn parse_range(text: &str) -> Result<DurationRange, String> {
    match text.split_once("..") {
        Some((min, max)) => Ok(DurationRange { min: parse_duration(min)?, max: parse_duration(max)? }),
        None => parse_duration(text).map(|only| DurationRange { min: only, max: only }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_number_and_a_unit() {
        let cases =
            [("40ms", 40_000), ("1.5s", 1_500_000), ("2m", 120_000_000), ("250us", 250), ("0s", 0), ("0.1ms", 100)];
        for (text, micros) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in ["", "300", "ms", "-1s", "1 s", "1e3ms", "1h", "..", "1.2.3s", "25000m"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_has_two_ends_or_one_for_both() {
        let range = |min, max| Ok(DurationRange { min: Duration::from_millis(min), max: Duration::from_millis(max) });
        assert_eq!(parse_range("150ms..300ms"), range(150, 300));
        assert_eq!(parse_range("1s"), range(1000, 1000));
        assert!(parse_range("150..300ms").is_err());
    }
}
