//! Histories as their tools write them, valid and invalid of each model; and texts that are none.

use std::num::NonZeroUsize;

use chaos_check::linear::Budget;
use chaos_foreign::{FailedCas, Format, Judged, Keys, Kind, Options, Outcome, ParseError, Parsed, judge, parse};

fn judged(parsed: &Parsed) -> Vec<Judged> {
    judge(parsed, &Budget::default(), NonZeroUsize::MIN).expect("stamps are in order")
}

/// A verdict in a word; panics unless it is verified.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Linearizable(_) => "valid",
        Outcome::Violation { verified: true, .. } => "invalid",
        Outcome::Violation { verified: false, .. } | Outcome::Undecided { .. } => panic!("{outcome:?}"),
    }
}

/// Reads `text` and expects a kind, and for each key in turn a verdict.
fn check_as(text: &str, options: &Options, kind: &str, expect: &[(&str, &str)]) {
    let parsed = parse(text.as_bytes(), options).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(parsed.kind, kind, "{text}");
    let judged = judged(&parsed);
    let found: Vec<(&str, &str)> =
        judged.iter().map(|judged| (judged.key.as_deref().unwrap_or(""), word(&judged.outcome))).collect();
    assert_eq!(found, expect, "{text}");
}

fn check(text: &str, kind: &str, expect: &[(&str, &str)]) {
    check_as(text, &Options::default(), kind, expect);
}

/// A history of one process and one event a word group: `invoke write 1`.
fn edn(events: &[&str]) -> String {
    let map = |event: &&str| {
        let mut words = event.splitn(4, ' ');
        let mut word = || words.next().unwrap_or("nil");
        let (process, kind, f, value) = (word(), word(), word(), word());
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}, :time 1}}\n")
    };
    events.iter().map(map).collect()
}

#[test]
fn registers() {
    check(&edn(&["0 invoke write 1", "0 ok write 1", "1 invoke read", "1 ok read 1"]), "register", &[("", "valid")]);
    check(
        &edn(&["0 invoke write 1", "0 ok write 1", "1 invoke read", "1 ok read nil"]),
        "register",
        &[("", "invalid")],
    );
    // Concurrent with the write, the read may see either.
    check(&edn(&["0 invoke write 1", "1 invoke read", "1 ok read nil", "0 ok write 1"]), "register", &[("", "valid")]);
    check(&edn(&["0 invoke write 1", "0 info write 1", "1 invoke read", "1 ok read 1"]), "register", &[("", "valid")]);
    check(
        &edn(&["0 invoke write 1", "0 fail write 1", "1 invoke read", "1 ok read 1"]),
        "register",
        &[("", "invalid")],
    );
    check(&edn(&["0 invoke write 1", "1 invoke read", "1 ok read 1"]), "register", &[("", "valid")]);
}

#[test]
fn a_failed_cas_says_what_is_declared() {
    let text = edn(&["0 invoke write 1", "0 ok write 1", "0 invoke cas [1 2]", "0 fail cas [1 2]"]);
    check(&text, "cas-register", &[("", "valid")]);
    let saw_another = Options { failed_cas: Some(FailedCas::SawAnother), ..Options::default() };
    check_as(&text, &saw_another, "cas-register", &[("", "invalid")]);
    let with_error = text.replace(":type :fail", ":type :fail, :error :timeout");
    check_as(&with_error, &saw_another, "cas-register", &[("", "valid")]);
    let parsed = parse(text.as_bytes(), &saw_another).unwrap();
    assert!(parsed.rules.iter().any(|rule| rule.contains("held something else")), "{:?}", parsed.rules);
}

#[test]
fn cas_registers() {
    let swap = ["0 invoke write 1", "0 ok write 1", "0 invoke cas [1 2]", "0 ok cas [1 2]", "1 invoke read"];
    for (seen, expect) in [("2", "valid"), ("1", "invalid"), ("3", "invalid")] {
        let answer = format!("1 ok read {seen}");
        let events: Vec<&str> = swap.iter().copied().chain([answer.as_str()]).collect();
        check(&edn(&events), "cas-register", &[("", expect)]);
    }
    let from_zero = edn(&["0 invoke cas [0 1]", "0 ok cas [0 1]"]);
    check(&from_zero, "cas-register", &[("", "invalid")]);
    let zero = Options { initial: Some("0".to_owned()), ..Options::default() };
    check_as(&from_zero, &zero, "cas-register", &[("", "valid")]);
    // A value may be anything, and nil may be written.
    let text = edn(&["0 invoke write {:a [1 2]}", "0 ok write nil", "0 invoke read", "0 ok read {:a [1 2]}"]);
    check(&text, "register", &[("", "valid")]);
    let text = edn(&[
        "0 invoke write 1",
        "0 ok write 1",
        "0 invoke write nil",
        "0 ok write nil",
        "0 invoke read",
        "0 ok read nil",
    ]);
    check(&text, "register", &[("", "valid")]);
}

