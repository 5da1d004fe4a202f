//! Sets of `:add` and `:read`, the latter answered with all elements.

use chaos_check::linear::models::{Set, SetOp};

use crate::build::{self, Meaning, Names};
use crate::edn::{Edn, Reader};
use crate::error::ParseError;
use crate::join::Ended;
use crate::keys::Keyed;
use crate::object::{Counts, Object, Words};

/// The sets of the calls.
///
/// # Errors
/// If a read was answered with anything but a collection.
pub(crate) fn build(
    keys: Vec<Option<String>>,
    calls: Vec<Keyed<'_>>,
    counts: &mut Counts,
) -> Result<Vec<Object<Set>>, ParseError> {
    let new = || (Set::default(), Names::none());
    let drafts = build::drafts(keys, calls, counts, new, |keyed, (set, names)| meaning(keyed, set, names))?;
    Ok(drafts.into_iter().map(|draft| draft.finish(|state| state)).collect())
}

fn meaning(keyed: &Keyed<'_>, set: &mut Set, names: &mut Names) -> Result<Meaning<SetOp>, ParseError> {
    let call = &keyed.call;
    if call.f == "add" {
        let op = SetOp::Add(names.number(&call.value));
        return Ok(match call.ended {
            Ended::Ok(_) => Meaning::Answered(op),
            Ended::Fail { .. } => Meaning::DidNotHappen,
            Ended::Unknown => Meaning::Unanswered(op),
        });
    }
    let Ended::Ok(answer) = &call.ended else { return Ok(Meaning::UnknownRead) };
    let (Edn::Set(elements) | Edn::Vector(elements)) = answer.clone().untagged() else {
        return Err(ParseError::Value {
            line: call.answered.map_or(call.invoked_line, |(_, line)| line),
            what: format!(
                "the read of a set answers with its elements, this one with {} (is it a counter? they are not read)",
                answer.canonical()
            ),
        });
    };
    let elements = elements.iter().map(|element| names.number(element)).collect();
    Ok(Meaning::Answered(set.read(elements)))
}

fn list<'a>(elements: impl Iterator<Item = &'a u32>, names: &[String]) -> String {
    let texts: Vec<&str> = elements.map(|element| names.get(*element as usize).map_or("?", String::as_str)).collect();
    texts.join(" ")
}

impl Words for Set {
    fn say(&self, op: &SetOp, names: &[String]) -> String {
        let one = |element: &u32| list(std::iter::once(element), names);
        match op {
            SetOp::Add(element) => format!("add {}", one(element)),
            SetOp::Read(read) => format!("read #{{{}}}", list(self.elements(*read).iter(), names)),
            SetOp::Contains { element, present: true } => format!("has {}", one(element)),
            SetOp::Contains { element, present: false } => format!("has not {}", one(element)),
            SetOp::Sees { read, among } => {
                let elements = self.elements(*read);
                let seen = among.iter().filter(|element| elements.binary_search(element).is_ok());
                format!("read #{{{}}} of [{}]", list(seen, names), list(among.iter(), names))
            }
        }
    }

    fn said(&self, op: &SetOp, said: &str, names: &[String]) -> Option<SetOp> {
        if self.say(op, names) == said {
            return Some(op.clone());
        }
        let SetOp::Read(read) = op else { return None };
        let mut reader = Reader::new(said, 1);
        let mut form = || reader.plain().ok().flatten();
        let (_read, _seen, _of, Edn::Vector(among)) = (form()?, form()?, form()?, form()?) else { return None };
        let number = |element: &Edn<'_>| {
            let text = element.canonical();
            names.iter().position(|name| *name == text).and_then(|number| u32::try_from(number).ok())
        };
        let mut among = among.iter().map(number).collect::<Option<Vec<u32>>>()?;
        among.sort_unstable();
        let weaker = SetOp::Sees { read: *read, among: among.into_boxed_slice() };
        (self.say(&weaker, names) == said).then_some(weaker)
    }
}
