//! Outputs in words: one line each, so that a script reads as an explanation.

use election::NodeId;
use election::raft::{Ballot, Entry, EntryPayload, Event, Message, Outcome, Output, Persist, Role, Status};

/// `2@1:x` is the entry 2 of term 1 with the command `x`.
pub(crate) fn entry(entry: &Entry) -> String {
    let what = match &entry.payload {
        EntryPayload::Noop => "noop".to_owned(),
        EntryPayload::Command(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        EntryPayload::Membership(members) => {
            format!("members({})", members.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
        }
    };
    format!("{}@{}:{what}", entry.index, entry.term)
}

fn entries(list: &[Entry]) -> String {
    list.iter().map(entry).collect::<Vec<_>>().join(" ")
}

fn message(message: &Message) -> String {
    match message {
        Message::Vote(m) => {
            let ballot = match m.ballot {
                Ballot::Pre => "pre-vote",
                Ballot::Election => "vote",
                Ballot::Transfer => "transfer vote",
            };
            format!("asks for a {ballot} in term {}, last entry {}@{}", m.term, m.last_index, m.last_term)
        }
        Message::VoteReply(m) => {
            let (verb, kind) = (if m.granted { "grants" } else { "refuses" }, if m.pre { "pre-vote" } else { "vote" });
            format!("{verb} the {kind} of term {} (own term {})", m.for_term, m.term)
        }
        Message::Append(m) => {
            let list = if m.entries.is_empty() { "nothing".to_owned() } else { entries(&m.entries) };
            let prev = format!("{}@{}", m.prev_index, m.prev_term);
            format!("append after {prev}: {list}; term {}, commit {}, round {}", m.term, m.commit, m.round)
        }
        Message::AppendReply(m) => {
            let verb = if m.accepted { "agrees up to" } else { "disagrees, try" };
            format!("{verb} {} (term {}, round {})", m.index, m.term, m.round)
        }
        Message::InstallSnapshot(m) => {
            let meta = &m.snapshot.meta;
            format!("snapshot of {}@{}; term {}, round {}", meta.last_index, meta.last_term, m.term, m.round)
        }
        Message::InstallReply(m) => format!("has everything up to {} (term {}, round {})", m.index, m.term, m.round),
        Message::TimeoutNow(m) => format!("campaign now (term {})", m.term),
    }
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Committed { index, term } => format!("committed at {index}@{term}"),
        Outcome::ReadAt { index } => format!("read at {index}"),
        Outcome::Transferred { leader, term } => format!("transferred to {} in term {term}", name(*leader)),
        Outcome::MembershipChanged { index } => format!("members changed at {index}"),
        Outcome::NotLeader { leader } => format!("not the leader, try {}", name(*leader)),
        Outcome::Busy => "busy".to_owned(),
        Outcome::Invalid => "invalid".to_owned(),
        Outcome::GivenUp => "given up".to_owned(),
        Outcome::Superseded => "superseded, outcome unknown".to_owned(),
    }
}

fn name(node: Option<NodeId>) -> String {
    node.map_or_else(|| "nobody".to_owned(), |id| id.to_string())
}

fn persist(persist: &Persist) -> String {
    let mut parts = Vec::new();
    if let Some(snapshot) = &persist.snapshot {
        parts.push(format!("snapshot {}@{}", snapshot.meta.last_index, snapshot.meta.last_term));
    }
    if let Some(from) = persist.truncate_from {
        parts.push(format!("cut from {from}"));
    }
    if !persist.append.is_empty() {
        parts.push(format!("append {}", entries(&persist.append)));
    }
    if let Some(hard) = persist.hard {
        parts.push(format!("term {} vote {}", hard.term, name(hard.voted_for)));
    }
    parts.join(", ")
}

/// `None` for what another line already says.
pub(crate) fn output(id: NodeId, output: &Output) -> Option<String> {
    let text = match output {
        Output::Persist(p) => format!("saves {}", persist(p)),
        Output::Send { to, message: m } => format!("→ {to}: {}", message(m)),
        Output::Apply(list) => format!("applies {}", entries(list)),
        Output::Reply { request, outcome: o } => format!("answers request {}: {}", request.0, outcome(o)),
        Output::TakeSnapshot { meta } => format!("takes a snapshot of {}", meta.last_index),
        Output::RestoreSnapshot(snapshot) => format!("restores `{}`", String::from_utf8_lossy(&snapshot.data)),
        Output::Event(event) => match event {
            Event::Granted { term, to } => format!("votes for {to} in term {term}"),
            Event::BecameFollower { term, leader } => format!("is FOLLOWER of {} in term {term}", name(*leader)),
            Event::BecamePreCandidate { term } => format!("is PRE-CANDIDATE in term {term}"),
            Event::BecameCandidate { term } => format!("is CANDIDATE in term {term}"),
            Event::BecameLeader { term } => format!("is LEADER of term {term}"),
            Event::LeaderChanged { term, leader } => format!("believes in {} in term {term}", name(*leader)),
            Event::MembersChanged { index, members } => format!("goes by {members} members since {index}"),
            Event::Committed { .. } => return None,
            Event::CommittedOverwritten { index } => format!("OVERWRITES the committed {index}"),
        },
    };
    Some(format!("{id} {text}"))
}

pub(crate) fn status(status: &Status) -> String {
    let role = match status.role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    };
    let lease = status.lease_remaining.map(|left| format!(", lease {left:?}")).unwrap_or_default();
    let Status { id, term, commit, .. } = status;
    let [leader, vote] = [status.leader, status.voted_for].map(name);
    format!("{id} {role} in term {term}, leader {leader}, vote {vote}, commit {commit}{lease}")
}
