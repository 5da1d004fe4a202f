//! Fault plans: steps, verbs, targets and partitions.

use chaos_history::FaultKind;
use serde_json::{Value, json};

use super::values::{
    at_least_one, boolean, count, duration, name, nullable, of_words, one_of, range, reference, text, yes,
};
use super::{no_shape, object, values};
use crate::fault::{KillSignal, ends_at_once, undone_by};
use crate::parts::DiskFailure;
use crate::wire::{Distribution, DropMode, HealMode};
use crate::words::{self, Table};

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
        "freeze-host" => reference("target"),
        "link" => link(),
        "crash-loop" => of_node(&words::CRASH_LOOP, |_| range()),
        "slow" => of_node(&words::SLOW, |_| duration()),
        "starve" => of_node(&words::STARVE, |_| reference("share")),
        "limit" => limit(),
        "clock" => clock(),
        "disk" => disk(),
        "power-loss" => of_node(&words::POWER_LOSS, |word| {
            let choices = if word == "keep" { ["synced", "random"] } else { ["journalled", "posix"] };
            one_of(&choices.map(Value::from))
        }),
        "corrupt-file" => corrupt_file(),
        "transfer" => transfer(),
        "remove-member" => reference("target"),
        "heal" => nullable(one_of(&[json!("all")])),
        "await" => awaiting(),
        "wait" | "for" => range(),
        "repeat" => count(1, Some(10_000)),
        "random" => random(),
        // A fault's, or a repetition's.
        "until" => json!({ "anyOf": [until(), stop()] }),
        "together" => together(),
        "phase" => phase(),
        "name" => target_name(),
        "on" => on(),
        "after" => range(),
        "within" => duration(),
        "steps" => reference("steps"),
        "place" => json!({ "type": "string", "pattern": "^.+:0*[1-9][0-9]*:0*[1-9][0-9]*$" }),
        other => no_shape(&words::VERBS, other),
    });
    let required = |verb: &str| json!({ "required": [verb] });
    let verbs: Vec<Value> = words::VERBS.names().map(required).collect();
    // One verb; or none, of what only waits or has its steps inside.
    let alone = json!({ "required": ["on"], "not": { "anyOf": verbs } });
    with_object["oneOf"] = verbs.into_iter().chain([alone.clone()]).collect();
    let faults = || FaultKind::ALL.map(|kind| required(kind.name())).into_iter();
    let lasts = |kind: &FaultKind| !ends_at_once(*kind);
    let lasting: Vec<Value> = FaultKind::ALL.into_iter().filter(lasts).map(|kind| required(kind.name())).collect();
    let beginning: Vec<Value> = faults().chain([required("together")]).collect();
    let of_fault = json!({ "anyOf": lasting, "properties": { "until": until() } });
    let of_repeat = json!({ "required": ["repeat"], "properties": { "until": stop() } });
    with_object["dependencies"] = json!({
        "for": { "allOf": [{ "anyOf": lasting }, { "not": { "required": ["until"] } }] },
        "until": { "anyOf": [of_fault, of_repeat] },
        "phase": { "anyOf": beginning },
        "name": { "anyOf": faults().collect::<Vec<_>>() },
        "after": ["on"],
        "within": ["on"],
        "steps": { "anyOf": [required("repeat"), alone] },
        "repeat": ["steps"],
    });
    for kind in FaultKind::ALL.into_iter().filter(lasts).filter(|kind| undone_by(*kind).is_none()) {
        with_object["dependencies"][kind.name()] = json!({ "anyOf": [required("for"), required("until")] });
    }
    json!({ "anyOf": [one_of(&["heal", "restart", "resume"].map(Value::from)), with_object] })
}

fn target() -> Value {
    let nodes = json!({ "type": "array", "minItems": 1, "uniqueItems": true, "items": reference("node") });
    let made = json!({ "type": "string", "pattern": format!("^({NAMED}|{})$", all_but()) });
    json!({ "anyOf": [of_words(&words::TARGETS), spaced(), reference("node"), made, nodes] })
}

const NODE: &str = "n([1-9]|1[0-4])";
/// The nodes that another step hit.
const NAMED: &str = "\\$[A-Za-z][A-Za-z0-9_-]{0,63}";

