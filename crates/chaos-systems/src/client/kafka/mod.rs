//! Kafka: a register is a log of which the last record counts, a set a log of which all do; each is a topic of one partition.
//!
//! ```text
//! r-KEY    each write is a record, appended with acks=all; its offset + 1 is the revision
//! s-KEY    each addition is a record
//! ```
//!
//! Options: `replicas` (as many as nodes, at most 3, unless given), `in-sync-min` (`min.insync.replicas`: more than half of the
//! replicas unless given), `topics` (names of topics, with commas, that [`Client::prepare`] makes; others are made when first written
//! to).
//!
//! An operation goes to the node that it is meant for. A node that doesn't take itself for the leader gets no change sent: the
//! operation is a `fail` that names the leader.
//!
//! **How old may a read be?** It ends at the leader's high watermark, and asks none of its followers: a deposed leader that has not
//! noticed answers what it knows.
//!
//! **What is definite.** What goes wrong before the record is sent. `not enough replicas` (19), which is decided before the record is
//! appended; and records or topics that aren't allowed (2, 10, 17, 29, 87). **Not** definite: `not leader` (6) as the answer to a record:
//! a leader that is deposed while it waits for its followers says it, too, of a record that may have been replicated; `not enough
//! replicas after append` (20); a timeout (7); everything else.
//!
//! Questions of observers ([`Client::ask`]): `quorum` → `{"leaderId": 2, "leaderEpoch": 7, "highWatermark": 90}`, which brokers ask
//! of the active controller (an error while there is none); `partition TOPIC` → `{"leaderId": 1, "leaderEpoch": 4, "controllerId": 2,
//! "replicas": [1, 2, 3], "isr": [1, 3]}`, each broker's own belief, with `null` for no leader.