#[test]
fn keys_as_pairs() {
    let text = edn(&[
        "0 invoke write [7 1]",
        "0 ok write [7 1]",
        "1 invoke read [7 nil]",
        "1 ok read [7 1]",
        "2 invoke read [:b nil]",
        "2 ok read [:b 1]",
        "3 invoke cas [7 [1 2]]",
        "3 info cas [7 [1 2]]",
    ]);
    check(&text, "cas-register", &[("7", "valid"), (":b", "invalid")]);
    // Forced to be one register of vectors, the cas is of [7 [1 2]].
    let none = Options { keys: Some(Keys::None), ..Options::default() };
    assert_eq!(parse(text.as_bytes(), &none).unwrap().objects.len(), 1);
    check_error(&edn(&["0 invoke write [1 2]", "0 ok write [1 2]"]), "line 1: values are pairs", &Options::default());
    let mixed = edn(&["0 invoke read nil", "0 ok read 1", "0 invoke read [1 nil]", "0 ok read [1 2]"]);
    check_error(&mixed, "line 3: the operation of line 3 is on a key", &Options::default());
    let other = edn(&["0 invoke read [1 nil]", "0 ok read [2 2]"]);
    check_error(&other, "line 2: the answer is for key 2", &Options::default());
}

#[test]
fn pairs_that_say_what_they_are_are_keys_and_others_are_asked_about() {
    let tuples = edn(&[
        "0 invoke write #jepsen.independent.Tuple[0 1]",
        "0 ok write #jepsen.independent.Tuple[0 1]",
        "0 invoke write #jepsen.independent/tuple [1 5]",
        "0 ok write #jepsen.independent/tuple [1 5]",
        "0 invoke read #jepsen.independent.Tuple[0 nil]",
        "0 ok read #jepsen.independent.Tuple[0 1]",
        "0 invoke read #jepsen.independent.Tuple[1 nil]",
        "0 ok read #jepsen.independent.Tuple[1 nil]",
    ]);
    check(&tuples, "register", &[("0", "valid"), ("1", "invalid")]);
    // Two swaps of one register of pairs, or of two registers.
    let pairs =
        edn(&["0 invoke write [0 1]", "0 ok write [0 1]", "0 invoke cas [[0 1] [1 1]]", "0 ok cas [[0 1] [1 1]]"]);
    check_error(&pairs, "say --keys pairs or --keys none", &Options::default());
    let none = Options { keys: Some(Keys::None), ..Options::default() };
    check_as(&pairs, &none, "cas-register", &[("", "valid")]);
    check_error(&edn(&["0 invoke cas [7 [1 2]]"]), "say --keys pairs or --keys none", &Options::default());
    let swap = edn(&["0 invoke write [0 1]", "0 ok write [0 1]", "0 invoke cas [1 2]", "0 ok cas [1 2]"]);
    check(&swap, "cas-register", &[("", "invalid")]);
    let echoed = edn(&["0 invoke read [1 2]", "0 ok read [1 2]"]);
    check_error(&echoed, "say --keys pairs or --keys none", &Options::default());
    let field = Options { keys: Some(Keys::Field), ..Options::default() };
    check_error(&edn(&["0 invoke read nil"]), "line 1: this :read has no :key, nor has any", &field);
}

#[test]
fn mutexes() {
    let two = ["0 invoke acquire", "0 ok acquire", "1 invoke acquire", "1 ok acquire"];
    check(&edn(&two), "mutex", &[("", "invalid")]);
    let released =
        ["0 invoke acquire", "0 ok acquire", "0 invoke release", "0 ok release", "1 invoke acquire", "1 ok acquire"];
    check(&edn(&released), "mutex", &[("", "valid")]);
    // Whoever releases: Jepsen's mutex has no owner.
    let other = ["0 invoke acquire", "0 ok acquire", "1 invoke release", "1 ok release"];
    check(&edn(&other), "mutex", &[("", "valid")]);
    check(&edn(&["0 invoke release", "0 ok release"]), "mutex", &[("", "invalid")]);
    check(&edn(&["0 invoke acquire", "0 fail acquire", "1 invoke acquire", "1 ok acquire"]), "mutex", &[("", "valid")]);
    let maybe =
        ["0 invoke acquire", "0 ok acquire", "0 invoke release", "0 info release", "1 invoke acquire", "1 ok acquire"];
    check(&edn(&maybe), "mutex", &[("", "valid")]);
}

