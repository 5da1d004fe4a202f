//! The way from a text to a [`Parsed`] history: which format, which model, and what the user forces.

use std::collections::BTreeMap;

use crate::edn::{Edn, EdnError, Reader};
use crate::error::ParseError;
use crate::event;
use crate::join::{Call, Calls, Ended};
use crate::keys;
use crate::object::{Counts, FailedCas, Format, Keys, Objects, Parsed};
use crate::{kv, mutex, register, rules, set, values};

/// What the etcd logs have before the event.
const ETCD_PREFIX: &str = "INFO  jepsen.util - ";

/// A kind of object, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A register of `:read` and `:write`.
    Register,
    /// A register of `:read`, `:write` and `:cas`.
    CasRegister,
    /// A lock of `:acquire` and `:release`, which doesn't ask who releases.
    Mutex,
    /// A set of `:add` and `:read`.
    Set,
    /// Strings by key, of `:get`, `:put` and `:append`.
    Kv,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Register, Self::CasRegister, Self::Mutex, Self::Set, Self::Kv];

    /// The name by which a user forces it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::CasRegister => "cas-register",
            Self::Mutex => "mutex",
            Self::Set => "set",
            Self::Kv => "kv",
        }
    }

    /// The operations that it has.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Register => &["read", "write"],
            Self::CasRegister => &["read", "write", "cas"],
            Self::Mutex => &["acquire", "release"],
            Self::Set => &["add", "read"],
            Self::Kv => &["get", "put", "append"],
        }
    }
}

/// What the reader is told, and otherwise finds out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How the text is written. Left out: by its content.
    pub format: Option<Format>,
    /// What the objects are. Left out: by their operations.
    pub kind: Option<Kind>,
    /// What a failed cas says. Left out: by the format.
    pub failed_cas: Option<FailedCas>,
    /// Where the keys stand. Left out: by the operations' values.
    pub keys: Option<Keys>,
    /// What a register holds at first, as EDN. Left out: `nil`.
    pub initial: Option<String>,
}

/// Reads a history. Our own is not read here, but by [`from_history`](crate::from_history).
///
/// # Errors
/// If the text is not understood as a whole, or has no operation in it.
pub fn parse(content: &[u8], options: &Options) -> Result<Parsed, ParseError> {
    let text = text_of(content)?;
    let format = match options.format {
        Some(format) => format,
        None => detect(text)?,
    };
    let (mut calls, mut counts, torn) = match format {
        Format::JepsenEdn | Format::PorcupineKv => forms(text)?,
        Format::JepsenLog | Format::EtcdLog => lines(text)?,
        Format::Chaos => {
            let what = "a history of chaos itself is read from its file, line by line".to_owned();
            return Err(ParseError::Malformed { line: 1, what });
        }
    };
    counts.foreign = calls.foreign;
    if calls.calls.is_empty() {
        return Err(ParseError::NoOperations { lines: counts.lines, ignored: counts.other_lines + counts.foreign });
    }
    let kind = kind_of(&calls.calls, options.kind)?;
    let completed = values::complete(&mut calls.calls);
    let keys = match options.keys {
        Some(keys) => keys,
        None => keys::find(&calls.calls)?,
    };
    let default = match format {
        Format::EtcdLog => FailedCas::SawAnother,
        Format::JepsenEdn | Format::JepsenLog | Format::PorcupineKv | Format::Chaos => FailedCas::DidNotHappen,
    };
    let register = matches!(kind, Kind::Register | Kind::CasRegister);
    for (option, given) in [("--initial", options.initial.is_some()), ("--failed-cas", options.failed_cas.is_some())] {
        if given && !register {
            return Err(ParseError::NoEffect { option, kind: kind.name() });
        }
    }
    let failed_cas = options.failed_cas.unwrap_or(default);
    let initial = register::initial(options.initial.as_deref().unwrap_or("nil"))
        .map_err(|what| ParseError::Value { line: 1, what })?;
    let processes: Vec<String> = calls.processes.iter().map(|name| (*name).to_owned()).collect();
    let (names, mut keyed) = keys::split(calls.calls, keys)?;
    values::settle(&mut keyed, completed)?;
    let (objects, rules, failed_cas) = match kind {
        Kind::Register | Kind::CasRegister => {
            let objects = register::build(names, keyed, &mut counts, failed_cas, &initial)?;
            (Objects::Register(objects), rules::of_registers(failed_cas), Some(failed_cas))
        }
        Kind::Mutex => (Objects::Mutex(mutex::build(names, keyed, &mut counts)?), rules::of_mutexes(), None),
        Kind::Set => (Objects::Set(set::build(names, keyed, &mut counts)?), rules::of_others(), None),
        Kind::Kv => (Objects::Kv(kv::build(names, keyed, &mut counts)?), rules::of_others(), None),
    };
    Ok(Parsed {
        format,
        kind: kind.name(),
        objects,
        actors: processes.iter().map(|name| format!("process {name}")).collect(),
        processes,
        nanoseconds: false,
        keys,
        failed_cas,
        initial,
        rules,
        counts,
        torn,
    })
}

