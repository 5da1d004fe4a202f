//! Whom a fault hits: a plan's words (`leader`, `minority`) become nodes at the moment of injection, never earlier.
//!
//! `leader` is the *working* leader ([`ClusterView::working_leader`]): up, named by a majority, and connected with one. So a
//! plan that cuts the leader off and then kills `leader` waits for the successor and never hits the deposed one again; that
//! one is `old-leader`.
//!
//! Draws prefer nodes that run: a killed or paused node is drawn only when too few others are there. What is named outright
//! (`n1`, `all`, `followers`) is never replaced by something else; a kill or a pause leaves out those of them that are hit
//! already ([`still_to_hit`]), so that no node is ever held twice by one kind of fault.

use std::collections::{BTreeMap, BTreeSet};

use chaos_history::{FaultKind, Link, NodeId};
use chaos_plan::{Fault, Hindrance, ProcessTarget, Target};

use crate::random::Stream;
use crate::view::{ClusterView, Leader};

/// Why a target is no node at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// Nobody leads: that may change.
    NoLeader,
    /// There was only one leader so far.
    NoOldLeader,
    /// Nobody was seen to vote.
    NoVote,
    /// Nobody is left to be hit, or nothing to be cut.
    Nothing,
    /// The step whose target is meant has hit nobody yet.
    Unnamed,
}

/// What targets are resolved against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) view: &'a ClusterView,
    /// The leader that is meant by `leader`: the working one, at the moment of aiming.
    pub(crate) leader: Option<Leader>,
    /// Whom steps have hit that have a name.
    pub(crate) named: &'a BTreeMap<String, Vec<NodeId>>,
}

impl Unresolved {
    /// For remarks.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoLeader => "no majority named a leader that works",
            Self::NoOldLeader => "there was no leader before this one",
            Self::NoVote => "nobody was seen to vote for another node",
            Self::Nothing => "it would hit nothing that isn't hit already",
            Self::Unnamed => "the step whose target it names hit nobody",
        }
    }
}

/// The target's nodes in order. Nodes of `avoid` are drawn only when too few others are there.
pub(crate) fn resolve(
    target: &Target,
    avoid: &BTreeSet<NodeId>,
    scene: Scene<'_>,
    stream: &mut Stream,
) -> Result<Vec<NodeId>, Unresolved> {
    let view = scene.view;
    let leader = || scene.leader.map(|(node, _)| node).ok_or(Unresolved::NoLeader);
    let all: Vec<NodeId> = view.all().collect();
    let but = |left_out: &[NodeId]| all.iter().copied().filter(|node| !left_out.contains(node)).collect::<Vec<_>>();
    let mut draw =
        |from: Vec<NodeId>, count: usize| drawn(from, count, |node| avoid.contains(&node) || !view.is_up(node), stream);
    let minority = view.members() - view.majority();
    let mut nodes = match target {
        Target::Leader => vec![leader()?],
        Target::OldLeader => vec![view.old_leader().ok_or(Unresolved::NoOldLeader)?],
        Target::Voter => vec![view.voter().ok_or(Unresolved::NoVote)?],
        Target::Follower => draw(but(&[leader()?]), 1),
        Target::Followers => but(&[leader()?]),
        Target::Random => draw(all, 1),
        Target::Majority => draw(all, view.majority()),
        Target::Minority => draw(all, minority),
        Target::MinorityWithLeader if minority == 0 => Vec::new(),
        Target::MinorityWithLeader => {
            let leader = leader()?;
            let mut nodes = draw(but(&[leader]), minority - 1);
            nodes.push(leader);
            nodes
        }
        Target::All => all,
        Target::Service => view.service().collect(),
        Target::Nodes(nodes) => nodes.clone(),
        Target::AllBut(target) => but(&resolve(target, avoid, scene, stream)?),
        Target::Named(name) => scene.named.get(name).ok_or(Unresolved::Unnamed)?.clone(),
    };
    nodes.sort_unstable();
    nodes.dedup();
    if nodes.is_empty() { Err(Unresolved::Nothing) } else { Ok(nodes) }
}

/// The target's nodes among those that a fault holds, for bringing them back. Here `leader` is the last one that was named:
/// whoever is down leads nothing any more.
pub(crate) fn among(
    target: &Target,
    held: &BTreeSet<NodeId>,
    scene: Scene<'_>,
    stream: &mut Stream,
) -> BTreeSet<NodeId> {
    let view = scene.view;
    let last = view.last_leader();
    let but_last = || held.iter().copied().filter(|node| Some(*node) != last).collect::<Vec<_>>();
    let mut draw = |from: Vec<NodeId>, count: usize| drawn(from, count, |_| false, stream);
    let all: Vec<NodeId> = held.iter().copied().collect();
    let minority = view.members() - view.majority();
    let chosen: Vec<NodeId> = match target {
        Target::Leader => last.into_iter().collect(),
        Target::OldLeader => view.old_leader().into_iter().collect(),
        Target::Voter => view.voter().into_iter().collect(),
        Target::Follower => draw(but_last(), 1),
        Target::Followers => but_last(),
        Target::Random => draw(all, 1),
        Target::Majority => draw(all, view.majority()),
        Target::Minority => draw(all, minority),
        Target::MinorityWithLeader => {
            let mut nodes = draw(but_last(), minority.saturating_sub(1));
            nodes.extend(last);
            nodes
        }
        Target::All => all,
        Target::Service => view.service().collect(),
        Target::Nodes(nodes) => nodes.clone(),
        Target::AllBut(target) => {
            let but = among(target, held, scene, stream);
            all.into_iter().filter(|node| !but.contains(node)).collect()
        }
        Target::Named(name) => scene.named.get(name).cloned().unwrap_or_default(),
    };
    chosen.into_iter().filter(|node| held.contains(node)).collect()
}

