//! A connection to one broker, and what it is asked.

use std::time::SystemTime;

use super::codec::{Api, Reader, Writer, batch, records};
use crate::client::wire::{Session, Wire};

/// Larger than any response that is asked for.
const RESPONSE_BYTES_MAX: usize = 16 << 20;
/// How much of a log is asked for at once.
const FETCH_BYTES_MAX: i32 = 4 << 20;
/// How long a broker may wait for its followers or for its controller.
const BROKER_TIMEOUT_MS: i32 = 10_000;
/// Asks as a client, not as a follower.
const NO_REPLICA: i32 = -1;
/// Whatever leader it is.
const ANY_EPOCH: i32 = -1;

/// A broker's error code; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) i16);

impl Code {
    pub(super) const NONE: Self = Self(0);
    pub(super) const UNKNOWN_TOPIC: Self = Self(3);
    pub(super) const LEADER_NOT_AVAILABLE: Self = Self(5);
    pub(super) const TOPIC_EXISTS: Self = Self(36);
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            1 => "offset out of range",
            3 => "unknown topic or partition",
            5 => "leader not available",
            6 => "not leader or follower",
            7 => "request timed out",
            19 => "not enough replicas",
            20 => "not enough replicas after append",
            41 => "not controller",
            56 => "storage error",
            _ => return write!(f, "error {}", self.0),
        };
        write!(f, "{name} ({})", self.0)
    }
}

/// A broker as another one tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: i32,
}

/// What a broker believes of a topic's only partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) code: Code,
    /// The leader's number; -1: there is none.
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
}

/// What a broker believes of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    pub(super) controller: i32,
    pub(super) topic: Topic,
}

/// What is told of the controllers' quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quorum {
    pub(super) leader: i32,
    pub(super) leader_epoch: i32,
    pub(super) high_watermark: i64,
}

/// A connection to one broker.
#[derive(Debug)]
pub(crate) struct KafkaSession {
    wire: Wire,
    correlation: i32,
    /// Whether a response is awaited; one that never came leaves it set.
    is_asking: bool,
}

impl Session for KafkaSession {
    type Greeting = ();

    async fn open(wire: Wire, (): ()) -> Result<Self, String> {
        Ok(Self { wire, correlation: 0, is_asking: false })
    }

    fn is_usable(&mut self) -> bool {
        !self.is_asking && self.wire.is_open() && self.wire.pending().is_empty()
    }
}

impl KafkaSession {
    /// Sends a request and waits for its response; `Err`: the connection is of no more use, and the outcome unknown.
    async fn call(&mut self, api: Api, body: Writer) -> Result<Vec<u8>, String> {
        let (key, version) = api.key();
        self.correlation = self.correlation.wrapping_add(1);
        self.is_asking = true;
        let mut request = Writer::default().i16(key).i16(version).i32(self.correlation).text("chaos");
        if api.is_flexible() {
            request = request.varint(0);
        }
        request.0.extend_from_slice(&body.0);
        self.wire.send(&Writer::default().bytes(&request.0).0).await?;
        let length = Reader(&self.wire.take(4).await?).i32()?;
        let length = usize::try_from(length).ok().filter(|&length| length <= RESPONSE_BYTES_MAX);
        let response = self.wire.take(length.ok_or("not a Kafka broker: a response of an absurd length")?).await?;
        let mut reader = Reader(&response);
        let correlation = reader.i32()?;
        if correlation != self.correlation {
            return Err(format!("the response to request {correlation} instead of {}", self.correlation));
        }
        if api.is_flexible() {
            reader.varint()?;
        }
        self.is_asking = false;
        Ok(reader.0.to_vec())
    }

    /// What the broker believes of a topic and of the cluster.
    pub(super) async fn metadata(&mut self, topic: &str) -> Result<Metadata, String> {
        const CREATE_WHAT_IS_MISSING: i8 = 0;
        let body = Writer::default().list(1).text(topic).i8(CREATE_WHAT_IS_MISSING);
        let response = self.call(Api::Metadata, body).await?;
        let mut reader = Reader(&response);
        let _throttled = reader.i32()?;
        let mut brokers = Vec::new();
        for _ in 0..reader.count()? {
            brokers.push(Broker { id: reader.i32()?, host: reader.text()?, port: reader.i32()? });
            let _rack = reader.text()?;
        }
        let _cluster = reader.text()?;
        let controller = reader.i32()?;
        if reader.count()? != 1 {
            return Err("metadata of other topics than were asked for".to_owned());
        }
        let code = Code(reader.i16()?);
        let (_name, _internal) = (reader.text()?, reader.i8()?);
        let mut topic = Topic { code, leader: -1, leader_epoch: -1, replicas: Vec::new(), in_sync: Vec::new() };
        for _ in 0..reader.count()? {
            let (code, index) = (Code(reader.i16()?), reader.i32()?);
            let (leader, leader_epoch) = (reader.i32()?, reader.i32()?);
            let (replicas, in_sync, _offline) = (reader.ids()?, reader.ids()?, reader.ids()?);
            if index == 0 {
                let code = if topic.code == Code::NONE { code } else { topic.code };
                topic = Topic { code, leader, leader_epoch, replicas, in_sync };
            }
        }
        Ok(Metadata { brokers, controller, topic })
    }

