//! From a reply to a belief: a definition's expressions evaluated, names of nodes recognised.
//!
//! Systems name their members by whatever they like: a member id drawn at the first start, a server id, an address. A node's own
//! name is learned from its own answers (`identity`), and a leader that is named by it is then a node. Ids (`n2`) and addresses,
//! with or without a port, are known without learning. Whom nobody knows is nobody: a belief without a leader.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use chaos_history::{Belief, ElectionRole, NodeId, Term};
use chaos_plan::definition::{Expression, Observer, TemplateValue};

use crate::driver::ProbeError;

/// Who is called how.
#[derive(Debug, Default)]
pub(super) struct Identities {
    addresses: BTreeMap<Ipv4Addr, NodeId>,
    /// What nodes have called themselves. Answers of several nodes arrive on several tasks; the lock is held for a look.
    learned: Mutex<BTreeMap<String, NodeId>>,
}

impl Identities {
    /// Knows these addresses, `n1`'s first.
    pub(super) fn new(addresses: &[Ipv4Addr]) -> Self {
        let addresses = addresses.iter().enumerate().map(|(index, &ip)| (ip, NodeId::from_index(index))).collect();
        Self { addresses, learned: Mutex::default() }
    }

    /// A node calls itself this from now on; what it was called before is forgotten (a wiped node comes back as another).
    fn learn(&self, node: NodeId, identity: String) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.get(&identity) != Some(&node) {
            learned.retain(|_, known| *known != node);
            learned.insert(identity, node);
        }
    }

    /// The node that is called this.
    pub(super) fn find(&self, name: &str) -> Option<NodeId> {
        if let Some(&node) = self.learned.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(node);
        }
        if let Ok(node) = name.parse::<NodeId>() {
            return (node.index() < self.addresses.len()).then_some(node);
        }
        let after_scheme = name.split_once("://").map_or(name, |(_, rest)| rest);
        let host = after_scheme.split([':', '/']).next().unwrap_or_default();
        host.parse().ok().and_then(|address| self.addresses.get(&address).copied())
    }
}

/// What a node's reply says of the election; `members` are under test, the others can't lead.
pub(super) fn belief(
    observer: &Observer,
    node: NodeId,
    members: usize,
    context: &TemplateValue,
    identities: &Identities,
) -> Result<Belief, ProbeError> {
    if let Some(identity) = named(observer.identity.as_ref(), context)? {
        identities.learn(node, identity);
    }
    let role = role(&observer.role, context)?;
    let term = match &observer.term {
        Some(term) => Term(number(term, context)?),
        None => Term(0),
    };
    let find =
        |name: Option<String>| name.and_then(|name| identities.find(&name)).filter(|node| node.index() < members);
    let leader = match role {
        ElectionRole::Leader => Some(node),
        ElectionRole::Follower | ElectionRole::Candidate | ElectionRole::PreCandidate => {
            find(named(observer.leader.as_ref(), context)?)
        }
    };
    Ok(Belief { term, role, leader, voted_for: find(named(observer.voted_for.as_ref(), context)?), commit: None })
}

fn value(expression: &Expression, context: &TemplateValue) -> Result<TemplateValue, ProbeError> {
    expression.value(context).map_err(|error| ProbeError::Garbage(error.to_string()))
}

pub(super) fn role(expression: &Expression, context: &TemplateValue) -> Result<ElectionRole, ProbeError> {
    let value = value(expression, context)?;
    match value.to_string().to_ascii_lowercase().as_str() {
        "leader" | "true" => Ok(ElectionRole::Leader),
        "follower" | "false" => Ok(ElectionRole::Follower),
        "candidate" => Ok(ElectionRole::Candidate),
        "pre-candidate" | "precandidate" | "pre_candidate" => Ok(ElectionRole::PreCandidate),
        other => {
            let shown: String = other.chars().take(80).collect();
            let (text, shown) = (expression.text(), shown.escape_debug());
            Err(ProbeError::Garbage(format!("`{text}` is `{shown}`, which is no role")))
        }
    }
}

/// A whole number, also one that is written as a text.
pub(super) fn number(expression: &Expression, context: &TemplateValue) -> Result<u64, ProbeError> {
    let value = value(expression, context)?;
    let number = match value.as_i64() {
        Some(number) => u64::try_from(number).ok(),
        None => value.to_string().trim().parse().ok(),
    };
    number.ok_or_else(|| {
        let shown: String = value.to_string().chars().take(80).collect();
        ProbeError::Garbage(format!("`{}` is `{}`, which is no whole number", expression.text(), shown.escape_debug()))
    })
}

/// The name that an expression gives; `None` for nothing at all, in whatever way it is said.
pub(super) fn named(expression: Option<&Expression>, context: &TemplateValue) -> Result<Option<String>, ProbeError> {
    let Some(expression) = expression else { return Ok(None) };
    let value = value(expression, context)?;
    if value.is_undefined() || value.is_none() {
        return Ok(None);
    }
    let text = value.to_string();
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_known_by_what_it_calls_itself_by_its_id_and_by_its_address() {
        let identities = Identities::new(&[Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
        let n2 = NodeId::new(2);
        for name in ["n2", "10.0.0.2", "10.0.0.2:8300", "http://10.0.0.2:2380/x"] {
            assert_eq!(identities.find(name), Some(n2), "{name}");
        }
        for name in ["n3", "10.0.0.3", "17", "", "n2x"] {
            assert_eq!(identities.find(name), None, "{name}");
        }
        identities.learn(n2, "17".to_owned());
        assert_eq!(identities.find("17"), Some(n2));
        identities.learn(n2, "18".to_owned());
        assert_eq!((identities.find("17"), identities.find("18")), (None, Some(n2)));
    }
}
