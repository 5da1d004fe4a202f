//! The shipped workloads and fault plans: they are the users' examples, so they must load as they stand, and do enough.

use std::path::Path;

use chaos_plan::{Fault, FaultPlan, StepAction, System, builtin, load};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// How many faults the plan injects at least.
fn faults(plan: &FaultPlan) -> u32 {
    fn count(steps: &[chaos_plan::Step]) -> u32 {
        steps
            .iter()
            .map(|step| match &step.action {
                StepAction::Fault { .. } => 1,
                StepAction::Repeat { times, steps, .. } => times * count(steps),
                StepAction::Random { lasting, .. } => {
                    u32::try_from(lasting.as_secs() / 5).expect("a plan of a day at most")
                }
                StepAction::On { .. }
                | StepAction::Together { .. }
                | StepAction::Restart { .. }
                | StepAction::Resume { .. }
                | StepAction::Heal
                | StepAction::Await { .. }
                | StepAction::Wait(_) => step.action.nested().into_iter().map(count).sum(),
            })
            .sum()
    }
    count(&plan.steps)
}

#[test]
fn every_file_under_workloads_and_faults_is_built_in() {
    let all =
        [("workloads", builtin::workloads()), ("faults", builtin::faults()), ("workloads/systems", builtin::systems())];
    for (directory, built_in) in all {
        let mut files: Vec<String> = std::fs::read_dir(root().join(directory))
            .unwrap()
            .map(|entry| format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap()))
            .filter(|file| file.ends_with(".yaml"))
            .collect();
        files.sort();
        let mut known: Vec<&str> = built_in.iter().map(|built_in| built_in.file).collect();
        known.sort_unstable();
        assert_eq!(files, known);
    }
}

#[test]
fn every_workload_loads_by_path_and_by_name() {
    for built_in in builtin::workloads() {
        let by_path = load(&root().join(built_in.file), &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let by_name = load(Path::new(built_in.name), &[]).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(by_path.workload.name, built_in.name);
        assert_eq!(by_path.workload.name, by_name.workload.name);
        // All are about the reference node, but for the one that needs a system of several versions.
        let is_raft = matches!(by_path.workload.system, System::Raft(_));
        assert_eq!(
            (is_raft, by_path.workload.nodes),
            if built_in.name == "mixed-versions" { (false, 3) } else { (true, 5) }
        );
        assert_eq!(by_path.workload.about, built_in.about());
        assert!(!built_in.about().is_empty());
        assert!(faults(&by_path.workload.faults) >= 10, "{} injects too little", built_in.name);
    }
}

#[test]
fn every_fault_plan_loads_under_every_workload_that_hopes_for_no_kind() {
    for built_in in builtin::faults() {
        for given in [built_in.name.to_owned(), built_in.file.to_owned()] {
            let loaded =
                load(Path::new("partition"), &[format!("faults={given}")]).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(loaded.workload.faults.name, built_in.name);
            assert_eq!(loaded.workload.faults.about, built_in.about());
            assert!(!built_in.about().is_empty());
            assert!(faults(&loaded.workload.faults) >= 1);
        }
    }
}

#[test]
fn the_main_workload_isolates_the_leader_fifteen_times() {
    let workload = load(Path::new("partition"), &[]).unwrap().workload;
    let StepAction::Repeat { times: 15, steps, .. } = &workload.faults.steps[1].action else {
        panic!("{:?}", workload.faults.steps)
    };
    assert!(matches!(&steps[0].action, StepAction::Fault { fault: Fault::Partition(..), .. }));
    assert_eq!(steps[0].number, 2);
    let place = &steps[0].place;
    assert_eq!((place.file.as_str(), place.line, place.column), ("faults/isolate-leader.yaml", 10, 9));
}

#[test]
fn every_step_beside_one_of_jepsens_names_loads() {
    let page = std::fs::read_to_string(root().join("faults/README.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let steps = rows.flat_map(|row| row.rsplit("| ").next().unwrap().split('`').skip(1).step_by(2));
    let steps: Vec<&str> = steps.filter(|step| step.starts_with('{')).collect();
    assert!(steps.len() >= 30, "{} steps", steps.len());
    for step in steps {
        // Undoing needs something done.
        let plan = format!("faults={{ steps: [{{ kill: n1 }}, {{ pause: n2 }}, {{ partition: halves }}, {step}] }}");
        load(Path::new("partition"), &[plan, "expect={}".to_owned()])
            .unwrap_or_else(|errors| panic!("{step}\n{errors}"));
    }
}
