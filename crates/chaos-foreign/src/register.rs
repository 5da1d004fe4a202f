//! Registers of `:read`, `:write` and `:cas`.
//!
//! A read without an answer says nothing. A cas that failed says what the caller of [`build`] has declared: either that the
//! register held something else, or nothing.

use chaos_check::linear::models::{Register, RegisterOp};

use crate::build::{self, Meaning, Names};
use crate::edn::Edn;
use crate::error::ParseError;
use crate::join::Ended;
use crate::keys::Keyed;
use crate::object::{Counts, FailedCas, Object, Refusal, Words};

/// The registers of the calls. `initial` is what each holds at first, as text.
///
/// # Errors
/// If a call is none of a register.
pub(crate) fn build(
    keys: Vec<Option<String>>,
    calls: Vec<Keyed<'_>>,
    counts: &mut Counts,
    failed_cas: FailedCas,
    initial: &str,
) -> Result<Vec<Object<Register>>, ParseError> {
    let new = || Names::starting_with(initial.to_owned());
    let drafts = build::drafts(keys, calls, counts, new, |keyed, names| meaning(keyed, names, failed_cas))?;
    Ok(drafts.into_iter().map(|draft| draft.finish(|names| (Register, names))).collect())
}

fn meaning(keyed: &Keyed<'_>, names: &mut Names, failed_cas: FailedCas) -> Result<Meaning<RegisterOp>, ParseError> {
    let call = &keyed.call;
    let op = match call.f {
        "read" => {
            return Ok(match &call.ended {
                Ended::Ok(value) => Meaning::Answered(RegisterOp::Read(names.number(value))),
                Ended::Fail { .. } | Ended::Unknown => Meaning::UnknownRead,
            });
        }
        "write" => RegisterOp::Write(names.number(&call.value)),
        _ if matches!((&call.ended, failed_cas), (Ended::Fail { .. }, FailedCas::DidNotHappen)) => {
            return Ok(Meaning::DidNotHappen);
        }
        _ => {
            let Some([expect, new]) = call.value.items() else {
                let line = call.invoked_line;
                let what = format!("a cas is of two values, [expected new], and this is of {}", call.value.canonical());
                return Err(ParseError::Value { line, what });
            };
            if let (Ended::Fail { error: false }, FailedCas::SawAnother) = (&call.ended, failed_cas) {
                let refusal = Refusal { expect: expect.canonical(), new: new.canonical() };
                return Ok(Meaning::Refused(RegisterOp::Refused { unlike: names.number(expect) }, refusal));
            }
            RegisterOp::Cas { expect: names.number(expect), new: names.number(new) }
        }
    };
    Ok(match call.ended {
        Ended::Ok(_) => Meaning::Answered(op),
        Ended::Fail { .. } => Meaning::DidNotHappen,
        Ended::Unknown => Meaning::Unanswered(op),
    })
}

impl Words for Register {
    fn say(&self, op: &RegisterOp, names: &[String]) -> String {
        let name = |content: u32| names.get(content as usize).map_or("?", String::as_str);
        match *op {
            RegisterOp::Read(seen) => format!("read {}", name(seen)),
            RegisterOp::Write(new) => format!("write {}", name(new)),
            RegisterOp::Cas { expect, new } => format!("cas {} {}", name(expect), name(new)),
            RegisterOp::Refused { unlike } => format!("cas refused, not {}", name(unlike)),
            RegisterOp::Ousted { unlike } => format!("cas refused, {} overwritten", name(unlike)),
        }
    }
}

/// What a register holds at first, in the form in which values are compared.
///
/// # Errors
/// If the text is not one form.
pub(crate) fn initial(text: &str) -> Result<String, String> {
    let mut reader = crate::edn::Reader::new(text, 1);
    match (reader.plain(), reader.plain()) {
        (Ok(Some(form)), Ok(None)) => Ok(Edn::canonical(&form)),
        (Ok(_) | Err(_), _) => Err(format!("`{text}` is not one value, such as nil, 0 or \"a\"")),
    }
}
