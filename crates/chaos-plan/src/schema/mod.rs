//! JSON Schema (draft-07) of workloads, fault plans and system definitions, for editors' YAML servers.
//!
//! Keys, descriptions and examples come from the tables in [`words`](crate::words) that the reader accepts words by; what may
//! stand behind a key is said here once per key, and a key that the tables have and this file has not is a failing test. So
//! the two can't drift apart in silence; `tests.rs` holds them together by the plans of the test corpus and by mutated ones.
//!
//! A schema says what a plan looks like, the reader also what it means. Left to the reader are: whether numbers agree with each
//! other (a timeout above the heartbeat, nodes within the cluster, a limit that is long enough), whether a file is there, the
//! order of steps (a heal before its partition), limits of durations, and spellings that YAML reads otherwise than plans do
//! (`1e3` is a number in YAML; `yes` is none of plans' booleans).
//!
//! Source: JSON Schema draft-07 (2018), which editors' YAML server reads.

mod definition;
mod steps;
mod values;

#[cfg(test)]
mod tests;

use chaos_history::FaultKind;
use serde_json::{Map, Value, json};

use crate::words::{self, Table};
use crate::yaml;
use values::{at_least_one, boolean, count, duration, name, nullable, of_words, one_of, range, rate, reference, text};

/// What there is a schema of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// A workload file.
    Workload,
    /// A fault plan file.
    Faults,
    /// A system definition file.
    System,
}

impl SchemaKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Workload, Self::Faults, Self::System];

    /// Its word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Faults => "faults",
            Self::System => "system",
        }
    }
}

/// The schema as JSON text, indented, with a newline at its end.
///
/// # Panics
/// Never: that every word of the tables has its shape is tested.
#[must_use]
pub fn schema(kind: SchemaKind) -> String {
    let mut text = serde_json::to_string_pretty(&value(kind)).expect("a schema is plain JSON values");
    text.push('\n');
    text
}

fn value(kind: SchemaKind) -> Value {
    let (title, body) = match kind {
        SchemaKind::Workload => ("chaos workload", workload()),
        SchemaKind::Faults => ("chaos fault plan", steps::fault_plan()),
        SchemaKind::System => ("chaos system definition", definition::definition()),
    };
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": format!("urn:chaos:{}:1", kind.name()),
        "title": title,
    });
    let members = schema.as_object_mut().expect("it is an object");
    let Value::Object(body) = body else { unreachable!("every body is an object") };
    members.extend(body);
    let definitions = match kind {
        SchemaKind::Workload | SchemaKind::Faults => steps::definitions(),
        SchemaKind::System => values::definitions(),
    };
    members.insert("definitions".to_owned(), definitions);
    schema
}

