//! What the tests of drivers share: nodes that say what a script says or what they are told to, and real programs where they are
//! installed. Nothing here leaves the loopback interface.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chaos_history::{Action, NodeId, OpPhase, OpResult, Revision, Seed, Value};
use chaos_plan::definition::{PlaceOfNode, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ClientSetup, open};
use crate::defined::cache;
use crate::driver::Client;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first node.
pub(super) fn n1() -> NodeId {
    NodeId::new(1)
}

/// The setup of a driver whose nodes are at these addresses.
pub(super) fn setup(driver: &str, endpoints: &[SocketAddr], options: &[(&str, &str)]) -> ClientSetup {
    let place = |(number, endpoint): (usize, &SocketAddr)| PlaceOfNode {
        id: format!("n{number}"),
        number,
        ip: endpoint.ip().to_string(),
        dir: "/nowhere".to_owned(),
        data: "/nowhere/data".to_owned(),
        run: "/nowhere/run".to_owned(),
    };
    ClientSetup {
        driver: driver.to_owned(),
        endpoints: endpoints.to_vec(),
        options: options.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        http: BTreeMap::new(),
        program: Vec::new(),
        nodes: endpoints.len(),
        scope: Scope { nodes: (1..).zip(endpoints).map(place).collect(), ..Scope::default() },
        connect_timeout: Duration::from_secs(5),
        seed: Seed(7),
    }
}

/// A client of this driver for these nodes.
pub(super) fn client(driver: &str, endpoints: &[SocketAddr], options: &[(&str, &str)]) -> Arc<dyn Client> {
    open(&setup(driver, endpoints, options)).expect("the driver opens")
}

/// A node that serves each connection by the script, which gets the connection's number, from 0. Closing is the script's return.
pub(super) async fn serve<S, F>(script: S) -> SocketAddr
where
    S: Fn(u32, TcpStream) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let count = AtomicU32::new(0);
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(script(count.fetch_add(1, Ordering::Relaxed), stream));
        }
    });
    address
}

/// What a node was told, a text per connection.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// A node that answers whatever is first sent on a connection with these bytes, and closes it.
pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> (SocketAddr, Asked) {
    let (bytes, asked) = (bytes.into(), Asked::default());
    let heard = Arc::clone(&asked);
    let address = serve(move |_, mut stream| {
        let (bytes, heard) = (bytes.clone(), Arc::clone(&heard));
        async move {
            let mut buffer = vec![0; 64 << 10];
            let count = stream.read(&mut buffer).await.unwrap_or(0);
            heard.lock().unwrap().push(String::from_utf8_lossy(&buffer[..count]).into_owned());
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            // A connection that is dropped with bytes unread is reset, and the answer might be lost with it.
            let _ = stream.read_to_end(&mut buffer).await;
        }
    })
    .await;
    (address, asked)
}

/// An HTTP/1.1 answer.
pub(super) fn http_answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// A port where nobody listens.
pub(super) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

/// One operation at the first node, which must end.
pub(super) async fn invoke(client: &dyn Client, action: Action) -> OpPhase {
    let answer = tokio::time::timeout(PATIENCE, client.invoke(n1(), &action)).await;
    answer.unwrap_or_else(|_| panic!("{action:?} never ended")).phase
}

/// The same, of which the result must be a success.
pub(super) async fn ok(client: &dyn Client, action: Action) -> OpResult {
    let phase = invoke(client, action.clone()).await;
    let OpPhase::Ok(result) = phase else { panic!("{action:?}: {phase:?}") };
    result
}

pub(super) fn read() -> Action {
    Action::Read { key: "k".to_owned() }
}

pub(super) fn write(value: u64) -> Action {
    Action::Write { key: "k".to_owned(), value: Value(value) }
}

pub(super) fn cas(expect: Option<u64>, value: u64) -> Action {
    Action::Cas { key: "k".to_owned(), expect: expect.map(Value), value: Value(value) }
}

pub(super) fn add(value: u64) -> Action {
    Action::Add { key: "s".to_owned(), value: Value(value) }
}

pub(super) fn elements() -> Action {
    Action::Elements { key: "s".to_owned() }
}

/// `Ok`, `Fail` or `Info`, for tests that ask for no more.
pub(super) fn kind(phase: &OpPhase) -> &'static str {
    match phase {
        OpPhase::Invoke { .. } => "invoke",
        OpPhase::Ok(_) => "ok",
        OpPhase::Fail { .. } => "fail",
        OpPhase::Info { .. } => "info",
    }
}

/// Whether it did not happen.
pub(super) fn fail(phase: &OpPhase) -> bool {
    kind(phase) == "fail"
}

/// Whether nobody knows.
pub(super) fn info(phase: &OpPhase) -> bool {
    kind(phase) == "info"
}

/// An operation at a node that isn't there did not happen.
pub(super) async fn a_refused_connection_is_a_fail(driver: &str, action: Action) {
    let phase = invoke(&*client(driver, &[free_address()], &[]), action).await;
    assert!(fail(&phase), "{phase:?}");
}