#[test]
fn sets() {
    let added = ["0 invoke add 1", "0 ok add 1", "1 invoke add 2", "1 info add 2", "2 invoke read"];
    for (seen, expect) in [
        ("#{1}", "valid"),
        ("#{2 1}", "valid"),
        ("[1 2]", "valid"),
        ("#{}", "invalid"),
        ("#{2}", "invalid"),
        ("#{1 3}", "invalid"),
    ] {
        let answer = format!("2 ok read {seen}");
        let events: Vec<&str> = added.iter().copied().chain([answer.as_str()]).collect();
        check(&edn(&events), "set", &[("", expect)]);
    }
    check(&edn(&["0 invoke read", "0 ok read #{}"]), "set", &[("", "valid")]);
    check_error(
        &edn(&["0 invoke add 1", "0 ok add 1", "0 invoke read", "0 ok read 1"]),
        "line 4: the read of a set",
        &Options::default(),
    );
}

#[test]
fn strings_by_key() {
    let text = "{:process 0, :type :invoke, :f :append, :key \"a\", :value \"x\"}\n\
                {:process 0, :type :ok, :f :append, :key \"a\", :value \"x\"}\n\
                {:process 0, :type :invoke, :f :get, :key \"a\", :value nil}\n\
                {:process 0, :type :ok, :f :get, :key \"a\", :value \"x\"}\n\
                {:process 0, :type :invoke, :f :get, :key \"b\", :value nil}\n\
                {:process 0, :type :ok, :f :get, :key \"b\", :value \"x\"}\n";
    check(text, "kv", &[("\"a\"", "valid"), ("\"b\"", "invalid")]);
    assert_eq!(parse(text.as_bytes(), &Options::default()).unwrap().format, Format::PorcupineKv);
}

#[test]
fn shapes_of_jepsen() {
    let one_vector = "[{:type :invoke, :f :write, :value 1, :process 0, :index 0}\n {:type :ok, :f :write, :value 1, :process 0, :index 1}]";
    check(one_vector, "register", &[("", "valid")]);
    let tagged = "; a comment\n#jepsen.history.Op{:index 0, :time 1, :type :invoke, :process 0, :f :read, :value nil}\n\
                  #jepsen.history.Op{:index 1, :time 2, :type :ok, :process 0, :f :read, :value 3, :error nil}";
    check(tagged, "register", &[("", "invalid")]);
    let nemesis = "{:type :info, :f :start, :process :nemesis, :value {\"n1\" #{\"n2\"}}}\n\
                   {:type :invoke, :f :read, :process 0}\n{:type :info, :process :nemesis, :f :stop}\n{:type :ok, :f :read, :process 0}";
    check(nemesis, "register", &[("", "valid")]);
    assert_eq!(parse(nemesis.as_bytes(), &Options::default()).unwrap().counts.foreign, 2);
    let log = "2026-01-01 INFO  jepsen.core - Everything begins\n\
               2026-01-01 INFO  [jepsen worker 0] jepsen.util - 0\t:invoke\t:read\tnil\n\
               2026-01-01 INFO  [jepsen nemesis] jepsen.util - :nemesis\t:info\t:start\tnil\r\n\
               2026-01-01 INFO  [jepsen worker 0] jepsen.util - 0\t:ok\t:read\tnil\n";
    check(log, "register", &[("", "valid")]);
    let parsed = parse(log.as_bytes(), &Options::default()).unwrap();
    assert_eq!((parsed.format, parsed.counts.other_lines, parsed.counts.foreign), (Format::JepsenLog, 1, 1));
}

