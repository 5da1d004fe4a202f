//! A drawing of a counterexample, as data: a bar per operation, in lanes, true to the order of the instants and not to scale.
//!
//! Renderers are pure functions of a [`Picture`]: [`Picture::to_ascii`] for terminals, others elsewhere. Everything in it is
//! text for people; it may come from a foreign file, and renderers for terminals and pages must make it harmless.
//!
//! Refuses to hold more than [`BARS_MAX`] bars: a drawing of more explains nothing.

mod ascii;

/// The most bars of a picture.
pub const BARS_MAX: usize = 24;

/// A few operations side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// How many different instants bars begin and end at.
    pub instants: usize,
    /// The operations, lane by lane, each lane's by invocation.
    pub bars: Vec<Bar>,
    /// Operations that there was no room for.
    pub omitted: usize,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Whose lane it is in: a node's or a process's name.
    pub lane: String,
    /// What it did, in a word or two: `read 7`.
    pub label: String,
    /// The instant of its invocation, from 0. An invocation and an answer at equal stamps are different instants, the
    /// invocation before the answer: they are concurrent.
    pub begin: usize,
    /// The instant of its answer, above `begin`; `None` if it never came.
    pub end: Option<usize>,
    /// When it was invoked, as people read it.
    pub asked: String,
    /// When it was answered.
    pub answered: Option<String>,
    /// What became of it in the longest partial order.
    pub place: Place,
}

/// What became of an operation in the longest partial order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It takes effect there.
    At {
        /// Its number in the order, from 1.
        number: usize,
        /// It takes effect between this instant and the next; those of one instant in the order of their numbers.
        after: usize,
    },
    /// Its answer can't be placed.
    Culprit,
    /// It is not in the order, and need not be or is behind the culprit.
    Left,
    /// It is not part of the counterexample, but tells where a value came from.
    Background,
}

/// An operation to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Stroke {
    pub(super) lane: String,
    pub(super) label: String,
    pub(super) invoked: u64,
    pub(super) answered: Option<u64>,
    pub(super) asked_text: String,
    pub(super) answered_text: Option<String>,
    /// Its number in the partial order, from 1; `after` is found here.
    pub(super) number: Option<usize>,
    pub(super) place: Place,
}

impl Picture {
    /// Ranks the instants, finds a point for each number, and sorts the bars into lanes.
    pub(super) fn new(mut strokes: Vec<Stroke>) -> Self {
        // What was never answered is cut first, then what was answered long before the end: the contradiction is there.
        let late = |stroke: &Stroke| std::cmp::Reverse(stroke.answered.unwrap_or_default());
        let wanted = |stroke: &Stroke| (stroke.place != Place::Culprit, stroke.answered.is_none(), late(stroke));
        let omitted = strokes.len().saturating_sub(BARS_MAX);
        if omitted > 0 {
            strokes.sort_by_key(wanted);
            strokes.truncate(BARS_MAX);
        }
        let mut instants: Vec<(u64, bool)> = strokes
            .iter()
            .flat_map(|stroke| [Some((stroke.invoked, false)), stroke.answered.map(|answered| (answered, true))])
            .flatten()
            .collect();
        instants.sort_unstable();
        instants.dedup();
        let rank = |stamp: u64, answer: bool| instants.partition_point(|instant| *instant < (stamp, answer));
        let mut numbered: Vec<(usize, usize)> =
            strokes.iter().filter_map(|stroke| Some((stroke.number?, rank(stroke.invoked, false)))).collect();
        numbered.sort_unstable();
        // As early as possible: at its own invocation, or right behind the one before.
        let mut latest = 0;
        for (_, after) in &mut numbered {
            latest = latest.max(*after);
            *after = latest;
        }
        let after = |number: usize| numbered.iter().find(|(other, _)| *other == number).map_or(0, |(_, after)| *after);
        let mut firsts: Vec<(u64, String)> =
            strokes.iter().map(|stroke| (stroke.invoked, stroke.lane.clone())).collect();
        firsts.sort();
        let lane = |stroke: &Stroke| firsts.iter().position(|(_, lane)| *lane == stroke.lane);
        strokes.sort_by_key(|stroke| (lane(stroke), stroke.invoked));
        let bar = |stroke: Stroke| Bar {
            begin: rank(stroke.invoked, false),
            end: stroke.answered.map(|answered| rank(answered, true)),
            place: stroke.number.map_or(stroke.place, |number| Place::At { number, after: after(number) }),
            lane: stroke.lane,
            label: stroke.label,
            asked: stroke.asked_text,
            answered: stroke.answered_text,
        };
        Self { instants: instants.len(), bars: strokes.into_iter().map(bar).collect(), omitted }
    }

    /// The numbers of the partial order whose points lie right after an instant, ascending.
    #[must_use]
    pub fn points_after(&self, instant: usize) -> Vec<usize> {
        let number = |bar: &Bar| match bar.place {
            Place::At { number, after } => (after == instant).then_some(number),
            Place::Culprit | Place::Left | Place::Background => None,
        };
        let mut numbers: Vec<usize> = self.bars.iter().filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stroke(invoked: u64, answered: Option<u64>, place: Place) -> Stroke {
        Stroke {
            lane: "n1".to_owned(),
            label: format!("read {invoked}"),
            invoked,
            answered,
            asked_text: String::new(),
            answered_text: None,
            number: None,
            place,
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_pending_first_and_never_the_culprit_or_the_last_answers() {
        let most = BARS_MAX as u64;
        let mut strokes = vec![stroke(1, Some(2), Place::Culprit)];
        strokes.extend((2..=most).map(|number| stroke(10 * number, None, Place::Left)));
        strokes.extend((2..=most).map(|number| stroke(1000 * number, Some(1000 * number + 1), Place::Left)));
        strokes.push(stroke(5, Some(6), Place::Left));
        let picture = Picture::new(strokes);
        assert_eq!((picture.bars.len(), picture.omitted), (BARS_MAX, BARS_MAX));
        assert_eq!(picture.bars[0].place, Place::Culprit);
        assert!(picture.bars.iter().all(|bar| bar.end.is_some() && bar.label != "read 5"), "{picture:?}");
    }

    #[test]
    fn the_culprits_owner_is_named_on_its_line() {
        let strokes =
            vec![stroke(1, Some(2), Place::Left), stroke(3, Some(4), Place::Left), stroke(5, Some(6), Place::Culprit)];
        let text = Picture::new(strokes).to_ascii();
        let named: Vec<bool> = text.lines().map(|line| line.contains("n1")).collect();
        assert_eq!(named, [true, false, true], "{text}");
    }
}
