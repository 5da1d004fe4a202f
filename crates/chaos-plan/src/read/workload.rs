//! A workload's own keys, its network and observers.

use std::time::Duration;

use chaos_history::Seed;

use super::{Field, Fields, Reader};
use crate::error::Mistake;
use crate::model::{
    Check, Clients, ClockWay, FaultPlan, Filter, LockWork, Network, Observe, RaftOptions, System, Work, Workload,
};
use crate::words;
use crate::yaml::{Node, NodeKind};
use crate::{expect::Expectation, scalar};

/// How many nodes a cluster has for the purpose of further messages when `nodes` can't be read.
pub(super) const NODES_DEFAULT: usize = 5;

const NODES_MAX: u64 = 9;

/// Everything of a workload but its fault plan, which may stand in another file.
pub(crate) struct WorkloadFields<'n> {
    name: String,
    about: String,
    /// What is tested.
    pub(crate) system: System,
    nodes: usize,
    seed: Option<Seed>,
    /// What the nodes talk over.
    pub(crate) network: Network,
    capture: bool,
    clocks: ClockWay,
    observe: Observe,
    /// The loads.
    pub(crate) clients: Vec<Clients>,
    checks: Vec<Check>,
    expect_violations: Vec<Check>,
    /// The expectations, and where each is written.
    pub(crate) expect: Vec<(Expectation, Field<'n>)>,
    start_within: Duration,
    settle: Duration,
    /// When the run is ended.
    pub(crate) limit: Duration,
    /// Where the limit is written, if it is.
    pub(crate) limit_field: Option<Field<'n>>,
    /// Where the fault plan is.
    pub(crate) faults: FaultSource<'n>,
}

/// Where a workload's fault plan is.
pub(crate) enum FaultSource<'n> {
    /// In a file, or built in.
    Named(Field<'n>),
    /// Right here.
    Inline(Field<'n>),
    /// There is none: nothing goes wrong.
    Nothing,
    /// It isn't said, or not in a way that can be read; a mistake is noted.
    Unreadable,
}

impl WorkloadFields<'_> {
    /// The whole workload.
    pub(crate) fn with_faults(self, faults: FaultPlan) -> Workload {
        Workload {
            name: self.name,
            about: self.about,
            system: self.system,
            nodes: self.nodes,
            seed: self.seed,
            network: self.network,
            capture: self.capture,
            clocks: self.clocks,
            observe: self.observe,
            clients: self.clients,
            faults,
            checks: self.checks,
            expect_violations: self.expect_violations,
            expect: self.expect.into_iter().map(|(expectation, _)| expectation).collect(),
            start_within: self.start_within,
            settle: self.settle,
            limit: self.limit,
        }
    }
}

/// What depends on the system where the workload doesn't say.
struct Defaults {
    every: Duration,
    start_within: Duration,
}

impl Defaults {
    /// The reference node answers a question in microseconds and is up at once; real systems are asked more gently, and may take
    /// their time.
    fn of(system: Option<&System>) -> Self {
        match system {
            Some(System::Raft(_)) | None => {
                Self { every: Duration::from_millis(5), start_within: Duration::from_secs(10) }
            }
            Some(System::Defined(_)) => {
                Self { every: Duration::from_millis(20), start_within: Duration::from_secs(60) }
            }
        }
    }
}

/// Whether a mapping has the key.
pub(super) fn has(node: &Node, key: &str) -> bool {
    matches!(&node.kind, NodeKind::Map(entries) if entries.iter().any(|(known, _)| known.value == key))
}

