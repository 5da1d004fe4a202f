//! Stories about registers.

use chaos_check::linear::explain::{Deed, Explanation};
use chaos_check::linear::models::{ABSENT, Register, RegisterOp};

use crate::{Row, drawn_true, shown, told};

fn deed(op: &RegisterOp) -> Deed {
    let content = |value: u32| (value != ABSENT).then(|| value.to_string());
    if let RegisterOp::Refused { unlike } = *op {
        return Deed::Refused { expect: content(unlike), new: "99".to_owned(), saw: None };
    }
    match (op.observes(), op.writes()) {
        (Some(expect), Some(new)) => Deed::Cas { expect: content(expect), new: new.to_string() },
        (Some(saw), None) => Deed::Read { saw: content(saw) },
        (None, Some(value)) => Deed::Write { value: value.to_string() },
        (None, None) => unreachable!("no history has such an operation: {op:?}"),
    }
}

fn register(rows: &[Row<RegisterOp>]) -> Explanation {
    let explanation = told(&Register, ("key k", "held nothing"), rows, deed);
    drawn_true(&explanation);
    explanation
}

use RegisterOp::{Cas, Read, Refused, Write};

#[test]
fn a_stale_read_is_told_with_what_it_contradicts_and_where_its_value_came_from() {
    let explanation = register(&[
        ("n3", 0, Some(5), Write(7)),
        ("n1", 10, Some(20), Write(9)),
        ("n2", 30, Some(40), Read(7)),
        ("n2", 50, Some(60), Read(9)),
    ]);
    assert_eq!(
        shown(&explanation),
        "\
n2 read 7 for key k after 9 had been acknowledged by n1; nothing that was concurrent had written it
1. n1 wrote 9, asked at 10 (line 11), acknowledged at 20 (line 21)
2. n2 read 7, asked at 30 (line 31), answered at 40 (line 41)
3. the longest legal order that respects their times is n1's write 9 (line 11); n2's read 7 (line 31) fits nowhere; key k held \
nothing at first
4. the last that had brought it about, over before it could matter: n3 wrote 7, asked at 0 (line 1), over at 5 (line 6)
lines 11 21 31 41
     n3 ├┄┄write 7┄┄┤                              0 – 5
   1 n1              ├──write 9──┤                 10 – 20
   ✘ n2                           ├──read 7──┤     30 – 40
order                 1
"
    );
}

#[test]
fn a_read_that_goes_back_is_told_with_the_read_before_it() {
    let explanation = register(&[
        ("n1", 0, Some(30), Write(1)),
        ("n2", 10, Some(40), Write(2)),
        ("n3", 12, Some(14), Read(1)),
        ("n3", 15, Some(17), Read(2)),
        ("n4", 20, Some(22), Read(1)),
    ]);
    assert_eq!(
        shown(&explanation),
        "\
n4 read 1 for key k after 2 had been read by n3; nothing that was concurrent can explain it
1. n1 wrote 1, asked at 0 (line 1), acknowledged at 30 (line 31); when it was answered is of no matter here
2. n3 read 1, asked at 12 (line 13), answered at 14 (line 15)
3. n3 read 2, asked at 15 (line 16), answered at 17 (line 18); only what it left behind is of matter here
4. n4 read 1, asked at 20 (line 21), answered at 22 (line 23)
5. the longest legal order that respects their times is n1's write 1 (line 1), then n3's read 1 (line 13), then n3's read 2 \
(line 16); n4's read 1 (line 21) fits nowhere; key k held nothing at first
lines 1 13 15 16 18 21 23
   1 n1 ├───────────────write 1────────────────┤     0 – 30
   2 n3    ├──read 1──┤                              12 – 14
   3                   ├──read 2──┤                  15 – 17
   ✘ n4                            ├──read 1──┤      20 – 22
order    1  2           3
"
    );
}

#[test]
fn each_kind_of_impossible_answer_has_its_sentence() {
    let check = |rows: &[Row<RegisterOp>], expect: &str| assert_eq!(register(rows).sentence, expect);
    check(
        &[("n2", 30, Some(40), Read(7)), ("n1", 50, Some(60), Write(7))],
        "n2 read 7 for key k, a value that nobody had written by then",
    );
    let (one, other) = (Cas { expect: 5, new: 6 }, Cas { expect: 5, new: 8 });
    check(
        &[("n1", 0, Some(3), Write(5)), ("n1", 10, Some(20), one), ("n2", 12, Some(30), other)],
        "n1 and n2 both swapped 5 away from key k, which held it only once",
    );
    check(
        &[("n1", 0, Some(3), Write(5)), ("n2", 10, Some(20), Refused { unlike: 5 })],
        "n2 refused to replace 5 by 99 at key k, which held 5 all the while",
    );
    check(
        &[("n1", 0, Some(3), Write(5)), ("n2", 10, Some(20), Read(ABSENT))],
        "n2 read nothing for key k after 5 had been acknowledged by n1; nothing that was concurrent can explain it",
    );
}

/// Two reads of a value that one unanswered write can explain only once.
#[test]
fn an_unanswered_write_is_drawn_with_an_open_end() {
    let explanation = register(&[
        ("n1", 0, Some(3), Write(1)),
        ("n1", 10, None, Write(7)),
        ("n2", 12, Some(30), Read(7)),
        ("n3", 31, Some(35), Write(2)),
        ("n3", 40, Some(50), Read(7)),
    ]);
    let text = shown(&explanation);
    let (sentence, step) =
        ("n3 read 7 for key k after 2 had been acknowledged by itself", "never gave a definite answer");
    assert!(text.starts_with(sentence) && text.contains(step), "{text}");
    assert!(
        explanation.picture.to_ascii().lines().any(|line| line.contains("write 7") && line.ends_with("10 – ?")),
        "{text}"
    );
}
