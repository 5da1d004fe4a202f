//! Faults that last until something is seen, and faults of one process.

use chaos_engine::FaultChange;
use chaos_history::FaultEdge::{Begin, End};
use chaos_plan::{Fault, Hold, KillSignal, ProcessTarget, StepAction, Target, Until};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{fault_step, isolate, kill, lasting, ms, nodes, open, pause, wait, workload};

fn under(count: usize, steps: Vec<StepAction>) -> Run {
    audited(&workload(count, steps), 1, Quirks::default())
}

fn until(fault: Fault, plus_ms: u64, within_ms: u64) -> StepAction {
    fault_step(fault, Hold::Until(Until { plus: ms(plus_ms), within: ms(within_ms) }))
}

fn agent() -> Option<ProcessTarget> {
    Some(ProcessTarget { name: "agent".to_owned(), with_children: false })
}

fn kill_agent(target: Target) -> Fault {
    Fault::Kill { target, process: agent(), signal: KillSignal::KILL }
}

fn pause_agent(target: Target) -> Fault {
    Fault::Pause { target, process: agent() }
}

#[test]
fn a_fault_lasts_until_another_node_leads_and_so_much_longer() {
    for fault in [pause(Target::Leader), kill(Target::Leader), isolate(Target::Leader)] {
        let run = under(5, vec![until(fault.clone(), 700, 20_000)]);
        let (begun, first) = run.edges(Begin)[0];
        let (ended, last) = run.edges(End)[0];
        assert_eq!((first.id, &last.source), (last.id, &first.source), "the plan itself ends it");
        // The toy world elects within a second; the fault alone would have lasted twenty.
        let lasted = ended.since(begun);
        assert!(lasted > ms(700) && lasted < ms(3_000), "{fault:?} {lasted:?}");
        let led = run.progress.iter().find(|(at, progress)| {
            *at > begun && progress.leader.is_some_and(|(node, _)| Some(node) != first.leader.map(|(node, _)| node))
        });
        let (led, _) = led.expect("somebody else leads");
        assert!(ended.since(*led) <= ms(701), "{fault:?}: counted from the first claim, which a majority follows");
        assert!(!run.remarked(&["nobody else led"]), "{:?}", run.remarks());
    }
}

#[test]
fn a_fault_that_unseats_nobody_ends_in_time_with_a_remark() {
    let run = under(5, vec![until(pause(Target::Follower), 700, 1_500), wait(100, 100)]);
    let lasted = run.edges(End)[0].0.since(run.edges(Begin)[0].0);
    assert!((ms(1_500)..ms(1_510)).contains(&lasted), "{lasted:?}");
    assert!(run.remarked(&["`pause follower` lasted 1.5s", "nobody else led", "named"]), "{:?}", run.remarks());
}

#[test]
fn a_fault_of_one_process_names_it_at_both_edges_and_leaves_the_node_in_the_game() {
    let run =
        under(3, vec![lasting(pause_agent(Target::Leader), 500, 500), lasting(kill_agent(nodes(&[2])), 500, 500)]);
    let edges: Vec<_> =
        run.faults().map(|(_, fault)| (fault.edge, fault.change.clone(), fault.label.as_str())).collect();
    let expect = [
        (Begin, FaultChange::Pause, "pause agent of leader"),
        (End, FaultChange::Resume, "pause agent of leader"),
        (Begin, FaultChange::Kill(KillSignal::KILL), "kill agent of n2"),
        (End, FaultChange::Restart, "kill agent of n2"),
    ];
    assert_eq!(edges, expect);
    assert!(run.faults().all(|(_, fault)| fault.process == agent()), "{:?}", run.faults().collect::<Vec<_>>());
    // Its node leads on, and may be aimed at as a node meanwhile.
    let run = under(3, vec![open(pause_agent(Target::Leader)), lasting(kill(Target::Leader), 500, 500)]);
    assert_eq!(run.edges(Begin)[0].1.nodes, run.edges(Begin)[1].1.nodes);
}

#[test]
fn no_process_is_held_twice_by_one_kind_of_fault() {
    let steps = vec![open(pause_agent(nodes(&[1]))), open(pause_agent(Target::All)), open(pause_agent(nodes(&[1, 2])))];
    let run = under(3, steps);
    let begun: Vec<_> = run.edges(Begin).into_iter().map(|(_, fault)| fault.nodes.clone()).collect();
    let numbers: Vec<Vec<u16>> = begun.iter().map(|nodes| nodes.iter().map(|node| node.number()).collect()).collect();
    assert_eq!(numbers, [vec![1], vec![2, 3]]);
    assert!(run.remarked(&["skipped `pause agent of n1, n2`", "hit already"]), "{:?}", run.remarks());
    assert_eq!(run.edges(End).len(), 2, "and all are taken back in the end");
}