impl Reader {
    /// Reads a workload's mapping. `stem` is its name if it doesn't say another.
    pub(crate) fn workload<'n>(&mut self, root: &'n Node, stem: &str) -> Option<WorkloadFields<'n>> {
        if has(root, "steps") && !has(root, "system") && !has(root, "faults") {
            let mistake = Mistake::at(root.place, "this is a fault plan, not a workload")
                .help("a workload names it: `faults: faults/kill-leader.yaml`")
                .help(
                    "or run it under a workload that is there: `chaos run kill --set faults=faults/kill-leader.yaml`",
                );
            self.note(mistake);
            return None;
        }
        if has(root, "observers") && has(root, "processes") {
            let mistake = Mistake::at(root.place, "this is a system definition, not a workload")
                .help("a workload names it: `system: workloads/systems/mydb.yaml`")
                .help("or run it under one that is there: `chaos run kill --set system=workloads/systems/mydb.yaml`");
            self.note(mistake);
            return None;
        }
        let fields = self.open(Field::unnamed("a workload", root), &[&words::WORKLOAD])?;
        self.version(&fields);
        // First, because what nodes can be named depends on it.
        let nodes = match fields.get("nodes") {
            Some(field) => self.count(field, 1..=NODES_MAX),
            None => {
                self.missing(fields.place, "a workload", "nodes", "add for example `nodes: 5`");
                None
            }
        };
        self.nodes = nodes.and_then(|nodes| usize::try_from(nodes).ok()).unwrap_or(NODES_DEFAULT);
        self.system_place = fields.get("system").map(|field| field.key);
        let system = self.system_of(&fields);
        self.service = system.as_ref().map_or(0, System::service_nodes);
        self.processes = system.as_ref().map(System::process_names);
        self.changes = system.as_ref().map(System::changes);
        let network = self.network(fields.get("network"), system.as_ref());
        let (capture, clocks) = self.capture_and_clocks(&fields, network);
        let limit_field = fields.get("limit");
        let clients = self.loads_of(fields.get("clients"), system.as_ref());
        let mut checks = self.checks(fields.get("checks"), system.as_ref());
        if fields.get("checks").is_none() {
            suit_loads(&mut checks, &clients);
        }
        let defaults = Defaults::of(system.as_ref());
        let settle_default = settle_for(&checks);
        let expect_violations = fields.get("expect").map(|field| self.violations(field, &checks)).unwrap_or_default();
        Some(WorkloadFields {
            name: match fields.get("name") {
                Some(field) => self.name(field).unwrap_or_default(),
                None => self.name_of_file(&fields, stem),
            },
            about: self.about(&fields),
            nodes: self.nodes,
            seed: fields.get("seed").and_then(|field| self.parsed(field, "a whole number", scalar::whole)).map(Seed),
            network,
            capture,
            clocks,
            observe: self.observe(fields.get("observe"), defaults.every),
            clients,
            system: system.unwrap_or(System::Raft(RaftOptions::default())),
            checks,
            expect_violations,
            expect: fields.get("expect").map(|field| self.expectations(field)).unwrap_or_default(),
            start_within: self.duration_or(&fields, "start-within", defaults.start_within),
            settle: self.duration_or(&fields, "settle", settle_default),
            limit: self.duration_or(&fields, "limit", Duration::from_secs(300)),
            limit_field,
            faults: self.fault_source(&fields),
        })
    }

    fn system_of(&mut self, fields: &Fields<'_>) -> Option<System> {
        let Some(field) = fields.get("system") else {
            let help = "add for example `system: raft`, or name one on the command line: `--system etcd`";
            self.missing(fields.place, "a workload", "system", help);
            return None;
        };
        self.system(field)
    }

    fn capture_and_clocks(&mut self, fields: &Fields<'_>, network: Network) -> (bool, ClockWay) {
        let capture = fields.get("capture").filter(|field| self.boolean(*field) == Some(true));
        let clocks = fields.get("clocks");
        let way = clocks.and_then(|field| self.clocks(field)).unwrap_or_default();
        let preloaded = clocks.filter(|_| way != ClockWay::Vdso);
        let packets = capture.map(|field| (field, "proxies have no packets"));
        let mount = preloaded.map(|field| (field, "libfaketime needs a mount of the run's own"));
        for (field, why) in packets.into_iter().chain(mount).filter(|_| network == Network::Proxy) {
            let mistake = Mistake::at(field.key, format!("`network: proxy` has no `{}`", field.name)).label(why);
            self.note(mistake.help("leave one of them out"));
        }
        (capture.is_some(), way)
    }

    pub(super) fn duration_or(&mut self, fields: &Fields<'_>, name: &str, default: Duration) -> Duration {
        fields.get(name).and_then(|field| self.duration(field)).unwrap_or(default)
    }

    /// The name of a file without its ending, where that is fit to be a name.
    pub(super) fn name_of_file(&mut self, fields: &Fields<'_>, stem: &str) -> String {
        if super::name_trouble(stem).is_some() {
            let help = format!("the file's own name, `{stem}`, can't be its name: add `name: …`");
            self.missing(fields.place, "a plan", "name", &help);
        }
        stem.to_owned()
    }

    fn fault_source<'n>(&mut self, fields: &Fields<'n>) -> FaultSource<'n> {
        let Some(field) = fields.get("faults") else {
            let help =
                "add for example `faults: faults/isolate-leader.yaml`, or `faults: none` if nothing is to go wrong";
            self.missing(fields.place, "a workload", "faults", help);
            return FaultSource::Unreadable;
        };
        match &field.node.kind {
            NodeKind::Scalar(text) if text == "none" => FaultSource::Nothing,
            NodeKind::Scalar(_) => FaultSource::Named(field),
            NodeKind::Map(_) => FaultSource::Inline(field),
            NodeKind::List(_) => {
                let mistake = Mistake::at(field.node.place, "`faults` must be a file, `none`, or a fault plan")
                    .label("this is a list")
                    .help("steps that are written here stand under `faults: { steps: … }`");
                self.note(mistake);
                FaultSource::Unreadable
            }
            NodeKind::Null => {
                self.wrong_type(field, "a file, `none`, or a fault plan");
                FaultSource::Unreadable
            }
        }
    }

    fn network(&mut self, field: Option<Field<'_>>, system: Option<&System>) -> Network {
        let network = field.and_then(|field| self.network_of(field)).unwrap_or_default();
        if let (Network::Proxy, Some(system)) = (network, system) {
            crate::proxied::check_system(system, self.system_place, &mut self.mistakes);
        }
        network
    }

    /// `vdso`, `libfaketime`, or the latter with its place.
    fn clocks(&mut self, field: Field<'_>) -> Option<ClockWay> {
        if let NodeKind::Scalar(_) = field.node.kind {
            return Some(match self.one_of(field, "way of moving clocks", &["vdso", "libfaketime"])? {
                "vdso" => ClockWay::Vdso,
                _ => ClockWay::Libfaketime { library: None },
            });
        }
        let fields = self.open(field, &[&words::CLOCKS])?;
        let Some(library) = fields.get("libfaketime") else {
            if fields.all_known {
                let mistake = Mistake::at(fields.place, "`clocks` without `libfaketime`");
                self.note(mistake.help("write `clocks: libfaketime`, or leave it out"));
            }
            return None;
        };
        self.argument(library).map(|path| ClockWay::Libfaketime { library: Some(path.into()) })
    }

    fn network_of(&mut self, field: Field<'_>) -> Option<Network> {
        if let NodeKind::Scalar(_) = field.node.kind {
            return self.backend(field);
        }
        let fields = self.open(field, &[&words::NETWORK])?;
        let backend = fields.get("backend").map_or(Some(Network::default()), |field| self.backend(field));
        let Some(field) = fields.get("filter") else { return backend };
        let filter = match self.one_of(field, "filter", &["nftables", "iptables"])? {
            "iptables" => Filter::Iptables,
            _ => Filter::Nftables,
        };
        if backend == Some(Network::Proxy) {
            let mistake = Mistake::at(field.key, "`filter` belongs to `netns`");
            self.note(mistake.label("proxies have no packets to filter").help("leave `filter` out"));
            return backend;
        }
        Some(Network::Namespaces { filter })
    }

    fn backend(&mut self, field: Field<'_>) -> Option<Network> {
        match self.one_of(field, "network backend", &["netns", "proxy"])? {
            "proxy" => Some(Network::Proxy),
            _ => Some(Network::default()),
        }
    }

    fn observe(&mut self, field: Option<Field<'_>>, every: Duration) -> Observe {
        let default = Observe { every, timeout: Duration::from_millis(250) };
        let Some(fields) = field.and_then(|field| self.open(field, &[&words::OBSERVE])) else { return default };
        let limits = Duration::from_millis(1)..=Duration::from_secs(60);
        let mut read = |name| fields.get(name).and_then(|field| self.duration_within(field, limits.clone()));
        Observe { every: read("every").unwrap_or(default.every), timeout: read("timeout").unwrap_or(default.timeout) }
    }

    fn loads_of(&mut self, field: Option<Field<'_>>, system: Option<&System>) -> Vec<Clients> {
        let nothing_is_spoken = matches!(system, Some(System::Defined(defined)) if defined.definition.client.is_none());
        let Some(field) = field else {
            return if nothing_is_spoken { Vec::new() } else { vec![Clients::default()] };
        };
        if matches!(&field.node.kind, NodeKind::Scalar(text) if text == "none") {
            return Vec::new();
        }
        if nothing_is_spoken {
            let mistake = Mistake::at(field.key, "a load, but the system has no client")
                .help("leave `clients` out, or add `client: { driver: … }` to the system's definition");
            self.note(mistake);
        }
        self.clients(field).unwrap_or_else(|| vec![Clients::default()])
    }
}

