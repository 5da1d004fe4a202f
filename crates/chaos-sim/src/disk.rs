//! What a node has on its disk, and what it only believes to have there.
//!
//! A write is in the kernel's page cache as soon as it is made, and on the disk once it is synced. A process that is killed loses neither;
//! a host that loses its power loses what was not synced, all of it or all but a prefix (the journal is written in one direction). The
//! protocol thread waits for each sync, so at most one batch is unsynced at any time.

use chaos_plan::{CallFault, DiskFault};
use election::LogIndex;
use election::raft::{Entry, Persist, Recovered};

use crate::random::{Draws, nanos};
use crate::timings::Timings;

/// The disk of one node. It outlives the node's processes.
#[derive(Debug)]
pub(crate) struct Disk {
    durable: Recovered,
    staged: Vec<Persist>,
    /// When the last sync is or was through.
    synced_at: u64,
    fault: DiskFault,
    is_slow: bool,
    draws: Draws,
}

/// What a batch of writes and its sync come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    /// Durable after so many nanoseconds.
    After(u64),
    /// The disk reports an error after so many.
    Failed(u64),
}

impl Disk {
    /// An empty disk in order.
    pub(crate) fn new(draws: Draws) -> Self {
        let (durable, staged) = (Recovered::default(), Vec::new());
        Self { durable, staged, synced_at: 0, fault: DiskFault::default(), is_slow: false, draws }
    }

    /// From now on calls fare like this.
    pub(crate) fn spoil(&mut self, fault: DiskFault) {
        self.is_slow = !(fault.sync.delay.is_zero() && fault.write.delay.is_zero());
        self.fault = fault;
    }

    /// Whether a sync may take so long that others notice.
    pub(crate) fn is_slow(&self) -> bool {
        self.is_slow
    }

    /// How long writing and syncing takes now, or after how long it fails.
    pub(crate) fn sync(&mut self, timings: &Timings) -> Synced {
        let DiskFault { sync, write } = self.fault;
        let mut took = 0;
        for (CallFault { delay, failure }, own) in [(write, 0), (sync, timings.sync.draw(&mut self.draws))] {
            took += nanos(delay);
            if failure.is_some() {
                return Synced::Failed(took);
            }
            took += own;
        }
        Synced::After(took)
    }

    /// What is written from now on is durable at `synced_at`; what was before, stays.
    pub(crate) fn begin_batch(&mut self, synced_at: u64) {
        self.settle();
        self.synced_at = synced_at;
    }

    /// This was written, as part of the present batch.
    pub(crate) fn stage(&mut self, persist: Persist) {
        self.staged.push(persist);
    }

    /// What was written stays: the sync is through, or only the process has ended.
    pub(crate) fn settle(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        for persist in self.staged.drain(..) {
            write(&mut self.durable, persist);
        }
    }

    /// The power went: what is not synced by now is gone, but for a prefix whose length is drawn, if there are draws.
    pub(crate) fn lose_power(&mut self, now: u64, kept: Option<&mut Draws>) {
        if self.synced_at > now {
            let count = u64::try_from(self.staged.len()).expect("a length fits 64 bits");
            let kept = kept.map_or(0, |draws| draws.below(count + 1));
            self.staged.truncate(usize::try_from(kept).expect("not above a length"));
        }
        self.settle();
    }

    /// What a node that starts finds.
    pub(crate) fn recovered(&self) -> Recovered {
        self.durable.clone()
    }
}

