//! A certificate holds for its history, read the same way, and for nothing else.

use std::num::NonZeroUsize;

use chaos_check::linear::Budget;
use chaos_foreign::{Certificate, Finding, Options, Parsed, judge, parse, recheck};

fn read(text: &str) -> Parsed {
    parse(text.as_bytes(), &Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn certificate(parsed: &Parsed) -> String {
    let judged = judge(parsed, &Budget::default(), NonZeroUsize::MIN).expect("stamps are in order");
    Certificate::new(parsed, &judged).to_json()
}

fn findings(parsed: &Parsed, json: &str) -> Vec<Finding> {
    let certificate = Certificate::from_json(json.as_bytes()).expect("it is a certificate");
    let rechecked = recheck(parsed, &certificate, NonZeroUsize::MIN).expect("it is of this history");
    rechecked.into_iter().map(|rechecked| rechecked.finding).collect()
}

const REGISTER: &str = "0 :invoke :write 1\n0 :ok :write 1\n1 :invoke :read nil\n1 :ok :read 1\n";
const STALE: &str = "0 :invoke :write 1\n0 :ok :write 1\n1 :invoke :read nil\n1 :ok :read nil\n";
const MUTEX: &str = "0 :invoke :acquire nil\n0 :ok :acquire nil\n1 :invoke :acquire nil\n1 :ok :acquire nil\n";
const SET: &str = "0 :invoke :add 1\n0 :ok :add 1\n0 :invoke :add 2\n0 :ok :add 2\n0 :invoke :add 3\n0 :ok :add 3\n\
                   1 :invoke :read nil\n1 :ok :read #{1 3}\n";
const KV: &str = "{:process 0, :type :invoke, :f :append, :key 1, :value \"a\"} {:process 0, :type :ok, :f :append, :key 1}\n\
                  {:process 0, :type :invoke, :f :append, :key 1, :value \"b\"} {:process 0, :type :ok, :f :append, :key 1}\n\
                  {:process 0, :type :invoke, :f :get, :key 1} {:process 0, :type :ok, :f :get, :key 1, :value \"a\"}\n";

#[test]
fn a_certificate_holds_for_its_history() {
    assert_eq!(findings(&read(REGISTER), &certificate(&read(REGISTER))), [Finding::Replayed(2)]);
    for text in [STALE, MUTEX, SET, KV, &KV.replace('\n', " ")] {
        let parsed = read(text);
        let found = findings(&parsed, &certificate(&parsed));
        assert!(matches!(found[..], [Finding::Refuted(_)]), "{found:?}\n{text}");
    }
}

#[test]
fn a_claim_that_is_wrong_does_not_hold() {
    let parsed = read(REGISTER);
    let json = certificate(&parsed);
    for (from, to, why) in [
        ("[1,3]", "[3,1]", "impossible"),
        ("[1,3]", "[1]", "not placed"),
        ("[1,3]", "[1,3,3]", "twice"),
        ("[1,3]", "[1,2]", "begins at line 2"),
        ("[1,3]", "[]", "not placed"),
    ] {
        assert!(json.contains(from), "{json}");
        let found = findings(&parsed, &json.replace(from, to));
        assert!(matches!(&found[..], [Finding::DoesNotHold(text)] if text.contains(why)), "{found:?}");
    }
    // That the other history was not linearizable says nothing of this one, be it as long.
    let found = findings(&parsed, &certificate(&read(STALE)));
    assert!(matches!(&found[..], [Finding::DoesNotHold(_)]), "{found:?}");
    let found = findings(&read(STALE), &json);
    assert!(matches!(&found[..], [Finding::DoesNotHold(_)]), "{found:?}");
    // A core that demands more than the history has.
    let stale = certificate(&read(STALE));
    for (from, to) in [("\"answered\":4", "\"answered\":3"), ("\"what\":\"read nil\"", "\"what\":\"read 7\"")] {
        assert!(stale.contains(from), "{stale}");
        let found = findings(&read(STALE), &stale.replace(from, to));
        assert!(matches!(&found[..], [Finding::DoesNotHold(_)]), "{found:?}");
    }
}

#[test]
fn a_certificate_of_something_else_is_refused() {
    let (parsed, json) = (read(REGISTER), certificate(&read(REGISTER)));
    let error = |parsed: &Parsed, json: &str| {
        let certificate = Certificate::from_json(json.as_bytes()).map_err(|error| error.to_string())?;
        recheck(parsed, &certificate, NonZeroUsize::MIN).map(|_| ()).map_err(|error| error.to_string())
    };
    for (from, to, why) in [
        ("\"chaos_certificate\":1", "\"chaos_certificate\":2", "version 2"),
        ("\"failed_cas\":\"did-not-happen\"", "\"failed_cas\":\"saw-another\"", "--failed-cas saw-another"),
        ("\"operations\":2", "\"operations\":3", "another file"),
        ("\"key\":null", "\"key\":\"a\"", "which the history does not have"),
        ("\"key\"", "\"kez\"", "not a certificate"),
    ] {
        assert!(json.contains(from), "{json}");
        let error = error(&parsed, &json.replace(from, to)).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    // Silence is no proof.
    let from = json.find("\"objects\":[").expect("it has objects");
    let silent = format!("{}\"objects\":[]}}", &json[..from]);
    assert!(matches!(&findings(&parsed, &silent)[..], [Finding::NothingClaimed(_)]));
}
