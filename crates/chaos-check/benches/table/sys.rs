//! The allocator of the benches: the system's, which counts on demand and knows a limit.
//!
//! Counting costs two atomic additions per call, so it is off while time is measured; then a call costs one load more. The
//! limit is for the baseline, which would take all memory of the machine: at the limit the process ends with
//! [`EXIT_MEMORY`], and whoever started it knows why.
#![expect(unsafe_code, reason = "an allocator can't be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The exit code of a process that reached its limit.
pub(crate) const EXIT_MEMORY: i32 = 77;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static BYTES: AtomicI64 = AtomicI64::new(0);
static BYTES_PEAK: AtomicI64 = AtomicI64::new(0);
static BYTES_MAX: AtomicI64 = AtomicI64::new(i64::MAX);

fn add(bytes: usize) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let now = BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if now > BYTES_PEAK.load(Ordering::Relaxed) {
        BYTES_PEAK.fetch_max(now, Ordering::Relaxed);
        if now > BYTES_MAX.load(Ordering::Relaxed) {
            // Not a panic and no destructors: both would allocate.
            // SAFETY: `_exit` takes any number and has no other conditions.
            unsafe { nix::libc::_exit(EXIT_MEMORY) }
        }
    }
}

fn subtract(bytes: usize) {
    BYTES.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator with its arguments unchanged; what is done besides allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if ON.load(Ordering::Relaxed) {
            add(layout.size());
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if ON.load(Ordering::Relaxed) {
            add(layout.size());
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        if ON.load(Ordering::Relaxed) {
            subtract(layout.size());
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ON.load(Ordering::Relaxed) {
            // Both are there while the content moves. That the system may grow a piece in its place is not counted on.
            add(size);
            subtract(layout.size());
        }
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// What is held beyond what was held at its beginning, while it is there.
pub(crate) struct Peak(());

impl Peak {
    /// Counting begins.
    pub(crate) fn begin() -> Self {
        BYTES.store(0, Ordering::Relaxed);
        BYTES_PEAK.store(0, Ordering::Relaxed);
        ON.store(true, Ordering::Relaxed);
        Self(())
    }

    /// Does something that is not counted.
    pub(crate) fn pause<R>(&self, job: impl FnOnce() -> R) -> R {
        ON.store(false, Ordering::Relaxed);
        let result = job();
        ON.store(true, Ordering::Relaxed);
        result
    }

    /// Counting ends; the most that was held.
    pub(crate) fn end(self) -> u64 {
        ON.store(false, Ordering::Relaxed);
        BYTES_PEAK.load(Ordering::Relaxed).unsigned_abs()
    }
}

/// Runs `job`, and says how many bytes it held at most beyond what was held before.
///
/// With `bytes_max` the process ends with [`EXIT_MEMORY`] if it would hold more.
pub(crate) fn peak_bytes<R>(bytes_max: Option<u64>, job: impl FnOnce() -> R) -> (R, u64) {
    let bytes_max = bytes_max.and_then(|bytes| i64::try_from(bytes).ok());
    BYTES_MAX.store(bytes_max.unwrap_or(i64::MAX), Ordering::Relaxed);
    let peak = Peak::begin();
    let result = job();
    let peak = peak.end();
    BYTES_MAX.store(i64::MAX, Ordering::Relaxed);
    (result, peak)
}
