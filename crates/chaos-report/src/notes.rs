//! What went on beside the failovers: things that a reader would otherwise have to find in a drawing.
//!
//! Refuses to judge: a note is no warning, and changes no verdict.

use std::time::Duration;

use chaos_failover::{Analysis, Failover, FaultBand, Interval, LostWrite, Outage, PhaseOutcome, Unplanned};
use chaos_history::{FaultId, RunNanos, TermsFrom};

use crate::words::{count, duration, grouped};

/// A note names at most so many single events, and counts the others.
const NAMED_MAX: usize = 3;

/// All notes of a run.
pub(crate) fn notes(analysis: &Analysis) -> Vec<String> {
    let notes = [
        stalls(analysis),
        unplanned(analysis),
        unexplained(analysis),
        two_leaders(analysis),
        stale_claims(analysis),
        lost(analysis),
        without_terms(analysis),
        of_themselves(analysis),
        views(analysis),
    ];
    notes.into_iter().flatten().collect()
}

/// Where the numbers that stand for terms come from, if not from the system.
fn without_terms(analysis: &Analysis) -> Option<String> {
    match analysis.testimony.terms {
        TermsFrom::System => None,
        TermsFrom::Reigns => {
            Some("the system shows no terms: they number reigns in the order in which they were seen".into())
        }
    }
}

/// What can't be told of nodes that don't say whom they follow.
fn of_themselves(analysis: &Analysis) -> Option<String> {
    let note = "nodes speak only of themselves: `converged` means that exactly one claimed to lead, and `detected` is told by \
                further observers or not at all";
    (!analysis.testimony.names_leader).then(|| note.to_owned())
}

fn views(analysis: &Analysis) -> Option<String> {
    let views = analysis.observed.views;
    (views > 0).then(|| format!("further observers were asked {} times who leads", grouped(views)))
}

/// The longest that an old leader went on claiming to lead.
fn stale_claims(analysis: &Analysis) -> Option<String> {
    let reached = |failover: &Failover| failover.step_down.as_ref().and_then(PhaseOutcome::quoted);
    let longest = analysis.failovers.iter().filter_map(reached).max()?;
    let never = |failover: &&Failover| matches!(failover.step_down, Some(PhaseOutcome::NotReached(_)));
    let never = match analysis.failovers.iter().filter(never).count() as u64 {
        0 => String::new(),
        never => format!("; {} never stopped while it was watched", grouped(never)),
    };
    Some(format!(
        "an old leader that was cut off or resumed claimed to lead for up to {} more{never}",
        duration(longest)
    ))
}

fn stalls(analysis: &Analysis) -> Option<String> {
    let longest = analysis.stalls.iter().map(|stall| stall.to.since(stall.from)).max()?;
    let stalls = count(analysis.stalls.len() as u64, "host stall");
    let longest = duration(longest);
    Some(if analysis.stalls.len() == 1 {
        format!("{stalls} of {longest}")
    } else {
        format!("{stalls}, the longest {longest}")
    })
}

fn unplanned(analysis: &Analysis) -> Option<String> {
    let word = analysis.testimony.terms.word();
    let one = |it: &Unplanned| {
        let mut circumstances = Vec::new();
        let fault = it.after.and_then(|id| band(analysis, id));
        if let Some(fault) = fault {
            let since = it.at.hi.since(fault.span.hi);
            circumstances.push(format!("{} after the end of {}", duration(since), fault.label));
        }
        if let Some(healthy) = it.previous.filter(|_| it.needless) {
            circumstances.push(format!("needless: {} led {word} {} in good health", healthy.node, healthy.term));
        }
        if it.stalled {
            circumstances.push("during a host stall or just after it".to_owned());
        }
        let circumstances =
            if circumstances.is_empty() { String::new() } else { format!(" ({})", circumstances.join(", ")) };
        format!("{} led {word} {} at {}{circumstances}", it.leader.node, it.leader.term, moment(it.at.hi))
    };
    listed(
        ["election without a fault", "elections without a fault"],
        &analysis.unplanned.iter().map(one).collect::<Vec<_>>(),
    )
}

