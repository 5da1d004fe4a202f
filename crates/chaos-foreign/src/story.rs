//! Counterexamples told to people: the operations of each kind of object as deeds, for `chaos-check` to explain.
//!
//! A story is told only where it is true of the kind: a lock here has no owner, and a put makes an append be gone without
//! anybody having lost it. Where that is in doubt, operations are described in words that no story is made of.
//!
//! Refuses to cut values or to make them harmless: they are compared here. A value of a string is taken apart in O(its length ×
//! the number of lengths that the texts of its appends have).

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use chaos_check::linear::explain::{Deed, Described, Explanation, Scene, explain};
use chaos_check::linear::models::{Append, AppendOp, BareMutex, BareMutexOp, Register, RegisterOp, Set, SetOp};
use chaos_check::linear::{Entry, Kept};
use chaos_history::RunNanos;

use crate::chaos::CONTRADICTION;
use crate::edn::Edn;
use crate::object::{Object, Parsed, Refusal, Words};

/// Longer values of strings are not taken apart.
const BYTES_MAX: usize = 1 << 16;

/// A kind of object whose counterexamples can be told.
pub(crate) trait Story: Words + Sized {
    /// What it is called if it has no key.
    const NOUN: &'static str;

    /// What it was at first: `held nothing`.
    fn initially(object: &Object<Self>) -> String;

    /// What the operation at a place of the entries did.
    fn deed(core: &Core<'_, Self>, place: u32) -> Deed;

    /// What is to be said of an answer that is impossible by itself.
    fn fate(core: &Core<'_, Self>) -> Option<String>;

    /// A better sentence than the one of the explanation.
    fn sentence(core: &Core<'_, Self>, scene: &Scene, explanation: &Explanation) -> Option<String>;
}

/// A counterexample of an object.
pub(crate) struct Core<'a, M: Story> {
    parsed: &'a Parsed,
    object: &'a Object<M>,
    kept: &'a [Kept<M::Op>],
    /// Whether no two events of the object share a line.
    by_line: bool,
}

impl<M: Story> Core<'_, M> {
    /// An operation, as recorded.
    fn entry(&self, place: u32) -> &Entry<M::Op> {
        &self.object.entries[place as usize]
    }

    /// The operations as recorded, with their places.
    fn entries(&self) -> impl Iterator<Item = (u32, &Entry<M::Op>)> {
        self.kept.iter().map(|kept| (kept.index, self.entry(kept.index)))
    }

    /// What was invoked before an operation was over, anywhere in the object.
    fn begun_by(&self, place: u32) -> impl Iterator<Item = &M::Op> {
        let over = self.entry(place).answered.unwrap_or(u64::MAX);
        self.object.entries.iter().filter(move |entry| entry.invoked <= over).map(|entry| &entry.what)
    }

    fn process(&self, place: u32) -> u32 {
        self.object.sources[place as usize].process
    }

    fn who(&self, place: u32) -> String {
        self.parsed.actors[self.process(place) as usize].clone()
    }

    /// An operation in words that no story is made of.
    fn plain(&self, place: u32) -> Deed {
        let said = self.object.model.say(&self.entry(place).what, &self.object.names);
        Deed::Other { order: said.clone(), fact: format!("did: {said}") }
    }

    fn described(&self, place: u32) -> Described {
        let (entry, source) = (self.entry(place), self.object.sources[place as usize]);
        let instant = |at: u64, line: u32| match (self.parsed.nanoseconds, self.by_line) {
            (true, _) => RunNanos(at).to_string(),
            // The order of the file is the order of time.
            (false, true) => format!("line {line}"),
            (false, false) => format!("event {at}"),
        };
        let ended_line = source.ended_line.map_or(source.invoked_line, NonZeroU32::get);
        Described {
            who: self.who(place),
            deed: M::deed(self, place),
            asked: instant(entry.invoked, source.invoked_line),
            asked_line: Some(source.invoked_line as usize),
            answered: entry.answered.map(|at| instant(at, ended_line)),
            answered_line: source.ended_line.map(|ended| ended.get() as usize),
            term: None,
        }
    }
}

/// Explains a counterexample.
pub(crate) fn tell<M: Story>(parsed: &Parsed, object: &Object<M>, kept: &[Kept<M::Op>]) -> Explanation {
    let mut lines: Vec<u32> = object
        .sources
        .iter()
        .flat_map(|source| [Some(source.invoked_line), source.ended_line.map(NonZeroU32::get)])
        .flatten()
        .collect();
    lines.sort_unstable();
    let core = Core { parsed, object, kept, by_line: lines.windows(2).all(|pair| pair[0] < pair[1]) };
    let scene = Scene {
        object: object.key.as_ref().map_or_else(|| M::NOUN.to_owned(), |key| format!("key {key}")),
        initially: M::initially(object),
        fate: if kept.len() == 1 { M::fate(&core) } else { None },
    };
    let told = explain(&object.model, &object.entries, kept, &scene, |place| core.described(place));
    match M::sentence(&core, &scene, &told) {
        Some(sentence) => Explanation { sentence, ..told },
        None => told,
    }
}

impl Story for Register {
    const NOUN: &'static str = "the register";

