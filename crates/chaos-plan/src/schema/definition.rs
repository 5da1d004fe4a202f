//! System definitions: parts, probe engines, observers, clients.
//!
//! What templates and expressions mean is the reader's business; here they are texts.

use serde_json::{Value, json};

use super::values::{at_least_one, boolean, count, duration, name, nullable, of_words, one_of, text};
use super::{no_shape, object};
use crate::words::{self, Table};

/// What can be the name of something that templates speak of.
const WORD: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

/// What can be a name.
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$";

/// What can be a variable or a header.
const VARIABLE: &str = "^[A-Za-z0-9._-]{1,256}$";

pub(super) fn definition() -> Value {
    let required = ["system", "processes", "observers"];
    object(&[&words::DEFINITION], &required, |word| match word {
        "version" => one_of(&[json!(1), json!("1")]),
        "system" => name(),
        "about" | "untested" => text(),
        "install" => object(&[&words::INSTALL], &["name", "versions"], |word| match word {
            "name" => name(),
            _ => at_least_one(name()),
        }),
        "programs" => named(NAME, nullable(program())),
        "ports" => named(WORD, count(1, Some(65_535))),
        "tune" => {
            let mut profiles = named(NAME, named(WORD, text()));
            profiles["required"] = json!(["default"]);
            profiles
        }
        "timing" => object(&[&words::TIMING], &["election-timeout", "heartbeat"], |_| text()),
        "promises" => promises(),
        "service" => object(&[&words::SERVICE], &["processes"], |word| match word {
            "nodes" => count(1, Some(5)),
            other => part(&words::SERVICE, other),
        }),
        "network" => object(&[&words::SYSTEM_NETWORK], &[], |_| boolean()),
        "observers" => {
            let mut observers = named(NAME, observer());
            observers["minProperties"] = 1.into();
            observers
        }
        "ready" => json!({ "type": "array", "items": ready() }),
        "client" => client(),
        "compare" => asking(&words::COMPARE, &["value"], |_| text()),
        "operations" => operations(),
        other => part(&words::DEFINITION, other),
    })
}

/// What a running cluster can be told.
fn operations() -> Value {
    let mut operations = object(&[&words::CLUSTER_OPERATIONS], &[], |name| {
        let mut operation = asking_of(&operation_tables(name), &["done"], |word| match word {
            "at" => one_of(&["leader", "target", "other"].map(Value::from)),
            "to" => one_of(&["required", "optional", "never"].map(Value::from)),
            _ => text(),
        });
        operation["not"] = json!({ "anyOf": [{ "required": ["log"] }, { "required": ["address"] }] });
        operation
    });
    operations["dependencies"] = json!({ "remove-member": ["add-member"], "add-member": ["remove-member"] });
    operations
}

/// Only a transfer has a destination.
fn operation_tables(name: &str) -> Vec<&'static Table> {
    let of_transfer = (name == "transfer").then_some(&words::TRANSFER_OPERATION);
    [&words::OPERATION].into_iter().chain(of_transfer).collect()
}

/// A mapping with names of the user's own.
fn named(pattern: &str, value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "patternProperties": { pattern: value }, "maxProperties": 64 })
}

/// What nodes get and run.
fn part(table: &Table, word: &str) -> Value {
    match word {
        "files" => {
            let with_mode = object(&[&words::FILE], &["text"], |word| match word {
                "mode" => json!({ "type": ["string", "integer"], "pattern": "^[0-7]{3,5}$", "minimum": 0 }),
                _ => text(),
            });
            json!({ "type": "object", "additionalProperties": nullable(json!({ "anyOf": [text(), with_mode] })) })
        }
        "setup" | "after-start" => json!({ "type": "array", "items": setup() }),
        "processes" => {
            let mut processes = named(NAME, process());
            processes["minProperties"] = 1.into();
            processes
        }
        "clean-on-restart" => json!({ "type": "array", "items": text() }),
        "start" => one_of(&["together", "one-by-one"].map(Value::from)),
        other => no_shape(table, other),
    }
}

fn command() -> Value {
    at_least_one(text())
}

fn program() -> Value {
    object(&[&words::PROGRAM], &[], |word| match word {
        "of" => json!({ "type": "string", "pattern": "@|\\{\\{" }),
        _ => object(&[&words::VERSION], &["run", "pattern"], |word| match word {
            "run" => command(),
            _ => text(),
        }),
    })
}

fn promises() -> Value {
    object(&[&words::PROMISES], &[], |word| match word {
        "one-leader" => one_of(&["per-term", "any-time", "nothing"].map(Value::from)),
        "acknowledged-writes" => one_of(&["kept", "may-be-lost"].map(Value::from)),
        "reads" => one_of(&["linearizable", "sequential", "stale"].map(Value::from)),
        other => no_shape(&words::PROMISES, other),
    })
}

fn setup() -> Value {
    object(&[&words::SETUP], &["run"], |word| match word {
        "run" => command(),
        "on" => one_of(&["first", "others", "all"].map(Value::from)),
        "retry-for" => duration(),
        "nonroot" => boolean(),
        other => no_shape(&words::SETUP, other),
    })
}

