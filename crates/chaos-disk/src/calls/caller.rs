//! The thread that made a trapped call, as `/proc` and its memory show it while it waits for the answer.
//!
//! What is read here is only true as long as the caller waits; `sys::still_waits` says so afterwards. Another thread of the program
//! may change a path or a descriptor in between: then the program has raced itself, and either answer is one that a disk may give.
//! Refuses to change anything of the caller. Sources: `proc_pid_fd(5)`, `proc_pid_fdinfo(5)`, `proc_pid_maps(5)`,
//! `process_vm_readv(2)`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use libc::seccomp_notif;

use super::meaning::{At, Flags, Length, Place};
use crate::sys;

const PAGE_BYTES: usize = 4096;
const PATH_BYTES_MAX: usize = 4096;
/// `IOV_MAX`: the kernel takes no more buffers in one call.
const VECTOR_MAX: u64 = 1024;

/// A caller and the arguments of its call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    notification: &'a seccomp_notif,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(notification: &'a seccomp_notif) -> Self {
        Self { notification }
    }

    pub(crate) fn argument(&self, place: usize) -> u64 {
        self.notification.data.args[place]
    }

    /// A descriptor among the arguments; the kernel looks at the low half only.
    fn descriptor(&self, place: usize) -> i32 {
        let [a, b, c, d, ..] = self.argument(place).to_le_bytes();
        i32::from_le_bytes([a, b, c, d])
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.notification.pid))
    }

    /// What a descriptor stands for: a path, or something like `socket:[1]`.
    pub(crate) fn file_of(&self, fd: usize) -> io::Result<PathBuf> {
        fs::read_link(self.proc(&format!("fd/{}", self.descriptor(fd))))
    }

    /// The file that is mapped at the address in this argument, if one is.
    pub(crate) fn file_mapped_at(&self, address: usize) -> io::Result<Option<PathBuf>> {
        let address = self.argument(address);
        let maps = fs::read_to_string(self.proc("maps"))?;
        let file = maps.lines().find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (begin, end) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            let path = rest.split_once('/').map(|(_, path)| PathBuf::from(format!("/{path}")));
            (number(begin)? <= address && address < number(end)?).then_some(path)
        });
        Ok(file.flatten())
    }

    /// The path in the arguments, absolute, with the links of its directory followed.
    pub(crate) fn path(&self, at: At) -> io::Result<PathBuf> {
        let path = self.text(self.argument(at.path))?;
        let base = match at.directory {
            _ if path.is_absolute() => PathBuf::from("/"),
            Some(fd) if self.descriptor(fd) != libc::AT_FDCWD => self.file_of(fd)?,
            Some(_) | None => fs::read_link(self.proc("cwd"))?,
        };
        let whole = base.join(path);
        let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
            return Ok(whole);
        };
        // A parent that isn't there makes the call fail by itself.
        Ok(fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned()).join(name))
    }

    /// The flags of an open.
    pub(crate) fn flags(&self, flags: Flags) -> io::Result<i32> {
        let low = |word: u64| {
            let [a, b, c, d, ..] = word.to_le_bytes();
            i32::from_le_bytes([a, b, c, d])
        };
        Ok(match flags {
            Flags::Argument(place) => low(self.argument(place)),
            Flags::Pointer(place) => low(self.word(self.argument(place))?),
            Flags::Creating => libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
        })
    }

    /// Whether a write of this length at this place reaches beyond the end of the file.
    pub(crate) fn would_grow(&self, fd: usize, place: Place, length: Length) -> io::Result<bool> {
        let length = match length {
            Length::Bytes(place) => self.argument(place),
            Length::Vector(place) => self.vector_length(self.argument(place), self.argument(place + 1))?,
        };
        let begin = match place {
            Place::Offset(place) if self.argument(place) != u64::MAX => self.argument(place),
            Place::Pointer(place) if self.argument(place) != 0 => self.word(self.argument(place))?,
            Place::Offset(_) | Place::Pointer(_) | Place::Position => match self.position(fd)? {
                Some(position) => position,
                None => return Ok(length > 0),
            },
        };
        Ok(length > 0 && begin.saturating_add(length) > self.length_of(fd)?)
    }

    /// Whether `fallocate` would take space beyond the end of the file.
    pub(crate) fn would_reserve(&self) -> io::Result<bool> {
        let frees = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_ZERO_RANGE;
        let (mode, end) = (self.descriptor(1), self.argument(2).saturating_add(self.argument(3)));
        let inserts = mode & libc::FALLOC_FL_INSERT_RANGE != 0;
        Ok(mode & frees == 0 && (inserts || end > self.length_of(0)?))
    }

    fn length_of(&self, fd: usize) -> io::Result<u64> {
        Ok(fs::metadata(self.proc(&format!("fd/{}", self.descriptor(fd))))?.len())
    }

    /// The descriptor's position; none if it always writes at the end.
    fn position(&self, fd: usize) -> io::Result<Option<u64>> {
        let text = fs::read_to_string(self.proc(&format!("fdinfo/{}", self.descriptor(fd))))?;
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let flags = value("flags:").and_then(|flags| i32::from_str_radix(flags, 8).ok());
        let position = value("pos:").and_then(|position| position.parse().ok());
        let (Some(flags), Some(position)) = (flags, position) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok((flags & libc::O_APPEND == 0).then_some(position))
    }

    fn vector_length(&self, address: u64, count: u64) -> io::Result<u64> {
        let mut sum = 0_u64;
        for index in 0..count.min(VECTOR_MAX) {
            // An `iovec` is a pointer and a length.
            sum = sum.saturating_add(self.word(address.wrapping_add(index * 16 + 8))?);
        }
        Ok(sum)
    }

    fn word(&self, address: u64) -> io::Result<u64> {
        let mut word = [0; 8];
        let read = self.memory(address, &mut word)?;
        if read == word.len() { Ok(u64::from_ne_bytes(word)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// A text that ends with a zero byte.
    fn text(&self, address: u64) -> io::Result<PathBuf> {
        let mut text: Vec<u8> = Vec::new();
        let mut page = [0; PAGE_BYTES];
        while text.len() < PATH_BYTES_MAX {
            let from = address.wrapping_add(text.len() as u64);
            // The page after the one where the text ends may not exist, so pages are read one by one.
            let within = usize::try_from(from % PAGE_BYTES as u64).expect("a page is short");
            let read = self.memory(from, &mut page[within..])?;
            match page[within..within + read].iter().position(|&byte| byte == 0) {
                Some(end) => {
                    text.extend_from_slice(&page[within..within + end]);
                    return Ok(Path::new(&OsString::from_vec(text)).to_owned());
                }
                None if read == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => text.extend_from_slice(&page[within..within + read]),
            }
        }
        Err(io::ErrorKind::InvalidFilename.into())
    }

    fn memory(&self, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let pid = libc::pid_t::try_from(self.notification.pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        sys::read_memory(pid, address, buffer)
    }
}
