//! Single values as text: durations, rates, percentages, counts. Reading and writing stand side by side, and whatever is
//! written is read back exactly: integers all the way, never through a float, except for rates, which are floats.
//!
//! ```text
//! duration   40ms  1.5s  2min        ns us ms s min h
//! range      150ms..300ms            or one duration, when nothing is to be drawn
//! rate       200/s  0.5/s  30/min
//! share      90%  99.95%
//! offset     +60s  -1.5h                a duration ahead or back
//! factor     0.67  1.5
//! ```
//!
//! Errors are half a sentence that stands beside the carets.

use std::time::Duration;

use crate::model::DurationRange;

/// What is wrong with a text, as a label for the place.
type Why = &'static str;

const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A decimal number as digits without the point, and the number of digits after the point.
fn decimal(text: &str) -> Option<(u128, u32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || (fraction.is_empty() && text.contains('.')) {
        return None;
    }
    if whole.len() > 20 || fraction.len() > 18 {
        return None;
    }
    let value = format!("{whole}{fraction}").parse().ok()?;
    Some((value, u32::try_from(fraction.len()).ok()?))
}

/// Reads a duration.
pub(crate) fn duration(text: &str) -> Result<Duration, Why> {
    if text.starts_with('-') {
        return Err("a duration can't be negative");
    }
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    if number.is_empty() {
        return Err("a duration is a number with a unit: ns, us, ms, s, min or h");
    }
    if unit.is_empty() {
        return Err("the unit is missing: ns, us, ms, s, min or h");
    }
    let Some((_, factor)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
        return Err("the units are ns, us, ms, s, min and h");
    };
    let (value, places) = decimal(number).ok_or("the number is not one that can be read")?;
    let scaled = value.checked_mul(u128::from(factor)).ok_or("this is too long")?;
    let divisor = 10_u128.pow(places);
    if scaled % divisor != 0 {
        return Err("nothing is finer than a nanosecond");
    }
    let nanos = u64::try_from(scaled / divisor).map_err(|_| "this is too long")?;
    Ok(Duration::from_nanos(nanos))
}

