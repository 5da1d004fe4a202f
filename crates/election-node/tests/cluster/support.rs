//! A cluster of real processes on loopback addresses, and a client of forty lines.
//!
//! Every test gets addresses of its own in 127.0.0.0/8, so the default ports never collide, not even with the ports of
//! outgoing connections. Nodes are guards: dropped, they are killed and reaped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::sys::{Limits, prepare};

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// An answer: status code and JSON (null if it is not JSON).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) text: String,
    pub(crate) json: Value,
}

/// One HTTP request on a connection of its own, for what a node answers within its request timeout.
pub(crate) fn request(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    request_within(Duration::from_secs(3), to, method, path, body)
}

/// One HTTP request for what may take as long as the node tries.
pub(crate) fn request_patiently(to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    request_within(2 * PATIENCE, to, method, path, body)
}

fn request_within(patience: Duration, to: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(patience))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "half an answer");
    let (head, text) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { code, text: text.to_owned(), json: serde_json::from_str(text).unwrap_or_default() })
}

/// Asks again and again until `found` gives something.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// One node's process.
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) http: SocketAddr,
    pub(crate) peer: SocketAddr,
    child: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        let said = self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{said}", self.name());
        }
    }
}

impl Node {
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the node runs");
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// SIGKILL, and reaped; what the process had said on stderr.
    pub(crate) fn kill(&mut self) -> String {
        let mut said = String::new();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            if let Some(mut stderr) = child.stderr {
                let _ = stderr.read_to_string(&mut said);
            }
        }
        said
    }

    /// How the process ends, and what it said on stderr (if that was asked for at its start).
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let child = self.child.as_mut().expect("the node runs");
        let status = wait_for("the end of a node", || child.try_wait().unwrap());
        let mut said = String::new();
        if let Some(mut stderr) = self.child.take().and_then(|child| child.stderr) {
            stderr.read_to_string(&mut said).unwrap();
        }
        (status, said)
    }

    pub(crate) fn name(&self) -> String {
        format!("n{}", self.number)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        request(self.http, method, path, body)
    }

    pub(crate) fn status(&self) -> Option<Value> {
        self.ask("GET", "/status", "").ok().filter(|answer| answer.code == 200).map(|answer| answer.json)
    }
}

/// Some nodes that know each other.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) data: TempDir,
    arguments: Vec<String>,
}

impl Cluster {
    /// Starts `size` nodes with these further arguments.
    pub(crate) fn start(size: usize, arguments: &[&str]) -> Self {
        let mut cluster = Self::prepare(size, arguments);
        for index in 0..size {
            cluster.launch(index);
        }
        cluster
    }

    /// Addresses and directories, but no process yet.
    pub(crate) fn prepare(size: usize, arguments: &[&str]) -> Self {
        const CLUSTERS_A_BLOCK: u8 = 30;
        static CLUSTERS: AtomicU32 = AtomicU32::new(0);
        let [.., high, low] = std::process::id().to_be_bytes();
        let cluster = u8::try_from(CLUSTERS.fetch_add(1, Ordering::Relaxed)).unwrap();
        assert!(cluster < 2 * CLUSTERS_A_BLOCK && size < 8, "the addresses of this test process are used up");
        let (block, place) = (cluster / CLUSTERS_A_BLOCK, cluster % CLUSTERS_A_BLOCK);
        let nodes = (1..=size).map(|number| {
            let ip = [127, (high | 1) ^ (block << 7), low, place * 8 + u8::try_from(number).unwrap()];
            Node { number, http: (ip, 7002).into(), peer: (ip, 7001).into(), child: None }
        });
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { nodes: nodes.collect(), data: tempfile::tempdir().unwrap(), arguments }
    }

    pub(crate) fn directory(&self, index: usize) -> std::path::PathBuf {
        self.data.path().join(self.nodes[index].name())
    }

    /// The command line of a node.
    pub(crate) fn command(&self, index: usize, directory: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_election-node"));
        command.arg("--id").arg(self.nodes[index].name()).arg("--data").arg(directory);
        for node in &self.nodes {
            command.arg("--node").arg(format!("{}={}", node.name(), node.http.ip()));
        }
        command.args(&self.arguments);
        command
    }

    /// Starts (or restarts) one node.
    pub(crate) fn launch(&mut self, index: usize) {
        let command = self.command(index, &self.directory(index));
        self.launch_as(index, command, Limits::default());
    }

    /// Starts one node with another command line, or limited.
    pub(crate) fn launch_as(&mut self, index: usize, mut command: Command, limits: Limits) {
        prepare(&mut command, limits);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        self.nodes[index].child = Some(child);
    }

    /// Waits until every node among `indices` names the same leader, which is one of them, in a term above `term`; returns
    /// its index and the term.
    pub(crate) fn wait_for_leader(&self, indices: &[usize], above_term: u64) -> (usize, u64) {
        wait_for("a leader that all agree on", || {
            let views: Vec<Value> = indices.iter().map(|&index| self.nodes[index].status()).collect::<Option<_>>()?;
            let (leader, term) = (views[0]["leader"].as_str()?, views[0]["term"].as_u64()?);
            let agreed = views.iter().all(|view| view["leader"] == leader && view["term"] == term);
            let index = indices.iter().copied().find(|&index| self.nodes[index].name() == leader)?;
            let claims = indices.iter().zip(&views).any(|(&i, view)| i == index && view["role"] == "leader");
            (agreed && claims && term > above_term).then_some((index, term))
        })
    }

    /// Writes through the leader; asserts success.
    pub(crate) fn put(&self, leader: usize, key: &str, value: &str) -> Answer {
        let body = serde_json::json!({ "value": value }).to_string();
        let answer = self.nodes[leader].ask("PUT", &format!("/kv/{key}"), &body).unwrap();
        assert_eq!(answer.code, 200, "{}", answer.text);
        answer
    }

    pub(crate) fn get(&self, index: usize, key: &str, read: &str) -> Answer {
        self.nodes[index].ask("GET", &format!("/kv/{key}?read={read}"), "").unwrap()
    }
}