/// Executes a [`Persist`] as the contract wants it: hard state, snapshot, cut, append.
///
/// # Panics
/// If entries are not consecutive: the protocol broke its contract with every shell.
pub(crate) fn write(recovered: &mut Recovered, persist: Persist) {
    let Persist { hard, snapshot, truncate_from, append } = persist;
    let Recovered { hard: held, snapshot: newest, entries } = recovered;
    if let Some(hard) = hard {
        *held = hard;
    }
    if let Some(snapshot) = snapshot {
        let covered = entries.partition_point(|entry| entry.index <= snapshot.meta.last_index);
        entries.drain(..covered);
        *newest = Some(*snapshot);
    }
    if let Some(from) = truncate_from {
        entries.truncate(entries.partition_point(|entry| entry.index < from));
    }
    let base = newest.as_ref().map_or(LogIndex(0), |snapshot| snapshot.meta.last_index);
    if let Some(first) = append.first() {
        let last = entries.last().map_or(base, |entry: &Entry| entry.index);
        assert_eq!(first.index, last.next(), "the disk is told of consecutive entries");
    }
    entries.extend(append);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chaos_history::Seed;
    use chaos_plan::DiskFailure;
    use election::Term;
    use election::raft::{EntryPayload, HardState};

    use super::*;
    use crate::random::Purpose;

    fn disk() -> Disk {
        Disk::new(Draws::new(Seed(1), Purpose::Disk, 0))
    }

    fn appended(index: u64) -> Persist {
        let entry = Entry { index: LogIndex(index), term: Term(1), payload: EntryPayload::Noop };
        Persist { append: vec![entry], ..Persist::default() }
    }

    fn last(disk: &Disk) -> Option<u64> {
        disk.recovered().entries.last().map(|entry| entry.index.0)
    }

    #[test]
    fn a_killed_process_keeps_its_page_cache_and_a_power_loss_takes_what_is_not_synced() {
        let written = || {
            let mut disk = disk();
            disk.begin_batch(100);
            disk.stage(appended(1));
            disk.begin_batch(200);
            disk.stage(appended(2));
            disk.stage(appended(3));
            disk
        };
        let mut killed = written();
        killed.settle();
        assert_eq!(last(&killed), Some(3));
        let mut dark = written();
        dark.lose_power(199, None);
        assert_eq!(last(&dark), Some(1));
        let mut synced = written();
        synced.lose_power(200, None);
        assert_eq!(last(&synced), Some(3));
        let mut kept: Vec<_> = (0..40)
            .map(|index| {
                let mut torn = written();
                torn.lose_power(150, Some(&mut Draws::new(Seed(index), Purpose::Disk, 1)));
                last(&torn)
            })
            .collect();
        kept.sort_unstable();
        kept.dedup();
        assert_eq!(kept, [Some(1), Some(2), Some(3)], "every prefix is possible");
    }

    #[test]
    fn a_spoilt_disk_is_slow_and_then_fails() {
        let mut disk = disk();
        let timings = Timings::default();
        let Synced::After(plain) = disk.sync(&timings) else { panic!("a disk in order") };
        let slow = CallFault { delay: Duration::from_millis(100), failure: None };
        disk.spoil(DiskFault { sync: slow, ..DiskFault::default() });
        let Synced::After(slowed) = disk.sync(&timings) else { panic!("it is slow only") };
        assert!(disk.is_slow() && slowed >= 100_000_000 && plain < 100_000_000);
        let full = CallFault { delay: Duration::from_millis(3), failure: Some(DiskFailure::Full) };
        disk.spoil(DiskFault { write: full, ..DiskFault::default() });
        assert_eq!(disk.sync(&timings), Synced::Failed(3_000_000));
    }

    #[test]
    fn writes_cut_the_tail_and_replace_term_and_vote() {
        let mut recovered = Recovered::default();
        (1..=4).for_each(|index| write(&mut recovered, appended(index)));
        let hard = HardState { term: Term(3), voted_for: None };
        let cut = Persist { hard: Some(hard), truncate_from: Some(LogIndex(3)), ..appended(3) };
        write(&mut recovered, cut);
        assert_eq!(recovered.hard, hard);
        assert_eq!(recovered.entries.iter().map(|entry| entry.index.0).collect::<Vec<_>>(), [1, 2, 3]);
    }
}
