//! Trace events, to look at a run in ui.perfetto.dev or chrome://tracing.
//!
//! ```json
//! {"displayTimeUnit":"ms","otherData":{"format":"chaos.trace/1"},"traceEvents":[
//! {"ph":"M","name":"process_name","pid":11,"tid":0,"args":{"name":"n1"}},
//! {"ph":"X","name":"leader","cat":"role","pid":11,"tid":1,"ts":3000.102,"dur":41.5,"args":{"term":8}}]}
//! ```
//!
//! Every node is a process with its roles, terms and hardships as threads of slices; so are the faults, the failovers with their
//! phases, the clients' operations and the host's stalls. Slices of one thread must nest, so what may overlap is laid out
//! in lanes, each a thread. Times are microseconds since the run began, with three decimals.
//!
//! Source: "Trace Event Format" (Google, 2016): phases `X`, `i`, `M`. Needs the timeline, which only a report that was
//! made from its history has: of a report that was read from JSON, failovers, faults and stalls are all there is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chaos_failover::{Failover, Interval, LifeState, OperationPoint, PointOutcome};
use chaos_history::{Mark, RunNanos};
use chaos_plan::expect::Phase;
use serde::Serialize;
use serde_json::{Value, json};

use crate::words::{Lines, role, visible};
use crate::{Report, ReportError};

/// More operations than this are thinned out: those that failed, and then the slowest, are kept.
const OPERATIONS_MAX: usize = 200_000;

/// Processes that are no nodes; node n1 is process 11 of its run.
const FAULTS: u64 = 1;
const FAILOVERS: u64 = 2;
const CLIENTS: u64 = 3;
const HOST: u64 = 4;
const NODES: u64 = 10;

pub(super) fn render(reports: &[Report]) -> Result<String, ReportError> {
    let widest = reports.iter().map(|report| report.run.nodes).max().unwrap_or(0) as u64;
    let mut trace = Trace { events: Vec::new(), first_process: 0, run: String::new() };
    for (index, report) in reports.iter().enumerate() {
        trace.first_process = index as u64 * (NODES + widest + 1);
        trace.run = if reports.len() > 1 { format!("run {}, ", index + 1) } else { String::new() };
        trace.nodes(report);
        trace.faults(report);
        trace.failovers(report);
        trace.operations(report);
        trace.host(report);
    }
    let mut out =
        "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"format\":\"chaos.trace/1\"},\"traceEvents\":[\n".to_owned();
    for (index, event) in trace.events.iter().enumerate() {
        out.push_str(if index == 0 { "" } else { ",\n" });
        out.push_str(&serde_json::to_string(event)?);
    }
    out.push_str("\n]}\n");
    Ok(out)
}

#[derive(Serialize)]
struct Event {
    ph: &'static str,
    name: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    cat: &'static str,
    pid: u64,
    tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    /// The scope of an instant: `p`, its process.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

struct Trace {
    events: Vec<Event>,
    first_process: u64,
    run: String,
}

impl Trace {
    fn process(&mut self, pid: u64, name: &str) {
        let name = visible(&format!("{}{name}", self.run), Lines::One);
        self.named("process_name", pid, 0, json!({ "name": name }));
        self.named("process_sort_index", pid, 0, json!({ "sort_index": self.first_process + pid }));
    }

    fn thread(&mut self, pid: u64, tid: u64, name: &str) {
        self.named("thread_name", pid, tid, json!({ "name": visible(name, Lines::One) }));
    }

    fn named(&mut self, what: &str, pid: u64, tid: u64, args: Value) {
        let pid = self.first_process + pid;
        self.events.push(Event {
            ph: "M",
            name: what.to_owned(),
            cat: "",
            pid,
            tid,
            ts: None,
            dur: None,
            s: None,
            args,
        });
    }