/// So many of the nodes, drawn; those that are `worse` only if the others don't suffice. Always the same number of draws for
/// the same number of nodes.
fn drawn(mut from: Vec<NodeId>, count: usize, worse: impl Fn(NodeId) -> bool, stream: &mut Stream) -> Vec<NodeId> {
    stream.shuffle(&mut from);
    from.sort_by_key(|node| worse(*node));
    from.truncate(count);
    from
}

/// Those of the nodes that the fault can still hit. Faults that stop and resume a node's threads, each in its own time, are not
/// mixed on one node, and neither are those that kill and start it.
pub(crate) fn still_to_hit(
    mut nodes: Vec<NodeId>,
    fault: &Fault,
    view: &ClusterView,
) -> Result<Vec<NodeId>, Unresolved> {
    let mut unless = |held: &dyn Fn(NodeId) -> bool| nodes.retain(|node| !held(*node));
    let slowed = |node| view.is_hindered(FaultKind::Slow, node);
    let crashing = |node| view.is_hindered(FaultKind::CrashLoop, node);
    match fault {
        Fault::Kill { process, .. } => {
            unless(&crashing);
            still_to_kill(nodes, process.as_ref(), view)
        }
        Fault::PowerLoss { .. } => {
            unless(&crashing);
            still_to_kill(nodes, None, view)
        }
        Fault::Pause { process, .. } => {
            unless(&slowed);
            still_to_pause(nodes, process.as_ref(), view)
        }
        Fault::FreezeHost { .. } => {
            unless(&slowed);
            still_to_pause(nodes, None, view)
        }
        Fault::RemoveMember { .. } => {
            unless(&crashing);
            still_to_kill(nodes, None, view)
        }
        Fault::CrashLoop { .. } => {
            unless(&|node| crashing(node) || view.has_held(FaultKind::Kill, node));
            still_to_kill(nodes, None, view)
        }
        Fault::Hinder { how: Hindrance::Slow { .. }, .. } => {
            unless(&|node| slowed(node) || view.has_held(FaultKind::Pause, node));
            still_to_pause(nodes, None, view)
        }
        Fault::Hinder { .. } => {
            unless(&|node| view.is_hindered(fault.kind(), node));
            still_to_kill(nodes, None, view)
        }
        // What rots on a disk does so whether anybody runs or not.
        Fault::Partition(..) | Fault::Link { .. } | Fault::CorruptFile { .. } | Fault::Transfer { .. } => Ok(nodes),
    }
}

/// The links between these nodes and everybody, both ways.
pub(crate) fn legs(nodes: &[NodeId], view: &ClusterView) -> Vec<Link> {
    let all: Vec<NodeId> = view.all().chain(view.service()).collect();
    let links = all.iter().flat_map(|&from| all.iter().map(move |&to| Link { from, to }));
    links.filter(|link| link.from != link.to && (nodes.contains(&link.from) || nodes.contains(&link.to))).collect()
}

/// Those of the nodes that have a process to end: any, or this one.
fn still_to_kill(
    mut nodes: Vec<NodeId>,
    process: Option<&ProcessTarget>,
    view: &ClusterView,
) -> Result<Vec<NodeId>, Unresolved> {
    let held = |node: NodeId| process.is_some_and(|process| view.is_held(FaultKind::Kill, node, &process.name));
    nodes.retain(|node| !view.is_down(*node) && !held(*node));
    if nodes.is_empty() { Err(Unresolved::Nothing) } else { Ok(nodes) }
}

