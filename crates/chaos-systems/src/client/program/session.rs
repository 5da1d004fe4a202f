//! One run of a client program: from its start to its end.
//!
//! ```text
//!   send ──▶ queue ──▶ writer ──▶ stdin │ program │ stdout ──▶ reader ──▶ who asked
//!             (4,096 lines)                                     └─ at the end: everybody who still waits
//! ```
//!
//! A line that is in the queue when its asker gives up is never written. The reader owns the process: when standard output ends,
//! a line is too long, or the writer can't write, it ends the process and answers everybody who still waits, each by whether its
//! line had been written.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chaos_history::NodeId;
use serde_json::Value as Json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::shortened;
use super::message::{Hello, LINE_BYTES_MAX, PROTOCOL, Ready};

/// How long a program may take to say that it is ready: an interpreter on a busy machine needs seconds.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a program may take to end when its input has.
const END_WITHIN: Duration = Duration::from_secs(2);
/// More lines than a program that reads at all ever leaves waiting.
const QUEUE_MAX: usize = 4096;

/// Where a program is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has been told hello.
    Starting,
    /// It can be given operations.
    Ready(Ready),
    /// It is no more, and why.
    Ended(String),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The program was never given the line.
    Unsent(String),
    /// It was, or a part of it.
    Unanswered(String),
}

/// A running program. When the last handle is dropped, its input ends.
pub(super) struct Session {
    table: Arc<Mutex<Table>>,
    queue: mpsc::Sender<Outgoing>,
    phase: watch::Receiver<Phase>,
}

/// Who waits for what.
#[derive(Default)]
struct Table {
    last: u64,
    open: BTreeMap<u64, Open>,
    ended: Option<String>,
}

struct Open {
    reply: oneshot::Sender<Result<Json, Ended>>,
    written: bool,
}

struct Outgoing {
    id: u64,
    line: String,
}

/// Takes the asker off the table when it gives up.
struct Asking<'a> {
    table: &'a Mutex<Table>,
    id: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(self.table).open.remove(&self.id);
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Starts a program and says hello.
    pub(super) fn start(node: NodeId, command: &[String], hello: &Hello) -> Self {
        let table = Arc::new(Mutex::new(Table::default()));
        let (queue, lines) = mpsc::channel(QUEUE_MAX);
        let (tell, phase) = watch::channel(Phase::Starting);
        let life = Life { node, table: Arc::clone(&table), tell };
        match spawn(command) {
            Ok((child, stdin, stdout)) => {
                let broken = Arc::new(tokio::sync::Notify::new());
                tokio::spawn(write(stdin, hello.line(), lines, Arc::clone(&table), Arc::clone(&broken)));
                tokio::spawn(life.run(child, stdout, broken));
            }
            Err(error) => life.end(format!("the client program can't be started: {error}")),
        }
        Self { table, queue, phase }
    }

    /// Where the program is now.
    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Where the program is once it has started or failed to.
    pub(super) async fn started(&self) -> Phase {
        let mut phase = self.phase.clone();
        let started = phase.wait_for(|phase| *phase != Phase::Starting).await;
        started.map_or_else(|_| Phase::Ended("the client program is gone".to_owned()), |phase| phase.clone())
    }

    /// Gives the program a line with a new id, and waits for the answer with that id.
    pub(super) async fn send(&self, line: impl FnOnce(u64) -> String) -> Result<Json, Ended> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut table = lock(&self.table);
            if let Some(why) = &table.ended {
                return Err(Ended::Unsent(why.clone()));
            }
            table.last += 1;
            let id = table.last;
            table.open.insert(id, Open { reply, written: false });
            id
        };
        let _asking = Asking { table: &self.table, id };
        if self.queue.try_send(Outgoing { id, line: line(id) }).is_err() {
            return Err(Ended::Unsent("the client program does not read".to_owned()));
        }
        answer.await.unwrap_or_else(|_| Err(Ended::Unanswered("the client program is gone".to_owned())))
    }
}

/// Starts the program; its log is ours.
pub(super) fn spawn(command: &[String]) -> std::io::Result<(Child, ChildStdin, ChildStdout)> {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C is for the harness, which ends the run in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let stdin = child.stdin.take().expect("it is piped");
    let stdout = child.stdout.take().expect("it is piped");
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr);
            while let Ok(Some(line)) = next_line(&mut lines).await {
                tracing::debug!(text = %String::from_utf8_lossy(&line), "client program");
            }
        });
    }
    Ok((child, stdin, stdout))
}

/// Writes hello, what is queued and still wanted, and at last `close`.
async fn write(
    mut stdin: ChildStdin,
    hello: String,
    mut lines: mpsc::Receiver<Outgoing>,
    table: Arc<Mutex<Table>>,
    broken: Arc<tokio::sync::Notify>,
) {
    let mut line = Some(hello);
    loop {
        if let Some(mut line) = line.take() {
            line.push('\n');
            if stdin.write_all(line.as_bytes()).await.is_err() {
                broken.notify_one();
                return;
            }
        }
        match lines.recv().await {
            Some(outgoing) => {
                if let Some(open) = lock(&table).open.get_mut(&outgoing.id) {
                    open.written = true;
                    line = Some(outgoing.line);
                }
            }
            None => break,
        }
    }
    // If it can't be told, the end of its input tells it.
    let _ = stdin.write_all(b"{\"type\":\"close\"}\n").await;
}

