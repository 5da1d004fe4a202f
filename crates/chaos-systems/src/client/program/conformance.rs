//! The conformance suite of `chaos-client/1`: does a program keep the protocol's rules?
//!
//! The program is started anew for each rule. Against servers of our own that refuse, fall silent, break off and talk nonsense, it
//! must never claim what it can't know; against a real server, if one is named, it must also be right. What counts as "sent" is
//! judged by the bytes that our server saw: a program that first greets the server and is cut off there may say `fail`, one
//! whose value has gone out may not.
//!
//! It refuses to judge how fast a program is, and what it logs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use chaos_history::{Action, OpPhase, OpResult, Value};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::message::{Done, Hello, PROTOCOL, Ready, answer, op, op_line};
use super::session::{next_line, spawn};

/// How long a program may take for anything that it must do.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a program may take to end.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How long the silent server is silent.
const SILENCE: Duration = Duration::from_millis(500);
/// Operations that are sent at once.
const PIPELINED: u64 = 50;

/// A rule, and whether the program keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleReport {
    /// A short name.
    pub rule: &'static str,
    /// What it demands.
    pub demands: &'static str,
    /// Whether it is kept.
    pub outcome: RuleOutcome,
}

/// What came of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// It is kept.
    Passed,
    /// It is not, and how.
    Failed(String),
    /// It was not tried, and why.
    Skipped(String),
}

/// Tries every rule on the program that `command` starts. With `endpoint`, a real server, its answers are checked too; the keys
/// written there contain `salt`. `options` are what `hello` carries.
///
/// # Errors
/// If the program can't be started at all.
///
/// # Panics
/// If the command is empty.
pub async fn check_client(
    command: &[String],
    endpoint: Option<SocketAddr>,
    options: &BTreeMap<String, String>,
    salt: u64,
) -> std::io::Result<Vec<RuleReport>> {
    drop(spawn(command)?);
    let suite = Suite { command, options, salt };
    let mut reports = Vec::new();
    let mut add = |rule, demands, outcome: Result<Tried, String>| {
        let outcome = match outcome {
            Ok(Tried::Kept) => RuleOutcome::Passed,
            Ok(Tried::NotApplicable(why)) => RuleOutcome::Skipped(why),
            Err(what) => RuleOutcome::Failed(what),
        };
        reports.push(RuleReport { rule, demands, outcome });
    };
    let ready = suite.ready().await;
    let is_ready = ready.is_ok();
    add("ready", "answers `hello` with `ready`, which names operations that there are", ready);
    if !is_ready {
        return Ok(reports);
    }
    add("skips-unknown", "skips messages and fields that it doesn't know", suite.skips_unknown().await);
    add("refused", "does not say `ok` if nobody listens", suite.refused().await);
    add("cut-off", "says `info` if the server falls silent and breaks off after it was asked", suite.cut_off().await);
    add("nonsense", "says `info` if the server answers nonsense", suite.nonsense().await);
    add("each-once", "answers each of many operations sent at once, exactly once", suite.each_once(endpoint).await);
    add("close", "ends at `close`", suite.ends(true).await);
    add("end-of-input", "ends at the end of its input", suite.ends(false).await);
    let no_server = || Ok(Tried::NotApplicable("no server is named".to_owned()));
    let register = match endpoint {
        Some(endpoint) => suite.register(endpoint).await,
        None => no_server(),
    };
    add("register", "reads what it wrote, and compares before it sets", register);
    let set = match endpoint {
        Some(endpoint) => suite.set(endpoint).await,
        None => no_server(),
    };
    add("set", "finds every element that it added", set);
    Ok(reports)
}

/// What came of a rule that is not broken.
enum Tried {
    Kept,
    NotApplicable(String),
}

struct Suite<'a> {
    command: &'a [String],
    options: &'a BTreeMap<String, String>,
    salt: u64,
}

/// A program while it is tried.
struct Talk {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    ready: Ready,
    last: u64,
}

