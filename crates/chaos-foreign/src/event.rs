//! Events as histories tell them: a process invokes an operation, or learns how it ended.
//!
//! ```text
//! {:type :invoke, :f :read, :process 0, :time 123, :value nil, :index 4}         a map of Jepsen
//! #jepsen.history.Op{:type :ok, :f :read, :process 0, :value [3 7]}              the same with a tag, on key 3
//! {:process 0, :type :invoke, :f :append, :key "3", :value "x 0 0 y"}            Porcupine's key-value logs
//! INFO  jepsen.util - 0<TAB>:invoke<TAB>:read<TAB>nil                            a line of Jepsen's log
//! ```
//!
//! In a log a line is an event if somewhere in it stand a process, one of `:invoke :ok :fail :info`, and a function, set off
//! by blanks; what follows are value and error. Everything else in a log is somebody else's and left out, unless it looks
//! like a client's operation: a mistake in a word must not take an answer out of the history.

use crate::edn::{Edn, EdnError, Reader};
use crate::error::ParseError;

/// What an event says about its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "invoke" => Some(Self::Invoke),
            "ok" => Some(Self::Ok),
            "fail" => Some(Self::Fail),
            "info" => Some(Self::Info),
            _ => None,
        }
    }
}

/// The operations that some model has.
const OPERATIONS: [&str; 9] = ["read", "write", "cas", "acquire", "release", "add", "get", "put", "append"];

/// What a process is called that does no client's operations.
const NEMESIS: &str = "nemesis";

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) line: usize,
    /// As written; `None` if it is not a client's (a nemesis is a keyword).
    pub(crate) process: Option<&'a str>,
    pub(crate) kind: Kind,
    pub(crate) f: &'a str,
    /// The key, where the event has one beside its value.
    pub(crate) key: Option<Edn<'a>>,
    pub(crate) value: Edn<'a>,
    /// Whether the event tells of an error.
    pub(crate) error: bool,
    /// Its number, where it has one.
    pub(crate) index: Option<i64>,
}

/// The event that a form is.
///
/// # Errors
/// If it is none; the text says what is missing.
pub(crate) fn of_form(line: usize, form: Edn<'_>) -> Result<Event<'_>, ParseError> {
    let malformed = |what: &str| ParseError::Malformed { line, what: what.to_owned() };
    let Edn::Map(entries) = form.untagged() else {
        return Err(malformed("an operation is a map, and this is none"));
    };
    let (mut process, mut kind, mut f, mut key, mut value, mut error, mut index) =
        (None, None, None, None, None, None, None);
    for (name, form) in entries {
        let Edn::Keyword(name) = name else { continue };
        let field = match name {
            "process" => &mut process,
            "type" => &mut kind,
            "f" => &mut f,
            "key" => &mut key,
            "value" => &mut value,
            "error" => &mut error,
            "index" => &mut index,
            _ => continue,
        };
        if field.replace(form).is_some() {
            return Err(malformed(&format!("this operation has two :{name}")));
        }
    }
    let index = index.and_then(|index| if let Edn::Atom(text) = index { text.parse().ok() } else { None });
    let types = ":invoke, :ok, :fail or :info";
    let kind = match kind {
        Some(Edn::Keyword(name) | Edn::Str(name)) => Kind::named(name)
            .ok_or_else(|| malformed(&format!("an operation has a :type of {types}, and this has :{name}")))?,
        Some(other) => {
            let other = other.canonical();
            return Err(malformed(&format!("an operation has a :type of {types}, and this has {other}")));
        }
        None => return Err(malformed(&format!("an operation has a :type of {types}, this has none"))),
    };
    let (process, keyword) = match process {
        Some(Edn::Atom(name) | Edn::Str(name)) => (Some(name), None),
        Some(Edn::Keyword(name)) => (None, Some(name)),
        Some(other) => {
            let other = other.canonical();
            return Err(malformed(&format!("an operation has a :process (a number), and that of this is {other}")));
        }
        None => return Err(malformed("an operation has a :process (a number), this has none")),
    };
    let f = match f {
        Some(Edn::Keyword(name) | Edn::Str(name) | Edn::Atom(name)) => name,
        // A nemesis may say anything.
        Some(_) | None if process.is_none() => "",
        Some(_) | None => return Err(malformed("an operation has an :f (for example :read), this has none")),
    };
    if let Some(name) = keyword.filter(|name| *name != NEMESIS && OPERATIONS.contains(&f)) {
        return Err(malformed(&no_client(name, f)));
    }
    let (value, error) = (value.unwrap_or(Edn::Nil), error.is_some_and(|error| error != Edn::Nil));
    Ok(Event { line, process, kind, f, key, value, error, index })
}

fn no_client(process: &str, f: &str) -> String {
    format!(
        "process :{process} does a :{f}, and is no client, since its name is no number: number it, or leave it out if it is a \
         nemesis"
    )
}

/// The event that a line of a log is, or `None` if it is none.
///
/// # Errors
/// If it begins like one and its value is no EDN, or is too much, or something in it looks like an operation and is none.
pub(crate) fn of_line(line: usize, text: &str) -> Result<Option<Event<'_>>, EdnError> {
    let wrong = |what: String| Err(EdnError { line, what, torn: false });
    let Some((name, kind, f, tail)) = split(text) else {
        return match misspelt(text) {
            Some(kind) => wrong(format!(
                "this looks like an operation, and `{kind}` is none of :invoke, :ok, :fail and :info: mend or remove it"
            )),
            None => Ok(None),
        };
    };
    let keyword = name.strip_prefix(':');
    if let Some(name) = keyword.filter(|name| *name != NEMESIS && OPERATIONS.contains(&f)) {
        return wrong(no_client(name, f));
    }
    let process = keyword.is_none().then_some(name);
    let mut reader = Reader::new(tail, line);
    let value = reader.plain()?;
    let rest = reader.rest().trim();
    if split(rest).is_some() {
        return wrong("two events stand in this line: give each a line of its own".to_owned());
    }
    // The error is the last column, and may be any text; where there is no value beside it, it has taken the value's place.
    let failed = matches!(kind, Kind::Fail | Kind::Info);
    if !rest.is_empty() && !failed && process.is_some() {
        return wrong(format!("behind the value of this :{f} stands more: `{rest}`"));
    }
    if value.is_none() && kind == Kind::Ok && matches!(f, "read" | "get") {
        let what = format!("this :{f} has no answer; if it found nothing, that is written nil");
        return Err(EdnError { line, what, torn: true });
    }
    let error = !rest.is_empty() || matches!((failed, &value), (true, Some(Edn::Keyword(_))));
    Ok(Some(Event { line, process, kind, f, key: None, value: value.unwrap_or(Edn::Nil), error, index: None }))
}

