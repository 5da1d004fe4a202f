//! What each trapped call means to a disk: which file it is about, and where it would write.
//!
//! A table and nothing else. Refuses to look at the caller: see `caller.rs`. Source: the manual page of each call.

use libc::c_long;

/// A trapped call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// Its number on this architecture.
    pub(crate) number: c_long,
    /// What it does.
    pub(crate) meaning: Meaning,
}

/// What a call does; numbers are places in its list of arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Meaning {
    /// Syncs the file (or the file system) of a descriptor.
    Sync { fd: usize },
    /// Syncs a mapped file, if the flags say so.
    SyncMapped { address: usize, flags: usize },
    /// Syncs everything.
    SyncAll,
    /// Writes to the file of a descriptor.
    Write { fd: usize, place: Place, length: Length },
    /// Reserves or frees space of a file: `fallocate(fd, mode, offset, length)`.
    Reserve,
    /// Sets the length of the file of descriptor 0.
    Resize,
    /// Sets the length of a file by its name.
    ResizeNamed(At),
    /// Opens a file.
    Open { at: At, flags: Flags },
    /// Makes or removes one name, or two.
    Names(At, Option<At>),
    /// Sets up a ring through which later calls will not be seen.
    Ring,
}

/// Where a write begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// At the descriptor's own position.
    Position,
    /// At the offset in this argument.
    Offset(usize),
    /// At the offset that this argument points to, if it does.
    Pointer(usize),
}

/// How long a write is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Length {
    /// As long as this argument says.
    Bytes(usize),
    /// As long as the buffers are together that this argument points to; the next argument is their number.
    Vector(usize),
}

/// A path among the arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    /// The descriptor of the directory that it is relative to, for calls that have one.
    pub(crate) directory: Option<usize>,
    /// The path.
    pub(crate) path: usize,
}

/// Where the flags of an open are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flags {
    /// In this argument.
    Argument(usize),
    /// In the first word that this argument points to.
    Pointer(usize),
    /// Those of `creat`.
    Creating,
}

const fn call(number: c_long, meaning: Meaning) -> Call {
    Call { number, meaning }
}

const fn at(directory: usize, path: usize) -> At {
    At { directory: Some(directory), path }
}

const fn write(number: c_long, fd: usize, place: Place, length: Length) -> Call {
    call(number, Meaning::Write { fd, place, length })
}

/// Calls that wait for the disk, and the one that sets up a way around us.
pub(crate) const SYNCS: &[Call] = &[
    call(libc::SYS_fsync, Meaning::Sync { fd: 0 }),
    call(libc::SYS_fdatasync, Meaning::Sync { fd: 0 }),
    call(libc::SYS_sync_file_range, Meaning::Sync { fd: 0 }),
    call(libc::SYS_syncfs, Meaning::Sync { fd: 0 }),
    call(libc::SYS_msync, Meaning::SyncMapped { address: 0, flags: 2 }),
    call(libc::SYS_sync, Meaning::SyncAll),
    call(libc::SYS_io_uring_setup, Meaning::Ring),
];

/// Calls that change what files hold, and names.
pub(crate) const WRITES: &[Call] = &[
    write(libc::SYS_write, 0, Place::Position, Length::Bytes(2)),
    write(libc::SYS_pwrite64, 0, Place::Offset(3), Length::Bytes(2)),
    write(libc::SYS_writev, 0, Place::Position, Length::Vector(1)),
    write(libc::SYS_pwritev, 0, Place::Offset(3), Length::Vector(1)),
    // Its offset −1 means the descriptor's position, as nothing else could.
    write(libc::SYS_pwritev2, 0, Place::Offset(3), Length::Vector(1)),
    write(libc::SYS_sendfile, 0, Place::Position, Length::Bytes(3)),
    write(libc::SYS_copy_file_range, 2, Place::Pointer(3), Length::Bytes(4)),
    write(libc::SYS_splice, 2, Place::Pointer(3), Length::Bytes(4)),
    call(libc::SYS_fallocate, Meaning::Reserve),
    call(libc::SYS_ftruncate, Meaning::Resize),
    call(libc::SYS_truncate, Meaning::ResizeNamed(At { directory: None, path: 0 })),
    call(libc::SYS_openat, Meaning::Open { at: at(0, 1), flags: Flags::Argument(2) }),
    call(libc::SYS_openat2, Meaning::Open { at: at(0, 1), flags: Flags::Pointer(2) }),
    call(libc::SYS_mkdirat, Meaning::Names(at(0, 1), None)),
    call(libc::SYS_mknodat, Meaning::Names(at(0, 1), None)),
    call(libc::SYS_unlinkat, Meaning::Names(at(0, 1), None)),
    call(libc::SYS_renameat, Meaning::Names(at(0, 1), Some(at(2, 3)))),
    call(libc::SYS_renameat2, Meaning::Names(at(0, 1), Some(at(2, 3)))),
    call(libc::SYS_linkat, Meaning::Names(at(2, 3), None)),
    call(libc::SYS_symlinkat, Meaning::Names(at(1, 2), None)),
];

/// The older calls with paths, which newer architectures don't have.
#[cfg(target_arch = "x86_64")]
pub(crate) const OLD_WRITES: &[Call] = &[
    call(libc::SYS_open, Meaning::Open { at: path(0), flags: Flags::Argument(1) }),
    call(libc::SYS_creat, Meaning::Open { at: path(0), flags: Flags::Creating }),
    call(libc::SYS_mkdir, Meaning::Names(path(0), None)),
    call(libc::SYS_mknod, Meaning::Names(path(0), None)),
    call(libc::SYS_rmdir, Meaning::Names(path(0), None)),
    call(libc::SYS_unlink, Meaning::Names(path(0), None)),
    call(libc::SYS_rename, Meaning::Names(path(0), Some(path(1)))),
    call(libc::SYS_link, Meaning::Names(path(1), None)),
    call(libc::SYS_symlink, Meaning::Names(path(1), None)),
];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const OLD_WRITES: &[Call] = &[];

#[cfg(target_arch = "x86_64")]
const fn path(path: usize) -> At {
    At { directory: None, path }
}
