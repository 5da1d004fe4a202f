//! Strings of `:get`, `:put` and `:append`, empty at first: Porcupine's key-value logs.

use chaos_check::linear::Entry;
use chaos_check::linear::models::{Append, AppendOp, Call};

use crate::build::{self, Draft, Meaning};
use crate::edn::{Edn, Reader};
use crate::error::ParseError;
use crate::join::Ended;
use crate::keys::Keyed;
use crate::object::{Counts, Object, Words};

/// What was done, with a text of its own.
enum Said {
    Get(String),
    Put(String),
    Append(String),
}

/// The strings of the calls.
///
/// # Errors
/// If a value is no string.
pub(crate) fn build(
    keys: Vec<Option<String>>,
    calls: Vec<Keyed<'_>>,
    counts: &mut Counts,
) -> Result<Vec<Object<Append>>, ParseError> {
    let drafts = build::drafts(keys, calls, counts, || (), |keyed, ()| meaning(keyed))?;
    Ok(drafts.into_iter().map(finish).collect())
}

fn meaning(keyed: &Keyed<'_>) -> Result<Meaning<Said>, ParseError> {
    let call = &keyed.call;
    let text = |form: &Edn<'_>, line: usize| match form {
        Edn::Str(text) => Ok((*text).to_owned()),
        Edn::Unescaped(text) => Ok(text.clone().into_string()),
        // A key that was never written.
        Edn::Nil if call.f == "get" => Ok(String::new()),
        Edn::Nil | Edn::Atom(_) | Edn::Keyword(_) | Edn::Vector(_) | Edn::Set(_) | Edn::Map(_) | Edn::Tagged(..) => {
            let what = format!("the value of a :{} is a string, and this is {}", call.f, form.canonical());
            Err(ParseError::Value { line, what })
        }
    };
    if call.f == "get" {
        let Ended::Ok(answer) = &call.ended else { return Ok(Meaning::UnknownRead) };
        let line = call.answered.map_or(call.invoked_line, |(_, line)| line);
        return Ok(Meaning::Answered(Said::Get(text(answer, line)?)));
    }
    let text = text(&call.value, call.invoked_line)?;
    let said = if call.f == "put" { Said::Put(text) } else { Said::Append(text) };
    Ok(match call.ended {
        Ended::Ok(_) => Meaning::Answered(said),
        Ended::Fail { .. } => Meaning::DidNotHappen,
        Ended::Unknown => Meaning::Unanswered(said),
    })
}

fn finish(draft: Draft<Said, ()>) -> Object<Append> {
    let Draft { key, state: (), entries, sources, refusals } = draft;
    let calls: Vec<Call<'_>> = entries
        .iter()
        .map(|entry| match &entry.what {
            Said::Get(text) => Call::Get(text),
            Said::Put(text) => Call::Put(text),
            Said::Append(text) => Call::Append(text),
        })
        .collect();
    let (model, ops) = Append::new(&calls);
    // The model keeps the texts; those of appends are also listed, to be found by a certificate's words.
    let mut names = Vec::new();
    for op in &ops {
        if let AppendOp::Append(text) = *op {
            let place = text as usize;
            names.resize(names.len().max(place + 1), String::new());
            names[place] = Edn::Str(model.text(text)).canonical();
        }
    }
    let entries = entries.iter().zip(ops);
    let entries =
        entries.map(|(entry, what)| Entry { what, invoked: entry.invoked, answered: entry.answered }).collect();
    Object { key, model, entries, sources, names, refusals }
}

impl Words for Append {
    fn say(&self, op: &AppendOp, _names: &[String]) -> String {
        let quoted = |number: u32| Edn::Str(self.text(number)).canonical();
        match op {
            AppendOp::Put(text) => format!("put {}", quoted(*text)),
            AppendOp::Append(text) => format!("append {}", quoted(*text)),
            AppendOp::Get(text) => format!("get {}", quoted(*text)),
            AppendOp::Saw { value, among } => {
                let among: Vec<String> = among.iter().map(|text| quoted(*text)).collect();
                format!("get {} of [{}]", quoted(*value), among.join(" "))
            }
            AppendOp::Torn(text) => format!("get {} torn", quoted(*text)),
            AppendOp::Normal(normal) => format!("{normal:?}"),
        }
    }

    fn said(&self, op: &AppendOp, said: &str, names: &[String]) -> Option<AppendOp> {
        if self.say(op, names) == said {
            return Some(op.clone());
        }
        let AppendOp::Get(value) = *op else { return None };
        let torn = AppendOp::Torn(value);
        if self.say(&torn, names) == said {
            return Some(torn);
        }
        let mut reader = Reader::new(said, 1);
        let mut form = || reader.plain().ok().flatten();
        let (_get, _value, _of, Edn::Vector(among)) = (form()?, form()?, form()?, form()?) else { return None };
        let number = |text: &Edn<'_>| {
            let text = text.canonical();
            names.iter().position(|name| *name == text).and_then(|number| u32::try_from(number).ok())
        };
        let mut among = among.iter().map(number).collect::<Option<Vec<u32>>>()?;
        among.sort_unstable();
        let weaker = AppendOp::Saw { value, among: among.into_boxed_slice() };
        (self.say(&weaker, names) == said).then_some(weaker)
    }
}