    fn initially(object: &Object<Self>) -> String {
        format!("held {}", object.names.first().map_or("nil", String::as_str))
    }

    fn deed(core: &Core<'_, Self>, place: u32) -> Deed {
        let object = core.object;
        let name = |number: u32| object.names.get(number as usize).map_or("?", String::as_str);
        let refusal = object.refusals.get(&place);
        match (core.entry(place).what, refusal) {
            (RegisterOp::Read(seen), Some(Refusal { expect, new })) => {
                Deed::Refused { expect: Some(expect.clone()), new: new.clone(), saw: Some(name(seen).to_owned()) }
            }
            (RegisterOp::Refused { .. }, Some(Refusal { expect, new })) => {
                Deed::Refused { expect: Some(expect.clone()), new: new.clone(), saw: None }
            }
            (RegisterOp::Read(seen), None) => Deed::Read { saw: Some(name(seen).to_owned()) },
            (RegisterOp::Write(new), _) => Deed::Write { value: name(new).to_owned() },
            (RegisterOp::Cas { expect, new }, _) => {
                Deed::Cas { expect: Some(name(expect).to_owned()), new: name(new).to_owned() }
            }
            (RegisterOp::Refused { .. } | RegisterOp::Ousted { .. }, _) => core.plain(place),
        }
    }

    fn fate(core: &Core<'_, Self>) -> Option<String> {
        let [only] = core.kept else { return None };
        let RegisterOp::Cas { expect, .. } = core.entry(only.index).what else { return None };
        let initial = core.object.names.first().filter(|_| expect != 0 && !core.parsed.nanoseconds)?;
        let expect = core.object.names.get(expect as usize)?;
        Some(format!(
            "a value that nobody had written by then (it is taken to hold {initial} at first; if that was another value, say so, as \
             --initial {expect})"
        ))
    }

    fn sentence(core: &Core<'_, Self>, scene: &Scene, _explanation: &Explanation) -> Option<String> {
        let [only] = core.kept else { return None };
        let RegisterOp::Read(seen) = core.entry(only.index).what else { return None };
        let answer = core.object.names.get(seen as usize).filter(|name| name.starts_with(CONTRADICTION))?;
        Some(format!("{} was given {answer}, at {}", core.who(only.index), scene.object))
    }
}

impl Story for BareMutex {
    const NOUN: &'static str = "the lock";

    fn initially(_object: &Object<Self>) -> String {
        "was free".to_owned()
    }

    fn deed(core: &Core<'_, Self>, place: u32) -> Deed {
        match core.entry(place).what {
            BareMutexOp::Acquire => Deed::Acquire { token: None, until: None },
            BareMutexOp::Release => Deed::Release { token: None },
            BareMutexOp::Busy | BareMutexOp::Hold | BareMutexOp::Free => core.plain(place),
        }
    }

    fn fate(_core: &Core<'_, Self>) -> Option<String> {
        None
    }

    /// The stories about holders are about owners. Where somebody else releases, which is allowed here, they don't fit.
    fn sentence(core: &Core<'_, Self>, scene: &Scene, explanation: &Explanation) -> Option<String> {
        let acquired = |process: u32| {
            core.entries().any(|(place, entry)| entry.what == BareMutexOp::Acquire && core.process(place) == process)
        };
        let acquires = core.entries().any(|(_, entry)| entry.what == BareMutexOp::Acquire);
        let another =
            core.entries().any(|(place, entry)| entry.what == BareMutexOp::Release && !acquired(core.process(place)));
        let culprit = core.kept.get(explanation.partial.culprit?)?.index;
        let (did, state) = match core.entry(culprit).what {
            BareMutexOp::Acquire => ("acquired", "free"),
            BareMutexOp::Release => ("released", "held"),
            BareMutexOp::Busy | BareMutexOp::Hold | BareMutexOp::Free => return None,
        };
        (acquires && another).then(|| {
            format!(
                "{} {did} {}, which no order of the other acquires and releases leaves {state} for it",
                core.who(culprit),
                scene.object
            )
        })
    }
}

impl Story for Set {
    const NOUN: &'static str = "the set";

    fn initially(_object: &Object<Self>) -> String {
        "was empty".to_owned()
    }

    fn deed(core: &Core<'_, Self>, place: u32) -> Deed {
        let object = core.object;
        let name = |number: u32| object.names.get(number as usize).map_or("?", String::as_str).to_owned();
        match &core.entry(place).what {
            SetOp::Add(element) => Deed::Add { element: name(*element) },
            SetOp::Read(read) => {
                let seen = object.model.elements(*read).iter();
                Deed::Elements { seen: seen.map(|element| name(*element)).collect(), others: 0 }
            }
            SetOp::Contains { .. } | SetOp::Sees { .. } => core.plain(place),
        }
    }

