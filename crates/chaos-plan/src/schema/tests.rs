//! Schema and reader agree: on every plan that is shipped or in the corpus, on every mistake of structure in the corpus, and on
//! thousands of mutated plans.
//!
//! Plans are read for the schema by the YAML library's own front end, and for the reader by our tree: two ways from the same
//! text, as an editor and chaos go.

mod definitions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chaos_history::SourcePlace;
use serde_json::{Map, Value, json};

use super::{SchemaKind, schema, value};
use crate::source::Source;
use crate::{PlanErrors, builtin, load, load_source, resolved_yaml, yaml};

fn validator(kind: SchemaKind) -> jsonschema::Validator {
    jsonschema::draft7::new(&value(kind)).expect("a schema of draft-07")
}

fn complaints(validator: &jsonschema::Validator, plan: &Value) -> Vec<String> {
    validator.iter_errors(plan).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    files.sort();
    files
}

#[test]
fn each_schema_is_one_and_speaks_of_every_word() {
    for kind in SchemaKind::ALL {
        let schema: Value = serde_json::from_str(&schema(kind)).unwrap();
        assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
        assert!(jsonschema::meta::is_valid(&schema), "{kind:?}");
    }
    assert_examples_fit(&value(SchemaKind::Workload), &value(SchemaKind::Workload)["definitions"]);
}

/// The tables' own examples satisfy the shape of the key that they are an example of.
fn assert_examples_fit(schema: &Value, definitions: &Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(examples)) = members.get("examples") {
                let mut alone = members.clone();
                alone.insert("definitions".to_owned(), definitions.clone());
                let validator = jsonschema::draft7::new(&Value::Object(alone)).unwrap();
                for example in examples {
                    let errors = complaints(&validator, example);
                    assert!(errors.is_empty(), "{example} is no example of {members:?}: {errors:?}");
                }
            }
            members.values().for_each(|member| assert_examples_fit(member, definitions));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_examples_fit(item, definitions)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_shipped_plan_and_every_valid_case_satisfies_its_schema() {
    let (workloads, faults) = (validator(SchemaKind::Workload), validator(SchemaKind::Faults));
    let mut count = 0;
    let mut check = |validator: &jsonschema::Validator, name: &str, text: &str| {
        let plan = yaml::as_json(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let errors = complaints(validator, &plan);
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        count += 1;
    };
    for built_in in builtin::workloads() {
        check(&workloads, built_in.name, built_in.text);
        let loaded = load(Path::new(built_in.name), &[]).unwrap();
        check(&workloads, "a saved plan", &resolved_yaml(&loaded.workload));
    }
    builtin::faults().iter().for_each(|built_in| check(&faults, built_in.name, built_in.text));
    let systems = validator(SchemaKind::System);
    builtin::systems().iter().for_each(|built_in| check(&systems, built_in.name, built_in.text));
    for path in yaml_files("tests/valid") {
        check(&workloads, &path.display().to_string(), &fs::read_to_string(&path).unwrap());
        check(&workloads, "its resolved text", &fs::read_to_string(path.with_extension("txt")).unwrap());
    }
    for path in yaml_files("tests/valid/plans") {
        check(&faults, &path.display().to_string(), &fs::read_to_string(&path).unwrap());
    }
    assert!(count >= 30, "{count}");
}

/// Cases of `tests/invalid` that are wrong in what they mean and not in how they look, each with the reason.
const MEANING: [(&str, &str); 23] = [
    ("default-limit-too-short", "a sum over the plan's steps"),
    ("limit-too-short", "a sum over the plan's steps"),
    ("faults-are-a-directory", "what lies on the disk"),
    ("parts-disagree", "two steps compared"),
    ("faults-are-a-workload", "what another file holds"),
    ("filter-only-cuts", "what the filter can do"),
    ("missing-fault-file", "what lies on the disk"),
    ("missing-fault-name", "what is built in"),
    ("name missing and odd file name", "what the file is called"),
    ("nested-repeats", "how deep steps are nested in all"),
    ("never-seen", "what the system shows, and whether there are clients"),
    ("operations-not-offered", "what the system can be told"),
    ("operations-without-a-choice", "what the system can be told"),
    ("one-node", "what is possible with so many nodes"),
    ("proxy-of-packets", "what proxies can do"),
    ("proxy-past-it", "how the system's nodes find each other"),
    ("proxy-without-packets", "what proxies can do"),
    ("ring-of-three", "what is possible with so many nodes"),
    ("small-cluster", "what is possible with so many nodes"),
    ("timeouts", "two values compared"),
    ("undo-without-fault", "the order of steps"),
    ("leases-untold", "which system tells what is left of a lease"),
    ("mixed-versions", "which versions, profiles, settings and nodes there are"),
];

#[test]
fn every_invalid_case_that_is_wrong_in_structure_is_refused_by_the_schema_too() {
    let workloads = validator(SchemaKind::Workload);
    let (mut accepted, mut asked) = (BTreeSet::new(), 0);
    for path in yaml_files("tests/invalid") {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What is no YAML, an editor says by itself.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Ok(plan) = yaml::as_json(&text) else { continue };
        asked += 1;
        if workloads.is_valid(&plan) {
            accepted.insert(stem);
        }
    }
    let known: BTreeSet<String> = MEANING.iter().map(|(stem, _)| (*stem).to_owned()).collect();
    assert_eq!(accepted, known, "each case that the schema lets pass is one of meaning, and the list says why");
    assert!(asked >= 40, "only {asked} of the cases are YAML");
}

/// A small generator, the same for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Every value of a plan, by its JSON pointer.
fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            pointers(value, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), all);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{at}/{index}"), all));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Values that stand somewhere in plans, or nowhere.
fn pieces() -> Vec<Value> {
    let words =
        ["leader", "halves", "all", "raft", "n2", "1s", "1s..2s", "200/s", "heal", "none", "register", "< 3s", "KILL"];
    let mut pieces: Vec<Value> = words.map(Value::from).to_vec();
    pieces.extend([
        json!(null),
        json!(0),
        json!(3),
        json!(-1),
        json!(1.5),
        json!(true),
        json!(false),
        json!([]),
        json!({}),
    ]);
    pieces.extend([json!(["n1", "n2"]), json!([["n1"], ["n2", "n3"]]), json!({ "isolate": "leader" })]);
    pieces.extend([json!({ "kill": "leader", "for": "1s" }), json!({ "stable": "1s" }), json!({ "within": "3s" })]);
    pieces
}

