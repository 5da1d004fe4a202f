//! Reports of a made-up run: the shape of the JSON, the terminal's text, and what hostile words can't do to the page.

mod formats;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chaos_check::{Outcome, Property};
use chaos_report::formats::{Format, Pooling};
use chaos_report::{ExpectedViolation, Input, Report, SCHEMA, Verdict, quoted_lines};
use support::{drawn_witness, history, input, invalid, report, valid};

fn sound() -> Report {
    let outcomes = [Property::ElectionSafety, Property::Linearizable, bounded()].map(valid);
    report(&history(6, 100), &outcomes, "Take the leader away in three ways.", &BTreeMap::new())
}

fn bounded() -> Property {
    Property::BoundedReelection { within: std::time::Duration::from_secs(3) }
}

fn convicted(words: &str) -> Report {
    let outcomes = [invalid(words, words), valid(Property::Linearizable)];
    let lines = BTreeMap::from([(12, words.to_owned())]);
    report(&history(6, 100), &outcomes, words, &lines)
}

fn drawn(who: &str) -> Report {
    let mut stale = invalid("n2 read 7 for key k after 9 had been acknowledged by n1", "line 4: n2 read 7");
    stale.property = Property::Linearizable;
    if let chaos_check::Verdict::Invalid(witness) = &mut stale.verdict {
        witness.picture = Some(drawn_witness(who));
    }
    report(&history(6, 100), &[valid(Property::ElectionSafety), stale], "", &BTreeMap::new())
}

#[test]
fn the_json_names_its_version_and_reads_back_the_same() {
    let report = sound();
    let json = report.to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["schema"], SCHEMA);
    assert_eq!((&value["verdict"], &value["exit_code"]), (&"pass".into(), &0.into()));
    let again: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(again.to_json().unwrap(), json);
}

#[test]
fn the_shape_of_the_json_is_pinned() {
    let value: serde_json::Value = serde_json::from_str(&sound().to_json().unwrap()).unwrap();
    insta::assert_snapshot!(shape(&value, ""));
}

/// Every key's path with the kind of its value; of lists the first element.
fn shape(value: &serde_json::Value, path: &str) -> String {
    match value {
        serde_json::Value::Object(map) => {
            map.iter().map(|(key, value)| shape(value, &format!("{path}.{key}"))).collect()
        }
        serde_json::Value::Array(list) => match list.first() {
            Some(first) => shape(first, &format!("{path}[]")),
            None => format!("{path}[] empty\n"),
        },
        serde_json::Value::String(_) => format!("{path}: string\n"),
        serde_json::Value::Number(number) => {
            assert!(number.is_u64(), "{path}: {number} is no integer");
            format!("{path}: integer\n")
        }
        serde_json::Value::Bool(_) => format!("{path}: bool\n"),
        serde_json::Value::Null => format!("{path}: null\n"),
    }
}

#[test]
fn the_terminal_says_it_in_a_few_plain_lines() {
    insta::assert_snapshot!(sound().to_terminal(false, 100));
}

#[test]
fn the_terminal_explains_a_violation() {
    let words = "n3 and n5 both led term 8";
    insta::assert_snapshot!(convicted(words).to_terminal(false, 80));
}

#[test]
fn the_terminal_draws_a_counterexample() {
    let report = drawn("n2");
    let text = report.to_terminal(false, 100);
    let from = text.find("Linearizable").unwrap();
    insta::assert_snapshot!(&text[from..text.find("failover").unwrap()]);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn the_page_draws_a_counterexample_and_its_words_stay_words() {
    let page = drawn("n2").to_html().unwrap();
    for shown in ["✘ n2 · read 7", "class=\"pic-point\"", "pic-bar culprit", "pic-open", "pic-bar background"] {
        assert!(page.contains(shown), "{shown}");
    }
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("drawn.html"), &page).unwrap();
    let hostile = drawn("<script>\u{202e}\u{1b}[2J");
    let (page, terminal) = (hostile.to_html().unwrap(), hostile.to_terminal(false, 80));
    assert_eq!(scripts(&page), scripts(&drawn("n2").to_html().unwrap()));
    assert!(page.contains("&lt;script&gt;"));
    assert!(!page.contains('\u{202e}') && !terminal.contains('\u{202e}') && !terminal.contains('\u{1b}'));
}

