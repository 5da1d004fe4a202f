//! Stories about locks and leases, with a lock that is as plain as can be.

use chaos_check::linear::Model;
use chaos_check::linear::explain::Deed;

use crate::{Row, drawn_true, told};

/// A lock that knows its holder and the last token.
struct Lock;

/// Who did what: a grant with a token, or a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LockOp {
    Acquire(u8, u32),
    Release(u8),
}

impl Model for Lock {
    type Op = LockOp;
    type State = (Option<u8>, u32);

    fn initial(&self) -> Self::State {
        (None, 0)
    }

    fn apply(&self, &(holder, last): &Self::State, op: &LockOp) -> Option<Self::State> {
        match *op {
            LockOp::Acquire(who, token) => (holder.is_none() && token > last).then_some((Some(who), token)),
            LockOp::Release(who) => (holder == Some(who)).then_some((None, last)),
        }
    }
}

fn check(fenced: bool, rows: &[Row<LockOp>], expect: &str) {
    let deed = |op: &LockOp| match *op {
        LockOp::Acquire(_, token) => Deed::Acquire { token: fenced.then(|| token.to_string()), until: None },
        LockOp::Release(_) => Deed::Release { token: None },
    };
    let explanation = told(&Lock, ("lock l", "was free"), rows, deed);
    drawn_true(&explanation);
    assert_eq!(explanation.sentence, expect);
}

#[test]
fn two_holders_at_once_are_told_with_the_time_since_when() {
    use LockOp::{Acquire, Release};
    check(
        false,
        &[("n1", 0, Some(10), Acquire(1, 1)), ("n2", 20, Some(30), Acquire(2, 2)), ("n1", 40, Some(50), Release(1))],
        "n2 was granted lock l while n1 held it, since 10",
    );
    check(
        true,
        &[("n1", 0, Some(10), Acquire(1, 6)), ("n1", 12, Some(15), Release(1)), ("n2", 20, Some(30), Acquire(2, 5))],
        "n2 was granted lock l with token 5 after n1 had been granted it with token 6",
    );
    check(
        false,
        &[("n1", 0, Some(10), Acquire(1, 1)), ("n2", 20, Some(30), Release(2))],
        "n2 released lock l, which it did not hold, and was told that it had",
    );
}