fn process() -> Value {
    object(&[&words::PROCESS], &["run"], |word| match word {
        "run" => command(),
        "environment" => named(VARIABLE, text()),
        "nonroot" => boolean(),
        other => no_shape(&words::PROCESS, other),
    })
}

fn observer() -> Value {
    asking(&words::OBSERVER, &["role"], |word| match word {
        "of" => one_of(&["own-role", "coordinator", "client-view"].map(Value::from)),
        "every" => duration(),
        "confirm" | "snapshot" => boolean(),
        _ => text(),
    })
}

/// A mapping with exactly one question in it.
fn asking(table: &'static Table, required: &[&str], shape: impl Fn(&'static str) -> Value) -> Value {
    asking_of(&[table], required, shape)
}

fn asking_of(tables: &[&'static Table], required: &[&str], shape: impl Fn(&'static str) -> Value) -> Value {
    let tables: Vec<&Table> = tables.iter().copied().chain([&words::ENGINES]).collect();
    let mut asking =
        object(&tables, required, |word| if words::ENGINES.has(word) { engine(word) } else { shape(word) });
    asking["oneOf"] = words::ENGINES.names().map(|engine| json!({ "required": [engine] })).collect();
    asking["dependencies"] = json!({ "log": ["pattern"] });
    asking
}

fn engine(word: &str) -> Value {
    match word {
        "http" => object(&[&words::HTTP], &["port", "path"], |word| match word {
            "method" => method(),
            "headers" => named(VARIABLE, text()),
            _ => text(),
        }),
        "prometheus" => object(&[&words::PROMETHEUS], &["port"], |_| text()),
        "tcp" => {
            let mut tcp = object(&[&words::TCP], &["port"], |word| match word {
                "send-hex" => {
                    json!({ "type": "string", "pattern": "^\\s*([0-9A-Fa-f]\\s*[0-9A-Fa-f]\\s*)*$" })
                }
                "until" => {
                    json!({ "type": ["string", "integer"], "pattern": "^(end|matched|[0-9]{1,20})$", "minimum": 1, "maximum": 1_048_576 })
                }
                _ => text(),
            });
            tcp["not"] = json!({ "required": ["send", "send-hex"] });
            tcp
        }
        "resp" => object(&[&words::RESP], &["port", "command"], |word| match word {
            "command" => command(),
            "pairs" => boolean(),
            _ => text(),
        }),
        "unix-json-rpc" => object(&[&words::UNIX_JSON_RPC], &["socket", "method"], |word| match word {
            "params" => json!({ "type": "array", "items": text() }),
            _ => text(),
        }),
        "exec" => exec(),
        "log" => object(&[&words::LOG], &["process"], |word| if word == "stderr" { boolean() } else { text() }),
        "address" => json!({ "type": "string" }),
        "client" => object(&[&words::QUESTION], &["question"], |_| text()),
        other => no_shape(&words::ENGINES, other),
    }
}

fn method() -> Value {
    one_of(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"].map(Value::from))
}

/// A command, or a mapping with it.
fn exec() -> Value {
    json!({ "anyOf": [command(), object(&[&words::EXEC], &["run"], |_| command())] })
}

fn ready() -> Value {
    let mut condition = object(&[&words::READY], &[], |word| match word {
        "exec" => exec(),
        "write" => one_of(&[json!(true), json!("true")]),
        _ => text(),
    });
    condition["oneOf"] =
        json!([{ "required": ["observer", "that"] }, { "required": ["exec"] }, { "required": ["write"] }]);
    condition["dependencies"] = json!({ "observer": ["that"], "that": ["observer"] });
    json!({ "anyOf": [one_of(&[json!("write")]), condition] })
}

fn client() -> Value {
    let mut client = object(&[&words::CLIENT], &["driver"], |word| match word {
        "driver" => of_words(&words::DRIVERS),
        "port" => text(),
        "options" => named(NAME, text()),
        "http" => {
            let mut operations = object(&[&words::OPERATIONS], &[], exchange);
            operations["minProperties"] = 1.into();
            operations
        }
        "program" => command(),
        other => no_shape(&words::CLIENT, other),
    });
    let is = |driver: &str| json!({ "properties": { "driver": { "const": driver } } });
    let beside = |word: &str| json!({ "if": is(word), "then": { "required": [word] }, "else": { "not": { "required": [word] } } });
    let port = json!({ "if": is("program"), "else": { "required": ["port"] } });
    client["allOf"] = json!([beside("http"), beside("program"), port]);
    client
}

fn exchange(operation: &str) -> Value {
    let required: &[&str] = match operation {
        "read" | "elements" => &["path", "ok", "value"],
        "cas" => &["path", "ok", "swapped"],
        _ => &["path", "ok"],
    };
    object(&[&words::EXCHANGE], required, |word| match word {
        "method" => method(),
        "headers" => named(VARIABLE, text()),
        _ => text(),
    })
}
