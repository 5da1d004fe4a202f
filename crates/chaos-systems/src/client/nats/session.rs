//! The NATS client protocol, as much of it as requests and their answers need.
//!
//! Lines of text; a message has its payload's length on its line and the payload behind it. A request is a publication that names a
//! subject for the answer, to which the session has subscribed:
//!
//! ```text
//! → PUB r.k _INBOX.1a.7.1 2␍␊42␍␊
//! ← MSG _INBOX.1a.7.1 1 31␍␊{"stream":"chaos","seq":5}␍␊
//! ```
//!
//! Source: "Client Protocol" of the NATS documentation, and ADR-4 for headers.
//!
//! Refuses TLS and authentication: the nodes are in namespaces of a run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::client::answer::shortened;
use crate::client::wire::{Session, Wire};

/// Larger than any payload that JetStream answers.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Numbers the sessions of this process, so that no two share a subject for answers.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// What came as the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The status that its header shows; 503: nobody listens to the subject.
    pub(super) status: Option<u16>,
    /// The payload.
    pub(super) payload: Vec<u8>,
}

/// A connection to one node, subscribed to the answers to its own requests.
#[derive(Debug)]
pub(crate) struct NatsSession {
    wire: Wire,
    inbox: String,
    requests: u64,
    /// The requests whose answers are still to come, those that were broken off included.
    awaited: BTreeSet<u64>,
}

impl Session for NatsSession {
    type Greeting = ();

    async fn open(mut wire: Wire, (): ()) -> Result<Self, String> {
        const CONNECT: &str = concat!(
            r#"CONNECT {"verbose":false,"pedantic":false,"lang":"chaos","version":"1","protocol":1,"#,
            r#""headers":true,"no_responders":true}"#
        );
        let info = wire.line().await?;
        if !info.starts_with("INFO {") {
            return Err(format!("not a NATS server: `{}`", shortened(&info)));
        }
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let inbox = format!("_INBOX.chaos-{}-{number}", std::process::id());
        wire.send(format!("{CONNECT}\r\nSUB {inbox}.* 1\r\nPING\r\n").as_bytes()).await?;
        loop {
            let line = wire.line().await?;
            match line.split_whitespace().next() {
                Some("PONG") => return Ok(Self { wire, inbox, requests: 0, awaited: BTreeSet::new() }),
                Some("PING" | "INFO" | "+OK") => {}
                _ => return Err(format!("an answer that makes no sense: `{}`", shortened(&line))),
            }
        }
    }

    fn is_usable(&mut self) -> bool {
        // Pings and topology come unasked, and are dealt with when the next answer is read.
        self.awaited.is_empty() && self.wire.is_open()
    }
}

impl NatsSession {
    /// Sends a request and waits for its answer; `Err`: the connection is of no more use, and the request's outcome unknown.
    pub(super) async fn request(
        &mut self,
        subject: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Message, String> {
        let number = self.ask(subject, headers, body).await?;
        let (answered, message) = self.answer().await?;
        if answered == number {
            Ok(message)
        } else {
            Err(format!("the answer to request {answered} instead of {number}"))
        }
    }

    /// Sends a request without waiting; its number.
    pub(super) async fn ask(&mut self, subject: &str, headers: &[(&str, &str)], body: &str) -> Result<u64, String> {
        self.requests += 1;
        let number = self.requests;
        self.awaited.insert(number);
        let reply = format!("{}.{number}", self.inbox);
        let text = if headers.is_empty() {
            format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())
        } else {
            let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("NATS/1.0\r\n{fields}\r\n");
            format!("HPUB {subject} {reply} {} {}\r\n{head}{body}\r\n", head.len(), head.len() + body.len())
        };
        self.wire.send(text.as_bytes()).await?;
        Ok(number)
    }

    /// Waits for the next answer; with the number of the request that it answers. Each is answered once: of two nodes that both take
    /// themselves for the leader, as after a heal, the first to answer counts, as it does for NATS' own clients.
    pub(super) async fn answer(&mut self) -> Result<(u64, Message), String> {
        loop {
            let line = self.wire.line().await?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let sense = || format!("an answer that makes no sense: `{}`", shortened(&line));
            let length = |word: &str| word.parse().ok().filter(|&count| count <= PAYLOAD_BYTES_MAX).ok_or_else(sense);
            let (subject, head, whole) = match *words.as_slice() {
                ["PING"] => {
                    self.wire.send(b"PONG\r\n").await?;
                    continue;
                }
                ["PONG" | "+OK"] | ["INFO", ..] => continue,
                ["MSG", subject, _, whole] => (subject, 0, length(whole)?),
                ["HMSG", subject, _, head, whole] => (subject, length(head)?, length(whole)?),
                _ => return Err(sense()),
            };
            let number = subject.strip_prefix(&self.inbox).and_then(|rest| rest.strip_prefix('.'));
            let number = number.and_then(|number| number.parse().ok()).ok_or_else(sense)?;
            let mut bytes = self.wire.take(whole + 2).await?;
            if head > whole || !bytes.ends_with(b"\r\n") {
                return Err(sense());
            }
            bytes.truncate(whole);
            let payload = bytes.split_off(head);
            if self.awaited.remove(&number) {
                return Ok((number, Message { status: status(&bytes), payload }));
            }
        }
    }
}

/// The status in a message's header: `NATS/1.0 503`.
fn status(head: &[u8]) -> Option<u16> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().next()?.strip_prefix("NATS/1.0")?.split_whitespace().next()?.parse().ok()
}
