//! The replacement of the vDSO: a copy of it, of which three functions are ours, and all others the original's.
//!
//! ```text
//! base           + size of the copy       + one page
//! │ copy of the vDSO │ stub, 2 addresses │ clock page (shared) │
//! ```
//!
//! A program finds the vDSO by `AT_SYSINFO_EHDR` and the functions by its symbol table (`vdso(7)`); both C libraries and Go add
//! a symbol's value to the base. So a value that wraps around points into the original, which stays where it is: it finds its
//! data relative to itself. Everything that the table says besides stays as it is.
//!
//! Refuses: an image that isn't a 64-bit ELF file with the tables that it must have; a foreign one is never guessed at.
//! Source: System V ABI, chapters 4 and 5 (symbol table, dynamic section).

use crate::{Miss, PAGE};

/// Where in the stub's page the addresses of the real functions stand: clock_gettime, then gettimeofday.
const ORIGINALS: usize = PAGE - 16;
/// The functions that are replaced, and where in the stub each begins.
const REPLACED: [(&str, usize); 3] = [("clock_gettime", 0), ("gettimeofday", 16), ("time", 32)];
/// A vDSO of more than this is none.
const SIZE_MAX: usize = 64 * PAGE;
const SYMBOL_SIZE: usize = 24;
const PROGRAM_HEADER_SIZE: usize = 56;

/// A vDSO as it was found in a process.
#[derive(Debug)]
pub(crate) struct Vdso {
    /// Where.
    pub(crate) base: u64,
    /// All of it.
    pub(crate) bytes: Vec<u8>,
}

/// How many bytes the vDSO has of which these are the first.
pub(crate) fn size_of(head: &[u8]) -> Result<usize, Miss> {
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err(Miss::Vdso("it is not a 64-bit ELF file"));
    }
    let loaded = program_headers(head)?.into_iter().find(|header| header.kind == PT_LOAD);
    let loaded = loaded.ok_or(Miss::Vdso("nothing of it is loaded"))?;
    let size = loaded.size.next_multiple_of(PAGE);
    if loaded.address == 0 && size > 0 && size <= SIZE_MAX { Ok(size) } else { Err(Miss::Vdso("it has an odd size")) }
}

/// The address of a system call instruction in it.
pub(crate) fn system_call(vdso: &Vdso) -> Result<u64, Miss> {
    const SYSCALL: [u8; 2] = [0x0f, 0x05];
    let place = vdso.bytes.windows(SYSCALL.len()).position(|bytes| bytes == SYSCALL);
    place.map(|offset| vdso.base + offset as u64).ok_or(Miss::Vdso("it makes no system call"))
}

/// Copy and stub, to be laid at `base`.
pub(crate) fn replacement(vdso: &Vdso, stub: &[u8], base: u64) -> Result<Vec<u8>, Miss> {
    assert!(stub.len() <= ORIGINALS, "the stub and its addresses fit into a page");
    let size = vdso.bytes.len();
    let mut image = vdso.bytes.clone();
    image.extend(stub);
    image.resize(size + PAGE, 0);
    let mut replaced = [false; REPLACED.len()];
    for symbol in symbols(&vdso.bytes)? {
        let original = vdso.base.wrapping_add(symbol.value);
        let place = REPLACED.iter().position(|(name, _)| symbol.name == *name);
        let value = match place {
            Some(place) => {
                replaced[place] = true;
                if let Some(slot) = [0, 8].get(place) {
                    put(&mut image, size + ORIGINALS + slot, original);
                }
                (size + REPLACED[place].1) as u64
            }
            None => original.wrapping_sub(base),
        };
        put(&mut image, symbol.value_at, value);
    }
    if replaced == [true; REPLACED.len()] {
        Ok(image)
    } else {
        Err(Miss::Vdso("it lacks a function that reads a clock"))
    }
}

/// A defined symbol of the image.
struct Symbol<'image> {
    /// Without `__vdso_`.
    name: &'image str,
    value: u64,
    /// Where in the image the value stands.
    value_at: usize,
}

