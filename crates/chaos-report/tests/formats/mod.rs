//! The formats for other programs, each read back by an independent reader: of a sound run, a convicted one, one that can't be
//! told, an empty one, several, and one whose every foreign word is hostile.

#![expect(clippy::unwrap_used, reason = "readers of made-up reports find what they were given, or fail the test")]

mod compatibility;
mod csv;
mod github;
mod hlog;
mod junit;
mod league;
mod markdown;
mod pool;
mod prometheus;
mod schema;
mod trace;

use std::collections::BTreeMap;

use chaos_check::{Outcome, Property, Verdict};
use chaos_failover::{Figure, Judgement};
use chaos_history::{Event, SourcePlace};
use chaos_report::formats::{Format, FormatError, Pooling, render};
use chaos_report::{ExpectationResult, Input, Report};

use crate::support::{history, input, invalid, report, valid};

/// Everything that has ever ended a string, a line, a cell, a tag, a fence or a comment.
pub(crate) const HOSTILE: &str = "=cmd|' /C calc'!A0,\"q\" --> ]]> </testcase><script>x</script>&amp; ::error::y\n::error file=z::y\r\n| a | ``` *b* [c](http://d) @e %0A \\n \\ \t\u{0}\u{1b}[31m\u{202e}\u{fffe}\u{ffff}é";

pub(crate) fn sound() -> Report {
    report(&history(6, 100), &[Property::ElectionSafety, Property::Linearizable].map(valid), "", &BTreeMap::new())
}

pub(crate) fn convicted() -> Report {
    let run = history(6, 100);
    let outcomes = [invalid("n3 and n5 both led term 8", "line 17: n5 says that it leads term 8")];
    let lines = BTreeMap::new();
    let place = SourcePlace { file: "workloads/partition.yaml".to_owned(), line: 24, column: 3 };
    let missed = ExpectationResult {
        text: "outage.max < 3s".to_owned(),
        judgement: Judgement::Missed { value: Figure::TimeNs(4_200_000_000) },
        source: Some(place),
    };
    Report::new(Input { expectations: vec![missed], ..input(&run, &outcomes, "", &lines) })
}

pub(crate) fn untold() -> Report {
    let verdict = Verdict::Unknown("no final reads".to_owned());
    let outcome = Outcome { property: Property::NoAcknowledgedWriteLost, verdict, basis: String::new() };
    report(&history(1, 100), &[outcome], "", &BTreeMap::new())
}

pub(crate) fn empty() -> Report {
    let mut run = history(1, 10);
    run.events.clear();
    let lines = BTreeMap::new();
    let mut input = input(&run, &[], "", &lines);
    input.expectations.clear();
    input.cut_short = Some("the history has no end".to_owned());
    Report::new(input)
}

/// A convicted run in which every word that is not ours is `words`.
pub(crate) fn hostile(words: &str) -> Report {
    let mut run = history(6, 100);
    for recorded in &mut run.events {
        if let Event::Fault(fault) = &mut recorded.event {
            fault.label = words.to_owned();
            fault.source = Some(SourcePlace { file: words.to_owned(), line: 8, column: 9 });
        }
    }
    run.header.workload = words.to_owned();
    run.header.system = words.to_owned();
    run.header.started = words.to_owned();
    let outcomes = [invalid(words, words), valid(Property::Linearizable)];
    let lines = BTreeMap::from([(12, words.to_owned())]);
    let not_told = Judgement::NotTold { reason: words.to_owned() };
    Report::new(Input {
        specimen: Some(words),
        fault_plan: words,
        plan: words,
        command: words,
        directory: words,
        cut_short: Some(words.to_owned()),
        expected_violations: &[],
        expectations: vec![ExpectationResult { text: words.to_owned(), judgement: not_told, source: None }],
        ..input(&run, &outcomes, words, &lines)
    })
}

/// What hostile words look like once they are visible, line breaks included.
pub(crate) fn shown(words: &str) -> String {
    let acts = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    words.chars().map(|c| if acts(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// 100 kB in one word.
pub(crate) fn long() -> String {
    "=x".repeat(50_000)
}

pub(crate) fn written(format: Format, reports: &[Report]) -> String {
    render(format, reports, Pooling::Alike).unwrap_or_else(|error| panic!("{format}: {error}"))
}

#[test]
fn every_format_writes_every_kind_of_run() {
    for report in [sound(), convicted(), untold(), empty(), hostile(HOSTILE), hostile(&long())] {
        for format in Format::ALL {
            let text = written(format, std::slice::from_ref(&report));
            assert!(!text.contains(['\u{0}', '\u{1b}']), "{format} lets through what acts on a terminal");
            // JSON is read by programs, and gives them the words as they were.
            assert!(format == Format::Json || !text.contains('\u{202e}'), "{format} lets through what reorders text");
            let nothing = report.measured.failovers.is_empty() || report.verdict.exit_code() == 0;
            assert!(!text.is_empty() || (format == Format::Github && nothing), "{format} of {:?}", report.verdict);
        }
    }
}

#[test]
fn no_report_is_no_document() {
    for format in Format::ALL {
        assert!(matches!(render(format, &[], Pooling::Forced), Err(FormatError::NoReport)));
    }
}

#[test]
fn a_format_is_found_by_its_word_alone() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert!("JUnit".parse::<Format>().is_err() && "".parse::<Format>().is_err());
}
