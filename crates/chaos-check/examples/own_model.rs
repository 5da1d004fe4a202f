//! Checks an object of one's own: a box office that sells one seat to each who asks, until the hall is full.
//!
//! All that a model must say is its first state, and what follows from a state and an operation, or that it can't be. Run it:
//! `cargo run -p chaos-check --example own_model`. It ends with an error if the checker were wrong about either history.

#![expect(clippy::print_stdout, reason = "an example tells what it found")]

use chaos_check::linear::{Budget, Decision, Entry, Model, StampError, check, verify};

/// A hall with so many seats.
struct BoxOffice {
    seats: u32,
}

/// What a customer asked, together with the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sale {
    /// Asked for a seat and got one. Without an answer: may have got one.
    Sold,
    /// Asked for a seat and was told that there was none left.
    SoldOut,
}

impl Model for BoxOffice {
    type Op = Sale;
    /// Seats sold.
    type State = u32;

    fn initial(&self) -> u32 {
        0
    }

    fn apply(&self, sold: &u32, sale: &Sale) -> Option<u32> {
        match sale {
            Sale::Sold => (*sold < self.seats).then_some(sold + 1),
            Sale::SoldOut => (*sold == self.seats).then_some(*sold),
        }
    }
}

fn main() -> Result<(), StampError> {
    let office = BoxOffice { seats: 2 };
    let entry = |what, invoked, answered| Entry { what, invoked, answered };

    // The third customer never got an answer. That the fourth was refused tells that the third, or nobody, had a seat by then.
    let sound = [
        entry(Sale::Sold, 1, Some(4)),
        entry(Sale::SoldOut, 5, Some(8)),
        entry(Sale::Sold, 2, None),
        entry(Sale::SoldOut, 6, Some(9)),
    ];
    let Decision::Linearizable(order) = check(&office, &sound, &Budget::default())? else {
        panic!("two seats, two sales");
    };
    assert_eq!(verify::replays(&office, &sound, &order), Ok(()), "whoever doubts an order re-plays it");
    println!("legal, for example in this order: {order:?}");

    // The refusal was over before the second sale began, so that one of two seats was free: refused too early.
    let unsound = [entry(Sale::Sold, 1, Some(2)), entry(Sale::SoldOut, 3, Some(4)), entry(Sale::Sold, 5, Some(6))];
    let Decision::Violation { core, verified } = check(&office, &unsound, &Budget::default())? else {
        panic!("a customer was turned away from an empty seat");
    };
    assert!(verified && core.len() <= unsound.len());
    let places: Vec<u32> = core.iter().map(|kept| kept.index).collect();
    println!("not legal: no order explains the operations {places:?}");
    Ok(())
}