    fn slice(&mut self, (pid, tid): (u64, u64), cat: &'static str, name: &str, span: Interval, args: Value) {
        let (ts, dur) = (Some(micros(span.lo.0)), Some(micros(span.hi.0.saturating_sub(span.lo.0))));
        let (pid, name) = (self.first_process + pid, visible(name, Lines::One));
        self.events.push(Event { ph: "X", name, cat, pid, tid, ts, dur, s: None, args });
    }

    fn instant(&mut self, (pid, tid): (u64, u64), cat: &'static str, name: &str, at: RunNanos) {
        let (pid, name, ts) = (self.first_process + pid, visible(name, Lines::One), Some(micros(at.0)));
        self.events.push(Event { ph: "i", name, cat, pid, tid, ts, dur: None, s: Some("p"), args: Value::Null });
    }

    fn nodes(&mut self, report: &Report) {
        let word = report.measured.testimony.terms.word();
        for lane in &report.measured.timeline.lanes {
            let pid = NODES + u64::from(lane.node.number());
            self.process(pid, &lane.node.to_string());
            for (tid, name) in [(1, "role"), (2, word), (3, "down"), (4, "paused"), (5, "cut off")] {
                self.thread(pid, tid, name);
            }
            let mut term: Option<(u64, Interval)> = None;
            for segment in &lane.roles {
                let span = Interval::new(segment.from, segment.to);
                let args = json!({ "term": segment.term.0, "leader": segment.leader });
                self.slice((pid, 1), "role", role(segment.role), span, args);
                term = match term {
                    Some((number, so_far)) if number == segment.term.0 => {
                        Some((number, Interval::new(so_far.lo, segment.to)))
                    }
                    ended => {
                        self.term(pid, word, ended);
                        Some((segment.term.0, span))
                    }
                };
            }
            self.term(pid, word, term);
            for segment in &lane.life {
                let (tid, name) = match segment.state {
                    LifeState::Down => (3, "down"),
                    LifeState::Paused => (4, "paused"),
                    LifeState::Cut => (5, "cut off"),
                };
                self.slice((pid, tid), "life", name, Interval::new(segment.from, segment.to), Value::Null);
            }
        }
    }

    fn term(&mut self, pid: u64, word: &str, term: Option<(u64, Interval)>) {
        if let Some((number, span)) = term {
            self.slice((pid, 2), "term", &format!("{word} {number}"), span, json!({ "term": number }));
        }
    }

    fn faults(&mut self, report: &Report) {
        self.process(FAULTS, "faults");
        let spans: Vec<Interval> = report.faults.iter().map(|fault| fault.span).collect();
        for (fault, lane) in report.faults.iter().zip(lanes(&spans)) {
            let place = fault.source.as_ref().map(|place| format!("{}:{}", place.file, place.line));
            let place = place.map(|place| visible(&place, Lines::One));
            let args = json!({ "fault": fault.id, "kind": fault.kind.name(), "nodes": fault.nodes, "plan": place });
            self.slice((FAULTS, lane), "fault", &fault.label, fault.span, args);
        }
    }

    /// A slice per failover, from the earliest moment of its fault to its last phase, and inside of it one per phase.
    fn failovers(&mut self, report: &Report) {
        self.process(FAILOVERS, "failovers");
        let word = report.measured.testimony.terms.word();
        let reached = |failover: &Failover, phase| failover.phases.get(phase).reached().map(|reached| reached.at.hi);
        let ends = |failover: &Failover| Phase::ALL.into_iter().filter_map(|phase| reached(failover, phase)).max();
        let whole = |failover: &Failover| {
            Interval::new(
                failover.injected.lo,
                ends(failover).unwrap_or(failover.injected.hi).max(failover.injected.lo),
            )
        };
        let failovers = &report.measured.failovers;
        let spans: Vec<Interval> = failovers.iter().map(whole).collect();
        for ((failover, lane), span) in failovers.iter().zip(lanes(&spans)).zip(&spans) {
            let at = (FAILOVERS, lane);
            let args = json!({ "fault": failover.fault, "old": failover.old, "new": failover.new });
            self.slice(at, "failover", &failover.label, *span, args);
            let mut from = span.lo;
            for phase in Phase::ALL {
                // Phases that were over before an earlier one in the list have no slice of their own.
                let Some(to) = reached(failover, phase).filter(|to| *to > from) else { continue };
                self.slice(at, "phase", phase.name(), Interval::new(from, to), Value::Null);
                from = to;
            }
            if let (Some(new), Some(at_moment)) = (failover.new, reached(failover, Phase::Elected)) {
                self.instant(at, "election", &format!("{} elected for {word} {}", new.node, new.term), at_moment);
            }
        }
        for unplanned in &report.measured.unplanned {
            let name =
                format!("{} elected for {word} {}, without a fault", unplanned.leader.node, unplanned.leader.term);
            self.instant((FAILOVERS, 1), "election", &name, unplanned.at.hi);
        }
    }

