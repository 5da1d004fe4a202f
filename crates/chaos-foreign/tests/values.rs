//! Values that invocations and ends tell: one of them, both, neither.
#![allow(clippy::unwrap_used, reason = "a test that can't set itself up fails")]

use std::num::NonZeroUsize;

use chaos_check::linear::Budget;
use chaos_foreign::{Keys, Kind, Options, Outcome, judge, parse};

fn options(kind: Kind, keys: Option<Keys>) -> Options {
    Options { kind: Some(kind), keys, ..Options::default() }
}

/// Judges a log of `;`-separated events and expects each object to be linearizable or not.
fn check(events: &str, options: &Options, expect: &[bool]) {
    let text = events.replace("; ", "\n") + "\n";
    let parsed = parse(text.as_bytes(), options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let judged = judge(&parsed, &Budget::default(), NonZeroUsize::MIN).unwrap();
    let found: Vec<bool> = judged.iter().map(|judged| matches!(judged.outcome, Outcome::Linearizable(_))).collect();
    assert_eq!(found, expect, "{text}\n{judged:?}");
}

fn check_refused(events: &str, options: &Options, expect: &str) {
    let error = parse((events.replace("; ", "\n") + "\n").as_bytes(), options).expect_err(events).to_string();
    assert!(error.starts_with(expect), "{error}\nin place of {expect}");
}

#[test]
fn a_value_that_only_the_end_tells_is_taken_from_there() {
    let register = options(Kind::CasRegister, None);
    let written = "0 :invoke :write nil; 0 :ok :write 5; 1 :invoke :read nil; 1 :ok :read";
    check(&format!("{written} 5"), &register, &[true]);
    check(&format!("{written} 6"), &register, &[false]);
    check(&format!("{written} nil"), &register, &[false]);
    let swapped = "0 :invoke :cas nil; 0 :ok :cas [nil 5]; 1 :invoke :read nil; 1 :ok :read";
    check(&format!("{swapped} 5"), &register, &[true]);
    check(&format!("{swapped} nil"), &register, &[false]);
    let added = "0 :invoke :add nil; 0 :ok :add 5; 1 :invoke :read nil; 1 :ok :read";
    check(&format!("{added} #{{5}}"), &options(Kind::Set, None), &[true]);
    check(&format!("{added} #{{}}"), &options(Kind::Set, None), &[false]);
    let text = r#"0 :invoke :put nil; 0 :ok :put "a"; 1 :invoke :append nil; 1 :ok :append "b"; 2 :invoke :get nil; 2 :ok :get"#;
    check(&format!("{text} \"ab\""), &options(Kind::Kv, Some(Keys::None)), &[true]);
    check(&format!("{text} \"b\""), &options(Kind::Kv, Some(Keys::None)), &[false]);
    // Behind keys, the whole pair or the value of it.
    let pairs = options(Kind::Register, Some(Keys::Pairs));
    for asked in ["nil", "[7 nil]"] {
        let written = format!("0 :invoke :write {asked}; 0 :ok :write [7 5]; 1 :invoke :read [7 nil]; 1 :ok :read");
        check(&format!("{written} [7 5]"), &pairs, &[true]);
        check(&format!("{written} [7 6]"), &pairs, &[false]);
    }
}

#[test]
fn ends_that_tell_another_value_are_refused_with_both() {
    let register = options(Kind::CasRegister, None);
    let refused = "line 2: this :write ends with 2, and was invoked with 1 in line 1";
    check_refused("0 :invoke :write 1; 0 :ok :write 2; 0 :invoke :read nil; 0 :ok :read 2", &register, refused);
    let refused = "line 2: this :cas ends with [0 2], and was invoked with [0 1] in line 1";
    check_refused("0 :invoke :cas [0 1]; 0 :ok :cas [0 2]", &register, refused);
    let refused = "line 2: this :add ends with 2, and was invoked with 1 in line 1";
    check_refused("0 :invoke :add 1; 0 :ok :add 2", &options(Kind::Set, None), refused);
    let pairs = options(Kind::Register, Some(Keys::Pairs));
    let refused = "line 2: this :write ends with 2, and was invoked with 1 in line 1";
    check_refused("0 :invoke :write [7 1]; 0 :ok :write [7 2]", &pairs, refused);
    check("0 :invoke :write [7 1]; 0 :ok :write [7 1]", &pairs, &[true]);
    check("0 :invoke :write 1; 0 :ok :write nil", &register, &[true]);
    // What failed wrote nothing, whatever its end tells.
    check("0 :invoke :write 1; 0 :fail :write 2; 1 :invoke :cas nil; 1 :fail :cas nil", &register, &[true]);
    let fields =
        "{:process 0 :type :invoke :f :write :key 1 :value 5}\n{:process 0 :type :ok :f :write :key 2 :value 5}";
    check_refused(fields, &options(Kind::Register, None), "line 2: the answer is for key 2, and line 1 asked for 1");
}

#[test]
fn what_may_have_written_nobody_knows_what_is_refused() {
    let register = options(Kind::Register, None);
    for end in ["", "; 0 :info :write :timed-out", "; 0 :info :write 5"] {
        let text = format!("0 :invoke :write nil{end}; 1 :invoke :read nil; 1 :ok :read 5");
        check_refused(&text, &register, "line 1: this :write was invoked with nil and has no :ok that tells its value");
    }
    let pairs = options(Kind::Register, Some(Keys::Pairs));
    check_refused("0 :invoke :write [7 nil]", &pairs, "line 1: this :write was invoked with nil");
    // Where others were told to write nil, and did, nil is a value like others; not if ends tell others.
    let nil = "0 :invoke :write nil; 0 :ok :write nil; 1 :invoke :write nil; 2 :invoke :read nil; 2 :ok :read nil";
    check(nil, &register, &[true]);
    let mixed = format!("3 :invoke :write nil; 3 :ok :write 1; {nil}");
    check_refused(&mixed, &register, "line 5: this :write was invoked with nil");
}
