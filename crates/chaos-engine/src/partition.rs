//! The shapes of partitions as sets of directed links.
//!
//! The shapes are Jepsen's (`jepsen.nemesis`: `partition-random-halves`, `bridge`, `majorities-ring`), and more. The ring:
//! nodes stand in a random circle and see their nearest neighbours on both sides, just as many as a majority takes. Jepsen
//! draws rings of more than five nodes by chance; here they are exact. A node needs `n / 2` neighbours (rounded down) beside
//! itself. If that is even, half of them stand on each side; if it is odd and `n` is even, the node opposite is the odd one; if both
//! are odd, no graph gives every node just so many (the sum of all degrees is even), and each side gets one more.

use std::collections::BTreeSet;

use chaos_history::{Link, NodeId};
use chaos_plan::{LinkSelector, Partition, Ways};

use crate::random::Stream;
use crate::target::{self, Scene, Unresolved};

/// A partition, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The nodes aimed at: the targets; for halves and the ring, which have none, one half and all nodes.
    pub(crate) nodes: Vec<NodeId>,
    /// What is cut.
    pub(crate) links: BTreeSet<Link>,
}

/// Resolves the shape at this moment.
pub(crate) fn resolve(partition: &Partition, scene: Scene<'_>, stream: &mut Stream) -> Result<Cut, Unresolved> {
    let view = scene.view;
    let all: Vec<NodeId> = view.all().collect();
    // Who is cut off from everybody else has no service either; every other shape leaves the service in reach of all.
    let everybody: Vec<NodeId> = view.all().chain(view.service()).collect();
    let none = BTreeSet::new();
    let cut = match partition {
        Partition::Isolate(target) => {
            let nodes = target::resolve(target, &none, scene, stream)?;
            let links = between_groups(&[nodes.clone(), without(&everybody, &nodes)]);
            Cut { nodes, links }
        }
        Partition::Halves => {
            let (one, other) = halves(all, stream);
            Cut { links: between_groups(&[one.clone(), other]), nodes: one }
        }
        Partition::Groups(targets) => {
            let mut groups: Vec<Vec<NodeId>> = Vec::new();
            let mut taken = BTreeSet::new();
            for group in targets {
                // Whoever stands in an earlier group stays there.
                let mut nodes = target::resolve(group, &taken, scene, stream)?;
                nodes.retain(|node| taken.insert(*node));
                groups.push(nodes);
            }
            let nodes: Vec<NodeId> = taken.into_iter().collect();
            groups.push(without(&all, &nodes));
            Cut { links: between_groups(&groups), nodes }
        }
        Partition::OneWay { from, to } => {
            let nodes = target::resolve(from, &none, scene, stream)?;
            let to = match to {
                Some(to) => target::resolve(to, &nodes.iter().copied().collect(), scene, stream)?,
                None => everybody,
            };
            let links = directed(&nodes, &without(&to, &nodes)).collect();
            Cut { nodes, links }
        }
        Partition::MajoritiesRing => Cut { links: ring(all.clone(), stream), nodes: all },
        Partition::Bridge(target) => {
            let nodes = target::resolve(target, &none, scene, stream)?;
            let (one, other) = halves(without(&all, &nodes), stream);
            Cut { links: between_groups(&[one, other]), nodes }
        }
        Partition::Cut(selectors) => return chosen(selectors, scene, stream),
    };
    if cut.links.is_empty() { Err(Unresolved::Nothing) } else { Ok(cut) }
}

/// Just these links.
pub(crate) fn chosen(selectors: &[LinkSelector], scene: Scene<'_>, stream: &mut Stream) -> Result<Cut, Unresolved> {
    let none = BTreeSet::new();
    let (mut aimed_at, mut links) = (BTreeSet::new(), BTreeSet::new());
    for LinkSelector { from, to, ways } in selectors {
        let from = target::resolve(from, &none, scene, stream)?;
        // Who is drawn is drawn from the others; who is named is named.
        let to = target::resolve(to, &from.iter().copied().collect(), scene, stream)?;
        links.extend(directed(&from, &to).chain(directed(&to, &from).filter(|_| *ways == Ways::Both)));
        aimed_at.extend(from);
        aimed_at.extend(to.into_iter().filter(|_| *ways == Ways::Both));
    }
    // Where the two ends have a node in common, it goes on reaching itself.
    links.retain(|link| link.from != link.to);
    if links.is_empty() { Err(Unresolved::Nothing) } else { Ok(Cut { nodes: aimed_at.into_iter().collect(), links }) }
}

/// Those of the nodes that are not among `others`.
fn without(nodes: &[NodeId], others: &[NodeId]) -> Vec<NodeId> {
    nodes.iter().copied().filter(|node| !others.contains(node)).collect()
}

/// Every link from one of these to one of those.
fn directed(from: &[NodeId], to: &[NodeId]) -> impl Iterator<Item = Link> {
    from.iter().flat_map(|from| to.iter().map(|to| Link { from: *from, to: *to }))
}

