//! Checking an object of one's own: a box office that sells numbered seats.
//!
//! `cargo run -p chaos-check --example own_model` prints what the checker says of two evenings.
//!
//! The office promises that no seat is sold twice, that a refund frees the seat, and that `left` is the number of free seats
//! at one moment between question and answer. That is the whole specification: a first state, and what follows from a
//! state and an operation. How many clerks work at the same time, and who waits for whom, is not part of it.

#![expect(clippy::print_stdout, reason = "an example that prints")]

use std::collections::BTreeSet;

use chaos_check::linear::{Budget, Decision, Entry, Model, StampError, check, verify};

/// A house with this many seats.
struct BoxOffice {
    seats: u32,
}

/// What was asked and what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sale {
    /// This seat was sold.
    Sold(u32),
    /// This seat was given back.
    Refunded(u32),
    /// So many seats were said to be free.
    Left(usize),
}

impl Model for BoxOffice {
    type Op = Sale;
    /// The seats that are free.
    type State = BTreeSet<u32>;

    fn initial(&self) -> BTreeSet<u32> {
        (1..=self.seats).collect()
    }

    fn apply(&self, free: &BTreeSet<u32>, sale: &Sale) -> Option<BTreeSet<u32>> {
        let mut after = free.clone();
        let possible = match sale {
            Sale::Sold(seat) => after.remove(seat),
            Sale::Refunded(seat) => after.insert(*seat),
            Sale::Left(count) => free.len() == *count,
        };
        possible.then_some(after)
    }

    // That was all that is needed. The rest is a promise that makes counterexamples smaller: who looks only at his own
    // seat can't tell whether other seats were sold.
    fn independent(&self, kept: &Sale, dropped: &Sale) -> bool {
        match (kept, dropped) {
            (Sale::Sold(kept) | Sale::Refunded(kept), Sale::Sold(dropped) | Sale::Refunded(dropped)) => kept != dropped,
            (_, Sale::Left(_)) => true,
            (Sale::Left(_), Sale::Sold(_) | Sale::Refunded(_)) => false,
        }
    }
}

/// One line of a clerk's book: from when to when, and what. Without an end nobody knows whether it was done.
fn sale(from: u64, to: impl Into<Option<u64>>, what: Sale) -> Entry<Sale> {
    Entry { what, invoked: from, answered: to.into() }
}

fn judge(evening: &str, history: &[Entry<Sale>]) -> Result<(), StampError> {
    let office = BoxOffice { seats: 3 };
    println!("{evening}");
    match check(&office, history, &Budget::default())? {
        Decision::Linearizable(order) => {
            println!("  linearizable, for instance in this order:");
            for place in &order {
                println!("    {:?}", history[*place as usize].what);
            }
            // Nobody has to believe the checker: the order is the proof.
            let proof = verify::replays(&office, history, &order);
            println!("  re-played: {}", if proof.is_ok() { "it is legal" } else { "it is not legal" });
        }
        Decision::Violation { core, verified } => {
            println!("  not linearizable; these {} operations have no legal order by themselves:", core.len());
            for kept in &core {
                println!("    {:?} from {} to {:?}", kept.entry.what, kept.entry.invoked, kept.entry.answered);
            }
            let how = if verified { "every order of them was tried" } else { "they are too many to try every order" };
            println!("  {how}");
        }
        Decision::Undecided(undecided) => println!("  not decided: {undecided:?}"),
    }
    Ok(())
}

fn main() -> Result<(), StampError> {
    judge(
        "A good evening. The refund of seat 2 was never confirmed, but seat 2 was sold again, so it must have happened:",
        &[
            sale(10, 20, Sale::Sold(2)),
            sale(15, 40, Sale::Left(3)),
            sale(30, None, Sale::Refunded(2)),
            sale(50, 70, Sale::Sold(1)),
            sale(60, 80, Sale::Sold(2)),
            sale(90, 95, Sale::Left(1)),
        ],
    )?;
    judge(
        "A bad evening. Two clerks looked into the same book:",
        &[
            sale(10, 20, Sale::Sold(2)),
            sale(30, 40, Sale::Sold(1)),
            sale(45, 70, Sale::Sold(3)),
            sale(50, 60, Sale::Refunded(1)),
            sale(65, 80, Sale::Sold(3)),
            sale(90, 95, Sale::Left(0)),
        ],
    )
}
