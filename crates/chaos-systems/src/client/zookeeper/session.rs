//! ZooKeeper's wire protocol, as much of it as a client of registers, sets and locks speaks.
//!
//! Every packet is a length (`i32`) and a body; a request's body is its number, its operation and a record in *jute* (big-endian
//! integers, texts with their length before them), a reply's its number, a zxid, an error code and a record. Source:
//! `zookeeper.jute` and the Programmer's Guide of ZooKeeper 3.8.
//!
//! Refuses: to renew a session on another connection (a session ends with its connection, as far as its client is concerned), TLS,
//! SASL and ACLs other than "anyone".

use std::time::{Duration, Instant};

use crate::client::wire::{Session, Wire};

/// Larger than any answer that a client of ours asks for.
const PACKET_BYTES_MAX: usize = 16 << 20;
/// The number of a packet that tells of a watched change instead of answering.
const XID_NOTIFICATION: i32 = -1;
/// The number of a ping and its answer.
const XID_PING: i32 = -2;

/// Operations, by their codes in `ZooDefs.OpCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Delete = 2,
    Exists = 3,
    GetData = 4,
    SetData = 5,
    Sync = 9,
    Ping = 11,
    GetChildren2 = 12,
    Check = 13,
    Multi = 14,
    Create2 = 15,
    CloseSession = -11,
}

/// What becomes of a node with its session, and who names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreateMode {
    Persistent = 0,
    EphemeralSequential = 3,
}

/// An error code of a reply, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) i32);

impl Code {
    pub(super) const NO_NODE: Self = Self(-101);
    pub(super) const BAD_VERSION: Self = Self(-103);
    pub(super) const NODE_EXISTS: Self = Self(-110);

    /// Whether a request that was answered so did not happen and never will.
    ///
    /// The codes on the list are decided by the leader's request processor before a change is proposed, or by the ensemble's common
    /// order of changes. What isn't on it (a time-out, a session that expired or moved, a code of a later version) decides nothing.
    pub(super) fn is_definite(self) -> bool {
        // UNIMPLEMENTED, BADARGUMENTS, NONODE, NOAUTH, BADVERSION, NOCHILDRENFOREPHEMERALS, NODEEXISTS, NOTEMPTY, INVALIDCALLBACK,
        // INVALIDACL, NOTREADONLY, QUOTAEXCEEDED, THROTTLEDOP.
        matches!(self.0, -6 | -8 | -101 | -102 | -103 | -108 | -110 | -111 | -113 | -114 | -119 | -125 | -127)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.0 {
            -1 => "system error",
            -6 => "unimplemented",
            -7 => "operation timed out",
            -8 => "bad arguments",
            -101 => "no node",
            -102 => "no auth",
            -103 => "bad version",
            -110 => "node exists",
            -112 => "session expired",
            -118 => "session moved",
            -127 => "throttled",
            _ => return write!(f, "error {}", self.0),
        };
        write!(f, "{name} ({})", self.0)
    }
}

/// What a node says of one of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// The change that made it.
    pub(super) czxid: i64,
    /// The last change of its data.
    pub(super) mzxid: i64,
    /// How often its data has been changed.
    pub(super) version: i32,
    /// The last change of its list of children.
    pub(super) pzxid: i64,
}

/// A record under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Record(Vec<u8>);

