//! The published schema: it is what the types make it, reports satisfy it, and what is no report does not.

use std::fs;

use chaos_report::report_schema;
use serde_json::{Value, json};

use super::{HOSTILE, convicted, empty, hostile, sound, untold};

const PUBLISHED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/report-1.json");

pub(super) fn validator() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&report_schema()).unwrap();
    jsonschema::draft7::new(&schema).expect("a schema of draft-07")
}

/// `UPDATE=1 cargo test -p chaos-report` writes it anew; read the difference before committing it: adding a key is no new
/// version, a change of meaning is.
#[test]
fn the_published_copy_is_what_the_types_make_it() {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(PUBLISHED, report_schema()).unwrap();
    }
    let published = fs::read_to_string(PUBLISHED).unwrap_or_default();
    assert!(
        published == report_schema(),
        "schema/report-1.json is not what the types make it: UPDATE=1 writes it anew"
    );
}

#[test]
fn the_schema_itself_is_one() {
    let schema: Value = serde_json::from_str(&report_schema()).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert!(jsonschema::meta::is_valid(&schema));
    let described = schema["properties"].as_object().unwrap();
    for (key, property) in described {
        let text = property.to_string();
        assert!(text.contains("description") || text.contains("$ref"), "{key} is not described");
    }
}

#[test]
fn reports_of_every_sort_satisfy_it() {
    let validator = validator();
    for report in [sound(), convicted(), untold(), empty(), hostile(HOSTILE)] {
        let value: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert_described(&value, &serde_json::from_str(&report_schema()).unwrap());
    }
}

/// Every key of a report is in the schema: what is not described is not published.
fn assert_described(report: &Value, schema: &Value) {
    let described = schema.to_string();
    match report {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            assert!(described.contains(&format!("\"{key}\":")) || described.contains(&format!("\"{key}\"")), "{key}");
            assert_described(value, schema);
        }),
        Value::Array(list) => list.iter().take(3).for_each(|value| assert_described(value, schema)),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

#[test]
fn what_is_no_report_is_refused() {
    let validator = validator();
    let sound: Value = serde_json::from_str(&sound().to_json().unwrap()).unwrap();
    let broken: [(&str, Value); 9] = [
        ("/schema", json!("chaos.report/2")),
        ("/verdict", json!("green")),
        ("/exit_code", json!(-1)),
        ("/run/nodes", json!("five")),
        ("/checks/0/verdict", json!("maybe")),
        ("/faults/0/nodes/0", json!("node one")),
        ("/faults/0/span", json!([1])),
        ("/measured/failovers/0/phases/elected", json!({ "reached": {} })),
        ("/expectations/0/judgement", json!("met")),
    ];
    for (pointer, value) in broken {
        let mut report = sound.clone();
        *report.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        assert!(!validator.is_valid(&report), "{pointer} may be anything");
    }
    for key in ["schema", "verdict", "run", "checks", "measured"] {
        let mut report = sound.clone();
        report.as_object_mut().unwrap().shift_remove(key);
        assert!(!validator.is_valid(&report), "{key} may be missing");
    }
}
