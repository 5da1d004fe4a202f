//! `chaos plan --steps`: what each step of a fault plan will do, by which means, and whether this host has them.
//!
//! The idea: steps in the plan's own words, each with its line; below them each means once, with the primitives of `chaos doctor` that
//! it needs, which are tried. Refuses to guess whom a step will hit: targets are resolved when a fault is injected.

use std::collections::BTreeMap;

use chaos_engine::in_words;
use chaos_net::doctor::{Primitive, Status};
use chaos_plan::{
    ClockWay, CutMode, DropMode, Fault, Filter, HealMode, Hindrance, Hold, Network, Phase, Step, StepAction, Stop,
    Workload, all_steps, shortest, write_duration, write_duration_range,
};

use crate::means::mounts;

/// The plan as it will be carried out.
pub(crate) fn steps(workload: &Workload) -> String {
    let plan = &workload.faults;
    let mut text = format!("{}: {}\n\n", plan.name, plan.about);
    write_steps(&mut text, &plan.steps, 0);
    if plan.steps.is_empty() {
        text.push_str("       nothing goes wrong\n");
    }
    let (least, limit) = (shortest(&plan.steps), write_duration(workload.limit));
    text.push_str(&format!("\nIt takes {least:?} at least, and then {} to settle; ", write_duration(workload.settle)));
    text.push_str(&format!("whatever happens, the run is ended after {limit}.\n"));
    text
}

fn write_steps(text: &mut String, steps: &[Step], depth: usize) {
    for step in steps {
        let mut line = |words: &str| {
            text.push_str(&format!("{:>5}  {:indent$}{words}\n", step.place.line, "", indent = 2 * depth));
        };
        line(&words_of(&step.action));
        match &step.action {
            StepAction::On { steps, .. } | StepAction::Repeat { steps, .. } => write_steps(text, steps, depth + 1),
            StepAction::Together { branches, .. } => {
                for (index, branch) in branches.iter().enumerate() {
                    heading(text, depth, &format!("branch {}", index + 1));
                    write_steps(text, branch, depth + 2);
                }
            }
            StepAction::Random { choices, .. } => {
                let total: u32 = choices.iter().map(|choice| choice.weight).sum();
                for choice in choices {
                    heading(text, depth, &format!("{} of {total}", choice.weight));
                    write_steps(text, &choice.steps, depth + 2);
                }
            }
            StepAction::Fault { .. }
            | StepAction::Restart { .. }
            | StepAction::Resume { .. }
            | StepAction::Heal
            | StepAction::Await { .. }
            | StepAction::Wait(_) => {}
        }
    }
}

fn heading(text: &mut String, depth: usize, words: &str) {
    text.push_str(&format!("       {:indent$}{words}:\n", "", indent = 2 * (depth + 1)));
}

fn words_of(action: &StepAction) -> String {
    match action {
        StepAction::Fault { fault, hold, phase, name } => {
            let name = name.as_ref().map(|name| format!(", called ${name}")).unwrap_or_default();
            format!("{}{}{}{name}", in_words::fault(fault), held(*hold), begun(*phase))
        }
        StepAction::On { condition, after, within, steps: _ } => {
            let after = if after.max.is_zero() {
                "at once".to_owned()
            } else {
                format!("{} after it", write_duration_range(*after))
            };
            let (what, within) = (in_words::condition(*condition), write_duration(*within));
            format!("wait for {what}, for {within} at most, and {after}:")
        }
        StepAction::Together { phase, branches: _ } => format!("at one moment{}:", begun(*phase)),
        StepAction::Restart { target: None } => "start all that are down".to_owned(),
        StepAction::Restart { target: Some(target) } => format!("start {target}"),
        StepAction::Resume { target: None } => "resume all that are paused".to_owned(),
        StepAction::Resume { target: Some(target) } => format!("resume {target}"),
        StepAction::Heal => "heal all partitions".to_owned(),
        StepAction::Await { what, within } => {
            format!("wait for {}, for {} at most", in_words::awaited(*what), write_duration(*within))
        }
        StepAction::Wait(range) => format!("wait {}", write_duration_range(*range)),
        StepAction::Repeat { times, until: None, steps: _ } => format!("{times} times:"),
        StepAction::Repeat { times, until: Some(Stop { condition, within }), steps: _ } => {
            let within = within.map(|within| format!(" or {} are over", write_duration(within))).unwrap_or_default();
            format!("{times} times at most, until there is {}{within}:", in_words::condition(*condition))
        }
        StepAction::Random { lasting, every, swarm_millionths, choices: _ } => {
            let swarm = swarm_millionths.map(|share| {
                format!("; each takes part in a run with a probability of {}%", f64::from(share) / 10_000.0)
            });
            let every = write_duration_range(*every);
            let swarm = swarm.unwrap_or_default();
            format!("for {}, after {every} each, one of these by weight{swarm}:", write_duration(*lasting))
        }
    }
}