/// What stands behind each key in plans that are right.
fn pool(value: &Value, pool: &mut BTreeMap<String, Vec<Value>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pool.entry(key.clone()).or_default().push(value.clone());
                self::pool(value, pool);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| self::pool(item, pool)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Mutator {
    random: Random,
    keys: Vec<String>,
    pieces: Vec<Value>,
    pool: BTreeMap<String, Vec<Value>>,
}

impl Mutator {
    /// A value for the key: half of the time one that has stood there.
    fn piece(&mut self, key: &str) -> Value {
        match self.pool.get(key) {
            Some(values) if self.random.below(2) == 0 => values[self.random.below(values.len())].clone(),
            Some(_) | None => self.pieces[self.random.below(self.pieces.len())].clone(),
        }
    }

    fn mutate(&mut self, plan: &mut Value) {
        let mut all = Vec::new();
        pointers(plan, "", &mut all);
        let at = all[1 + self.random.below(all.len() - 1)].clone();
        let added = self.keys[self.random.below(self.keys.len())].clone();
        let key = at.rsplit('/').next().unwrap_or_default().to_owned();
        let (kind, for_added, for_key) = (self.random.below(4), self.piece(&added), self.piece(&key));
        match (kind, plan.pointer_mut(&at).expect("a value of the plan")) {
            (0, Value::Object(map)) => drop(map.insert(added, for_added)),
            (1, Value::Object(map)) if !map.is_empty() => {
                let key = map.keys().nth(self.random.below(map.len())).unwrap().clone();
                map.shift_remove(&key);
            }
            (0 | 1, Value::Array(items)) => items.push(for_added),
            (_, target) => *target = for_key,
        }
    }
}

/// What the mutated plan is called.
const MUTATED: &str = "mutated.yaml";

/// What the reader says of a plan. JSON is YAML, so the text needs no writer of its own.
fn read(plan: &Value) -> Result<(), PlanErrors> {
    let source = Source { name: MUTATED.to_owned(), text: plan.to_string() };
    let fault_plan = builtin::faults()[0].text;
    let read = |_: &str| -> io::Result<String> { Ok(fault_plan.to_owned()) };
    load_source(source, &[], &read).map(drop)
}

/// Beginnings and pieces of messages of meaning: each is about something that no shape of a single value can say.
const OF_MEANING: [&str; 55] = [
    "a `kick` where",
    "can't be checked of",
    "nothing is checked",
    "a load, but the system has no client",
    "unknown process",
    "no `service` in",
    "a majorities ring of",
    "` without its ",
    "must be longer than nothing",
    "must be 24h at most",
    "must be 1ms to 60s",
    "must be 100us to 60s",
    "`share` must be 2% to 50%",
    "`slow` that runs",
    "must be 100us to 24h",
    "1 is that of a clock that is right",
    "` is no jump",
    "rates of clocks ",
    "power losses of two kinds",
    "a `kick` where no packet was lost",
    "can never be seen",
    "`truncate` by nothing",
    "`file` is no glob",
    "`file` matches nothing",
    "must be above zero",
    "the longer end stands first",
    "must be a duration or a range",
    "isn't above the heartbeat",
    "no lease is kept",
    "a load without clients",
    "a mix of nothing",
    "a second ",
    "` is not checked",
    "is expected already",
    "a set to which nothing is added",
    "is checked already",
    "the fault plan takes",
    "can't be measured",
    "of all nodes",
    "in a cluster of",
    "in two groups",
    "groups that cut nothing",
    "between a node and itself",
    "is too short",
    "nothing to",
    "unknown node",
    "nested more than",
    "unknown name `$",
    "names two steps' targets",
    "a sweep outside of",
    "` is no target",
    "a transfer to the leader",
    "`remove-member` of",
    "can't be done to",
    "of a system that chooses by itself",
];

/// How schema and reader took one plan.
#[derive(Default)]
struct Agreement {
    both: usize,
    neither: usize,
    disagreements: BTreeSet<String>,
}

impl Agreement {
    fn ask(&mut self, workloads: &jsonschema::Validator, plan: &Value) {
        self.compare(workloads, plan, read(plan), &OF_MEANING);
    }

    /// Notes how the schema and the reader, whose answer is given, take the plan.
    fn compare(
        &mut self,
        schema: &jsonschema::Validator,
        plan: &Value,
        answer: Result<(), PlanErrors>,
        of_meaning: &[&str],
    ) {
        match (schema.is_valid(plan), answer) {
            (true, Ok(())) => self.both += 1,
            (false, Err(_)) => self.neither += 1,
            (true, Err(errors)) => {
                // What another file holds is no matter of this one's schema.
                let own = |place: &Option<SourcePlace>| place.as_ref().is_none_or(|place| place.file == MUTATED);
                for (_, message) in errors.messages().filter(|(place, _)| own(place)) {
                    if !of_meaning.iter().any(|piece| message.contains(piece)) {
                        self.disagreements.insert(format!("the schema accepts what the reader refuses: {message}"));
                    }
                }
            }
            (false, Ok(())) => {
                let why = complaints(schema, plan);
                if !SCHEMA_IS_STRICTER.iter().any(|known| why.iter().any(|it| it.contains(known))) {
                    self.disagreements.insert(format!("the schema refuses what the reader accepts: {why:?}"));
                }
            }
        }
    }

    fn assert_broad(&self, both: usize, neither: usize) {
        assert!(self.disagreements.is_empty(), "{:#?}", self.disagreements);
        assert!(self.both > both && self.neither > neither, "{} accepted, {} refused", self.both, self.neither);
    }
}

fn originals() -> [Value; 2] {
    let everything = fs::read_to_string("tests/valid/everything.yaml").unwrap();
    let inline = builtin::workload("partial-partition").unwrap().text;
    [everything, inline].map(|text| yaml::as_json(&text).unwrap())
}

#[test]
fn mutated_plans_that_satisfy_the_schema_are_not_refused_for_their_structure() {
    let workloads = validator(SchemaKind::Workload);
    let mut keys = BTreeSet::new();
    collect_keys(&value(SchemaKind::Workload), &mut keys);
    let originals = originals();
    let mut pool = BTreeMap::new();
    originals.iter().for_each(|plan| self::pool(plan, &mut pool));
    let (random, keys) = (Random(20_261_121), keys.into_iter().collect());
    let mut mutator = Mutator { random, keys, pieces: pieces(), pool };
    let mut agreement = Agreement::default();
    for _ in 0..6_000 {
        let mut plan = originals[mutator.random.below(originals.len())].clone();
        for _ in 0..=mutator.random.below(2) {
            mutator.mutate(&mut plan);
        }
        agreement.ask(&workloads, &plan);
    }
    agreement.assert_broad(300, 1_000);
}

/// Numbers at and beside every limit of the language, and texts that are nearly what is wanted.
fn edges() -> Vec<Value> {
    let numbers = [0_u64, 1, 2, 8, 9, 10, 64, 65, 100, 101, 1_000, 1_001, 10_000, 10_001, 1_000_000];
    let texts = [
        "", " ", "5", "1s", " 1s", "1 s", "1.5s", ".5s", "1.s", "1..2s", "1s..2s", "1s .. 2s", "2us", "2µs", "1d", "1S",
    ];
    let more = [
        "200/s",
        "30/min",
        "5/h",
        "/s",
        "1./s",
        "90%",
        "90 %",
        "< 3s",
        "<3s",
        "<= 9",
        "at most 5",
        "above 90%",
        "= 3s",
    ];
    let words = [
        "n1", "n9", "n10", "N1", "leader", "Leader", "kill", "KILL", "halves", "raft", "true", "True", "yes", "a b",
        "-x",
    ];
    let texts = texts.into_iter().chain(more).chain(words).map(Value::from);
    numbers
        .map(Value::from)
        .into_iter()
        .chain(texts)
        .chain([json!(true), json!(false), json!(-1), json!(null)])
        .collect()
}

#[test]
fn at_every_place_of_a_plan_the_same_scalars_are_taken() {
    let workloads = validator(SchemaKind::Workload);
    let mut agreement = Agreement::default();
    let [everything, _] = originals();
    let mut all = Vec::new();
    pointers(&everything, "", &mut all);
    all.retain(|at| everything.pointer(at).is_some_and(|value| !value.is_object() && !value.is_array()));
    for at in &all {
        for edge in edges() {
            let mut plan = everything.clone();
            *plan.pointer_mut(at).expect("a value of the plan") = edge;
            agreement.ask(&workloads, &plan);
        }
    }
    assert!(all.len() > 60, "{} places", all.len());
    agreement.assert_broad(300, 1_000);
}

/// Where the schema refuses what the reader lets pass: a load without a word (`- {}`), a fault plan's file called `3`, hex digits
/// that YAML takes for a number.
const SCHEMA_IS_STRICTER: [&str; 3] = ["/clients/0", "/faults: ", "/send-hex: "];

fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    let Value::Object(members) = schema else {
        if let Value::Array(items) = schema {
            items.iter().for_each(|item| collect_keys(item, keys));
        }
        return;
    };
    let empty = Map::new();
    let properties = members.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    keys.extend(properties.keys().cloned());
    members.values().for_each(|member| collect_keys(member, keys));
}