#[test]
fn a_last_line_that_is_cut_off_is_left_out_and_told() {
    for cut in ["{:type :ok, :f :read, :proc", "{:type :ok, :f :read, :process 0, :value \"1"] {
        let text = format!("{{:type :invoke, :f :read, :process 0}}\n{cut}");
        let parsed = parse(text.as_bytes(), &Options::default()).unwrap();
        assert_eq!(parsed.torn, Some(2), "{cut}");
        assert_eq!((parsed.counts.operations, parsed.counts.used), (1, 0));
    }
    let text = "0 :invoke :write 1\n0 :ok :write [1";
    assert_eq!(parse(text.as_bytes(), &Options::default()).unwrap().torn, Some(2));
    // What ends in a number may be cut within it, and no number of another length is made of it.
    for (end, torn) in [("12", Some(4)), ("12\n", None), ("nil", None), ("\"12\"", None), ("[1 2]", None)] {
        let text = format!("0 :invoke :write {end}\n0 :ok :write {end}\n1 :invoke :read nil\n1 :ok :read {end}");
        let parsed =
            parse(text.replace("\n\n", "\n").as_bytes(), &Options { keys: Some(Keys::None), ..Options::default() })
                .unwrap();
        assert_eq!((parsed.torn, parsed.counts.operations), (torn, 2), "{text}");
    }
    // An open string that swallows other lines is not the end of the file, but damage.
    let text = "{:type :invoke, :f :read, :process 0}\n{:type :ok, :f \"read, :process 0}\n{:type :invoke, :f :read, :process 1}\n";
    check_error(text, "line 4: a string is not closed", &Options::default());
}

fn check_error(text: &str, expect: &str, options: &Options) {
    let error = parse(text.as_bytes(), options).expect_err(text).to_string();
    assert!(error.contains(expect), "{error}\nin place of {expect}");
}

#[test]
fn what_no_model_knows_is_refused_with_its_line() {
    let check = |text: &str, expect: &str| check_error(text, expect, &Options::default());
    check(&edn(&["0 invoke read", "0 ok read 1", "0 invoke txn [[:r 1 nil]]"]), "line 3: `:txn` is no operation of a");
    check(&edn(&["0 invoke cas 5"]), "line 1: a cas is of two values");
    check(&edn(&["0 invoke read", "0 invoke read"]), "line 2: process 0 invokes :read");
    check(&edn(&["0 ok read 1"]), "line 1: process 0 ends :read, and has none under way");
    check("{:type :invoke, :f :read}", "line 1: an operation has a :process");
    check(
        "{:type :invoke, :f :read, :process 0, :index 2}\n{:type :ok, :f :read, :process 0, :index 1}",
        "line 2: event 1 stands after event 2",
    );
    let mutex = Options { kind: Some(Kind::Mutex), ..Options::default() };
    check_error(&edn(&["0 invoke read"]), "`:read` is no operation of a mutex", &mutex);
}

#[test]
fn nothing_that_looks_like_an_operation_is_left_out() {
    let check = |text: &str, expect: &str| check_error(text, expect, &Options::default());
    let written = "0 :invoke :write 1\n1 :invoke :read nil\n";
    check(
        &format!("{written}0 :ok :write 1 INFO jepsen.util - 1 :ok :read 5\n"),
        "line 3: two events stand in this line",
    );
    check("0 :invoke :write 1\r0 :ok :write 1\r1 :invoke :read nil\r1 :ok :read 5\r", "line 1: two events");
    check(&format!("{written}0 :ok :write 1 2\n"), "line 3: behind the value of this :write stands more: `2`");
    check(&format!("{written}1 :okk :read 5\n"), "line 3: this looks like an operation, and `:okk` is none of");
    check(&format!("{written}1 :ok :read\n"), "line 3: this :read has no answer");
    check(&format!("{written}:p1 :ok :read 5\n"), "line 3: process :p1 does a :read, and is no client");
    check("{:process :p1 :type :invoke :f :read}", "line 1: process :p1 does a :read, and is no client");
    check(
        "{:process 1 :type :okay :f :read}",
        "an operation has a :type of :invoke, :ok, :fail or :info, and this has :okay",
    );
    check("{:process nil :type :invoke :f :write :value 1}", "line 1: an operation has a :process (a number)");
    check("{:process 1 :type :invoke :type :ok :f :read}", "line 1: this operation has two :type");
    check("[{:process 1 :type :invoke :f :read})", "line 1: a `)` closes nothing");
    let negative = "0 :invoke :write 1\n-1 :invoke :read nil\n0 :ok :write 1\n-1 :ok :read 5\n";
    self::check(negative, "register", &[("", "invalid")]);
    // Errors of what failed may be any text, and a nemesis may say anything.
    let others = "0 :invoke :write 1\n0 :info :write 1 java.net.SocketException: it's \"closed\n:nemesis :info :start a b c\n\
                  {:process 3, :f :read}\n";
    self::check(others, "register", &[("", "valid")]);
}

