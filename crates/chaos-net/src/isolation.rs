//! Leaving the host: the process becomes the controller of namespaces that end with it.
//!
//! The idea: `unshare`, then `fork` twice. The first process stays outside as a *stub*; the second is pid 1 of the new
//! pid namespace (`init`); the third returns from [`enter`] as the *controller*. Whichever of the three is killed, by
//! whatever signal, the kernel removes every process, link, rule and mount: pid 1's death kills the pid namespace, and
//! the other namespaces end with their last process. No clean-up code runs, so none can be missed.
//!
//! Why fork and not exec `/proc/self/exe`: the uid is mapped to the *same* uid, because some servers refuse to run as
//! root (PostgreSQL); and an exec by a uid other than 0 drops the namespace's capabilities (`capabilities(7)`), which the
//! controller needs until its end. A forked copy keeps them, and needs neither `/proc` nor the binary's file.
//!
//! Refuses: to run after threads exist; to return half isolated; to touch the outer mounts (they become private first).
//! Sources: `user_namespaces(7)`, `pid_namespaces(7)`, `PR_SET_PDEATHSIG(2const)`.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{getegid, geteuid, pipe2, setsid};

use crate::remedy::{self, HostFacts};
use crate::sys::{self, Forked};
use crate::{NetError, init, stub};

/// How [`enter`] leaves the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnterOptions {
    /// Whether a user namespace is made too.
    pub user_namespace: UserNamespace,
    /// Whether the controller's first thread is to run before everything else that is ready (`SCHED_FIFO`, priority 1), where
    /// the caller may ask for that: whoever injects faults should not wait for a processor that the nodes keep busy. It must be
    /// asked for before the namespaces are entered, since powers of a user namespace don't count for it.
    pub real_time: bool,
}

/// When [`enter`] makes a user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserNamespace {
    /// Unless the process is root; also for a root that lacks the capabilities (a container's).
    #[default]
    IfNeeded,
    /// Even for root: what an ordinary user gets.
    Always,
    /// Root mode only: refused for anybody else.
    Never,
}

/// What [`enter`] achieved, as seen by the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entered {
    /// Whether there is a user namespace (its ids equal the outer ones) or the process is the host's root.
    pub mode: Mode,
    /// `/proc` as the controller sees it.
    pub proc: ProcMount,
    /// Whether the calling thread runs under `SCHED_FIFO`. Threads and processes that it starts don't.
    pub real_time: bool,
    /// From the call of [`enter`] to its return in the controller.
    pub elapsed: Duration,
}

/// Where the controller's powers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The host's root: no user namespace.
    Root,
    /// A user namespace in which exactly this uid and gid exist, mapped to themselves.
    User {
        /// Effective uid, inside and outside.
        uid: u32,
        /// Effective gid, inside and outside.
        gid: u32,
    },
}

/// Whether `/proc` shows the new pid namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcMount {
    /// A fresh one: `/proc/PID` agrees with the pids that the controller sees.
    Fresh,
    /// The kernel refused a fresh one (a container with a masked `/proc`): `/proc` still shows the outer pids.
    Outer {
        /// The kernel's words.
        reason: String,
    },
}

/// Enters fresh user (if needed), mount, pid, network, UTS and IPC namespaces, and returns there.
///
/// To be called at the very top of `main`, before a thread or an async runtime exists. The calling process becomes the
/// stub and never returns from this call: it leaves with the exit code that the controller ends with. Signals SIGINT,
/// SIGTERM and SIGHUP sent to the stub arrive at the controller once. The controller has no controlling terminal, may
/// write to one, and has the signal mask and dispositions of the caller (but SIGCHLD is never ignored).
///
/// # Errors
/// [`NetError::NotSingleThreaded`]; [`NetError::Refused`] with the remedy when the host forbids it, and then the process
/// is unchanged, unless only the id maps were refused; [`NetError::System`] when a later step fails: the error is then
/// returned *inside*, and the exit code that `main` makes of it reaches the user through the stub.
pub fn enter(options: &EnterOptions) -> Result<Entered, NetError> {
    let begin = Instant::now();
    require_single_thread()?;
    // Refused to most users, who then get what everybody gets.
    let real_time = options.real_time && sys::schedule_first(false).is_ok();
    let left = leave_host(options.user_namespace, namespaces());
    if left.is_err() && real_time {
        let _ = sys::schedule_normally();
    }
    let mode = left?;
    sys::keep_child_statuses().map_err(|error| NetError::system("reset SIGCHLD", error))?;
    // What is buffered would be written by the copies again.
    let _ = io::stdout().flush();
    let before = init::handled_signals()
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(|error| NetError::system("block signals", error))?;
    let (stub_alive, alive) = pipe2(OFlag::O_CLOEXEC).map_err(|error| NetError::system("create a pipe", error))?;
    match sys::fork().map_err(|error| NetError::system("fork the init process", error))? {
        Forked::Parent(init) => {
            drop(stub_alive);
            let _ = sys::schedule_normally();
            let _ = prctl::set_name(c"chaos-stub");
            stub::run(init, alive)
        }
        Forked::Child => {
            drop(alive);
            let entered = become_controller(mode, stub_alive, real_time, begin);
            restore_mask(&before)?;
            entered
        }
    }
}

