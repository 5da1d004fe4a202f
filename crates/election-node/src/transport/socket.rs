//! The options of the sockets, all in one place.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Listens; the address may be in TIME_WAIT from the process before.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket_for(address)?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Dials `address` (`host:port`), from `bind` unless that is unspecified or of the other family.
pub(super) async fn dial(address: &str, bind: IpAddr, user_timeout: Duration) -> io::Result<TcpStream> {
    let target = lookup_host(address).await?.next();
    let target = target.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))?;
    let socket = socket_for(target)?;
    if !bind.is_unspecified() && bind.is_ipv4() == target.is_ipv4() {
        socket.bind(SocketAddr::new(bind, 0))?;
    }
    socket.set_nodelay(true)?;
    limit_unacknowledged(&SockRef::from(&socket), user_timeout)?;
    socket.connect(target).await
}

/// Lets an accepted connection notice that its peer is gone although nothing is sent on it.
pub(super) fn watch_silence(stream: &TcpStream) -> io::Result<()> {
    let probes = TcpKeepalive::new().with_time(Duration::from_secs(5)).with_interval(Duration::from_secs(1));
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

fn socket_for(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit_unacknowledged(socket: &SockRef<'_>, timeout: Duration) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(timeout))
}

/// Elsewhere the kernel's own patience decides, and recovery after a partition takes longer.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn limit_unacknowledged(_: &SockRef<'_>, _: Duration) -> io::Result<()> {
    Ok(())
}