#[test]
fn equal_values_are_one_value_however_they_are_written() {
    for (written, read) in
        [("1N", "1"), ("+1", "1"), ("\\a", "\\u0061"), ("\"\\ud83d\\ude00\"", "\"😀\""), ("#{1 2}", "#{2 1N}")]
    {
        let read = format!("1 ok read {read}");
        let text =
            edn(&[&format!("0 invoke write {written}"), &format!("0 ok write {written}"), "1 invoke read", &read]);
        check_as(&text, &Options { kind: Some(Kind::Register), ..Options::default() }, "register", &[("", "valid")]);
    }
    let keys = edn(&[
        "0 invoke write [\"x\" 1]",
        "0 ok write [\"\\u0078\" 1]",
        "1 invoke read [\"\\u0078\" nil]",
        "1 ok read [\"x\" 1]",
    ]);
    check(&keys, "register", &[("\"x\"", "valid")]);
}

#[test]
fn maps_are_found_however_they_are_spaced() {
    let map = "{:process 0 :type :invoke :f :write :value 1}";
    for text in [
        format!("[ {map} ]"),
        format!("[\n{map}]"),
        format!("( {map})"),
        format!("[,{map}]"),
        format!("{{ {}", &map[1..]),
    ] {
        assert_eq!(parse(text.as_bytes(), &Options::default()).unwrap().format, Format::JepsenEdn, "{text}");
    }
}

#[test]
fn a_text_that_is_no_history_is_refused_and_never_valid() {
    let parse_error = |content: &[u8]| parse(content, &Options::default()).expect_err("this is no history");
    for empty in ["", " \n\t\n", "\u{feff}"] {
        assert_eq!(parse_error(empty.as_bytes()), ParseError::Empty, "{empty:?}");
    }
    for other in ["hello", "{}", "{\"a\": 1}", "<xml/>", "a,b,c\n1,2,3\n", "key: value\n", "; only a comment", "1 2 3"]
    {
        let error = parse_error(other.as_bytes());
        assert!(matches!(error, ParseError::Unrecognised | ParseError::Empty), "{other}: {error}");
    }
    for nothing in ["{:type :info, :f :start, :process :nemesis}", "INFO jepsen.util - :nemesis :info :start nil\n"] {
        assert!(matches!(parse_error(nothing.as_bytes()), ParseError::NoOperations { .. }), "{nothing}");
    }
    for (content, line, what) in [
        (&b"\x1f\x8b\x08"[..], 1, "gunzip"),
        (b"JEPSEN\0\x01", 1, "binary store"),
        (b"PK\x03\x04", 1, "unzip"),
        (b"ab\ncd\0ef", 2, "NUL"),
        (b"ab\n\n\xff", 3, "UTF-8"),
    ] {
        let error = parse_error(content);
        assert_eq!(error.line(), Some(line), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn every_prefix_and_every_flipped_byte_is_read_or_refused() {
    let text = edn(&[
        "0 invoke write [1 \"a\\\"b\"]",
        "1 invoke read",
        "0 ok write [1 \"a\"]",
        "1 ok read #{1 2}",
        "2 invoke cas [1 2]",
    ]);
    let log = "INFO  jepsen.util - 0\t:invoke\t:read\tnil\nINFO  jepsen.util - 0\t:ok\t:read\t[1 2]\n";
    for text in [text.as_str(), log] {
        for end in 0..text.len() {
            let _ = parse(&text.as_bytes()[..end], &Options::default());
            for byte in [b'"', b'{', b'}', b'[', b'#', b':', b' ', b'\n', b'\\', b'0', 0, 0xff] {
                let mut content = text.as_bytes().to_vec();
                content[end] = byte;
                for format in [None, Some(Format::JepsenEdn), Some(Format::JepsenLog)] {
                    let _ = parse(&content, &Options { format, ..Options::default() });
                }
            }
        }
    }
}

#[test]
fn texts_that_are_too_much_are_read_or_refused() {
    let long = "x".repeat(10 << 20);
    let line = format!("{{:type :invoke, :f :write, :process 0, :value \"{long}\"}}\n");
    assert_eq!(parse(line.as_bytes(), &Options::default()).unwrap().counts.used, 1);
    assert_eq!(parse(long.as_bytes(), &Options::default()).unwrap_err(), ParseError::Unrecognised);
    for deep in ["[", "{:a ", "#{", "#a ", "#_ ", "(", "\\", "^{"] {
        let value = deep.repeat(100_000);
        for text in [
            value.clone(),
            format!("{{:type :invoke, :f :read, :process 0, :value {value}"),
            format!("0 :ok :read {value}\n"),
        ] {
            assert!(parse(text.as_bytes(), &Options::default()).is_err(), "{deep}");
        }
    }
    let many: String = (0..100_000).map(|number| format!("{number} :invoke :f{number} nil\n")).collect();
    assert!(matches!(parse(many.as_bytes(), &Options::default()), Err(ParseError::UnknownOperation { .. })));
}
