//! The primitives, each with the smallest real use that proves it.
//!
//! A trial runs in a forked child and may leave it in any state: the child ends with it. Trials that need namespaces
//! enter them as `isolation::enter` would, without the stub.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::SockProtocol;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Need, Trial};
use crate::isolation::{self, UserNamespace, make_mounts_private, mount_proc, mount_tmpfs};
use crate::netlink::{Batch, Socket};
use crate::nftables::{self, Nftables};
use crate::sys::{self, Forked};
use crate::{
    Conditions, CutMode, DropMode, FilterKind, HealMode, Link, NetError, Proxies, Star, connections, in_namespace, mark,
};

const KERNEL_MODULE: &str = "load or build the kernel module that the reason names";

/// All of them, in the order in which they are reported.
pub(super) const ALL: &[Trial] = &[
    Trial {
        name: "user-namespace",
        needed_for: "running without root",
        need: Need::Optional,
        remedy: "run as root",
        run: user_namespace,
    },
    Trial {
        name: "isolation",
        needed_for: "mount, pid, network, UTS and IPC namespaces of a run",
        need: Need::Required,
        remedy: "run as root",
        run: enter,
    },
    Trial {
        name: "fresh-proc",
        needed_for: "pids under /proc that agree with the run's own",
        need: Need::Optional,
        remedy: "in a container, unmask /proc (`--security-opt systempaths=unconfined`)",
        run: fresh_proc,
    },
    Trial {
        name: "tmpfs",
        needed_for: "data directories that are fast, private and limited in size",
        need: Need::Required,
        remedy: "allow mount(2) inside of the namespace",
        run: tmpfs,
    },
    Trial {
        name: "veth",
        needed_for: "the links between nodes",
        need: Need::Required,
        remedy: "sudo modprobe veth",
        run: veth,
    },
    Trial {
        name: "nf_tables",
        needed_for: "partitions by one netlink transaction",
        need: Need::Required,
        remedy: "sudo modprobe nf_tables, or choose `filter: iptables`",
        run: nf_tables,
    },
    Trial {
        name: "iptables-restore",
        needed_for: "partitions with `filter: iptables`",
        need: Need::Optional,
        remedy: "install the package `iptables` and load its kernel modules, or use the nf_tables filter",
        run: iptables_restore,
    },
    Trial {
        name: "cut",
        needed_for: "partitions, shown by packets that stop and come back",
        need: Need::Required,
        remedy: KERNEL_MODULE,
        run: cut,
    },
    Trial {
        name: "pidfd",
        needed_for: "killing and watching processes without mistaking one for another",
        need: Need::Required,
        remedy: "use Linux 5.3 or later",
        run: pidfd,
    },
    Trial {
        name: "tgkill-stop",
        needed_for: "pausing every thread of a process at once",
        need: Need::Required,
        remedy: "allow tgkill(2) in the seccomp profile",
        run: tgkill_stop,
    },
    Trial {
        name: "real-time",
        needed_for: "injecting faults on time on a busy host (SCHED_FIFO)",
        need: Need::Optional,
        remedy: "allow it: `ulimit -r 1`, or `USER - rtprio 1` in /etc/security/limits.conf",
        run: real_time,
    },
    Trial {
        name: "link-conditions",
        needed_for: "delay, jitter, loss, duplicates, reordering, corruption and rate of links",
        need: Need::Optional,
        remedy: "sudo modprobe -a nfnetlink_queue nft_queue (or nft_compat and xt_NFQUEUE)",
        run: link_conditions,
    },
    Trial {
        name: "reject",
        needed_for: "partitions with `drop: reject`",
        need: Need::Optional,
        remedy: "sudo modprobe -a nft_reject nft_reject_ipv4",
        run: reject,
    },
    Trial {
        name: "sock-destroy",
        needed_for: "partitions with `heal: reset`",
        need: Need::Optional,
        remedy: "use a kernel with CONFIG_INET_DIAG_DESTROY, and load tcp_diag",
        run: sock_destroy,
    },
    Trial {
        name: "packet-ring",
        needed_for: "capturing packets",
        need: Need::Optional,
        remedy: "sudo modprobe af_packet",
        run: packet_ring,
    },
    Trial {
        name: "proxy",
        needed_for: "runs without namespaces (`--network proxy`): TCP streams only, for some systems",
        need: Need::Optional,
        remedy: "use Linux with a loopback network of 127.0.0.0/8 and without a limit of RLIMIT_RTTIME",
        run: proxy,
    },
];

