//! Small histories in the real format, each beside what was computed for it by hand.
//!
//! `tests/golden/NAME.jsonl` is the history (its `note` events say what happens), `NAME.txt` the expected reading; lines that begin
//! with `#` are the arithmetic. A difference is a bug of the analysis until somebody has redone the arithmetic.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use chaos_failover::{Analysis, Elapsed, Failover, Interval, PhaseOutcome, TermLeader};
use chaos_history::History;
use chaos_plan::expect::Phase;

fn ms(at: u64) -> f64 {
    at as f64 / 1e6
}

fn moment(at: Interval) -> String {
    format!("[{}, {}]", ms(at.lo.0), ms(at.hi.0))
}

fn elapsed(elapsed: Elapsed) -> String {
    format!("[{}, {}]", elapsed.lo.as_secs_f64() * 1e3, elapsed.hi.as_secs_f64() * 1e3)
}

fn told(duration: Option<Duration>) -> String {
    duration.map_or("none".to_owned(), |duration| format!("{}", duration.as_secs_f64() * 1e3))
}

fn leader(leader: TermLeader) -> String {
    format!("{}@{}", leader.node, leader.term.0)
}

fn render(analysis: &Analysis) -> String {
    let mut text = String::new();
    for failover in &analysis.failovers {
        render_failover(&mut text, failover).expect("a string takes everything");
    }
    for it in &analysis.unplanned {
        let (previous, at) = (it.previous.map_or("nobody".to_owned(), leader), moment(it.at));
        let needless = if it.needless { "needless" } else { "not needless" };
        writeln!(text, "unplanned {} after {previous} {at} {needless}", leader(it.leader)).expect("as above");
    }
    for overlap in &analysis.overlaps {
        let (older, newer) = (leader(overlap.older), leader(overlap.newer));
        writeln!(text, "overlap {older} {newer} {}", elapsed(overlap.lasted)).expect("as above");
    }
    writeln!(text, "overlap in all {}", elapsed(analysis.overlap_total)).expect("as above");
    text
}

fn render_failover(text: &mut String, failover: &Failover) -> std::fmt::Result {
    let new = failover.new.map_or("nobody".to_owned(), leader);
    let stalled = if failover.stalled { " stalled" } else { "" };
    writeln!(text, "fault {} {} {} -> {new}{stalled}", failover.fault.0, failover.kind.name(), leader(failover.old))?;
    writeln!(text, "  injected {}", moment(failover.injected))?;
    writeln!(text, "  last acknowledged {}", failover.last_acknowledged.map_or("none".to_owned(), moment))?;
    for phase in Phase::ALL {
        match failover.phases.get(phase) {
            PhaseOutcome::Reached(reached) => {
                let (at, after) = (moment(reached.at), elapsed(reached.after));
                writeln!(text, "  {} {at} after {after}", phase.name())?;
            }
            PhaseOutcome::NotReached(missing) => {
                let (why, watched) = (missing.why.text(), missing.watched.as_secs_f64() * 1e3);
                writeln!(text, "  {} not reached: {why}, watched {watched}", phase.name())?;
            }
        }
    }
    if let (Some(healed), Some(aftermath)) = (failover.healed, failover.aftermath) {
        let last = aftermath.last_disturbance.map_or("none".to_owned(), moment);
        let (elections, outage) = (aftermath.elections, told(aftermath.outage));
        writeln!(text, "  healed {} disturbed {last} elections {elections} outage {outage}", moment(healed))?;
    }
    let terms = failover.terms_consumed.map_or("none".to_owned(), |terms| terms.to_string());
    let without = failover.terms_without_leader.map_or("none".to_owned(), |terms| terms.to_string());
    writeln!(text, "  terms {terms} without leader {without}")?;
    let (outage, overlap) = (told(failover.outage), elapsed(failover.overlap));
    writeln!(text, "  outage {outage} overlap {overlap} lost {}", failover.lost_writes)
}

#[test]
fn every_golden_history_is_read_as_it_was_computed_by_hand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut histories: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    histories.sort();
    assert!(histories.len() >= 8, "only {} histories in {}", histories.len(), folder.display());
    let mut differences = String::new();
    for path in histories {
        let history = History::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        let expected: String =
            expected.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let found = render(&chaos_failover::analyse(&history, None));
        if found != expected {
            differences += &format!("{}\n--- by hand\n{expected}--- found\n{found}\n", path.display());
        }
    }
    assert!(differences.is_empty(), "\n{differences}");
}
