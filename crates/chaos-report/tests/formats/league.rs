//! The league: what is pooled into one row, what a row without figures says, and what hostile words can't do to it.

use chaos_report::league::{League, NotRun, faults_so_far};
use chaos_report::{Fact, Report, Tested};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{HOSTILE, convicted, hostile, sound, untold};

/// A run of `kill`, as a system in a version with a profile.
fn of(mut report: Report, system: &str, version: &str, profile: &str) -> Report {
    report.run.system = system.to_owned();
    report.run.tested = Some(Tested {
        version: Some(version.to_owned()),
        profile: profile.to_owned(),
        settings: vec![Fact { name: "election".to_owned(), value: "200".to_owned() }],
        nodes: Vec::new(),
        programs: vec![Fact { name: system.to_owned(), value: version.to_owned() }],
    });
    report
}

fn not_run(system: &str, reason: &str) -> NotRun {
    NotRun {
        system: system.to_owned(),
        version: None,
        profile: "fast".to_owned(),
        fault: "partition: kill".to_owned(),
        reason: reason.to_owned(),
    }
}

/// Rows of all tables; HTML, a link, or a heading that is none of ours fails.
#[expect(clippy::wildcard_enum_match_arm, reason = "only tables and what must not be there are of interest")]
fn rows(markdown: &str) -> Vec<Vec<String>> {
    let (mut rows, mut text): (Vec<Vec<String>>, String) = (Vec::new(), String::new());
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => panic!("HTML: {html}"),
            Event::Code(code) => panic!("code: {code}"),
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Emphasis) => panic!("a link, a picture, emphasis"),
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => text.clear(),
            Event::Text(piece) => text.push_str(&piece),
            Event::End(TagEnd::TableCell) => rows.last_mut().unwrap().push(std::mem::take(&mut text)),
            _ => {}
        }
    }
    rows
}

/// The cell of a row's first mention under a heading.
fn cell<'a>(rows: &'a [Vec<String>], system: &str, heading: &str) -> &'a str {
    let at = rows.iter().position(|row| row[0] == system).unwrap_or_else(|| panic!("no {system} in {rows:#?}"));
    let head = rows[..at].iter().rev().find(|row| row[0] == "system").unwrap();
    &rows[at][head.iter().position(|name| name == heading).unwrap_or_else(|| panic!("no {heading} in {head:?}"))]
}

#[test]
fn runs_of_one_system_version_and_profile_are_one_row_and_others_are_not() {
    let etcd = |profile| of(sound(), "etcd", "3.5.1", profile);
    let reports = [etcd("fast"), etcd("fast"), etcd("default"), of(sound(), "etcd", "3.4.23", "fast")];
    let rows = rows(&League::new(&reports, &[]).to_markdown());
    // The made-up run has six faults: two of each kind.
    assert_eq!(cell(&rows, "etcd 3.5.1 · fast", "n"), "4");
    assert_eq!(cell(&rows, "etcd 3.5.1 · default", "n"), "2");
    assert_eq!(cell(&rows, "etcd 3.4.23 · fast", "n"), "2");
    assert_eq!(faults_so_far(&reports), 24);
}

#[test]
fn few_samples_are_listed_and_enough_have_a_median_that_is_set_against_the_floor() {
    let run = || of(sound(), "etcd", "3.5.1", "fast");
    let few = rows(&League::new(&[run()], &[]).to_markdown());
    let listed = cell(&few, "etcd 3.5.1 · fast", "elected");
    assert_eq!(listed.split(", ").count(), 2, "{listed}");
    assert!(!few.concat().contains(&"÷ floor".to_owned()), "two samples have no median: {few:#?}");
    let many = rows(&League::new(&[run(), run(), run()], &[]).to_markdown());
    let figures = cell(&many, "etcd 3.5.1 · fast", "elected");
    assert!(figures.contains(" ms / – / ") && figures.ends_with(" ms"), "{figures}");
    let ratio: f64 = cell(&many, "etcd 3.5.1 · fast", "÷ floor").parse().unwrap();
    assert!(ratio > 0.2 && ratio < 5.0, "{ratio}");
}