/// The next line without its end; `None` at the end of the stream.
///
/// # Errors
/// If it breaks, or if the line is too long.
pub(super) async fn next_line(lines: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    let read = lines.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line).await;
    read.map_err(|error| error.to_string())?;
    if line.pop_if(|byte| *byte == b'\n').is_some() {
        return Ok(Some(line));
    }
    match line.len() {
        0 => Ok(None),
        length if length > LINE_BYTES_MAX => Err("a line of more than a megabyte".to_owned()),
        _ => Ok(Some(line)),
    }
}

/// What is said and done while a program lives.
struct Life {
    node: NodeId,
    table: Arc<Mutex<Table>>,
    tell: watch::Sender<Phase>,
}

impl Life {
    async fn run(self, mut child: Child, stdout: ChildStdout, broken: Arc<tokio::sync::Notify>) {
        let mut lines = BufReader::new(stdout);
        let why = match tokio::time::timeout(READY_WITHIN, self.ready(&mut lines)).await {
            Err(_) => format!("the client program was not ready within {READY_WITHIN:?}"),
            Ok(Err(why)) => why,
            Ok(Ok(ready)) => {
                self.tell.send_replace(Phase::Ready(ready));
                let reading = async {
                    loop {
                        match next_line(&mut lines).await {
                            Ok(Some(line)) => self.heard(&line),
                            Ok(None) => break "the client program ended".to_owned(),
                            Err(why) => break format!("the client program wrote what can't be read: {why}"),
                        }
                    }
                };
                tokio::select! {
                    why = reading => why,
                    () = broken.notified() => "the client program closed its input".to_owned(),
                }
            }
        };
        self.end(why);
        if tokio::time::timeout(END_WITHIN, child.wait()).await.is_err() {
            // It may have ended by itself in this instant.
            let _ = child.kill().await;
        }
    }

    /// Waits for `ready`; only log lines may come before it.
    async fn ready(&self, lines: &mut BufReader<ChildStdout>) -> Result<Ready, String> {
        loop {
            let line = next_line(lines).await?.ok_or("the client program ended before it was ready")?;
            let text = String::from_utf8_lossy(&line);
            let message: Json = serde_json::from_slice(&line).unwrap_or_default();
            match message["type"].as_str() {
                Some("log") => tracing::debug!(node = %self.node, %text, "client program"),
                Some("ready") => {
                    let ready: Ready = serde_json::from_value(message)
                        .map_err(|error| format!("the client program's `ready`: {}", shortened(&error.to_string())))?;
                    if ready.protocol != PROTOCOL {
                        let other = shortened(&ready.protocol);
                        return Err(format!("the client program speaks `{other}`, not {PROTOCOL}"));
                    }
                    return Ok(ready);
                }
                Some(_) | None => {
                    return Err(format!("the client program is not ready but says: {}", shortened(&text)));
                }
            }
        }
    }

    /// A line of a program that is ready.
    fn heard(&self, line: &[u8]) {
        let node = self.node;
        let text = shortened(&String::from_utf8_lossy(line));
        let Ok(message) = serde_json::from_slice::<Json>(line) else {
            return tracing::warn!(%node, text, "the client program wrote a line that is no message");
        };
        match (message["type"].as_str(), message["id"].as_u64()) {
            (Some("log"), _) => tracing::debug!(%node, text, "client program"),
            (Some("done" | "leader"), Some(id)) => {
                let mut table = lock(&self.table);
                // Nobody can know how something ended that has not begun.
                match table.open.get(&id).is_some_and(|open| open.written).then(|| table.open.remove(&id)).flatten() {
                    // Whoever has just given up doesn't hear it.
                    Some(open) => drop(open.reply.send(Ok(message))),
                    None => tracing::debug!(%node, text, "an answer that nobody waits for, or a second one"),
                }
            }
            (_, _) => tracing::warn!(%node, text, "the client program wrote a line that is no message"),
        }
    }

    /// Answers everybody who still waits.
    fn end(&self, why: String) {
        let mut table = lock(&self.table);
        tracing::debug!(node = %self.node, why, open = table.open.len(), "a client program is no more");
        for open in std::mem::take(&mut table.open).into_values() {
            let ended = if open.written { Ended::Unanswered(why.clone()) } else { Ended::Unsent(why.clone()) };
            // Whoever has just given up doesn't hear it.
            let _ = open.reply.send(Err(ended));
        }
        table.ended = Some(why.clone());
        drop(table);
        self.tell.send_replace(Phase::Ended(why));
    }
}