/// Mounts a tmpfs on an existing directory, for data that must be fast or limited in size.
///
/// Inside of [`enter`]'s namespaces the mount is private and ends with them. Mode 0700.
///
/// # Errors
/// When `mount(2)` fails, for example because `path` is not a directory.
pub fn mount_tmpfs(path: &Path, size_bytes: Option<u64>) -> Result<(), NetError> {
    let size = size_bytes.map_or_else(String::new, |bytes| format!(",size={bytes}"));
    let options = format!("mode=0700{size}");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options.as_str()))
        .map_err(|error| NetError::system(format!("mount a tmpfs on {}", path.display()), error))
}

pub(crate) fn require_single_thread() -> Result<(), NetError> {
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(|error| NetError::system("count threads in /proc/self/task", error))?
        .count();
    if threads == 1 { Ok(()) } else { Err(NetError::NotSingleThreaded { threads }) }
}

/// Everything but the user namespace.
pub(crate) fn namespaces() -> CloneFlags {
    CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
}

/// Unshares the namespaces, with a user namespace where the option and the caller's powers call for one.
pub(crate) fn leave_host(user_namespace: UserNamespace, namespaces: CloneFlags) -> Result<Mode, NetError> {
    let without_user = || unshare(namespaces).map(|()| Mode::Root).map_err(io::Error::from);
    let is_root = geteuid().is_root();
    let left = match user_namespace {
        UserNamespace::Never => without_user(),
        UserNamespace::IfNeeded if is_root => without_user().or_else(|_| unshare_with_user(namespaces)),
        UserNamespace::IfNeeded | UserNamespace::Always => unshare_with_user(namespaces),
    };
    left.map_err(|error| refused("enter namespaces", error))
}

/// A refusal with its diagnosis.
pub(crate) fn refused(action: &'static str, source: io::Error) -> NetError {
    let diagnosis = remedy::for_namespaces(&source, &HostFacts::read());
    NetError::Refused { action, reason: diagnosis.reason, remedy: diagnosis.remedy, source }
}

/// Unshares a user namespace with the others and maps the caller's ids to themselves.
pub(crate) fn unshare_with_user(others: CloneFlags) -> io::Result<Mode> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER | others)?;
    // Without "deny" the kernel refuses a gid map by an unprivileged writer: dropping a group could gain access.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    Ok(Mode::User { uid, gid })
}

/// In the child: makes itself a proper pid 1, then forks again; returns only in the grandchild.
fn become_controller(mode: Mode, stub_alive: OwnedFd, real_time: bool, begin: Instant) -> Result<Entered, NetError> {
    // Set after all changes of ids, which would clear it; from here the stub's death is ours.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| NetError::system("set the parent death signal", error))?;
    // The stub may have died between fork and prctl; the parent's pid can't tell, it is 0 across pid namespaces.
    if stub_is_gone(&stub_alive) {
        sys::exit_now(init::KILLED);
    }
    setsid().map_err(|error| NetError::system("start a session for the init process", error))?;
    make_mounts_private()?;
    let proc = match mount_proc() {
        Ok(()) => ProcMount::Fresh,
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::EBUSY)) => {
            ProcMount::Outer { reason: error.to_string() }
        }
        Err(error) => return Err(NetError::system("mount a fresh /proc", error)),
    };
    match sys::fork().map_err(|error| NetError::system("fork the controller", error))? {
        Forked::Parent(controller) => {
            let _ = sys::schedule_normally();
            let _ = prctl::set_name(c"chaos-init");
            init::run(controller, &stub_alive)
        }
        Forked::Child => {
            // Only the init watches the stub; the controller follows the init.
            drop(stub_alive);
            setsid().map_err(|error| NetError::system("start a session for the controller", error))?;
            // The policy was inherited to come this far; it must not go on to the nodes.
            let real_time = real_time && sys::schedule_first(true).is_ok();
            if !real_time {
                sys::schedule_normally().map_err(|error| NetError::system("ask for normal scheduling", error))?;
            }
            Ok(Entered { mode, proc, real_time, elapsed: begin.elapsed() })
        }
    }
}

pub(crate) fn restore_mask(mask: &SigSet) -> Result<(), NetError> {
    mask.thread_set_mask().map_err(|error| NetError::system("restore the signal mask", error))
}

fn stub_is_gone(stub_alive: &OwnedFd) -> bool {
    let mut source = [PollFd::new(stub_alive.as_fd(), PollFlags::POLLIN)];
    // Nothing is ever written to it, so any event is the end of file.
    poll(&mut source, PollTimeout::ZERO).is_ok_and(|events| events > 0)
}

pub(crate) fn make_mounts_private() -> Result<(), NetError> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .map_err(|error| NetError::system("make mounts private", error))
}

pub(crate) fn mount_proc() -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?)
}
