//! Distributions as an HdrHistogram interval log (`.hlog`), which other tools plot and which several runs merge.
//!
//! One line per distribution, tagged `KIND.PHASE`; values are nanoseconds from t0 (upper bounds, as everywhere), histograms are
//! the V2 encoding, deflated, in base64. `outage` holds the outages of clients and `latency` the acknowledged operations from
//! the moment they were due, where the analysis has them. `Interval_Max` is in milliseconds, as HdrHistogram's own tools have it.
//!
//! ```text
//! #[Histogram log format version 1.3]
//! #[MaxValueDivisor: 1000000.000]
//! "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
//! Tag=kill.elected,0.000,60.000,312.476,HISTFAAAAE94nJNpmSzMwMDAxQABzFCaEUozMDD8hwIA…
//! ```
//!
//! Refuses to correct for coordinated omission: an open-loop latency counts from its due time already, and correcting twice
//! would invent samples. Source: HdrHistogram's `HistogramLogWriter` and `EncodableHistogram` (V2), format version 1.3.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::analysis::{Analysis, PointOutcome};
use crate::distribution::{Distribution, Sample, histogram_of};

const HEAD: &str = "#[Histogram log format version 1.3]\n#[MaxValueDivisor: 1000000.000]\n";
const LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// Why logs can't be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HlogError {
    /// The text is no interval log from this byte on.
    #[error("not a histogram log at byte {offset}")]
    NoLog {
        /// Bytes from the start of the text.
        offset: usize,
    },
    /// A line's histogram is damaged, or of another encoding.
    #[error("the histogram tagged `{tag}` can't be read: {reason}")]
    NoHistogram {
        /// The line's tag.
        tag: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Everything of one run, see the module's head for the lines.
#[must_use]
pub fn hlog(analysis: &Analysis) -> String {
    let mut tagged = of_distributions(&analysis.distributions);
    let mut add = |tag: &str, values: Vec<Duration>| {
        tagged.extend(Sample::new(values).map(|sample| (tag.to_owned(), sample.into_histogram())));
    };
    add("outage", analysis.outages.iter().map(|outage| outage.lasted).collect());
    let acknowledged = analysis.operations.points.iter().filter(|point| point.outcome == PointOutcome::Ok);
    add("latency", acknowledged.map(|point| point.latency).collect());
    written(&tagged, Duration::from_nanos(analysis.end.0))
}

/// Distributions only: those of one report, or those of several runs taken together. `lasted` is how long the runs took.
#[must_use]
pub fn hlog_of(distributions: &[Distribution], lasted: Duration) -> String {
    written(&of_distributions(distributions), lasted)
}

/// Several logs as one: histograms of one tag are added up, and so are the times that they cover.
///
/// # Errors
/// If a text is no interval log, or holds a histogram that can't be read.
pub fn merge_hlogs(logs: &[&str]) -> Result<String, HlogError> {
    let mut merged: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
    let mut lasted = Duration::ZERO;
    for log in logs {
        let mut longest = Duration::ZERO;
        for (tag, took, histogram) in read(log)? {
            longest = longest.max(took);
            match merged.get_mut(&tag) {
                Some(known) => known.add(&histogram).map_err(|error| unreadable(&tag, error))?,
                None => {
                    merged.insert(tag, histogram);
                }
            }
        }
        lasted += longest;
    }
    Ok(written(&merged, lasted))
}

impl Distribution {
    /// The upper bounds as an HdrHistogram of nanoseconds: V2 encoding, deflated, in base64, as it stands in an `.hlog` line.
    #[must_use]
    pub fn histogram_base64(&self) -> String {
        encoded(&self.histogram())
    }

    fn histogram(&self) -> Histogram<u64> {
        histogram_of(&self.samples)
    }
}

fn of_distributions(distributions: &[Distribution]) -> BTreeMap<String, Histogram<u64>> {
    let tagged = distributions.iter().filter(|distribution| !distribution.samples.is_empty());
    tagged.map(|one| (format!("{}.{}", one.kind.name(), one.phase.name()), one.histogram())).collect()
}

fn written(tagged: &BTreeMap<String, Histogram<u64>>, lasted: Duration) -> String {
    let mut text = format!("{HEAD}{LEGEND}");
    for (tag, histogram) in tagged {
        let (lasted, max) = (lasted.as_secs_f64(), Duration::from_nanos(histogram.max()).as_secs_f64() * 1e3);
        text.push_str(&format!("Tag={tag},0.000,{lasted:.3},{max:.3},{}\n", encoded(histogram)));
    }
    text
}

fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    let serialized = V2DeflateSerializer::new().serialize(histogram, &mut bytes);
    serialized.expect("encoding into memory fails only beyond the address space");
    STANDARD.encode(&bytes)
}