fn held(hold: Hold) -> String {
    match hold {
        Hold::For(range) => format!(", for {}", write_duration_range(range)),
        Hold::Until(until) => {
            let (plus, within) = (write_duration(until.plus), write_duration(until.within));
            format!(", until there is another leader and {plus} more, {within} at most")
        }
        Hold::Open => String::new(),
    }
}

fn begun(phase: Phase) -> String {
    match phase {
        // What every fault does, unless it says something else.
        Phase::Drawn | Phase::AtOnce => String::new(),
        Phase::Offset(range) => format!(", {} after a heartbeat", write_duration_range(range)),
        Phase::Sweep => ", a part of a heartbeat later in each round".to_owned(),
    }
}

/// By which means the plan's faults are made, and whether this host has them all.
pub(crate) fn host(workload: &Workload, primitives: &[Primitive]) -> (String, bool) {
    let tried = |name: &str| primitives.iter().find(|primitive| primitive.name == name);
    let works = |name: &str| tried(name).is_some_and(|primitive| primitive.status == Status::Works);
    let mounts = mounts(workload, works("disk-mount"));
    let mut kinds: BTreeMap<&str, Vec<Means>> = BTreeMap::new();
    for fault in all_steps(&workload.faults.steps).into_iter().filter_map(Step::fault) {
        let known = kinds.entry(fault.kind().name()).or_default();
        for means in means(fault, workload, mounts) {
            if !known.iter().any(|one| one.how == means.how) {
                known.push(means);
            }
        }
    }
    let (mut text, mut all) = (String::new(), true);
    for (kind, means) in kinds {
        for Means { how, needs } in means {
            let missing: Vec<&str> = needs.iter().copied().filter(|name| !works(name)).collect();
            let word = if missing.is_empty() { "ok     " } else { "MISSING" };
            text.push_str(&format!("  {word}  {kind:<13} {how}\n"));
            for name in missing {
                all = false;
                if let Some(Primitive { status: Status::Missing { reason, remedy }, .. }) = tried(name) {
                    text.push_str(&format!("           {name}: {reason}\n           remedy: {remedy}\n"));
                }
            }
        }
    }
    if !text.is_empty() {
        text.insert_str(0, "\nBy these means, tried on this host:\n");
    }
    (text, all)
}

/// By which means this host makes a fault.
#[derive(Clone, Copy, Debug)]
struct Means {
    how: &'static str,
    /// What `chaos doctor` calls what it needs.
    needs: &'static [&'static str],
}

