//! Network namespaces as file descriptors.
//!
//! A socket belongs for life to the namespace in which it was created, and a namespace lives as long as a descriptor of
//! it is open. So nothing here is named, mounted or registered: a namespace is an `OwnedFd`, and dropping it is its end.
//! Refuses to move the calling thread, except where [`enter_namespace`] says so in its name. Source:
//! `network_namespaces(7)`, `setns(2)`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;

use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns, unshare};

use crate::{NetError, sys};

const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";

/// Runs `work` on a helper thread inside the network namespace, typically to create a socket there.
///
/// The descriptor that `work` returns can be used from any thread. Costs about 0.1 ms for the thread.
///
/// # Errors
/// When the thread can't be started, the namespace can't be joined, or `work` fails.
///
/// # Panics
/// When `work` panics: the panic goes on in the caller.
pub fn in_namespace<T: Send>(namespace: BorrowedFd<'_>, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    on_thread(move || {
        enter_namespace(namespace)?;
        work()
    })?
}

/// Moves the calling *thread* into the network namespace.
///
/// One system call and no allocation, so it may be called from `Command::pre_exec`; there the namespace must be an
/// `OwnedFd` that the closure owns (`star.namespace(i).try_clone_to_owned()`).
///
/// # Errors
/// When the namespace can't be joined (`setns(2)`: it needs `CAP_SYS_ADMIN`, which the controller has until it execs).
pub fn enter_namespace(namespace: BorrowedFd<'_>) -> io::Result<()> {
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// Has the command's process start inside of the network namespace, without the caller needing `unsafe`.
///
/// For a `tokio::process::Command` pass `command.as_std_mut()`.
///
/// # Errors
/// When the descriptor can't be duplicated. That the namespace can't be joined shows when the command is spawned.
pub fn start_in_namespace(command: &mut Command, namespace: BorrowedFd<'_>) -> io::Result<()> {
    sys::in_namespace(command, namespace.try_clone_to_owned()?);
    Ok(())
}

/// The IPv4 addresses on the interfaces of the network namespace, loopback included, as they are now.
///
/// # Errors
/// When the namespace can't be joined or the kernel doesn't list them.
pub fn addresses_in(namespace: BorrowedFd<'_>) -> io::Result<Vec<Ipv4Addr>> {
    in_namespace(namespace, || {
        let interfaces = getifaddrs()?;
        Ok(interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip())).collect())
    })
}

/// The TCP ports on which something listens in the network namespace, on any address of either family.
///
/// # Errors
/// When the namespace can't be joined or `/proc` doesn't show its sockets.
pub fn listening_in(namespace: BorrowedFd<'_>) -> io::Result<BTreeSet<u16>> {
    in_namespace(namespace, || {
        let mut ports = listening(&std::fs::read_to_string("/proc/thread-self/net/tcp")?);
        // A kernel without IPv6 has no such file.
        ports.extend(listening(&std::fs::read_to_string("/proc/thread-self/net/tcp6").unwrap_or_default()));
        Ok(ports)
    })
}

/// The ports of the sockets in state LISTEN (`0A`) of a table as `/proc/net/tcp` shows it, see `proc(5)`.
fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, state) = (columns.next()?, columns.nth(1)?);
        let (_, port) = local.rsplit_once(':').filter(|_| state == "0A")?;
        u16::from_str_radix(port, 16).ok()
    };
    table.lines().filter_map(port).collect()
}

/// The network namespace of the calling thread.
pub(crate) fn current() -> io::Result<OwnedFd> {
    Ok(File::open(OF_THIS_THREAD)?.into())
}

/// Creates network namespaces, leaving the caller where it is.
pub(crate) fn create(count: usize) -> io::Result<Vec<OwnedFd>> {
    on_thread(move || {
        let mut namespaces = Vec::with_capacity(count);
        for _ in 0..count {
            unshare(CloneFlags::CLONE_NEWNET)?;
            namespaces.push(current()?);
        }
        Ok(namespaces)
    })?
}

/// Runs `work` once in every namespace, on one helper thread, and returns the results in the namespaces' order.
pub(crate) fn in_each<T: Send>(
    namespaces: &[OwnedFd],
    mut work: impl FnMut(usize) -> Result<T, NetError> + Send,
) -> Result<Vec<T>, NetError> {
    let on_each = move || {
        let mut results = Vec::with_capacity(namespaces.len());
        for (index, namespace) in namespaces.iter().enumerate() {
            enter_namespace(namespace.as_fd())
                .map_err(|error| NetError::system(format!("join the namespace of node {index}"), error))?;
            results.push(work(index)?);
        }
        Ok(results)
    };
    on_thread(on_each).map_err(|error| NetError::system("start a thread for node namespaces", error))?
}

/// Runs `work` on a thread of its own, whose namespace may be changed because it ends with the work.
fn on_thread<R: Send>(work: impl FnOnce() -> R + Send) -> io::Result<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("chaos-netns".to_owned()).spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
