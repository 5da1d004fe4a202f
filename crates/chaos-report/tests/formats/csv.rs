//! The table of failovers, read back by the `csv` crate.

use chaos_report::Report;
use chaos_report::formats::Format;

use super::{HOSTILE, empty, hostile, long, shown, sound, written};

/// Rows as pairs of column and cell. The reader refuses rows of unequal length by itself.
fn read(text: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let pairs = |row: csv::StringRecord| {
        header.iter().zip(row.iter()).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|row| pairs(row.expect("a row"))).collect()
}

fn cell<'r>(row: &'r [(String, String)], name: &str) -> &'r str {
    row.iter().find(|(known, _)| known == name).map_or_else(|| panic!("no column {name}"), |(_, cell)| cell)
}

#[test]
fn each_failover_is_a_row_with_the_figures_of_the_report() {
    let report = sound();
    let rows = read(&written(Format::Csv, std::slice::from_ref(&report)));
    assert_eq!(rows.len(), report.measured.failovers.len());
    for (row, failover) in rows.iter().zip(&report.measured.failovers) {
        assert_eq!(cell(row, "fault"), failover.fault.0.to_string());
        assert_eq!(cell(row, "old_leader"), failover.old.node.to_string());
        let reached = failover.phases.elected.reached().unwrap();
        assert_eq!(cell(row, "elected_lo_ns"), reached.after.lo.as_nanos().to_string());
        assert_eq!(cell(row, "elected_hi_ns"), reached.after.hi.as_nanos().to_string());
        assert_eq!(cell(row, "elected_why"), "");
        assert_eq!((cell(row, "plan_file"), cell(row, "plan_line")), ("faults/mixed.yaml", "8"));
    }
}

#[test]
fn rows_end_as_rfc_4180_wants_and_an_empty_run_has_a_header_only() {
    let text = written(Format::Csv, &[empty()]);
    assert!(text.ends_with("stalled\r\n") && text.matches('\n').count() == 1);
    assert!(read(&text).is_empty());
}

#[test]
fn no_cell_of_foreign_words_is_a_formula() {
    for first in ["=", "+", "-", "@"] {
        for words in [format!("{first}{HOSTILE}"), format!("{first}{}", long()), first.to_owned()] {
            let text = written(Format::Csv, &[hostile(&words)]);
            let rows = read(&text);
            assert_eq!(rows.len(), 6);
            assert_eq!(text.matches("\r\n").count(), 7, "a line break of the words is not one of the table");
            for row in &rows {
                assert_eq!(cell(row, "label"), format!("'{}", shown(&words)));
                assert!(row.iter().all(|(_, cell)| !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])));
            }
        }
    }
}

#[test]
fn several_runs_are_one_table() {
    let runs: [Report; 2] = [sound(), hostile("other")];
    let rows = read(&written(Format::Csv, &runs));
    assert_eq!(rows.len(), 12);
    assert_eq!((cell(&rows[0], "workload"), cell(&rows[6], "workload")), ("partition", "other"));
}

#[test]
fn the_columns_are_pinned() {
    insta::assert_snapshot!(written(Format::Csv, &[sound()]));
}
