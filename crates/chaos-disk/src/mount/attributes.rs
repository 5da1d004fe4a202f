//! What `stat` says, in FUSE's words, and times the other way round. Refuses to know where it comes from.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use nix::sys::time::TimeSpec;

use crate::durable::Inode;

/// `UTIME_NOW` and `UTIME_OMIT` of `utimensat(2)`.
const NOW: TimeSpec = TimeSpec::UTIME_NOW;
const OMIT: TimeSpec = TimeSpec::UTIME_OMIT;

/// The attributes of an inode that has so many names.
pub(super) fn attributes(inode: Inode, metadata: &Metadata, links: u64) -> FileAttr {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    FileAttr {
        ino: INodeNo(inode.0),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind: kind(metadata),
        perm: u16::try_from(metadata.mode() & 0o7777).expect("12 bits"),
        nlink: narrow(links),
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: narrow(metadata.rdev()),
        blksize: narrow(metadata.blksize()),
        flags: 0,
    }
}

pub(super) fn kind(metadata: &Metadata) -> FileType {
    FileType::from_std(metadata.file_type()).unwrap_or(FileType::RegularFile)
}

fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0);
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::new(seconds, nanoseconds),
        Err(_) => UNIX_EPOCH,
    }
}

/// A time to set, for `utimensat`.
pub(super) fn to_set(time: Option<TimeOrNow>) -> TimeSpec {
    match time {
        None => OMIT,
        Some(TimeOrNow::Now) => NOW,
        Some(TimeOrNow::SpecificTime(time)) => {
            TimeSpec::from_duration(time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
        }
    }
}
