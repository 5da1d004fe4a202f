//! The JSON Schema of `report.json`, made from the very types that write it, so that the two can't drift apart.
//!
//! It is the schema of what *reads* as `chaos.report/1`: keys that later versions added are described but not demanded, and
//! keys that nobody described are allowed, since adding a key is no new version. Draft-07, which every validator and editor
//! reads. `schema/report-1.json` is the published copy; a test holds it to this.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::{Report, SCHEMA};

/// The schema, indented, with a newline at its end.
///
/// # Panics
/// Never: a schema is plain JSON values.
#[must_use]
pub fn report_schema() -> String {
    let mut schema = SchemaSettings::draft07().for_deserialize().into_generator().into_root_schema_for::<Report>();
    schema.insert("title".to_owned(), Value::from(SCHEMA));
    schema.insert("$id".to_owned(), Value::from("urn:chaos:report:1"));
    if let Some(name) = schema.pointer_mut("/properties/schema") {
        *name = json!({ "description": "The format's name and version.", "const": SCHEMA });
    }
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON values");
    text.push('\n');
    text
}