/// Every link between nodes of different groups.
fn between_groups(groups: &[Vec<NodeId>]) -> BTreeSet<Link> {
    let mut links = BTreeSet::new();
    for (index, group) in groups.iter().enumerate() {
        for other in &groups[index + 1..] {
            links.extend(directed(group, other).chain(directed(other, group)));
        }
    }
    links
}

/// The nodes in two halves, drawn; of an odd number either may be the larger.
fn halves(mut nodes: Vec<NodeId>, stream: &mut Stream) -> (Vec<NodeId>, Vec<NodeId>) {
    stream.shuffle(&mut nodes);
    let larger = stream.below(2) == 1;
    let size = if larger { nodes.len().div_ceil(2) } else { nodes.len() / 2 };
    let mut other = nodes.split_off(size);
    nodes.sort_unstable();
    other.sort_unstable();
    (nodes, other)
}

/// The links that are missing in a majorities ring: see the module's text.
fn ring(mut nodes: Vec<NodeId>, stream: &mut Stream) -> BTreeSet<Link> {
    stream.shuffle(&mut nodes);
    let count = nodes.len();
    let neighbours = count / 2;
    let opposite = neighbours % 2 == 1 && count.is_multiple_of(2);
    let each_side = if opposite { neighbours / 2 } else { neighbours.div_ceil(2) };
    let mut links = BTreeSet::new();
    for one in 0..count {
        for other in 0..count {
            let apart = one.abs_diff(other).min(count - one.abs_diff(other));
            let sees = apart <= each_side || (opposite && apart == count / 2);
            if !sees {
                links.insert(Link { from: nodes[one], to: nodes[other] });
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use crate::view::ClusterView;
    use crate::view::tests::{led, n};
    use chaos_history::{RunNanos, Seed};
    use chaos_plan::Target;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const NOW: RunNanos = RunNanos(10_000_000);

    fn seen(partition: &Partition, view: &ClusterView, seed: u64) -> Result<Cut, Unresolved> {
        let named = BTreeMap::new();
        let scene = Scene { view, leader: view.working_leader(NOW), named: &named };
        resolve(partition, scene, &mut random::stream(Seed(seed), "test"))
    }

    fn cut(partition: &Partition, nodes: usize, seed: u64) -> Result<Cut, Unresolved> {
        seen(partition, &led(nodes, 1), seed)
    }

    /// Whom the node hears, itself included.
    fn heard(node: NodeId, nodes: usize, links: &BTreeSet<Link>) -> BTreeSet<NodeId> {
        NodeId::all(nodes).filter(|from| !links.contains(&Link { from: *from, to: node })).collect()
    }

    fn symmetric(links: &BTreeSet<Link>) -> bool {
        links.iter().all(|link| links.contains(&Link { from: link.to, to: link.from }) && link.from != link.to)
    }

    #[test]
    fn who_is_isolated_has_no_service_either_and_other_shapes_leave_it_in_reach() {
        let view = led(3, 1).with_service(2);
        let links = |partition: &Partition| seen(partition, &view, 1).unwrap().links;
        let cut_from = |links: &BTreeSet<Link>, node: u16| {
            let from = links.iter().filter(|link| link.to == n(node)).map(|link| link.from.number());
            from.collect::<Vec<u16>>()
        };
        let leader = links(&Partition::Isolate(Target::Leader));
        assert!(symmetric(&leader));
        assert_eq!(cut_from(&leader, 1), [2, 3, 4, 5]);
        assert_eq!(cut_from(&leader, 4), [1], "the service nodes see each other and everybody else");
        let service = links(&Partition::Isolate(Target::Service));
        assert_eq!((cut_from(&service, 1), cut_from(&service, 5)), (vec![4, 5], vec![1, 2, 3]));
        let one = links(&Partition::Isolate(Target::Nodes(vec![n(5)])));
        assert_eq!((cut_from(&one, 5), cut_from(&one, 4)), (vec![1, 2, 3, 4], vec![5]));
        let one_way = links(&Partition::OneWay { from: Target::Leader, to: None });
        assert_eq!(one_way.into_iter().map(|link| link.to.number()).collect::<Vec<_>>(), [2, 3, 4, 5]);
        for partition in [Partition::Halves, Partition::Bridge(Target::Leader), Partition::Groups(vec![Target::Leader])]
        {
            assert!(
                links(&partition).iter().all(|link| link.from.number() <= 3 && link.to.number() <= 3),
                "{partition:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn in_a_ring_every_node_sees_a_majority_and_no_two_the_same(nodes in 4_usize..=9, seed: u64) {
            let links = cut(&Partition::MajoritiesRing, nodes, seed).unwrap().links;
            prop_assert!(symmetric(&links));
            let seen: BTreeSet<_> = NodeId::all(nodes).map(|node| heard(node, nodes, &links)).collect();
            prop_assert_eq!(seen.len(), nodes);
            let majority = nodes / 2 + 1;
            for view in seen {
                // Seven nodes are the one count up to nine where a bare majority for all is impossible.
                prop_assert!(view.len() == majority || (nodes == 7 && view.len() == majority + 1));
            }
        }

        #[test]
        fn the_halves_of_a_bridge_meet_only_there(nodes in 3_usize..=9, seed: u64) {
            let Cut { nodes: bridge, links } = cut(&Partition::Bridge(Target::Random), nodes, seed).unwrap();
            prop_assert!(symmetric(&links));
            prop_assert_eq!(bridge.len(), 1);
            prop_assert_eq!(heard(bridge[0], nodes, &links).len(), nodes);
            let sides: BTreeSet<_> = NodeId::all(nodes)
                .filter(|node| *node != bridge[0])
                .map(|node| heard(node, nodes, &links).into_iter().filter(|other| *other != bridge[0]).collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(sides.len(), 2);
            let sizes: Vec<usize> = sides.iter().map(Vec::len).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), nodes - 1);
            prop_assert!(sizes[0].abs_diff(sizes[1]) <= 1);
        }

        #[test]
        fn halves_are_halves(nodes in 2_usize..=9, seed: u64) {
            let Cut { nodes: one, links } = cut(&Partition::Halves, nodes, seed).unwrap();
            prop_assert!(symmetric(&links));
            prop_assert!(one.len() == nodes / 2 || one.len() == nodes.div_ceil(2));
            prop_assert_eq!(links.len(), 2 * one.len() * (nodes - one.len()));
        }

        #[test]
        fn one_way_leaves_the_way_back(nodes in 2_usize..=9, seed: u64) {
            let cut = cut(&Partition::OneWay { from: Target::Leader, to: None }, nodes, seed).unwrap();
            prop_assert_eq!(cut.links.len(), nodes - 1);
            prop_assert!(cut.links.iter().all(|link| link.from == n(1)));
        }
    }

    #[test]
    fn either_half_of_an_odd_cluster_may_be_the_larger() {
        let sizes: BTreeSet<usize> =
            (0..20).map(|seed| cut(&Partition::Halves, 5, seed).unwrap().nodes.len()).collect();
        assert_eq!(sizes, BTreeSet::from([2, 3]));
    }

    #[test]
    fn the_isolated_still_see_each_other() {
        let isolated = Partition::Isolate(Target::Nodes(vec![n(2), n(4)]));
        let links = cut(&isolated, 5, 1).unwrap().links;
        assert_eq!(heard(n(2), 5, &links), BTreeSet::from([n(2), n(4)]));
        assert_eq!(heard(n(1), 5, &links), BTreeSet::from([n(1), n(3), n(5)]));
    }

    #[test]
    fn nodes_that_no_group_names_form_one_more() {
        let groups = Partition::Groups(vec![Target::Leader, Target::Nodes(vec![n(1), n(2)])]);
        let links = cut(&groups, 5, 1).unwrap().links;
        assert_eq!(heard(n(1), 5, &links), BTreeSet::from([n(1)]));
        assert_eq!(heard(n(2), 5, &links), BTreeSet::from([n(2)]));
        assert_eq!(heard(n(3), 5, &links), BTreeSet::from([n(3), n(4), n(5)]));
    }

    #[test]
    fn links_are_cut_one_by_one_and_only_the_ways_that_are_named() {
        let link = |from, to, ways| LinkSelector { from, to, ways };
        let node = |number| Target::Nodes(vec![n(number)]);
        let cut_of = |links| cut(&Partition::Cut(links), 5, 1);
        let links = cut_of(vec![link(Target::Leader, node(2), Ways::One), link(node(3), node(4), Ways::Both)]).unwrap();
        let expect = [(1, 2), (3, 4), (4, 3)].map(|(from, to)| Link { from: n(from), to: n(to) });
        assert_eq!((links.links, links.nodes), (BTreeSet::from(expect), vec![n(1), n(3), n(4)]));
        // Who stands on both ends still reaches itself, and a second draw finds somebody else.
        let overlapping = cut_of(vec![link(node(1), Target::All, Ways::One)]).unwrap();
        assert_eq!(overlapping.links.len(), 4);
        for seed in 0..20 {
            let drawn = Partition::Cut(vec![link(Target::Follower, Target::Follower, Ways::Both)]);
            assert_eq!(cut(&drawn, 3, seed).unwrap().links.len(), 2);
        }
        assert_eq!(cut_of(vec![link(node(1), node(1), Ways::Both)]), Err(Unresolved::Nothing));
    }

    #[test]
    fn a_partition_that_cuts_nothing_is_none() {
        assert_eq!(cut(&Partition::Isolate(Target::All), 3, 1), Err(Unresolved::Nothing));
        assert_eq!(cut(&Partition::MajoritiesRing, 2, 1), Err(Unresolved::Nothing));
    }
}
