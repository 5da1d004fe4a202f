//! PostgreSQL's wire protocol, version 3: start, password, simple queries.
//!
//! Every message is a letter, a length and a body. A simple query is one text; several statements in it are one transaction. Its end
//! is `ReadyForQuery`, whatever came before.
//!
//! Source: "Frontend/Backend Protocol" of PostgreSQL 15's documentation, chapters 55.2 and 55.7.
//!
//! Refuses TLS and every password method but the plain one: the nodes are in namespaces of a run, where `trust` will do.

use crate::client::shortened;
use crate::client::wire::{Session, Wire};

/// Larger than any message that a query of ours is answered with.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Who connects to what.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: String,
}

/// What the server says of a mistake or as a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// `ERROR`, `FATAL`, `WARNING`, …, in English whatever the server's language.
    pub(super) severity: String,
    /// SQLSTATE.
    pub(super) code: String,
    pub(super) text: String,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, shortened(&self.text))
    }
}

/// A row: the columns' texts; `None` is a null.
pub(super) type Row = Vec<Option<String>>;

/// What a query that ended was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    /// A mistake, after which the transaction was undone.
    pub(super) error: Option<Notice>,
    /// The last warning.
    pub(super) warning: Option<Notice>,
}

/// A connection to one node, outside of transactions.
#[derive(Debug)]
pub(crate) struct PostgresSession {
    wire: Wire,
    /// Whether a query is under way; one that was broken off leaves it set.
    is_asking: bool,
}

impl Session for PostgresSession {
    type Greeting = Login;

    async fn open(mut wire: Wire, login: Login) -> Result<Self, String> {
        const VERSION_3: i32 = 3 << 16;
        const AUTHENTICATED: i32 = 0;
        const PLAIN_PASSWORD: i32 = 3;
        let mut hello = VERSION_3.to_be_bytes().to_vec();
        for word in ["user", &login.user, "database", &login.database, "application_name", "chaos"] {
            hello.extend_from_slice(word.as_bytes());
            hello.push(0);
        }
        hello.push(0);
        wire.send(&framed(None, &hello)).await?;
        loop {
            let (kind, body) = message(&mut wire).await?;
            match kind {
                b'R' => match body.first_chunk().map(|code| i32::from_be_bytes(*code)) {
                    Some(AUTHENTICATED) => {}
                    Some(PLAIN_PASSWORD) => {
                        let password = format!("{}\0", login.password);
                        wire.send(&framed(Some(b'p'), password.as_bytes())).await?;
                    }
                    _ => return Err("the server wants a password method other than `trust` and `password`".to_owned()),
                },
                b'E' => return Err(notice(&body).to_string()),
                b'Z' => return Ok(Self { wire, is_asking: false }),
                // Parameters, the key for cancellations, notices.
                b'S' | b'K' | b'N' => {}
                _ => return Err(format!("a greeting that makes no sense: `{}`", shortened(&lossy(&body)))),
            }
        }
    }

    fn is_usable(&mut self) -> bool {
        // What comes unasked (a parameter that was changed) is read with the next answer; a farewell comes with the end.
        !self.is_asking && self.wire.is_open() && !self.wire.pending().starts_with(b"E")
    }
}

impl PostgresSession {
    /// Carries out a query; `Err`: the connection is of no more use, and the query's outcome unknown.
    pub(super) async fn query(&mut self, sql: &str) -> Result<Outcome, String> {
        self.is_asking = true;
        self.wire.send(&framed(Some(b'Q'), format!("{sql}\0").as_bytes())).await?;
        let mut outcome = Outcome::default();
        loop {
            let (kind, body) = message(&mut self.wire).await?;
            match kind {
                b'D' => outcome.rows.push(row(&body)?),
                b'E' => {
                    let error = notice(&body);
                    if error.severity != "ERROR" {
                        return Err(error.to_string());
                    }
                    outcome.error = Some(error);
                }
                b'N' => {
                    outcome.warning =
                        Some(notice(&body)).filter(|notice| notice.severity == "WARNING").or(outcome.warning)
                }
                b'Z' => {
                    self.is_asking = false;
                    return Ok(outcome);
                }
                // The rows' form, a statement's end, a parameter that was changed, a query without statements.
                b'T' | b'C' | b'S' | b'I' => {}
                _ => return Err(format!("an answer that makes no sense: `{}`", shortened(&lossy(&body)))),
            }
        }
    }
}

fn framed(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).expect("queries are short");
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

async fn message(wire: &mut Wire) -> Result<(u8, Vec<u8>), String> {
    let head = wire.take(5).await?;
    let length = i32::from_be_bytes(head[1..].try_into().expect("five bytes were taken"));
    match usize::try_from(length).ok().and_then(|length| length.checked_sub(4)) {
        Some(count) if count <= MESSAGE_BYTES_MAX => Ok((head[0], wire.take(count).await?)),
        Some(_) | None => Err(format!("not a PostgreSQL server: a message of {length} bytes")),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The fields of an error or a notice: a letter and a text each.
fn notice(body: &[u8]) -> Notice {
    let mut notice = Notice::default();
    for field in body.split(|&byte| byte == 0) {
        let Some((&letter, text)) = field.split_first() else { break };
        match letter {
            b'V' => notice.severity = lossy(text),
            b'C' => notice.code = lossy(text),
            b'M' => notice.text = lossy(text),
            _ => {}
        }
    }
    notice
}

fn row(body: &[u8]) -> Result<Row, String> {
    let short = || "a row that ends too early".to_owned();
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
    let mut columns = Vec::new();
    for _ in 0..i16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        // A null has the length -1.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            columns.push(None);
            rest = after;
            continue;
        };
        let (text, after) = after.split_at_checked(length).ok_or_else(short)?;
        columns.push(Some(lossy(text)));
        rest = after;
    }
    Ok(columns)
}