#[test]
fn kinds_of_faults_are_never_mixed() {
    let markdown = League::new(&[of(sound(), "etcd", "3.5.1", "fast")], &[]).to_markdown();
    for section in ["## partition: kill\n", "## partition: pause\n", "## partition: partition\n"] {
        assert!(markdown.contains(section), "{section} in {markdown}");
    }
    let pure = |mut report: Report| {
        report.faults.retain(|fault| fault.kind == chaos_history::FaultKind::Kill);
        report
    };
    let markdown = League::new(&[of(pure(sound()), "etcd", "3.5.1", "fast")], &[]).to_markdown();
    assert!(markdown.contains("## partition\n") && !markdown.contains("## partition: "), "{markdown}");
}

#[test]
fn a_violation_is_named_in_the_row_and_an_unknown_is_no_pass() {
    let reports = [of(convicted(), "bad", "1", "fast"), of(sound(), "bad", "1", "fast")];
    let found = rows(&League::new(&reports, &[]).to_markdown());
    assert_eq!(cell(&found, "bad 1 · fast", "checks"), "FAIL × 1, PASS × 1 (ElectionSafety violated)");
    let found = rows(&League::new(&[of(untold(), "odd", "1", "fast")], &[]).to_markdown());
    assert_eq!(cell(&found, "odd 1 · fast", "checks"), "UNKNOWN × 1");
}

#[test]
fn what_could_not_run_is_a_row_with_its_reason_and_beside_runs_a_remark() {
    let reports = [of(sound(), "etcd", "3.5.1", "fast")];
    let failed = [not_run("rabbitmq", "not installed"), not_run("etcd", "no leader within 60 s")];
    let found = rows(&League::new(&reports, &failed).to_markdown());
    assert_eq!(cell(&found, "rabbitmq · fast", "checks"), "did not run: not installed");
    assert_eq!(cell(&found, "rabbitmq · fast", "n"), "–");
    assert_eq!(cell(&found, "etcd 3.5.1 · fast", "checks"), "PASS × 1, 1 run came to nothing");
    let tested: Vec<&Vec<String>> =
        found.iter().filter(|row| row[0] == "etcd 3.5.1 · fast" && row.len() == 6).collect();
    assert_eq!(tested[0][5], "no leader within 60 s");
}

#[test]
fn claims_are_compared_with_kills_at_default_timeouts_only() {
    let pure = |profile| {
        let mut report = of(sound(), "etcd", "3.5.1", profile);
        report.run.workload = "kill".to_owned();
        report.faults.retain(|fault| fault.kind == chaos_history::FaultKind::Kill);
        report
    };
    let claim = |reports: &[Report]| {
        let found = rows(&League::new(reports, &[]).to_markdown());
        found.iter().find(|row| row[0].starts_with("etcd fails over in 1")).unwrap()[2].clone()
    };
    assert_eq!(claim(&[pure("fast")]), "not measured");
    let few = claim(&[pure("default")]);
    assert!(few.starts_with("etcd 3.5.1: writable ") && few.ends_with("too few for a median)"), "{few}");
    // The made-up run fails over in a fifth of a second.
    let measured = claim(&[pure("default"), pure("default"), pure("default")]);
    assert!(measured.contains("(n 6): below"), "{measured}");
}

#[test]
fn hostile_words_stay_words() {
    let reports = [hostile(HOSTILE), of(sound(), HOSTILE, HOSTILE, HOSTILE)];
    let mut failed = not_run(HOSTILE, HOSTILE);
    failed.fault = HOSTILE.to_owned();
    let league = League::new(&reports, &[failed]);
    let found = rows(&league.to_markdown());
    assert!(found.iter().all(|row| row.len() >= 2), "{found:#?}");
    let html = league.to_html().unwrap();
    assert!(!html.contains("<script") && !html.contains("</testcase>"), "the page has a script");
    assert!(html.contains("default-src 'none'") && !html.contains("style="), "the page has a loose style");
}

#[test]
fn an_empty_league_says_so() {
    let league = League::new(&[], &[]);
    assert_eq!(league.failovers(), 0);
    assert!(league.to_html().unwrap().contains("nothing can be told"));
    assert!(league.to_markdown().contains("not measured"));
}
