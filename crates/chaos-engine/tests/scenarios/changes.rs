//! The system's own operations: leadership that is handed over, members that go and come back.

use chaos_engine::FaultChange;
use chaos_history::{FaultEdge, NodeId};
use chaos_plan::{Fault, Hold, StepAction, Target};

use crate::audit::{Run, audited};
use crate::fake_world::Quirks;
use crate::plans::{await_stable, fault_step, lasting, ms, nodes, range, together, wait, workload};

fn under(count: usize, steps: Vec<StepAction>) -> Run {
    audited(&workload(count, steps), 1, Quirks::default())
}

fn transfer(to: Option<Target>) -> StepAction {
    fault_step(Fault::Transfer { to }, Hold::For(range(0, 0)))
}

#[test]
fn a_transfer_aims_at_the_leader_of_the_moment_and_at_one_other_node() {
    let to_three = || transfer(Some(nodes(&[3])));
    let follower = || transfer(Some(Target::Follower));
    let steps = vec![to_three(), await_stable(300, 5_000), follower(), await_stable(300, 5_000), transfer(None)];
    let run = under(3, steps);
    let begins = run.edges(FaultEdge::Begin);
    assert_eq!(begins.len(), 3, "{:?}", run.remarks());
    for (_, fault) in &begins {
        let (leader, _) = fault.leader.unwrap();
        assert_eq!(fault.nodes, [leader]);
        let FaultChange::Transfer { to } = fault.change else { panic!("{fault:?}") };
        assert_ne!(to, Some(leader));
    }
    assert_eq!(begins[0].1.change, FaultChange::Transfer { to: Some(NodeId::new(3)) });
    assert_eq!(begins[1].1.leader.unwrap().0, NodeId::new(3), "it took over");
    assert!(matches!(begins[1].1.change, FaultChange::Transfer { to: Some(_) }));
    assert_eq!(begins[2].1.change, FaultChange::Transfer { to: None });
    assert!(run.edges(FaultEdge::End).iter().all(|(_, fault)| fault.change == FaultChange::Relax));
    assert!(run.remarked(&["`transfer leadership to n3`: to n3"]), "{:?}", run.remarks());
}

#[test]
fn a_transfer_to_whoever_leads_already_is_skipped() {
    let to_three = || transfer(Some(nodes(&[3])));
    let run = under(3, vec![to_three(), await_stable(300, 5_000), to_three()]);
    assert_eq!(run.edges(FaultEdge::Begin).len(), 1);
    assert!(run.remarked(&["skipped `transfer leadership to n3`"]), "{:?}", run.remarks());
}

#[test]
fn a_removed_member_is_added_again_whatever_ends_the_run() {
    let remove = |target| lasting(Fault::RemoveMember { target }, 1_000, 1_000);
    let steps = || vec![remove(Target::Leader), await_stable(300, 5_000), remove(Target::Follower)];
    let whole = under(5, steps());
    let at = whole.edges(FaultEdge::Begin)[0].0 + ms(500);
    let half = audited(&workload(5, steps()), 1, Quirks { interrupts: vec![at], ..Quirks::default() });
    for (run, count) in [(whole, 2), (half, 1)] {
        let (begins, ends) = (run.edges(FaultEdge::Begin), run.edges(FaultEdge::End));
        assert_eq!((begins.len(), ends.len()), (count, count), "{:?}", run.remarks());
        for ((_, begin), (_, end)) in begins.iter().zip(&ends) {
            assert_eq!((&begin.change, &end.change), (&FaultChange::RemoveMember, &FaultChange::AddMember));
            assert_eq!(begin.nodes, end.nodes);
        }
        assert_eq!(begins[0].1.nodes, [begins[0].1.leader.unwrap().0]);
    }
}

#[test]
fn who_is_removed_is_not_removed_twice() {
    let remove = |target| lasting(Fault::RemoveMember { target }, 1_000, 1_000);
    let beside = together(vec![vec![remove(nodes(&[2]))], vec![wait(300, 300), remove(nodes(&[2, 3]))]]);
    let run = under(5, vec![beside]);
    let hit: Vec<Vec<NodeId>> = run.edges(FaultEdge::Begin).iter().map(|(_, fault)| fault.nodes.clone()).collect();
    assert_eq!(hit, [vec![NodeId::new(2)], vec![NodeId::new(3)]]);
}