#[test]
fn a_broken_node_is_named_and_a_pass_of_it_is_warned_of() {
    let run = history(6, 100);
    let broken = |outcomes: &[Outcome]| {
        let lines = BTreeMap::new();
        Report::new(Input { specimen: Some("double-vote"), ..input(&run, outcomes, "", &lines) })
    };
    let uncaught = "the broken node `double-vote` was not caught by this workload";
    let passed = broken(&[valid(Property::ElectionSafety)]);
    assert!(passed.to_terminal(false, 100).contains("raft (broken on purpose: double-vote), 5 nodes"));
    assert!(passed.to_html().unwrap().contains("raft (broken on purpose: double-vote), 5 nodes"));
    assert_eq!(passed.warnings, [uncaught]);
    assert!(broken(&[invalid("two leaders", "line 17: therefore")]).warnings.is_empty());
    assert!(sound().warnings.is_empty() && !sound().to_json().unwrap().contains("specimen"));
}

#[test]
fn an_expected_violation_is_said_to_be_one_and_stays_a_violation() {
    let run = history(6, 100);
    let report = |outcomes: &[Outcome], property| {
        let check = "election-safety".to_owned();
        let expected = [ExpectedViolation { check, properties: vec![property], source: None }];
        let lines = BTreeMap::new();
        let hopes = Vec::new();
        let input = input(&run, outcomes, "", &lines);
        Report::new(Input { expected_violations: &expected, expectations: hopes, ..input })
    };
    let outcomes = [invalid("two leaders", "line 17: therefore")];
    let property = outcomes[0].property;
    let shown = report(&outcomes, property);
    assert_eq!((shown.verdict, shown.exit_code), (Verdict::AsExpected, 0));
    assert!(shown.to_terminal(false, 100).starts_with("VIOLATION, as expected  "));
    assert!(shown.to_terminal(false, 100).contains("violated, as the plan expects"));
    assert!(shown.to_html().unwrap().contains("VIOLATION, as expected"));
    let json: serde_json::Value = serde_json::from_str(&shown.to_json().unwrap()).unwrap();
    assert_eq!((&json["checks"][0]["verdict"], &json["verdict"]), (&"invalid".into(), &"as_expected".into()));
    let written = |format| chaos_report::formats::render(format, std::slice::from_ref(&shown), Pooling::Alike).unwrap();
    let junit = written(Format::Junit);
    assert!(
        junit.contains("failures=\"0\"") && junit.contains("<system-out>violated, as the plan expects: two leaders")
    );
    assert!(written(Format::Markdown).contains("| ✘ violated, as the plan expects |"));
    assert!(written(Format::Github).starts_with("::notice "));
    // The same outcome where another violation was expected is a failure like any other.
    let other = report(&outcomes, Property::TermMonotonic);
    assert_eq!((other.verdict, other.exit_code), (Verdict::Fail, 1));
}

#[test]
fn how_a_run_was_stopped_is_a_sentence() {
    let run = history(2, 100);
    for (cause, expected) in [
        ("by the user", "the run was stopped early by the user"),
        ("the history has no end", "the run ended early: the history has no end"),
    ] {
        let lines = BTreeMap::new();
        let report = Report::new(Input { cut_short: Some(cause.to_owned()), ..input(&run, &[], "", &lines) });
        assert_eq!(report.warnings, [expected]);
    }
}

#[test]
fn what_people_copy_is_never_wrapped() {
    let terminal = sound().to_terminal(false, 20);
    for whole in [
        "  report     reports/partition/20261121T024811-7/report.html",
        "             reports/partition/20261121T024811-7/report.json",
        "  again      chaos run workloads/partition.yaml --seed 7",
    ] {
        assert!(terminal.lines().any(|line| line == whole), "{terminal}");
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let (plain, colored) = (sound().to_terminal(false, 100), sound().to_terminal(true, 100));
    assert!(!plain.contains('\u{1b}') && colored.contains('\u{1b}'));
    let mut stripped = String::new();
    let mut parts = colored.split('\u{1b}');
    stripped.push_str(parts.next().unwrap());
    parts.for_each(|part| stripped.push_str(part.split_once('m').unwrap().1));
    let trimmed: Vec<&str> = stripped.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
}

#[test]
fn hostile_words_stay_words() {
    let hostile = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"' onmouseover=alert(1) x=\"",
        "</style></svg></title><svg onload=alert(1)>",
        "{{ 7 * 7 }}{% include 'x' %}",
    ];
    for words in hostile {
        let page = convicted(words).to_html().unwrap();
        assert!(!page.contains(words), "unescaped: {words}");
        assert_eq!(scripts(&page), scripts(&convicted("n1 and n2").to_html().unwrap()), "{words}");
        for opener in ["<img", "<svg onload", "\" onmouseover"] {
            assert!(!page.contains(opener), "{opener} from {words}");
        }
    }
}

