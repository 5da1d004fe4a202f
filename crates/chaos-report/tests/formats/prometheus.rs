//! The exposition format, read back by a parser of its grammar that shares no code with the writer.

use std::collections::BTreeMap;

use chaos_report::Report;
use chaos_report::formats::Format;

use super::{HOSTILE, convicted, empty, hostile, long, shown, sound, untold, written};

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len())
}

/// One line of `name{label="value",…} number`.
fn sample(line: &str) -> Sample {
    let (name, mut rest) = line.split_at(word(line));
    let mut labels = BTreeMap::new();
    rest = rest.strip_prefix('{').expect("labels");
    while !rest.starts_with('}') {
        let (label, after) = rest.split_at(word(rest));
        let mut value = String::new();
        let mut chars = after.strip_prefix("=\"").expect("a value").char_indices();
        let end = loop {
            match chars.next().expect("the value ends") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next().expect("an escape ends").1 {
                    'n' => '\n',
                    same @ ('\\' | '"') => same,
                    other => panic!("no escape: \\{other}"),
                }),
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice");
        rest = &after[end + 3..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let value = rest.strip_prefix("} ").expect("a value");
    Sample { name: name.to_owned(), labels, value: value.parse().expect("a number") }
}

/// All samples; fails unless each stands under its own HELP and TYPE, each family in one piece and each series once.
fn read(text: &str) -> Vec<Sample> {
    let (mut samples, mut families, mut help) = (Vec::<Sample>::new(), Vec::<(String, String)>::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').expect("a text").0.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a kind");
            assert_eq!(help, name, "help stands before the type");
            assert!(["gauge", "histogram"].contains(&kind));
            assert!(families.iter().all(|(known, _)| known != name), "{name} is in two pieces");
            families.push((name.to_owned(), kind.to_owned()));
        } else {
            let sample = sample(line);
            let (family, kind) = families.last().expect("a family");
            let suffix = sample.name.strip_prefix(family.as_str()).expect("a sample of its family");
            assert!(if kind == "gauge" { suffix.is_empty() } else { ["_bucket", "_sum", "_count"].contains(&suffix) });
            let again = samples.iter().any(|known| known.name == sample.name && known.labels == sample.labels);
            assert!(!again, "a series twice: {sample:?}");
            samples.push(sample);
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

fn of(report: &Report) -> Vec<Sample> {
    read(&written(Format::Prometheus, std::slice::from_ref(report)))
}

fn value(samples: &[Sample], name: &str, label: (&str, &str)) -> f64 {
    let wanted = |sample: &&Sample| sample.name == name && sample.labels.get(label.0).is_some_and(|it| it == label.1);
    samples.iter().find(wanted).unwrap_or_else(|| panic!("no {name} with {label:?}")).value
}

#[test]
fn verdicts_and_checks_are_numbers() {
    let failed = of(&convicted());
    assert_eq!(value(&failed, "chaos_run_verdict", ("verdict", "fail")), 1.0);
    assert_eq!(value(&failed, "chaos_run_verdict", ("verdict", "pass")), 0.0);
    assert_eq!(value(&failed, "chaos_check_ok", ("check", "ElectionSafety")), 0.0);
    assert_eq!(value(&of(&sound()), "chaos_check_ok", ("check", "ElectionSafety")), 1.0);
    assert!(value(&of(&untold()), "chaos_check_ok", ("check", "NoAcknowledgedWriteLost")).is_nan());
    assert_eq!(value(&of(&empty()), "chaos_failovers", ("run", "1")), 0.0);
}

#[test]
fn histograms_are_cumulative_and_agree_with_the_samples() {
    let report = sound();
    let samples = of(&report);
    for row in &report.measured.distributions {
        let of_row = |name: &str| -> Vec<&Sample> {
            let wanted = |sample: &&Sample| {
                sample.name == format!("chaos_failover_phase_seconds{name}")
                    && sample.labels["kind"] == row.kind.name()
                    && sample.labels["phase"] == row.phase.name()
            };
            samples.iter().filter(wanted).collect()
        };
        let buckets = of_row("_bucket");
        let (mut last, mut bound) = (0.0, 0.0);
        for bucket in &buckets {
            let le: f64 = bucket.labels["le"].parse().unwrap();
            assert!(le > bound && bucket.value >= last, "{bucket:?}");
            let within = row.samples.iter().filter(|sample| **sample as f64 / 1e9 <= le).count();
            assert_eq!(bucket.value, within as f64);
            (last, bound) = (bucket.value, le);
        }
        assert!(bound.is_infinite());
        assert_eq!((last, of_row("_count")[0].value), (row.figures.n as f64, row.figures.n as f64));
        let sum: u64 = row.samples.iter().sum();
        assert!((of_row("_sum")[0].value - sum as f64 / 1e9).abs() < 1e-9);
    }
}

#[test]
fn hostile_words_stay_inside_their_label() {
    for words in [HOSTILE.to_owned(), long()] {
        let (tame, hostile) = (of(&hostile("tame")), of(&hostile(&words)));
        assert_eq!(tame.len(), hostile.len());
        let kept = shown(&words).replace("\\u{a}", "\n").replace("\\u{9}", "\t");
        assert_eq!(hostile[0].labels["workload"], kept);
    }
}

#[test]
fn runs_are_kept_apart_and_their_failovers_pooled() {
    let two = read(&written(Format::Prometheus, &[sound(), sound()]));
    assert_eq!(two.iter().filter(|sample| sample.name == "chaos_failovers").count(), 2);
    let count = |samples: &[Sample]| value(samples, "chaos_failover_phase_seconds_count", ("phase", "elected"));
    assert_eq!(count(&two), 2.0 * count(&of(&sound())));
}

#[test]
fn the_text_is_pinned() {
    let text = written(Format::Prometheus, &[convicted()]);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("_bucket") || line.contains("+Inf")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
