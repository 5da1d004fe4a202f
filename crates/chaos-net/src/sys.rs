//! Every `unsafe` block of the crate: system calls that `nix` does not wrap, or wraps as unsafe.
//!
//! Each function is as small as its system call, so that the SAFETY comment can be judged beside it.
#![expect(unsafe_code, reason = "system calls; nowhere else in the crate")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, Pid};

/// The two sides of [`fork`].
pub(crate) enum Forked {
    /// The caller goes on, with the child's pid.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Duplicates the process.
///
/// All callers are single-threaded here (`isolation::enter` checks it, `doctor::probe` documents it), so the child
/// inherits no lock that another thread holds.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: see above: with one thread, the child is an ordinary copy that may allocate and lock.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Ends the process at once: no exit handlers, no flushing of buffers that were inherited across `fork`.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any value and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives SIGCHLD its default disposition. A launcher may have left it ignored; the kernel then discards the exit status
/// of children, and nobody can wait for them.
pub(crate) fn keep_child_statuses() -> io::Result<()> {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}

/// Sets a `SOL_NETLINK` option to 1.
pub(crate) fn enable_netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).expect("an int's size fits");
    // SAFETY: `on` outlives the call and `length` is its size.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the command join the network namespace.
pub(crate) fn in_namespace(command: &mut Command, namespace: OwnedFd) {
    let hook = move || Ok(setns(&namespace, CloneFlags::CLONE_NEWNET)?);
    // SAFETY: between fork and exec the hook makes one system call and neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// Has the command bear the mark, and end with the process that starts it if `parent` says so.
///
/// The signal comes when the *thread* ends that started the command (`PR_SET_PDEATHSIG(2const)`), so only a process's first thread may
/// ask for it.
pub(crate) fn with_mark(command: &mut Command, mark: crate::Mark, parent: Option<Pid>) {
    let hook = move || {
        mark.bear()?;
        if let Some(parent) = parent {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            // It may have ended before that.
            if nix::unistd::getppid() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes system calls on plain integers and neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// What a user namespace's map files are to contain.
pub(crate) struct UserMaps {
    /// `/proc/self/uid_map`.
    pub(crate) uid: String,
    /// `/proc/self/gid_map`.
    pub(crate) gid: String,
}

/// Has the command make a user namespace with these maps and live in it.
pub(crate) fn in_user_namespace(command: &mut Command, maps: UserMaps) {
    let hook = move || {
        unshare(CloneFlags::CLONE_NEWUSER)?;
        // Without "deny" the kernel refuses a gid map from inside of the namespace.
        write_to(c"/proc/self/setgroups", "deny")?;
        write_to(c"/proc/self/uid_map", &maps.uid)?;
        write_to(c"/proc/self/gid_map", &maps.gid)
    };
    // SAFETY: between fork and exec the hook only makes system calls (unshare, open, write, close) on texts that were made
    // before; it neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

/// Writes a file in one call, as the files of `/proc` want it, without allocating.
fn write_to(path: &CStr, text: &str) -> io::Result<()> {
    let file = nix::fcntl::open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let written = nix::unistd::write(&file, text.as_bytes())?;
    if written == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Has the command join the network namespace and keep `CAP_NET_ADMIN` and `CAP_NET_RAW` across its exec.
///
/// With an identity mapping a process of an ordinary uid loses its namespace capabilities at exec (`capabilities(7)`);
/// raising them as ambient keeps exactly the two that packet filter tools need.
pub(crate) fn in_namespace_as_net_admin(command: &mut Command, namespace: OwnedFd) {
    let hook = move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        keep_net_capabilities()
    };
    // SAFETY: between fork and exec the hook only makes system calls (setns, capget, capset, prctl) on memory of its
    // own; it neither allocates nor locks.
    unsafe { command.pre_exec(hook) };
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn keep_net_capabilities() -> io::Result<()> {
    // _LINUX_CAPABILITY_VERSION_3: two 32-bit words of each set.
    let mut header = CapHeader { version: 0x2008_0522, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: both pointers are to live values with the layout of `capget(2)`, version 3.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    data[0].inheritable |= (1 << CAP_NET_ADMIN) | (1 << CAP_NET_RAW);
    // SAFETY: as above; `capset` only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for capability in [CAP_NET_ADMIN, CAP_NET_RAW] {
        // SAFETY: this prctl takes plain integers.
        let result = unsafe {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, libc::c_ulong::from(capability), 0, 0)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// A file descriptor that stands for the process, free of pid reuse.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in; the kernel returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).expect("file descriptors are ints");
    // SAFETY: the kernel has just created it for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to one thread of a process.
pub(crate) fn tgkill(pid: Pid, thread: Pid, signal: nix::sys::signal::Signal) -> io::Result<()> {
    // SAFETY: plain integers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, pid.as_raw(), thread.as_raw(), signal as libc::c_int) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling thread under `SCHED_FIFO`. Permitted with `CAP_SYS_NICE` of the host, which a user namespace takes away, or within
/// `RLIMIT_RTPRIO`.
pub(crate) fn run_in_real_time(priority: libc::c_int) -> io::Result<()> {
    set_scheduler(libc::SCHED_FIFO, priority)
}

/// Puts the calling thread under `SCHED_FIFO` at the lowest real-time priority. With `only_this_thread`, what it starts from now
/// on (threads and processes) is scheduled normally; without, it inherits the policy.
pub(crate) fn schedule_first(only_this_thread: bool) -> io::Result<()> {
    let reset = if only_this_thread { libc::SCHED_RESET_ON_FORK } else { 0 };
    set_scheduler(libc::SCHED_FIFO | reset, 1)
}

/// Puts the calling thread back under the normal policy.
pub(crate) fn schedule_normally() -> io::Result<()> {
    set_scheduler(libc::SCHED_OTHER, 0)
}

fn set_scheduler(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    // The system call itself: musl's function of this name does nothing.
    // SAFETY: the kernel reads one `sched_param`, which is an int and outlives the call; 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A packet socket of all devices of a network namespace, whose packets the kernel writes into memory that we share with it:
/// a ring of frames, each with a word that says whose it is (`TPACKET_V2` of `packet(7)`).
#[derive(Debug)]
pub(crate) struct PacketRing {
    socket: OwnedFd,
    memory: NonNull<u8>,
    next_frame: usize,
}

/// A captured packet, while its frame is ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingFrame<'a> {
    /// Index of the device that it passed.
    pub(crate) device: u32,
    /// It left the namespace by that device, rather than coming in.
    pub(crate) leaves_here: bool,
    /// Since the epoch.
    pub(crate) time_ns: u64,
    /// Before it was cut off.
    pub(crate) original_len: u32,
    /// From the IP header on.
    pub(crate) bytes: &'a [u8],
}

// SAFETY: the memory belongs to the ring alone, and is used only through `&mut self`.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// What a frame holds beside its header, its address and the padding between them.
    pub(crate) const SNAP_LEN: u32 = 1968;
    /// Packets that the ring holds.
    pub(crate) const FRAMES: usize = 8192;
    const FRAME_BYTES: usize = 2048;
    const BLOCK_BYTES: usize = 1 << 16;
    const RING_BYTES: usize = Self::FRAME_BYTES * Self::FRAMES;
    /// Where the address stands in a frame: behind the header, aligned to 16.
    const ADDRESS_AT: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);

    /// Opens it in the calling thread's network namespace; from now on it captures.
    pub(crate) fn open() -> io::Result<Self> {
        // Protocol 0: nothing is captured before the ring is there.
        // SAFETY: plain integers; the kernel returns a new descriptor or -1.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just created it for us; nobody else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        set_packet_option(&socket, libc::PACKET_VERSION, &version)?;
        let size = |bytes: usize| libc::c_uint::try_from(bytes).expect("the ring has 16 MiB");
        let request = libc::tpacket_req {
            tp_block_size: size(Self::BLOCK_BYTES),
            tp_block_nr: size(Self::RING_BYTES / Self::BLOCK_BYTES),
            tp_frame_size: size(Self::FRAME_BYTES),
            tp_frame_nr: size(Self::FRAMES),
        };
        set_packet_option(&socket, libc::PACKET_RX_RING, &request)?;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice, of the size that the ring was made with.
        let mapped = unsafe {
            libc::mmap(std::ptr::null_mut(), Self::RING_BYTES, access, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let ring = Self { socket, memory, next_frame: 0 };
        ring.bind()?;
        Ok(ring)
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: `sockaddr_ll` is plain data for which all zeroes is a value: device 0 is every device.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).expect("it is 17");
        address.sll_protocol = u16::try_from(libc::ETH_P_ALL).expect("it is 3").to_be();
        let length = libc::socklen_t::try_from(size_of_val(&address)).expect("it is 20");
        // SAFETY: the address outlives the call, and `length` is its size.
        let result = unsafe { libc::bind(self.socket.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Hands the next packet to `each`, and its frame back to the kernel; `None` when there is none.
    pub(crate) fn take<T>(&mut self, each: impl FnOnce(&RingFrame<'_>) -> T) -> Option<T> {
        // SAFETY: `next_frame` is below FRAMES, so the frame lies within the mapping.
        let frame = unsafe { self.memory.add(self.next_frame * Self::FRAME_BYTES) };
        // SAFETY: a frame begins with its status, a word aligned to the frame, which kernel and program change in turn.
        let status = unsafe { frame.cast::<AtomicU32>().as_ref() };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the status says that the kernel has written header and address, and leaves the frame to us.
        let (header, address) = unsafe {
            let address = frame.add(Self::ADDRESS_AT).cast::<libc::sockaddr_ll>();
            (frame.cast::<libc::tpacket2_hdr>().read(), address.read())
        };
        let start = usize::from(header.tp_net).min(Self::FRAME_BYTES);
        let captured = usize::try_from(header.tp_snaplen).unwrap_or(usize::MAX).min(Self::FRAME_BYTES - start);
        // SAFETY: both ends lie within the frame, which is ours until the status is written below.
        let bytes = unsafe { std::slice::from_raw_parts(frame.add(start).as_ptr(), captured) };
        let taken = each(&RingFrame {
            device: u32::try_from(address.sll_ifindex).unwrap_or(0),
            leaves_here: address.sll_pkttype == libc::PACKET_OUTGOING,
            time_ns: u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec),
            original_len: header.tp_len,
            bytes,
        });
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next_frame = (self.next_frame + 1) % Self::FRAMES;
        Some(taken)
    }

    /// Packets that found no free frame since the last call.
    pub(crate) fn missing(&self) -> io::Result<u64> {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of_val(&statistics)).expect("it is 8");
        // SAFETY: the kernel writes at most `length` bytes to `statistics`, which outlives the call.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if result == 0 { Ok(statistics.tp_drops.into()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PacketRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this size, and nothing refers to it any more.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), Self::RING_BYTES) };
    }
}

fn set_packet_option<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).expect("options are small");
    // SAFETY: the value outlives the call, which reads `length` bytes of it; the callers pass what the option takes.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
