//! The trace, read back as JSON and held to what a trace viewer needs: named tracks, and slices that nest.

use std::collections::BTreeMap;

use chaos_report::Report;
use chaos_report::formats::Format;
use serde_json::Value;

use super::{HOSTILE, convicted, empty, hostile, long, shown, sound, written};

fn read(reports: &[Report]) -> Vec<Value> {
    let trace: Value = serde_json::from_str(&written(Format::Trace, reports)).expect("JSON");
    assert_eq!(trace["displayTimeUnit"], "ms");
    trace["traceEvents"].as_array().expect("events").clone()
}

fn of_kind<'e>(events: &'e [Value], ph: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["ph"] == ph).collect()
}

fn slices<'e>(events: &'e [Value], cat: &str) -> Vec<&'e Value> {
    of_kind(events, "X").into_iter().filter(|event| event["cat"] == cat).collect()
}

/// Nanoseconds.
fn ns(value: &Value) -> u64 {
    let micros = value.as_f64().expect("a time");
    assert!(micros >= 0.0);
    format!("{:.0}", micros * 1e3).parse().unwrap()
}

fn assert_slices_nest(events: &[Value]) {
    let mut tracks: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    for event in of_kind(events, "X") {
        let track = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let from = ns(&event["ts"]);
        tracks.entry(track).or_default().push((from, from + ns(&event["dur"])));
    }
    for (track, mut spans) in tracks {
        spans.sort_by_key(|(from, to)| (*from, std::cmp::Reverse(*to)));
        let mut open: Vec<u64> = Vec::new();
        for (from, to) in spans {
            open.retain(|end| *end > from);
            assert!(open.last().is_none_or(|end| to <= *end), "{track:?}: a slice until {to} sticks out of {open:?}");
            open.push(to);
        }
    }
}

#[test]
fn every_node_fault_failover_and_operation_is_there() {
    let report = sound();
    let events = read(std::slice::from_ref(&report));
    assert_slices_nest(&events);
    let segments: usize = report.measured.timeline.lanes.iter().map(|lane| lane.roles.len()).sum();
    assert_eq!(slices(&events, "role").len(), segments);
    assert_eq!(slices(&events, "fault").len(), report.faults.len());
    assert_eq!(slices(&events, "failover").len(), report.measured.failovers.len());
    let operations = slices(&events, "roaming").len() + slices(&events, "pinned").len();
    assert_eq!(operations, report.measured.operations.points.len());
    let elections = of_kind(&events, "i").into_iter().filter(|event| event["cat"] == "election").count();
    assert_eq!(elections, report.measured.failovers.len());
    let first = &report.faults[0];
    let drawn = slices(&events, "fault")[0];
    assert_eq!((ns(&drawn["ts"]), drawn["name"].as_str()), (first.span.lo.0, Some(first.label.as_str())));
    assert_eq!(drawn["args"]["plan"], "faults/mixed.yaml:8");
}

#[test]
fn every_track_of_a_process_belongs_to_a_named_one() {
    let events = read(&[sound(), convicted()]);
    let named = of_kind(&events, "M").into_iter().filter(|event| event["name"] == "process_name");
    let processes: BTreeMap<u64, &str> =
        named.map(|event| (event["pid"].as_u64().unwrap(), event["args"]["name"].as_str().unwrap())).collect();
    assert_eq!(processes.len(), 2 * (5 + 4), "five nodes, faults, failovers, clients and the host, of two runs");
    assert!(processes.values().any(|name| *name == "run 2, n5"));
    assert!(events.iter().all(|event| processes.contains_key(&event["pid"].as_u64().unwrap())));
    assert_slices_nest(&events);
}

#[test]
fn an_empty_run_is_an_empty_trace_and_hostile_words_stay_words() {
    assert!(of_kind(&read(&[empty()]), "X").is_empty());
    for words in [HOSTILE.to_owned(), long()] {
        let events = read(&[hostile(&words)]);
        assert_eq!(slices(&events, "fault")[0]["name"], shown(&words).as_str());
        assert_eq!(events.len(), read(&[hostile("tame")]).len());
    }
}