/// Those of the nodes that have a process that runs: any, or this one.
fn still_to_pause(
    mut nodes: Vec<NodeId>,
    process: Option<&ProcessTarget>,
    view: &ClusterView,
) -> Result<Vec<NodeId>, Unresolved> {
    let held = |node: NodeId| {
        let by = |process: &ProcessTarget, kind| view.is_held(kind, node, &process.name);
        process.is_some_and(|process| by(process, FaultKind::Pause) || by(process, FaultKind::Kill))
    };
    nodes.retain(|node| view.is_up(*node) && !held(*node));
    if nodes.is_empty() { Err(Unresolved::Nothing) } else { Ok(nodes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::view::tests::{led, n};
    use chaos_history::{NodeLife, RunNanos, Seed};

    const NOW: RunNanos = RunNanos(10_000_000);

    fn nodes(target: &Target, view: &ClusterView, seed: u64) -> Result<Vec<u16>, Unresolved> {
        let mut stream = random::stream(Seed(seed), "test");
        let named = BTreeMap::from([("two".to_owned(), vec![n(2), n(4)])]);
        let scene = Scene { view, leader: view.working_leader(NOW), named: &named };
        resolve(target, &BTreeSet::new(), scene, &mut stream)
            .map(|nodes| nodes.iter().map(|node| node.number()).collect())
    }

    #[test]
    fn every_target_has_its_size_and_its_relation_to_the_leader() {
        let view = led(5, 3);
        for seed in 0..50 {
            let cases = [
                (Target::Leader, 1, Some(true)),
                (Target::Follower, 1, Some(false)),
                (Target::Followers, 4, Some(false)),
                (Target::Random, 1, None),
                (Target::Majority, 3, None),
                (Target::Minority, 2, None),
                (Target::MinorityWithLeader, 2, Some(true)),
                (Target::All, 5, Some(true)),
                (Target::Nodes(vec![n(4), n(2)]), 2, Some(false)),
                (Target::Named("two".to_owned()), 2, Some(false)),
                (Target::AllBut(Box::new(Target::Named("two".to_owned()))), 3, Some(true)),
                (Target::AllBut(Box::new(Target::Leader)), 4, Some(false)),
                (Target::AllBut(Box::new(Target::Follower)), 4, Some(true)),
            ];
            for (target, size, with_leader) in cases {
                let chosen = nodes(&target, &view, seed).unwrap();
                assert_eq!(chosen.len(), size, "{target:?}");
                assert!(chosen.is_sorted(), "{target:?}");
                assert!(with_leader.is_none_or(|with| chosen.contains(&3) == with), "{target:?} {chosen:?}");
            }
        }
    }

    #[test]
    fn who_is_down_is_drawn_only_when_too_few_others_are_there() {
        let mut view = led(5, 3);
        for node in [1, 2] {
            view.node(n(node), &NodeLife::Exited { code: Some(1), signal: None, expected: false });
        }
        for seed in 0..50 {
            assert!(!nodes(&Target::Random, &view, seed).unwrap().iter().any(|node| *node < 3));
            assert_eq!(nodes(&Target::Majority, &view, seed).unwrap(), [3, 4, 5]);
            let four =
                drawn(view.all().collect(), 4, |node| !view.is_up(node), &mut random::stream(Seed(seed), "four"));
            assert!([3, 4, 5].map(n).iter().all(|node| four.contains(node)));
        }
        assert_eq!(still_to_kill(vec![n(1), n(3)], None, &view), Ok(vec![n(3)]));
        assert_eq!(still_to_pause(vec![n(1), n(2)], None, &view), Err(Unresolved::Nothing));
    }

    #[test]
    fn without_a_leader_only_targets_that_need_none_resolve() {
        let view = ClusterView::new(3, std::time::Duration::from_millis(5), chaos_history::Testimony::default());
        let but_leader = Target::AllBut(Box::new(Target::Leader));
        for target in [Target::Leader, Target::Follower, Target::Followers, Target::MinorityWithLeader, but_leader] {
            assert!(target.needs_leader(), "{target:?}");
            assert_eq!(nodes(&target, &view, 1), Err(Unresolved::NoLeader), "{target:?}");
        }
        assert_eq!(nodes(&Target::Named("first".to_owned()), &view, 1), Err(Unresolved::Unnamed));
        assert_eq!(nodes(&Target::OldLeader, &view, 1), Err(Unresolved::NoOldLeader));
        assert_eq!(nodes(&Target::Voter, &view, 1), Err(Unresolved::NoVote));
        assert_eq!(nodes(&Target::All, &view, 1).unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_cluster_without_a_minority_has_nobody_to_offer() {
        assert_eq!(nodes(&Target::Minority, &led(2, 1), 1), Err(Unresolved::Nothing));
        assert_eq!(nodes(&Target::MinorityWithLeader, &led(1, 1), 1), Err(Unresolved::Nothing));
    }

    #[test]
    fn bringing_back_chooses_among_the_held_only() {
        let view = led(5, 3);
        let held = BTreeSet::from([n(2), n(3)]);
        let mut stream = random::stream(Seed(1), "test");
        let named = BTreeMap::from([("two".to_owned(), vec![n(2), n(4)])]);
        let scene = Scene { view: &view, leader: None, named: &named };
        let mut back = |target| among(&target, &held, scene, &mut stream);
        assert_eq!(back(Target::Leader), BTreeSet::from([n(3)]));
        assert_eq!(back(Target::Followers), BTreeSet::from([n(2)]));
        assert_eq!(back(Target::Nodes(vec![n(1), n(2)])), BTreeSet::from([n(2)]));
        assert_eq!(back(Target::Named("two".to_owned())), BTreeSet::from([n(2)]));
        assert_eq!(back(Target::AllBut(Box::new(Target::Named("two".to_owned())))), BTreeSet::from([n(3)]));
        assert_eq!(back(Target::All), held);
    }
}
