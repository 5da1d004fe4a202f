//! From calls to objects of a kind: what every kind has in common.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use chaos_check::linear::{Entry, Model};

use crate::edn::Edn;
use crate::error::ParseError;
use crate::keys::Keyed;
use crate::object::{Counts, Object, Refusal, Source};

/// What a call says about its object.
pub(crate) enum Meaning<T> {
    /// This was done, as answered.
    Answered(T),
    /// This was seen, as answered by a cas that was refused.
    Refused(T, Refusal),
    /// This may have been done at any time since, or never.
    Unanswered(T),
    /// Nothing: it did not happen.
    DidNotHappen,
    /// Nothing: it would only have looked, and nobody knows what it saw.
    UnknownRead,
}

/// The texts of an object's values, by number.
#[derive(Debug)]
pub(crate) struct Names {
    numbers: BTreeMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    /// Names of which the first is given.
    pub(crate) fn starting_with(first: String) -> Self {
        Self { numbers: BTreeMap::from([(first.clone(), 0)]), names: vec![first] }
    }

    /// No names yet.
    pub(crate) fn none() -> Self {
        Self { numbers: BTreeMap::new(), names: Vec::new() }
    }

    /// The number of a value.
    pub(crate) fn number(&mut self, value: &Edn<'_>) -> u32 {
        self.number_of(value.canonical())
    }

    /// The number of a text.
    pub(crate) fn number_of(&mut self, text: String) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("a text of 4 GiB has fewer values");
        self.names.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// The texts.
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.names
    }
}

/// An object under construction: what its operations say, in terms of `T`, and what was learned on the way, `S`.
pub(crate) struct Draft<T, S> {
    pub(crate) key: Option<String>,
    pub(crate) state: S,
    pub(crate) entries: Vec<Entry<T>>,
    pub(crate) sources: Vec<Source>,
    pub(crate) refusals: BTreeMap<u32, Refusal>,
}

impl<T, S> Draft<T, S> {
    /// The object, as the operations of its model.
    pub(crate) fn finish<M: Model<Op = T>>(self, model: impl FnOnce(S) -> (M, Names)) -> Object<M> {
        let (model, names) = model(self.state);
        let Self { key, entries, sources, refusals, .. } = self;
        Object { key, model, entries, sources, names: names.into_texts(), refusals }
    }
}

/// Sorts the calls by object. `meaning` says what a call is to its object.
///
/// # Errors
/// If a call means nothing to the model.
pub(crate) fn drafts<T, S>(
    keys: Vec<Option<String>>,
    calls: Vec<Keyed<'_>>,
    counts: &mut Counts,
    new: impl Fn() -> S,
    mut meaning: impl FnMut(&Keyed<'_>, &mut S) -> Result<Meaning<T>, ParseError>,
) -> Result<Vec<Draft<T, S>>, ParseError> {
    let draft = |key| Draft { key, state: new(), entries: Vec::new(), sources: Vec::new(), refusals: BTreeMap::new() };
    let mut drafts: Vec<Draft<T, S>> = keys.into_iter().map(draft).collect();
    for keyed in calls {
        counts.operations += 1;
        let draft = &mut drafts[keyed.object];
        let call = &keyed.call;
        let (what, answered) = match meaning(&keyed, &mut draft.state)? {
            Meaning::Answered(what) => (what, call.answered.map(|(at, _)| at)),
            Meaning::Refused(what, refusal) => {
                draft.refusals.insert(line(draft.entries.len()), refusal);
                (what, call.answered.map(|(at, _)| at))
            }
            Meaning::Unanswered(what) => {
                counts.used_unanswered += 1;
                (what, None)
            }
            Meaning::DidNotHappen => {
                counts.did_not_happen += 1;
                continue;
            }
            Meaning::UnknownRead => {
                counts.unknown_reads += 1;
                continue;
            }
        };
        counts.used += 1;
        draft.entries.push(Entry { what, invoked: call.invoked, answered });
        draft.sources.push(Source {
            process: call.process,
            invoked_line: line(call.invoked_line),
            ended_line: call.answered.and_then(|(_, ended)| NonZeroU32::new(line(ended))),
        });
    }
    Ok(drafts)
}

/// Lines, and with them places, are 32 bits wide: a text of more is refused before.
pub(crate) fn line(line: usize) -> u32 {
    u32::try_from(line).expect("a text of 4 GiB has fewer lines")
}