/// Whether the last word of a line may be cut off without a sign: a number, a name; not what has an end of its own.
pub(crate) fn is_open_ended(text: &str) -> bool {
    split(text).is_some_and(|(process, ..)| is_number(process))
        && !text.ends_with([']', ')', '}', '"'])
        && !text.ends_with(char::is_whitespace)
        && text.split_whitespace().next_back().is_some_and(|word| word != "nil")
}

/// Process, kind, function and the rest of a line that is an event's.
fn split(text: &str) -> Option<(&str, Kind, &str, &str)> {
    let mut before: Option<&str> = None;
    let mut from = 0;
    loop {
        let (word, end) = word(text, from)?;
        let kind = word.strip_prefix(':').and_then(Kind::named);
        if let (Some(kind), Some(process)) = (kind, before) {
            let (f, end) = self::word(text, end)?;
            let named = f.strip_prefix(':').filter(|name| !name.is_empty());
            if let (Some(f), true) = (named, is_number(process) || process.starts_with(':')) {
                return Some((process, kind, f, &text[end..]));
            }
        }
        before = Some(word);
        from = end;
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The word of a line that stands where an event has its kind, between a process and a client's operation.
fn misspelt(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_whitespace().take(64).collect();
    let like = |words: &&[&str]| {
        let operation = words[2].strip_prefix(':').is_some_and(|f| OPERATIONS.contains(&f));
        is_number(words[0]) && words[1].starts_with(':') && !matches!(words[1], ":f" | ":type") && operation
    };
    words.windows(3).find(like).map(|words| words[1])
}

/// The next word of a line and where it ends.
fn word(text: &str, from: usize) -> Option<(&str, usize)> {
    let rest = &text[from..];
    let start = from + rest.find(|c: char| !c.is_whitespace())?;
    let end = text[start..].find(char::is_whitespace).map_or(text.len(), |length| start + length);
    Some((&text[start..end], end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_logs_are_events_wherever_they_begin() {
        for (text, expect) in [
            ("INFO  jepsen.util - 0\t:invoke\t:read\tnil", Some((Some("0"), Kind::Invoke, "read", "nil", false))),
            ("INFO  jepsen.util - 12   :fail   :cas    [4 3]", Some((Some("12"), Kind::Fail, "cas", "[4 3]", false))),
            ("0\t:info\t:write\t:timed-out", Some((Some("0"), Kind::Info, "write", ":timed-out", true))),
            ("x - 0 :fail :cas [1 2] :refused", Some((Some("0"), Kind::Fail, "cas", "[1 2]", true))),
            ("x - 0 :ok :write :a", Some((Some("0"), Kind::Ok, "write", ":a", false))),
            ("jepsen.util :nemesis :info :start nil", Some((None, Kind::Info, "start", "nil", false))),
            ("3 :ok :release", Some((Some("3"), Kind::Ok, "release", "nil", false))),
            ("INFO  jepsen.core - Everything looks good!", None),
            ("INFO jepsen - :ok then", None),
            ("INFO jepsen - 3 :ok", None),
            ("", None),
        ] {
            let event = of_line(1, text).unwrap();
            let told = event.map(|event| (event.process, event.kind, event.f, event.value.canonical(), event.error));
            let expect = expect.map(|(process, kind, f, value, error)| (process, kind, f, value.to_owned(), error));
            assert_eq!(told, expect, "{text}");
        }
        assert!(of_line(1, "0 :ok :read [").is_err());
    }

    fn check_refused(text: &str, what: &str) {
        let form = Reader::new(text, 7).next().unwrap().unwrap().1;
        let error = of_form(7, form).unwrap_err().to_string();
        assert!(error.contains(what) && error.starts_with("line 7: "), "{text}: {error}");
    }

    #[test]
    fn forms_that_are_no_operations_are_refused() {
        check_refused("7", "is a map");
        check_refused("{:process 1 :f :read}", ":type");
        check_refused("{:process 1 :type :okay :f :read}", ":type");
        check_refused("{:type :ok :f :read}", ":process");
        check_refused("{:type :ok :process 1}", ":f");
    }
}
