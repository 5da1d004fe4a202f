//! Damaged files: bits that flip and tails that are missing, behind the program's back.
//!
//! The idea: a disk that rots does it in a file of its choice, so the files are selected by a glob and the place is drawn from a seed;
//! what was done is returned bit by bit, for the history. The damage goes through the page cache: a program that is up meets it when
//! it reads the file the next time, and not in what it keeps in its own memory.
//!
//! Refuses: to follow a symbolic link, also one of a directory (the kernel checks that, with `RESOLVE_BENEATH`); to touch anything but
//! regular files; to do nothing and call it a fault. The same directory, selection and seed give the same damage. Sources:
//! `openat2(2)`; L. N. Bairavasundaram et al., "An Analysis of Data Corruption in the Storage Stack" (FAST 2008).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::DiskError;

/// Files below a directory, by a glob on their relative paths, such as `wal/*.log` or `**/*.db`. `*` stays within one directory.
#[derive(Debug, Clone)]
pub struct Selection {
    glob: String,
    matcher: GlobMatcher,
}

/// A bit that was flipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// The file, relative to the directory.
    pub file: PathBuf,
    /// The byte's offset in it.
    pub offset: u64,
    /// The bit, 0 for the least significant to 7.
    pub bit: u8,
    /// The byte before.
    pub old: u8,
    /// The byte since.
    pub new: u8,
}

/// A file whose end was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncation {
    /// The file, relative to the directory.
    pub file: PathBuf,
    /// Its length before, in bytes.
    pub old_length: u64,
    /// Its length since.
    pub new_length: u64,
}

/// A file that may be damaged.
struct Candidate {
    file: PathBuf,
    length: u64,
}

impl Selection {
    /// The files that this glob matches.
    ///
    /// # Errors
    /// [`DiskError::Glob`].
    pub fn new(glob: &str) -> Result<Self, DiskError> {
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        let built = built.map_err(|source| DiskError::Glob { glob: glob.to_owned(), source })?;
        Ok(Self { glob: glob.to_owned(), matcher: built.compile_matcher() })
    }

    /// The regular files that are selected and have anything in them, in the order of their names.
    fn candidates(&self, directory: &Path) -> Result<Vec<Candidate>, DiskError> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let path = directory.join(&folder);
            let entries = match fs::read_dir(&path) {
                // Removed since it was listed, by a program that is up.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !folder.as_os_str().is_empty() => continue,
                entries => entries.map_err(DiskError::files("list", &path))?,
            };
            for entry in entries {
                let entry = entry.map_err(DiskError::files("list", &path))?;
                let file = folder.join(entry.file_name());
                // Of a symbolic link this is the link's own, which is neither a directory nor a regular file.
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    folders.push(file);
                } else if metadata.is_file() && metadata.len() > 0 && self.matcher.is_match(&file) {
                    found.push(Candidate { file, length: metadata.len() });
                }
            }
        }
        found.sort_by(|one, other| one.file.cmp(&other.file));
        if found.is_empty() {
            return Err(DiskError::NothingSelected { glob: self.glob.clone(), directory: directory.to_owned() });
        }
        Ok(found)
    }
}

/// Flips so many different bits, each drawn among all bits of the selected files (all of them, if there are fewer).
///
/// # Errors
/// [`DiskError::NothingSelected`], or [`DiskError::Files`] when a file can't be opened, read or written; bits that were flipped until
/// then stay flipped.
pub fn flip_bits(directory: &Path, selection: &Selection, count: usize, seed: u64) -> Result<Vec<Flip>, DiskError> {
    let candidates = selection.candidates(directory)?;
    let bits: u64 = candidates.iter().map(|candidate| candidate.length * 8).sum();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut places = BTreeSet::new();
    let count = bits.min(count as u64);
    while (places.len() as u64) < count {
        places.insert(random.random_range(0..bits));
    }
    let mut flips = Vec::new();
    let mut before = 0;
    for candidate in candidates {
        let here: Vec<u64> = places.range(before..before + candidate.length * 8).map(|place| place - before).collect();
        before += candidate.length * 8;
        if !here.is_empty() {
            let failed = DiskError::files("flip bits of", directory.join(&candidate.file));
            flips.extend(flip(directory, candidate.file, &here).map_err(failed)?);
        }
    }
    Ok(flips)
}

/// Cuts so many bytes off the end of one file, drawn among the selected (all that it has, if it has fewer).
///
/// # Errors
/// [`DiskError::NothingSelected`], or [`DiskError::Files`] when the file can't be opened or cut.
pub fn truncate(directory: &Path, selection: &Selection, bytes: u64, seed: u64) -> Result<Truncation, DiskError> {
    let mut candidates = selection.candidates(directory)?;
    let drawn = ChaCha8Rng::seed_from_u64(seed).random_range(0..candidates.len());
    let file = candidates.swap_remove(drawn).file;
    let cut = || {
        let open = open_beneath(directory, &file)?;
        let old_length = open.metadata()?.len();
        let new_length = old_length.saturating_sub(bytes);
        open.set_len(new_length)?;
        Ok((old_length, new_length))
    };
    let (old_length, new_length) = cut().map_err(DiskError::files("truncate", directory.join(&file)))?;
    Ok(Truncation { file, old_length, new_length })
}

