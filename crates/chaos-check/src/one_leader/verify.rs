//! Checks a proof of two leaders again, from the history's lines alone: the smaller program that is believed.
//!
//! It shares nothing with the search: it reads the events themselves, asks of each whether it contradicts the proof, and sorts
//! nothing. O(events) per proof, O(claims²) where the system shows no terms.

use std::time::Duration;

use chaos_history::{
    Belief, ElectionRole, Event, FaultEdge, FaultEvent, History, Impact, NodeId, NodeLife, Observation,
    ObservationOutcome, ObservationSource, RunNanos, TermsFrom,
};

use super::REIGN_GAP;

/// What is to be proved: on `shared`, both led.
pub(super) struct Claimed {
    /// The lines of two claims of one node, the first true before `shared`, the second after it.
    pub(super) one: [usize; 2],
    /// The same of another node; or twice the line of one claim that was true inside `shared`.
    pub(super) other: [usize; 2],
    /// Both ends included.
    pub(super) shared: (RunNanos, RunNanos),
}

/// One claim, read from its line.
#[derive(Clone, Copy)]
struct Told<'a> {
    observation: &'a Observation,
    belief: &'a Belief,
}

impl<'a> Told<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let Event::Observation(observation) = event else { return None };
        let ObservationOutcome::Answered(belief) = &observation.outcome else { return None };
        Some(Self { observation, belief })
    }

    fn earliest(self) -> RunNanos {
        self.observation.sent
    }

    fn latest(self) -> RunNanos {
        match self.observation.source {
            ObservationSource::Poll => self.observation.received,
            ObservationSource::Push => self.observation.sent,
        }
    }

    fn says_the_same(self, other: Self) -> bool {
        let facts = |told: Self| (told.observation.incarnation, told.belief.role, told.belief.term);
        facts(self) == facts(other)
    }
}

/// Whether the lines prove two leaders for longer than `allowed`.
///
/// # Errors
/// With what is wrong with the proof.
pub(super) fn proves(history: &History, claimed: &Claimed, allowed: Duration) -> Result<(), String> {
    let [one, one_again] = claims(history, claimed.one)?;
    let [other, other_again] = claims(history, claimed.other)?;
    if one.observation.node == other.observation.node {
        return Err("both claims are of one node".to_owned());
    }
    let (from, to) = claimed.shared;
    leads(history, [one, one_again], claimed.shared)?;
    if claimed.other[0] == claimed.other[1] {
        let inside = from <= other.earliest() && other.latest() <= to;
        runs(history, other.observation.node, claimed.shared)?;
        return if inside && allowed.is_zero() { Ok(()) } else { Err("an instant outside, or allowed".to_owned()) };
    }
    leads(history, [other, other_again], claimed.shared)?;
    if to.since(from) > allowed { Ok(()) } else { Err("no longer than allowed".to_owned()) }
}

fn claims(history: &History, lines: [usize; 2]) -> Result<[Told<'_>; 2], String> {
    let claim = |line: usize| {
        let recorded = history.events.iter().find(|recorded| recorded.line == line);
        let told = recorded.and_then(|recorded| Told::of(&recorded.event));
        told.filter(|told| told.belief.role == ElectionRole::Leader).ok_or_else(|| format!("line {line} is no claim"))
    };
    Ok([claim(lines[0])?, claim(lines[1])?])
}