mod codec;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use chaos_history::{Action, NodeId, OpResult, Revision, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use self::session::{Code, KafkaSession, Metadata};
use super::options::Options;
use super::wire::{Pool, Trouble, answered, at_any, escaped};
use super::{ClientError, ClientSetup, named, written_as_bytes};
use crate::driver::{Answer, Client, ProbeError};

/// How often a new topic is looked for before its first record is given up.
const NEW_TOPIC_LOOKS: u32 = 40;
/// How long between two looks.
const NEW_TOPIC_PAUSE: Duration = Duration::from_millis(25);

/// Whether a record that is answered by this error was not appended and never will be.
fn is_definite(code: Code) -> bool {
    matches!(code.0, 2 | 10 | 17 | 19 | 29 | 87)
}

/// Opens the driver.
pub(super) fn open(setup: &ClientSetup) -> Result<Arc<dyn Client>, ClientError> {
    let options = Options::of(setup, &["replicas", "in-sync-min", "topics"])?;
    let nodes = u64::try_from(setup.nodes).unwrap_or(u64::MAX).clamp(1, 3);
    let replicas = options.number("replicas", 1, 7, nodes)?;
    let in_sync_min = options.number("in-sync-min", 1, replicas, replicas / 2 + 1)?;
    let small = |number: u64| i16::try_from(number).expect("at most 7");
    let topics = options.text("topics").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let topics: Vec<String> = topics.map(str::to_owned).collect();
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !topics.iter().all(|name| name.len() < 250 && name.bytes().all(is_legal)) {
        return Err(options.bad("topics", "names of letters, digits, `.`, `_` and `-` with commas"));
    }
    Ok(Arc::new(Kafka(Arc::new(Shared {
        pool: Pool::new(setup.endpoints.clone(), (), setup.connect_timeout),
        endpoints: setup.endpoints.clone(),
        nodes: setup.nodes,
        replicas: small(replicas),
        in_sync_min: small(in_sync_min),
        topics,
    }))))
}

struct Kafka(Arc<Shared>);

struct Shared {
    pool: Pool<KafkaSession>,
    endpoints: Vec<std::net::SocketAddr>,
    nodes: usize,
    replicas: i16,
    in_sync_min: i16,
    topics: Vec<String>,
}

impl Client for Kafka {
    fn invoke(&self, node: NodeId, action: &Action) -> BoxFuture<'static, Answer> {
        let (shared, action) = (Arc::clone(&self.0), action.clone());
        async move {
            let mut leader_hint = None;
            let work = async |session: &mut _| shared.carry_out(node, session, &action, &mut leader_hint).await;
            let result = shared.pool.on(node, work).await;
            Answer { leader_hint, ..answered(result) }
        }
        .boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ProbeError>> {
        async move {
            for topic in &self.0.topics {
                at_any(self.0.pool.nodes(), |node| self.0.make_topic(node, topic)).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn ask(&self, node: NodeId, question: &str) -> BoxFuture<'_, Result<serde_json::Value, ProbeError>> {
        let question = question.to_owned();
        async move {
            let silent = |trouble| match trouble {
                Trouble::Definite(error) | Trouble::Unknown(error) => ProbeError::Silent(error),
            };
            let mut session = self.0.pool.take(node).await.map_err(silent)?;
            let told = match question.split_once(' ') {
                None if question == "quorum" => match session.quorum().await.map_err(ProbeError::Silent)? {
                    Ok(quorum) => Ok(json!({
                        "leaderId": quorum.leader,
                        "leaderEpoch": quorum.leader_epoch,
                        "highWatermark": quorum.high_watermark,
                    })),
                    Err(code) => Err(ProbeError::Silent(code.to_string())),
                },
                Some(("partition", topic)) => {
                    let told = session.metadata(topic).await.map_err(ProbeError::Silent)?;
                    match told.topic.code {
                        Code::NONE | Code::LEADER_NOT_AVAILABLE => Ok(belief(&told)),
                        code => Err(ProbeError::Silent(code.to_string())),
                    }
                }
                None | Some(_) => Err(ProbeError::Garbage(format!("this driver knows no question `{question}`"))),
            };
            self.0.pool.put_back(node, session);
            told
        }
        .boxed()
    }
}

/// What a broker believes of a partition, as an observer reads it.
fn belief(told: &Metadata) -> serde_json::Value {
    let topic = &told.topic;
    json!({
        "leaderId": (topic.leader >= 0).then_some(topic.leader),
        "leaderEpoch": topic.leader_epoch,
        "controllerId": (told.controller >= 0).then_some(told.controller),
        "replicas": topic.replicas,
        "isr": topic.in_sync,
    })
}

/// Whether a topic that a node must lead is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Led {
    Here,
    /// There is no such topic.
    Absent,
}

impl Shared {
    async fn carry_out(
        &self,
        node: NodeId,
        session: &mut KafkaSession,
        action: &Action,
        leader_hint: &mut Option<NodeId>,
    ) -> Result<OpResult, Trouble> {
        match action {
            Action::Read { key } => {
                let topic = topic('r', key);
                match self.look(node, session, &topic, leader_hint).await? {
                    Led::Here => last(session, &topic).await,
                    Led::Absent => Ok(OpResult::Read { value: None, revision: None }),
                }
            }
            Action::Write { key, value } => self.append(node, session, &topic('r', key), *value, leader_hint).await,
            Action::Add { key, value } => self.append(node, session, &topic('s', key), *value, leader_hint).await,
            Action::Elements { key } => {
                let topic = topic('s', key);
                match self.look(node, session, &topic, leader_hint).await? {
                    Led::Here => elements(session, &topic).await,
                    Led::Absent => Ok(OpResult::Elements { values: Vec::new(), revision: None }),
                }
            }
            Action::Cas { .. } | Action::Acquire { .. } | Action::Release { .. } | Action::Access { .. } => {
                Err(Trouble::Definite("a log has no words for conditions and locks".to_owned()))
            }
        }
    }

    /// Whether the node takes itself for the topic's leader. Nothing is changed by it; if another leads, that one is the hint.
    async fn look(
        &self,
        node: NodeId,
        session: &mut KafkaSession,
        topic: &str,
        leader_hint: &mut Option<NodeId>,
    ) -> Result<Led, Trouble> {
        let told = session.metadata(topic).await.map_err(Trouble::Definite)?;
        match told.topic.code {
            Code::NONE => {}
            Code::UNKNOWN_TOPIC => return Ok(Led::Absent),
            code => return Err(Trouble::Definite(format!("not asked: {code}"))),
        }
        let leader = self.node(&told, told.topic.leader);
        if leader == Some(node) {
            return Ok(Led::Here);
        }
        *leader_hint = leader;
        Err(Trouble::Definite(match leader {
            Some(leader) => format!("not asked: {leader} leads"),
            None => "not asked: nobody leads".to_owned(),
        }))
    }

    /// The node under test that a broker's number belongs to.
    fn node(&self, told: &Metadata, id: i32) -> Option<NodeId> {
        let broker = told.brokers.iter().find(|broker| broker.id == id)?;
        named(&format!("{}:{}", broker.host, broker.port), &self.endpoints, self.nodes)
    }

