//! Questions to a node: one word per probe engine.

use std::time::Duration;

use super::observers::Surroundings;
use super::sight::Site;
use crate::definition::{Ask, Template, Until};
use crate::error::{Mistake, one_of};
use crate::read::{Field, Fields, Reader};
use crate::scalar;
use crate::words;
use crate::yaml::NodeKind;

/// The longest text that is sent over TCP, and the longest answer that is awaited.
const BYTES_MAX: u64 = 1 << 20;

/// How often an observer may ask, at the least and at the most.
pub(super) const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

impl Reader {
    /// The one question of a mapping; `pattern` is whether the answer is looked through with one.
    pub(super) fn ask(
        &mut self,
        fields: &Fields<'_>,
        owner: &str,
        pattern: bool,
        around: &Surroundings<'_>,
    ) -> Option<Ask> {
        let questions: Vec<Field<'_>> = fields.known(&words::ENGINES).collect();
        let engine = match questions.as_slice() {
            [engine] => *engine,
            [] => {
                if fields.all_known {
                    let mistake = Mistake::at(fields.place, format!("{owner} without a question"));
                    self.note(mistake.help(format!("it asks by {}", one_of(words::ENGINES.names()))));
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!("{owner} with two questions, `{}` and `{}`", first.name, second.name);
                self.note(Mistake::at(second.key, message).label("one too many").also(first.key, "the first"));
                return None;
            }
        };
        match engine.name {
            "http" => self.ask_http(engine, around),
            "prometheus" => self.ask_prometheus(engine, around),
            "tcp" => self.ask_tcp(engine, pattern, around),
            "resp" => self.ask_resp(engine, around),
            "unix-json-rpc" => self.ask_unix(engine, around),
            "exec" => Some(Ask::Exec { run: self.exec(engine, around)? }),
            "log" => self.ask_log(engine, pattern, around),
            "address" => self.ask_address(engine, around),
            _ => self.ask_client(engine, around),
        }
    }

    fn ask_http(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::HTTP])?;
        let method = fields.get("method").map_or(Some("GET".to_owned()), |field| self.method(field));
        let port = self.port_of(&fields, "`http`", around);
        let path = self.required(&fields, "`http`", "path", "for example `path: /status`");
        let path = path.and_then(|field| self.url_path(field, around, around.site));
        let headers = fields.get("headers");
        let headers = headers.map(|field| self.templates_by_name(field, "a header", around.sight, around.site));
        let body = fields.get("body").map(|field| self.template(field, around.sight, around.site));
        if body.as_ref().is_some_and(Option::is_none) {
            return None;
        }
        let (headers, body) = (headers.unwrap_or_default(), body.flatten());
        Some(Ask::Http { method: method?, port: port?, path: path?, headers, body })
    }

    fn ask_prometheus(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::PROMETHEUS])?;
        let port = self.port_of(&fields, "`prometheus`", around);
        let path = match fields.get("path") {
            Some(field) => self.url_path(field, around, around.site),
            None => Template::new("/metrics").ok(),
        };
        Some(Ask::Prometheus { port: port?, path: path? })
    }

    fn ask_tcp(&mut self, field: Field<'_>, pattern: bool, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::TCP])?;
        let port = self.port_of(&fields, "`tcp`", around);
        let send = match (fields.get("send"), fields.get("send-hex")) {
            (Some(text), Some(hex)) => {
                let mistake = Mistake::at(hex.key, "`send` and `send-hex`").label("one too many");
                self.note(mistake.also(text.key, "the first"));
                None
            }
            (Some(text), None) => self.text(text, "a text").map(|text| text.as_bytes().to_vec()),
            (None, Some(hex)) => self.parsed(hex, "hex digits, for example `00 00 00 04`", bytes),
            (None, None) => Some(Vec::new()),
        };
        let until = match fields.get("until") {
            None => Some(Until::End),
            Some(field) => self.end_of_answer(field, pattern),
        };
        Some(Ask::Tcp { port: port?, send: send?, until: until? })
    }

    fn end_of_answer(&mut self, field: Field<'_>, pattern: bool) -> Option<Until> {
        match self.text(field, "`end`, `matched`, or how many bytes")? {
            "end" => Some(Until::End),
            "matched" if pattern => Some(Until::Matched),
            "matched" => {
                let mistake = Mistake::at(field.node.place, "`until: matched` without a pattern");
                self.note(mistake.help("add `pattern:` beside `tcp:`"));
                None
            }
            text if scalar::whole(text).is_ok() => {
                let bytes = self.count(field, 1..=BYTES_MAX)?;
                usize::try_from(bytes).ok().map(Until::Bytes)
            }
            text => {
                self.unknown(field.node.place, "end of an answer", text, &["end", "matched"]);
                None
            }
        }
    }

    fn ask_resp(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::RESP])?;
        let port = self.port_of(&fields, "`resp`", around);
        let command = self.required(&fields, "`resp`", "command", "for example `command: [ROLE]`");
        let command = command.and_then(|field| self.command(field, around.sight, around.site));
        let pairs = fields.get("pairs").and_then(|field| self.boolean(field)).unwrap_or(false);
        Some(Ask::Resp { port: port?, command: command?, pairs })
    }

    fn ask_unix(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::UNIX_JSON_RPC])?;
        let socket = self.required(&fields, "`unix-json-rpc`", "socket", "for example `socket: ctl`");
        let method = self.required(&fields, "`unix-json-rpc`", "method", "for example `method: cluster/status`");
        let socket = socket.and_then(|field| {
            let text = self.text(field, "a path")?;
            self.path_of(text, field.node.place, around.sight, around.site)
        });
        let method = method.and_then(|field| self.text(field, "a text").map(str::to_owned));
        let params = match fields.get("params") {
            None => Some(Vec::new()),
            Some(field) => {
                let items = self.list(field, "a list of texts")?;
                self.templates(field, items, around.sight, around.site)
            }
        };
        Some(Ask::UnixJsonRpc { socket: socket?, method: method?, params: params? })
    }

    /// The command itself, or under `run:`.
    pub(super) fn exec(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Vec<Template>> {
        if let NodeKind::List(_) = field.node.kind {
            return self.command(field, around.sight, around.site);
        }
        if !matches!(field.node.kind, NodeKind::Map(_)) {
            self.wrong_type(field, "a list: the program, then its arguments");
            return None;
        }
        let fields = self.open(field, &[&words::EXEC])?;
        let run = self.required(&fields, "`exec`", "run", "for example `exec: [mytool, status]`")?;
        self.command(run, around.sight, around.site)
    }

    fn ask_log(&mut self, field: Field<'_>, pattern: bool, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::LOG])?;
        if !pattern {
            let mistake = Mistake::at(field.key, "`log` without a pattern");
            self.note(mistake.help("add `pattern:` beside `log:`, or every line would be an answer"));
        }
        let stderr = fields.get("stderr").and_then(|field| self.boolean(field)).unwrap_or(false);
        let process = self.required(&fields, "`log`", "process", "name one of `processes`")?;
        let text = self.text(process, "the name of one of `processes`")?;
        if !around.processes.iter().any(|known| known == text) {
            let known = around.processes.iter().map(String::as_str);
            self.no_such(process.node.place, "process", text, known, "add it to `processes`");
            return None;
        }
        Some(Ask::Log { process: text.to_owned(), stderr })
    }

    fn ask_address(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let parse = |text: &str| text.parse::<std::net::Ipv4Addr>().map_err(|_| "four numbers with dots are wanted");
        let wanted = "an IPv4 address, for example `10.9.0.1`";
        let address = self.renders_to(field, around.sight, around.site, wanted, parse)?;
        Some(Ask::Address { address })
    }

    fn ask_client(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> Option<Ask> {
        let fields = self.open(field, &[&words::QUESTION])?;
        if !around.client {
            let mistake = Mistake::at(field.key, "a question to the client driver, but there is no client");
            self.note(mistake.help("add `client: { driver: … }` to the definition"));
        }
        let question = self.required(&fields, "`client`", "question", "for example `client: { question: leader }`")?;
        Some(Ask::Client { question: self.text(question, "the question's name")?.to_owned() })
    }

    pub(super) fn port_of(&mut self, fields: &Fields<'_>, owner: &str, around: &Surroundings<'_>) -> Option<String> {
        let field = self.required(fields, owner, "port", "name one of `ports`")?;
        self.port(field, around.ports)
    }

    /// An HTTP method: capital letters.
    pub(super) fn method(&mut self, field: Field<'_>) -> Option<String> {
        const USUAL: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"];
        self.one_of(field, "method", &USUAL).map(str::to_owned)
    }

    /// A path with its query: it begins with a slash.
    pub(super) fn url_path(&mut self, field: Field<'_>, around: &Surroundings<'_>, site: Site) -> Option<Template> {
        let slash = |text: &str| match text.starts_with('/') {
            true if text.contains(|c: char| c.is_whitespace() || c.is_control()) => Err("a path has no white space"),
            true => Ok(()),
            false => Err("it begins with `/`"),
        };
        self.renders_to(field, around.sight, site, "a path, for example `/status`", slash)
    }
}

/// Hex digits, in pairs, with white space between pairs.
fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()
        .ok_or("this is no hex digit")?;
    if !digits.len().is_multiple_of(2) {
        return Err("two digits make a byte");
    }
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).map_err(|_| "two digits make a byte");
    digits.chunks(2).map(byte).collect()
}
