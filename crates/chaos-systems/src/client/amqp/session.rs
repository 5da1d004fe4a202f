//! AMQP 0-9-1, as much of it as publishing with confirms and fetching single messages need.
//!
//! Everything is a *frame*: kind, channel, length, payload, an end byte. A method's payload is its class, its number and its arguments;
//! a message is a method followed by a header frame (with its size and properties) and body frames.
//!
//! Source: the specification of AMQP 0-9-1 and RabbitMQ's extensions (confirms, `basic.nack`).
//!
//! Refuses TLS, heartbeats (who waits has a limit of its own) and every login but PLAIN.

use crate::client::shortened;
use crate::client::wire::{Session, Wire};

const FRAME_METHOD: u8 = 1;
const FRAME_HEADER: u8 = 2;
const FRAME_BODY: u8 = 3;
const FRAME_HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;
/// Larger than any frame that is agreed upon.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// The only channel.
const CHANNEL: u16 = 1;
const BASIC: u16 = 60;

/// Who connects to what.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) vhost: String,
}

/// A method: its class and number, with its arguments.
#[derive(Clone, Debug, Default)]
pub(super) struct Method(Vec<u8>);

impl Method {
    pub(super) fn new(class: u16, number: u16) -> Self {
        Self([class.to_be_bytes(), number.to_be_bytes()].concat())
    }

    pub(super) fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(super) fn short(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn long(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A text of at most 255 bytes.
    pub(super) fn text(mut self, value: &str) -> Self {
        self = self.octet(u8::try_from(value.len()).expect("names are short, as was checked"));
        self.0.extend_from_slice(value.as_bytes());
        self
    }

    pub(super) fn long_text(mut self, value: &[u8]) -> Self {
        self = self.long(u32::try_from(value.len()).expect("texts are short"));
        self.0.extend_from_slice(value);
        self
    }
}

/// A table with one entry: a text.
pub(super) fn text_entry(name: &str, value: &str) -> Vec<u8> {
    Method(Vec::new()).text(name).octet(b'S').long_text(value.as_bytes()).0
}

/// A table with flags that are set.
fn flags(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| Method(Vec::new()).text(name).octet(b't').octet(1).0).collect()
}

/// What a node said on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The published message is safe.
    Ack(u64),
    /// The node could not take care of the published message.
    Nack(u64),
    /// The published message fits no queue: code and text. The acknowledgement follows.
    Returned(u16, String),
    /// A message that was delivered or fetched.
    Message(Vec<u8>),
    /// There is no message to fetch.
    Empty,
    /// Another method's answer: class, number, arguments.
    Done(u16, u16, Vec<u8>),
}

/// Why a channel is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// The reply code, if the node closed the channel or the connection with one.
    pub(super) code: Option<u16>,
    pub(super) error: String,
}

impl From<String> for Broken {
    fn from(error: String) -> Self {
        Self { code: None, error }
    }
}

/// A connection to one node with its channel, which is in confirm mode.
#[derive(Debug)]
pub(crate) struct AmqpSession {
    wire: Wire,
    /// The number of the last published message.
    pub(super) published: u64,
    /// Whether an operation is under way; one that was broken off leaves it set.
    pub(super) is_busy: bool,
}

impl Session for AmqpSession {
    type Greeting = Login;

    async fn open(mut wire: Wire, login: Login) -> Result<Self, String> {
        wire.send(b"AMQP\0\0\x09\x01").await?;
        let mut session = Self { wire, published: 0, is_busy: false };
        session.greet(&login).await.map_err(|broken| broken.error)?;
        Ok(session)
    }

    fn is_usable(&mut self) -> bool {
        !self.is_busy && self.wire.is_open() && self.wire.pending().is_empty()
    }
}

impl AmqpSession {
    async fn greet(&mut self, login: &Login) -> Result<(), Broken> {
        self.expect(10, 10).await?;
        let capabilities = flags(&["publisher_confirms", "basic.nack"]);
        let properties = Method(Vec::new()).text("capabilities").octet(b'F').long_text(&capabilities).0;
        let response = format!("\0{}\0{}", login.user, login.password);
        let start =
            Method::new(10, 11).long_text(&properties).text("PLAIN").long_text(response.as_bytes()).text("en_US");
        self.tell(0, start).await?;
        // The node's limits are agreed to, without heartbeats.
        let tune = self.expect(10, 30).await?;
        let limits = tune.first_chunk::<6>().ok_or_else(|| "limits that end too early".to_owned())?;
        let mut agreed = Method::new(10, 31);
        agreed.0.extend_from_slice(limits);
        self.tell(0, agreed.short(0)).await?;
        self.tell(0, Method::new(10, 40).text(&login.vhost).text("").octet(0)).await?;
        self.expect(10, 41).await?;
        self.tell(CHANNEL, Method::new(20, 10).text("")).await?;
        self.expect(20, 11).await?;
        self.tell(CHANNEL, Method::new(85, 10).octet(0)).await?;
        self.expect(85, 11).await?;
        Ok(())
    }

    async fn tell(&mut self, channel: u16, method: Method) -> Result<(), String> {
        self.wire.send(&frame(FRAME_METHOD, channel, &method.0)).await
    }

