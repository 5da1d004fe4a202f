//! Whether a library that is preloaded moves the clock of a program, by its file: looked at before anything starts.
//!
//! Only the file that is executed first is seen, and the interpreter of a script; what it executes itself shows when it runs
//! ([`crate::Preload::is_seen_by`]). Source: the ELF-64 object file format, version 1.5, sections "Program header table" and
//! "Section header table".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Why a preloaded library does not move a program's clock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing is loaded into it.
    #[error("{} is a static program: it has no dynamic loader, so nothing can be preloaded", .0.display())]
    Static(PathBuf),
    /// It does not ask the C library.
    #[error("{} is a program of Go, which reads clocks without the C library", .0.display())]
    Go(PathBuf),
    /// The library is of another C library.
    #[error("{} has another C library ({loader}) than the one that is preloaded is for", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its dynamic loader.
        loader: String,
    },
    /// It is no 64-bit program or script.
    #[error("{} is neither a 64-bit program nor a script", .0.display())]
    Unknown(PathBuf),
}

/// The longest chain of scripts that interpret scripts; the kernel's own limit.
const SCRIPTS_MAX: usize = 4;
const PT_INTERP: u32 = 3;
/// More than any program has.
const HEADERS_MAX: u16 = 4096;
/// Sections that Go's linker makes, with and without cgo.
const OF_GO: [&[u8]; 2] = [b".go.buildinfo", b".note.go.buildid"];

/// Whether the C library's clocks are those of this program; for a script, of its interpreter.
///
/// # Errors
/// Why they are not.
pub fn can_be_preloaded(program: &Path) -> Result<(), Unfit> {
    let mut path = program.to_owned();
    for _ in 0..SCRIPTS_MAX {
        let unread = |source| Unfit::Unread { path: path.clone(), source };
        let file = File::open(&path).map_err(unread)?;
        let mut head = [0; 256];
        let length = file.read_at(&mut head, 0).map_err(unread)?;
        let Some(line) = head[..length].strip_prefix(b"#!") else { return elf(&file, &path) };
        let line = String::from_utf8_lossy(line.split(|&byte| byte == b'\n').next().unwrap_or_default()).into_owned();
        let mut words = line.split_whitespace();
        let interpreter = words.next().map(PathBuf::from).ok_or_else(|| Unfit::Unknown(path.clone()))?;
        let through_env = interpreter.file_name().is_some_and(|name| name == "env");
        // `env -S` and its kind are followed no further than to `env` itself.
        let named = words.next().filter(|word| through_env && !word.starts_with('-'));
        path = named.and_then(on_path).unwrap_or(interpreter);
    }
    Err(Unfit::Unknown(program.to_owned()))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("PATH")?;
    std::env::split_paths(&all).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn elf(file: &File, path: &Path) -> Result<(), Unfit> {
    let unknown = || Unfit::Unknown(path.to_owned());
    let header = read(file, 0, 64).ok_or_else(unknown)?;
    // 64 bits, least significant byte first.
    if header[..4] != *b"\x7fELF" || header[4..6] != [2, 1] {
        return Err(unknown());
    }
    let mut loader = None;
    for index in 0..u64::from(u16_at(&header, 56).min(HEADERS_MAX)) {
        let place = u64_at(&header, 32).saturating_add(index * u64::from(u16_at(&header, 54)));
        let segment = read(file, place, 56).ok_or_else(unknown)?;
        if u32_at(&segment, 0) == PT_INTERP {
            let length = usize::try_from(u64_at(&segment, 32)).unwrap_or(usize::MAX).min(4096);
            loader = Some(read(file, u64_at(&segment, 8), length).ok_or_else(unknown)?);
        }
    }
    if has_section_of_go(file, &header) {
        return Err(Unfit::Go(path.to_owned()));
    }
    let loader = loader.ok_or_else(|| Unfit::Static(path.to_owned()))?;
    let loader = String::from_utf8_lossy(&loader).trim_end_matches('\0').to_owned();
    if loader.contains("musl") {
        return Err(Unfit::Foreign { path: path.to_owned(), loader });
    }
    Ok(())
}

/// A file without readable section names has none of Go's.
fn has_section_of_go(file: &File, header: &[u8]) -> bool {
    let (table, size) = (u64_at(header, 40), u64::from(u16_at(header, 58)));
    let section = |index: u16| read(file, table.saturating_add(u64::from(index) * size), 64);
    let Some(names) = section(u16_at(header, 62)).filter(|_| table != 0) else { return false };
    let length = usize::try_from(u64_at(&names, 32)).unwrap_or(usize::MAX).min(1 << 20);
    let Some(names) = read(file, u64_at(&names, 24), length) else { return false };
    let is_of_go = |name: u32| {
        let name = names.get(usize::try_from(name).unwrap_or(usize::MAX)..).unwrap_or_default();
        OF_GO.contains(&name.split(|&byte| byte == 0).next().unwrap_or_default())
    };
    (0..u16_at(header, 60).min(HEADERS_MAX)).filter_map(section).any(|section| is_of_go(u32_at(&section, 0)))
}

fn read(file: &File, place: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, place).ok().map(|()| bytes)
}

fn u16_at(bytes: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([bytes[place], bytes[place + 1]])
}

fn u32_at(bytes: &[u8], place: usize) -> u32 {
    u32::from(u16_at(bytes, place)) | u32::from(u16_at(bytes, place + 2)) << 16
}

fn u64_at(bytes: &[u8], place: usize) -> u64 {
    u64::from(u32_at(bytes, place)) | u64::from(u32_at(bytes, place + 4)) << 32
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The head of a 64-bit program without sections, with one segment of this kind.
    fn program(kind: u32, loader: &str) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&kind.to_le_bytes());
        bytes[64 + 8] = 120;
        bytes[64 + 32] = u8::try_from(loader.len()).unwrap();
        bytes.extend(loader.as_bytes());
        bytes
    }

    fn told(name: &str, bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        can_be_preloaded(&path).map_or_else(|unfit| unfit.to_string(), |()| "fit".to_owned())
    }

    #[test]
    fn what_has_a_loader_of_the_same_c_library_is_fit() {
        assert_eq!(told("dynamic", &program(PT_INTERP, "/lib64/ld-linux-x86-64.so.2\0")), "fit");
        assert!(told("static", &program(1, "")).contains("static is a static program"));
        assert!(told("alpine", &program(PT_INTERP, "/lib/ld-musl-x86_64.so.1\0")).contains("/lib/ld-musl-x86_64.so.1"));
        for torn in [&b""[..], b"\x7fELF", b"MZ", &program(PT_INTERP, "/lib/ld")[..70]] {
            assert!(told("torn", torn).contains("neither"), "{torn:?}");
        }
    }

    #[test]
    fn a_script_is_as_fit_as_its_interpreter() {
        assert_eq!(told("script", b"#!/bin/sh\nexit 0\n"), "fit");
        assert_eq!(told("script", b"#! /usr/bin/env sh\n"), "fit");
        assert!(told("script", b"#!/no/such/interpreter -x\n").contains("/no/such/interpreter can't be read"));
        let folder = tempfile::tempdir().unwrap();
        let endless = folder.path().join("endless");
        fs::write(&endless, format!("#!{}\n", endless.display())).unwrap();
        assert!(matches!(can_be_preloaded(&endless), Err(Unfit::Unknown(_))));
    }
}