/// Fits the checks of a workload that doesn't name any to its loads: what no load could show is left out, and who holds locks is
/// checked for that.
fn suit_loads(checks: &mut Vec<Check>, loads: &[Clients]) {
    let mut writes = loads.is_empty();
    for load in loads {
        match load.work {
            Work::Register(_) | Work::Set { .. } => writes = true,
            Work::Lock(LockWork { fencing: true, .. }) => {
                checks.extend([Check::MutualExclusion, Check::Fencing, Check::ExclusiveAccess]);
            }
            // Without fencing the lock alone protects nothing: whoever wants to see that asks for it.
            Work::Lock(LockWork { fencing: false, .. }) | Work::Election { .. } => checks.push(Check::MutualExclusion),
        }
    }
    let mut seen = Vec::new();
    checks.retain(|check| {
        let needs_writes = matches!(check, Check::Linearizable | Check::NoAcknowledgedWriteLost);
        let kept = (writes || !needs_writes) && !seen.contains(check);
        seen.push(*check);
        kept
    });
}

/// How long to settle where the plan doesn't say: 3 s, and longer than any bound that is checked, so that each bound is put to
/// the test at least once, at the end.
fn settle_for(checks: &[Check]) -> Duration {
    let bounds = checks.iter().filter_map(|check| match check {
        Check::BoundedReelection { within } | Check::NoStaleLeaderAfterHeal { within } | Check::Recovers { within } => {
            Some(*within)
        }
        Check::ElectionSafety
        | Check::TermMonotonic
        | Check::Linearizable
        | Check::NoAcknowledgedWriteLost
        | Check::MutualExclusion
        | Check::Fencing
        | Check::ExclusiveAccess
        | Check::OneLeaderAtATime { .. }
        | Check::ReplicasAgree => None,
    });
    bounds.map(|bound| bound + Duration::from_secs(1)).max().unwrap_or_default().max(Duration::from_secs(3))
}
