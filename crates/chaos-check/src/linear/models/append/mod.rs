//! A string with `put s`, `append s`, `get`; empty at first. The key-value logs that Porcupine is tested with are of this kind.
//!
//! ```text
//!  put "a"     |----|
//!  append "b"        |-----|
//!  append "c"            |----|
//!  get "ac"                     |----|     ⇒ b came after c, and after the get; but it was over before
//! ```
//!
//! The model is built from the history, strings and all ([`Append::new`]): it knows the states that matter, which are the
//! prefixes of observed values that the history's puts and appends lead to (`trie`). All others are one dead state, and an
//! append that nobody observed kills whatever is there: an exact look-ahead, without which the search drowns.
//!
//! *The polynomial path* (`blocks`) is exact where it can be told how each observed value came about (tokens that can't be
//! confused, and each observed put done once). An append is then a compare-and-swap from the prefix that it is known to have
//! found; a put and the appends that were observed on top of it are a block that nothing interrupts, ordered within; and blocks
//! are ordered like the clusters of a register (Gibbons and Korach, "Testing shared memories", 1997). O(n log n). A token that
//! was appended more than once is given to the append that can only have been it; where several can, one way is tried, and if
//! that fails the engine decides.
//!
//! What `fail` means: a put or an append that failed did not happen, a get that failed saw nothing; leave them out.
//! Refused: values that aren't strings, and any operation that cuts or reverses.

mod blocks;
mod plan;
mod trie;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use self::trie::{ROOT, Trie};
use super::list::List;
use crate::linear::decision::Shortcut;
use crate::linear::entry::Op;
use crate::linear::model::{Effect, Model};

/// What was done, as recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Replaced the string by this one.
    Put(&'a str),
    /// Added this at the end.
    Append(&'a str),
    /// Saw this. Of a get without an answer nothing is known: leave it out.
    Get(&'a str),
}

impl<'a> Call<'a> {
    fn text(&self) -> &'a [u8] {
        let (Self::Put(text) | Self::Append(text) | Self::Get(text)) = self;
        text.as_bytes()
    }
}

/// One string of one history.
#[derive(Clone, Debug)]
pub struct Append {
    trie: Trie,
    /// How many texts its gets saw.
    seen: usize,
}

/// What was done to a string. Texts are numbered by [`Append::new`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppendOp {
    /// Replaced it by this text.
    Put(u32),
    /// Added this text at the end.
    Append(u32),
    /// Saw this text.
    Get(u32),
    /// Weaker than a get: the same put and, of the appends of these texts only, the same ones in the same order were there.
    /// Nobody records it.
    Saw {
        /// What the get saw.
        value: u32,
        /// Texts of appends, ascending.
        among: Box<[u32]>,
    },
    /// A get of what no puts and appends of this history make. Nobody records it.
    Torn(u32),
    /// A normal form, which the engine sees. Nobody records it.
    Normal(NormalAppend),
}

/// What a put, an append or a get comes down to in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NormalAppend {
    /// Leads to this state, wherever from.
    Become(u32),
    /// Leads to the dead state.
    Lose {
        /// Whether nothing but an overwrite is possible there.
        hidden: bool,
    },
    /// Leads from one state to another, and is possible nowhere else.
    Step {
        /// The state before.
        from: u32,
        /// The state after.
        to: u32,
    },
    /// Appends this text.
    Extend {
        /// The text.
        token: u32,
        /// Whether all appends of this text were observed, so that none leads to the dead state.
        alive: bool,
    },
    /// Found this state.
    At(u32),
}

/// What the string consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendState {
    /// The node of its text; `None` if that can't lead to anything observed.
    place: Option<u32>,
    /// The put that it begins with and the appends, last first. Empty in the first state and after normal forms.
    list: List<Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    text: u32,
    put: bool,
    /// Of all texts up to here, in their order: lists that end alike are many.
    digest: u64,
}

impl AppendState {
    fn at(place: Option<u32>) -> Self {
        Self { place, list: List::default() }
    }

    /// `list` with one more text at its end.
    fn with(place: Option<u32>, list: &List<Cell>, text: u32, put: bool) -> Self {
        let digest = list.last().map_or(0, |last| last.digest);
        let digest =
            (digest ^ u64::from(text) << 1 ^ u64::from(put)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        Self { place, list: list.with(Cell { text, put, digest }) }
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.list.iter()
    }
}

impl Hash for AppendState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.place, self.list.last().map(|cell| cell.digest)).hash(state);
    }
}

