//! Simulates a workload once and says what came of it: `cargo run -p chaos-sim --example simulate -- partition 7 nodes=3`.

use std::time::Instant;

use chaos_check::{Budget, Property};
use chaos_history::{Event, Seed};
use chaos_sim::{SimOptions, simulate};

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
#[expect(clippy::disallowed_methods, reason = "the example says how long it took")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "partition".to_owned());
    let seed = Seed(arguments.next().map_or(Ok(1), |seed| seed.parse())?);
    let overrides: Vec<String> = arguments.collect();
    let workload = chaos_plan::load(name.as_ref(), &overrides)?.workload;
    let begin = Instant::now();
    let simulated = simulate(&workload, seed, &SimOptions::default())?;
    let took = begin.elapsed();
    println!("{:?} at {} after {} happenings, {took:?}", simulated.finished, simulated.end, simulated.happened);
    println!("{:?}, {} events, hash {:016x}", simulated.operations, simulated.history.events.len(), simulated.hash);
    let notes = simulated.history.events.iter().filter_map(|recorded| match &recorded.event {
        Event::Note(note) => Some((recorded.at, note)),
        Event::Op(_)
        | Event::Observation(_)
        | Event::View(_)
        | Event::Fault(_)
        | Event::Node(_)
        | Event::Stall(_)
        | Event::Replica(_) => None,
    });
    notes.for_each(|(at, note)| println!("{at} {note:?}"));
    let properties = [
        Property::ElectionSafety,
        Property::SingleVote,
        Property::TermMonotonic,
        Property::Linearizable,
        Property::NoAcknowledgedWriteLost,
    ];
    for property in properties {
        let outcome = chaos_check::check(&simulated.history, property, &Budget::default());
        println!("{}: {:?} ({})", property.name(), outcome.verdict, outcome.basis);
    }
    Ok(())
}