/// Tag, time covered and histogram of every line.
fn read(log: &str) -> Result<Vec<(String, Duration, Histogram<u64>)>, HlogError> {
    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let interval = match entry {
            Ok(LogEntry::Interval(interval)) => interval,
            Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => continue,
            Err(hdrhistogram::serialization::interval_log::LogIteratorError::ParseError { offset }) => {
                return Err(HlogError::NoLog { offset });
            }
        };
        let tag = interval.tag().map_or_else(String::new, |tag| tag.as_str().to_owned());
        let bytes = STANDARD.decode(interval.encoded_histogram()).map_err(|error| unreadable(&tag, error))?;
        let histogram = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice());
        let mut histogram = histogram.map_err(|error| unreadable(&tag, error))?;
        histogram.auto(true);
        lines.push((tag, interval.duration(), histogram));
    }
    Ok(lines)
}

fn unreadable(tag: &str, error: impl std::fmt::Display) -> HlogError {
    HlogError::NoHistogram { tag: tag.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use chaos_history::{FaultKind, Mark};

    use super::*;
    use crate::interval::nanos;
    use crate::sample::Sample as Made;

    /// One kill, elected by 212 ms, with writes of 3 ms all along.
    fn analysed(elected: u64) -> Analysis {
        let mut sample = Made::new(3);
        sample
            .mark(0, Mark::LoadBegin)
            .all_follow(&[1, 2, 3], 990, 1, 1)
            .fault(1, FaultKind::Kill, 1000, &[1], &[])
            .follows(2, 1000 + elected - 2, 1000 + elected, 2, 2)
            .write(2, 1500, Some(1503));
        crate::analyse(&sample.mark(2000, Mark::LoadEnd).history(), None)
    }

    fn found(log: &str, tag: &str) -> Histogram<u64> {
        let lines = read(log).unwrap();
        lines.into_iter().find(|(of, _, _)| of == tag).unwrap_or_else(|| panic!("no {tag} in {log}")).2
    }

    #[test]
    fn a_log_reads_back_to_the_samples_within_the_histograms_three_digits() {
        let analysis = analysed(212);
        let log = hlog(&analysis);
        for distribution in &analysis.distributions {
            let tag = format!("{}.{}", distribution.kind.name(), distribution.phase.name());
            let histogram = found(&log, &tag);
            assert_eq!(histogram.len(), distribution.figures.n);
            let exact = nanos(distribution.figures.max);
            assert!(histogram.max().abs_diff(exact) * 1000 <= exact, "{tag}: {} for {exact}", histogram.max());
            assert!(log.contains(&distribution.histogram_base64()), "{tag}");
        }
        assert_eq!(found(&log, "latency").len(), 1);
        assert!(log.lines().nth(2).unwrap().starts_with("\"StartTimestamp\""));
        // As HdrHistogram writes it: seconds, milliseconds, and the cookie of a deflated V2 histogram.
        let line = log.lines().find(|line| line.starts_with("Tag=kill.elected,")).unwrap();
        assert!(line.starts_with("Tag=kill.elected,0.000,2.000,212.") && line.contains(",HISTFAAA"), "{line}");
    }

    #[test]
    fn merged_runs_hold_the_samples_of_all() {
        let (one, other) = (hlog(&analysed(212)), hlog(&analysed(480)));
        let merged = merge_hlogs(&[&one, &other]).unwrap();
        let histogram = found(&merged, "kill.elected");
        assert_eq!(histogram.len(), 2);
        assert!(histogram.min() / 1_000_000 == 211 || histogram.min() / 1_000_000 == 212, "{}", histogram.min());
        assert_eq!(histogram.max() / 1_000_000, 480);
        assert_eq!(read(&merged).unwrap()[0].1, Duration::from_secs(4));
        assert_eq!(merge_hlogs(&[&merged]).unwrap(), merged);
    }

    #[test]
    fn what_is_no_log_or_no_histogram_is_refused_with_its_place() {
        assert_eq!(merge_hlogs(&["#comment\nrubbish\n"]), Err(HlogError::NoLog { offset: 9 }));
        let log = hlog(&analysed(212)).replace("HISTFAAA", "HJSTFAAA");
        assert!(matches!(merge_hlogs(&[&log]), Err(HlogError::NoHistogram { .. })));
    }
}
