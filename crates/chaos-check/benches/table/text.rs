//! Numbers as people read them, and the table's layout.

use std::time::Duration;

use crate::rows::{Line, Row};

/// `0.042 ms`, `3.1 ms`, `1.25 s`.
pub(crate) fn time(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        0.0..0.1 => format!("{millis:.4} ms"),
        0.1..10.0 => format!("{millis:.2} ms"),
        10.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1e3),
    }
}

/// `812 kB`, `3.4 MB`, in units of 1024.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} kB", bytes.div_ceil(1 << 10)),
        0x10_0000..0x4000_0000 => format!("{}.{} MB", bytes >> 20, (bytes >> 10) % 1024 * 10 / 1024),
        _ => format!("{}.{} GB", bytes >> 30, (bytes >> 20) % 1024 * 10 / 1024),
    }
}

/// One row of the table.
pub(crate) fn row(row: &Row, lines: &[Line]) -> String {
    let mut text = format!("{}: {}\n  target {}\n", row.id, row.class, row.target);
    for line in lines {
        let verdict = match (&line.wrong, line.pass) {
            (Some(wrong), _) => format!("WRONG: {wrong}"),
            (None, Some(true)) => "PASS".to_owned(),
            (None, Some(false)) => "MISS".to_owned(),
            (None, None) => String::new(),
        };
        text.push_str(&format!("  {:<34} ours {} | baseline {}", line.what, line.ours, line.theirs));
        text.push_str(&format!(" | ratio {} | {verdict}\n", line.ratio));
    }
    text
}
