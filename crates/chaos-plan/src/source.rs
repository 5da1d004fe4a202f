//! Where plan text comes from: files, the built-in ones, memory, `--set`; and where in such a text a value stands.
//!
//! Finding a file is the only I/O of this crate, and it goes through a function that the caller may replace.

use std::io;
use std::path::Path;

use chaos_history::SourcePlace;

use crate::builtin;

/// A plan text and its name as the user sees it in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// For example `workloads/partition.yaml`.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// Reads the text of a file that a workload refers to. An error of kind [`io::ErrorKind::NotFound`] makes the search go
/// on elsewhere, any other ends it.
pub type ReadText<'a> = &'a dyn Fn(&str) -> io::Result<String>;

/// A range of bytes of one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The source, by its position in [`Sources`].
    pub(crate) source_index: usize,
    /// The first byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
}

/// Every text that took part in loading a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Adds a text and returns its index.
    pub(crate) fn add(&mut self, source: Source) -> usize {
        self.all.push(source);
        self.all.len() - 1
    }

    /// The text at an index that [`Sources::add`] returned.
    pub(crate) fn get(&self, index: usize) -> &Source {
        &self.all[index]
    }

    /// All of them, in the order in which they were read.
    pub(crate) fn into_vec(self) -> Vec<Source> {
        self.all
    }

    /// The place as a range that lies inside its text and doesn't split a character.
    pub(crate) fn range(&self, place: Place) -> std::ops::Range<usize> {
        let text = &self.get(place.source_index).text;
        let start = floor_boundary(text, place.start);
        let end = floor_boundary(text, place.end).max(start);
        start..end
    }

    /// The place as file, line and column.
    pub(crate) fn locate(&self, place: Place) -> SourcePlace {
        let source = self.get(place.source_index);
        let before = &source.text[..self.range(place).start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        SourcePlace {
            file: source.name.clone(),
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The largest plan file that is read. Far above any sensible plan, far below what would make the parser slow.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// Reads a file of at most [`BYTES_MAX`] bytes as UTF-8.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    use io::Read as _;

    let mut bytes = Vec::new();
    let limit = u64::try_from(BYTES_MAX).expect("a mebibyte fits") + 1;
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not UTF-8 text: see line {line}"))
    })
}

/// Why a file could not be had.
#[derive(Debug)]
pub(crate) enum FindError {
    /// It is at none of these places.
    NowhereIn(Vec<String>),
    /// It is there, but can't be read as text.
    Unreadable {
        /// Where.
        name: String,
        /// Why, in a few words.
        why: String,
    },
}

/// What kind of file a name refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A workload.
    Workload,
    /// A fault plan.
    Faults,
    /// A system definition.
    System,
}

/// Finds a file: as named (from the working directory), beside `referrer`, in the directory above it, among the built-in.
/// A bare word that is the name of a built-in one means that.
pub(crate) fn find(kind: Kind, name: &str, referrer: Option<&str>, read: ReadText<'_>) -> Result<Source, FindError> {
    let mut candidates = vec![name.to_owned()];
    if let Some(directory) = referrer.and_then(|referrer| Path::new(referrer).parent())
        && Path::new(name).is_relative()
    {
        let above = directory.parent().map_or_else(|| Path::new("..").to_owned(), Path::to_owned);
        for place in [directory.to_owned(), above] {
            let candidate = place.join(name).to_string_lossy().into_owned();
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
    }
    let built_in = match kind {
        Kind::Workload => builtin::workload(name),
        Kind::Faults => builtin::fault(name),
        Kind::System => builtin::system(name),
    };
    match built_in {
        Some(built_in) if is_bare(name) => return Ok(built_in),
        Some(_) | None => {}
    }
    for candidate in &candidates {
        match read(candidate) {
            Ok(text) => return Ok(Source { name: candidate.clone(), text }),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(FindError::Unreadable { name: candidate.clone(), why: describe(&error) }),
        }
    }
    built_in.ok_or(FindError::NowhereIn(candidates))
}

/// Whether this is a bare word: the built-in's name, whatever else may lie around under it. `./partition` is the file.
pub(crate) fn is_bare(name: &str) -> bool {
    !name.contains(['/', '.'])
}

fn describe(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::IsADirectory {
        "it is a directory, not a file".to_owned()
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        "permission denied".to_owned()
    } else {
        error.to_string()
    }
}
