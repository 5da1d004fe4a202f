//! What texts of the field claim, beside what was measured.
//!
//! A claim is a range of times with its source, and names the rows and the phase that it can be compared with: the system's default
//! timeouts, since texts rarely mention any. A claim that nothing here can measure stays in the table and says so. Whether a text or
//! a measurement is to be believed is the reader's to decide; the table only says inside, above or below, by the median.

use std::time::Duration;

use chaos_plan::expect::Phase;

use super::League;
use super::row::Row;
use super::table::Table;
use crate::words::duration;

/// A claim and what it is compared with.
struct Claim {
    claim: &'static str,
    source: &'static str,
    /// The claimed times in milliseconds, from and to.
    range_ms: Option<(u64, u64)>,
    /// Which systems, by the names of their definitions.
    systems: &'static [&'static str],
    phase: Phase,
}

const CLAIMS: &[Claim] = &[
    Claim {
        claim: "Raft elects a leader in 150–300 ms",
        source: "read out of the election timeouts that the Raft paper suggests (Ongaro and Ousterhout 2014, 5.2 and 9.3)",
        range_ms: Some((150, 300)),
        systems: &["etcd", "hashicorp-raft", "ovsdb", "nats", "raft"],
        phase: Phase::Elected,
    },
    Claim {
        claim: "etcd fails over in 1–2 s",
        source: "follows from its default election timeout of 1 s (etcd tuning guide)",
        range_ms: Some((1_000, 2_000)),
        systems: &["etcd"],
        phase: Phase::Writable,
    },
    Claim {
        claim: "Kafka's controller fails over in 10–30 s with ZooKeeper",
        source: "texts that compare it with KRaft",
        range_ms: Some((10_000, 30_000)),
        systems: &["kafka-zookeeper"],
        phase: Phase::Elected,
    },
    Claim {
        claim: "Kafka's controller fails over in 1–5 s with KRaft",
        source: "the same texts",
        range_ms: Some((1_000, 5_000)),
        systems: &["kafka", "kafka-controller"],
        phase: Phase::Elected,
    },
    Claim {
        claim: "ZooKeeper elects a leader in 0.2–2 s",
        source: "“less than 200 ms to elect a new leader” (ZooKeeper overview, reliability); texts round it up",
        range_ms: Some((200, 2_000)),
        systems: &["zookeeper"],
        phase: Phase::Elected,
    },
    Claim {
        claim: "a Kubernetes Lease changes hands in 15–20 s",
        source: "follows from leaseDuration 15 s and retryPeriod 2 s (client-go's leaderelection)",
        range_ms: Some((15_000, 20_000)),
        systems: &["kubernetes", "kubernetes-lease"],
        phase: Phase::Elected,
    },
    Claim {
        claim: "MongoDB elects a primary in 12 s at most (median)",
        source: "MongoDB manual, replica set elections",
        range_ms: Some((0, 12_000)),
        systems: &["mongodb"],
        phase: Phase::Writable,
    },
    Claim {
        claim: "Consul fails over in 1–5 s",
        source: "“a healthy failover takes roughly 1–5 s” (a vendor's monitoring guide)",
        range_ms: Some((1_000, 5_000)),
        systems: &["consul"],
        phase: Phase::Writable,
    },
    Claim {
        claim: "bully takes O(n²) messages an election, Raft about 3n",
        source: "textbooks on election algorithms",
        range_ms: None,
        systems: &[],
        phase: Phase::Elected,
    },
];

/// The faults that a claim is compared with: texts mean a crash, and say nothing of the others.
const FAULT: &str = "kill";

/// The claims' table.
pub(super) fn table(league: &League) -> Table {
    let row = |claim: &Claim| vec![claim.claim.to_owned(), claim.source.to_owned(), measured(league, claim)];
    Table {
        headings: vec!["claim", "source", "measured (kill, default timeouts)"],
        rows: CLAIMS.iter().map(row).collect(),
        footnotes: Vec::new(),
    }
}

fn measured(league: &League, claim: &Claim) -> String {
    let Some(range) = claim.range_ms else {
        return "not of these systems; of this project's own nodes, scripts/algorithms counts them".to_owned();
    };
    let rows = league.sections.iter().filter(|section| section.fault == FAULT).flat_map(|section| &section.rows);
    let fits = |row: &&Row| claim.systems.contains(&row.key.system.as_str()) && row.key.profile == "default";
    let told: Vec<String> = rows.filter(fits).map(|row| compared(row, claim.phase, range)).collect();
    if told.is_empty() { "not measured".to_owned() } else { told.join("; ") }
}

/// `etcd 3.5.35: writable p50 1.31 s, max 1.73 s (n 20): inside`.
fn compared(row: &Row, phase: Phase, (from_ms, to_ms): (u64, u64)) -> String {
    let name = row.key.system_and_version();
    let cell = if phase == Phase::Writable { &row.writable } else { &row.elected };
    let Some(figures) = cell.figures() else { return format!("{name}: {} {}", phase.name(), cell.text()) };
    let Some(median) = figures.p50 else {
        return format!("{name}: {} {} (n {}, too few for a median)", phase.name(), cell.text(), cell.n());
    };
    let (from, to) = (Duration::from_millis(from_ms), Duration::from_millis(to_ms));
    let place = if median < from {
        "below".to_owned()
    } else if median > to {
        format!("above, {:.1} times the claimed most", median.as_secs_f64() / to.as_secs_f64())
    } else {
        "inside".to_owned()
    };
    format!(
        "{name}: {} p50 {}, max {} (n {}): {place}",
        phase.name(),
        duration(median),
        duration(figures.max),
        cell.n()
    )
}