/// A mapping with the words of the tables as its keys, and no other.
fn object(tables: &[&Table], required: &[&str], shape: impl Fn(&'static str) -> Value) -> Value {
    let mut properties = Map::new();
    for word in tables.iter().flat_map(|table| table.words) {
        let mut property = json!({ "description": word.about });
        let examples: Vec<Value> = yaml::example(word.form).into_iter().collect();
        let members = property.as_object_mut().expect("it is an object");
        if !examples.is_empty() {
            members.insert("examples".to_owned(), examples.into());
        }
        match shape(word.name) {
            // Beside a `$ref`, draft-07 ignores everything.
            Value::Object(shape) if shape.contains_key("$ref") => {
                members.insert("allOf".to_owned(), json!([shape]));
            }
            Value::Object(shape) => members.extend(shape),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                unreachable!("every shape is an object")
            }
        }
        properties.insert(word.name.to_owned(), property);
    }
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// A word that a table has and no shape is given for.
fn no_shape(table: &Table, word: &str) -> ! {
    panic!("{} has the word `{word}`, whose shape the schema doesn't know", table.owner)
}

fn workload() -> Value {
    object(&[&words::WORKLOAD], &["system", "nodes", "faults"], |word| match word {
        "version" => one_of(&[json!(1), json!("1")]),
        "name" => name(),
        "about" => text(),
        "system" => system(),
        "nodes" => count(1, Some(9)),
        "seed" => count(0, None),
        "network" => network(),
        "capture" => boolean(),
        "clocks" => json!({ "anyOf": [
            one_of(&["vdso", "libfaketime"].map(Value::from)),
            object(&[&words::CLOCKS], &["libfaketime"], |_| text()),
        ] }),
        "observe" => object(&[&words::OBSERVE], &[], |_| duration()),
        "clients" => json!({
            "type": ["array", "string"], "pattern": "^none$", "minItems": 1, "maxItems": words::LOADS.words.len(),
            "items": load(),
        }),
        "faults" => json!({ "anyOf": [{ "type": "string", "minLength": 1 }, steps::fault_plan()] }),
        "checks" => at_least_one(check()),
        "expect" => expectations(),
        "start-within" | "settle" | "limit" => duration(),
        other => no_shape(&words::WORKLOAD, other),
    })
}

/// The reference node, a built-in system, a file, or a mapping that names one of them and what is chosen of it.
fn system() -> Value {
    let mut chosen = object(&[&words::SYSTEMS], &[], |word| match word {
        "raft" => nullable(raft(&words::RAFT)),
        "use" => named_system(&[]),
        // As a text it is one that was saved.
        "definition" => json!({ "anyOf": [{ "type": "string" }, definition::definition()] }),
        "version" | "profile" => text(),
        "tune" | "programs" | "client" => json!({ "type": "object", "additionalProperties": text() }),
        "nodes" => single_nodes(),
        other => no_shape(&words::SYSTEMS, other),
    });
    let required = |kind: &str| json!({ "required": [kind] });
    chosen["oneOf"] = ["raft", "use", "definition"].map(required).to_vec().into();
    let for_definitions = json!({ "anyOf": [required("use"), required("definition")] });
    chosen["dependencies"] = ["version", "profile", "tune", "programs", "client"]
        .map(|word| (word.to_owned(), for_definitions.clone()))
        .into_iter()
        .collect();
    let Value::Object(mut named) = named_system(&["raft"]) else { unreachable!("every shape is an object") };
    named["anyOf"].as_array_mut().expect("two ways to name one").push(chosen);
    Value::Object(named)
}

/// A built-in system, or a file.
fn named_system(more: &[&'static str]) -> Value {
    let built_in = crate::builtin::systems().iter().map(|system| system.name);
    let names: Vec<&str> = more.iter().copied().chain(built_in).collect();
    json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": "[./]" }] })
}

/// What is different with single nodes: of the reference node or of a system that is described by data.
fn single_nodes() -> Value {
    let defined = object(&[&words::NODE_OF_DEFINED], &[], |word| match word {
        "version" | "profile" => text(),
        "tune" | "programs" => json!({ "type": "object", "additionalProperties": text() }),
        other => no_shape(&words::NODE_OF_DEFINED, other),
    });
    let either = json!({ "anyOf": [raft(&words::NODE_OF_RAFT), defined] });
    json!({ "type": "object", "additionalProperties": false, "patternProperties": { "^n[1-9]$": either } })
}

fn raft(table: &'static Table) -> Value {
    object(&[table], &[], |word| match word {
        "election-timeout" => range(),
        "heartbeat" | "request-timeout" => duration(),
        "pre-vote" | "check-quorum" | "stickiness" | "lease-reads" | "record" => boolean(),
        "read" => one_of(&["linearizable", "lease", "local"].map(Value::from)),
        "specimen" => json!({ "type": ["string", "integer", "boolean"], "pattern": "^[a-z0-9-]{1,64}$" }),
        "program" => json!({ "type": ["string", "number", "boolean"], "minLength": 1 }),
        "arguments" => json!({ "type": "array", "maxItems": 100, "items": text() }),
        other => no_shape(table, other),
    })
}

fn network() -> Value {
    let backend = || one_of(&["netns", "proxy"].map(Value::from));
    let filtered = object(&[&words::NETWORK], &[], |word| match word {
        "backend" => backend(),
        "filter" => one_of(&["nftables", "iptables"].map(Value::from)),
        other => no_shape(&words::NETWORK, other),
    });
    json!({ "anyOf": [backend(), filtered] })
}

fn load() -> Value {
    let mut loads = object(&[&words::LOADS], &[], |word| match word {
        "register" => nullable(register()),
        "set" => nullable(set()),
        "lock" => nullable(lock()),
        "election" => nullable(election()),
        other => no_shape(&words::LOADS, other),
    });
    (loads["minProperties"], loads["maxProperties"]) = (1.into(), 1.into());
    json!({ "anyOf": [of_words(&words::LOADS), loads] })
}

fn register() -> Value {
    object(&[&words::REGISTER], &[], |word| match word {
        "keys" => count(1, Some(1_000)),
        "rate" => rate(),
        "mix" => object(&[&words::MIX], &[], |_| count(0, Some(1_000))),
        "roaming" => count(0, Some(64)),
        "pinned" => boolean(),
        "timeout" => duration(),
        other => no_shape(&words::REGISTER, other),
    })
}

fn set() -> Value {
    object(&[&words::SET], &[], |word| match word {
        "keys" => count(1, Some(1_000)),
        "rate" => rate(),
        "reads" => reference("share"),
        "roaming" => count(0, Some(64)),
        "pinned" => boolean(),
        "timeout" => duration(),
        other => no_shape(&words::SET, other),
    })
}

fn lock() -> Value {
    object(&[&words::LOCK], &[], |word| match word {
        "locks" => count(1, Some(100)),
        "clients" => count(1, Some(64)),
        "hold" => range(),
        "accesses" => count(0, Some(1_000)),
        "fencing" => boolean(),
        "timeout" => duration(),
        other => no_shape(&words::LOCK, other),
    })
}

fn election() -> Value {
    object(&[&words::ELECTION], &[], |word| match word {
        "candidates" => count(1, Some(64)),
        "hold" => range(),
        "timeout" => duration(),
        other => no_shape(&words::ELECTION, other),
    })
}

/// A check by its name, or with its bound as the one key of a mapping; or `promised`, which stands for several.
fn check() -> Value {
    let bounded = |name: &str| matches!(name, "reelection" | "no-stale-leader" | "recovers");
    let names = words::CHECKS.names().chain(words::PROMISED.names());
    let bare: Vec<Value> = names.filter(|name| !bounded(name)).map(Value::from).collect();
    let mut with_key = object(&[&words::CHECKS, &words::PROMISED], &[], |word| match word {
        "one-leader" => json!({ "anyOf": [{ "type": "null" }, object(&[&words::OVERLAP], &[], |_| duration())] }),
        word if bounded(word) => object(&[&words::WITHIN], &["within"], |_| duration()),
        _ => json!({ "type": "null" }),
    });
    (with_key["minProperties"], with_key["maxProperties"]) = (1.into(), 1.into());
    json!({ "anyOf": [one_of(&bare), with_key] })
}

/// Expectations by the patterns of their metrics: what is measured decides what it can be compared with.
fn expectations() -> Value {
    const FIGURE: &str = "(min|max|p0*[1-9][0-9]?)";
    let phases: Vec<&str> = words::PHASES.names().collect();
    let kinds = FaultKind::ALL.map(FaultKind::name).join("|");
    let failover = format!("^failover\\.(({kinds})\\.)?({})\\.{FIGURE}$", phases.join("|"));
    let stale = format!("^stale-leader\\.{FIGURE}$");
    let outage = format!("^outage\\.({FIGURE}|total)$");
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "failovers.count": reference("compared-with-count"),
            "availability": reference("compared-with-share"),
            "overlap.max": reference("compared-with-time"),
            "overlap.total": reference("compared-with-time"),
            "lost-writes": reference("at-least-count"),
            "violation": { "anyOf": [of_words(&words::CHECKS), at_least_one(of_words(&words::CHECKS))] },
        },
        "patternProperties": {
            failover: reference("compared-with-time"),
            outage: reference("compared-with-time"),
            stale: reference("compared-with-time"),
        },
        "examples": [{ "outage.max": "< 3s", "failover.writable.p50": "< 1500ms" }],
    })
}
