//! A counterexample in words and in a picture.
//!
//! The sentence is derived from the few operations that remain and from the one whose answer ends the longest partial order;
//! where no story fits, it says that the operations have no order. The steps give each operation with the times of its question
//! and its answer, so that a reader can try the orders for himself.
//!
//! ```text
//!   n2 read 7 for key k after 9 had been acknowledged by n1; nothing that was concurrent can explain it
//!    1. n1 wrote 9, asked at 0.010s (line 12), acknowledged at 0.020s (line 14)
//!    2. n2 read 7, asked at 0.030s (line 15), answered at 0.040s (line 17)
//!    3. the longest legal order holds n1's write 9; n2's read 7 fits nowhere
//!    4. 7 had been written by n3 (line 3), which was over before all of that began
//! ```
//!
//! The caller knows nodes, clocks and lines, and describes each operation ([`Described`]); nothing else of it is looked at
//! here. Refuses to judge: the core is taken for what the verifier says it is.

mod collections;
mod deed;
mod holders;
mod partial;
mod register;
mod steps;

pub use deed::Deed;
pub use partial::Partial;

use self::steps::steps;
use super::decision::Kept;
use super::entry::Entry;
use super::model::{Effect, Model};
use super::picture::{Picture, Place, Stroke};

/// An operation in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The node or process that did it, which is also its lane in the picture: `n2`.
    pub who: String,
    /// What it did.
    pub deed: Deed,
    /// When it was asked for: `1.204s`.
    pub asked: String,
    /// The line of the history that says so.
    pub asked_line: Option<usize>,
    /// When it was answered for certain; `None` if it never was.
    pub answered: Option<String>,
    /// The line of the history that says so, or that says that the outcome is unknown.
    pub answered_line: Option<usize>,
    /// The term that the answer names.
    pub term: Option<String>,
}

/// What the operations were done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// As a noun: `key k0`, `lock l`.
    pub object: String,
    /// What it was at first: `held nothing`, `was free`, `was empty`.
    pub initially: String,
    /// For a single operation that saw what nobody wrote: what is known of it (`the only write of which had failed for
    /// certain (line 9)`).
    pub fate: Option<String>,
}

/// A counterexample explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// One English sentence, without a period.
    pub sentence: String,
    /// The argument, one line each.
    pub steps: Vec<String>,
    /// The lines of the history that refute it by themselves, ascending.
    pub lines: Vec<usize>,
    /// The operations drawn.
    pub picture: Picture,
    /// How far a legal order comes.
    pub partial: Partial,
}

/// An operation of the counterexample.
struct Cast {
    /// Its place in the entries.
    index: u32,
    described: Described,
    invoked: u64,
    /// As recorded.
    answered: Option<u64>,
    /// Whether the refutation needs its answer.
    answer_matters: bool,
    /// Whether it stays in a weaker form.
    weaker: bool,
}

impl Cast {
    /// Whether it was over when `other` began.
    fn precedes(&self, other: &Self) -> bool {
        self.answered.is_some_and(|answered| answered < other.invoked)
    }

    fn who(&self) -> &str {
        &self.described.who
    }
}

/// Explains a core. `describe` is asked for operations by their place in `entries`: for those of the core, and for one or two
/// more.
///
/// # Panics
/// If the core names an operation that is not in `entries`.
#[must_use]
pub fn explain<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    core: &[Kept<M::Op>],
    scene: &Scene,
    describe: impl Fn(u32) -> Described,
) -> Explanation {
    let cast: Vec<Cast> = core
        .iter()
        .map(|kept| {
            let original = &entries[kept.index as usize];
            Cast {
                index: kept.index,
                described: describe(kept.index),
                invoked: original.invoked,
                answered: original.answered,
                answer_matters: kept.entry.answered.is_some(),
                weaker: original.what != kept.entry.what,
            }
        })
        .collect();
    let forms: Vec<M::Op> = core.iter().map(|kept| kept.entry.what.clone()).collect();
    let partial = partial::longest(model, &cast, &forms, entries);
    let background = background(model, entries, &cast, &partial, &describe);
    let sentence = register::story(scene, &cast, partial.culprit)
        .or_else(|| holders::story(scene, &cast, partial.culprit))
        .or_else(|| collections::story(scene, &cast, partial.culprit))
        .unwrap_or_else(|| generic(scene, &cast, partial.culprit));
    let mut lines: Vec<usize> = cast.iter().flat_map(lines).collect();
    lines.sort_unstable();
    lines.dedup();
    let steps = steps(scene, &cast, &partial, background.as_ref());
    let picture = picture(&cast, &partial, background.as_ref());
    Explanation { sentence, steps, lines, picture, partial }
}

