//! The figure as a table and as JSON: every number that the drawing shows, and the words that it can't.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_report::Report;
use serde_json::json;

use crate::{Error, Setting};

fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e3)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn host(report: &Report) -> String {
    let facts: Vec<String> = report.host.iter().map(|fact| format!("{} {}", fact.name, fact.value)).collect();
    facts.join(", ")
}

/// `chaos.figure16/1`: times in nanoseconds, shares in parts per million.
pub(crate) fn json(settings: &[Setting], disk: Duration, first: &Report) -> Result<String, Error> {
    let of_setting = |setting: &Setting| {
        let published = setting.published.iter();
        json!({
            "election_timeout_ns": [nanos(setting.timing.election_timeout_min), nanos(setting.timing.election_timeout_max)],
            "heartbeat_ns": nanos(setting.timing.heartbeat),
            "nodes": setting.timing.nodes,
            "crashes": setting.samples.len() + setting.never,
            "never_elected": setting.never,
            "stalled": setting.stalled,
            "samples_ns": setting.samples.iter().map(|time| nanos(*time)).collect::<Vec<_>>(),
            "formula": setting.formula.iter().map(|(share, time)| json!([share, nanos(*time)])).collect::<Vec<_>>(),
            "split_millionths": setting.split_millionths,
            "published": published.map(|one| json!({ "what": one.what, "ms": one.ms })).collect::<Vec<_>>(),
            "runs": setting.violated.1,
            "runs_that_violate_safety": setting.violated.0,
        })
    };
    let figure = json!({
        "schema": "chaos.figure16/1",
        "chaos": first.chaos,
        "started": first.run.started,
        "host": host(first),
        "durable_write_ns": nanos(disk),
        "settings": settings.iter().map(of_setting).collect::<Vec<_>>(),
    });
    Ok(serde_json::to_string_pretty(&figure)? + "\n")
}

/// The table, and what to think of it.
pub(crate) fn markdown(settings: &[Setting], disk: Duration, first: &Report) -> String {
    let mut out = String::from(
        "# How long is a Raft cluster without a leader?\n\nFigure 16 of Ongaro and Ousterhout (extended version, 2014, §9.3) on \
         real processes: the leader of five is crashed\nat a random moment, and the time until the first claim of a higher term \
         is measured, once for each range of election\ntimeouts. Milliseconds; upper bounds of what was measured.\n\n\
         ![Cumulative distributions, measured and expected](figure16.svg)\n\n\
         | election timeout | crashes | median | expected | p90 | longest | expected p90 | rounds that split | the paper |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for setting in settings {
        let all = setting.samples.len() + setting.never;
        let or_dash = |time: Option<Duration>| time.map_or("–".to_owned(), ms);
        let p90 = if all >= 29 { setting.quantile(900_000) } else { None };
        let longest = match setting.never {
            0 => or_dash(setting.samples.last().copied()),
            never => format!("{never} of {all} never"),
        };
        let median = or_dash(setting.quantile(500_000));
        let published: Vec<String> = setting.published.iter().map(|one| format!("{} {}", one.what, one.ms)).collect();
        let _ = writeln!(
            out,
            "| {} | {all} | {median} | {} | {} | {longest} | {} | {:.1} % | {} |",
            setting.name(),
            or_dash(setting.expected(500_000)),
            or_dash(p90),
            or_dash(setting.expected(900_000)),
            f64::from(setting.split_millionths) / 1e4,
            published.join("; "),
        );
    }
    let broken: usize = settings.iter().map(|setting| setting.violated.0).sum();
    let runs: usize = settings.iter().map(|setting| setting.violated.1).sum();
    let stalled: usize = settings.iter().map(|setting| setting.stalled).sum();
    let write = ms(disk);
    let _ = write!(
        out,
        "\n\"Expected\" is our formula (thesis chapter 9): timeouts drawn evenly, heartbeats at half the shortest timeout, a crash \
         at a\nrandom moment between two heartbeats, split rounds repeated, a round trip of 0.1 ms, and {write} ms for a durable \
         write of the\nvote (from the first timeout to the new leader in elections of one term, the middle of these runs, less the round trip, \
         halved).\n\"The paper\" has only what its text says; nothing is read off its drawing.\n\n\
         **What differs from the paper's experiment.**\n\n\
         - *Broadcast time.* About 15 ms there, the round trip of 0.1 ms and the write of the vote here. A round splits when \
         other timers\n  fire before the first candidate's request arrives, so a millisecond of randomness goes further here than \
         there. A line is to be\n  compared with its own dashed one; with the paper's only by its shape.\n\
         - *Logs.* The paper's servers had logs of different lengths, so that some were not eligible. Here all logs are of one \
         length (a\n  write a second), and every server may win. It makes elections somewhat faster than the paper's.\n\
         - *Restart.* The crashed leader stays down until there is a new one, as in the paper; without one within 15 s it is \
         started\n  again, and the crash counts as \"never\".\n\n\
         {broken} of {runs} runs violated safety; {stalled} of the measured failovers overlap a stall of the host. Host: {}. \
         Started {}.\n\nMade by `scripts/figure16.sh`, drawn from [figure16.json](figure16.json).\n",
        host(first),
        first.run.started,
    );
    out
}
