//! Many objects in one history: which key an operation is of.
//!
//! Jepsen lifts a test of one object to many by pairs `[key value]`, which look like any other value unless they are tagged
//! `#jepsen.independent.Tuple`. What decides is what an operation that needs no value was invoked with: `nil` or `[key nil]`.
//! Where nothing decides, the user must.

use std::collections::BTreeMap;

use crate::edn::Edn;
use crate::error::ParseError;
use crate::join::{Call, Ended};
use crate::object::Keys;

/// Where the keys of the calls stand.
///
/// # Errors
/// If calls contradict each other, or nothing tells.
pub(crate) fn find(calls: &[Call<'_>]) -> Result<Keys, ParseError> {
    if calls.iter().any(|call| call.key.is_some()) {
        return Ok(Keys::Field);
    }
    if calls.iter().any(|call| is_tuple(&call.value)) {
        return Ok(Keys::Pairs);
    }
    let pair = |form: &Edn<'_>| form.items().is_some_and(|items| items.len() == 2);
    let empty = |call: &&Call<'_>| matches!(call.f, "read" | "acquire" | "release" | "get");
    let lifts = |call: &&Call<'_>| matches!(call.value.items(), Some([_, Edn::Nil]));
    let lifted = calls.iter().filter(empty).find(lifts);
    let plain = calls.iter().filter(empty).find(|call| !pair(&call.value));
    match (plain, lifted) {
        (Some(plain), Some(lifted)) => Err(ParseError::NotAHistory {
            line: lifted.invoked_line.max(plain.invoked_line),
            what: format!(
                "the operation of line {} is on a key, as a pair [key value], and that of line {} is not; say --keys none or \
                 --keys pairs",
                lifted.invoked_line, plain.invoked_line
            ),
        }),
        (Some(_), None) => Ok(Keys::None),
        (None, Some(_)) => Ok(Keys::Pairs),
        (None, None) => match calls.first() {
            // A cas of a key holds a pair in its pair.
            Some(call) if calls.iter().all(|call| could_be_lifted(call)) => Err(ParseError::NotAHistory {
                line: call.invoked_line,
                what: "values are pairs: are they [key value], or values? say --keys pairs or --keys none".to_owned(),
            }),
            Some(_) | None => Ok(Keys::None),
        },
    }
}

/// Whether a value says itself that it is a key with its value.
fn is_tuple(value: &Edn<'_>) -> bool {
    matches!(value, Edn::Tagged(tag, _) if tag.starts_with("jepsen.independent"))
}

/// Whether what was asked for may be on a key.
fn could_be_lifted(call: &Call<'_>) -> bool {
    match call.value.items() {
        Some([_, value]) => call.f != "cas" || value.items().is_some_and(|items| items.len() == 2),
        Some(_) | None => false,
    }
}

/// A call without its key.
#[derive(Debug)]
pub(crate) struct Keyed<'a> {
    /// The place of its object.
    pub(crate) object: usize,
    pub(crate) call: Call<'a>,
}

/// Takes the keys off the calls. Also returns the keys, in the order in which they come; `None` if there is one object
/// without a name.
///
/// # Errors
/// If a call has no key, or is answered for another.
pub(crate) fn split(calls: Vec<Call<'_>>, keys: Keys) -> Result<(Vec<Option<String>>, Vec<Keyed<'_>>), ParseError> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut names: Vec<Option<String>> = Vec::new();
    let mut split = Vec::with_capacity(calls.len());
    let keyed = calls.iter().any(|call| call.key.is_some());
    for mut call in calls {
        let key = match keys {
            Keys::None => {
                if names.is_empty() {
                    names.push(None);
                }
                split.push(Keyed { object: 0, call });
                continue;
            }
            Keys::Field => call.key.take().ok_or_else(|| ParseError::Value {
                line: call.invoked_line,
                what: format!(
                    "this :{} has no :key{}",
                    call.f,
                    if keyed { ", and others have" } else { ", nor has any" }
                ),
            })?,
            Keys::Pairs => {
                let (key, value) = pair(std::mem::replace(&mut call.value, Edn::Nil), call.invoked_line)?;
                call.value = value;
                if let (Ended::Ok(answer), Some((_, line))) = (&mut call.ended, call.answered) {
                    let told = std::mem::replace(answer, Edn::Nil);
                    // The answer of what isn't read may be anything.
                    if matches!(call.f, "read" | "get")
                        || is_tuple(&told)
                        || told.items().is_some_and(|items| items.len() == 2)
                    {
                        let (answered, value) = pair(told, line)?;
                        if answered.canonical() != key.canonical() {
                            let (asked, told) = (key.canonical(), answered.canonical());
                            let what = format!(
                                "the answer is for key {told}, and line {} asked for {asked}",
                                call.invoked_line
                            );
                            return Err(ParseError::Value { line, what });
                        }
                        *answer = value;
                    }
                }
                key
            }
        };
        let key = key.canonical();
        let object = *places.entry(key.clone()).or_insert_with(|| {
            names.push(Some(key));
            names.len() - 1
        });
        split.push(Keyed { object, call });
    }
    Ok((names, split))
}

fn pair(form: Edn<'_>, line: usize) -> Result<(Edn<'_>, Edn<'_>), ParseError> {
    let mut form = form.untagged();
    if let Edn::Vector(items) = &mut form
        && items.len() == 2
        && let (Some(value), Some(key)) = (items.pop(), items.pop())
    {
        return Ok((key, value));
    }
    Err(ParseError::Value { line, what: format!("a pair [key value] is expected, and this is {}", form.canonical()) })
}