/// The lines that the refutation rests on. An answer that is of no matter need not be looked up.
fn lines(cast: &Cast) -> impl Iterator<Item = usize> {
    let answered = if cast.answer_matters { cast.described.answered_line } else { None };
    [cast.described.asked_line, answered].into_iter().flatten()
}

/// Where the culprit's value came from, if that was over before everything that stays mattered.
fn background<M: Model>(
    model: &M,
    entries: &[Entry<M::Op>],
    cast: &[Cast],
    partial: &Partial,
    describe: &impl Fn(u32) -> Described,
) -> Option<Cast> {
    let culprit = &cast[partial.culprit?];
    let value = culprit.described.deed.saw()??;
    if cast.iter().any(|cast| cast.described.deed.brought() == Some(value)) {
        return None;
    }
    let what = &entries[culprit.index as usize].what;
    let brought = |(index, entry): (u32, &Entry<M::Op>)| {
        let before = entry.answered.is_some_and(|answered| answered < culprit.invoked);
        let may = before && model.effect(&entry.what) != Effect::ReadOnly && !model.independent(what, &entry.what);
        may.then_some((entry.invoked, index))
    };
    let (_, index) = (0_u32..).zip(entries).filter_map(brought).max()?;
    let described = describe(index);
    let entry = &entries[index as usize];
    if described.deed.brought() != Some(value) {
        return None;
    }
    let (invoked, answered) = (entry.invoked, entry.answered);
    Some(Cast { index, described, invoked, answered, answer_matters: false, weaker: false })
}

fn generic(scene: &Scene, cast: &[Cast], culprit: Option<usize>) -> String {
    let object = &scene.object;
    let Some(culprit) = culprit.map(|culprit| &cast[culprit]) else {
        // Too many orders to say how far the longest comes.
        let answered = cast.iter().filter(|cast| cast.answer_matters);
        let last = answered.max_by_key(|cast| cast.answered).map_or(String::new(), |last| {
            let line = last.described.asked_line.map_or(String::new(), |line| format!(" (line {line})"));
            format!(", the last of which is {}'s {}{line}", last.who(), last.described.deed.label())
        });
        return format!("no order of {} operations on {object} explains their answers{last}", cast.len());
    };
    let (who, fact) = (culprit.who(), culprit.described.deed.fact());
    match cast.len() {
        1 => format!("{who} {fact} at {object}, which {} and never can have answered so", scene.initially),
        2 => format!("{who} {fact} at {object}, which the one other operation concerned leaves no room for"),
        more => format!("{who} {fact} at {object}, which {} other operations leave no room for", more - 1),
    }
}

fn picture(cast: &[Cast], partial: &Partial, background: Option<&Cast>) -> Picture {
    let stroke = |cast: &Cast, number: Option<usize>, place: Place| Stroke {
        lane: cast.who().to_owned(),
        label: cast.described.deed.label(),
        invoked: cast.invoked,
        answered: cast.answered,
        asked_text: cast.described.asked.clone(),
        answered_text: cast.described.answered.clone(),
        number,
        place,
    };
    let mut strokes: Vec<Stroke> = Vec::new();
    for (index, cast) in cast.iter().enumerate() {
        let number = partial.order.iter().position(|&placed| placed == index).map(|place| place + 1);
        let place = if partial.culprit == Some(index) { Place::Culprit } else { Place::Left };
        strokes.push(stroke(cast, number, place));
    }
    strokes.extend(background.map(|cast| stroke(cast, None, Place::Background)));
    Picture::new(strokes)
}