impl Record {
    pub(super) fn int(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn flag(mut self, value: bool) -> Self {
        self.0.push(u8::from(value));
        self
    }

    pub(super) fn text(self, value: &str) -> Self {
        let length = i32::try_from(value.len()).expect("paths and values are short");
        let mut record = self.int(length);
        record.0.extend_from_slice(value.as_bytes());
        record
    }

    /// The record of a creation that everybody may use.
    pub(super) fn create(path: &str, data: &str, mode: CreateMode) -> Self {
        const ALL_PERMISSIONS: i32 = 31;
        let acl = Self::default().text(path).text(data).int(1).int(ALL_PERMISSIONS).text("world").text("anyone");
        acl.int(mode as i32)
    }

    /// The record of a transaction that only checks an entry's version, and so is decided in the ensemble's order of changes.
    pub(super) fn check(path: &str, version: i32) -> Self {
        let header = |record: Self, op: i32, done: bool| record.int(op).flag(done).int(-1);
        let one = header(Self::default(), Op::Check as i32, false).text(path).int(version);
        header(one, -1, true)
    }

    pub(super) fn framed(self) -> Vec<u8> {
        let length = i32::try_from(self.0.len()).expect("requests are short");
        let mut packet = length.to_be_bytes().to_vec();
        packet.extend_from_slice(&self.0);
        packet
    }
}

/// A record that is read from its beginning; every read may find it too short.
#[derive(Clone, Debug)]
pub(super) struct Reader(Vec<u8>, usize);

impl Reader {
    fn bytes(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.1.checked_add(count).filter(|&end| end <= self.0.len());
        let end = end.ok_or_else(|| "an answer that ends too early".to_owned())?;
        let bytes = &self.0[self.1..end];
        self.1 = end;
        Ok(bytes)
    }

    pub(super) fn int(&mut self) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.bytes(4)?.try_into().expect("four bytes were taken")))
    }

    pub(super) fn long(&mut self) -> Result<i64, String> {
        Ok(i64::from_be_bytes(self.bytes(8)?.try_into().expect("eight bytes were taken")))
    }

    pub(super) fn flag(&mut self) -> Result<bool, String> {
        Ok(self.bytes(1)?[0] != 0)
    }

    /// A text; bytes that are no UTF-8 are replaced. `None` if none was set (which ZooKeeper tells from an empty one).
    pub(super) fn text(&mut self) -> Result<Option<String>, String> {
        let Ok(length) = usize::try_from(self.int()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.bytes(length)?).into_owned()))
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, String> {
        let count = self.int()?;
        (0..count).map(|_| Ok(self.text()?.unwrap_or_default())).collect()
    }

    pub(super) fn stat(&mut self) -> Result<Stat, String> {
        let (czxid, mzxid) = (self.long()?, self.long()?);
        let (_ctime, _mtime) = (self.long()?, self.long()?);
        let (version, _cversion, _aversion) = (self.int()?, self.int()?, self.int()?);
        let (_owner, _length, _children) = (self.long()?, self.int()?, self.int()?);
        Ok(Stat { czxid, mzxid, version, pzxid: self.long()? })
    }
}

/// What a node answered: a record, or an error code.
pub(super) type Reply = Result<Reader, Code>;

/// A session with one node, on one connection.
#[derive(Debug)]
pub(crate) struct ZooKeeperSession {
    wire: Wire,
    /// The number of the last request.
    xid: i32,
    /// Whether a request is under way; one that was broken off leaves it set.
    is_asking: bool,
    /// When the node last said anything.
    pub(super) heard: Instant,
    /// After how long a silence the ensemble ends the session: what was negotiated.
    pub(super) timeout: Duration,
    /// Whether a watched change has been told since [`Self::forget_notifications`].
    notified: bool,
}

impl Session for ZooKeeperSession {
    /// The session timeout that is asked for.
    type Greeting = Duration;

    async fn open(mut wire: Wire, timeout: Duration) -> Result<Self, String> {
        const PROTOCOL_VERSION: i32 = 0;
        const LAST_ZXID_SEEN: i64 = 0;
        const NO_SESSION: i64 = 0;
        let millis = i32::try_from(timeout.as_millis()).map_err(|_| "a session timeout of weeks".to_owned())?;
        let hello = Record::default().int(PROTOCOL_VERSION).long(LAST_ZXID_SEEN).int(millis).long(NO_SESSION);
        // The password of a session that is new, and that a read-only node (one without a quorum) won't do.
        let hello = hello.text(&"\0".repeat(16)).flag(false);
        wire.send(&hello.framed()).await?;
        let mut answer = packet(&mut wire).await?;
        let (_version, timeout) = (answer.int()?, answer.int()?);
        let session = answer.long()?;
        match u64::try_from(timeout) {
            Ok(millis) if millis > 0 && session != 0 => {
                let timeout = Duration::from_millis(millis);
                Ok(Self { wire, xid: 0, is_asking: false, heard: Instant::now(), timeout, notified: false })
            }
            Ok(_) | Err(_) => Err("the node gives no session".to_owned()),
        }
    }