    fn fate(_core: &Core<'_, Self>) -> Option<String> {
        None
    }

    /// A read that saw what can't have been there stays whole, with all adds of what else it saw: nothing is said of these.
    fn sentence(core: &Core<'_, Self>, scene: &Scene, _explanation: &Explanation) -> Option<String> {
        core.kept.iter().find_map(|kept| {
            let SetOp::Read(read) = kept.entry.what else { return None };
            let added: BTreeSet<&SetOp> = core.begun_by(kept.index).collect();
            let mut seen = core.object.model.elements(read).iter();
            let invented = seen.find(|element| !added.contains(&SetOp::Add(**element)))?;
            let (who, element) = (core.who(kept.index), core.object.names.get(*invented as usize)?);
            Some(format!("{who} found {element} in {}, which nobody had added by then", scene.object))
        })
    }
}

fn quoted(text: &str) -> String {
    Edn::Str(text).canonical()
}

impl Story for Append {
    const NOUN: &'static str = "the string";

    fn initially(_object: &Object<Self>) -> String {
        "was empty".to_owned()
    }

    fn deed(core: &Core<'_, Self>, place: u32) -> Deed {
        let entry = core.entry(place);
        // Behind every put, an element that was there stays there.
        let is_put = |entry: &&Entry<AppendOp>| matches!(entry.what, AppendOp::Put(_));
        let puts_are_over = || {
            let mut puts = core.entries().map(|(_, entry)| entry).filter(is_put);
            puts.all(|put| put.answered.is_some_and(|answered| answered < entry.invoked))
        };
        let text = |number: u32| core.object.model.text(number);
        match entry.what {
            AppendOp::Put(new) => {
                let said = format!("put {}", quoted(text(new)));
                Deed::Other { order: said.clone(), fact: said }
            }
            AppendOp::Append(new) if puts_are_over() => Deed::Append { element: quoted(text(new)) },
            AppendOp::Append(new) => {
                let new = quoted(text(new));
                Deed::Other { order: format!("append {new}"), fact: format!("appended {new}") }
            }
            AppendOp::Get(seen) => {
                let pieces =
                    if core.kept.len() > 1 && puts_are_over() { pieces(core.object, text(seen)) } else { None };
                match pieces {
                    Some(pieces) => Deed::Sequence { seen: pieces.into_iter().map(quoted).collect() },
                    None => Deed::Read { saw: Some(quoted(text(seen))) },
                }
            }
            AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => core.plain(place),
        }
    }

    fn fate(_core: &Core<'_, Self>) -> Option<String> {
        Some("which no puts and appends that had begun by then make up".to_owned())
    }

    fn sentence(_core: &Core<'_, Self>, _scene: &Scene, _explanation: &Explanation) -> Option<String> {
        None
    }
}

/// The texts of puts and appends that a value consists of, if it can be told.
fn pieces<'a>(object: &'a Object<Append>, value: &'a str) -> Option<Vec<&'a str>> {
    if value.len() > BYTES_MAX {
        return None;
    }
    let texts = |put: bool| -> BTreeSet<&str> {
        let text = |entry: &Entry<AppendOp>| match entry.what {
            AppendOp::Put(text) if put => Some(object.model.text(text)),
            AppendOp::Append(text) => Some(object.model.text(text)),
            AppendOp::Put(_) | AppendOp::Get(_) | AppendOp::Saw { .. } => None,
            AppendOp::Torn(_) | AppendOp::Normal(_) => None,
        };
        object.entries.iter().filter_map(text).filter(|text| !text.is_empty()).collect()
    };
    let (first, others) = (texts(true), texts(false));
    let lengths: BTreeSet<usize> = first.iter().map(|text| text.len()).collect();
    // From the end: in how many ways (none, one, or more) what is left can be made of appends, and the first piece of one.
    let mut ways: Vec<(u8, usize)> = vec![(0, 0); value.len() + 1];
    ways[value.len()] = (1, 0);
    for from in (0..value.len()).rev() {
        let known = if from == 0 { &first } else { &others };
        for length in lengths.iter().take_while(|length| from + **length <= value.len()) {
            if value.get(from..from + length).is_some_and(|piece| known.contains(piece)) {
                let more = ways[from + length].0;
                if more > 0 {
                    ways[from] = ((ways[from].0 + more).min(2), *length);
                }
            }
        }
    }
    if ways[0].0 != 1 {
        return None;
    }
    let (mut pieces, mut rest) = (Vec::new(), 0);
    while rest < value.len() {
        let length = ways[rest].1;
        pieces.push(&value[rest..rest + length]);
        rest += length;
    }
    Some(pieces)
}
