//! HdrHistogram's interval log: one histogram per kind of fault and phase, tagged `kill.elected`, mergeable with those of other
//! runs by any HdrHistogram tool.
//!
//! ```text
//! #[Histogram log format version 1.3]
//! #[MaxValueDivisor: 1000000.000]
//! Tag=kill.elected,0.000,62.400,262.144,HISTFAAAA…
//! ```
//!
//! Values are nanoseconds; the log's third column shows the maximum in milliseconds, as HdrHistogram's own tools have it. Tags
//! are words of this program only.
//!
//! Source: HdrHistogram's `HistogramLogWriter`, log format 1.3, V2 encoding with DEFLATE.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::pool::analysis;
use crate::Report;

pub(super) fn render(reports: &[Report]) -> String {
    analysis(reports).map_or_else(String::new, |analysis| log(&analysis))
}

fn log(analysis: &chaos_failover::Analysis) -> String {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .with_max_value_divisor(1e6)
        .begin_log_with(&mut bytes, &mut serializer)
        .expect("writing to memory can't fail");
    let lasted = Duration::from_nanos(analysis.end.0);
    for row in &analysis.distributions {
        let mut histogram = Histogram::<u64>::new(3).expect("3 significant digits are within the allowed 0 to 5");
        for sample in &row.samples {
            histogram.record((*sample).max(1)).expect("a histogram that resizes itself takes every value");
        }
        let tag = format!("{}.{}", row.kind.name(), row.phase.name());
        let tag = Tag::new(&tag).expect("neither has a comma or a space in it");
        writer.write_histogram(&histogram, Duration::ZERO, lasted, Some(tag)).expect("writing to memory can't fail");
    }
    drop(writer);
    String::from_utf8(bytes).expect("an interval log is ASCII")
}
