//! Whether what an observer was told at all nodes at one moment fits together, and if not, which key of the definition to look at.
//!
//! Pure: answers in, complaints out. It knows nothing of right and wrong leaders, only whether the definition's words are
//! understood: every node has a view, one node leads, and its followers call it by a name that is known.

use chaos_history::{Belief, ElectionRole, NodeId};
use chaos_plan::definition::{Ask, Observer};
use chaos_systems::Examined;

use super::findings::shortened;

/// What an observer was told at several nodes.
pub(super) type Views = Vec<(NodeId, Examined)>;

/// Something that is wrong with what an observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// What was seen.
    pub(super) why: String,
    /// What to change.
    pub(super) remedy: String,
}

/// Whoever takes itself for the leader.
pub(super) fn leaders(views: &Views) -> Vec<NodeId> {
    let leads = |(node, examined): &(NodeId, Examined)| match &examined.belief {
        Ok(Belief { role: ElectionRole::Leader, .. }) => Some(*node),
        Ok(_) | Err(_) => None,
    };
    views.iter().filter_map(leads).collect()
}

/// The nodes without a view: what each answered, and what decides it.
pub(super) fn misunderstood(observer: &Observer, views: &Views) -> Option<Complaint> {
    let wrong: Vec<_> =
        views.iter().filter_map(|(node, seen)| Some((node, seen, seen.belief.as_ref().err()?))).collect();
    let (node, examined, trouble) = wrong.first()?;
    let count = if wrong.len() > 1 { format!(" (and {} more)", wrong.len() - 1) } else { String::new() };
    let raw = match &examined.raw {
        Some(raw) => format!("; the answer: `{}`", shortened(raw, 200)),
        None => String::new(),
    };
    let key = trouble.key.unwrap_or_else(|| kind(&observer.ask));
    let name = &observer.name;
    let remedy = match (trouble.key, &observer.ask) {
        (Some(_), Ask::Http { path, .. }) if examined.status.is_some_and(|status| status >= 400) => {
            let path = path.text();
            format!("does the node know what `observers.{name}.http` asks? `path` is `{path}`; see its API")
        }
        (Some(key), _) => format!("change `observers.{name}.{key}` so that it fits the answer"),
        (
            None,
            Ask::Http { port, .. } | Ask::Prometheus { port, .. } | Ask::Tcp { port, .. } | Ask::Resp { port, .. },
        ) => {
            format!("look at `observers.{name}.{key}` and at `ports.{port}`: is this where the node answers?")
        }
        (
            None,
            Ask::UnixJsonRpc { .. } | Ask::Exec { .. } | Ask::Log { .. } | Ask::Address { .. } | Ask::Client { .. },
        ) => format!("look at `observers.{name}.{key}`"),
    };
    Some(Complaint { why: format!("{node}{count}: {}{raw}", trouble.error), remedy })
}

/// Not exactly one leader.
pub(super) fn not_one_leader(observer: &Observer, views: &Views) -> Option<Complaint> {
    let leaders = leaders(views);
    let why = match leaders.as_slice() {
        [_] => return None,
        [] => "nobody leads".to_owned(),
        [..] => format!("{} lead at once", names(&leaders)),
    };
    let name = &observer.name;
    Some(Complaint {
        why,
        remedy: format!("`observers.{name}.role` (`{}`) must be `leader` at exactly one node", observer.role.text()),
    })
}

/// Followers that name no leader, or one that nobody is known as.
pub(super) fn unknown_leader(observer: &Observer, views: &Views) -> Option<Complaint> {
    let expression = observer.leader.as_ref()?;
    let [leader] = leaders(views)[..] else { return None };
    let name = &observer.name;
    for (node, examined) in views {
        let Ok(belief) = &examined.belief else { continue };
        let complaint = match (belief.leader, &examined.named) {
            (Some(named), _) if named == leader => continue,
            (Some(named), _) => Complaint {
                why: format!("{node} names {named}, but {leader} leads"),
                remedy: format!("does `observers.{name}.leader` (`{}`) name the present leader?", expression.text()),
            },
            (None, None) => Complaint {
                why: format!("{node} follows, and names nobody"),
                remedy: format!("`observers.{name}.leader` (`{}`) must name {leader}", expression.text()),
            },
            (None, Some(words)) => Complaint {
                why: format!(
                    "{node} names `{}`, and no node is known by that name{}",
                    shortened(words, 80),
                    known(views)
                ),
                remedy: format!(
                    "let `observers.{name}.identity` be what a node calls itself in the words of `observers.{name}.leader`, or turn \
                     those words into an id or an address"
                ),
            },
        };
        return Some(complaint);
    }
    None
}

/// All that can be wrong with one moment, the worst first.
pub(super) fn complaint(observer: &Observer, views: &Views) -> Option<Complaint> {
    misunderstood(observer, views)
        .or_else(|| not_one_leader(observer, views))
        .or_else(|| unknown_leader(observer, views))
}

/// What nodes call themselves.
fn known(views: &Views) -> String {
    let known: Vec<String> = views
        .iter()
        .filter_map(|(node, examined)| Some(format!("{node} is `{}`", shortened(examined.identity.as_ref()?, 40))))
        .collect();
    if known.is_empty() {
        " (known are ids like `n1` and addresses)".to_owned()
    } else {
        format!(" ({})", known.join(", "))
    }
}

/// `n1, n3`.
pub(super) fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

/// The key of a definition that says how an observer asks.
pub(super) fn kind(ask: &Ask) -> &'static str {
    match ask {
        Ask::Http { .. } => "http",
        Ask::Prometheus { .. } => "prometheus",
        Ask::Tcp { .. } => "tcp",
        Ask::Resp { .. } => "resp",
        Ask::UnixJsonRpc { .. } => "unix-json-rpc",
        Ask::Exec { .. } => "exec",
        Ask::Log { .. } => "log",
        Ask::Address { .. } => "address",
        Ask::Client { .. } => "client",
    }
}

/// One node's answer in a line: what was understood, then what was said.
pub(super) fn line(observer: &Observer, node: NodeId, examined: &Examined) -> String {
    let understood = match &examined.belief {
        Ok(belief) => {
            let role = match belief.role {
                ElectionRole::Leader => "leader",
                ElectionRole::Follower => "follower",
                ElectionRole::Candidate => "candidate",
                ElectionRole::PreCandidate => "pre-candidate",
            };
            let term = observer.term.as_ref().map_or_else(String::new, |_| format!("  term {}", belief.term.0));
            let leader = belief.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string());
            let leader = observer.leader.as_ref().map_or_else(String::new, |_| format!("  names {leader}"));
            let identity =
                examined.identity.as_ref().map_or_else(String::new, |name| format!("  is `{}`", shortened(name, 40)));
            format!("{role:<9}{term}{leader}{identity}")
        }
        Err(trouble) => format!("no view: {}", shortened(&trouble.error.to_string(), 160)),
    };
    let status = examined.status.map_or_else(String::new, |status| format!("{status} "));
    let raw =
        examined.raw.as_ref().map_or_else(String::new, |raw| format!("\n        {status}{}", shortened(raw, 160)));
    format!("    {node}  {understood}{raw}\n")
}
