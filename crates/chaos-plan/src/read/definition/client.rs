//! What clients speak: a driver by name, and for HTTP what each operation sends.

use std::collections::BTreeMap;

use super::observers::Surroundings;
use super::sight::{Sight, Site};
use crate::definition::{ClientDefinition, Expression, HttpExchange, HttpOperation, TemplateValue, beside};
use crate::error::Mistake;
use crate::read::{Field, Fields, Reader, name_trouble};
use crate::words;

/// What the answer to an operation brings to an expression.
const ANSWER: [&str; 2] = ["answer", "status"];

impl Reader {
    pub(super) fn client_definition(
        &mut self,
        field: Field<'_>,
        ports: &BTreeMap<String, u16>,
        sight: &Sight,
    ) -> Option<ClientDefinition> {
        let fields = self.open(field, &[&words::CLIENT])?;
        let names: Vec<&'static str> = words::DRIVERS.names().collect();
        let driver = self.required(&fields, "`client`", "driver", "for example `driver: http`");
        let driver = driver.and_then(|field| self.one_of(field, "client driver", &names));
        let around = Surroundings { ports, processes: Vec::new(), client: true, sight, site: Site::Operation };
        let port = match driver {
            // A program finds its own way.
            Some("program") | None => fields.get("port").and_then(|field| self.port(field, ports)),
            Some(_) => self.port_of(&fields, "`client`", &around),
        };
        let mut options = BTreeMap::new();
        if let Some(field) = fields.get("options") {
            for entry in self.named(field, "an option", name_trouble) {
                if let Some(template) = self.template(entry, sight, Site::Node) {
                    options.insert(entry.name.to_owned(), template);
                }
            }
        }
        self.belongs_to(&fields, driver, "http", "say what each operation sends: `http: { read: { … } }`");
        self.belongs_to(&fields, driver, "program", "name the program: `program: [python3, my-client.py]`");
        let http = fields.get("http").map(|field| self.exchanges(field, &around)).unwrap_or_default();
        let program = fields.get("program").and_then(|field| self.command(field, sight, Site::Cluster));
        Some(ClientDefinition { driver: driver?.to_owned(), port, options, http, program: program.unwrap_or_default() })
    }

    /// `http:` is there exactly for the driver http, and `program:` for the driver program.
    fn belongs_to(&mut self, fields: &Fields<'_>, driver: Option<&'static str>, name: &'static str, help: &str) {
        match (fields.get(name), driver) {
            (None, Some(driver)) if driver == name => {
                self.missing(fields.place, &format!("the driver `{name}`"), name, help)
            }
            (Some(field), Some(driver)) if driver != name => {
                let mistake = Mistake::at(field.key, format!("`{name}` beside the driver `{driver}`"));
                self.note(mistake.label(format!("it belongs to `driver: {name}`")));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
    }

    fn exchanges(&mut self, field: Field<'_>, around: &Surroundings<'_>) -> BTreeMap<HttpOperation, HttpExchange> {
        let mut exchanges = BTreeMap::new();
        let Some(fields) = self.open(field, &[&words::OPERATIONS]) else { return exchanges };
        if fields.iter().next().is_none() {
            self.note(
                Mistake::at(field.key, "a client that can do nothing").help("at least `read` or `write` is wanted"),
            );
        }
        for entry in fields.known(&words::OPERATIONS) {
            let operation = match entry.name {
                "read" => HttpOperation::Read,
                "write" => HttpOperation::Write,
                "cas" => HttpOperation::Cas,
                "add" => HttpOperation::Add,
                _ => HttpOperation::Elements,
            };
            if let Some(exchange) = self.exchange(entry, operation, around) {
                exchanges.insert(operation, exchange);
            }
        }
        exchanges
    }

    fn exchange(
        &mut self,
        field: Field<'_>,
        operation: HttpOperation,
        around: &Surroundings<'_>,
    ) -> Option<HttpExchange> {
        let fields = self.open(field, &[&words::EXCHANGE])?;
        let owner = format!("the operation `{}`", field.name);
        let method = fields.get("method").map_or(Some("GET".to_owned()), |field| self.method(field));
        let path = self.required(&fields, &owner, "path", "for example `path: \"/kv/{{ key }}\"`");
        let path = path.and_then(|field| self.url_path(field, around, Site::Operation));
        let headers = fields.get("headers");
        let headers = headers.map(|field| self.templates_by_name(field, "a header", around.sight, Site::Operation));
        let body = fields.get("body").and_then(|field| self.template(field, around.sight, Site::Operation));
        let ok = self.required(&fields, &owner, "ok", "say when it has happened: `ok: status == 200`");
        let (needed, why) = match operation {
            HttpOperation::Read | HttpOperation::Elements => {
                (Some("value"), "say what was read: `value: answer.value`")
            }
            HttpOperation::Cas => (Some("swapped"), "say whether the value was set: `swapped: answer.done`"),
            HttpOperation::Write | HttpOperation::Add => (None, ""),
        };
        if let Some(needed) = needed {
            self.required(&fields, &owner, needed, why);
        }
        let mut expression = |field| self.expression(field, around.sight, Site::Operation, &ANSWER, None);
        let ok = ok.and_then(&mut expression);
        let mut optional = |name| fields.get(name).and_then(&mut expression);
        let (fail, value, swapped) = (optional("fail"), optional("value"), optional("swapped"));
        let (revision, leader) = (optional("revision"), optional("leader"));
        let headers = headers.unwrap_or_default();
        if let (Some(ok), Some(fail), Some(field)) = (&ok, &fail, fields.get("fail")) {
            self.told_apart(ok, fail, field, around.sight);
        }
        Some(HttpExchange {
            method: method?,
            path: path?,
            headers,
            body,
            ok: ok?,
            fail,
            value,
            swapped,
            revision,
            leader,
        })
    }

    /// No answer may mean both that an operation happened and that it didn't. Of expressions about nothing but the status that can
    /// be tried out; what others make of an answer, only an answer can tell, and then the outcome is unknown.
    fn told_apart(&mut self, ok: &Expression, fail: &Expression, field: Field<'_>, sight: &Sight) {
        if [ok, fail].iter().any(|expression| expression.free_names().iter().any(|name| name.starts_with("answer"))) {
            return;
        }
        let Some((_, scope)) = sight.values(Site::Operation).first() else { return };
        let both = (200..600).find(|&status| {
            let context = beside(scope, vec![("status", TemplateValue::from(status))]);
            [ok, fail].iter().all(|expression| expression.value(&context).is_ok_and(|value| value.is_true()))
        });
        if let Some(status) = both {
            let mistake = Mistake::at(field.node.place, "an answer that is both `ok` and `fail`");
            self.note(mistake.label(format!("`ok: {}` holds for status {status} too", ok.text())).help(
                "`fail` means that the operation definitely did not happen; what is neither is of unknown outcome",
            ));
        }
    }
}
