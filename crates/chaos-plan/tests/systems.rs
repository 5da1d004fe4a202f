//! The shipped system definitions: they are the users' examples, so each loads as it stands, by name and by path, and a workload
//! of each survives being saved.

use std::io;

use chaos_plan::definition::DefinedSystem;
use chaos_plan::{PlanErrors, Source, System, Workload, builtin, load_source, resolved_yaml};

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
