//! Extensible data notation, as far as histories need it: a reader that takes one form at a time from a text.
//!
//! It is tolerant: atoms (numbers, symbols, characters, `##NaN`) are kept as written, and equal numbers and characters are
//! compared as equal however they are written; tags are kept beside their form, regular expressions are strings with a tag,
//! `#_` leaves out the next form. It is bounded: forms are nested [`DEPTH_MAX`] deep at most, and every form knows its line.
//!
//! Its own, because a history may come from anybody: of the readers on the registry, edn-rs is given up, edn-format has no
//! places, and clojure-reader has them only behind a feature called unstable, refuses big integers, and overflows the stack
//! when it drops a form that is nested a million deep.
//!
//! Source: the EDN format, github.com/edn-format/edn. O(n).

use std::borrow::Cow;

/// How deep forms may be nested. Histories need four.
const DEPTH_MAX: usize = 64;

/// One form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edn<'a> {
    /// `nil`.
    Nil,
    /// A number, a symbol, a character, `true`, `false`: as written.
    Atom(&'a str),
    /// A keyword, without its colon.
    Keyword(&'a str),
    /// A string without escapes.
    Str(&'a str),
    /// A string in which escapes stood.
    Unescaped(Box<str>),
    /// A vector or a list.
    Vector(Vec<Edn<'a>>),
    /// A set.
    Set(Vec<Edn<'a>>),
    /// A map, in the order of the text.
    Map(Vec<(Edn<'a>, Edn<'a>)>),
    /// A form with a tag.
    Tagged(&'a str, Box<Edn<'a>>),
}

impl<'a> Edn<'a> {
    /// The items of a vector or a list.
    pub(crate) fn items(&self) -> Option<&[Edn<'a>]> {
        match self {
            Self::Vector(items) => Some(items),
            Self::Nil
            | Self::Atom(_)
            | Self::Keyword(_)
            | Self::Str(_)
            | Self::Unescaped(_)
            | Self::Set(_)
            | Self::Map(_)
            | Self::Tagged(..) => None,
        }
    }

    /// The form without its tags.
    pub(crate) fn untagged(self) -> Self {
        match self {
            Self::Tagged(_, form) => form.untagged(),
            Self::Nil
            | Self::Atom(_)
            | Self::Keyword(_)
            | Self::Str(_)
            | Self::Unescaped(_)
            | Self::Vector(_)
            | Self::Set(_)
            | Self::Map(_) => self,
        }
    }

    /// The form as text; equal forms have equal texts, in whatever order sets and maps were written.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        let join = |out: &mut String, open: &str, items: &mut dyn Iterator<Item = String>, close: &str| {
            out.push_str(open);
            for (place, item) in items.enumerate() {
                out.push_str(if place == 0 { "" } else { " " });
                out.push_str(&item);
            }
            out.push_str(close);
        };
        match self {
            Self::Nil => out.push_str("nil"),
            Self::Atom(text) => out.push_str(&atom(text)),
            Self::Keyword(name) => {
                out.push(':');
                out.push_str(name);
            }
            Self::Str(text) => quote(text, out),
            Self::Unescaped(text) => quote(text, out),
            Self::Vector(items) => join(out, "[", &mut items.iter().map(Self::canonical), "]"),
            Self::Set(items) => {
                let mut items: Vec<String> = items.iter().map(Self::canonical).collect();
                items.sort_unstable();
                join(out, "#{", &mut items.into_iter(), "}");
            }
            Self::Map(entries) => {
                let mut entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{} {}", key.canonical(), value.canonical())).collect();
                entries.sort_unstable();
                join(out, "{", &mut entries.into_iter(), "}");
            }
            Self::Tagged(tag, form) => {
                out.push('#');
                out.push_str(tag);
                out.push(' ');
                form.write(out);
            }
        }
    }
}

/// An atom so that equal ones are written alike: `+1` and `1N` are `1`, `\\u0061` is `\\a`, `1.50` is `1.5`.
fn atom(text: &str) -> Cow<'_, str> {
    if let Some(name) = text.strip_prefix('\\') {
        let code = name.strip_prefix('u').filter(|digits| digits.len() == 4);
        let c = code.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        return c.map_or(Cow::Borrowed(text), |c| match c {
            '\n' => Cow::Borrowed("\\newline"),
            ' ' => Cow::Borrowed("\\space"),
            '\t' => Cow::Borrowed("\\tab"),
            '\r' => Cow::Borrowed("\\return"),
            '\u{8}' => Cow::Borrowed("\\backspace"),
            '\u{c}' => Cow::Borrowed("\\formfeed"),
            c => Cow::Owned(format!("\\{c}")),
        });
    }
    let (negative, number) = match text.strip_prefix(['+', '-']) {
        Some(number) => (text.starts_with('-'), number),
        None => (false, text),
    };
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Cow::Borrowed(text);
    }
    let sign = if negative { "-" } else { "" };
    let whole = number.strip_suffix('N').unwrap_or(number);
    if whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return if whole == "0" { Cow::Borrowed("0") } else { Cow::Owned(format!("{sign}{whole}")) };
    }
    match number.parse::<f64>() {
        Ok(float) if float.is_finite() => Cow::Owned(format!("{sign}{float:?}")),
        Ok(_) | Err(_) => Cow::Borrowed(text),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// A text that is no EDN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdnError {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
    /// Whether only the end of the text is missing, on one line.
    pub(crate) torn: bool,
}