fn symbols(image: &[u8]) -> Result<Vec<Symbol<'_>>, Miss> {
    const STRTAB: u64 = 5;
    const SYMTAB: u64 = 6;
    let dynamic = program_headers(image)?.into_iter().find(|header| header.kind == PT_DYNAMIC);
    let dynamic = dynamic.ok_or(Miss::Vdso("it has no dynamic section"))?;
    let table = |wanted: u64| -> Result<usize, Miss> {
        for entry in 0..dynamic.size / 16 {
            let at = dynamic.address + 16 * entry;
            if word(image, at)? == wanted {
                return Ok(usize::try_from(word(image, at + 8)?).unwrap_or(usize::MAX));
            }
        }
        Err(Miss::Vdso("it has no symbols"))
    };
    let (names, first) = (table(STRTAB)?, table(SYMTAB)?);
    // Nothing says how long the table is but the hash tables, of which there are two kinds. Linkers lay the names behind it.
    let count = names.checked_sub(first).ok_or(Miss::Vdso("its names stand before its symbols"))? / SYMBOL_SIZE;
    let mut found = Vec::new();
    for number in 1..count {
        let at = first + SYMBOL_SIZE * number;
        let head = word(image, at)?;
        let (name, section) = ((head & 0xffff_ffff) as usize, head >> 48);
        let value = word(image, at + 8)?;
        // Symbols without a section are the library's wishes, absolute ones its version.
        if section == 0 || section >= 0xff00 {
            continue;
        }
        let name = image.get(names.saturating_add(name)..).and_then(|rest| rest.split(|byte| *byte == 0).next());
        let name = name.and_then(|name| str::from_utf8(name).ok()).ok_or(Miss::Vdso("a symbol has no name"))?;
        found.push(Symbol { name: name.strip_prefix("__vdso_").unwrap_or(name), value, value_at: at + 8 });
    }
    Ok(found)
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;

struct ProgramHeader {
    kind: u64,
    address: usize,
    size: usize,
}

fn program_headers(image: &[u8]) -> Result<Vec<ProgramHeader>, Miss> {
    let narrow = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let first = narrow(word(image, 32)?);
    let count = (word(image, 56)? & 0xffff) as usize;
    let header = |number: usize| {
        let at = first.saturating_add(PROGRAM_HEADER_SIZE * number);
        let (kind, address, size) = (word(image, at)? & 0xffff_ffff, word(image, at + 16)?, word(image, at + 40)?);
        Ok(ProgramHeader { kind, address: narrow(address), size: narrow(size) })
    };
    (0..count).map(header).collect()
}

fn word(image: &[u8], at: usize) -> Result<u64, Miss> {
    let bytes = at.checked_add(8).and_then(|end| image.get(at..end)).ok_or(Miss::Vdso("a table of it ends early"))?;
    Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

fn put(image: &mut [u8], at: usize, value: u64) {
    image[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::sys;

    /// This process's own.
    fn own() -> Vdso {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("this kernel maps a vDSO");
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, start).unwrap();
        Vdso { base: start, bytes }
    }

    const BASE: u64 = 0x7000_0000_0000;

    #[test]
    fn three_functions_are_ours_and_the_others_where_they_were() {
        let vdso = own();
        assert_eq!(size_of(&vdso.bytes), Ok(vdso.bytes.len()));
        let image = replacement(&vdso, sys::stub(), BASE).unwrap();
        let (before, after) = (symbols(&vdso.bytes).unwrap(), symbols(&image).unwrap());
        assert!(before.len() >= 8, "four functions, each under two names");
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.name, after.name);
            let address = BASE.wrapping_add(after.value);
            match REPLACED.iter().find(|(name, _)| *name == before.name) {
                Some((_, entry)) => assert_eq!(address, BASE + (vdso.bytes.len() + entry) as u64, "{}", before.name),
                None => assert_eq!(address, vdso.base + before.value, "{}", before.name),
            }
        }
        let original = |name: &str| vdso.base + before.iter().find(|symbol| symbol.name == name).unwrap().value;
        let originals = vdso.bytes.len() + ORIGINALS;
        assert_eq!(word(&image, originals), Ok(original("clock_gettime")));
        assert_eq!(word(&image, originals + 8), Ok(original("gettimeofday")));
    }

    #[test]
    fn a_damaged_image_is_refused_or_replaced_and_never_a_panic() {
        let whole = own();
        for length in (0..whole.bytes.len()).step_by(7) {
            let cut = Vdso { base: whole.base, bytes: whole.bytes[..length].to_vec() };
            let _ = (size_of(&cut.bytes), system_call(&cut), replacement(&cut, sys::stub(), BASE));
        }
        for place in 0..2048 {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = whole.bytes.clone();
                bytes[place] = value;
                let odd = Vdso { base: whole.base, bytes };
                let _ = (size_of(&odd.bytes), replacement(&odd, sys::stub(), BASE));
            }
        }
        assert_eq!(size_of(b"#!/bin/sh"), Err(Miss::Vdso("it is not a 64-bit ELF file")));
    }
}
