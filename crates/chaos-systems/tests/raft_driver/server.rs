//! A node made of canned bytes: it plays a script per connection and keeps what it was sent.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_history::Seed;
use chaos_plan::{DurationRange, RaftOptions, ReadConsistency};
use chaos_systems::RaftDriver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The port on which the driver expects a node.
const HTTP_PORT: u16 = 7002;

/// What the server does next on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Read one whole request.
    Request,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send these bytes again and again until the client has enough.
    Flood(Vec<u8>),
    /// Break the connection with a TCP reset.
    Reset,
    /// Never do anything again.
    Hang,
}

/// An address of this test process alone.
pub(crate) fn address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 250, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A driver for nodes at these addresses.
pub(crate) fn driver(addresses: &[Ipv4Addr]) -> RaftDriver {
    driver_with_patience(addresses, Duration::from_secs(5))
}

pub(crate) fn driver_with_patience(addresses: &[Ipv4Addr], connect_timeout: Duration) -> RaftDriver {
    let millis = Duration::from_millis;
    let options = RaftOptions {
        program: None,
        election_timeout: DurationRange { min: millis(150), max: millis(300) },
        heartbeat: millis(40),
        pre_vote: true,
        check_quorum: true,
        stickiness: true,
        lease_reads: false,
        read: ReadConsistency::Linearizable,
        request_timeout: millis(1000),
        specimen: None,
        arguments: vec!["--further".to_owned()],
        record: false,
        nodes: std::collections::BTreeMap::new(),
    };
    let own = (PathBuf::from("/bin/chaos"), vec!["node".into()]);
    RaftDriver::new(options, own, addresses.to_vec(), Seed(7), connect_timeout).unwrap()
}

/// An answer with a body of known length.
pub(crate) fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The head of an answer whose body comes in chunks.
pub(crate) fn chunked_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

pub(crate) fn chunk(bytes: &str) -> Vec<u8> {
    format!("{:x}\r\n{bytes}\r\n", bytes.len()).into_bytes()
}

/// A server at work; it stops listening and hangs up when dropped.
pub(crate) struct Server {
    pub(crate) address: Ipv4Addr,
    /// Whatever was read, per connection, in order of their coming.
    pub(crate) received: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Plays one script per connection in turn, the last one for all further ones.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let (address, listener) = loop {
            let address = address();
            match TcpListener::bind((address, HTTP_PORT)).await {
                Ok(listener) => break (address, listener),
                // Addresses come round again, and a server that was dropped may still be listening.
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(error) => panic!("{address}: {error}"),
            }
        };
        let received = Arc::new(Mutex::new(Vec::new()));
        let books = Arc::clone(&received);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                books.lock().unwrap().push(Vec::new());
                let script = scripts[number.min(scripts.len() - 1)].clone();
                connections.spawn(play(stream, script, Arc::clone(&books), number));
            }
        });
        Self { address, received, task }
    }

    /// The requests of all connections, as text.
    pub(crate) fn requests(&self) -> String {
        self.received.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn play(mut stream: TcpStream, script: Vec<Step>, books: Arc<Mutex<Vec<Vec<u8>>>>, number: usize) {
    stream.set_nodelay(true).unwrap();
    for step in script {
        match step {
            Step::Request => {
                if !read_request(&mut stream, &books, number).await {
                    return;
                }
            }
            // A client that has heard enough hangs up.
            Step::Send(bytes) => drop(stream.write_all(&bytes).await),
            Step::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Step::Reset => stream.set_zero_linger().unwrap(),
            Step::Hang => std::future::pending().await,
        }
    }
}

/// Reads up to the end of a request; whether there was one.
async fn read_request(stream: &mut TcpStream, books: &Mutex<Vec<Vec<u8>>>, number: usize) -> bool {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => {
                request.extend_from_slice(&buffer[..count]);
                books.lock().unwrap()[number].extend_from_slice(&buffer[..count]);
            }
        }
    }
    true
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
