//! Every fault plan that is shipped runs in the simulator, or says at its head what the simulator lacks for it.

use chaos_engine::Finished;
use chaos_history::{Event, FaultEdge, Seed};
use chaos_plan::{Workload, builtin, load};
use chaos_sim::{Keep, SimError, SimOptions, simulate};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn workload(file: &str) -> Workload {
    // So few questions that all plans take seconds together.
    let overrides = [format!("faults={ROOT}/{file}"), "observe.every=20ms".to_owned()];
    load("kill".as_ref(), &overrides).unwrap_or_else(|errors| panic!("{file}: {errors}")).workload
}

/// The plan's faults begin, end and leave nothing broken behind; or the refusal stands at the head of the file.
fn runs_or_says_why(file: &str, text: &str) {
    let workload = workload(file);
    let said = text.lines().take_while(|line| line.starts_with('#')).find(|line| line.contains("Not in the simulator"));
    match simulate(&workload, Seed(3), &SimOptions::default()) {
        Ok(simulated) => {
            assert!(said.is_none(), "{file}: it runs, yet it says: {said:?}");
            assert!(
                matches!(simulated.finished, Finished::Completed | Finished::LimitReached),
                "{file}: {:?}",
                simulated.finished
            );
            let faults: Vec<_> = simulated
                .history
                .events
                .iter()
                .filter_map(|recorded| if let Event::Fault(fault) = &recorded.event { Some(fault) } else { None })
                .collect();
            let of = |edge| faults.iter().filter(|fault| fault.edge == edge).count();
            assert!(of(FaultEdge::Begin) > 0, "{file}: no fault was injected");
            assert_eq!(of(FaultEdge::Begin), of(FaultEdge::End), "{file}: faults that don't end");
        }
        Err(SimError::Missing { kinds, .. }) => {
            let said =
                said.unwrap_or_else(|| panic!("{file}: its head does not say that the simulator lacks {kinds:?}"));
            for kind in kinds {
                let word = format!("`{}`", kind.name());
                let why = chaos_sim::lack(kind).expect("what is missing is lacking");
                assert!(said.contains(&word) && text.contains(why), "{file}: {said:?} does not name {word} ({why})");
            }
        }
        Err(error) => panic!("{file}: {error}"),
    }
}

#[test]
fn every_shipped_fault_plan_runs_in_the_simulator_or_says_what_it_lacks() {
    for plan in builtin::faults() {
        runs_or_says_why(plan.file, plan.text);
    }
}

#[test]
fn every_shipped_workload_of_the_reference_node_runs_and_others_are_refused() {
    for built_in in builtin::workloads() {
        let workload = load(built_in.name.as_ref(), &[]).unwrap_or_else(|errors| panic!("{errors}")).workload;
        let is_ours = matches!(workload.system, chaos_plan::System::Raft(_));
        let options = SimOptions { keep: Keep::Nothing, ..SimOptions::default() };
        match simulate(&workload, Seed(1), &options) {
            Ok(simulated) => {
                assert!(is_ours && simulated.operations.ok > 0, "{}: {:?}", built_in.name, simulated.operations);
            }
            Err(SimError::NotOurs(system)) => {
                assert!(!is_ours && system == workload.system.name(), "{}: {system}", built_in.name);
            }
            Err(error) => panic!("{}: {error}", built_in.name),
        }
    }
}
