//! What the tests of drivers share: a node that says what a script says, and real programs where they are installed.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chaos_history::{Action, NodeId, OpPhase, OpResult, Revision, Seed, Value};
use chaos_plan::definition::Scope;
use tokio::net::{TcpListener, TcpStream};

use super::{ClientSetup, open};
use crate::driver::Client;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first node.
pub(super) fn n1() -> NodeId {
    NodeId::new(1)
}

/// A client of this driver for these nodes.
pub(super) fn client(driver: &str, endpoints: &[SocketAddr], options: &[(&str, &str)]) -> Arc<dyn Client> {
    let options: BTreeMap<_, _> =
        options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let setup = ClientSetup {
        driver: driver.to_owned(),
        endpoints: endpoints.to_vec(),
        options,
        http: BTreeMap::new(),
        program: Vec::new(),
        nodes: endpoints.len(),
        scope: Scope::default(),
        connect_timeout: Duration::from_secs(2),
        seed: Seed(1),
    };
    open(&setup).expect("the driver opens")
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
    let cache = std::env::var_os("CHAOS_SYSTEMS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("chaos/systems")
    });
    let prefix = cache.join(system).join(version);
    if prefix.join("chaos-install.txt").is_file() {
        return Some(prefix);
    }
    skipped(&format!("{system} {version} isn't installed: scripts/systems/install {system}@{version}"));
    None
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