    async fn append(
        &self,
        node: NodeId,
        session: &mut KafkaSession,
        topic: &str,
        value: Value,
        leader_hint: &mut Option<NodeId>,
    ) -> Result<OpResult, Trouble> {
        if self.look(node, session, topic, leader_hint).await? == Led::Absent {
            self.make_topic(node, topic).await.map_err(Trouble::before_any_change)?;
            if self.look(node, session, topic, leader_hint).await? == Led::Absent {
                return Err(Trouble::Definite("a topic that was made is not known here yet".to_owned()));
            }
        }
        match session.produce(topic, &value.to_string()).await.map_err(Trouble::Unknown)? {
            Ok(offset) => match revision(offset) {
                Some(revision) => Ok(OpResult::Written { revision: Some(revision) }),
                None => Err(Trouble::Unknown("an acknowledgement without an offset".to_owned())),
            },
            Err(code) if is_definite(code) => Err(Trouble::Definite(format!("refused: {code}"))),
            Err(code) => Err(Trouble::Unknown(format!("refused: {code}"))),
        }
    }

    /// Makes a topic, unless it is there, and waits for a leader of it. A broker tells that it leads a new topic a moment before it
    /// serves it: where it is this one, that is waited for, too.
    async fn make_topic(&self, node: NodeId, topic: &str) -> Result<(), Trouble> {
        let mut session = self.pool.take(node).await?;
        let told = session.metadata(topic).await.map_err(Trouble::Unknown)?;
        if told.topic.code == Code::UNKNOWN_TOPIC {
            // With ZooKeeper, only the controller makes topics; with KRaft, the broker that is named as one passes it on.
            let controller = self.node(&told, told.controller).unwrap_or(node);
            let mut at_controller = self.pool.take(controller).await?;
            let code = at_controller.create(topic, self.replicas, self.in_sync_min).await.map_err(Trouble::Unknown)?;
            self.pool.put_back(controller, at_controller);
            if !matches!(code, Code::NONE | Code::TOPIC_EXISTS) {
                return Err(Trouble::Unknown(format!("no topic `{topic}`: {code}")));
            }
        }
        for _ in 0..NEW_TOPIC_LOOKS {
            let told = session.metadata(topic).await.map_err(Trouble::Unknown)?;
            let is_led = told.topic.code == Code::NONE && told.topic.leader >= 0;
            let is_elsewhere = self.node(&told, told.topic.leader) != Some(node);
            if is_led && (is_elsewhere || session.end(topic).await.map_err(Trouble::Unknown)?.is_ok()) {
                self.pool.put_back(node, session);
                return Ok(());
            }
            tokio::time::sleep(NEW_TOPIC_PAUSE).await;
        }
        Err(Trouble::Unknown(format!("the topic `{topic}` has no leader")))
    }
}

/// A topic's name: letters, digits, `-`, `_`, and `.` where [`escaped`] writes `%`, which it never leaves as it is.
fn topic(kind: char, key: &str) -> String {
    format!("{kind}-{}", escaped(key).replace('%', "."))
}

/// The revision of the record at this offset; that of an absent value is before all others.
fn revision(offset: i64) -> Option<Revision> {
    u64::try_from(offset).ok()?.checked_add(1).map(Revision)
}

/// A question that is answered by an error, or by nothing.
fn unread(code: Code) -> Trouble {
    Trouble::Unknown(format!("unread: {code}"))
}

async fn last(session: &mut KafkaSession, topic: &str) -> Result<OpResult, Trouble> {
    let end = session.end(topic).await.map_err(Trouble::Unknown)?.map_err(unread)?;
    if end <= 0 {
        return Ok(OpResult::Read { value: None, revision: None });
    }
    let records = session.fetch(topic, end - 1).await.map_err(Trouble::Unknown)?.map_err(unread)?;
    let last = records.iter().find(|(offset, _)| *offset == end - 1);
    let (offset, value) = last.ok_or_else(|| Trouble::Unknown("the last record isn't there".to_owned()))?;
    Ok(OpResult::Read { value: Some(written_as_bytes(value)), revision: revision(*offset) })
}

async fn elements(session: &mut KafkaSession, topic: &str) -> Result<OpResult, Trouble> {
    let end = session.end(topic).await.map_err(Trouble::Unknown)?.map_err(unread)?;
    let mut values = Vec::new();
    let mut next = 0;
    while next < end {
        let records = session.fetch(topic, next).await.map_err(Trouble::Unknown)?.map_err(unread)?;
        let (last, _) = records.last().ok_or_else(|| Trouble::Unknown(format!("no record at {next} of {end}")))?;
        next = last + 1;
        values.extend(records.iter().filter(|(offset, _)| *offset < end).map(|(_, value)| written_as_bytes(value)));
    }
    Ok(OpResult::Elements { values, revision: revision(end - 1) })
}