/// Flips these bits of a file, which are in ascending order.
fn flip(directory: &Path, file: PathBuf, bits: &[u64]) -> io::Result<Vec<Flip>> {
    let open = open_beneath(directory, &file)?;
    let mut flips = Vec::new();
    for place in bits {
        let (offset, bit) = (place / 8, u8::try_from(place % 8).expect("below 8"));
        let mut byte = [0];
        if open.read_at(&mut byte, offset)? == 0 {
            // The program has shortened its file since; what isn't there can't rot.
            continue;
        }
        let (old, new) = (byte[0], byte[0] ^ (1 << bit));
        open.write_all_at(&[new], offset)?;
        flips.push(Flip { file: file.clone(), offset, bit, old, new });
    }
    Ok(flips)
}

fn open_beneath(directory: &Path, file: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(openat2(directory.as_fd(), file, how)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, bytes) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, bytes).expect("written");
        }
        directory
    }

    fn differing_bits(one: &[u8], other: &[u8]) -> u32 {
        one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
    }

    #[test]
    fn exactly_the_reported_bits_of_selected_files_are_flipped() {
        let (log, kept) = (vec![0x5a_u8; 4000], vec![1_u8; 500]);
        let directory = directory_with(&[("wal/1.log", &log), ("wal/deep/2.log", &log), ("meta.db", &kept)]);
        let flips = flip_bits(directory.path(), &Selection::new("wal/*.log").unwrap(), 9, 1).expect("flipped");
        assert_eq!(flips.len(), 9);
        let mut expected = log.clone();
        for flip in &flips {
            assert_eq!(flip.file, Path::new("wal/1.log"), "`*` stays within a directory");
            let byte = &mut expected[usize::try_from(flip.offset).unwrap()];
            assert_eq!((*byte, *byte ^ (1 << flip.bit)), (flip.old, flip.new));
            *byte = flip.new;
        }
        let damaged = fs::read(directory.path().join("wal/1.log")).expect("read");
        assert_eq!(damaged, expected);
        assert_eq!(differing_bits(&damaged, &log), 9);
        assert_eq!(fs::read(directory.path().join("meta.db")).expect("read"), kept);
        assert_eq!(fs::read(directory.path().join("wal/deep/2.log")).expect("read"), log);
    }

    #[test]
    fn the_same_seed_does_the_same_damage() {
        let files: &[(&str, &[u8])] = &[("a", &[7; 300]), ("b/c", &[8; 300])];
        let everything = Selection::new("**").unwrap();
        let damage = |seed| flip_bits(directory_with(files).path(), &everything, 20, seed).expect("flipped");
        assert_eq!(damage(4), damage(4));
        assert_ne!(damage(4), damage(5));
        assert!(damage(4).iter().any(|flip| flip.file == Path::new("a")));
        assert!(damage(4).iter().any(|flip| flip.file == Path::new("b/c")));
    }

    #[test]
    fn more_bits_than_there_are_flips_all() {
        let directory = directory_with(&[("tiny", &[0b1010_0101])]);
        let flips = flip_bits(directory.path(), &Selection::new("tiny").unwrap(), 100, 1).expect("flipped");
        assert_eq!(flips.len(), 8);
        assert_eq!(fs::read(directory.path().join("tiny")).expect("read"), [0b0101_1010]);
    }

    #[test]
    fn a_tail_is_cut_off() {
        let directory = directory_with(&[("wal/1.log", b"0123456789"), ("other", b"abc")]);
        let wal = Selection::new("wal/*").unwrap();
        let cut = truncate(directory.path(), &wal, 4, 1).expect("cut");
        assert_eq!(cut, Truncation { file: "wal/1.log".into(), old_length: 10, new_length: 6 });
        assert_eq!(fs::read(directory.path().join("wal/1.log")).expect("read"), b"012345");
        assert_eq!(truncate(directory.path(), &wal, 100, 1).expect("cut").new_length, 0);
    }

    #[test]
    fn symbolic_links_are_never_followed() {
        let outside = directory_with(&[("victim", b"untouched")]);
        let inside = directory_with(&[]);
        std::os::unix::fs::symlink(outside.path().join("victim"), inside.path().join("link")).expect("linked");
        std::os::unix::fs::symlink(outside.path(), inside.path().join("folder")).expect("linked");
        let selected = flip_bits(inside.path(), &Selection::new("**").unwrap(), 5, 1);
        assert!(matches!(selected, Err(DiskError::NothingSelected { .. })), "{selected:?}");
        for escape in ["link", "folder/victim", "../victim"] {
            let opened = open_beneath(inside.path(), Path::new(escape));
            assert!(opened.is_err(), "{escape}: {opened:?}");
        }
        assert_eq!(fs::read(outside.path().join("victim")).expect("read"), b"untouched");
    }

    #[test]
    fn a_selection_of_nothing_is_an_error() {
        let directory = directory_with(&[("empty", b"")]);
        for glob in ["*.log", "empty"] {
            let selected = truncate(directory.path(), &Selection::new(glob).unwrap(), 1, 1);
            assert!(matches!(selected, Err(DiskError::NothingSelected { .. })), "{glob}: {selected:?}");
        }
        assert!(matches!(Selection::new("a["), Err(DiskError::Glob { .. })));
    }
}
