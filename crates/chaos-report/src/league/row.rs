//! One row: a system in one version and with one tuning profile, under one fault; the failovers of all its runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chaos_failover::{Failover, Floor};
use chaos_history::{FaultId, FaultKind};
use chaos_plan::expect::Phase;

use super::NotRun;
use super::cell::{Cell, Untold};
use crate::model::CheckVerdict;
use crate::{Report, Tested};

/// What makes runs belong to one row.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) system: String,
    pub(crate) version: Option<String>,
    pub(crate) profile: String,
    /// In words; runs with other settings are of another row.
    pub(crate) settings: String,
    /// 0 where it is not known, of a system that did not run.
    pub(crate) nodes: usize,
}

impl RowKey {
    pub(crate) fn of(report: &Report) -> Self {
        let run = &report.run;
        let tested = run.tested.as_ref();
        let system = match &run.specimen {
            Some(specimen) => format!("{} ({specimen})", run.system),
            None => run.system.clone(),
        };
        Self {
            system,
            version: tested.and_then(|tested| tested.version.clone()),
            profile: tested.map_or_else(|| "default".to_owned(), |tested| tested.profile.clone()),
            settings: tested.map(Tested::settings_in_words).unwrap_or_default(),
            nodes: run.nodes,
        }
    }

    pub(crate) fn failed(failed: &NotRun) -> Self {
        Self {
            system: failed.system.clone(),
            version: failed.version.clone(),
            profile: failed.profile.clone(),
            settings: String::new(),
            nodes: 0,
        }
    }

    /// Whether what failed as `wanted` would have been of this row.
    pub(crate) fn is_of(&self, wanted: &Self) -> bool {
        let version = wanted.version.is_none() || self.version == wanted.version;
        self.system == wanted.system && version && self.profile == wanted.profile
    }

    /// `etcd 3.5.35`.
    pub(crate) fn system_and_version(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{}{version}", self.system)
    }

    /// `etcd 3.5.35 · fast`.
    pub(crate) fn name(&self) -> String {
        format!("{} · {}", self.system_and_version(), self.profile)
    }
}

/// The figures of a row.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) key: RowKey,
    pub(crate) runs: u64,
    /// Faults that were injected.
    pub(crate) faults: u64,
    /// Those that took the leader away.
    pub(crate) failovers: u64,
    /// Those during which the host did not let the harness run for a while.
    pub(crate) stalled: u64,
    pub(crate) detected: Cell,
    pub(crate) elected: Cell,
    pub(crate) writable: Cell,
    pub(crate) step_down: Cell,
    /// For how long the old leader certainly led beside a newer one.
    pub(crate) overlap: Cell,
    /// The longest time without service of each fault, whether or not it took the leader away; none is 0.
    pub(crate) outage: Cell,
    /// The longest one that began after the heal; none is 0.
    pub(crate) heal_outage: Cell,
    /// Acknowledged writes that are surely gone; `None` if no client wrote.
    pub(crate) lost: Option<u64>,
    /// Terms that were begun after the first one seen.
    pub(crate) terms: u64,
    pub(crate) floor: Option<Floor>,
    /// How many runs ended with each word of a verdict.
    pub(crate) verdicts: BTreeMap<&'static str, u64>,
    /// Properties that were violated in any run.
    pub(crate) violated: BTreeSet<String>,
    /// What the programs said of their versions.
    pub(crate) programs: BTreeSet<String>,
    /// What runs that came to nothing said.
    pub(crate) failed: Vec<String>,
}

impl Row {
    pub(crate) fn new(key: RowKey) -> Self {
        Self { key, ..Self::default() }
    }

    /// Adds the faults of one kind of a run.
    pub(crate) fn add(&mut self, report: &Report, kind: FaultKind) {
        let measured = &report.measured;
        let asked = measured.operations.roaming.asked() + measured.operations.pinned.asked();
        let has_clients = asked > 0 || measured.operations.total().asked() > 0;
        self.runs += 1;
        self.floor = self.floor.or(measured.floor);
        if let Some((lowest, highest)) = measured.observed.terms {
            self.terms += highest.0.saturating_sub(lowest.0);
        }
        *self.verdicts.entry(report.verdict.word()).or_default() += 1;
        let violated = report.checks.iter().filter(|check| check.verdict == CheckVerdict::Invalid);
        self.violated.extend(violated.map(|check| check.property.clone()));
        for program in report.run.tested.iter().flat_map(|tested| &tested.programs) {
            self.programs.insert(format!("{} {}", program.name, program.value));
        }
        for fault in report.faults.iter().filter(|fault| fault.kind == kind) {
            self.faults += 1;
            match has_clients {
                true => self.outage.add(longest_outage(report, fault.id)),
                false => self.outage.add_untold(Untold::NoClients),
            }
        }
        for failover in measured.failovers.iter().filter(|failover| failover.kind == kind) {
            self.add_failover(failover, has_clients);
        }
        if has_clients {
            let of_kind = |id: FaultId| report.faults.iter().any(|fault| fault.id == id && fault.kind == kind);
            let lost = measured.lost_writes.iter().filter(|lost| lost.fault.is_none_or(of_kind)).count();
            *self.lost.get_or_insert(0) += lost as u64;
        }
    }

    fn add_failover(&mut self, failover: &Failover, has_clients: bool) {
        self.failovers += 1;
        self.stalled += u64::from(failover.stalled);
        self.detected.add_phase(&failover.phases.detected);
        self.elected.add_phase(&failover.phases.elected);
        self.writable.add_phase(&failover.phases.writable);
        if let Some(step_down) = &failover.step_down {
            self.step_down.add_phase(step_down);
        }
        if !failover.kind.ends_processes() {
            self.overlap.add(failover.overlap.lo);
        }
        match failover.aftermath {
            Some(aftermath) if has_clients => self.heal_outage.add(aftermath.outage.unwrap_or_default()),
            Some(_) => self.heal_outage.add_untold(Untold::NoClients),
            None => {}
        }
    }

    /// The least time until somebody is elected, and the median that a sound system with these timeouts is expected to have.
    pub(crate) fn floor_of_elected(&self) -> Option<(Duration, Option<Duration>)> {
        let floor = self.floor?;
        Some((floor.of_phase(Phase::Elected)?.min, floor.expected_median(Phase::Elected)))
    }

    /// The measured median over the expected one, in parts per million.
    pub(crate) fn over_floor_millionths(&self) -> Option<u128> {
        let (_, expected) = self.floor_of_elected()?;
        let expected = expected.filter(|expected| !expected.is_zero())?;
        let measured = self.elected.figures()?.p50?;
        Some(measured.as_nanos() * 1_000_000 / expected.as_nanos())
    }
}

/// The longest time without service that belongs to a fault.
fn longest_outage(report: &Report, fault: FaultId) -> Duration {
    let outages = report.measured.outages.iter().filter(|outage| outage.fault == Some(fault));
    outages.map(|outage| outage.lasted).max().unwrap_or_default()
}
