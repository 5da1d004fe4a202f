//! Where a node knocks that wants to reach another: the listening socket of one link and port, which can be made to hang or to refuse.
//!
//! | state | what a connect sees | how |
//! |---|---|---|
//! | open | a connection | accepted |
//! | hanging | nothing, until its own kernel sends the SYN again after the heal | the accept queue is full: the kernel drops SYNs |
//! | closed | a reset | the socket is bound and doesn't listen |
//!
//! So it is the kernel that drops and refuses, and a connect over a cut link takes what it takes over a real one (`tcp(7)`,
//! `tcp_syn_retries`). A queue of length 0 holds one connection: a plug of ours.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrIn, bind, connect, listen, setsockopt, shutdown,
    socket, sockopt,
};

use crate::Link;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 100;

/// What a door does with those who knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoorState {
    /// It lets them in.
    Open,
    /// It doesn't answer.
    Hanging,
    /// It turns them away.
    Closed,
}

/// The proxy's side of one link and port.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    address: SocketAddrV4,
    /// From who knocks to whom they want to reach.
    pub(super) link: Link,
    pub(super) port: u16,
    state: DoorState,
    /// What fills the queue while the door hangs.
    plug: Option<OwnedFd>,
}

impl Door {
    /// Opens a door at this address.
    pub(super) fn open(link: Link, address: SocketAddrV4) -> io::Result<Self> {
        let socket = tcp_socket()?;
        // To listen again after a cut that rejects, beside the connections that were let in before. Nobody else can listen here.
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        bind(socket.as_raw_fd(), &SockaddrIn::from(address))?;
        listen(&socket, Backlog::new(BACKLOG)?)?;
        let listener = TcpListener::from(socket);
        Ok(Self { listener, address, link, port: address.port(), state: DoorState::Open, plug: None })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    pub(super) fn state(&self) -> DoorState {
        self.state
    }

    /// The next connection that was let in; none while the door isn't open.
    pub(super) fn next(&self) -> io::Result<Option<TcpStream>> {
        if self.state != DoorState::Open {
            return Ok(None);
        }
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    return Ok(Some(stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Who knocked has gone away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the door so. Who was in the queue before is to be taken out first.
    pub(super) fn make(&mut self, state: DoorState) -> io::Result<()> {
        if self.state == state {
            return Ok(());
        }
        if self.state == DoorState::Hanging {
            self.pull_plug()?;
        }
        match state {
            DoorState::Open => listen(&self.listener, Backlog::new(BACKLOG)?)?,
            DoorState::Hanging => {
                listen(&self.listener, Backlog::new(0)?)?;
                self.plug = Some(begin_connect(Ipv4Addr::UNSPECIFIED, self.address)?);
            }
            // The socket stays bound, so that nobody else gets the port.
            DoorState::Closed => shutdown(self.listener.as_raw_fd(), Shutdown::Read)?,
        }
        self.state = state;
        Ok(())
    }

    /// Takes the plug out of the queue again.
    fn pull_plug(&mut self) -> io::Result<()> {
        let Some(plug) = self.plug.take() else { return Ok(()) };
        let plug = TcpStream::from(plug);
        let own = plug.local_addr()?;
        match self.listener.accept() {
            Ok((_, peer)) if peer == own => Ok(()),
            // Somebody was faster than the plug, in the very moment of the cut. They get what a connection over a link that was cut
            // gets from a peer who never knew of it.
            Ok((stranger, _)) => reset(stranger),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn tcp_socket() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket(AddressFamily::Inet, SockType::Stream, flags, None)?)
}

/// Begins to connect, from this address (unspecified: from whichever the kernel takes).
pub(super) fn begin_connect(from: Ipv4Addr, to: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = tcp_socket()?;
    if !from.is_unspecified() {
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    }
    match connect(socket.as_raw_fd(), &SockaddrIn::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Whether nobody has this address and port.
pub(super) fn is_free(address: SocketAddrV4) -> io::Result<bool> {
    match bind(tcp_socket()?.as_raw_fd(), &SockaddrIn::from(address)) {
        Ok(()) => Ok(true),
        Err(Errno::EADDRINUSE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Closes a connection so that its other end sees a reset.
pub(super) fn reset(stream: TcpStream) -> io::Result<()> {
    let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &at_once)?;
    drop(stream);
    Ok(())
}