fn user_namespace() -> Result<(), NetError> {
    let entered = isolation::unshare_with_user(CloneFlags::empty());
    entered.map(drop).map_err(|error| isolation::refused("enter a user namespace", error))
}

/// All namespaces of a run, and a process inside of the new pid namespace.
fn enter() -> Result<(), NetError> {
    isolation::leave_host(UserNamespace::IfNeeded, isolation::namespaces())?;
    make_mounts_private()?;
    in_pid_namespace("fork into a pid namespace", || Ok(()))
}

/// Only a process inside of the new pid namespace may mount its /proc.
fn fresh_proc() -> Result<(), NetError> {
    isolation::leave_host(UserNamespace::IfNeeded, isolation::namespaces())?;
    make_mounts_private()?;
    in_pid_namespace("mount a fresh /proc", mount_proc)
}

/// Runs the work in a child, whose exit code carries the error number.
fn in_pid_namespace(action: &'static str, work: fn() -> io::Result<()>) -> Result<(), NetError> {
    let errno = match fork(action)? {
        Forked::Child => sys::exit_now(work().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO))),
        Forked::Parent(child) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => code,
            Ok(_) | Err(_) => libc::ECHILD,
        },
    };
    if errno == 0 { Ok(()) } else { Err(NetError::system(action, io::Error::from_raw_os_error(errno))) }
}

/// The namespaces of a network trial: without a pid namespace, after which a process can't start threads.
pub(super) fn enter_network() -> Result<(), NetError> {
    isolation::leave_host(UserNamespace::IfNeeded, CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)?;
    make_mounts_private()
}

fn tmpfs() -> Result<(), NetError> {
    enter_network()?;
    let directory = Path::new("/tmp");
    mount_tmpfs(directory, Some(1 << 20))?;
    std::fs::write(directory.join("trial"), b"x").map_err(|error| NetError::system("write to a tmpfs", error))
}

fn veth() -> Result<(), NetError> {
    enter_network()?;
    let namespaces =
        crate::namespace::create(1).map_err(|error| NetError::system("create a network namespace", error))?;
    let mut socket = Socket::open(SockProtocol::NetlinkRoute)
        .map_err(|error| NetError::system("open an rtnetlink socket", error))?;
    let mut batch = Batch::default();
    let near = crate::rtnetlink::VethEnd { name: "chaos-v1", index: 1001, mac: [2, 0x77, 0, 0, 1, 1] };
    let far = crate::rtnetlink::VethEnd { name: "eth0", index: 900, mac: [2, 0x77, 0, 0, 2, 1] };
    crate::rtnetlink::veth(&mut batch, &near, &far, namespaces[0].as_fd());
    socket.transact(batch, 0)
}

fn nf_tables() -> Result<(), NetError> {
    enter_network()?;
    let mut table = Nftables::install()?;
    table.replace(&[(nftables::CUT, vec![([10, 77, 0, 1].into(), [10, 77, 0, 2].into())])])?;
    table.remove()
}

fn iptables_restore() -> Result<(), NetError> {
    enter_network()?;
    let iptables = crate::iptables::Iptables::install()?;
    iptables.replace(&[([10, 77, 0, 1].into(), [10, 77, 0, 2].into())])?;
    iptables.remove()
}

fn cut() -> Result<(), NetError> {
    enter_network()?;
    let within = Duration::from_secs(1);
    let mut star = Star::build(2, FilterKind::Nftables)?;
    for links in [BTreeSet::from([Link { from: 0, to: 1 }]), BTreeSet::new()] {
        star.set_cut(&links)?;
        star.confirm_cut(within)?;
    }
    Ok(())
}

/// On the host, without any namespace: a cut over which a connect hangs, and after which it comes about.
fn proxy() -> Result<(), NetError> {
    let failed = |error: io::Error| NetError::system("connect through a proxy", error);
    mark::can_be_borne().map_err(|error| NetError::system("mark the processes of a run", error))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| NetError::system("adopt orphans of a run", error))?;
    let any = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)?;
    let mut proxies = Proxies::build(2, &BTreeSet::from([any.port()]))?;
    let _peer = TcpListener::bind((proxies.address(1), any.port())).map_err(failed)?;
    let door = (proxies.address_seen(0, 1), any.port()).into();
    proxies.set_cuts(&BTreeMap::from([(Link { from: 0, to: 1 }, CutMode::default())]))?;
    if TcpStream::connect_timeout(&door, Duration::from_millis(20)).is_ok() {
        return Err(failed(io::Error::other("a connection came about over a cut link")));
    }
    proxies.set_cuts(&BTreeMap::new())?;
    TcpStream::connect_timeout(&door, Duration::from_secs(2)).map(drop).map_err(failed)
}