    /// A method on the channel.
    pub(super) async fn call(&mut self, method: Method) -> Result<(), Broken> {
        Ok(self.tell(CHANNEL, method).await?)
    }

    /// Waits for this method; its arguments.
    pub(super) async fn expect(&mut self, class: u16, number: u16) -> Result<Vec<u8>, Broken> {
        let said = self.said().await?;
        if let Said::Done(told, of, arguments) = &said
            && (*told, *of) == (class, number)
        {
            return Ok(arguments.clone());
        }
        Err(format!("not what was asked for: {}", shortened(&format!("{said:?}"))).into())
    }

    /// Publishes to a queue of this name: persistent, to be confirmed, to be returned if there is no such queue.
    pub(super) async fn publish(&mut self, queue: &str, body: &str) -> Result<(), Broken> {
        const MANDATORY: u8 = 1;
        const HAS_DELIVERY_MODE: u16 = 1 << 12;
        const PERSISTENT: u8 = 2;
        self.published += 1;
        let method = Method::new(BASIC, 40).short(0).text("").text(queue).octet(MANDATORY);
        let size = body.len() as u64;
        let mut header = Method(BASIC.to_be_bytes().to_vec()).short(0);
        header.0.extend_from_slice(&size.to_be_bytes());
        let header = header.short(HAS_DELIVERY_MODE).octet(PERSISTENT);
        let frames = [
            frame(FRAME_METHOD, CHANNEL, &method.0),
            frame(FRAME_HEADER, CHANNEL, &header.0),
            frame(FRAME_BODY, CHANNEL, body.as_bytes()),
        ];
        Ok(self.wire.send(&frames.concat()).await?)
    }

    /// What the node says next.
    pub(super) async fn said(&mut self) -> Result<Said, Broken> {
        let method = self.method().await?;
        let short = || Broken::from("a method that ends too early".to_owned());
        let (class, rest) = method.split_first_chunk::<2>().ok_or_else(short)?;
        let (number, arguments) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (class, number) = (u16::from_be_bytes(*class), u16::from_be_bytes(*number));
        let tag = || arguments.first_chunk().map(|tag| u64::from_be_bytes(*tag)).ok_or_else(short);
        match (class, number) {
            (10, 50) | (20, 40) => {
                let (code, text) = reason(arguments).ok_or_else(short)?;
                Err(Broken { code: Some(code), error: format!("closed by the node: {code} {}", shortened(&text)) })
            }
            (BASIC, 50) => {
                let (code, text) = reason(arguments).ok_or_else(short)?;
                self.content().await?;
                Ok(Said::Returned(code, text))
            }
            (BASIC, 60 | 71) => Ok(Said::Message(self.content().await?)),
            (BASIC, 72) => Ok(Said::Empty),
            (BASIC, 80) => Ok(Said::Ack(tag()?)),
            (BASIC, 120) => Ok(Said::Nack(tag()?)),
            (_, _) => Ok(Said::Done(class, number, arguments.to_vec())),
        }
    }

    async fn method(&mut self) -> Result<Vec<u8>, String> {
        match self.frame().await? {
            (FRAME_METHOD, payload) => Ok(payload),
            (kind, _) => Err(format!("a frame of kind {kind} instead of a method")),
        }
    }

    /// A message's body, behind its method.
    async fn content(&mut self) -> Result<Vec<u8>, String> {
        let header = match self.frame().await? {
            (FRAME_HEADER, payload) => payload,
            (kind, _) => return Err(format!("a frame of kind {kind} instead of a header")),
        };
        let size = header.get(4..12).and_then(|size| size.first_chunk()).map(|size| u64::from_be_bytes(*size));
        let size = size.and_then(|size| usize::try_from(size).ok()).filter(|&size| size <= FRAME_BYTES_MAX);
        let size = size.ok_or("a message of an absurd size")?;
        let mut body = Vec::new();
        while body.len() < size {
            match self.frame().await? {
                (FRAME_BODY, payload) => body.extend_from_slice(&payload),
                (kind, _) => return Err(format!("a frame of kind {kind} instead of a body")),
            }
        }
        Ok(body)
    }

    /// The next frame but heartbeats.
    async fn frame(&mut self) -> Result<(u8, Vec<u8>), String> {
        loop {
            let head = self.wire.take(7).await?;
            let size = u32::from_be_bytes(head[3..].try_into().expect("seven bytes were taken"));
            let size = usize::try_from(size).ok().filter(|&size| size <= FRAME_BYTES_MAX);
            // Another version's answer to the greeting is the name of the protocol itself.
            let size = size.filter(|_| head[0] != b'A').ok_or("not an AMQP 0-9-1 node: a frame of an absurd size")?;
            let mut payload = self.wire.take(size + 1).await?;
            if payload.pop() != Some(FRAME_END) {
                return Err("a frame without an end".to_owned());
            }
            if head[0] != FRAME_HEARTBEAT {
                return Ok((head[0], payload));
            }
        }
    }
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).expect("frames are short");
    [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes(), payload, &[FRAME_END]].concat()
}

/// A reply code and its text.
fn reason(arguments: &[u8]) -> Option<(u16, String)> {
    let (code, rest) = arguments.split_first_chunk()?;
    let (&length, rest) = rest.split_first()?;
    let text = rest.get(..usize::from(length))?;
    Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
}
