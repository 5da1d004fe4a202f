//! Reports of older versions stay readable: each `fixtures/report-1.*.json` was written by a real run of the version that it
//! names, and is never written anew.

use std::fs;

use chaos_report::formats::{Format, Pooling, render};
use chaos_report::{Report, SCHEMA};
use serde_json::Value;

use super::schema::validator;

fn fixtures() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
        .expect("the fixtures are there")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).unwrap().starts_with("report-1."))
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    all.sort();
    assert!(all.len() >= 2, "a run that passed and one that failed");
    all
}

#[test]
fn an_old_report_is_read_and_rendered_in_every_format() {
    for (name, text) in fixtures() {
        let report: Report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(report.schema, SCHEMA);
        assert_eq!(report.exit_code, report.verdict.exit_code(), "{name}");
        for format in Format::ALL {
            let text = render(format, std::slice::from_ref(&report), Pooling::Alike);
            assert!(text.is_ok_and(|text| !text.is_empty() || format == Format::Github), "{name} as {format}");
        }
        let terminal = report.to_terminal(false, 100);
        assert!(terminal.contains(report.verdict.word()) && terminal.contains(&report.checks[0].property), "{name}");
        assert!(report.to_html().unwrap().contains(report.verdict.word()), "{name}");
    }
}

#[test]
fn nothing_of_an_old_report_is_lost_when_it_is_written_again() {
    for (name, text) in fixtures() {
        let old: Value = serde_json::from_str(&text).unwrap();
        let report: Report = serde_json::from_str(&text).unwrap();
        let new: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_kept(&old, &new, &name);
    }
}

/// Every value of the old is in the new, which may have more.
fn assert_kept(old: &Value, new: &Value, path: &str) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old.iter().for_each(|(key, value)| {
            let same = new.get(key).unwrap_or_else(|| panic!("{path}.{key} is gone"));
            assert_kept(value, same, &format!("{path}.{key}"));
        }),
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len(), "{path}");
            old.iter().zip(new).for_each(|(old, new)| assert_kept(old, new, &format!("{path}[]")));
        }
        (old, new) => assert_eq!(old, new, "{path}"),
    }
}

#[test]
fn an_old_report_satisfies_the_schema_of_today() {
    for (name, text) in fixtures() {
        let value: Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> =
            validator().iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}
