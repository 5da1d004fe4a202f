//! The clock of one node: programs are started under it, and it is moved while they run.
//!
//! Each change is a few stores to a page that all processes of the node read, so it takes effect at once, for all of them, within
//! a microsecond, and it returns the two moments between which it did. Refuses: to move the harness's own clock, which stays
//! true and which all stamps are of.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, Shutdown, SockFlag, SockType, shutdown, socketpair};
use nix::time::{ClockId, clock_gettime};

use crate::keeper::{self, Shared};
use crate::law::{Law, Rate};
use crate::page::{ClockPage, Laws};
use crate::{ClockError, Missed, sys};

/// How long a program may take from its exec to its clock.
const GIVEN_WITHIN: Duration = Duration::from_secs(30);

/// Which clocks of the programs follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `REALTIME`, its coarse form, `TAI`, `gettimeofday` and `time`: what people and certificates call the time.
    Wall,
    /// Those, and the *rate* (never a jump) of `MONOTONIC`, its raw and coarse forms, and `BOOTTIME`, as with an oscillator
    /// that is off.
    ///
    /// Dangerous: the kernel's own timers still go true. A deadline that a program computes from the clock and hands to the
    /// kernel as an absolute time (`timerfd`, `futex`, condition variables) comes at another moment than the program thinks,
    /// further off the longer the clock has drifted; with a clock that is ahead it never waits long enough and may spin.
    WallAndMonotonicRate,
}

/// When a change was made, in nanoseconds of `CLOCK_MONOTONIC`: it took effect between the two, for all processes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before it.
    pub begin_ns: u64,
    /// After it.
    pub end_ns: u64,
    /// How far from the truth wall clocks are since, in nanoseconds; positive is ahead.
    pub offset_ns: i64,
}

/// How a clock comes back to going right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// It shows true time again, which is a jump back or ahead.
    Jump,
    /// It goes at the true rate again, and stays as far off as it is.
    KeepOffset,
}

/// A node's clock. Copies are the same clock. It starts as a true one, and outlives the programs that were started under it.
#[derive(Clone, Debug)]
pub struct Clock {
    laws: Arc<Mutex<Laws>>,
    shared: Arc<Shared>,
}

impl Clock {
    /// A clock that is right.
    ///
    /// # Errors
    /// If this isn't an x86_64 machine, or there is no memory for a page.
    pub fn new(scope: Scope) -> Result<Self, ClockError> {
        if cfg!(not(target_arch = "x86_64")) {
            return Err(ClockError::Unsupported(std::env::consts::ARCH));
        }
        let monotonic = match scope {
            Scope::Wall => None,
            Scope::WallAndMonotonicRate => Some(Law::TRUE),
        };
        let laws = Laws { wall: Law::TRUE, monotonic };
        let shared = Arc::new(Shared::new(ClockPage::new(&laws)?));
        Ok(Self { laws: Arc::new(Mutex::new(laws)), shared })
    }

    /// Starts a program under the clock, and returns once it has it. All that the program starts has it too: what is forked
    /// inherits it, and what is executed gets it anew.
    ///
    /// Such a child is traced by this process for a moment whenever it executes another program. `Child::wait` takes that stop
    /// for an end, and the stop from us; so [`wait`] for it, or for its pidfd, before its status is taken. The command can't be
    /// started twice.
    ///
    /// # Errors
    /// If the program can't be started, or would run with true time; then it was killed.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, ClockError> {
        let failed = |source: io::Error| ClockError::system("start a program that has a clock", source);
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|errno| failed(errno.into()))?;
        let (told, first) = mpsc::channel();
        keeper::start(ours.try_clone().map_err(failed)?, self.shared.clone(), told).map_err(failed)?;
        sys::trap_execs(command, theirs);
        let spawned = command.spawn();
        // If it wasn't started, nobody sends what the keeper waits for; the command may live on with the other end.
        let _ = shutdown(ours.as_raw_fd(), Shutdown::Both);
        let mut child = spawned.map_err(failed)?;
        let error = match first.recv_timeout(GIVEN_WITHIN) {
            Ok(Ok(())) => return Ok(child),
            Ok(Err(miss)) => ClockError::Missed(miss),
            // It was killed as it began; its end is the caller's to see.
            Err(RecvTimeoutError::Disconnected) => return Ok(child),
            Err(RecvTimeoutError::Timeout) => ClockError::Late(GIVEN_WITHIN),
        };
        // That it can't be killed means that it has ended.
        let _ = child.kill();
        let _ = wait(&mut child);
        Err(error)
    }

    /// Jumps wall clocks by so many nanoseconds, ahead or back. Their rate stays.
    ///
    /// # Errors
    /// If they would then be more than a hundred years off.
    pub fn jump(&self, by_ns: i64) -> Result<Change, ClockError> {
        self.change(|laws, now| {
            laws.wall = laws.wall.jumped(now.wall_ns, by_ns)?;
            Ok(())
        })
    }

    /// Has the clocks go at this rate from now on. That is no jump.
    pub fn set_rate(&self, rate: Rate) -> Change {
        let Ok(change) = self.change::<Infallible>(|laws, now| {
            laws.go(now, rate);
            Ok(())
        });
        change
    }

    /// Has the clocks go right again.
    pub fn reset(&self, how: Reset) -> Change {
        let Ok(change) = self.change::<Infallible>(|laws, now| {
            laws.go(now, Rate::TRUE);
            if how == Reset::Jump {
                laws.wall = Law::TRUE;
            }
            Ok(())
        });
        change
    }

    /// How far from the truth wall clocks are now, in nanoseconds; positive is ahead.
    #[must_use]
    pub fn offset_ns(&self) -> i64 {
        let now = Now::read().wall_ns;
        self.laws.lock().unwrap_or_else(PoisonError::into_inner).wall.at(now) - now
    }

    /// How many programs have got the clock so far: one for each exec.
    #[must_use]
    pub fn given(&self) -> u64 {
        self.shared.given()
    }

    /// The programs that run with true time although they were executed under this clock, since this was asked last.
    #[must_use]
    pub fn take_missed(&self) -> Vec<Missed> {
        self.shared.take_missed()
    }

    fn change<E>(&self, make: impl FnOnce(&mut Laws, Now) -> Result<(), E>) -> Result<Change, E> {
        let mut laws = self.laws.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Now::read();
        let mut new = *laws;
        make(&mut new, now)?;
        self.shared.page.publish(&new);
        let end_ns = Now::read().monotonic_ns;
        *laws = new;
        let stamp = |nanos: i64| u64::try_from(nanos).expect("the monotonic clock counts up from boot");
        let offset_ns = new.wall.at(now.wall_ns) - now.wall_ns;
        Ok(Change { begin_ns: stamp(now.monotonic_ns), end_ns: stamp(end_ns), offset_ns })
    }
}

impl Laws {
    fn go(&mut self, now: Now, rate: Rate) {
        self.wall = self.wall.going(now.wall_ns, rate);
        self.monotonic = self.monotonic.map(|law| law.going(now.monotonic_ns, rate));
    }
}

/// A moment on the harness's clocks, which are true. The monotonic one is read first.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic_ns: i64,
    pub(crate) wall_ns: i64,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { monotonic_ns: nanos(ClockId::CLOCK_MONOTONIC), wall_ns: nanos(ClockId::CLOCK_REALTIME) }
    }
}

fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("every Linux has these clocks");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// Waits for the end of a child that was started under a clock.
///
/// # Errors
/// If nobody can tell how it ended.
pub fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    sys::wait_for_end(child.id())?;
    child.wait()
}
