//! Every workload and fault plan that chaos ships runs to its end in the toy world.

use std::path::Path;

use chaos_engine::Finished;
use chaos_history::FaultEdge;

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;

fn runs_to_its_end(workload: &str, overrides: &[String]) -> Run {
    let loaded = chaos_plan::load(Path::new(workload), overrides)
        .unwrap_or_else(|error| panic!("{workload} {overrides:?}: {error:?}"));
    let run = audited(&loaded.workload, 7, Quirks::default());
    assert_eq!(run.finished, Finished::Completed, "{workload} {overrides:?}");
    assert!(run.edges(FaultEdge::Begin).len() >= 2, "{workload} {overrides:?}");
    assert!(!run.remarked(&["skipped"]), "{workload} {overrides:?}: {:?}", run.remarks());
    // The toy world shows no votes.
    let is_in_vain = |remark: &str| remark.contains("in vain") && !remark.contains("in vain for a vote");
    assert!(!run.remarks().iter().any(|remark| is_in_vain(remark)), "{workload} {overrides:?}: {:?}", run.remarks());
    run
}

#[test]
fn every_shipped_workload_runs_to_its_end() {
    for workload in chaos_plan::builtin::workloads() {
        runs_to_its_end(workload.name, &[]);
    }
}

#[test]
fn every_shipped_fault_plan_runs_to_its_end() {
    for plan in chaos_plan::builtin::faults() {
        let run = runs_to_its_end("partition", &[format!("faults={}", plan.file)]);
        let last = &run.progress.last().expect("a run has an end").1;
        assert!(last.faults_total.is_none_or(|total| total == last.faults_done), "{}", plan.name);
    }
}
