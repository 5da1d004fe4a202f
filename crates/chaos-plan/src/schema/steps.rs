//! Fault plans: steps, verbs, targets and partitions.

use serde_json::{Value, json};

use super::values::{
    at_least_one, boolean, count, duration, name, nullable, of_words, one_of, range, reference, text, yes,
};
use super::{no_shape, object, values};
use crate::words;

pub(super) fn fault_plan() -> Value {
    object(&[&words::FAULT_PLAN], &["steps"], |word| match word {
        "version" => one_of(&[json!(1), json!("1")]),
        "name" => name(),
        "about" => text(),
        "steps" => reference("steps"),
        other => no_shape(&words::FAULT_PLAN, other),
    })
}

/// Everything that is referred to by name: steps contain steps.
pub(super) fn definitions() -> Value {
    let mut definitions = values::definitions();
    definitions["steps"] = at_least_one(reference("step"));
    definitions["step"] = step();
    definitions["target"] = target();
    definitions["node"] = json!({ "type": "string", "pattern": "^n([1-9]|1[0-4])$", "examples": ["n1"] });
    definitions
}

/// A verb alone where it needs no object, or a mapping with one verb and what may stand beside that.
fn step() -> Value {
    let mut with_object = object(&[&words::VERBS, &words::MODIFIERS], &[], |word| match word {
        "kill" => json!({ "anyOf": [reference("target"), kill()] }),
        "pause" => json!({ "anyOf": [reference("target"), pause()] }),
        "restart" | "resume" => nullable(reference("target")),
        "partition" => partition(),
        "heal" => nullable(one_of(&[json!("all")])),
        "await" => awaiting(),
        "wait" | "for" => range(),
        "repeat" => count(1, Some(10_000)),
        "random" => random(),
        "until" => until(),
        "steps" => reference("steps"),
        "place" => json!({ "type": "string", "pattern": "^.+:0*[1-9][0-9]*:0*[1-9][0-9]*$" }),
        other => no_shape(&words::VERBS, other),
    });
    let required = |verb: &str| json!({ "required": [verb] });
    with_object["oneOf"] = words::VERBS.names().map(required).collect();
    let lasting: Vec<Value> = ["kill", "pause", "partition"].map(required).to_vec();
    with_object["dependencies"] = json!({
        "for": { "allOf": [{ "anyOf": lasting }, { "not": { "required": ["until"] } }] },
        "until": { "anyOf": lasting },
        "steps": ["repeat"],
        "repeat": ["steps"],
    });
    json!({ "anyOf": [one_of(&["heal", "restart", "resume"].map(Value::from)), with_object] })
}

fn target() -> Value {
    let nodes = json!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": reference("node") });
    json!({ "anyOf": [of_words(&words::TARGETS), reference("node"), nodes] })
}

fn kill() -> Value {
    let mut kill = object(&[&words::KILL], &["node"], |word| match word {
        "node" => reference("target"),
        "process" => text(),
        "with-children" => boolean(),
        "signal" => one_of(&["KILL", "TERM"].map(Value::from)),
        other => no_shape(&words::KILL, other),
    });
    kill["dependencies"] = json!({ "with-children": ["process"] });
    kill
}

fn pause() -> Value {
    let mut pause = object(&[&words::PAUSE], &["node"], |word| match word {
        "node" => reference("target"),
        "process" => text(),
        "with-children" => boolean(),
        other => no_shape(&words::PAUSE, other),
    });
    pause["dependencies"] = json!({ "with-children": ["process"] });
    pause
}

fn until() -> Value {
    object(&[&words::UNTIL], &["leader"], |word| match word {
        "leader" => one_of(&[json!("another")]),
        "plus" | "within" => duration(),
        other => no_shape(&words::UNTIL, other),
    })
}

fn partition() -> Value {
    let mut shapes = object(&[&words::PARTITION], &[], |word| match word {
        "isolate" => reference("target"),
        "halves" | "majorities-ring" => yes(),
        "groups" => at_least_one(reference("target")),
        "one-way" => object(&[&words::ONE_WAY], &["from"], |_| reference("target")),
        "bridge" => bridge(),
        other => no_shape(&words::PARTITION, other),
    });
    (shapes["minProperties"], shapes["maxProperties"]) = (1.into(), 1.into());
    json!({ "anyOf": [one_of(&["halves", "majorities-ring"].map(Value::from)), shapes] })
}

/// One node.
fn bridge() -> Value {
    let one = ["leader", "old-leader", "follower", "random"].map(Value::from);
    let node = json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": reference("node") });
    json!({ "anyOf": [one_of(&one), reference("node"), node] })
}

fn awaiting() -> Value {
    let mut seen = object(&[&words::AWAIT], &[], |word| match word {
        "leader" => yes(),
        "stable" | "within" => duration(),
        other => no_shape(&words::AWAIT, other),
    });
    seen["oneOf"] = json!([{ "required": ["leader"] }, { "required": ["stable"] }]);
    json!({ "anyOf": [one_of(&[json!("leader")]), seen] })
}

fn random() -> Value {
    let choice = object(&[&words::CHOICE], &["steps"], |word| match word {
        "weight" => count(1, Some(1_000)),
        "steps" => reference("steps"),
        other => no_shape(&words::CHOICE, other),
    });
    object(&[&words::RANDOM], &["for", "every", "choices"], |word| match word {
        "for" => duration(),
        "every" => range(),
        "choices" => at_least_one(choice.clone()),
        other => no_shape(&words::RANDOM, other),
    })
}