impl Append {
    /// The model of a history, and its operations in the model's terms, in the same order.
    ///
    /// # Panics
    /// If the observed values have 2³² bytes or more.
    #[must_use]
    pub fn new(calls: &[Call<'_>]) -> (Self, Vec<AppendOp>) {
        let (trie, numbers) = Trie::new(calls);
        let op = |(call, number): (&Call<'_>, u32)| match call {
            Call::Put(_) => AppendOp::Put(number),
            Call::Append(_) => AppendOp::Append(number),
            Call::Get(_) => AppendOp::Get(number),
        };
        let ops: Vec<AppendOp> = calls.iter().zip(numbers).map(op).collect();
        (Self { trie, seen: seen(&ops) }, ops)
    }

    /// The model of a part of the history, with the same numbers: fewer values were observed, so that fewer states matter.
    #[must_use]
    pub fn of_part<'a>(&self, ops: impl IntoIterator<Item = &'a AppendOp> + Clone) -> Self {
        let mut kinds: [Vec<u32>; 3] = Default::default();
        let seen = seen(ops.clone());
        for op in ops {
            match op {
                AppendOp::Put(text) => kinds[0].push(*text),
                AppendOp::Append(text) => kinds[1].push(*text),
                AppendOp::Get(text) | AppendOp::Saw { value: text, .. } | AppendOp::Torn(text) => kinds[2].push(*text),
                AppendOp::Normal(_) => {}
            }
        }
        Self { trie: Trie::of(Arc::clone(&self.trie.texts), kinds), seen }
    }

    /// The text of this number.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        std::str::from_utf8(self.trie.texts.text(number)).expect("it was given as a string")
    }

    /// Whether `value` consists of the same put as the list and, of the appends `among` all, of the same ones in the same order;
    /// or may.
    fn agrees(&self, state: &AppendState, value: u32, among: &[u32]) -> bool {
        let Some(node) = self.trie.observed(value) else { return false };
        let known = self.trie.node(node);
        let among = |token: &u32| among.binary_search(token).is_ok();
        let head = state.cells().last().filter(|cell| cell.put).map(|cell| cell.text);
        let tokens = || state.cells().filter(|cell| !cell.put).map(|cell| cell.text).filter(among);
        let path = || self.trie.path(node).map(|(token, _)| token);
        head == known.head && tokens().eq(path().filter(among))
            || known.doubt && head.is_none() && tokens().eq(path().chain(known.head).filter(among))
    }

    fn after(&self, place: Option<u32>, token: u32) -> Option<u32> {
        place.and_then(|place| self.trie.after(place, token))
    }
}