    /// Appends a value; its offset once all replicas that are in sync have it.
    pub(super) async fn produce(&mut self, topic: &str, value: &str) -> Result<Result<i64, Code>, String> {
        const ACKS_ALL: i16 = -1;
        let body = Writer::default().no_text().i16(ACKS_ALL).i32(BROKER_TIMEOUT_MS);
        let body = body.list(1).text(topic).list(1).i32(0).bytes(&batch(value, SystemTime::now()));
        let response = self.call(Api::Produce, body).await?;
        let mut reader = one_partition(&response)?;
        let (code, offset) = (Code(reader.i16()?), reader.i64()?);
        Ok(if code == Code::NONE { Ok(offset) } else { Err(code) })
    }

    /// The first offset that is not committed yet.
    pub(super) async fn end(&mut self, topic: &str) -> Result<Result<i64, Code>, String> {
        const LATEST: i64 = -1;
        const UNCOMMITTED_TRANSACTIONS_TOO: i8 = 0;
        let body = Writer::default().i32(NO_REPLICA).i8(UNCOMMITTED_TRANSACTIONS_TOO);
        let body = body.list(1).text(topic).list(1).i32(0).i32(ANY_EPOCH).i64(LATEST);
        let response = self.call(Api::ListOffsets, body).await?;
        let mut reader = one_partition(&response[response.len().min(4)..])?;
        let (code, _timestamp, offset) = (Code(reader.i16()?), reader.i64()?, reader.i64()?);
        Ok(if code == Code::NONE { Ok(offset) } else { Err(code) })
    }

    /// Committed records from this offset on, as many as come at once.
    pub(super) async fn fetch(&mut self, topic: &str, from: i64) -> Result<Result<Vec<(i64, Vec<u8>)>, Code>, String> {
        const WAIT_MS: i32 = 0;
        const BYTES_MIN: i32 = 0;
        let body = Writer::default().i32(NO_REPLICA).i32(WAIT_MS).i32(BYTES_MIN).i32(FETCH_BYTES_MAX).i8(0);
        // No session over several fetches.
        let body = body.i32(0).i32(-1).list(1).text(topic).list(1);
        let body = body.i32(0).i32(ANY_EPOCH).i64(from).i64(-1).i32(FETCH_BYTES_MAX).list(0).text("");
        let response = self.call(Api::Fetch, body).await?;
        let mut reader = Reader(&response);
        let (_throttled, code, _session) = (reader.i32()?, Code(reader.i16()?), reader.i32()?);
        if code != Code::NONE {
            return Ok(Err(code));
        }
        let mut reader = one_partition(reader.0)?;
        let code = Code(reader.i16()?);
        if code != Code::NONE {
            return Ok(Err(code));
        }
        let (_high, _stable, _start) = (reader.i64()?, reader.i64()?, reader.i64()?);
        for _ in 0..reader.count()? {
            let (_producer, _first) = (reader.i64()?, reader.i64()?);
        }
        let _preferred_replica = reader.i32()?;
        let mut found = records(reader.bytes()?)?;
        // A batch comes as a whole, also what lies before the offset.
        found.retain(|(offset, _)| *offset >= from);
        Ok(Ok(found))
    }

    /// Makes a topic of one partition.
    pub(super) async fn create(&mut self, topic: &str, replicas: i16, in_sync_min: i16) -> Result<Code, String> {
        let body = Writer::default().list(1).text(topic).i32(1).i16(replicas).list(0);
        let body = body.list(2).text("min.insync.replicas").text(&in_sync_min.to_string());
        let body = body.text("unclean.leader.election.enable").text("false").i32(BROKER_TIMEOUT_MS).i8(0);
        let response = self.call(Api::CreateTopics, body).await?;
        let mut reader = Reader(&response);
        let _throttled = reader.i32()?;
        if reader.count()? != 1 {
            return Err("other topics than were asked for".to_owned());
        }
        let _name = reader.text()?;
        Ok(Code(reader.i16()?))
    }

    /// Who leads the controllers, as the broker learns from them.
    pub(super) async fn quorum(&mut self) -> Result<Result<Quorum, Code>, String> {
        let body = Writer::default().varint(2).compact_text("__cluster_metadata");
        let body = body.varint(2).i32(0).varint(0).varint(0).varint(0);
        let response = self.call(Api::DescribeQuorum, body).await?;
        let mut reader = Reader(&response);
        let code = Code(reader.i16()?);
        if code != Code::NONE {
            return Ok(Err(code));
        }
        if reader.varint()? != 2 {
            return Err("the quorum of other topics than were asked for".to_owned());
        }
        for _ in 1..reader.varint()? {
            reader.i8()?;
        }
        if reader.varint()? != 2 {
            return Err("the quorum of other partitions than were asked for".to_owned());
        }
        let (_index, code) = (reader.i32()?, Code(reader.i16()?));
        if code != Code::NONE {
            return Ok(Err(code));
        }
        Ok(Ok(Quorum { leader: reader.i32()?, leader_epoch: reader.i32()?, high_watermark: reader.i64()? }))
    }
}

/// What a response says of the only partition that was asked for, behind its number.
fn one_partition(response: &[u8]) -> Result<Reader<'_>, String> {
    let mut reader = Reader(response);
    let topics = reader.count()?;
    let _name = reader.text()?;
    if topics != 1 || reader.count()? != 1 || reader.i32()? != 0 {
        return Err("an answer for other partitions than were asked for".to_owned());
    }
    Ok(reader)
}
