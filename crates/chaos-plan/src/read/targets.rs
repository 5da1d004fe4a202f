//! Whom faults aim at, and the shapes of partitions.
//!
//! What can be known before a run is checked here: that nodes exist, that a group leaves somebody on the other side, that
//! the cluster is large enough for the shape. Who the leader is, is known only when the fault is injected.

use std::collections::BTreeSet;

use chaos_history::NodeId;

use super::{Field, Reader};
use crate::error::Mistake;
use crate::fault::{Fault, Partition};
use crate::model::Target;
use crate::source::Place;
use crate::words;
use crate::yaml::NodeKind;

impl Reader {
    /// Reads `leader`, `n3` or `[n1, n2]`. With a mistake noted, any target comes back.
    pub(super) fn target(&mut self, field: Field<'_>) -> Target {
        match &field.node.kind {
            NodeKind::Scalar(text) => self.target_word(field.node.place, text).unwrap_or(Target::Leader),
            NodeKind::List(items) => {
                let mut nodes: Vec<NodeId> = Vec::new();
                for item in items {
                    let Some(node) = self.node(Field::unnamed(field.name, item)) else { continue };
                    if nodes.contains(&node) {
                        self.note(Mistake::at(item.place, format!("`{node}` is there twice")));
                    } else {
                        nodes.push(node);
                    }
                }
                if items.is_empty() {
                    self.note(Mistake::at(field.node.place, format!("`{}` aims at nobody", field.name)));
                }
                Target::Nodes(nodes)
            }
            NodeKind::Null | NodeKind::Map(_) => {
                // `kill` has a long form with `node:`, nothing else has.
                self.wrong_type(field, "a target, for example `leader`, `n3` or `[n1, n2]`");
                Target::Leader
            }
        }
    }

    /// Reads one word, `all but …` or `$name`. Hyphens and spaces are the same in them.
    pub(super) fn target_word(&mut self, place: Place, text: &str) -> Option<Target> {
        if let Some(name) = text.strip_prefix('$') {
            return self.is_named_before(place, name).then(|| Target::Named(name.to_owned()));
        }
        if text.replace('-', " ").starts_with(ALL_BUT) {
            return self.all_but(place, text[ALL_BUT.len()..].trim());
        }
        let target = match text.replace(' ', "-").as_str() {
            "leader" => Target::Leader,
            "old-leader" => Target::OldLeader,
            "voter" => Target::Voter,
            "follower" => Target::Follower,
            "followers" => Target::Followers,
            "random" => Target::Random,
            "majority" => Target::Majority,
            "minority" => Target::Minority,
            "minority-with-leader" => Target::MinorityWithLeader,
            "all" => Target::All,
            "service" => {
                if self.service == 0 {
                    let mistake =
                        Mistake::at(place, "no `service` in this system").label("its definition has no service nodes");
                    self.note(mistake);
                }
                Target::Service
            }
            _ if looks_like_a_node(text) => return self.node_named(place, text).map(|node| Target::Nodes(vec![node])),
            _ => {
                let unknown = text;
                let names: Vec<_> = words::TARGETS.names().collect();
                let mut mistake = Mistake::at(place, format!("unknown target `{unknown}`"));
                mistake = match crate::error::nearest(unknown, names.iter().copied()) {
                    Some(near) => mistake.label(format!("did you mean `{near}`?")),
                    None => mistake.label("no such target").help(format!(
                        "known: {}, or nodes: n1 to n{}",
                        names.join(", "),
                        self.nodes
                    )),
                };
                self.note(mistake);
                return None;
            }
        };
        let needed = match target {
            Target::Follower | Target::Followers | Target::OldLeader | Target::Voter => 2,
            Target::Minority | Target::MinorityWithLeader => 3,
            Target::Leader | Target::Random | Target::Majority | Target::All | Target::Service => 1,
            Target::Nodes(_) | Target::AllBut(_) | Target::Named(_) => 1,
        };
        if self.nodes < needed {
            let mistake = Mistake::at(place, format!("no `{text}` in a cluster of {}", self.nodes))
                .label(format!("this needs at least {needed} nodes"));
            self.note(mistake);
        }
        Some(target)
    }