/// What every driver of a system with registers must do with a real one: the life of a key `k`, which must be absent.
pub(super) async fn a_register_lives(client: &dyn Client, observes: bool) {
    let value = |result: OpResult| {
        let OpResult::Read { value, revision } = result else { panic!("{result:?}") };
        (value, revision)
    };
    let swap = |result: OpResult| {
        let OpResult::Cas { swapped, observed, .. } = result else { panic!("{result:?}") };
        (swapped, observed)
    };
    let revision = |result: OpResult| {
        let OpResult::Written { revision } = result else { panic!("{result:?}") };
        revision
    };
    let seen = |value: Option<u64>| observes.then_some(value.map(Value));
    assert_eq!(value(ok(client, read()).await).0, None);
    assert_eq!(swap(ok(client, cas(Some(1), 2)).await), (false, seen(None)));
    assert_eq!(swap(ok(client, cas(None, 3)).await), (true, seen(None)));
    assert_eq!(swap(ok(client, cas(None, 4)).await), (false, seen(Some(3))));
    assert_eq!(swap(ok(client, cas(Some(3), 5)).await), (true, seen(Some(3))));
    assert_eq!(swap(ok(client, cas(Some(3), 6)).await), (false, seen(Some(5))));
    let first: Option<Revision> = revision(ok(client, write(7)).await);
    let second: Option<Revision> = revision(ok(client, write(8)).await);
    assert!(first <= second && first.is_some() == second.is_some() && (first < second || first.is_none()));
    assert_eq!(value(ok(client, read()).await), (Some(Value(8)), second));
}

/// The same for a set `s`, which must be empty.
pub(super) async fn a_set_lives(client: &dyn Client) {
    let values = |result: OpResult| {
        let OpResult::Elements { mut values, .. } = result else { panic!("{result:?}") };
        values.sort_unstable();
        values
    };
    assert_eq!(values(ok(client, elements()).await), []);
    for value in [2, 1, 300] {
        assert!(matches!(ok(client, add(value)).await, OpResult::Written { .. }));
    }
    assert_eq!(values(ok(client, elements()).await), [Value(1), Value(2), Value(300)]);
}

/// All of it with a fresh system that knows both; nothing is spoilt by being told twice.
pub(super) async fn registers_and_sets_live(client: &dyn Client) {
    prepare(client).await;
    prepare(client).await;
    a_register_lives(client, true).await;
    a_set_lives(client).await;
    assert_eq!(kind(&invoke(client, add(1)).await), "ok", "the same addition told twice");
    let OpResult::Elements { values, .. } = ok(client, elements()).await else { panic!("a set") };
    assert_eq!(values.len(), 3);
}

/// Waits until a real node answers a read.
pub(super) async fn until_it_reads(client: &dyn Client) {
    let begin = Instant::now();
    loop {
        let phase = invoke(client, read()).await;
        if matches!(phase, OpPhase::Ok(_)) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "it doesn't come up: {phase:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Prepares the cluster as a run does: again and again until it succeeds.
pub(super) async fn prepare(client: &dyn Client) {
    let begin = Instant::now();
    while let Err(error) = client.prepare().await {
        assert!(begin.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Where a system is installed; `None`, said aloud, if it isn't.
pub(super) fn installed(system: &str, version: &str) -> Option<PathBuf> {
    let prefix = cache().join(system).join(version);
    if prefix.join("chaos-install.txt").is_file() {
        return Some(prefix);
    }
    skipped(&format!("{system} {version} isn't installed: scripts/systems/install {system}@{version}"));
    None
}

/// A program of a system in whatever version is installed; `None`, said aloud, if none is.
fn installed_program(system: &str, program: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(cache().join(system)).into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin").join(program));
    let found = programs.filter(|program| program.exists()).min();
    if found.is_none() {
        skipped(&format!("{program} isn't installed: scripts/systems/install {system}"));
    }
    found
}

fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// A real program, ended with the test, and its directory.
pub(super) struct Program {
    child: Child,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts one of a system in whatever version is installed; `None`, said aloud, if none is.
    pub(super) fn of(system: &str, program: &str, arguments: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        Some(Self::start(&installed_program(system, program)?, arguments))
    }

    /// A Redis server that keeps nothing on disk, if one is installed.
    pub(super) async fn redis() -> Option<(Self, SocketAddr)> {
        let address = free_address();
        let port = address.port().to_string();
        let words = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned);
        let mut program = Self::of("redis", "redis-server", |_| words.to_vec())?;
        program.listens(address).await;
        Some((program, address))
    }

    /// Starts it; the arguments may depend on its directory.
    pub(super) fn start(program: &Path, arguments: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(program);
        command.args(arguments(folder.path())).current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display())), folder }
    }

    /// Waits until it accepts connections.
    pub(super) async fn listens(&mut self, address: SocketAddr) {
        let begin = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(self.child.try_wait().expect("its state").is_none(), "it ended: {}", log());
            assert!(begin.elapsed() < PATIENCE, "nobody listens at {address}: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already if this fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
