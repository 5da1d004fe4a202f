//! Stories about sets, logs and queues, and about what no story fits, with objects that are as plain as can be.

use chaos_check::linear::Model;
use chaos_check::linear::explain::Deed;

use crate::{Row, drawn_true, told};

/// A list of which elements are appended, listed and taken from the front.
struct List;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ListOp {
    Put(u32),
    All(Vec<u32>),
    Take(Option<u32>),
}

impl Model for List {
    type Op = ListOp;
    type State = Vec<u32>;

    fn initial(&self) -> Vec<u32> {
        Vec::new()
    }

    fn apply(&self, state: &Vec<u32>, op: &ListOp) -> Option<Vec<u32>> {
        match op {
            ListOp::Put(element) => Some(state.iter().copied().chain([*element]).collect()),
            ListOp::All(seen) => (seen == state).then(|| state.clone()),
            ListOp::Take(got) => (got.as_ref() == state.first()).then(|| state.iter().skip(1).copied().collect()),
        }
    }
}

/// Which words the list goes by.
#[derive(Clone, Copy)]
enum Kind {
    Set,
    Log,
    Queue,
    Thing,
}

fn deed(kind: Kind, op: &ListOp) -> Deed {
    let words = |seen: &[u32]| seen.iter().map(ToString::to_string).collect();
    match (kind, op) {
        (Kind::Thing, op) => Deed::Other { order: "do it".to_owned(), fact: format!("did {op:?}") },
        (Kind::Set, ListOp::Put(element)) => Deed::Add { element: element.to_string() },
        (Kind::Log, ListOp::Put(element)) => Deed::Append { element: element.to_string() },
        (Kind::Queue, ListOp::Put(element)) => Deed::Enqueue { element: element.to_string() },
        (Kind::Set, ListOp::All(seen)) => Deed::Elements { seen: words(seen), others: 0 },
        (_, ListOp::All(seen)) => Deed::Sequence { seen: words(seen) },
        (_, ListOp::Take(got)) => Deed::Dequeue { element: got.map(|got| got.to_string()) },
    }
}

fn check(kind: Kind, rows: &[Row<ListOp>], expect: &str) {
    let explanation = told(&List, ("list l", "was empty"), rows, |op| deed(kind, op));
    drawn_true(&explanation);
    assert_eq!(explanation.sentence, expect);
}

#[test]
fn lost_and_disordered_elements_are_named() {
    use ListOp::{All, Put, Take};
    check(
        Kind::Set,
        &[("n1", 0, Some(10), Put(7)), ("n3", 20, Some(30), All(vec![]))],
        "n3 did not find 7 in list l after it had been acknowledged by n1",
    );
    check(
        Kind::Log,
        &[("n1", 0, Some(10), Put(7)), ("n2", 20, Some(30), Put(8)), ("n3", 40, Some(50), All(vec![8, 7]))],
        "n3 found 8 before 7 in list l although 7 had been acknowledged before 8 was sent",
    );
    check(
        Kind::Queue,
        &[("n1", 0, Some(10), Put(7)), ("n2", 20, Some(30), Put(8)), ("n3", 40, Some(50), Take(Some(8)))],
        "n3 dequeued 8 from list l although n1's 7 had been enqueued before and was still there",
    );
    check(
        Kind::Queue,
        &[("n1", 0, Some(10), Put(7)), ("n2", 20, Some(30), Take(Some(7))), ("n3", 40, Some(50), Take(Some(7)))],
        "n2 and n3 both dequeued 7 from list l",
    );
    check(
        Kind::Queue,
        &[("n1", 0, Some(10), Put(7)), ("n3", 40, Some(50), Take(None))],
        "n3 found list l empty although 7 had been enqueued by n1",
    );
}

#[test]
fn without_a_story_the_answer_that_fits_nowhere_is_named() {
    check(
        Kind::Thing,
        &[("n1", 0, Some(10), ListOp::Put(7)), ("n3", 40, Some(50), ListOp::Take(None))],
        "n3 did Take(None) at list l, which the one other operation concerned leaves no room for",
    );
}
