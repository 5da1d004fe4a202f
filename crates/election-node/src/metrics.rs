//! Counters of one node, written by whoever counts, read by `GET /metrics` in Prometheus' text format.
//!
//! Relaxed atomics: a scrape is not a snapshot, and nothing is decided by these numbers.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use election::{Kind, Purpose};

/// Upper bounds of the sync histogram, µs; the last bucket is everything above.
const SYNC_BOUNDS_US: [u64; 10] = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000];

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By kind, in the order of the protocol's list.
    sent_by_kind: Vec<(Kind, AtomicU64)>,
    pub(crate) pre_votes_started: AtomicU64,
    pub(crate) elections_started: AtomicU64,
    pub(crate) elections_won: AtomicU64,
    pub(crate) votes_granted: AtomicU64,
    pub(crate) leader_changes: AtomicU64,
    pub(crate) entries_appended: AtomicU64,
    pub(crate) snapshots_taken: AtomicU64,
    pub(crate) snapshots_restored: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) messages_dropped_out: AtomicU64,
    pub(crate) messages_dropped_in: AtomicU64,
    pub(crate) connections_opened: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) requests_timed_out: AtomicU64,
    pub(crate) sync: SyncTimes,
}

/// How long writing and syncing took.
#[derive(Debug, Default)]
pub(crate) struct SyncTimes {
    buckets: [AtomicU64; SYNC_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl SyncTimes {
    /// Counts one sync.
    pub(crate) fn record(&self, elapsed: Duration) {
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BOUNDS_US.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    /// How many were counted.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

/// Numbers that the node's published state has, not the counters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) term: u64,
    /// 0 follower, 1 pre-candidate, 2 candidate, 3 leader.
    pub(crate) role: u64,
    pub(crate) commit: u64,
    pub(crate) last: u64,
    pub(crate) incarnation: u64,
}

impl Metrics {
    /// Counters of a protocol with these kinds of messages, all at zero.
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        Self { sent_by_kind: kinds.iter().map(|kind| (*kind, AtomicU64::new(0))).collect(), ..Self::default() }
    }

    /// Counts a message that the protocol sends, whether or not it arrives.
    ///
    /// # Panics
    /// In debug builds, on a kind that the protocol has not listed.
    pub(crate) fn count_sent(&self, name: &str) {
        let counter = self.sent_by_kind.iter().find(|(kind, _)| kind.name == name);
        debug_assert!(counter.is_some(), "`{name}` is no kind of this protocol's messages");
        if let Some((_, counter)) = counter {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// What the protocol has sent, by kind.
    pub(crate) fn sent_by_kind(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.sent_by_kind.iter().map(|(kind, counter)| (*kind, counter.load(Relaxed)))
    }

    /// How many of those messages were sent to bring elections about.
    pub(crate) fn sent_to_elect(&self) -> u64 {
        let electing = self.sent_by_kind().filter(|(kind, _)| kind.purpose == Purpose::Election);
        electing.map(|(_, count)| count).sum()
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    pub(crate) fn render(&self, gauges: Gauges) -> String {
        let mut text = String::with_capacity(4096);
        for (name, help, value) in [
            ("term", "Current term.", gauges.term),
            ("role", "0 follower, 1 pre-candidate, 2 candidate, 3 leader.", gauges.role),
            ("commit_index", "Last entry known to be committed.", gauges.commit),
            ("last_index", "Last entry of the log.", gauges.last),
            ("incarnation", "Starts on this data directory, this one included.", gauges.incarnation),
        ] {
            metric(&mut text, name, "gauge", help, value);
        }
        for (name, help, counter) in self.counters() {
            metric(&mut text, name, "counter", help, counter.load(Relaxed));
        }
        self.render_kinds(&mut text);
        self.render_sync(&mut text);
        text
    }

    fn counters(&self) -> [(&'static str, &'static str, &AtomicU64); 16] {
        [
            ("pre_votes_started_total", "Pre-votes this node asked for.", &self.pre_votes_started),
            ("elections_started_total", "Elections this node stood in.", &self.elections_started),
            ("elections_won_total", "Elections this node won.", &self.elections_won),
            ("votes_granted_total", "Votes this node gave, its own included.", &self.votes_granted),
            ("leader_changes_total", "Changes of the leader this node believes in.", &self.leader_changes),
            ("entries_appended_total", "Log entries made durable.", &self.entries_appended),
            ("snapshots_taken_total", "Snapshots this node took.", &self.snapshots_taken),
            ("snapshots_restored_total", "Snapshots this node got from a leader.", &self.snapshots_restored),
            ("messages_sent_total", "Messages handed to a connection's queue.", &self.messages_sent),
            ("messages_received_total", "Messages that arrived.", &self.messages_received),
            (
                "messages_dropped_out_total",
                "Messages that were too old or too many to send.",
                &self.messages_dropped_out,
            ),
            (
                "messages_dropped_in_total",
                "Messages that arrived faster than they were taken.",
                &self.messages_dropped_in,
            ),
            ("connections_opened_total", "Connections to peers that were established.", &self.connections_opened),
            ("connections_refused_total", "Connections closed for what arrived on them.", &self.connections_refused),
            ("requests_total", "Requests of clients.", &self.requests),
            ("requests_timed_out_total", "Requests that got no answer in time.", &self.requests_timed_out),
        ]
    }

    fn render_kinds(&self, text: &mut String) {
        let name = "election_node_messages_sent_by_kind_total";
        let _ = writeln!(text, "# HELP {name} Messages the protocol sent, by kind and purpose.\n# TYPE {name} counter");
        for (Kind { name: kind, purpose }, value) in self.sent_by_kind() {
            let purpose = purpose.as_str();
            let _ = writeln!(text, "{name}{{kind=\"{kind}\",purpose=\"{purpose}\"}} {value}");
        }
    }

    fn render_sync(&self, text: &mut String) {
        let name = "election_node_sync_seconds";
        let _ = writeln!(text, "# HELP {name} Time to write and sync one batch.\n# TYPE {name} histogram");
        let mut count = 0;
        for (bucket, bound) in self.sync.buckets.iter().zip(SYNC_BOUNDS_US) {
            count += bucket.load(Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{}\"}} {count}", Duration::from_micros(bound).as_secs_f64());
        }
        count += self.sync.buckets[SYNC_BOUNDS_US.len()].load(Relaxed);
        let sum = Duration::from_micros(self.sync.sum_us.load(Relaxed)).as_secs_f64();
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
    }
}

fn metric(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    let _ = writeln!(
        text,
        "# HELP election_node_{name} {help}\n# TYPE election_node_{name} {kind}\nelection_node_{name} {value}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_is_cumulative_and_complete() {
        let metrics = Metrics::new(&[Kind { name: "vote", purpose: Purpose::Election }]);
        metrics.count_sent("vote");
        for micros in [10, 50, 51, 3_000, 10_000_000] {
            metrics.sync.record(Duration::from_micros(micros));
        }
        let text = metrics.render(Gauges { term: 3, role: 0, commit: 0, last: 0, incarnation: 1 });
        for line in [
            "election_node_term 3",
            "election_node_sync_seconds_bucket{le=\"0.00005\"} 2",
            "election_node_sync_seconds_bucket{le=\"0.0001\"} 3",
            "election_node_sync_seconds_bucket{le=\"0.25\"} 4",
            "election_node_sync_seconds_bucket{le=\"+Inf\"} 5",
            "election_node_sync_seconds_count 5",
            "election_node_messages_sent_by_kind_total{kind=\"vote\",purpose=\"election\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