/// For how long there was more than one leader, if that is certain of any moment.
fn two_leaders(analysis: &Analysis) -> Option<String> {
    let total = analysis.overlap_total;
    let (least, most) = (duration(total.lo), duration(total.hi));
    (!total.lo.is_zero()).then(|| format!("two nodes led at once for {least} at least, {most} at most, in all"))
}

/// Acknowledged writes that are surely gone.
fn lost(analysis: &Analysis) -> Option<String> {
    let one = |lost: &LostWrite| {
        let fault = lost.fault.and_then(|id| band(analysis, id));
        let when = fault.map_or(String::new(), |fault| format!(", by {}", fault.label));
        format!("{} of key {}{when}", lost.value, lost.key)
    };
    listed(
        ["acknowledged write is gone for certain", "acknowledged writes are gone for certain"],
        &analysis.lost_writes.iter().map(one).collect::<Vec<_>>(),
    )
}

/// Outages that are no failover's: of faults that took no leader away, or of none.
fn unexplained(analysis: &Analysis) -> Option<String> {
    let of_failover = |outage: &&Outage| {
        outage.fault.is_some_and(|id| analysis.failovers.iter().any(|failover| failover.fault == id))
    };
    let one = |outage: &Outage| {
        let (lasted, from) = (duration(outage.lasted), moment(outage.from));
        let Some(fault) = outage.fault.and_then(|id| band(analysis, id)) else {
            return format!("{lasted} from {from} on, before any fault");
        };
        let when = if fault.span.meets(Interval::new(outage.from, outage.to)) { "during" } else { "after" };
        format!("{lasted} from {from} on, {when} {}", fault.label)
    };
    let outages: Vec<String> = analysis.outages.iter().filter(|outage| !of_failover(outage)).map(one).collect();
    listed(["outage without a failover", "outages without a failover"], &outages)
}

fn band(analysis: &Analysis, id: FaultId) -> Option<&FaultBand> {
    analysis.timeline.faults.iter().find(|band| band.id == id)
}

/// `noun` in the singular and in the plural.
fn listed(noun: [&str; 2], items: &[String]) -> Option<String> {
    let (named, rest) = items.split_at(items.len().min(NAMED_MAX));
    let more = if rest.is_empty() { String::new() } else { format!("; and {} more", rest.len()) };
    let noun = if items.len() == 1 { noun[0] } else { noun[1] };
    (!items.is_empty()).then(|| format!("{} {noun}: {}{more}", grouped(items.len() as u64), named.join("; ")))
}

fn moment(at: RunNanos) -> String {
    duration(Duration::from_nanos(at.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_events_are_counted_and_the_first_few_named() {
        let items: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(listed(["outage", "outages"], &items).as_deref(), Some("5 outages: a; b; c; and 2 more"));
        assert_eq!(listed(["outage", "outages"], &items[..1]).as_deref(), Some("1 outage: a"));
        assert_eq!(listed(["outage", "outages"], &[]), None);
    }

    #[test]
    fn what_the_nodes_did_not_tell_is_said_and_a_full_testimony_needs_no_words() {
        use chaos_history::{Header, History, Seed, Testimony};

        let told = |testimony| {
            let header = Header {
                chaos_history: 1,
                simulated: None,
                workload: "w".to_owned(),
                system: "s".to_owned(),
                nodes: 3,
                seed: Seed(1),
                started: String::new(),
                chaos: String::new(),
                testimony,
            };
            notes(&chaos_failover::analyse(&History { header, events: Vec::new(), torn: false }, None))
        };
        assert_eq!(told(Testimony::default()), [""; 0]);
        let notes = told(Testimony { terms: TermsFrom::Reigns, names_leader: false, ..Testimony::default() });
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].contains("shows no terms") && notes[1].contains("speak only of themselves"), "{notes:?}");
    }
}
