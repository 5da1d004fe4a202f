//! The shapes of single values. A scalar of a plan is its text, so that `name: 1.5` is a name though YAML reads a number: shapes of
//! free text accept every scalar.

use serde_json::{Value, json};

use crate::words::Table;

const DURATION: &str = "[0-9]{1,20}(\\.[0-9]{1,18})?(ns|us|µs|ms|s|min|h)";
const COMPARISON: &str = "\\s*(<=|>=|<|>|at most |at least |below |above )\\s*";

/// The definitions that [`reference`] names.
pub(super) fn definitions() -> Value {
    let compared = |bound: &str| json!({ "type": "string", "pattern": format!("^{COMPARISON}{bound}\\s*$") });
    let described = |description: &str, pattern: String, examples: Value| json!({ "description": description, "type": "string", "pattern": pattern, "examples": examples });
    json!({
        "duration": described("A time with its unit: ns, us, ms, s, min or h.", format!("^{DURATION}$"), json!(["500ms"])),
        "range": described(
            "A time, or a range from which one is drawn.",
            format!("^{DURATION}(\\s*\\.\\.\\s*{DURATION})?$"),
            json!(["2s", "1s..2s"]),
        ),
        "rate": described("A number per second or minute.", "^[0-9]+(\\.[0-9]*)?/(s|min)$".to_owned(), json!(["200/s"])),
        "share": described("A percentage.", "^[0-9]{1,3}(\\.[0-9]{1,18})?\\s*%$".to_owned(), json!(["10%"])),
        "bit-rate": described("Bits per second.", "^[0-9]{1,20}\\s*([kmg]?bit/s)$".to_owned(), json!(["1mbit/s"])),
        "offset": described("A time ahead or back.", format!("^[+-]?{DURATION}$"), json!(["+60s", "-1h"])),
        "size": described("A size with its unit.", "^[0-9]{1,20}\\s*(B|kB|MB|GB|KiB|MiB|GiB)$".to_owned(), json!(["64MB"])),
        "compared-with-time": compared(DURATION),
        "compared-with-count": compared("[0-9]{1,20}"),
        "at-least-count": { "type": "string", "pattern": "^\\s*(>=|>|at least |above )\\s*[0-9]{1,20}\\s*$" },
        "compared-with-share": compared("[0-9]{1,3}(\\.[0-9]{1,18})?\\s*%"),
    })
}

/// A definition by its name.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

pub(super) fn duration() -> Value {
    reference("duration")
}

pub(super) fn range() -> Value {
    reference("range")
}

pub(super) fn rate() -> Value {
    reference("rate")
}

/// A whole number, in quotes or without.
pub(super) fn count(min: u64, max: Option<u64>) -> Value {
    let mut count = json!({ "type": ["integer", "string"], "minimum": min, "pattern": "^[0-9]{1,20}$" });
    if let Some(max) = max {
        count["maximum"] = max.into();
    }
    count
}

pub(super) fn boolean() -> Value {
    one_of(&[json!(true), json!(false), json!("true"), json!("false")])
}

/// `true`, where `false` would say nothing.
pub(super) fn yes() -> Value {
    one_of(&[json!(true), json!("true")])
}

pub(super) fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// What names a directory.
pub(super) fn name() -> Value {
    json!({
        "type": ["string", "number", "boolean"],
        "minimum": 0,
        "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$",
    })
}

pub(super) fn one_of(values: &[Value]) -> Value {
    json!({ "enum": values })
}

/// One of a table's words.
pub(super) fn of_words(table: &Table) -> Value {
    json!({ "enum": table.names().collect::<Vec<_>>() })
}

/// The same, or nothing.
pub(super) fn nullable(shape: Value) -> Value {
    json!({ "anyOf": [{ "type": "null" }, shape] })
}

/// A list that is not empty.
pub(super) fn at_least_one(item: Value) -> Value {
    json!({ "type": "array", "minItems": 1, "items": item })
}
