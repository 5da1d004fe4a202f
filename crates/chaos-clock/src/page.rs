//! The clock page: the two laws that every process of a node reads, and how they change without anybody waiting.
//!
//! The page has two slots and a version, whose lowest bit says which slot counts. A change makes the version odd, so that
//! readers use the second slot, which still has the old laws; writes the first; makes the version even; and writes the second.
//! So a writer that is put to sleep half-way stops nobody, and a reader that meets a change reads again (a *latch*, as the
//! kernel keeps time itself). The readers are in `stub.s`, whose numbers are those here.
//!
//! What that costs: a new line begins at a moment that was read just before, and until it is published readers follow the old
//! one. So when a clock is slowed down it may step back, by the time between the two stamps of the change times the difference
//! of the rates: nanoseconds, unless the writer was put to sleep just there.
//!
//! Refuses: a second writer. Only one thread at a time may call [`ClockPage::publish`], and `clock.rs` sees to that.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::law::Law;
use crate::sys::SharedPage;
use crate::{ClockError, PAGE, PAGE_NAME};

const VERSION: usize = 0;
const MONOTONIC_ASKED: usize = 1;
/// The slots, in words.
const SLOTS: [usize; 2] = [8, 16];
/// From a slot's start to the law of the monotonic clocks, in words.
const MONOTONIC: usize = 4;

/// What all clocks of a node show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Laws {
    /// `REALTIME` and its kin.
    pub(crate) wall: Law,
    /// `MONOTONIC` and its kin, if they are to be touched.
    pub(crate) monotonic: Option<Law>,
}

/// The page, with the file by which processes map it.
#[derive(Debug)]
pub(crate) struct ClockPage {
    file: File,
    page: SharedPage,
}

impl ClockPage {
    /// A page with these laws.
    pub(crate) fn new(laws: &Laws) -> Result<Self, ClockError> {
        let failed = |source: std::io::Error| ClockError::system("make a clock page", source);
        let file = memfd_create(PAGE_NAME, MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let file = File::from(file);
        file.set_len(PAGE as u64).map_err(failed)?;
        let page = SharedPage::map(&file).map_err(failed)?;
        let new = Self { file, page };
        new.page.words()[MONOTONIC_ASKED].store(u64::from(laws.monotonic.is_some()), Ordering::Relaxed);
        new.publish(laws);
        Ok(new)
    }

    /// The file that processes map.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Replaces the laws.
    pub(crate) fn publish(&self, laws: &Laws) {
        let words = self.page.words();
        let version = words[VERSION].load(Ordering::Relaxed);
        debug_assert!(version.is_multiple_of(2), "nobody else publishes");
        for (slot, version) in SLOTS.into_iter().zip(version + 1..) {
            words[VERSION].store(version, Ordering::Release);
            // No word of the slot may be seen before the version that tells to use the other.
            fence(Ordering::SeqCst);
            write(&words[slot..], &laws.wall);
            write(&words[slot + MONOTONIC..], &laws.monotonic.unwrap_or(Law::TRUE));
        }
    }
}

fn write(words: &[AtomicU64], law: &Law) {
    for (word, value) in words.iter().zip([law.real_ns, law.shown_ns, law.rate.fixed()]) {
        word.store(value.cast_unsigned(), Ordering::Relaxed);
    }
}
