//! Stories about registers.

use chaos_check::linear::explain::{Deed, Explanation};
use chaos_check::linear::models::{ABSENT, Register, RegisterOp};

use crate::{Row, drawn_true, shown, told};

fn deed(op: &RegisterOp) -> Deed {
    let content = |value: u32| (value != ABSENT).then(|| value.to_string());
    #[expect(clippy::wildcard_enum_match_arm, reason = "a model may know operations that no history has")]
    match *op {
        RegisterOp::Read(saw) => Deed::Read { saw: content(saw) },
        RegisterOp::Write(value) => Deed::Write { value: value.to_string() },
        RegisterOp::Cas { expect, new } => Deed::Cas { expect: content(expect), new: new.to_string() },
        RegisterOp::Refused { unlike } => Deed::Refused { expect: content(unlike), new: "99".to_owned(), saw: None },
        #[expect(unreachable_patterns, reason = "not every version of the model has some")]
        _ => Deed::Other { order: format!("{op:?}"), fact: format!("{op:?}") },
    }
}

fn register(rows: &[Row<RegisterOp>]) -> Explanation {
    let explanation = told(&Register, ("key k", "held nothing"), rows, deed);
    drawn_true(&explanation);
    explanation
}

#[test]
fn p() {
    use RegisterOp::{Cas, Read, Refused, Write};
    for rows in [
        &[
            ("n3", 0, Some(5), Write(7)),
            ("n1", 10, Some(20), Write(9)),
            ("n2", 30, Some(40), Read(7)),
            ("n2", 50, Some(60), Read(9)),
        ][..],
        &[("n1", 10, Some(20), Write(9)), ("n2", 30, Some(40), Read(7))],
        &[
            ("n1", 0, Some(3), Write(1)),
            ("n1", 10, None, Write(7)),
            ("n2", 12, Some(30), Read(7)),
            ("n3", 40, Some(50), Read(1)),
        ],
        &[
            ("n1", 0, Some(30), Write(1)),
            ("n2", 10, Some(40), Write(2)),
            ("n3", 12, Some(14), Read(1)),
            ("n3", 15, Some(17), Read(2)),
            ("n4", 20, Some(22), Read(1)),
        ],
        &[
            ("n1", 0, Some(3), Write(5)),
            ("n1", 10, Some(20), Cas { expect: 5, new: 6 }),
            ("n2", 12, Some(30), Cas { expect: 5, new: 8 }),
        ],
        &[("n1", 0, Some(3), Read(5)), ("n2", 10, Some(20), Write(5))],
        &[("n1", 0, Some(3), Write(5)), ("n2", 10, Some(20), Refused { unlike: 5 })],
        &[("n1", 0, Some(9), Read(4)), ("n2", 1, Some(8), Read(4)), ("n3", 5, Some(20), Write(5))],
    ] {
        println!("{}", shown(&register(rows)));
    }
}