/// Words with spaces in place of their hyphens.
fn spaced() -> Value {
    let names = words::TARGETS.names().filter(|name| name.contains('-'));
    one_of(&names.map(|name| Value::from(name.replace('-', " "))).collect::<Vec<_>>())
}

/// Everything that a pattern can say of one target, but `all but`.
fn one_target() -> String {
    let names: Vec<String> = words::TARGETS.names().map(|name| name.replace('-', "[- ]")).collect();
    format!("({}|{NODE}|{NAMED})", names.join("|"))
}

fn all_but() -> String {
    let nodes = format!("{NODE} *(, *{NODE} *)*");
    format!("all[- ]but[- ] *({}|\\[ *{nodes}\\]|{nodes})", one_target())
}

fn links() -> Value {
    let side = format!("({}|{})", one_target(), all_but());
    let link = json!({ "type": "string", "pattern": format!("^ *{side} *(<->|->|<-) *{side} *$") });
    json!({ "anyOf": [link, at_least_one(link.clone())] })
}

/// What stands in a mapping with one condition.
fn condition(word: &str) -> Value {
    match word {
        "leader" => one_of(&["elected", "another", "lost"].map(Value::from)),
        "vote" => one_of(&[json!("granted")]),
        "term" => json!({ "type": ["integer", "string"], "minimum": 1, "pattern": "^\\+?0*[1-9][0-9]{0,18}$" }),
        "operations" => count(1, Some(1_000_000_000)),
        "lease" => object(&[&words::LEASE_BOUND], &["below"], |_| duration()),
        other => no_shape(&words::ON, other),
    }
}

fn one_condition(mut conditions: Value) -> Value {
    let required: Vec<Value> = words::ON.names().map(|name| json!({ "required": [name] })).collect();
    conditions["oneOf"] = required.into();
    conditions
}

fn on() -> Value {
    one_condition(object(&[&words::ON], &[], condition))
}

fn stop() -> Value {
    one_condition(object(&[&words::STOP], &[], |word| if word == "within" { duration() } else { condition(word) }))
}

fn together() -> Value {
    let list = json!({
        "type": "object", "additionalProperties": false, "required": ["steps"],
        "properties": { "steps": reference("steps") },
    });
    json!({ "type": "array", "minItems": 2, "items": { "anyOf": [reference("step"), list] } })
}

fn phase() -> Value {
    json!({ "anyOf": [one_of(&["none", "sweep"].map(Value::from)), range()] })
}

fn target_name() -> Value {
    json!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$" })
}

fn kill() -> Value {
    let mut kill = object(&[&words::KILL], &["node"], |word| match word {
        "node" => reference("target"),
        "process" => text(),
        "with-children" => boolean(),
        "signal" => one_of(&signals()),
        other => no_shape(&words::KILL, other),
    });
    kill["dependencies"] = json!({ "with-children": ["process"] });
    kill
}

/// A target, or a mapping with one and with words that have this shape.
fn of_node(table: &'static Table, shape: impl Fn(&str) -> Value) -> Value {
    let long = object(&[table], &["node"], |word| match word {
        "node" => reference("target"),
        other => shape(other),
    });
    json!({ "anyOf": [reference("target"), long] })
}

fn limit() -> Value {
    let mut limit = object(&[&words::LIMIT], &["node"], |word| match word {
        "node" => reference("target"),
        "open-files" => count(1, Some(1 << 20)),
        "memory" => reference("size"),
        other => no_shape(&words::LIMIT, other),
    });
    limit["oneOf"] = json!([{ "required": ["open-files"] }, { "required": ["memory"] }]);
    limit
}

fn clock() -> Value {
    let strobe = object(&[&words::STROBE], &["by", "every"], |word| match word {
        "by" => reference("offset"),
        "every" => duration(),
        other => no_shape(&words::STROBE, other),
    });
    let mut clock = object(&[&words::CLOCK], &["node"], |word| match word {
        "node" => reference("target"),
        "jump" => reference("offset"),
        "rate" => {
            json!({ "type": ["number", "string"], "minimum": 0, "maximum": 64, "pattern": "^[0-9]+(\\.[0-9]+)?$" })
        }
        "strobe" => strobe.clone(),
        "monotonic" => boolean(),
        other => no_shape(&words::CLOCK, other),
    });
    clock["oneOf"] = json!([{ "required": ["jump"] }, { "required": ["rate"] }, { "required": ["strobe"] }]);
    clock["dependencies"] = json!({ "monotonic": ["rate"] });
    clock
}