/// Writes a duration so that [`duration`] reads the same.
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    // The largest unit that divides it; but 60s and 90min are how people say it.
    let units =
        [("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
    for (unit, factor) in units {
        let enough = if factor > 1_000_000_000 { 2 * factor } else { 0 };
        if nanos.is_multiple_of(factor) && nanos >= enough {
            return format!("{}{unit}", nanos / factor);
        }
    }
    format!("{nanos}ns")
}

/// Reads a duration ahead (`+`, or nothing) or back (`-`), in nanoseconds.
pub(crate) fn offset_ns(text: &str) -> Result<i64, Why> {
    let (back, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanos = i64::try_from(duration(text)?.as_nanos()).map_err(|_| "this is too long")?;
    Ok(if back { -nanos } else { nanos })
}

/// Writes an offset so that [`offset_ns`] reads the same.
pub(crate) fn write_offset(nanos: i64) -> String {
    let sign = if nanos < 0 { '-' } else { '+' };
    format!("{sign}{}", write_duration(Duration::from_nanos(nanos.unsigned_abs())))
}

/// Reads a factor as parts per million.
pub(crate) fn factor_millionths(text: &str) -> Result<u32, Why> {
    let (value, places) = decimal(text).ok_or("a factor is a number, for example `0.67`")?;
    let (scaled, divisor) = (value.checked_mul(1_000_000).ok_or("this is too large")?, 10_u128.pow(places));
    if scaled % divisor != 0 {
        return Err("a factor has at most six decimal places");
    }
    u32::try_from(scaled / divisor).map_err(|_| "this is too large")
}

/// Writes a factor so that [`factor_millionths`] reads the same.
pub(crate) fn write_factor(millionths: u32) -> String {
    let (whole, rest) = (millionths / 1_000_000, millionths % 1_000_000);
    let places = format!("{rest:06}");
    match places.trim_end_matches('0') {
        "" => whole.to_string(),
        places => format!("{whole}.{places}"),
    }
}

/// Reads `a..b`, or a single duration.
pub(crate) fn duration_range(text: &str) -> Result<DurationRange, Why> {
    let (min, max) = match text.split_once("..") {
        Some((min, max)) => (duration(min.trim())?, duration(max.trim())?),
        None => {
            let only = duration(text)?;
            (only, only)
        }
    };
    if min > max {
        return Err("the longer end stands first");
    }
    Ok(DurationRange { min, max })
}

/// Writes a range so that [`duration_range`] reads the same.
#[must_use]
pub fn write_duration_range(range: DurationRange) -> String {
    if range.min == range.max {
        write_duration(range.min)
    } else {
        format!("{}..{}", write_duration(range.min), write_duration(range.max))
    }
}

/// Reads a rate, per second.
pub(crate) fn rate(text: &str) -> Result<f64, Why> {
    let (number, seconds) = match text.split_once('/') {
        Some((number, "s")) => (number, 1.0),
        Some((number, "min")) => (number, 60.0),
        Some(_) => return Err("a rate is per `/s` or per `/min`"),
        None => return Err("a rate is a number per time, for example `200/s`"),
    };
    if number.starts_with('-') {
        return Err("a rate can't be negative");
    }
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err("a rate is a number per time, for example `200/s`");
    }
    let number: f64 = number.parse().map_err(|_| "the number is not one that can be read")?;
    Ok(number / seconds)
}

/// Writes a rate so that [`rate`] reads the same.
pub(crate) fn write_rate(per_second: f64) -> String {
    format!("{per_second}/s")
}

/// Reads a percentage as parts per million.
pub(crate) fn share_millionths(text: &str) -> Result<u32, Why> {
    let number = text.strip_suffix('%').ok_or("a share is a percentage, for example `99.5%`")?;
    let (value, places) = decimal(number.trim_end()).ok_or("the number is not one that can be read")?;
    let divisor = 10_u128.pow(places);
    let scaled = value.checked_mul(10_000).ok_or("a share is at most 100%")?;
    if scaled % divisor != 0 {
        return Err("a share has at most four decimal places");
    }
    match u32::try_from(scaled / divisor) {
        Ok(millionths) if millionths <= 1_000_000 => Ok(millionths),
        Ok(_) | Err(_) => Err("a share is at most 100%"),
    }
}

/// Writes a share so that [`share_millionths`] reads the same.
pub(crate) fn write_share(millionths: u32) -> String {
    let (percent, rest) = (millionths / 10_000, millionths % 10_000);
    let places = format!("{rest:04}");
    match places.trim_end_matches('0') {
        "" => format!("{percent}%"),
        places => format!("{percent}.{places}%"),
    }
}

/// Units of sizes with their bytes, the largest first.
const BYTES: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a size as bytes.
pub(crate) fn bytes(text: &str) -> Result<u64, Why> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = BYTES.iter().find(|(name, _)| *name == unit.trim_start());
    let (_, bytes) = unit.ok_or("a size has a unit, B, kB, MB, GB, KiB, MiB or GiB: `64MB`")?;
    whole(number)?.checked_mul(*bytes).ok_or("the number is too large")
}

/// Writes a size so that [`bytes`] reads the same.
pub(crate) fn write_bytes(size: u64) -> String {
    let unit = BYTES.iter().find(|(_, bytes)| size != 0 && size.is_multiple_of(*bytes));
    unit.map_or_else(|| format!("{size}B"), |(name, bytes)| format!("{}{name}", size / bytes))
}

