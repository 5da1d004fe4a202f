//! Links one by one: `leader -> n2` is cut one way, `n3 <-> follower` both; `all but n1 <-> all but n1` are all links among those.

use super::{Field, Reader};
use crate::control::{LinkSelector, Ways};
use crate::error::Mistake;
use crate::fault::Partition;
use crate::model::Target;
use crate::yaml::{Node, NodeKind};

/// The arrows; the longest first, since it holds the others.
const ARROWS: [(&str, Ways, Direction); 3] =
    [("<->", Ways::Both, Direction::Onward), ("->", Ways::One, Direction::Onward), ("<-", Ways::One, Direction::Back)];

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Onward,
    Back,
}

impl Reader {
    /// Reads a list of links, or one.
    pub(super) fn cut(&mut self, field: Field<'_>) -> Option<Partition> {
        if let NodeKind::Scalar(_) = &field.node.kind {
            return self.link(field.node).map(|link| Partition::Cut(vec![link]));
        }
        let items = self.list(field, "a list of links, for example `[leader -> n2, n3 <-> follower]`")?;
        if items.is_empty() {
            self.note(Mistake::at(field.node.place, "a cut of no links").label("at least one is needed"));
        }
        Some(Partition::Cut(items.iter().filter_map(|item| self.link(item)).collect()))
    }

    fn link(&mut self, item: &Node) -> Option<LinkSelector> {
        let field = Field::unnamed("a link", item);
        let text = self.text(field, "two targets with an arrow between them, for example `leader -> n2`")?;
        let arrow = ARROWS.into_iter().find_map(|arrow| Some((arrow, text.split_once(arrow.0)?)));
        let Some(((_, ways, direction), (one, other))) = arrow else {
            let mistake = Mistake::at(item.place, format!("a link without an arrow: `{text}`"))
                .label("`->` cuts one way, `<->` both")
                .help("for example `leader -> n2`");
            self.note(mistake);
            return None;
        };
        let (one, other) = (self.target_word(item.place, one.trim()), self.target_word(item.place, other.trim()));
        let (one, other) = (one?, other?);
        if self.meet(&one, &other) && !among_themselves(&one, &other) {
            let mistake = Mistake::at(item.place, "a link between a node and itself");
            self.note(mistake.label("no node may be on both ends"));
        }
        let (from, to) = if direction == Direction::Back { (other, one) } else { (one, other) };
        Some(LinkSelector { from, to, ways })
    }
}

/// Whether all links among the nodes of one target are meant.
fn among_themselves(one: &Target, other: &Target) -> bool {
    let are_several = match one {
        Target::AllBut(_) | Target::Followers | Target::All | Target::Service | Target::Named(_) => true,
        Target::Nodes(nodes) => nodes.len() > 1,
        Target::Leader
        | Target::OldLeader
        | Target::Voter
        | Target::Follower
        | Target::Random
        | Target::Majority
        | Target::Minority
        | Target::MinorityWithLeader => false,
    };
    one == other && are_several
}
