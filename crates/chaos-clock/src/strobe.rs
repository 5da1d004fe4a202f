//! A clock that jumps ahead and back, again and again.
//!
//! It jumps once every period, away and back by turns. A thread of its own waits for absolute moments, so that jumps which come
//! late don't add up. Refuses to leave the clock away when it ends, which it does at the latest when it is dropped.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Change, Clock, ClockError};

/// The shortest period: below it, what a thread waits is mostly the kernel's grain.
pub const PERIOD_MIN: Duration = Duration::from_micros(100);
/// The longest period.
pub const PERIOD_MAX: Duration = Duration::from_secs(86_400);

/// A clock that strobes, until this is dropped.
#[derive(Debug)]
pub struct Strobe {
    /// Dropped to end it.
    going: Option<Sender<()>>,
    first: Change,
    thread: Option<JoinHandle<Strobed>>,
}

/// What a strobe came to.
#[derive(Debug)]
pub struct Strobed {
    /// How many times it jumped, the last jump back included.
    pub jumps: u64,
    /// The last one, which is the jump back.
    pub last: Change,
}

impl Clock {
    /// Has wall clocks jump by so many nanoseconds now, back after a period, and so on. Other changes may be made meanwhile; to
    /// reset the clock, end the strobe first, which jumps back from wherever it is.
    ///
    /// # Errors
    /// If the period is out of range, the clock would be more than a hundred years off, or there is no thread to be had.
    pub fn strobe(&self, by_ns: i64, period: Duration) -> Result<Strobe, ClockError> {
        let clock = self.clone();
        Strobe::start(by_ns, period, move |by_ns| clock.jump(by_ns))
    }
}

impl Strobe {
    /// Strobes whatever clock `jump` moves.
    pub(crate) fn start(
        by_ns: i64,
        period: Duration,
        jump: impl Fn(i64) -> Result<Change, ClockError> + Clone + Send + 'static,
    ) -> Result<Self, ClockError> {
        if !(PERIOD_MIN..=PERIOD_MAX).contains(&period) {
            return Err(ClockError::Period(period));
        }
        let back_ns = by_ns.checked_neg().ok_or(ClockError::Offset)?;
        let (going, end) = mpsc::channel();
        let first = jump(by_ns)?;
        let again = jump.clone();
        let strobing = thread::Builder::new().name("chaos-strobe".to_owned());
        let thread = strobing.spawn(move || {
            // The kernel rounds waits up to 50 µs unless asked not to. Without, it strobes all the same.
            let _ = nix::sys::prctl::set_timerslack(1);
            let mut strobed = Strobed { jumps: 1, last: first };
            let mut due = Instant::now();
            loop {
                due += period;
                let over =
                    end.recv_timeout(due.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout);
                let away = strobed.jumps % 2 == 1;
                if over && !away {
                    return strobed;
                }
                match jump(if away { back_ns } else { by_ns }) {
                    Ok(change) => strobed = Strobed { jumps: strobed.jumps + 1, last: change },
                    Err(error) => tracing::warn!(%error, "a strobe has left out a jump"),
                }
                if over {
                    return strobed;
                }
            }
        });
        match thread {
            Ok(thread) => Ok(Strobe { going: Some(going), first, thread: Some(thread) }),
            Err(source) => {
                again(back_ns)?;
                Err(ClockError::system("start a thread that strobes", source))
            }
        }
    }

    /// The first jump.
    #[must_use]
    pub fn first(&self) -> Change {
        self.first
    }

    /// Ends it, with the clock back.
    #[must_use]
    pub fn stop(mut self) -> Strobed {
        self.end().expect("it is ended once")
    }

    fn end(&mut self) -> Option<Strobed> {
        drop(self.going.take());
        self.thread.take().map(|thread| thread.join().expect("the strobe doesn't panic"))
    }
}

impl Drop for Strobe {
    fn drop(&mut self) {
        self.end();
    }
}