/// Takes forms from a text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The line of the byte `counted`.
    line: usize,
    counted: usize,
    /// What ends the vector that holds everything, if the forms are those of one.
    inside: Option<u8>,
    depth: usize,
    /// Where the form that is being read began.
    form: usize,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, the first line of which is `line`.
    pub(crate) fn new(text: &'a str, line: usize) -> Self {
        Self { text, at: 0, line, counted: 0, inside: None, depth: 0, form: 0 }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next form and its line; of a text that is one vector (or list) of maps, the next of its items.
    ///
    /// # Errors
    /// If the text is no EDN. Nothing more can be read then.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Edn<'a>)>, EdnError> {
        loop {
            self.blank()?;
            self.form = self.at;
            match self.peek() {
                None if self.inside.is_some() => return Err(self.cut("the vector of operations is not closed")),
                None => return Ok(None),
                Some(open @ (b'[' | b'(')) if self.inside.is_none() && self.opens_maps() => {
                    self.inside = Some(if open == b'[' { b']' } else { b')' });
                    self.at += 1;
                }
                close if close.is_some() && close == self.inside => {
                    self.inside = None;
                    self.at += 1;
                }
                Some(_) => {
                    let line = self.line_here();
                    return self.form().map(|form| Some((line, form)));
                }
            }
        }
    }

    /// The next form of a line, whatever it is.
    ///
    /// # Errors
    /// If the text is no EDN.
    pub(crate) fn plain(&mut self) -> Result<Option<Edn<'a>>, EdnError> {
        self.blank()?;
        self.form = self.at;
        if self.peek().is_none() { Ok(None) } else { self.form().map(Some) }
    }

    /// Whether the sequence that begins here holds operations: is empty, or begins with a map or a tag.
    fn opens_maps(&self) -> bool {
        let first = self.text[self.at + 1..].trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        first.starts_with(['{', '#', ']', ')', ';']) || first.is_empty()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn line_here(&mut self) -> usize {
        self.line += self.text.as_bytes()[self.counted..self.at].iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.at;
        self.line
    }

    fn error(&mut self, what: &str) -> EdnError {
        EdnError { line: self.line_here(), what: what.to_owned(), torn: false }
    }

    /// The error of a text that ends within a form. If the form has only one line, no other can be lost with it.
    fn cut(&mut self, what: &str) -> EdnError {
        let torn = !self.text[self.form..].contains('\n');
        EdnError { torn, ..self.error(what) }
    }

    /// Skips blanks, commas, comments and forms that are left out.
    fn blank(&mut self) -> Result<(), EdnError> {
        loop {
            let rest = self.rest();
            match self.peek() {
                Some(b' ' | b',' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c') => self.at += 1,
                Some(b';') => self.at += rest.find('\n').unwrap_or(rest.len()),
                Some(b'#') if rest.starts_with("#_") => {
                    self.at += 2;
                    self.nested(Self::form)?;
                }
                Some(byte) if !byte.is_ascii() => {
                    let kept = rest.trim_start();
                    if kept.len() == rest.len() {
                        return Ok(());
                    }
                    self.at += rest.len() - kept.len();
                }
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, EdnError>) -> Result<T, EdnError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(&format!("forms are nested more than {DEPTH_MAX} deep")));
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn form(&mut self) -> Result<Edn<'a>, EdnError> {
        self.blank()?;
        let Some(first) = self.peek() else { return Err(self.cut("a form is missing at the end")) };
        match first {
            b'"' => self.string(),
            b'[' => Ok(Edn::Vector(self.sequence(b']')?)),
            b'(' => Ok(Edn::Vector(self.sequence(b')')?)),
            b'{' => self.map(),
            b']' | b')' | b'}' => Err(self.error(&format!("a `{}` closes nothing", char::from(first)))),
            b'#' => self.dispatch(),
            b'\\' => {
                // A character may be one that ends every other atom: `\(`, `\"`.
                let start = self.at;
                self.at += 1;
                let Some(c) = self.rest().chars().next() else {
                    return Err(self.cut("a character is missing at the end"));
                };
                self.at += c.len_utf8();
                self.word();
                Ok(Edn::Atom(&self.text[start..self.at]))
            }
            b':' => {
                self.at += 1;
                match self.word() {
                    "" => Err(self.error("a keyword has no name")),
                    name => Ok(Edn::Keyword(name)),
                }
            }
            _ => match self.word() {
                "nil" => Ok(Edn::Nil),
                word => Ok(Edn::Atom(word)),
            },
        }
    }

    /// Everything up to a blank or a delimiter.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '"' | ';' | '(' | ')' | '[' | ']' | '{' | '}');
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn dispatch(&mut self) -> Result<Edn<'a>, EdnError> {
        self.at += 1;
        match self.peek() {
            Some(b'{') => Ok(Edn::Set(self.sequence(b'}')?)),
            Some(b'"') => Ok(Edn::Tagged("regex", Box::new(self.string()?))),
            Some(b'#') => {
                let start = self.at - 1;
                self.at += 1;
                self.word();
                Ok(Edn::Atom(&self.text[start..self.at]))
            }
            Some(_) | None => match self.word() {
                "" => Err(self.error("a `#` stands alone")),
                tag => Ok(Edn::Tagged(tag, Box::new(self.nested(Self::form)?))),
            },
        }
    }

    fn sequence(&mut self, close: u8) -> Result<Vec<Edn<'a>>, EdnError> {
        self.at += 1;
        self.nested(|reader| {
            let mut items = Vec::new();
            loop {
                reader.blank()?;
                if reader.peek() == Some(close) {
                    reader.at += 1;
                    return Ok(items);
                }
                if reader.peek().is_none() {
                    return Err(reader.cut(&format!("a `{}` is missing at the end", char::from(close))));
                }
                items.push(reader.form()?);
            }
        })
    }

    fn map(&mut self) -> Result<Edn<'a>, EdnError> {
        let mut items = self.sequence(b'}')?.into_iter();
        let mut entries = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let Some(value) = items.next() else { return Err(self.error("a map has a key without a value")) };
            entries.push((key, value));
        }
        Ok(Edn::Map(entries))
    }

    fn string(&mut self) -> Result<Edn<'a>, EdnError> {
        self.at += 1;
        let rest = self.rest();
        let Some(length) = rest.find(['"', '\\']) else {
            self.at = self.text.len();
            return Err(self.cut("a string is not closed"));
        };
        if rest.as_bytes()[length] == b'"' {
            self.at += length + 1;
            return Ok(Edn::Str(&rest[..length]));
        }
        let mut text = rest[..length].to_owned();
        let mut chars = rest[length..].char_indices();
        while let Some((place, c)) = chars.next() {
            let escaped = match c {
                '"' => {
                    self.at += length + place + 1;
                    return Ok(Edn::Unescaped(text.into_boxed_str()));
                }
                '\\' => chars.next().map(|(_, escaped)| escaped),
                _ => {
                    text.push(c);
                    continue;
                }
            };
            match escaped {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('b') => text.push('\u{8}'),
                Some('f') => text.push('\u{c}'),
                Some('u') => match unit(&mut chars) {
                    Some(c) => text.push(c),
                    None if chars.as_str().is_empty() => break,
                    None => {
                        return Err(self.error("a \\u in a string is not followed by the four digits of a character"));
                    }
                },
                Some(other) => text.push(other),
                None => {}
            }
        }
        self.at = self.text.len();
        Err(self.cut("a string is not closed"))
    }
}

