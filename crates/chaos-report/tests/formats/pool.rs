//! Several runs: what is pooled, what may not be, and whose verdict counts.

use chaos_failover::Floor;
use chaos_report::formats::{Format, FormatError, Pooling, render, unlike, worst};
use chaos_report::{Report, Verdict};

use super::{convicted, empty, hostile, sound, untold, written};
use crate::support::timing;

#[test]
fn the_gravest_verdict_is_the_verdict_of_all() {
    let missed = || Report { verdict: Verdict::Missed, ..sound() };
    assert_eq!(worst(&[sound(), sound()]), Verdict::Pass);
    assert_eq!(worst(&[sound(), missed()]), Verdict::Missed);
    assert_eq!(worst(&[missed(), untold(), sound()]), Verdict::Unknown);
    assert_eq!(worst(&[sound(), convicted(), untold()]), Verdict::Fail);
    assert_eq!(worst(&[]), Verdict::Unknown);
}

#[test]
fn failovers_of_all_runs_make_one_distribution() {
    let runs = [sound(), sound(), sound()];
    let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &runs)).unwrap();
    assert_eq!((&json["schema"], &json["verdict"]), (&"chaos.reports/1".into(), &"pass".into()));
    assert_eq!(json["runs"].as_array().unwrap().len(), 3);
    let n = |row: &serde_json::Value| row["figures"]["n"].as_u64().unwrap();
    let one = serde_json::to_value(&runs[0].measured.distributions).unwrap();
    for (pooled, single) in json["distributions"].as_array().unwrap().iter().zip(one.as_array().unwrap()) {
        assert_eq!(n(pooled), 3 * n(single));
    }
    // Six failovers of each kind are enough for a median, two are not.
    assert!(written(Format::Text, &runs).contains("3 runs together, 18 failovers"));
    assert!(json["distributions"][0]["figures"]["p50"].is_u64() && one[0]["figures"]["p50"].is_null());
}

#[test]
fn runs_of_different_experiments_are_not_pooled_unless_forced() {
    let other = |change: fn(&mut Report)| {
        let mut report = sound();
        change(&mut report);
        report
    };
    let slower = |report: &mut Report| {
        let timing = chaos_failover::Timing { heartbeat: std::time::Duration::from_millis(80), ..timing() };
        report.measured.floor = Floor::of(&timing);
    };
    for (different, what) in [
        (other(|report| report.run.workload = "kill".to_owned()), "the workload"),
        (other(|report| report.run.system = "etcd".to_owned()), "the system"),
        (other(|report| report.run.specimen = Some("double-vote".to_owned())), "the system"),
        (other(|report| report.run.nodes = 3), "the system"),
        (other(slower), "timeouts"),
    ] {
        let runs = [sound(), different];
        assert!(unlike(&runs).unwrap().contains(what));
        for format in Format::ALL.into_iter().filter(|format| format.pools()) {
            let refused = render(format, &runs, Pooling::Alike).unwrap_err();
            assert!(refused.to_string().contains(what), "{format}: {refused}");
            assert!(render(format, &runs, Pooling::Forced).is_ok(), "{format}");
        }
        for format in [Format::Junit, Format::Github, Format::Csv, Format::Trace] {
            assert!(render(format, &runs, Pooling::Alike).is_ok(), "{format} keeps runs apart anyway");
        }
    }
    assert_eq!(unlike(&[sound(), convicted(), untold(), empty()]), None);
}

#[test]
fn a_page_is_of_one_run() {
    let refused = render(Format::Html, &[sound(), hostile("x")], Pooling::Forced);
    assert!(matches!(refused, Err(FormatError::OneRunOnly(Format::Html))));
}