/// The text, if it is one.
fn text_of(content: &[u8]) -> Result<&str, ParseError> {
    let line = |at: usize| 1 + content[..at].iter().filter(|byte| **byte == b'\n').count();
    let not_text = |line, what: &str| Err(ParseError::NotText { line, what: what.to_owned() });
    if content.is_empty() {
        return Err(ParseError::Empty);
    }
    if u32::try_from(content.len()).is_err() {
        return not_text(1, "the file has 4 GiB or more: split it by key");
    }
    for (magic, what) in [
        (&b"\x1f\x8b"[..], "the file is compressed: gunzip it first"),
        (b"PK\x03\x04", "the file is an archive: unzip it first"),
        (b"JEPSEN", "this is Jepsen's binary store: give the history.edn or history.txt beside it"),
    ] {
        if content.starts_with(magic) {
            return not_text(1, what);
        }
    }
    if let Some(at) = content.iter().position(|byte| *byte == 0) {
        return not_text(line(at), "a NUL byte: this is no text");
    }
    let text = std::str::from_utf8(content)
        .or_else(|error| not_text(line(error.valid_up_to()), "a byte that is not UTF-8: this is no text"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() { Err(ParseError::Empty) } else { Ok(text) }
}

/// The format of a text, by its content.
///
/// # Errors
/// If it is none that is known.
pub fn detect(text: &str) -> Result<Format, ParseError> {
    let first = text.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with(';'));
    let first = first.ok_or(ParseError::Empty)?;
    if first.starts_with("{\"chaos_history\"") {
        return Ok(Format::Chaos);
    }
    let inner = first.trim_start_matches(['[', '(']);
    let begun = inner.len() < first.len();
    let inner = inner.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    let map = inner.starts_with("{:") || inner.starts_with("{ :");
    let edn = map || first.starts_with(['{', '(', '#']) || begun && (inner.is_empty() || inner.starts_with(['{', '#']));
    if edn
        && let Ok(Some((line, form))) = Reader::new(text, 1).next()
        && let Ok(event) = event::of_form(line, form)
    {
        let kv = event.key.is_some() && matches!(event.f, "get" | "put" | "append");
        return Ok(if kv { Format::PorcupineKv } else { Format::JepsenEdn });
    }
    // Better an error about the first map than about the whole file.
    if map {
        return Ok(Format::JepsenEdn);
    }
    let event = |line: &&str| !matches!(event::of_line(1, line), Ok(None));
    if let Some(line) = text.lines().find(event) {
        return Ok(if line.starts_with(ETCD_PREFIX) { Format::EtcdLog } else { Format::JepsenLog });
    }
    Err(ParseError::Unrecognised)
}

fn malformed(error: EdnError) -> ParseError {
    ParseError::Malformed { line: error.line, what: error.what }
}

/// The calls of a text of maps. The last may be cut off.
fn forms(text: &str) -> Result<(Calls<'_>, Counts, Option<usize>), ParseError> {
    let mut calls = Calls::default();
    let counts = Counts { lines: text.lines().count(), ..Counts::default() };
    let mut reader = Reader::new(text, 1);
    loop {
        match reader.next() {
            Ok(Some((line, form))) => calls.take(event::of_form(line, form)?)?,
            Ok(None) => return Ok((calls, counts, None)),
            Err(error) if error.torn && calls.events > 0 => return Ok((calls, counts, Some(error.line))),
            Err(error) => return Err(malformed(error)),
        }
    }
}

/// The calls of a log. The last line may be cut off.
fn lines(text: &str) -> Result<(Calls<'_>, Counts, Option<usize>), ParseError> {
    let mut calls = Calls::default();
    let mut counts = Counts::default();
    let mut torn = None;
    for line in text.split_inclusive('\n') {
        counts.lines += 1;
        let whole = line.ends_with('\n');
        let line = line.trim_end_matches(['\n', '\r']);
        match event::of_line(counts.lines, line) {
            // Of `1 :ok :read 1` nobody knows whether it was to be 12.
            Ok(Some(_)) if !whole && calls.events > 0 && event::is_open_ended(line) => torn = Some(counts.lines),
            Ok(Some(event)) => calls.take(event)?,
            Ok(None) => counts.other_lines += 1,
            Err(error) if !whole && error.torn => torn = Some(counts.lines),
            Err(error) => return Err(malformed(error)),
        }
    }
    Ok((calls, counts, torn))
}

/// The kind of the objects.
fn kind_of(calls: &[Call<'_>], forced: Option<Kind>) -> Result<Kind, ParseError> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        first.entry(call.f).or_insert(call.invoked_line);
    }
    let fits = |kind: &Kind| first.keys().all(|f| kind.functions().contains(f));
    let collection = |call: &Call<'_>| matches!(&call.ended, Ended::Ok(Edn::Set(_)));
    let found = match forced {
        Some(kind) => Some(kind).filter(fits),
        // Only reads: of a set if that is what they answer.
        None if first.keys().eq(["read"].iter()) && calls.iter().any(collection) => Some(Kind::Set),
        None => Kind::ALL.into_iter().find(fits),
    };
    found.ok_or_else(|| {
        let known = |kind: &Kind| first.keys().filter(|f| kind.functions().contains(f)).count();
        let nearest = forced.or_else(|| Kind::ALL.into_iter().rev().max_by_key(known)).unwrap_or(Kind::CasRegister);
        let odd = first.iter().filter(|(f, _)| !nearest.functions().contains(f)).min_by_key(|(_, line)| **line);
        let (odd, line) = odd.map_or(("", 1), |(f, line)| (*f, *line));
        let list = |functions: &mut dyn Iterator<Item = &&str>| {
            functions.take(20).map(|f| format!(":{f}")).collect::<Vec<_>>().join(" ")
        };
        let all = Kind::ALL.iter().map(|kind| format!("{} ({})", kind.name(), list(&mut kind.functions().iter())));
        ParseError::UnknownOperation {
            line,
            function: format!(":{odd}"),
            model: nearest.name().to_owned(),
            functions: list(&mut first.keys()),
            known: all.collect::<Vec<_>>().join(", "),
        }
    })
}
