//! From a reply to a belief: a definition's expressions evaluated, names of nodes recognised.
//!
//! Systems name their members by whatever they like: a member id drawn at the first start, a server id, an address. A node's own
//! name is learned from its own answers (`identity`), and a leader that is named by it is then a node. Ids (`n2`) and addresses,
//! with or without a port, are known without learning. Whom nobody knows is nobody: a belief without a leader.
//!
//! *A term that is not told.* Some systems show their term only while they serve (ZooKeeper during an election, a NATS server that has
//! not loaded its stream yet). Such an answer carries the newest term that the node has shown: terms never fall, so the node is in
//! that one or a later one, and what says neither that it leads nor who does gives no term a leader.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chaos_history::{Belief, ElectionRole, NodeId, Term};
use chaos_plan::definition::{Expression, Observer, TemplateValue};

use crate::access::Views;
use crate::driver::ProbeError;

/// Who is called how.
#[derive(Debug, Default)]
pub(super) struct Identities {
    addresses: BTreeMap<Ipv4Addr, NodeId>,
    members: usize,
    /// What nodes have called themselves. Answers of several nodes arrive on several tasks; the lock is held for a look.
    learned: Mutex<BTreeMap<String, NodeId>>,
}

impl Identities {
    /// Knows these addresses, `n1`'s first, and those under which nodes know each other.
    pub(super) fn new(addresses: &[Ipv4Addr], views: Option<&Views>) -> Self {
        let all = std::iter::once(addresses).chain(views.into_iter().flatten().map(Vec::as_slice));
        let known = all.flat_map(|seen| seen.iter().enumerate().map(|(index, &ip)| (ip, NodeId::from_index(index))));
        Self { addresses: known.collect(), members: addresses.len(), learned: Mutex::default() }
    }

    /// A node calls itself this from now on; what it was called before is forgotten (a wiped node comes back as another).
    fn learn(&self, node: NodeId, identity: String) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.get(&identity) != Some(&node) {
            learned.retain(|_, known| *known != node);
            learned.insert(identity, node);
        }
    }

    /// What a node calls itself, if it has said so.
    pub(super) fn of(&self, node: NodeId) -> Option<String> {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.iter().find(|(_, known)| **known == node).map(|(name, _)| name.clone())
    }

    /// A name that is nobody's, beside those that are somebody's, for people.
    pub(super) fn stranger(&self, name: &str) -> String {
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: Vec<String> =
            learned.iter().map(|(name, node)| format!("{node} is `{}`", short(name))).collect();
        known.sort();
        known.push("known are ids like `n1` and addresses too".to_owned());
        format!("`{}` ({})", short(name), known.join(", "))
    }

    /// The node that is called this.
    pub(super) fn find(&self, name: &str) -> Option<NodeId> {
        if let Some(&node) = self.learned.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Some(node);
        }
        if let Ok(node) = name.parse::<NodeId>() {
            return (node.index() < self.members).then_some(node);
        }
        let after_scheme = name.split_once("://").map_or(name, |(_, rest)| rest);
        let host = after_scheme.split([':', '/']).next().unwrap_or_default();
        host.parse().ok().and_then(|address| self.addresses.get(&address).copied())
    }
}

/// The beginning of a node's words, with nothing in it that could steer a terminal.
fn short(words: &str) -> String {
    words.chars().take(80).collect::<String>().escape_debug().to_string()
}

/// The newest term that each node has shown to one observer.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<BTreeMap<NodeId, Term>>);

impl Shown {
    /// The newest term of a node, now that it has shown this one; `None`: it has shown none.
    fn newest(&self, node: NodeId, term: Option<Term>) -> Term {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = shown.entry(node).or_insert(Term(0));
        *newest = term.map_or(*newest, |term| term.max(*newest));
        *newest
    }
}

/// What a node's reply says of the election; `members` are under test, the others can't lead.
pub(super) fn belief(
    observer: &Observer,
    node: NodeId,
    members: usize,
    context: &TemplateValue,
    identities: &Identities,
    shown: &Shown,
) -> Result<Belief, ProbeError> {
    if let Some(identity) = named(observer.identity.as_ref(), context)? {
        identities.learn(node, identity);
    }
    let role = role(&observer.role, context)?;
    let told = match &observer.term {
        Some(term) => told_term(term, context)?,
        // No system's term: the world numbers reigns.
        None => Some(Term(0)),
    };
    let find =
        |name: Option<String>| name.and_then(|name| identities.find(&name)).filter(|node| node.index() < members);
    let leader = match role {
        ElectionRole::Leader => Some(node),
        ElectionRole::Follower | ElectionRole::Candidate | ElectionRole::PreCandidate => {
            find(named(observer.leader.as_ref(), context)?)
        }
    };
    let newest = shown.newest(node, told);
    let term = match (told, leader) {
        // What was told is passed on even if it is a fall: to convict that is the checker's part.
        (Some(told), _) => told,
        (None, None) => newest,
        (None, Some(leader)) => {
            return Err(ProbeError::Garbage(format!("{leader} leads, but `term` tells no term")));
        }
    };
    // A vote is of a term, so none is known without one.
    let vote = told.and(named(observer.voted_for.as_ref(), context)?);
    let lease_remaining_ns = match (role, &observer.lease_remaining) {
        (ElectionRole::Leader, Some(lease)) => nanoseconds(lease, context)?,
        (ElectionRole::Leader, None)
        | (ElectionRole::Follower | ElectionRole::Candidate | ElectionRole::PreCandidate, _) => None,
    };
    Ok(Belief { term, role, leader, voted_for: find(vote), commit: None, lease_remaining_ns })
}