/// A child that does nothing until it is killed.
fn idle_child() -> Result<Pid, NetError> {
    match fork("fork an idle process")? {
        Forked::Child => {
            // A trial that is killed for its deadline must not leave it behind.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            loop {
                std::thread::park();
            }
        }
        Forked::Parent(child) => Ok(child),
    }
}

fn pidfd() -> Result<(), NetError> {
    let child = idle_child()?;
    let opened = sys::pidfd_open(child).map_err(|error| NetError::system("open a pidfd", error));
    let killed = kill(child, Signal::SIGKILL).map_err(|error| NetError::system("kill a child", error));
    let fd = opened?;
    killed?;
    let events = poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::from(1000_u16))
        .map_err(|error| NetError::system("poll a pidfd", error))?;
    if events == 1 { Ok(()) } else { Err(NetError::system("see a process end by its pidfd", io::ErrorKind::TimedOut)) }
}

fn real_time() -> Result<(), NetError> {
    sys::schedule_first(true).map_err(|error| NetError::system("ask for SCHED_FIFO", error))
}

fn tgkill_stop() -> Result<(), NetError> {
    let child = idle_child()?;
    let stopped = sys::tgkill(child, child, Signal::SIGSTOP)
        .and_then(|()| Ok(waitpid(child, Some(WaitPidFlag::WUNTRACED))?))
        .map_err(|error| NetError::system("stop a thread", error));
    // Killed in any case: an idle child would outlive the trial.
    let _ = kill(child, Signal::SIGKILL);
    let status = stopped?;
    if matches!(status, WaitStatus::Stopped(_, Signal::SIGSTOP)) {
        return Ok(());
    }
    Err(NetError::system("stop a thread", io::Error::other(format!("the thread is {status:?}"))))
}

/// A link that delays, and then doesn't, shown by probes and by what the fabric has seen.
fn link_conditions() -> Result<(), NetError> {
    enter_network()?;
    let within = Duration::from_secs(1);
    let delayed = Conditions { delay: Duration::from_millis(2), ..Conditions::default() };
    let mut star = Star::build(2, FilterKind::Nftables)?;
    for conditions in [BTreeMap::from([(Link { from: 0, to: 1 }, delayed)]), BTreeMap::new()] {
        star.set_conditions(&conditions, 0)?;
        star.confirm_conditions(within)?;
    }
    Ok(())
}

fn reject() -> Result<(), NetError> {
    enter_network()?;
    let mut star = Star::build(2, FilterKind::Nftables)?;
    let mode = CutMode { drop: DropMode::Reject, heal: HealMode::Natural };
    star.set_cuts(&BTreeMap::from([(Link { from: 0, to: 1 }, mode)]))?;
    star.confirm_cut(Duration::from_secs(1)).map(drop)
}

/// A connection within a node, whose end its program sees.
fn sock_destroy() -> Result<(), NetError> {
    enter_network()?;
    let star = Star::build(1, FilterKind::Nftables)?;
    let own = star.address(0);
    let connected = in_namespace(star.namespace(0), || {
        let listener = TcpListener::bind((own, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        client.set_read_timeout(Some(Duration::from_secs(1)))?;
        Ok((client, listener.accept()?.0))
    });
    let (mut client, _server) = connected.map_err(|error| NetError::system("connect to oneself", error))?;
    connections::destroy(star.namespace(0), &BTreeSet::from([own]))?;
    let ended = client.read(&mut [0]);
    let is_aborted = |kind| matches!(kind, io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if ended.as_ref().is_err_and(|error| is_aborted(error.kind())) {
        return Ok(());
    }
    Err(NetError::system("see a connection end", io::Error::other(format!("it says {ended:?}"))))
}

fn packet_ring() -> Result<(), NetError> {
    enter_network()?;
    let ring = sys::PacketRing::open();
    ring.map(drop).map_err(|error| NetError::system("open a packet socket with a ring", error))
}

fn fork(action: &'static str) -> Result<Forked, NetError> {
    sys::fork().map_err(|error| NetError::system(action, error))
}