fn disk() -> Value {
    let failure = || one_of(&DiskFailure::ALL.map(|failure| failure.name().into()));
    let mut disk = object(&[&words::DISK], &["node"], |word| match word {
        "node" => reference("target"),
        "sync-delay" | "write-delay" => duration(),
        "sync" | "write" => failure(),
        "full" | "read-only" => yes(),
        other => no_shape(&words::DISK, other),
    });
    let besides = |one: &str, other: &str| json!({ "not": { "required": [one, other] } });
    disk["allOf"] = json!([besides("write", "full"), besides("write", "read-only"), besides("full", "read-only")]);
    disk["minProperties"] = 2.into();
    disk
}

fn corrupt_file() -> Value {
    let mut corrupt = object(&[&words::CORRUPT_FILE], &["node", "file"], |word| match word {
        "node" => reference("target"),
        "file" => text(),
        "flip-bits" => count(1, Some(1_000)),
        "truncate" => reference("size"),
        other => no_shape(&words::CORRUPT_FILE, other),
    });
    corrupt["oneOf"] = json!([{ "required": ["flip-bits"] }, { "required": ["truncate"] }]);
    corrupt
}

fn transfer() -> Value {
    let long = object(&[&words::TRANSFER], &["node"], |word| match word {
        "node" => one_of(&[json!("leader")]),
        "to" => one_node(),
        other => no_shape(&words::TRANSFER, other),
    });
    json!({ "anyOf": [one_of(&[json!("leader")]), long] })
}

/// Each with and without `SIG`.
fn signals() -> Vec<Value> {
    let names = KillSignal::ALL.map(KillSignal::name);
    names.into_iter().flat_map(|name| [name.into(), format!("SIG{name}").into()]).collect()
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
        "bridge" => one_node(),
        "cut" => links(),
        "drop" => of_modes(&DropMode::ALL.map(|(_, word)| word)),
        "heal" => of_modes(&HealMode::ALL.map(|(_, word)| word)),
        other => no_shape(&words::PARTITION, other),
    });
    let is_shape = |word: &&str| !matches!(*word, "drop" | "heal");
    shapes["oneOf"] = words::PARTITION.names().filter(is_shape).map(|shape| json!({ "required": [shape] })).collect();
    json!({ "anyOf": [one_of(&["halves", "majorities-ring"].map(Value::from)), shapes] })
}

fn of_modes(words: &[&'static str]) -> Value {
    one_of(&words.iter().map(|word| Value::from(*word)).collect::<Vec<_>>())
}

fn link() -> Value {
    let long = |table: &'static Table, required: &str| {
        object(&[table], &[required], |word| match word {
            "by" => duration(),
            "like" => of_modes(&Distribution::ALL.map(|(_, word)| word)),
            "share" => reference("share"),
            "burst" => count(1, Some(1_000)),
            other => no_shape(table, other),
        })
    };
    let mut link = object(&[&words::LINK], &["between"], |word| match word {
        "between" => json!({ "anyOf": [one_of(&[json!("all")]), links()] }),
        "delay" => duration(),
        "jitter" => json!({ "anyOf": [duration(), long(&words::JITTER, "by")] }),
        "loss" => json!({ "anyOf": [reference("share"), long(&words::LOSS, "share")] }),
        "duplicate" | "corrupt" => reference("share"),
        "reorder" => json!({ "anyOf": [reference("share"), long(&words::REORDER, "share")] }),
        "rate" => reference("bit-rate"),
        other => no_shape(&words::LINK, other),
    });
    link["minProperties"] = 2.into();
    link
}

/// A target of one node.
fn one_node() -> Value {
    let one = ["leader", "old-leader", "old leader", "voter", "follower", "random"].map(Value::from);
    let node = json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": reference("node") });
    let named = json!({ "type": "string", "pattern": format!("^{NAMED}$") });
    json!({ "anyOf": [one_of(&one), reference("node"), named, node] })
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
        "swarm" => reference("share"),
        "choices" => at_least_one(choice.clone()),
        other => no_shape(&words::RANDOM, other),
    })
}