    fn operations(&mut self, report: &Report) {
        let all = &report.measured.operations.points;
        let mut points: Vec<&OperationPoint> = all.iter().collect();
        let mut name = "clients".to_owned();
        if points.len() > OPERATIONS_MAX {
            points.sort_by_key(|point| (point.outcome == PointOutcome::Ok, Reverse(point.latency)));
            points.truncate(OPERATIONS_MAX);
            name = format!("clients ({OPERATIONS_MAX} of {} operations: not ok, or the slowest)", all.len());
        }
        points.sort_by_key(|point| (point.due, point.latency));
        self.process(CLIENTS, &name);
        let spans: Vec<Interval> =
            points.iter().map(|point| Interval::new(point.due, point.due + point.latency)).collect();
        for ((point, span), lane) in points.iter().zip(&spans).zip(lanes(&spans)) {
            let name = match point.outcome {
                PointOutcome::Ok => "ok",
                PointOutcome::Fail => "fail",
                PointOutcome::Info => "unknown",
            };
            self.slice((CLIENTS, lane), if point.pinned { "pinned" } else { "roaming" }, name, *span, Value::Null);
        }
    }

    fn host(&mut self, report: &Report) {
        self.process(HOST, "host and run");
        for stall in &report.measured.stalls {
            self.slice((HOST, 1), "stall", "stall", Interval::new(stall.from, stall.to), Value::Null);
        }
        for landmark in &report.measured.timeline.landmarks {
            let name = match landmark.mark {
                Mark::LoadBegin => "load begins",
                Mark::FaultsBegin => "faults begin",
                Mark::FaultsEnd => "faults end",
                Mark::LoadEnd => "load ends",
                Mark::RunEnd => "run ends",
                Mark::Interrupted => "interrupted",
            };
            self.instant((HOST, 1), "run", name, landmark.at);
        }
    }
}

/// The first free lane, from 1, for each of the stretches of time, which are in order of their beginnings (what is not gets a
/// lane further down).
fn lanes(spans: &[Interval]) -> Vec<u64> {
    // Free lanes, lowest first, and busy ones by their end.
    let (mut free, mut busy) = (BinaryHeap::<Reverse<u64>>::new(), BinaryHeap::<Reverse<(RunNanos, u64)>>::new());
    let mut used = 0;
    let lane = |span: &Interval| {
        while let Some(Reverse((_, lane))) = busy.peek().copied().filter(|Reverse((end, _))| *end <= span.lo) {
            busy.pop();
            free.push(Reverse(lane));
        }
        let lane = free.pop().map_or_else(
            || {
                used += 1;
                used
            },
            |Reverse(lane)| lane,
        );
        busy.push(Reverse((span.hi, lane)));
        lane
    };
    spans.iter().map(lane).collect()
}

/// Microseconds of nanoseconds; exact to the nanosecond for runs of under a hundred days.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_lies_in_lanes_of_its_own() {
        let span = |lo, hi| Interval::new(RunNanos(lo), RunNanos(hi));
        assert_eq!(lanes(&[span(0, 10), span(5, 7), span(7, 9), span(8, 20), span(10, 11)]), [1, 2, 2, 3, 1]);
    }
}