impl Suite<'_> {
    async fn talk(&self, endpoint: SocketAddr) -> Result<Talk, String> {
        let (child, stdin, stdout) = spawn(self.command).map_err(|error| format!("it can't be started: {error}"))?;
        let hello = Hello {
            protocol: PROTOCOL,
            node: "n1".to_owned(),
            endpoint,
            endpoints: vec![endpoint],
            options: self.options.clone(),
            connect_timeout_ms: 1000,
            seed: self.salt,
        };
        let ready = Ready { protocol: String::new(), ops: Vec::new(), questions: Vec::new() };
        let mut talk = Talk { child, stdin: Some(stdin), stdout: BufReader::new(stdout), ready, last: 0 };
        let mut hello: Json = serde_json::from_str(&hello.line()).map_err(|error| error.to_string())?;
        hello["a_field_of_a_later_version"] = json!({ "x": [1, null] });
        talk.write(&hello.to_string()).await?;
        let message = talk.message(WITHIN).await?.ok_or("it is not ready within ten seconds")?;
        if message["type"] != "ready" {
            return Err(format!("its first message is no `ready`: {message}"));
        }
        talk.ready = serde_json::from_value(message).map_err(|error| format!("its `ready`: {error}"))?;
        Ok(talk)
    }

    fn action(&self, op: &str, number: u64) -> Action {
        let (key, value) = (format!("chaos-check-{}-{op}", self.salt), Value(self.salt + number));
        match op {
            "write" => Action::Write { key, value },
            "cas" => Action::Cas { key, expect: None, value },
            "add" => Action::Add { key, value },
            "elements" => Action::Elements { key },
            "acquire" => Action::Acquire { key },
            "release" => Action::Release { key },
            "access" => Action::Access { key, token: None },
            _ => Action::Read { key },
        }
    }

    async fn ready(&self) -> Result<Tried, String> {
        let talk = self.talk(nobody().await?).await?;
        if talk.ready.protocol != PROTOCOL {
            return Err(format!("it speaks `{}`, not {PROTOCOL}", talk.ready.protocol));
        }
        let known = |name: &str| op(&self.action(name, 0)) == name;
        match talk.ready.ops.iter().find(|name| !known(name)) {
            Some(unknown) => Err(format!("there is no operation `{unknown}`")),
            None if talk.ready.ops.is_empty() => Err("it knows no operation".to_owned()),
            None => Ok(Tried::Kept),
        }
    }

    async fn skips_unknown(&self) -> Result<Tried, String> {
        let mut talk = self.talk(nobody().await?).await?;
        talk.write(r#"{"type":"a-message-of-a-later-version","id":1}"#).await?;
        let op = talk.ready.ops[0].clone();
        talk.ask(&self.action(&op, 0)).await?;
        let done = talk.done(WITHIN).await?.ok_or("it answers no operation any more")?;
        if done["id"] == talk.last { Ok(Tried::Kept) } else { Err(format!("it answers something else: {done}")) }
    }

    async fn refused(&self) -> Result<Tried, String> {
        let mut talk = self.talk(nobody().await?).await?;
        let Some(action) = self.writing(&talk) else { return Ok(no_writes()) };
        let id = talk.ask(&action).await?;
        let done = talk.done(WITHIN).await?.ok_or("no answer within ten seconds")?;
        judge(&done, id, false)
    }

    async fn cut_off(&self) -> Result<Tried, String> {
        let (endpoint, seen) = server(Manner::Silent).await?;
        self.without_answer(endpoint, &seen).await
    }

    async fn nonsense(&self) -> Result<Tried, String> {
        let (endpoint, seen) = server(Manner::Nonsense).await?;
        self.without_answer(endpoint, &seen).await
    }

    async fn without_answer(&self, endpoint: SocketAddr, seen: &Seen) -> Result<Tried, String> {
        let mut talk = self.talk(endpoint).await?;
        let Some(action) = self.writing(&talk) else { return Ok(no_writes()) };
        let id = talk.ask(&action).await?;
        let done = talk.done(WITHIN).await?.ok_or("no answer within ten seconds of the break")?;
        let value = action.written().unwrap_or(Value(0)).to_string();
        judge(&done, id, was_sent(seen, &value))
    }

    async fn each_once(&self, endpoint: Option<SocketAddr>) -> Result<Tried, String> {
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            None => nobody().await?,
        };
        let mut talk = self.talk(endpoint).await?;
        let op =
            if talk.ready.ops.iter().any(|op| op == "read") { "read".to_owned() } else { talk.ready.ops[0].clone() };
        for number in 0..PIPELINED {
            talk.ask(&self.action(&op, number)).await?;
        }
        let mut answered: BTreeMap<u64, u32> = BTreeMap::new();
        while answered.len() < usize::try_from(PIPELINED).unwrap_or(usize::MAX) {
            let done = talk.done(WITHIN).await?.ok_or_else(|| format!("only {} of {PIPELINED}", answered.len()))?;
            let id = done["id"].as_u64().ok_or_else(|| format!("a `done` without an id: {done}"))?;
            *answered.entry(id).or_default() += 1;
        }
        talk.write(r#"{"type":"close"}"#).await?;
        while let Some(done) = talk.done(Duration::from_secs(1)).await? {
            *answered.entry(done["id"].as_u64().unwrap_or(0)).or_default() += 1;
        }
        match answered.iter().find(|(id, count)| **count != 1 || !(1..=PIPELINED).contains(*id)) {
            Some((id, count)) => Err(format!("operation {id} was answered {count} times")),
            None => Ok(Tried::Kept),
        }
    }

    async fn ends(&self, by_close: bool) -> Result<Tried, String> {
        let mut talk = self.talk(nobody().await?).await?;
        if by_close {
            talk.write(r#"{"type":"close"}"#).await?;
        } else {
            talk.stdin = None;
        }
        let ended = tokio::time::timeout(END_WITHIN, talk.child.wait()).await;
        ended.map(|_| Tried::Kept).map_err(|_| "it is still there after five seconds".to_owned())
    }

    async fn register(&self, endpoint: SocketAddr) -> Result<Tried, String> {
        let mut talk = self.talk(endpoint).await?;
        let has = |op: &str| talk.ready.ops.iter().any(|known| known == op);
        let (writes, compares) = (has("write"), has("cas"));
        if !has("read") || !(writes || compares) {
            return Ok(Tried::NotApplicable("it has no registers".to_owned()));
        }
        let key = format!("chaos-check-{}-register", self.salt);
        let value = |number| Value(self.salt + number);
        let read = Action::Read { key: key.clone() };
        talk.expect(&read, |result| matches!(result, OpResult::Read { value: None, .. })).await?;
        let mut now = None;
        if writes {
            let write = Action::Write { key: key.clone(), value: value(1) };
            talk.expect(&write, |result| matches!(result, OpResult::Written { .. })).await?;
            now = Some(value(1));
        }
        if compares {
            for (expect, swaps) in [(Some(value(9)), false), (now, true)] {
                let cas = Action::Cas { key: key.clone(), expect, value: value(2) };
                let before = now;
                talk.expect(&cas, |result| {
                    matches!(result, OpResult::Cas { swapped, observed, .. }
                        if *swapped == swaps && observed.is_none_or(|observed| observed == before))
                })
                .await?;
            }
            now = Some(value(2));
        }
        talk.expect(&read, |result| matches!(result, OpResult::Read { value, .. } if *value == now)).await?;
        Ok(Tried::Kept)
    }

    async fn set(&self, endpoint: SocketAddr) -> Result<Tried, String> {
        let mut talk = self.talk(endpoint).await?;
        if !["add", "elements"].iter().all(|op| talk.ready.ops.iter().any(|known| known == op)) {
            return Ok(Tried::NotApplicable("it has no sets".to_owned()));
        }
        let key = format!("chaos-check-{}-set", self.salt);
        let elements = Action::Elements { key: key.clone() };
        let mut expected = Vec::new();
        for number in 0..=3 {
            let mut sorted = |result: &OpResult| match result {
                OpResult::Elements { values, .. } => {
                    let mut values = values.clone();
                    values.sort();
                    values == expected
                }
                OpResult::Read { .. }
                | OpResult::Written { .. }
                | OpResult::Cas { .. }
                | OpResult::Acquired { .. }
                | OpResult::Released
                | OpResult::Accessed { .. } => false,
            };
            talk.expect(&elements, &mut sorted).await?;
            let value = Value(self.salt + number);
            let add = Action::Add { key: key.clone(), value };
            talk.expect(&add, |result| matches!(result, OpResult::Written { .. })).await?;
            expected.push(value);
        }
        Ok(Tried::Kept)
    }

    /// An operation that would change something, if the program knows one.
    fn writing(&self, talk: &Talk) -> Option<Action> {
        let known = ["write", "add", "cas"].into_iter().find(|op| talk.ready.ops.iter().any(|known| known == op))?;
        Some(self.action(known, 4_815_162_342))
    }
}

fn no_writes() -> Tried {
    Tried::NotApplicable("it writes nothing".to_owned())
}

/// Whether the end of an operation that no server acknowledged is what it must be.
fn judge(done: &Json, id: u64, sent: bool) -> Result<Tried, String> {
    if done["id"] != id {
        return Err(format!("it answers something else: {done}"));
    }
    match done["outcome"].as_str() {
        Some("info") => Ok(Tried::Kept),
        Some("fail") if sent => Err(format!("it says `fail`, but the value had been sent: {done}")),
        Some("fail") => Ok(Tried::Kept),
        Some("ok") => Err(format!("it says `ok`, but nobody acknowledged anything: {done}")),
        Some(_) | None => Err(format!("no outcome: {done}")),
    }
}

impl Talk {
    async fn write(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.stdin.as_mut().ok_or("its input is closed")?;
        let line = format!("{line}\n");
        let written = tokio::time::timeout(WITHIN, stdin.write_all(line.as_bytes())).await;
        written.map_err(|_| "it does not read")?.map_err(|error| format!("it closed its input: {error}"))
    }

    async fn ask(&mut self, action: &Action) -> Result<u64, String> {
        self.last += 1;
        self.write(&op_line(self.last, action)).await?;
        Ok(self.last)
    }

    /// The next message that is no log line; `None` at the end of its output or of the time.
    async fn message(&mut self, within: Duration) -> Result<Option<Json>, String> {
        let read = async {
            loop {
                let Some(line) = next_line(&mut self.stdout).await? else { return Ok(None) };
                let text = String::from_utf8_lossy(&line).into_owned();
                let message: Json = serde_json::from_slice(&line)
                    .map_err(|_| format!("a line that is no message: {}", super::shortened(&text)))?;
                match message["type"].as_str() {
                    Some("log") => {}
                    Some(_) => return Ok(Some(message)),
                    None => return Err(format!("a message without a type: {}", super::shortened(&text))),
                }
            }
        };
        tokio::time::timeout(within, read).await.unwrap_or(Ok(None))
    }

    async fn done(&mut self, within: Duration) -> Result<Option<Json>, String> {
        match self.message(within).await? {
            Some(message) if message["type"] != "done" => Err(format!("an unasked message: {message}")),
            other => Ok(other),
        }
    }

    /// Asks a real server, whose answer must be `ok` and what is expected.
    async fn expect(&mut self, action: &Action, is: impl FnOnce(&OpResult) -> bool) -> Result<(), String> {
        self.ask(action).await?;
        let message = self.done(WITHIN).await?.ok_or("no answer within ten seconds")?;
        let done: Done = serde_json::from_value(message.clone()).map_err(|error| format!("{message}: {error}"))?;
        match answer(action, done, &[], 0).phase {
            OpPhase::Ok(result) if is(&result) => Ok(()),
            OpPhase::Ok(_) | OpPhase::Fail { .. } | OpPhase::Info { .. } | OpPhase::Invoke { .. } => {
                Err(format!("a wrong answer to {action:?}: {message}"))
            }
        }
    }
}

/// An address at which nobody listens.
async fn nobody() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// How a server of ours behaves once it was asked something.
#[derive(Clone, Copy)]
enum Manner {
    Silent,
    Nonsense,
}

/// Every byte that a server of ours has got.
type Seen = Arc<Mutex<Vec<u8>>>;

/// Whether a value is among the bytes, as it is or in base64.
fn was_sent(seen: &Seen, value: &str) -> bool {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&seen);
    text.contains(value) || text.contains(&base64::engine::general_purpose::STANDARD.encode(value))
}

async fn server(manner: Manner) -> Result<(SocketAddr, Seen), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let seen = Seen::default();
    let all = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner, Arc::clone(&all)));
        }
    });
    Ok((address, seen))
}

async fn serve(mut stream: TcpStream, manner: Manner, seen: Seen) {
    let mut buffer = vec![0; 64 << 10];
    let asked = stream.read(&mut buffer).await.unwrap_or(0);
    seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..asked]);
    match manner {
        // Whatever else comes is taken in, until it breaks off.
        Manner::Silent => {
            let rest = async {
                while let Ok(count) = stream.read(&mut buffer).await
                    && count > 0
                {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
                }
            };
            // The time is over; that is the idea.
            let _ = tokio::time::timeout(SILENCE, rest).await;
        }
        Manner::Nonsense => {
            // Whether it arrives is the program's affair.
            let _ = stream.write_all(b"\x00\xff nonsense \r\n\r\n{]\r\n").await;
            let _ = stream.shutdown().await;
        }
    }
}