/// How many texts gets saw.
fn seen<'a>(ops: impl IntoIterator<Item = &'a AppendOp>) -> usize {
    let mut texts: Vec<u32> = Vec::new();
    for op in ops {
        match op {
            AppendOp::Get(text) => texts.push(*text),
            AppendOp::Put(_) | AppendOp::Append(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => {
            }
        }
    }
    texts.sort_unstable();
    texts.dedup();
    texts.len()
}

impl Model for Append {
    type Op = AppendOp;
    type State = AppendState;

    fn initial(&self) -> AppendState {
        AppendState::at(Some(ROOT))
    }

    fn apply(&self, state: &AppendState, op: &AppendOp) -> Option<AppendState> {
        match *op {
            AppendOp::Put(text) => Some(AppendState::with(self.trie.put(text), &List::default(), text, true)),
            AppendOp::Append(text) if self.trie.texts.text(text).is_empty() => Some(state.clone()),
            AppendOp::Append(text) => Some(AppendState::with(self.after(state.place, text), &state.list, text, false)),
            AppendOp::Get(text) => {
                state.place.is_some_and(|place| self.trie.observed(text) == Some(place)).then(|| state.clone())
            }
            AppendOp::Saw { value, ref among } => self.agrees(state, value, among).then(|| state.clone()),
            AppendOp::Torn(_) => None,
            AppendOp::Normal(normal) => match normal {
                NormalAppend::Become(place) => Some(AppendState::at(Some(place))),
                NormalAppend::Lose { .. } => Some(AppendState::at(None)),
                NormalAppend::Step { from, to } => (state.place == Some(from)).then(|| AppendState::at(Some(to))),
                NormalAppend::Extend { token, alive } => {
                    let after = self.after(state.place, token);
                    (after.is_some() || !alive).then(|| AppendState::at(after))
                }
                NormalAppend::At(place) => (state.place == Some(place)).then(|| state.clone()),
            },
        }
    }

    fn effect(&self, op: &AppendOp) -> Effect {
        match op {
            AppendOp::Put(_) | AppendOp::Normal(NormalAppend::Become(_)) => Effect::Overwrite { hidden: false },
            AppendOp::Normal(NormalAppend::Lose { hidden }) => Effect::Overwrite { hidden: *hidden },
            AppendOp::Append(text) if self.trie.texts.text(*text).is_empty() => Effect::ReadOnly,
            AppendOp::Append(_) | AppendOp::Normal(NormalAppend::Step { .. } | NormalAppend::Extend { .. }) => {
                Effect::Update
            }
            AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(NormalAppend::At(_)) => {
                Effect::ReadOnly
            }
        }
    }

    fn shortcut(&self, ops: &[Op<AppendOp>]) -> Shortcut {
        let what = ops.iter().map(|op| &op.what);
        if seen(what.clone()) == self.seen {
            return blocks::decide(&self.trie, ops);
        }
        // A part of the history: what only the rest observed must not count.
        blocks::decide(&self.of_part(what).trie, ops)
    }

    fn normalise(&self, ops: &[Op<AppendOp>]) -> Option<Vec<Op<AppendOp>>> {
        blocks::normalise(&self.trie, ops, seen(ops.iter().map(|op| &op.what)) == self.seen)
    }

    fn independent(&self, kept: &AppendOp, dropped: &AppendOp) -> bool {
        let value = match kept {
            AppendOp::Put(_) | AppendOp::Append(_) | AppendOp::Torn(_) => return true,
            AppendOp::Get(value) | AppendOp::Saw { value, .. } => self.trie.texts.text(*value),
            AppendOp::Normal(_) => return false,
        };
        match (dropped, kept) {
            (AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_), _) => true,
            // The last put before an observation is what the observed value begins with.
            (AppendOp::Put(text), _) => !value.starts_with(self.trie.texts.text(*text)),
            (AppendOp::Append(text), AppendOp::Saw { among, .. }) => among.binary_search(text).is_err(),
            (AppendOp::Append(text), _) => {
                let token = self.trie.texts.text(*text);
                token.is_empty() || !value.windows(token.len()).any(|part| part == token)
            }
            (AppendOp::Normal(_), _) => false,
        }
    }

    fn weaker_beside(&self, op: &AppendOp, others: &[&AppendOp]) -> Vec<AppendOp> {
        let AppendOp::Get(value) = *op else { return Vec::new() };
        let Some(node) = self.trie.observed(value) else { return vec![AppendOp::Torn(value)] };
        if !self.trie.node(node).unique {
            return Vec::new();
        }
        let token = |other: &&AppendOp| match *other {
            AppendOp::Append(text) => Some(*text).filter(|text| !self.trie.texts.text(*text).is_empty()),
            AppendOp::Put(_) | AppendOp::Get(_) | AppendOp::Saw { .. } | AppendOp::Torn(_) | AppendOp::Normal(_) => {
                None
            }
        };
        let mut among: Vec<u32> = others.iter().filter_map(token).collect();
        among.sort_unstable();
        among.dedup();
        vec![AppendOp::Saw { value, among: among.into() }]
    }

    fn is_weaker(&self, op: &AppendOp, weaker: &AppendOp) -> bool {
        let AppendOp::Get(value) = op else { return false };
        let node = self.trie.observed(*value);
        match weaker {
            AppendOp::Saw { value: of, .. } => value == of && node.is_some_and(|node| self.trie.node(node).unique),
            AppendOp::Torn(of) => value == of && node.is_none(),
            AppendOp::Put(_) | AppendOp::Append(_) | AppendOp::Get(_) | AppendOp::Normal(_) => false,
        }
    }
}