/// How many elements a page has that a browser could take for a script: its own one, and the blocks of data.
fn scripts(page: &str) -> (usize, usize) {
    let page = page.to_lowercase();
    (page.matches("<script").count(), page.matches("</script").count())
}

#[test]
fn words_that_reorder_text_or_move_the_cursor_are_made_visible() {
    let report = convicted("n1\u{202e}n2\u{1b}[2J\u{200b}");
    let (page, terminal) = (report.to_html().unwrap(), report.to_terminal(true, 80));
    for text in [&page, &terminal] {
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}') && !text.contains("\u{1b}[2J"));
        assert!(text.contains("u{202e}"));
    }
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn the_page_needs_nothing_from_outside_and_runs_its_own_script_only() {
    let page = sound().to_html().unwrap();
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("script-src 'sha256-") && page.contains("style-src 'sha256-"));
    let forbidden =
        ["http:", "https:", "unsafe-", " src=", " style=", "<link", "@import", "javascript:", " onclick", " onload"];
    for forbidden in forbidden {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#hatch)").count());
    assert_eq!(scripts(&page), (5, 5), "one script and four blocks of data");
}

#[test]
fn a_hundred_thousand_operations_and_sixty_thousand_observations_fit_into_a_megabyte_and_a_half() {
    let run = history(29, 842);
    let report = report(&run, &[valid(Property::ElectionSafety)], "", &BTreeMap::new());
    let (operations, observed) = (report.measured.operations.points.len(), report.measured.observed);
    assert!(operations >= 100_000 && observed.answers + observed.silences >= 59_500, "{operations} {observed:?}");
    let page = report.to_html().unwrap();
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn a_run_without_anything_still_gives_a_page() {
    let mut empty = history(1, 10);
    empty.events.clear();
    let report = report(&empty, &[], "", &BTreeMap::new());
    assert_eq!(report.exit_code, 2);
    assert!(report.to_html().unwrap().contains("No fault took a leader away"));
    assert!(report.to_terminal(false, 80).starts_with("UNKNOWN"));
}

#[test]
fn the_lines_that_a_witness_names_are_quoted() {
    let text: String = (1..=20).map(|line| format!("{{\"line\":{line}}}\n")).collect();
    let outcomes: [Outcome; 2] = [invalid("two leaders", "therefore"), valid(Property::Linearizable)];
    let lines = quoted_lines(text.as_bytes(), &outcomes).unwrap();
    assert_eq!(lines, BTreeMap::from([(12, "{\"line\":12}".to_owned()), (17, "{\"line\":17}".to_owned())]));
}

/// Both pages are left in the build directory, for human eyes.
#[test]
fn a_convicting_page_shows_the_argument_and_quotes_the_lines_that_it_rests_on() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let run = history(14, 200);
    let all = [
        Property::ElectionSafety,
        Property::TermMonotonic,
        Property::Linearizable,
        Property::NoAcknowledgedWriteLost,
        bounded(),
    ];
    let about = "Take the leader away again and again, in three ways, and measure how long the cluster is without one.";
    let pass = report(&run, &all.map(valid), about, &BTreeMap::new());
    fs::write(place.join("pass.html"), pass.to_html().unwrap()).unwrap();
    let line = r#"{"at":11604000000,"observation":{"node":"n3","incarnation":1,"source":"poll","sent":11603590511,"received":11604000000,"outcome":{"answered":{"term":8,"role":"leader","leader":"n3"}}}}"#;
    let lines = BTreeMap::from([(12, line.to_owned()), (17, line.replace("n3", "n5"))]);
    let outcomes = [invalid("n3 and n5 both led term 8", "line 17: n5 says that it leads term 8"), valid(bounded())];
    let fail = report(&run, &outcomes, about, &lines);
    let page = fail.to_html().unwrap();
    for shown in
        ["line 17: n5 says that it leads term 8", "&quot;sent&quot;:11603590511", "during fault 3: isolate leader"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    fs::write(place.join("fail.html"), page).unwrap();
}
