//! The shipped system definitions: they are the users' examples, so each loads as it stands, by name and by path, and a workload
//! of each survives being saved.

use std::io;
use std::time::Duration;

use chaos_plan::definition::{DefinedSystem, Expression, Tuned, beside, value_of};
use chaos_plan::{PlanErrors, Source, System, Workload, builtin, load_source, program_override, resolved_yaml};
use proptest::prelude::*;

fn load(text: &str, overrides: &[&str]) -> Result<Workload, PlanErrors> {
    let source = Source { name: "case.yaml".to_owned(), text: text.to_owned() };
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let nothing = |_: &str| Err(io::ErrorKind::NotFound.into());
    load_source(source, &overrides, &nothing).map(|loaded| loaded.workload)
}

fn under(system: &str) -> Workload {
    let checks = "checks: [reelection: { within: 60s }]";
    let text = format!("name: case\nsystem: {system}\nnodes: 3\nfaults: none\n{checks}\n");
    load(&text, &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn defined(workload: &Workload) -> &DefinedSystem {
    match &workload.system {
        System::Defined(defined) => defined,
        System::Raft(_) => panic!("the reference node"),
    }
}

#[test]
fn every_shipped_definition_loads_by_name_and_by_path() {
    for built_in in builtin::systems() {
        let (by_name, by_path) = (under(built_in.name), under(built_in.file));
        assert_eq!(by_name, by_path);
        let system = defined(&by_name);
        assert_eq!(system.definition.name, built_in.name);
        assert_eq!(system.definition.about, built_in.about());
        assert_eq!(system.text, built_in.text);
        assert!(!system.definition.observers.is_empty() && !system.definition.nodes.processes.is_empty());
        assert_eq!(system.timing().is_some(), system.definition.timing.is_some(), "{}", built_in.name);
    }
}

#[test]
fn a_saved_plan_carries_its_definition_along_word_for_word() {
    for built_in in builtin::systems() {
        let workload = under(built_in.name);
        let saved = resolved_yaml(&workload);
        let again = load(&saved, &[]).unwrap_or_else(|errors| panic!("{errors}\n{saved}"));
        assert_eq!(again, workload, "{}", built_in.name);
        assert!(saved.contains("\n  definition: |\n"), "{} is saved as people can read it", built_in.name);
    }
}

const SMALL: &str = "\
# A definition – with everything that can trip a line-wise copy.
system: small   # its name
ports: { client: 8000 }
files:
  a.cfg: |
    first

      third, indented
  b.cfg: |2
      two blanks before this
  c.cfg: >-
    folded
    text
  'd #.cfg': \"\\ttab\"
processes: { small: { run: [small, '# no comment'] } }
observers:
  self: { http: { port: client, path: / }, role: answer.state, term: answer.term }
";

/// A workload of a definition that stands in `small.yaml`.
fn of_text(text: &str) -> Workload {
    let workload = "name: case\nsystem: ./small.yaml\nnodes: 3\nfaults: none\nchecks: [election-safety]\n".to_owned();
    let source = Source { name: "case.yaml".to_owned(), text: workload };
    let loaded = load_source(source, &[], &|_| Ok(text.to_owned()));
    loaded.unwrap_or_else(|errors| panic!("{errors}\n{text:?}")).workload
}

fn survives_saving(text: &str) {
    let workload = of_text(text);
    assert_eq!(defined(&workload).text, text);
    let saved = resolved_yaml(&workload);
    let again = load(&saved, &[]).unwrap_or_else(|errors| panic!("{errors}\n{saved}"));
    assert_eq!(again, workload);
    assert_eq!(resolved_yaml(&again), saved);
}

#[test]
fn a_definition_survives_saving_however_it_is_laid_out() {
    let indented: String = SMALL.lines().map(|line| format!("   {line}\n")).collect();
    let all = [
        SMALL.to_owned(),
        format!("---\n{SMALL}"),
        format!("---\n{SMALL}...\n"),
        format!("{SMALL}\n\n  \n"),
        format!("\n\n{SMALL}"),
        SMALL.trim_end().to_owned(),
        SMALL.replace('\n', "\r\n"),
        SMALL.replace("# its name", "#\tits name\t"),
        SMALL.replace("# its name", "#   trailing blanks   "),
        SMALL.replace("# its name", "# nodes: 5\n#- x: |\n"),
        SMALL.replace("third, indented", "third, indented\n\n\n   \n    last"),
        indented,
        format!("\u{feff}{SMALL}"),
        r#"{ "system": "small", "processes": { "p": { "run": ["a"] } }, "observers": { "o": { "exec": ["a"], "role": "answer", "term": "1" } } }"#
            .to_owned(),
    ];
    all.iter().for_each(|text| survives_saving(text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_comment_and_any_text_survive_saving(comment in "\\PC{0,30}", blanks in "[ \n]{0,5}", about in "\\PC{0,30}") {
        let quoted = serde_json::to_string(&about).unwrap();
        survives_saving(&format!("# {comment}\n{SMALL}about: {quoted}\n{blanks}"));
    }
}

#[test]
fn a_definition_may_stand_in_the_workload_itself() {
    let own: String = SMALL.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "name: case\nsystem:\n  profile: default\n  definition:\n{own}nodes: 3\nfaults: none\nchecks: [election-safety]\n"
    );
    let workload = load(&text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(defined(&workload).definition, defined(&of_text(SMALL)).definition);
    assert_eq!(load(&resolved_yaml(&workload), &[]).unwrap_or_else(|errors| panic!("{errors}")), workload);
}

#[test]
fn what_a_workload_leaves_out_depends_on_what_the_system_promises_and_shows() {
    let of = |system: &str| load(&format!("name: case\nsystem: {system}\nnodes: 3\nfaults: none\n"), &[]);
    let names = |workload: &Workload| workload.checks.iter().map(|check| check.name()).collect::<Vec<_>>();
    let (raft, etcd, zookeeper) = (of("raft").unwrap(), of("etcd").unwrap(), of("zookeeper").unwrap());
    assert_eq!(names(&etcd), ["election-safety", "term-monotonic", "linearizable", "no-lost-writes"]);
    assert_eq!(names(&zookeeper), ["election-safety", "term-monotonic", "no-lost-writes"], "its reads may be old");
    assert_eq!((raft.observe.every, etcd.observe.every), (Duration::from_millis(5), Duration::from_millis(20)));
    assert_eq!((raft.start_within, etcd.start_within), (Duration::from_secs(10), Duration::from_secs(60)));
    let errors = of("redis").unwrap_err().to_string();
    assert!(errors.contains("nothing is checked") && errors.contains("checks: [reelection"), "{errors}");
}

#[test]
fn a_check_that_the_system_cannot_be_held_to_is_refused_with_a_remedy() {
    let check = |system: &str, more: &str, message: &str, remedy: &str| {
        let text = format!("name: case\nsystem: {system}\nnodes: 3\nfaults: none\n{more}\n");
        let errors = load(&text, &[]).unwrap_err().to_string();
        assert!(errors.contains(message) && errors.contains(remedy), "{errors}");
    };
    check("keepalived", "checks: [election-safety]", "can't be checked of `keepalived`", "add `term:`");
    check("keepalived", "checks: [linearizable]", "it has no client", "add `client:");
    check("keepalived", "checks: [fencing]", "no process of it uses `{{ resource }}`", "add `client:");
    check(
        "keepalived",
        "checks: [reelection: { within: 9s }]\nclients: [register: {}]",
        "has no client",
        "leave `clients` out",
    );
    let text = "name: case\nsystem: keepalived\nnodes: 3\nfaults: none\nchecks: [reelection: { within: 9s }]\n";
    let workload = load(text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(workload.clients.is_empty(), "nobody is there to speak with it");
    assert_eq!(load(&resolved_yaml(&workload), &[]).unwrap(), workload);
}

#[test]
fn what_locks_protect_may_be_used_by_the_nodes_themselves_without_a_client() {
    let text =
        "name: case\nsystem: lease\nnodes: 3\nclients: none\nfaults: none\nchecks: [fencing, exclusive-access]\n";
    let workload = load(text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(workload.checks.iter().map(|check| check.name()).collect::<Vec<_>>(), ["fencing", "exclusive-access"]);
}

#[test]
fn the_command_line_chooses_of_a_system_as_a_file_does() {
    let text = "name: case\nsystem: etcd\nnodes: 3\nfaults: none\n";
    let bin = program_override("etcd=/opt/a b/[etcd]").unwrap();
    let workload =
        load(text, &["system.profile=fast", "system.tune.heartbeat=30", "system.version=3.4.23", &bin]).unwrap();
    let system = defined(&workload);
    assert_eq!((system.profile.as_str(), system.version()), ("fast", Some("3.4.23")));
    assert_eq!(system.tune["heartbeat"], Tuned::Number(30));
    assert_eq!(system.programs["etcd"].to_str(), Some("/opt/a b/[etcd]"));
    let other = load(text, &["system=ovsdb"]).unwrap();
    assert_eq!(other.system.name(), "ovsdb");

    let raft = text.replace("etcd", "raft");
    let own = load(&raft, &[&program_override("raft=./my-node").unwrap()]).unwrap();
    assert!(matches!(&own.system, System::Raft(options) if options.program.as_deref() == Some("./my-node".as_ref())));
    let errors = load(text, &[&program_override("ectd=/x").unwrap()]).unwrap_err().to_string();
    assert!(errors.contains("no program `ectd`") && errors.contains("did you mean `etcd`?"), "{errors}");
    assert!(load(&raft, &["system.profile=fast"]).is_err() && program_override("etcd").is_none());
}

/// What the shipped observers make of answers as the systems gave them.
#[test]
fn the_first_observers_understand_what_the_systems_answered() {
    let check = |name: &str, answer: serde_json::Value, expected: [&str; 4]| {
        let workload = under(name);
        let observer = &defined(&workload).definition.observers[0];
        let groups = observer.pattern.as_ref().map(|pattern| pattern.groups(answer.as_str().unwrap()).unwrap());
        let scope = beside(
            &value_of(serde_json::json!({ "ip": "10.0.0.1", "id": "n1" })),
            vec![("answer", value_of(&answer)), ("m", value_of(groups))],
        );
        let value = |expression: Option<&Expression>| {
            expression.map(|expression| expression.value(&scope).unwrap_or_else(|error| panic!("{error}")).to_string())
        };
        let all = [Some(&observer.role), observer.term.as_ref(), observer.leader.as_ref(), observer.identity.as_ref()];
        assert_eq!(all.map(|one| value(one).unwrap_or_default()), expected, "{name}");
    };
    let vars = |state: &str, lead: &str| {
        let status = serde_json::json!({ "id": "8e9e", "term": 3, "vote": "0", "lead": lead, "raftState": state });
        serde_json::json!({ "raft.status": status })
    };
    check("etcd", vars("StateLeader", "8e9e"), ["leader", "3", "8e9e", "8e9e"]);
    check("etcd", vars("StatePreCandidate", "0"), ["pre-candidate", "3", "None", "8e9e"]);
    let group = |state: &str, leader: &str| {
        serde_json::json!({
            "$G": { "S-R3F-aGv1fDfo": { "id": "fjFyEjc1", "state": state, "leader": leader, "term": 4, "voted_for": "x" } }
        })
    };
    check("nats", group("LEADER", "fjFyEjc1"), ["leader", "4", "fjFyEjc1", "fjFyEjc1"]);
    check("nats", group("CANDIDATE", ""), ["candidate", "4", "", "fjFyEjc1"]);
    let status = |role: &str, leader: &str| {
        format!(
            "bf5f\nName: KV\nCluster ID: 6c72 (6c725914)\nServer ID: bf5f (bf5fba13-cc6f)\nAddress: tcp:127.0.8.1:6644\n\
         Status: cluster member\nRole: {role}\nTerm: 2\nLeader: {leader}\nVote: self\n\nElection timer: 1000\nServers:\n    bf5f (bf5f at tcp:10.0.0.1:6644) (self)\n    \
         50c9 (50c9 at tcp:10.0.0.2:6644)\n"
        )
    };
    check("ovsdb", status("leader", "self").into(), ["leader", "2", "None", ""]);
    // What follows the address is left out where the node is looked up.
    check("ovsdb", status("follower", "50c9").into(), ["follower", "2", "10.0.0.2:6644)\n", ""]);
    check("ovsdb", status("candidate", "unknown").into(), ["candidate", "2", "None", ""]);
    let master =
        serde_json::json!({ "name": "m", "ip": "10.0.0.1", "port": "6379", "flags": "master", "config-epoch": "2" });
    check("redis", master, ["leader", "2", "10.0.0.1", ""]);
}
