//! How long a leader that was cut off, or stopped and resumed, went on claiming to lead.
//!
//! ```text
//!  partition   t0|  old: claims ══════════|···|not          until its first answer that claims no more
//!  pause       t0|  (stopped)  |t7  claims ═══|···|not      from the moment at which it runs again
//! ```
//!
//! A killed leader claims nothing, and one that is only hindered may lead on; so may one that was stopped and that nobody has replaced. What clients or other nodes believed meanwhile is
//! not asked here: an overlap with a newer leader is [`Overlap`](crate::Overlap). It says how long a claim was stale, and never that this was wrong.

use chaos_history::{Impact, RunNanos};

use crate::analysis::{NotReached, PhaseOutcome, Reached, TermLeader, Why};
use crate::beliefs::{Answer, Beliefs};
use crate::conditions::{Conditions, FaultSpan};
use crate::interval::Interval;

/// When the old leader stopped claiming its term: after the fault's begin or, if it was stopped, after its end. `None` for a kill,
/// for what hinders, and for a pause without an end or without a new leader. `close` is when the watching ends, and `why` the reason
/// for that; whatever ends a process then is not the leader's doing.
pub(crate) fn step_down(
    beliefs: &Beliefs,
    conditions: &Conditions,
    (fault, old, new): (&FaultSpan, TermLeader, Option<TermLeader>),
    (close, why): (RunNanos, Why),
) -> Option<PhaseOutcome> {
    let start = match fault.begin.kind.impact() {
        Impact::Ends | Impact::Hinders => return None,
        Impact::Stops => new.and(fault.ended)?,
        Impact::Spares => fault.begun,
    };
    let answers = beliefs.of(old.node);
    let claims = |answer: &Answer| answer.claims() && answer.term == old.term;
    // It may have been silent since: nobody saw it claim for longer.
    let last_claim = |answers: &[Answer]| {
        let last = answers.iter().rev().find(|answer| answer.to <= close && claims(answer));
        last.map_or(start.hi, |answer| answer.from).max(start.hi)
    };
    let denied = answers.iter().position(|answer| answer.to > start.lo && answer.to <= close && !claims(answer));
    let died = conditions.down(old.node).iter().map(|span| span.lo).find(|at| *at >= start.lo && *at < close);
    let by_word = denied.map(|index| {
        let before = index.checked_sub(1).map(|before| answers[before]).filter(claims);
        Interval::new(before.map_or(start.lo, |before| before.from), answers[index].to)
    });
    let by_death = died.map(|at| Interval::new(at, at));
    let at = match (by_word, by_death) {
        (Some(word), Some(death)) => Some(if death.hi < word.hi { death } else { word }),
        (word, death) => word.or(death),
    };
    Some(match at.map(|at| at.not_before(start.lo)) {
        Some(at) => PhaseOutcome::Reached(Reached { at, after: at.since(start) }),
        None => PhaseOutcome::NotReached(NotReached { why, watched: last_claim(answers).since(start.hi) }),
    })
}
