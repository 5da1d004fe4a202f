//! The interval log, read back by `hdrhistogram`.

use std::io::Cursor;

use base64::Engine;
use chaos_report::Report;
use chaos_report::formats::Format;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::{HOSTILE, empty, hostile, sound, written};

/// Every histogram with its tag.
fn read(text: &str) -> Vec<(String, Histogram<u64>)> {
    let entries = IntervalLogIterator::new(text.as_bytes()).map(|entry| entry.expect("a line of the format"));
    let histogram = |entry| {
        let LogEntry::Interval(interval) = entry else { return None };
        let bytes = base64::engine::general_purpose::STANDARD.decode(interval.encoded_histogram()).expect("base64");
        let histogram = Deserializer::new().deserialize(&mut Cursor::new(bytes)).expect("a histogram");
        Some((interval.tag().expect("a tag").as_str().to_owned(), histogram))
    };
    entries.filter_map(histogram).collect()
}

fn of(report: &Report) -> Vec<(String, Histogram<u64>)> {
    read(&written(Format::Hlog, std::slice::from_ref(report)))
}

#[test]
fn every_distribution_comes_back_with_its_samples() {
    let report = sound();
    let read = of(&report);
    assert!(!report.measured.distributions.is_empty());
    for row in &report.measured.distributions {
        let tag = format!("{}.{}", row.kind.name(), row.phase.name());
        let (_, histogram) = read.iter().find(|(known, _)| *known == tag).expect("a line of each");
        assert_eq!(histogram.len(), row.figures.n);
        let max = u64::try_from(row.figures.max.as_nanos()).unwrap();
        assert!(histogram.equivalent(histogram.max(), max), "{tag}: {} is not {max}", histogram.max());
    }
}

#[test]
fn several_runs_are_one_histogram_of_each_kind_and_phase() {
    let one = of(&sound());
    let two = read(&written(Format::Hlog, &[sound(), sound()]));
    assert_eq!(one.len(), two.len());
    for ((tag, one), (same, two)) in one.iter().zip(&two) {
        assert_eq!(tag, same);
        let mut merged = one.clone();
        merged.add(one).unwrap();
        assert_eq!(merged, *two);
    }
}

#[test]
fn no_foreign_word_is_in_it_and_an_empty_run_has_no_histogram() {
    let text = written(Format::Hlog, &[hostile(HOSTILE)]);
    assert!(text.is_ascii() && !text.contains("cmd"));
    assert_eq!(read(&text).len(), of(&sound()).len());
    assert!(text.starts_with("#[Histogram log format version 1.3]\n"));
    assert!(of(&empty()).is_empty());
}