/// Whether two claims prove that their node led on the whole of a stretch of time.
fn leads(history: &History, [first, last]: [Told<'_>; 2], (from, to): (RunNanos, RunNanos)) -> Result<(), String> {
    let node = first.observation.node;
    if last.observation.node != node || !first.says_the_same(last) {
        return Err(format!("two claims of {node} are not of one reign"));
    }
    if first.latest() > from || to > last.earliest() || from > to {
        return Err(format!("the claims of {node} are not around the stretch"));
    }
    let mut between = vec![last];
    for told in history.events.iter().filter_map(|recorded| Told::of(&recorded.event)) {
        let may_be_between = told.earliest() < last.latest() && told.latest() > first.earliest();
        if told.observation.node != node || !may_be_between {
            continue;
        }
        if !told.says_the_same(first) {
            return Err(format!("{node} said something else in between"));
        }
        between.push(told);
    }
    if history.header.testimony.terms == TermsFrom::Reigns {
        let mut at = first;
        while at.earliest() < last.earliest() {
            let next = between.iter().filter(|told| told.earliest() > at.earliest()).min_by_key(|told| told.earliest());
            let next = *next.ok_or("the claims don't follow each other")?;
            if next.latest().since(at.earliest()) > REIGN_GAP {
                return Err(format!("{node} was not heard for too long"));
            }
            runs(history, node, (at.latest(), next.earliest()))?;
            at = next;
        }
    }
    runs(history, node, (from, to))
}

/// A time in which a fault may have kept a node from running.
struct Stop<'a> {
    begin: &'a FaultEvent,
    end: Option<&'a FaultEvent>,
}

impl Stop<'_> {
    fn overlaps(&self, (from, to): (RunNanos, RunNanos)) -> bool {
        let until = self.end.map(|end| end.stamps.effect.unwrap_or(end.stamps.call_end));
        self.begin.stamps.call_begin < to && until.is_none_or(|until| from < until)
    }

    /// Whether the node answered before `from` what it was asked after the stop: then it is not what was stopped.
    fn is_refuted(&self, history: &History, node: NodeId, from: RunNanos) -> bool {
        let stopped = self.begin.stamps.effect.unwrap_or(self.begin.stamps.call_end);
        let answered = |told: Told<'_>| {
            let asked = told.observation;
            let polled = asked.node == node && asked.source == ObservationSource::Poll;
            let meanwhile = self.end.is_none_or(|end| asked.received < end.stamps.call_begin);
            polled && stopped < asked.sent && asked.sent <= from && meanwhile
        };
        let can_tell = history.header.testimony.shows_life && self.begin.kind.impact() == Impact::Stops;
        can_tell && history.events.iter().filter_map(|recorded| Told::of(&recorded.event)).any(answered)
    }
}

/// Whether nothing says that the node's process was stopped or gone in a stretch of time.
fn runs(history: &History, node: NodeId, (from, to): (RunNanos, RunNanos)) -> Result<(), String> {
    let mut stops: Vec<Stop<'_>> = Vec::new();
    let mut gone = false;
    for recorded in &history.events {
        match &recorded.event {
            Event::Node(event) if event.node == node => {
                if recorded.at <= from {
                    gone = matches!(event.life, NodeLife::Exited { .. });
                }
                let inside = from < recorded.at && recorded.at < to;
                if inside && matches!(event.life, NodeLife::Exited { .. } | NodeLife::Started { .. }) {
                    return Err(format!("{node} ended or started meanwhile"));
                }
            }
            Event::Fault(fault) if fault.kind.impact() != Impact::Spares => match fault.edge {
                // A kill that failed says nothing: the process tells.
                FaultEdge::Begin if fault.kind.impact() == Impact::Ends && fault.error.is_some() => {}
                FaultEdge::Begin if fault.nodes.contains(&node) => stops.push(Stop { begin: fault, end: None }),
                FaultEdge::End if fault.error.is_none() => {
                    let ended = stops.iter_mut().filter(|stop| stop.begin.id == fault.id);
                    ended.for_each(|stop| stop.end = Some(fault));
                }
                FaultEdge::Begin | FaultEdge::End => {}
            },
            Event::Node(_)
            | Event::Fault(_)
            | Event::Op(_)
            | Event::Replica(_)
            | Event::Observation(_)
            | Event::View(_)
            | Event::Stall(_)
            | Event::Note(_) => {}
        }
    }
    let stops = stops.iter().any(|stop| stop.overlaps((from, to)) && !stop.is_refuted(history, node, from));
    if gone || stops { Err(format!("{node} may have been stopped or gone meanwhile")) } else { Ok(()) }
}
