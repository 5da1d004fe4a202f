//! The same for system definitions: the shipped ones, mutated, are taken or refused by both.

use super::*;

/// Pieces of messages about what a definition means: names that others refer to, and what templates come to.
const OF_MEANING: [&str; 30] = [
    "an answer that is both",
    "nothing to confirm by",
    "no port `",
    "no process `",
    "no observer `",
    "two ports with one number",
    "unknown name `",
    "` has no `",
    "`m` without a pattern",
    "the pattern has no group",
    "a pattern without a group",
    "this is no template",
    "is no expression",
    "is no regular expression",
    "this can't be rendered",
    "can't be evaluated",
    "is no path in the node's directory",
    "a path, for example",
    "must be an IPv4 address",
    "must be a duration",
    "`pre-vote` must be",
    "`mode` must be octal",
    "the profile `",
    "without a name",
    "`until: matched` without a pattern",
    "a write, but there is no client",
    "a question to the client driver",
    "must be longer than nothing",
    "must be 24h at most",
    "must be 1ms to 60s",
];

fn read(definition: &Value) -> Result<(), PlanErrors> {
    let text =
        format!("name: case\nsystem: {MUTATED}\nnodes: 3\nfaults: none\nchecks: [reelection: {{ within: 1min }}]\n");
    let workload = Source { name: "workload.yaml".to_owned(), text };
    load_source(workload, &[], &|_| Ok(definition.to_string())).map(drop)
}

fn originals() -> Vec<Value> {
    let mut originals: Vec<Value> =
        builtin::systems().iter().map(|built_in| yaml::as_json(built_in.text).unwrap()).collect();
    originals.push(yaml::as_json(include_str!("../../../tests/definitions/everything.yaml")).unwrap());
    originals
}

#[test]
fn mutated_definitions_that_satisfy_the_schema_are_not_refused_for_their_structure() {
    let schema = validator(SchemaKind::System);
    let mut keys = BTreeSet::new();
    collect_keys(&value(SchemaKind::System), &mut keys);
    let originals = originals();
    let mut pool = BTreeMap::new();
    originals.iter().for_each(|definition| self::pool(definition, &mut pool));
    let (random, keys) = (Random(20_261_122), keys.into_iter().collect());
    let mut mutator = Mutator { random, keys, pieces: pieces(), pool };
    let mut agreement = Agreement::default();
    for _ in 0..1_200 {
        let mut definition = originals[mutator.random.below(originals.len())].clone();
        for _ in 0..=mutator.random.below(2) {
            mutator.mutate(&mut definition);
        }
        agreement.compare(&schema, &definition, read(&definition), &OF_MEANING);
    }
    agreement.assert_broad(100, 300);
}

#[test]
fn at_every_place_of_a_definition_the_same_scalars_are_taken() {
    let schema = validator(SchemaKind::System);
    let mut agreement = Agreement::default();
    let everything = originals().pop().expect("there are some");
    let mut all = Vec::new();
    pointers(&everything, "", &mut all);
    all.retain(|at| everything.pointer(at).is_some_and(|value| !value.is_object() && !value.is_array()));
    // A third of the edges at each place, another third at the next: every definition that is read is rendered too.
    for (index, at) in all.iter().enumerate() {
        for edge in edges().into_iter().skip(index % 3).step_by(3) {
            let mut definition = everything.clone();
            *definition.pointer_mut(at).expect("a value of the definition") = edge;
            agreement.compare(&schema, &definition, read(&definition), &OF_MEANING);
        }
    }
    assert!(all.len() > 80, "{} places", all.len());
    agreement.assert_broad(200, 200);
}
