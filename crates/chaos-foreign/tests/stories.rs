//! What people are told of a counterexample: of each kind of object the sentence, with the file's own values and lines.

use std::num::NonZeroUsize;

use chaos_check::linear::Budget;
use chaos_check::linear::explain::Explanation;
use chaos_foreign::{FailedCas, Options, Outcome, judge, parse};

/// The one counterexample of a text.
fn told_with(text: &str, options: &Options) -> Explanation {
    let parsed = parse(text.as_bytes(), options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let judged = judge(&parsed, &Budget::default(), NonZeroUsize::MIN).expect("stamps are in order");
    let [only] = judged.as_slice() else { panic!("one object: {judged:?}") };
    let Outcome::Violation { explanation, verified: true, .. } = &only.outcome else { panic!("{only:?}") };
    Explanation::clone(explanation)
}

fn told(text: &str) -> Explanation {
    told_with(text, &Options::default())
}

/// Lines of a Jepsen log, and the sentence that is told of them.
fn check(events: &[&str], sentence: &str) {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    assert_eq!(told(&text).sentence, sentence, "{text}");
}

/// Operations on the key "k", one after another unless `process type` says otherwise: `0 invoke append "a"`.
fn kv(events: &[&str]) -> String {
    let map = |event: &&str| {
        let mut words = event.splitn(4, ' ');
        let mut word = || words.next().unwrap_or("nil");
        let (process, kind, f, value) = (word(), word(), word(), word());
        format!("{{:process {process}, :type :{kind}, :f :{f}, :key \"k\", :value {value}}}\n")
    };
    events.iter().map(map).collect()
}

#[test]
fn of_a_register() {
    let stale =
        ["0 :invoke :write 9", "0 :ok :write 9", "nothing to see here", "1 :invoke :read nil", "1 :ok :read nil"];
    check(
        &stale,
        "process 1 read nil for the register after 9 had been acknowledged by process 0; nothing that was concurrent had \
         written it",
    );
    let told = told(&stale.join("\n"));
    assert_eq!(told.lines, [1, 2, 4, 5]);
    assert_eq!(
        told.steps,
        [
            "process 0 wrote 9, asked at line 1, acknowledged at line 2",
            "process 1 read nil, asked at line 4, answered at line 5",
            "the longest legal order that respects their times is process 0's write 9 (line 1); process 1's read nil (line 4) \
             fits nowhere; the register held nil at first",
        ]
    );
    assert_eq!(told.picture.bars.len(), 2);
    check(
        &["0 :invoke :read [7 nil]", "0 :ok :read [7 \"a b\"]"],
        "process 0 read \"a b\" for key 7, a value that nobody had written by then",
    );
    // A first value that is not what the history is taken to begin with.
    check(
        &["0 :invoke :cas [0 1]", "0 :ok :cas [0 1]"],
        "process 0 replaced 0 by 1 at the register, a value that nobody had written by then (it is taken to hold nil at \
         first; if that was another value, say so, as --initial 0)",
    );
    // Where nil is written, it is a value like others.
    let written = ["0 :invoke :write nil", "0 :ok :write nil", "0 :invoke :write 1", "0 :ok :write 1"];
    check(
        &[&written[..], &["1 :invoke :read nil", "1 :ok :read nil"]].concat(),
        "process 1 read nil for the register after 1 had been acknowledged by process 0; nothing that was concurrent had \
         written it",
    );
}

#[test]
fn of_a_register_with_refused_swaps() {
    let saw_another = Options { failed_cas: Some(FailedCas::SawAnother), ..Options::default() };
    let refused = "0 :invoke :cas [nil 2]\n0 :fail :cas [nil 2]\n";
    assert_eq!(
        told_with(refused, &saw_another).sentence,
        "process 0 refused to replace nil by 2 at the register, which held nil all the time"
    );
    let zero = Options { initial: Some("0".to_owned()), ..saw_another };
    assert_eq!(
        told_with(&refused.replace("nil", "0"), &zero).sentence,
        "process 0 refused to replace 0 by 2 at the register, which held 0 all the time"
    );
    check(
        &["0 :invoke :cas [nil 1]", "1 :invoke :cas [nil 2]", "0 :ok :cas [nil 1]", "1 :ok :cas [nil 2]"],
        "process 0 and process 1 both swapped nil away from the register, which held it only once",
    );
}

#[test]
fn of_a_lock() {
    let held = ["0 :invoke :acquire nil", "0 :ok :acquire nil"];
    check(
        &[&held[..], &["1 :invoke :acquire nil", "1 :ok :acquire nil"]].concat(),
        "process 1 was granted the lock while process 0 held it, since line 2",
    );
    check(
        &["0 :invoke :release nil", "0 :ok :release nil"],
        "process 0 released the lock, which it did not hold, and was told that it had",
    );
    // The lock has no owner: that others release it is no mistake, and no story is made of it.
    let others = ["1 :invoke :release nil", "2 :invoke :release nil", "1 :ok :release nil", "2 :ok :release nil"];
    check(
        &[&held[..], &others[..]].concat(),
        "process 2 released the lock, which no order of the other acquires and releases leaves held for it",
    );
}

#[test]
fn of_a_set() {
    let added = ["0 :invoke :add 1", "0 :ok :add 1"];
    check(
        &[&added[..], &["1 :invoke :read nil", "1 :ok :read #{}"]].concat(),
        "process 1 did not find 1 in the set after it had been acknowledged by process 0",
    );
    // It is told of 2, which can't have been there, and not of 9, which was.
    let nine = ["2 :invoke :add 9", "2 :ok :add 9"];
    check(
        &[&added[..], &nine[..], &["1 :invoke :read nil", "1 :ok :read #{1 2 9}"]].concat(),
        "process 1 found 2 in the set, which nobody had added by then",
    );
}

#[test]
fn of_a_string() {
    let appended = ["0 invoke append \"a\"", "0 ok append \"a\"", "1 invoke append \"b\"", "1 ok append \"b\""];
    let seen = |text: &str| {
        let answer = format!("2 ok get \"{text}\"");
        let events = [&appended[..], &["2 invoke get nil", &answer]].concat();
        told(&kv(&events))
    };
    assert_eq!(
        seen("b").sentence,
        "process 2 did not find \"a\" in key \"k\" after it had been acknowledged by process 0"
    );
    let disordered = seen("ba");
    assert_eq!(
        disordered.sentence,
        "process 2 found \"b\" before \"a\" in key \"k\" although \"a\" had been acknowledged before \"b\" was sent"
    );
    assert!(disordered.steps[2].starts_with("process 2 found [\"b\" \"a\"], asked at line 5"), "{disordered:?}");
    assert_eq!(
        seen("abx").sentence,
        "process 2 read \"abx\" for key \"k\", which no puts and appends that had begun by then make up"
    );
}

#[test]
fn what_a_put_replaced_was_not_lost() {
    // `a` is gone rightly if the put came later, so nobody is told that it was lost.
    let events = [
        "1 invoke put \"p\"",
        "0 invoke append \"a\"",
        "0 ok append \"a\"",
        "1 ok put \"p\"",
        "2 invoke append \"b\"",
        "2 ok append \"b\"",
        "3 invoke get nil",
        "3 ok get \"p\"",
    ];
    let told = told(&kv(&events));
    assert_eq!(told.sentence, "process 3 did not find \"b\" in key \"k\" after it had been acknowledged by process 2");
    // Behind a put that may have come last, nothing is said to be lost at all.
    let events = ["0 invoke append \"a\"", "0 ok append \"a\"", "1 invoke put \"p\"", "1 ok put \"p\""];
    let text = kv(&[&events[..], &["2 invoke get nil", "2 ok get \"pa\""]].concat());
    let sentence = self::told(&text).sentence;
    assert_eq!(
        sentence,
        "process 2 found [\"p\" \"a\"] at key \"k\", which the one other operation concerned leaves no room for",
        "the append came first"
    );
}

#[test]
fn values_that_fit_in_several_ways_are_not_taken_apart() {
    let events = [
        "0 invoke append \"a\"",
        "0 ok append \"a\"",
        "0 invoke append \"aa\"",
        "0 ok append \"aa\"",
        "0 invoke append \"b\"",
        "0 ok append \"b\"",
        "1 invoke get nil",
        "1 ok get \"aaa\"",
    ];
    let told = told(&kv(&events));
    assert!(told.steps.iter().any(|step| step.starts_with("process 1 read \"aaa\", asked at line 7")), "{told:?}");
}
