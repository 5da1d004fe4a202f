//! Every file under `tests/valid` loads, resolves to exactly the text beside it, and that text loads to the same workload.
//!
//! `UPDATE=1 cargo test -p chaos-plan --test valid` writes the texts anew; read the difference before committing it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use chaos_plan::expect::{Bound, Comparison, Metric, Statistic};
use chaos_plan::{Check, Source, StepAction, Workload, load, load_source, resolved_yaml};

fn loaded(path: &str) -> Workload {
    load(Path::new(path), &[]).unwrap_or_else(|errors| panic!("{errors}")).workload
}

fn again(yaml: &str) -> Workload {
    let source = Source { name: "plan.yaml".to_owned(), text: yaml.to_owned() };
    let nothing = |name: &str| Err(io::Error::other(format!("a saved plan needs no other file, yet asks for {name}")));
    load_source(source, &[], &nothing).unwrap_or_else(|errors| panic!("{errors}\n{yaml}")).workload
}

#[test]
fn each_valid_file_resolves_to_the_text_beside_it_and_back() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut count = 0;
    for entry in fs::read_dir("tests/valid").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        let workload = loaded(path.to_str().unwrap());
        let resolved = resolved_yaml(&workload);
        let beside = path.with_extension("txt");
        if update {
            fs::write(&beside, &resolved).unwrap();
        }
        assert_eq!(resolved, fs::read_to_string(&beside).unwrap_or_default(), "{}", path.display());
        assert_eq!(again(&resolved), workload, "{}", path.display());
    }
    assert!(count >= 5);
}

#[test]
fn shipped_workloads_survive_resolving() {
    for built_in in chaos_plan::builtin::workloads() {
        let workload = loaded(built_in.name);
        assert_eq!(again(&resolved_yaml(&workload)), workload, "{}", built_in.name);
    }
}

#[test]
fn the_designs_own_example_means_what_it_says() {
    let workload = loaded("tests/valid/design.yaml");
    assert_eq!((workload.name.as_str(), workload.nodes, workload.seed.map(|seed| seed.0)), ("partition", 5, Some(7)));
    let within = Duration::from_secs(3);
    assert_eq!(
        workload.checks,
        [
            Check::ElectionSafety,
            Check::Linearizable,
            Check::NoAcknowledgedWriteLost,
            Check::BoundedReelection { within }
        ]
    );
    let hope = &workload.expect[1];
    assert_eq!(hope.text, "outage.max < 3s");
    assert_eq!((hope.metric, hope.statistic, hope.comparison), (Metric::Outage, Statistic::Max, Comparison::Less));
    assert_eq!(hope.bound, Bound::Time(within));
    let numbers: Vec<usize> = workload.faults.steps.iter().map(|step| step.number).collect();
    assert_eq!(numbers, [0, 1]);
    let StepAction::Repeat { times: 10, steps, .. } = &workload.faults.steps[1].action else { panic!("a repeat") };
    assert_eq!(steps.iter().map(|step| step.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(steps[0].place.file, "tests/valid/plans/isolate-leader.yaml");
}

#[test]
fn a_saved_plan_keeps_the_places_of_its_steps() {
    let workload = loaded("partition");
    let saved = again(&resolved_yaml(&workload));
    assert_eq!(saved.faults.steps[0].place.file, "faults/isolate-leader.yaml");
    assert_eq!(saved.faults, workload.faults);
}