/// The character that a `\u` in a string stands for; two of them may make up one.
fn unit(chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let code = |chars: &mut std::str::CharIndices<'_>| -> Option<u32> {
        let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
        let plain = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()
    };
    let first = code(chars)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    let (Some((_, '\\')), Some((_, 'u'))) = (chars.next(), chars.next()) else { return None };
    let second = code(chars).filter(|code| (0xdc00..0xe000).contains(code))?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(usize, String)>, EdnError> {
        let mut reader = Reader::new(text, 1);
        let mut forms = Vec::new();
        while let Some((line, form)) = reader.next()? {
            forms.push((line, form.canonical()));
        }
        Ok(forms)
    }

    fn check(text: &str, expect: &[(usize, &str)]) {
        let expect: Vec<(usize, String)> = expect.iter().map(|(line, form)| (*line, (*form).to_owned())).collect();
        assert_eq!(all(text), Ok(expect), "{text}");
    }

    #[test]
    fn forms_are_read_with_their_lines() {
        check("", &[]);
        check(" ; nothing\n", &[]);
        check(
            "nil 1 -2.5e3 1N foo/bar true",
            &[(1, "nil"), (1, "1"), (1, "-2500.0"), (1, "1"), (1, "foo/bar"), (1, "true")],
        );
        check("[1 #{b a} (c)]\n\n{:b \"x\", :a \"y\"}", &[(1, "[1 #{a b} [c]]"), (3, "{:a \"y\" :b \"x\"}")]);
        check("\\a \\( \\newline #_ gone #_[1 2] kept", &[(1, "\\a"), (1, "\\("), (1, "\\newline"), (1, "kept")]);
        check(
            "##NaN #\"a.b\" #inst \"2020\" #object[x 0x1 \"y\"]",
            &[(1, "##NaN"), (1, "#regex \"a.b\""), (1, "#inst \"2020\""), (1, "#object [x 0x1 \"y\"]")],
        );
        check(r#""a\"b\\" "a\u0062" "\ud83d\ude00""#, &[(1, r#""a\"b\\""#), (1, "\"ab\""), (1, "\"😀\"")]);
        check("99999999999999999999999\u{a0}x", &[(1, "99999999999999999999999"), (1, "x")]);
    }

    #[test]
    fn equal_values_are_written_alike_and_others_are_not() {
        for (alike, expect) in [
            ("1 1N +1 +1N", "1"),
            ("0 -0 +0 0N", "0"),
            ("-7 -7N", "-7"),
            ("1.5 1.50 +1.5 15e-1", "1.5"),
            ("\\a \\u0061", "\\a"),
            ("\\newline \\u000a", "\\newline"),
        ] {
            assert!(all(alike).unwrap().iter().all(|(_, form)| form == expect), "{alike}: {:?}", all(alike));
        }
        for other in ["1.0", "1M", "01", "-1", "1/2", "0x1", "a1", "\\1", "\"1\"", ":1", "+"] {
            assert_ne!(all(other).unwrap()[0].1, "1", "{other}");
        }
    }

    #[test]
    fn one_vector_of_maps_is_read_map_by_map() {
        check("[{:a 1}\n {:a 2}]\n", &[(1, "{:a 1}"), (2, "{:a 2}")]);
        check("(#op{:a 1}\n)", &[(1, "#op {:a 1}")]);
        check("[]", &[]);
    }

    fn check_error(text: &str, line: usize, what: &str, torn: bool) {
        let error = all(text).unwrap_err();
        assert!(error.what.contains(what), "{text}: {error:?}");
        assert_eq!((error.line, error.torn), (line, torn), "{text}: {error:?}");
    }

    #[test]
    fn what_is_no_edn_is_refused_with_its_line() {
        check_error("\n\n]", 3, "closes nothing", false);
        check_error("{:a 1}\n{:a", 2, "missing at the end", true);
        check_error("{:a 1}\n{:a \"", 2, "not closed", true);
        check_error("{:a 1}\n{:a \"\n\n{:b 1}", 4, "not closed", false);
        check_error("{:a}", 1, "without a value", false);
        check_error("{:a} 1", 1, "without a value", false);
        check_error(&"[".repeat(1_000_000), 1, "nested more than", false);
        check_error(&"#a ".repeat(1_000_000), 1, "nested more than", false);
        check_error(&"#_ ".repeat(1_000_000), 1, "nested more than", false);
        check_error(":", 1, "no name", false);
        check_error(r#""\ud83d" 1"#, 1, "not followed by", false);
        check_error(r#""\u12x4" 1"#, 1, "not followed by", false);
        check_error("[{:a 1})", 1, "closes nothing", false);
        check_error("({:a 1}]", 1, "closes nothing", false);
        check_error("\u{b}\u{c}]", 1, "closes nothing", false);
    }
}