/// `mounts`: whether the plan's disks are mounts.
fn means(fault: &Fault, workload: &Workload, mounts: bool) -> Vec<Means> {
    let one = |how, needs| vec![Means { how, needs }];
    match fault {
        Fault::Kill { .. } => one("a signal to every process of the node, which is started again", &["pidfd"]),
        Fault::CrashLoop { .. } => one("SIGKILL to every process of the node, and another start, in turns", &["pidfd"]),
        Fault::Pause { .. } => one("SIGSTOP to every thread of the node's processes", &["tgkill-stop"]),
        Fault::FreezeHost { .. } => {
            one("SIGSTOP to every thread, and all links of the node are cut", &["tgkill-stop", "cut"])
        }
        Fault::Partition(_, mode) => partition(workload.network, *mode),
        Fault::Link { .. } => match workload.network {
            Network::Namespaces { .. } => {
                one("the link's packets pass a switch of ours (NFQUEUE)", &["link-conditions"])
            }
            Network::Proxy => one("the link's proxy passes bytes on later", &["proxy"]),
        },
        Fault::PowerLoss { .. } => {
            one("SIGKILL, and what a mount of ours (FUSE) knows to be unsynced is gone", &["disk-mount"])
        }
        Fault::Transfer { .. } => one("the system is told to, by its own operation", &[]),
        Fault::RemoveMember { .. } => {
            one("the system is told to; SIGKILL, an empty disk, and the system is told again", &["pidfd"])
        }
        Fault::CorruptFile { .. } => one("bytes of the file are changed where they lie", &[]),
        Fault::Hinder { how, .. } => match how {
            Hindrance::Slow { .. } => one("SIGSTOP and SIGCONT to every thread, in turns", &["tgkill-stop"]),
            Hindrance::Starve { .. } => one("threads of the harness burn the node's processor", &[]),
            Hindrance::Limit(_) => one("the limits of its live processes are lowered (prlimit)", &[]),
            Hindrance::Clock(_) => match workload.clocks {
                ClockWay::Vdso => one("its programs read another clock (a vDSO of ours)", &["clock"]),
                ClockWay::Libfaketime { .. } => one("its programs have libfaketime preloaded", &["libfaketime"]),
            },
            Hindrance::Disk(_) if mounts => one("calls to a mount of ours (FUSE) are slow or fail", &["disk-mount"]),
            Hindrance::Disk(_) => one("system calls are answered by the harness (seccomp)", &["disk-calls"]),
        },
    }
}

fn partition(network: Network, mode: CutMode) -> Vec<Means> {
    let drop = match (network, mode.drop) {
        (Network::Proxy, DropMode::Lose | DropMode::Hold) => {
            Means { how: "the links' proxies keep what they get", needs: &["proxy"] }
        }
        (Network::Proxy, DropMode::Reject) => {
            Means { how: "the links' proxies reset connections and refuse new ones", needs: &["proxy"] }
        }
        (Network::Namespaces { filter: Filter::Iptables }, _) => {
            Means { how: "one `iptables-restore` in the switch", needs: &["iptables-restore"] }
        }
        (Network::Namespaces { filter: Filter::Nftables }, DropMode::Lose) => {
            Means { how: "one nf_tables transaction in the switch", needs: &["nf_tables", "cut"] }
        }
        (Network::Namespaces { filter: Filter::Nftables }, DropMode::Hold) => {
            Means { how: "packets are held in the switch (NFQUEUE)", needs: &["link-conditions"] }
        }
        (Network::Namespaces { filter: Filter::Nftables }, DropMode::Reject) => {
            Means { how: "one nf_tables transaction in the switch, which answers with resets", needs: &["reject"] }
        }
    };
    let heal = match (network, mode.heal) {
        (_, HealMode::Natural) => None,
        (_, HealMode::Kick) => Some(Means {
            how: "the last packet of each connection is sent again (NFQUEUE)",
            needs: &["link-conditions"],
        }),
        (Network::Proxy, HealMode::Reset) => {
            Some(Means { how: "the links' proxies reset connections at the heal", needs: &["proxy"] })
        }
        (Network::Namespaces { .. }, HealMode::Reset) => {
            Some(Means { how: "connections are destroyed (SOCK_DESTROY)", needs: &["sock-destroy"] })
        }
    };
    [drop].into_iter().chain(heal).collect()
}
