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
//! by blanks; what follows are value and error. Everything else in a log is somebody else's and left out.

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
        (None, None, None, None, Edn::Nil, false, None);
    for (name, form) in entries {
        let Edn::Keyword(name) = name else { continue };
        match name {
            "process" => process = Some(form),
            "type" => kind = Some(form),
            "f" => f = Some(form),
            "key" => key = Some(form),
            "value" => value = form,
            "error" => error = form != Edn::Nil,
            "index" => index = if let Edn::Atom(text) = form { text.parse().ok() } else { None },
            _ => {}
        }
    }
    let kind = match kind {
        Some(Edn::Keyword(name) | Edn::Str(name)) => Kind::named(name),
        Some(_) | None => None,
    };
    let kind =
        kind.ok_or_else(|| malformed("an operation has a :type of :invoke, :ok, :fail or :info, this has none"))?;
    let process = match process {
        Some(Edn::Atom(name) | Edn::Str(name)) => Some(name),
        Some(Edn::Keyword(_)) => None,
        Some(_) | None => return Err(malformed("an operation has a :process (a number), this has none")),
    };
    let f = match f {
        Some(Edn::Keyword(name) | Edn::Str(name) | Edn::Atom(name)) => name,
        // A nemesis may say anything.
        Some(_) | None if process.is_none() => "",
        Some(_) | None => return Err(malformed("an operation has an :f (for example :read), this has none")),
    };
    Ok(Event { line, process, kind, f, key, value, error, index })
}

/// The event that a line of a log is, or `None` if it is none.
///
/// # Errors
/// If it begins like one and its value is no EDN, or is too much.
pub(crate) fn of_line(line: usize, text: &str) -> Result<Option<Event<'_>>, EdnError> {
    let Some((process, kind, f, tail)) = split(text) else { return Ok(None) };
    let mut reader = Reader::new(tail, line);
    let mut forms = Vec::with_capacity(2);
    while let Some(form) = reader.plain()? {
        forms.push(form);
    }
    // The error is the last column; where there is no value beside it, it has taken the value's place.
    let error = forms.len() > 1 || matches!((kind, forms.first()), (Kind::Fail | Kind::Info, Some(Edn::Keyword(_))));
    let value = forms.into_iter().next().unwrap_or(Edn::Nil);
    Ok(Some(Event { line, process, kind, f, key: None, value, error, index: None }))
}

/// Process, kind, function and the rest of a line that is an event's.
fn split(text: &str) -> Option<(Option<&str>, Kind, &str, &str)> {
    let mut before: Option<&str> = None;
    let mut from = 0;
    loop {
        let (word, end) = word(text, from)?;
        let kind = word.strip_prefix(':').and_then(Kind::named);
        if let (Some(kind), Some(process)) = (kind, before) {
            let client = process.bytes().all(|byte| byte.is_ascii_digit());
            let (f, end) = self::word(text, end)?;
            let named = f.strip_prefix(':').filter(|name| !name.is_empty());
            if let (Some(f), true) = (named, client || process.starts_with(':')) {
                return Some((client.then_some(process), kind, f, &text[end..]));
            }
        }
        before = Some(word);
        from = end;
    }
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
