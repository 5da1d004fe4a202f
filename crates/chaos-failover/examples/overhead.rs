//! What the harness itself costs and how precisely it strikes, from saved runs:
//! `cargo run --example overhead -- reports/partition/*`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use chaos_history::{Event, FaultEdge, History, HistoryError, ObservationSource, OpPhase, RunDir, RunNanos};
use hdrhistogram::Histogram;

fn main() -> ExitCode {
    let directories: Vec<String> = std::env::args().skip(1).collect();
    let mut strikes = BTreeMap::new();
    for directory in &directories {
        if let Err(error) = read(directory, &mut strikes) {
            eprintln!("error: {directory}: {error}");
            return ExitCode::from(254);
        }
    }
    println!(
        "\nfault and edge: n, then p50 and p99 in microseconds from the first system call to the confirmed effect"
    );
    for (what, times) in &strikes {
        println!("{what}: {} {} {}", times.len(), times.value_at_quantile(0.5), times.value_at_quantile(0.99));
    }
    ExitCode::SUCCESS
}

fn read(directory: &str, strikes: &mut BTreeMap<String, Histogram<u64>>) -> Result<(), HistoryError> {
    let history = History::read(&RunDir::at(Path::new(directory)).history())?;
    let (mut polls, mut pushes, mut invocations) = (0_u64, 0_u64, 0_u64);
    let mut first = None;
    for recorded in &history.events {
        match &recorded.event {
            Event::Observation(observation) => {
                first.get_or_insert(observation.sent);
                match observation.source {
                    ObservationSource::Poll => polls += 1,
                    ObservationSource::Push => pushes += 1,
                }
            }
            Event::Op(op) => invocations += u64::from(matches!(op.phase, OpPhase::Invoke { .. })),
            Event::Fault(fault) => {
                let edge = match fault.edge {
                    FaultEdge::Begin => "begins",
                    FaultEdge::End => "ends",
                };
                if let Some(effect) = fault.stamps.effect {
                    let times = strikes
                        .entry(format!("{} {edge}", fault.kind.name()))
                        .or_insert_with(|| Histogram::new(3).expect("three digits are allowed"));
                    let micros = effect.since(fault.stamps.call_begin).as_micros();
                    // Not `saturating_record`: that clamps to what the histogram has grown to so far.
                    let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
                    times.record(micros).expect("the histogram grows");
                }
            }
            Event::Note(note) if note.text.contains("processor time") => println!("{directory}: {}", note.text),
            Event::Node(_) | Event::Stall(_) | Event::Note(_) | Event::Replica(_) | Event::View(_) => {}
        }
    }
    let lasted = history.end().since(first.unwrap_or(RunNanos(0))).as_secs_f64();
    let rate = |count: u64| count as f64 / lasted;
    println!(
        "{directory}: {lasted:.1} s, {:.0} polls/s of {} nodes, {pushes} announcements, {:.0} operations/s",
        rate(polls),
        history.header.nodes,
        rate(invocations),
    );
    Ok(())
}