    fn is_usable(&mut self) -> bool {
        // A node says nothing unasked to a session without watches.
        !self.is_asking && self.wire.is_open() && self.wire.pending().is_empty()
    }
}

impl ZooKeeperSession {
    /// Sends a request and waits for its answer; `Err`: the connection is of no more use, and the request's outcome unknown.
    pub(super) async fn call(&mut self, op: Op, record: Record) -> Result<Reply, String> {
        self.xid = self.xid.checked_add(1).ok_or("a session with two thousand million requests")?;
        let mut request = Record::default().int(self.xid).int(op as i32);
        request.0.extend_from_slice(&record.0);
        self.is_asking = true;
        self.wire.send(&request.framed()).await?;
        loop {
            let (xid, code, reader) = reply(&mut self.wire).await?;
            match xid {
                XID_NOTIFICATION => self.notified = true,
                XID_PING => {}
                xid if xid == self.xid => {
                    self.is_asking = false;
                    return Ok(if code == 0 { Ok(reader) } else { Err(Code(code)) });
                }
                xid => return Err(format!("the answer to request {xid} instead of {}", self.xid)),
            }
        }
    }

    /// Tells the ensemble that the client is alive.
    pub(super) async fn ping(&mut self) -> Result<(), String> {
        self.wire.send(&Record::default().int(XID_PING).int(Op::Ping as i32).framed()).await
    }

    /// From now on, only later changes count for [`Self::notification`].
    pub(super) fn forget_notifications(&mut self) {
        self.notified = false;
    }

    /// Waits until a watched change is told; may be dropped and called again at any moment.
    pub(super) async fn notification(&mut self) -> Result<(), String> {
        while !self.notified {
            // A packet is taken only once it is whole, so that nothing is lost if this future is dropped while it waits.
            while !has_packet(self.wire.pending()) {
                self.wire.fill().await?;
            }
            let (xid, _, _) = reply(&mut self.wire).await?;
            self.heard = Instant::now();
            self.notified = xid == XID_NOTIFICATION;
        }
        Ok(())
    }

    /// Waits for the connection's end while answers to pings come in.
    pub(super) async fn broken(&mut self) -> String {
        loop {
            self.notified = false;
            if let Err(error) = self.notification().await {
                return error;
            }
        }
    }
}

fn has_packet(pending: &[u8]) -> bool {
    let Some((length, body)) = pending.split_first_chunk::<4>() else { return false };
    // A length that makes no sense counts as there, so that whoever reads it says so.
    usize::try_from(i32::from_be_bytes(*length))
        .map_or(true, |length| length > PACKET_BYTES_MAX || body.len() >= length)
}

async fn packet(wire: &mut Wire) -> Result<Reader, String> {
    let length = wire.take(4).await?;
    let length = i32::from_be_bytes(length.try_into().expect("four bytes were taken"));
    match usize::try_from(length) {
        Ok(count) if count <= PACKET_BYTES_MAX => Ok(Reader(wire.take(count).await?, 0)),
        Ok(_) | Err(_) => Err(format!("a packet of {length} bytes")),
    }
}

/// The number, the error code and the record of the next reply.
async fn reply(wire: &mut Wire) -> Result<(i32, i32, Reader), String> {
    let mut reader = packet(wire).await?;
    let (xid, _zxid, code) = (reader.int()?, reader.long()?, reader.int()?);
    Ok((xid, code, reader))
}
