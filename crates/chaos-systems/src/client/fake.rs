//! Servers made of canned bytes, and real ones if they are installed: what the tests of drivers talk to.
//!
//! Nothing here leaves the loopback interface.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos_history::Seed;
use chaos_plan::definition::{PlaceOfNode, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use super::ClientSetup;

/// The setup of a driver whose nodes are at these addresses.
pub(crate) fn setup(driver: &str, endpoints: &[SocketAddr], options: &[(&str, &str)]) -> ClientSetup {
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

/// Serves every connection with a task of its own, as long as the test's runtime lives.
pub(crate) async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// What a canned server was asked, a text per reading.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

/// Answers whatever is first sent on a connection with these bytes and closes it.
pub(crate) async fn answering(bytes: impl Into<Vec<u8>>) -> (SocketAddr, Asked) {
    let (bytes, asked) = (bytes.into(), Asked::default());
    let heard = Arc::clone(&asked);
    let address = server(move |mut stream| {
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
pub(crate) fn http(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A program that `scripts/systems/install` has installed, in any version; `None`, said loudly, if it has not.
pub(crate) fn installed(system: &str, program: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("CHAOS_SYSTEMS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
        Some(cache.join("chaos/systems"))
    })?;
    let versions = std::fs::read_dir(cache.join(system)).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|version| version.path().join("bin").join(program)).filter(|program| program.exists()).collect();
    found.sort();
    if found.is_empty() {
        println!("SKIPPED: {program} is not installed; scripts/systems/install {system} does it");
    }
    found.into_iter().next()
}

/// A server process that dies with the test.
pub(crate) fn start(program: &PathBuf, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