/// Units of bit rates, the largest first.
const BITS: [(&str, u64); 4] = [("gbit/s", 1_000_000_000), ("mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// Reads a rate of bits per second, `1mbit/s`. At least 8 bits.
pub(crate) fn bit_rate(text: &str) -> Result<u64, Why> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = BITS.iter().find(|(name, _)| *name == unit.trim_start());
    let (_, bits) = unit.ok_or("a rate has a unit, bit/s, kbit/s, mbit/s or gbit/s: `1mbit/s`")?;
    let rate = whole(number)?.checked_mul(*bits).ok_or("the number is too large")?;
    if rate < 8 { Err("less than a byte a second: cut the link instead") } else { Ok(rate) }
}

/// Writes a rate so that [`bit_rate`] reads the same.
pub(crate) fn write_bit_rate(rate: u64) -> String {
    let unit = BITS.iter().find(|(_, bits)| rate.is_multiple_of(*bits)).expect("everything is a multiple of one");
    format!("{}{}", rate / unit.1, unit.0)
}

/// Reads a whole number.
pub(crate) fn whole(text: &str) -> Result<u64, Why> {
    if text.starts_with('-') {
        return Err("it can't be negative");
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a whole number is wanted, in digits");
    }
    text.parse().map_err(|_| "the number is too large")
}

/// Reads `true` or `false`; YAML 1.1's `yes` and `off` are named in the error.
pub(crate) fn boolean(text: &str) -> Result<bool, Why> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "yes" | "on" | "Yes" | "On" | "True" => Err("write `true`"),
        "no" | "off" | "No" | "Off" | "False" => Err("write `false`"),
        _ => Err("`true` or `false` is wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_in_every_unit() {
        for (text, nanos) in [
            ("0s", 0),
            ("7ns", 7),
            ("40ms", 40_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("10µs", 10_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_duration_are_refused_with_a_reason() {
        for text in
            ["", "5", "s", "-1s", "1 s", "1..2s", ".5s", "1.s", "1e3s", "1d", "0.1ns", "99999999999999999999s", "1ss"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("999999999h"), Err("this is too long"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for nanos in [0, 1, 999, 1_000, 1_500, 1_000_000, 150_000_000, 2_000_000_000, 61_000_000_000, u64::MAX] {
            let value = Duration::from_nanos(nanos);
            assert_eq!(duration(&write_duration(value)), Ok(value));
        }
        for value in [200.0, 0.5, 1.0 / 3.0, 0.1 + 0.2, 1e-7, 99_999.999] {
            assert_eq!(rate(&write_rate(value)), Ok(value));
        }
    }

    #[test]
    fn ranges_run_upwards() {
        let range = |min, max| DurationRange { min: Duration::from_millis(min), max: Duration::from_millis(max) };
        assert_eq!(duration_range("150ms..300ms"), Ok(range(150, 300)));
        assert_eq!(duration_range("1s..2s"), Ok(range(1000, 2000)));
        assert_eq!(duration_range("2s"), Ok(range(2000, 2000)));
        assert!(duration_range("2s..1s").is_err());
        assert!(duration_range("..1s").is_err());
    }

    #[test]
    fn sizes_are_exact_in_every_unit() {
        for (text, size) in
            [("64MB", 64_000_000), ("1GiB", 1 << 30), ("1025B", 1025), ("3kB", 3_000), ("2MiB", 1 << 21)]
        {
            assert_eq!((bytes(text), write_bytes(size)), (Ok(size), text.to_owned()));
        }
        assert_eq!(bytes("5 MB"), Ok(5_000_000));
        for text in ["64", "MB", "-1B", "1.5MB", "1mb", "99999999999GiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn offsets_have_a_sign_and_factors_six_decimal_places() {
        for (text, nanos) in [("+60s", 60_000_000_000), ("-60s", -60_000_000_000), ("+1ns", 1)] {
            assert_eq!((offset_ns(text), write_offset(nanos)), (Ok(nanos), text.to_owned()));
        }
        assert_eq!(offset_ns("2h"), offset_ns("+2h"));
        for (text, millionths) in [("0", 0), ("0.67", 670_000), ("64", 64_000_000), ("1.000001", 1_000_001)] {
            assert_eq!((factor_millionths(text), write_factor(millionths)), (Ok(millionths), text.to_owned()));
        }
        for text in ["--1s", "+-1s", "+", "300000000h"] {
            assert!(offset_ns(text).is_err(), "{text}");
        }
        for text in ["-1", "1e3", "0.0000001", "5000"] {
            assert!(factor_millionths(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_keep_four_decimal_places() {
        assert_eq!(share_millionths("90%"), Ok(900_000));
        assert_eq!(share_millionths("99.9999%"), Ok(999_999));
        assert_eq!(share_millionths("100%"), Ok(1_000_000));
        for text in ["10%", "2.5%", "0.0001%"] {
            assert_eq!(share_millionths(text).map(write_share).as_deref(), Ok(text));
        }
        for text in ["101%", "90", "0.99", "99.99999%", "%", "-1%"] {
            assert!(share_millionths(text).is_err(), "{text}");
        }
    }
}
