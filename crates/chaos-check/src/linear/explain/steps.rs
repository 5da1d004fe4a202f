//! The operations of a counterexample one by one, and how far a legal order of them comes.

use super::deed::Deed;
use super::{Cast, Partial, Scene};

/// More operations than these are counted and not listed.
const LISTED_MAX: usize = 24;

pub(super) fn steps(scene: &Scene, cast: &[Cast], partial: &Partial, background: Option<&Cast>) -> Vec<String> {
    // As in the drawing: the culprit, and what was answered last.
    let mut listed: Vec<usize> = (0..cast.len()).collect();
    listed.sort_by_key(|&place| (partial.culprit != Some(place), std::cmp::Reverse(cast[place].answered)));
    listed.truncate(LISTED_MAX);
    listed.sort_unstable();
    let mut steps: Vec<String> = listed.iter().map(|&place| step(&cast[place])).collect();
    if cast.len() > LISTED_MAX {
        let more = cast.len() - LISTED_MAX;
        steps.push(format!("and {more} operations more, answered before these or never"));
    }
    steps.push(conclusion(scene, cast, partial));
    steps.extend(background.map(origin));
    steps
}

/// One operation with the times between which it must have happened, and the lines that show them.
fn step(cast: &Cast) -> String {
    let described = &cast.described;
    let (who, asked) = (&described.who, &described.asked);
    let asked_line = beside(asked, described.asked_line);
    let Some(answered) = described.answered.as_ref().filter(|_| cast.answered.is_some()) else {
        let (order, noted) = (described.deed.order(), line(described.answered_line));
        return format!(
            "{who} was asked at {asked}{asked_line} to {order} and never gave a definite answer{noted}, so that it may have done \
             so at any time since, or never"
        );
    };
    let (fact, answered_line) = (described.deed.fact(), beside(answered, described.answered_line));
    let term = described.term.as_ref().map_or(String::new(), |term| format!(" in term {term}"));
    let mut step = format!(
        "{who} {fact}{term}, asked at {asked}{asked_line}, {} at {answered}{answered_line}",
        acknowledged(&described.deed)
    );
    if cast.weaker {
        step.push_str(match &described.deed {
            Deed::Elements { seen, others: 0 } | Deed::Sequence { seen } if seen.is_empty() => "",
            Deed::Elements { .. } | Deed::Sequence { .. } => "; of what it found only some is of matter here",
            Deed::Read { .. }
            | Deed::Write { .. }
            | Deed::Cas { .. }
            | Deed::Refused { .. }
            | Deed::Acquire { .. }
            | Deed::Release { .. }
            | Deed::Add { .. }
            | Deed::Remove { .. }
            | Deed::Append { .. }
            | Deed::Enqueue { .. }
            | Deed::Dequeue { .. }
            | Deed::Other { .. } => "; only what it left behind is of matter here",
        });
    } else if !cast.answer_matters {
        step.push_str("; when it was answered is of no matter here");
    }
    step
}

/// The line of an event whose time has been told, unless the time is the line.
fn beside(time: &str, number: Option<usize>) -> String {
    line(number.filter(|number| time.strip_prefix("line ") != Some(&number.to_string())))
}

fn line(line: Option<usize>) -> String {
    line.map_or(String::new(), |line| format!(" (line {line})"))
}

/// How an answer to it is called.
pub(super) fn acknowledged(deed: &Deed) -> &'static str {
    match deed {
        Deed::Write { .. } | Deed::Cas { .. } | Deed::Add { .. } | Deed::Remove { .. } => "acknowledged",
        Deed::Append { .. } | Deed::Enqueue { .. } | Deed::Release { .. } => "acknowledged",
        Deed::Read { .. } | Deed::Refused { .. } | Deed::Acquire { .. } | Deed::Elements { .. } => "answered",
        Deed::Sequence { .. } | Deed::Dequeue { .. } | Deed::Other { .. } => "answered",
    }
}

/// How far a legal order comes, and what does not fit behind it.
fn conclusion(scene: &Scene, cast: &[Cast], partial: &Partial) -> String {
    let named = |place: usize| {
        let described = &cast[place].described;
        format!("{}'s {}{}", described.who, described.deed.label(), line(described.asked_line))
    };
    let Scene { object, initially, .. } = scene;
    let Some(culprit) = partial.culprit else {
        return format!(
            "no order of these operations that respects their times explains all their answers; {object} {initially}"
        );
    };
    let culprit = named(culprit);
    if partial.order.is_empty() && cast.len() == 1 {
        return format!("nothing that {object} can have held explains {culprit}; it {initially} at first");
    }
    if partial.order.is_empty() {
        return format!(
            "no order of these operations that respects their times explains {culprit}; {object} {initially} at first"
        );
    }
    let order: Vec<String> = partial.order.iter().map(|&place| named(place)).collect();
    format!(
        "the longest legal order that respects their times is {}; {culprit} fits nowhere; {object} {initially} at first",
        order.join(", then ")
    )
}

/// Where the value came from that the culprit should not have seen.
fn origin(cast: &Cast) -> String {
    let described = &cast.described;
    let answered = described
        .answered
        .as_ref()
        .map_or(String::new(), |answered| format!(" at {answered}{}", beside(answered, described.answered_line)));
    format!(
        "the last that had brought it about, over before it could matter: {} {}, asked at {}{}, over{answered}",
        described.who,
        described.deed.fact(),
        described.asked,
        beside(&described.asked, described.asked_line),
    )
}