/// A time in seconds, also one that is written as a text; below zero it is over. `None` for nothing at all.
pub(super) fn nanoseconds(expression: &Expression, context: &TemplateValue) -> Result<Option<u64>, ProbeError> {
    let Some(words) = named(Some(expression), context)? else { return Ok(None) };
    let seconds = words.trim().parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let lasting = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    let nanoseconds = lasting.and_then(|lasting| u64::try_from(lasting.as_nanos()).ok());
    let garbage = || {
        let (text, shown) = (expression.text(), short(&words));
        ProbeError::Garbage(format!("`{text}` is `{shown}`, which is no number of seconds"))
    };
    nanoseconds.map(Some).ok_or_else(garbage)
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

/// The term; `None` if the answer tells none.
fn told_term(expression: &Expression, context: &TemplateValue) -> Result<Option<Term>, ProbeError> {
    let value = value(expression, context)?;
    if value.is_undefined() || value.is_none() {
        Ok(None)
    } else {
        number(expression, context).map(|term| Some(Term(term)))
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
    use chaos_plan::definition::{Ask, TestimonyOf, value_of};

    use super::*;

    #[test]
    fn a_leader_is_known_by_what_it_calls_itself_by_its_id_and_by_its_address() {
        let own = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
        let seen_by_n1 = vec![own[0], Ipv4Addr::new(10, 0, 0, 18)];
        let identities = Identities::new(&own, Some(&vec![seen_by_n1, own.to_vec()]));
        let n2 = NodeId::new(2);
        for name in ["n2", "10.0.0.2", "10.0.0.18:7000", "10.0.0.2:8300", "http://10.0.0.2:2380/x"] {
            assert_eq!(identities.find(name), Some(n2), "{name}");
        }
        for name in ["n3", "10.0.0.3", "17", "", "n2x"] {
            assert_eq!(identities.find(name), None, "{name}");
        }
        identities.learn(n2, "17".to_owned());
        assert_eq!(identities.find("17"), Some(n2));
        assert_eq!(identities.stranger("19"), "`19` (n2 is `17`, known are ids like `n1` and addresses too)");
        identities.learn(n2, "18".to_owned());
        assert_eq!((identities.find("17"), identities.find("18")), (None, Some(n2)));
    }

    /// An observer that asks nobody: the tests give it the answers.
    fn observer() -> Observer {
        let expression = |text: &str| Expression::new(text).unwrap();
        Observer {
            name: "self".to_owned(),
            of: TestimonyOf::OwnRole,
            ask: Ask::Exec { run: Vec::new() },
            pattern: None,
            role: expression("answer.role"),
            term: Some(expression("answer.term")),
            leader: Some(expression("answer.leader")),
            identity: None,
            voted_for: Some(expression("answer.vote")),
            lease_remaining: Some(expression("answer.lease")),
            confirm: false,
            snapshot: false,
            every: None,
        }
    }

    fn answered(shown: &Shown, node: NodeId, answer: serde_json::Value) -> Result<Belief, ProbeError> {
        let context = value_of(serde_json::json!({ "answer": answer }));
        belief(&observer(), node, 3, &context, &Identities::default(), shown)
    }

    #[test]
    fn an_answer_without_a_term_is_of_the_newest_term_that_the_node_has_shown() {
        let (n1, n2) = (NodeId::new(1), NodeId::new(2));
        let shown = Shown::default();
        let looking = || serde_json::json!({ "role": "candidate", "vote": "n3" });
        assert_eq!(answered(&shown, n1, looking()).unwrap().term, Term(0));
        answered(&shown, n1, serde_json::json!({ "role": "leader", "term": 4 })).unwrap();
        let now = answered(&shown, n1, looking()).unwrap();
        assert_eq!((now.term, now.leader, now.voted_for), (Term(4), None, None), "a vote without a term is no vote");
        assert_eq!(answered(&shown, n2, looking()).unwrap().term, Term(0), "each node has shown its own");
    }

    #[test]
    fn a_term_that_falls_is_passed_on_and_a_leader_of_no_term_is_garbage() {
        let n1 = NodeId::new(1);
        let shown = Shown::default();
        answered(&shown, n1, serde_json::json!({ "role": "follower", "term": 4 })).unwrap();
        let fallen =
            answered(&shown, n1, serde_json::json!({ "role": "follower", "term": 3, "leader": "n2" })).unwrap();
        assert_eq!(fallen.term, Term(3), "the checker is to see it");
        assert!(matches!(answered(&shown, n1, serde_json::json!({ "role": "leader" })), Err(ProbeError::Garbage(_))));
    }

    #[test]
    fn only_a_leader_tells_what_is_left_of_its_lease_in_seconds() {
        let told = |role: &str, lease: serde_json::Value| {
            let answer = serde_json::json!({ "role": role, "term": 1, "leader": "n1", "lease": lease });
            answered(&Shown::default(), NodeId::new(1), answer).map(|belief| belief.lease_remaining_ns)
        };
        assert_eq!(told("leader", serde_json::json!(1.5)).unwrap(), Some(1_500_000_000));
        assert_eq!(told("leader", serde_json::json!("2")).unwrap(), Some(2_000_000_000));
        assert_eq!(told("leader", serde_json::json!(-3)).unwrap(), Some(0), "it is over");
        assert_eq!(told("leader", serde_json::Value::Null).unwrap(), None);
        assert_eq!(told("follower", serde_json::json!(1.5)).unwrap(), None);
        assert!(matches!(told("leader", serde_json::json!("soon")), Err(ProbeError::Garbage(_))));
    }
}