    /// Whom `all but` leaves out: a target, or several nodes.
    fn all_but(&mut self, place: Place, text: &str) -> Option<Target> {
        let several =
            text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).or(text.contains(',').then_some(text));
        let but = match several {
            Some(nodes) => {
                let nodes: Option<Vec<NodeId>> =
                    nodes.split(',').map(|node| self.node_named(place, node.trim())).collect();
                Target::Nodes(nodes?)
            }
            None => self.target_word(place, text)?,
        };
        let leaves_nobody = |but: BTreeSet<NodeId>| NodeId::all(self.nodes).all(|node| but.contains(&node));
        let label = if matches!(but, Target::AllBut(_)) {
            Some("that is a target already")
        } else if but == Target::Service {
            Some("`all` means no service nodes")
        } else {
            self.known_nodes(&but).is_some_and(leaves_nobody).then_some("nobody is left")
        };
        if let Some(label) = label {
            self.note(Mistake::at(place, format!("`all but {but}` is no target")).label(label));
        }
        Some(Target::AllBut(Box::new(but)))
    }

    /// Whether a node is surely among both.
    pub(super) fn meet(&self, one: &Target, other: &Target) -> bool {
        match (self.known_nodes(one), self.known_nodes(other)) {
            (Some(one), Some(other)) => one.intersection(&other).next().is_some(),
            (Some(_), None) | (None, Some(_)) | (None, None) => one == other && !drawn(one),
        }
    }

    /// Reads the name of one node of the cluster.
    fn node(&mut self, field: Field<'_>) -> Option<NodeId> {
        let text = self.text(field, "the name of a node, for example `n1`")?;
        self.node_named(field.node.place, text)
    }

    pub(super) fn node_named(&mut self, place: Place, text: &str) -> Option<NodeId> {
        match text.parse::<NodeId>() {
            Ok(node) if node.index() < self.nodes + self.service => Some(node),
            Ok(_) => {
                let label = match (self.nodes, self.service) {
                    (1, 0) => "this cluster has one node, n1".to_owned(),
                    (nodes, 0) => format!("this cluster has {nodes} nodes, n1 to n{nodes}"),
                    (nodes, service) => {
                        format!("this cluster has nodes n1 to n{nodes} and service nodes to n{}", nodes + service)
                    }
                };
                self.note(Mistake::at(place, format!("unknown node `{text}`")).label(label));
                None
            }
            Err(_) => {
                let mistake = Mistake::at(place, format!("unknown node `{text}`"))
                    .label(format!("nodes are named n1 to n{}", self.nodes));
                self.note(mistake);
                None
            }
        }
    }

    /// Reads a partition. `None` if it isn't clear which shape is meant.
    pub(super) fn partition(&mut self, field: Field<'_>) -> Option<Fault> {
        if self.nodes < 2 {
            let mistake =
                Mistake::at(field.key, "a partition in a cluster of 1").label("there is nobody to be cut off from");
            self.note(mistake);
            return None;
        }
        if let NodeKind::Scalar(text) = &field.node.kind {
            return self.partition_word(field, text).map(Fault::partition);
        }
        let fields = self.open(field, &[&words::PARTITION])?;
        let mut shapes = fields.known(&words::PARTITION).filter(|field| !matches!(field.name, "drop" | "heal"));
        let Some(shape) = shapes.next() else {
            if fields.all_known {
                self.note(
                    Mistake::at(field.key, "a partition without a shape").help("for example `{ isolate: leader }`"),
                );
            }
            return None;
        };
        if let Some(second) = shapes.next() {
            let mistake = Mistake::at(second.key, format!("`{}` besides `{}`", second.name, shape.name))
                .label("a partition has one shape")
                .also(shape.key, "the first shape");
            self.note(mistake);
        }
        let mode = self.cut_mode(&fields);
        let shape = match shape.name {
            "isolate" => Some(Partition::Isolate(self.one_side(shape))),
            "halves" => self.yes(shape).map(|()| Partition::Halves),
            "majorities-ring" => {
                self.yes(shape)?;
                self.ring(shape.key)
            }
            "bridge" => self.bridge(shape),
            "groups" => self.groups(shape),
            "cut" => self.cut(shape),
            _ => self.one_way(shape),
        };
        Some(Fault::Partition(shape?, mode))
    }

    fn partition_word(&mut self, field: Field<'_>, text: &str) -> Option<Partition> {
        let place = field.node.place;
        match text {
            "halves" => Some(Partition::Halves),
            "majorities-ring" => self.ring(place),
            "isolate" | "groups" | "one-way" | "bridge" | "cut" => {
                let mistake = Mistake::at(place, format!("`{text}` of whom?"))
                    .help(format!("for example `partition: {{ {text}: {} }}`", example(text)));
                self.note(mistake);
                None
            }
            unknown => {
                let mut mistake = Mistake::at(place, format!("unknown partition `{unknown}`"));
                let names: Vec<_> = words::PARTITION.names().collect();
                mistake = if words::TARGETS.has(unknown) || looks_like_a_node(unknown) {
                    mistake.label(format!("did you mean `{{ isolate: {unknown} }}`?"))
                } else if let Some(near) = crate::error::nearest(unknown, names.iter().copied()) {
                    mistake.label(format!("did you mean `{near}`?"))
                } else {
                    mistake.help(format!("known: {}", names.join(", ")))
                };
                self.note(mistake);
                None
            }
        }
    }

    fn yes(&mut self, field: Field<'_>) -> Option<()> {
        if self.boolean(field)? {
            return Some(());
        }
        self.note(Mistake::at(field.node.place, format!("`{}: false` is no partition", field.name)));
        None
    }

    fn ring(&mut self, place: Place) -> Option<Partition> {
        if self.nodes < 4 {
            let mistake = Mistake::at(place, format!("a majorities ring of {}", self.nodes))
                .label("this needs at least 4 nodes")
                .help("with fewer, nodes that see a majority see everybody");
            self.note(mistake);
            return None;
        }
        Some(Partition::MajoritiesRing)
    }

    /// A target that must leave somebody on the other side.
    fn one_side(&mut self, field: Field<'_>) -> Target {
        let target = self.target(field);
        if self.known_nodes(&target).is_some_and(|nodes| nodes.len() == self.nodes + self.service) {
            let mistake = Mistake::at(field.node.place, format!("`{}` of all nodes", field.name))
                .label("nobody is left on the other side, so nothing is cut");
            self.note(mistake);
        }
        target
    }

    fn bridge(&mut self, field: Field<'_>) -> Option<Partition> {
        let target = self.target(field);
        if !target.is_one() {
            let mistake = Mistake::at(field.node.place, "a bridge of several nodes")
                .label("one node, for example `n3`, `leader` or `random`");
            self.note(mistake);
        }
        if self.nodes < 3 {
            let mistake = Mistake::at(field.key, format!("a bridge in a cluster of {}", self.nodes))
                .label("this needs at least 3 nodes");
            self.note(mistake);
        }
        Some(Partition::Bridge(target))
    }

    fn groups(&mut self, field: Field<'_>) -> Option<Partition> {
        let items = self.list(field, "a list of groups, for example `[[n1, n2], [n3]]`")?;
        let mut seen: Vec<(NodeId, Place)> = Vec::new();
        let mut groups = Vec::new();
        for item in items {
            let group = self.target(Field::unnamed("groups", item));
            for node in self.known_nodes(&group).unwrap_or_default() {
                if let Some((_, first)) = seen.iter().find(|(known, _)| *known == node) {
                    let mistake = Mistake::at(item.place, format!("`{node}` is in two groups"))
                        .label("a node sees one group")
                        .also(*first, "first here");
                    self.note(mistake);
                } else {
                    seen.push((node, item.place));
                }
            }
            groups.push(group);
        }
        if groups.is_empty() || (groups.len() == 1 && seen.len() == self.nodes) {
            let mistake = Mistake::at(field.node.place, "groups that cut nothing")
                .label("at least two are needed; nodes not named form one more");
            self.note(mistake);
        }
        Some(Partition::Groups(groups))
    }

    fn one_way(&mut self, field: Field<'_>) -> Option<Partition> {
        let fields = self.open(field, &[&words::ONE_WAY])?;
        let Some(from_field) = fields.get("from") else {
            if fields.all_known {
                self.missing(field.key, "`one-way`", "from", "for example `{ from: leader, to: followers }`");
            }
            return None;
        };
        let to_field = fields.get("to");
        let from = match to_field {
            Some(_) => self.target(from_field),
            None => self.one_side(from_field),
        };
        let to = to_field.map(|field| self.target(field));
        if let (Some(to), Some(to_field)) = (&to, to_field)
            && self.meet(&from, to)
        {
            let mistake = Mistake::at(to_field.node.place, "a one-way cut between a node and itself")
                .label("no node may be on both ends")
                .also(from_field.node.place, "the other end");
            self.note(mistake);
        }
        Some(Partition::OneWay { from, to })
    }

    /// The nodes of a target, where they are the same whenever it is resolved.
    pub(super) fn known_nodes(&self, target: &Target) -> Option<BTreeSet<NodeId>> {
        match target {
            Target::Nodes(nodes) => Some(nodes.iter().copied().collect()),
            Target::All => Some(NodeId::all(self.nodes).collect()),
            Target::Service => Some(NodeId::all(self.nodes + self.service).skip(self.nodes).collect()),
            Target::AllBut(but) => {
                let but = self.known_nodes(but)?;
                Some(NodeId::all(self.nodes).filter(|node| !but.contains(node)).collect())
            }
            Target::Leader
            | Target::OldLeader
            | Target::Voter
            | Target::Follower
            | Target::Followers
            | Target::Random
            | Target::Majority
            | Target::Minority
            | Target::MinorityWithLeader
            | Target::Named(_) => None,
        }
    }
}

/// Whether a target may be other nodes each time it is resolved, within one fault.
fn drawn(target: &Target) -> bool {
    match target {
        Target::Follower | Target::Random | Target::Majority | Target::Minority | Target::MinorityWithLeader => true,
        Target::AllBut(but) => drawn(but),
        Target::Leader | Target::OldLeader | Target::Voter | Target::Followers | Target::All | Target::Service => false,
        Target::Nodes(_) | Target::Named(_) => false,
    }
}

/// With what a target begins that leaves somebody out.
const ALL_BUT: &str = "all but ";

/// `n6`, `n0` or `6`: a node was meant, though perhaps none that exists.
fn looks_like_a_node(text: &str) -> bool {
    let digits = text.strip_prefix(['n', 'N']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn example(shape: &str) -> &'static str {
    words::PARTITION.words.iter().find(|word| word.name == shape).map_or("leader", |word| word.form)
}
