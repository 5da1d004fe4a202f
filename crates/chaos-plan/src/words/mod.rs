//! The vocabulary of the plan language, in tables. The reader accepts exactly these words, suggestions are taken from
//! them, and the reference that `chaos` prints is made from them: so none of the three can forget a word.

mod control;
mod definition;
mod faults;
mod mixed;
mod texts;

use std::fmt::Write as _;
use std::sync::OnceLock;

use self::texts::{FIGURES, INTRODUCTION};

pub(crate) use control::*;
pub(crate) use definition::*;
pub(crate) use faults::*;
pub(crate) use mixed::*;

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub name: &'static str,
    /// What follows it, as an example; empty if nothing does.
    pub form: &'static str,
    /// What it means; the default in brackets.
    pub about: &'static str,
}

/// The words that may stand in one kind of mapping, or in place of one kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// What they belong to, with its article: `a workload`.
    pub owner: &'static str,
    /// The words.
    pub words: &'static [Word],
}

impl Table {
    /// All names, in the table's order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.words.iter().map(|word| word.name)
    }

    /// Whether the word is one of the table's.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

const fn word(name: &'static str, form: &'static str, about: &'static str) -> Word {
    Word { name, form, about }
}

pub(crate) static WORKLOAD: Table = Table {
    owner: "a workload",
    words: &[
        word("version", "1", "of this format [1]"),
        word("name", "partition", "names the run's directory: letters, digits, `-`, `_`, `.` [the file's name]"),
        word("about", "Cut the leader off.", "a sentence for people"),
        word("system", "raft", "what is tested: raft, a built-in system, a file, or `{ use: etcd, profile: fast }`"),
        word("nodes", "5", "how many, 1 to 9"),
        word("seed", "7", "fixes every random choice [drawn, printed, stored]"),
        word(
            "network",
            "netns",
            "what nodes talk over: netns, proxy (no namespaces, TCP only) or `{ filter: iptables }` [netns]",
        ),
        word(
            "capture",
            "true",
            "writes all packets, at both ends of each link, to `capture.pcapng` for Wireshark [false]",
        ),
        word("clocks", "libfaketime", "how clocks are moved: vdso, libfaketime, or `{ libfaketime: PATH }` [vdso]"),
        word("observe", "{ every: 5ms, timeout: 250ms }", "how often each node is asked who leads"),
        word(
            "clients",
            "[register: { rate: 200/s }]",
            "the loads, one of each kind at most, or `none` [one register load]",
        ),
        word("faults", "faults/isolate-leader.yaml", "a file, a built-in name, `none`, or a fault plan written here"),
        word("checks", "[election-safety, linearizable]", "what must hold [the four safety checks]"),
        word(
            "expect",
            "{ outage.max: < 3s }",
            "what is hoped for; a miss is exit code 3; or which `violation` is shown",
        ),
        word("start-within", "10s", "how long the first election may take [10s]"),
        word("settle", "3s", "how long the load goes on after the last fault [3s; outlasts every bound]"),
        word("limit", "5min", "when the run is ended whatever happens [5min]"),
    ],
};

pub(crate) static SYSTEMS: Table = Table {
    owner: "`system`",
    words: &[
        word("raft", "{ heartbeat: 40ms }", "the reference node, `chaos node`"),
        word("use", "etcd", "a system that is described by data: built in, or a file (workloads/systems/mydb.yaml)"),
        word("definition", "{ system: mydb, … }", "or its whole definition, written here"),
        word("version", "3.5.1", "one of the definition's `install: versions` [the first]"),
        word("profile", "fast", "one of the definition's `tune` profiles [default]"),
        word("tune", "{ heartbeat: 50 }", "values in place of the profile's"),
        word(
            "programs",
            "{ etcd: /opt/etcd }",
            "programs to take instead of the installed ones; or `--bin etcd=/opt/etcd`",
        ),
        word("client", "{ read: serializable }", "options of the client driver in place of the definition's"),
        word("nodes", "{ n3: { version: 3.5.35 } }", "single nodes that run otherwise than the others"),
    ],
};

pub(crate) static RAFT: Table = Table {
    owner: "system raft",
    words: &[
        word("election-timeout", "150ms..300ms", "each timeout is drawn from this range [150ms..300ms]"),
        word("heartbeat", "40ms", "how often a leader shows that it is there [40ms]"),
        word("pre-vote", "true", "ask before campaigning [true]"),
        word("check-quorum", "true", "a leader that hears no majority steps down [true]"),
        word("stickiness", "true", "refuse votes while a leader is heard [true]"),
        word("lease-reads", "false", "let the leader serve reads from its lease [true if `read: lease`]"),
        word("read", "linearizable", "how clients read: linearizable, lease or local [linearizable]"),
        word("request-timeout", "900ms", "when a node answers that it doesn't know [900ms]"),
        word("specimen", "double-vote", "the broken variant to run [none: the sound node]"),
        word("program", "./my-node", "the node program to start [this program's own node]"),
        word("arguments", "[--verbose]", "further arguments for every node [none]"),
        word("record", "true", "record what each core is told, for `chaos replay --core` [false]"),
    ],
};

pub(crate) static NETWORK: Table = Table {
    owner: "`network`",
    words: &[
        word("backend", "netns", "netns: namespaces and a packet filter; proxy: TCP proxies on loopback [netns]"),
        word("filter", "nftables", "of netns: nftables or iptables [nftables]"),
    ],
};

pub(crate) static OBSERVE: Table = Table {
    owner: "`observe`",
    words: &[
        word("every", "5ms", "the poll interval of each node [5ms]"),
        word("timeout", "250ms", "when a question counts as unanswered [250ms]"),
    ],
};

pub(crate) static LOADS: Table = Table {
    owner: "a load",
    words: &[
        word("register", "{ keys: 4, rate: 200/s }", "reads, writes and compare-and-sets over a few keys"),
        word("set", "{ keys: 1, rate: 500/s }", "additions of new elements to a few sets, all of them read at the end"),
        word(
            "lock",
            "{ clients: 4, fencing: true }",
            "clients that take a lock, use what it protects, and give it back",
        ),
        word("election", "{ candidates: 3 }", "clients that campaign for a leadership, hold it, and resign"),
    ],
};

pub(crate) static REGISTER: Table = Table {
    owner: "a register load",
    words: &[
        word("keys", "4", "how many, 1 to 1000 [4]"),
        word(
            "rate",
            "200/s",
            "operations of all clients together, due whether or not earlier ones are answered [200/s]",
        ),
        word("mix", "{ read: 2, write: 1, cas: 1 }", "the weights of the kinds of operation [2, 1, 1]"),
        word("roaming", "4", "clients that follow the leader, 0 to 64 [4]"),
        word("pinned", "true", "also two clients per node, reader and writer, that stay with it [true]"),
        word("timeout", "1s", "when a client gives up: the outcome is then unknown [1s]"),
    ],
};

pub(crate) static SET: Table = Table {
    owner: "a set load",
    words: &[
        word("keys", "1", "how many sets, 1 to 1000 [1]"),
        word(
            "rate",
            "500/s",
            "operations of all clients together, due whether or not earlier ones are answered [200/s]",
        ),
        word("reads", "1%", "the share of operations that read a whole set instead of adding to it [0%]"),
        word("roaming", "4", "clients that follow the leader, 0 to 64 [4]"),
        word("pinned", "true", "also two clients per node, reader and writer, that stay with it [true]"),
        word("timeout", "1s", "when a client gives up: the outcome is then unknown [1s]"),
    ],
};

pub(crate) static LOCK: Table = Table {
    owner: "a lock load",
    words: &[
        word("locks", "1", "how many, 1 to 100 [1]"),
        word("clients", "4", "how many there are, each in a session of its own, 1 to 64 [4]"),
        word("hold", "50ms..200ms", "how long a client keeps the lock [50ms..200ms]"),
        word("accesses", "5", "how often it uses what the lock protects meanwhile, 0 to 1000 [5]"),
        word("fencing", "true", "it shows its fencing token there, and is refused after a newer one was shown [true]"),
        word("timeout", "5s", "when a client gives up, waiting for the lock included [5s]"),
    ],
};

pub(crate) static ELECTION: Table = Table {
    owner: "an election load",
    words: &[
        word("candidates", "3", "how many campaign for the leadership, each in a session of its own, 1 to 64 [3]"),
        word("hold", "1s..3s", "how long a leader stays before it resigns [1s..3s]"),
        word("timeout", "10s", "when a candidate gives up, waiting for its turn included [10s]"),
    ],
};

pub(crate) static MIX: Table = Table {
    owner: "`mix`",
    words: &[
        word("read", "2", "reads [0]"),
        word("write", "1", "writes [0]"),
        word("cas", "1", "compare-and-sets [0]"),
    ],
};

pub(crate) static FAULT_PLAN: Table = Table {
    owner: "a fault plan",
    words: &[
        word("version", "1", "of this format [1]"),
        word("name", "isolate-leader", "its name [the file's name]"),
        word("about", "Cut the leader off.", "a sentence for people"),
        word("steps", "[await: leader, …]", "what happens, in order"),
    ],
};

/// A step has exactly one of these.
pub(crate) static VERBS: Table = Table {
    owner: "a step",
    words: &[
        word(
            "kill",
            "leader",
            "end processes; `{ node: leader, signal: TERM }` [KILL]; `for:` restarts them afterwards",
        ),
        word("restart", "all", "start killed nodes again: some, or all that are down"),
        word("pause", "leader", "stop every thread of processes; `for:` resumes them afterwards"),
        word("resume", "all", "let paused nodes go on: some, or all"),
        word("partition", "{ isolate: leader }", "drop packets between nodes; `for:` heals it afterwards"),
        word("link", "{ between: all, delay: 50ms }", "delay, lose, double, damage or slow down packets between nodes"),
        word("freeze-host", "leader", "stop nodes and cut them off from everybody, clients and observers included"),
        word("heal", "all", "take back every partition"),
        word("crash-loop", "leader", "kill nodes and start them again, over and over; at its end they run"),
        word("slow", "leader", "stop every thread of nodes for most of the time"),
        word("starve", "leader", "leave nodes a small share of one processor"),
        word("limit", "{ node: leader, open-files: 32 }", "refuse nodes more descriptors, or more memory"),
        word("clock", "{ node: leader, jump: +60s }", "have the wall clocks of nodes be off, go wrong or strobe"),
        word("disk", "{ node: leader, sync-delay: 100ms }", "have the disks of nodes be slow or fail"),
        word("power-loss", "leader", "kill nodes, and take from their disks what was not synced; at its end they run"),
        word(
            "corrupt-file",
            "{ node: follower, file: \"**/*.log\", flip-bits: 3 }",
            "damage files of nodes, once; takes no `for:`",
        ),
        word(
            "transfer",
            "leader",
            "ask the leader to hand over, once; `{ node: leader, to: follower }`; takes no `for:`",
        ),
        word(
            "remove-member",
            "follower",
            "take nodes out of the configuration and end them; at its end they join again, with empty disks",
        ),
        word("await", "leader", "go on when it is seen; `{ stable: 1s, within: 10s }`"),
        word("wait", "1s..2s", "let time pass"),
        word("repeat", "10", "do the `steps:` so many times"),
        word("together", "[{ pause: leader, for: 2s }, …]", "do all of these at the same time; over when all are"),
        word("random", "{ for: 60s, every: 1s..4s, choices: […] }", "do one choice after another, drawn by weight"),
    ],
};

/// What may stand beside a verb.
pub(crate) static MODIFIERS: Table = Table {
    owner: "beside the verb of a step",
    words: &[
        word(
            "for",
            "2s..3s",
            "how long it lasts; kill, pause and partition do without, until a restart, resume or heal",
        ),
        word(
            "until",
            "{ leader: another, plus: 2s }",
            "or: until another node claims to lead, and so much longer; beside `repeat`: what ends it",
        ),
        word("phase", "0ms..40ms", "when after a heartbeat a fault begins; or `none`, or `sweep` [drawn]"),
        word("name", "first", "later steps may aim at `$first`: the very nodes that this fault hit"),
        word("on", "{ leader: elected }", "the step waits until this happens; or `on` alone with `steps:`, or without"),
        word("after", "0ms..30ms", "how long after it the step begins [0ms]"),
        word("within", "20s", "for how long it waits at most; then the step is left out [30s]"),
        word("steps", "[…]", "what `repeat` repeats, or what is done `on` something"),
        word("place", "file.yaml:6:9", "where the step was written; saved plans have it"),
    ],
};

pub(crate) static UNTIL: Table = Table {
    owner: "`until`",
    words: &[
        word("leader", "another", "a node claims to lead that didn't when the fault was aimed"),
        word("plus", "2s", "how much longer the fault lasts then [no longer]"),
        word("within", "60s", "for how long it lasts at most if nobody does [30s]"),
    ],
};

pub(crate) static AWAIT: Table = Table {
    owner: "`await`",
    words: &[
        word("leader", "true", "a majority names one leader that is up and reachable; or just `await: leader`"),
        word("stable", "1s", "the same, and all that can see it agree, for this long"),
        word("within", "10s", "for how long at most; later is a failed liveness [10s]"),
    ],
};

pub(crate) static RANDOM: Table = Table {
    owner: "`random`",
    words: &[
        word("for", "60s", "for how long new choices are made"),
        word("every", "1s..4s", "the pause before each choice"),
        word("swarm", "40%", "each choice takes part in a run with this probability, at least one does [all do]"),
        word("choices", "[{ weight: 3, steps: […] }]", "what may be chosen"),
    ],
};

pub(crate) static CHOICE: Table = Table {
    owner: "a choice",
    words: &[word("weight", "3", "how often, relative to the others, 1 to 1000 [1]"), word("steps", "[…]", "what")],
};

pub(crate) static TARGETS: Table = Table {
    owner: "the targets",
    words: &[
        word("leader", "", "the leader that a majority names"),
        word("old-leader", "", "the leader before that one"),
        word("voter", "", "the node whose vote for another one was seen first in the newest term"),
        word("follower", "", "one node, drawn, that isn't the leader"),
        word("followers", "", "all nodes but the leader"),
        word("random", "", "one node, drawn"),
        word("majority", "", "a bare majority, drawn"),
        word("minority", "", "a largest minority, drawn"),
        word("minority-with-leader", "", "a largest minority that includes the leader"),
        word("all", "", "all nodes"),
        word("service", "", "all service nodes, which the others depend on"),
    ],
};

pub(crate) static CHECKS: Table = Table {
    owner: "the checks",
    words: &[
        word("election-safety", "", "at most one leader per term"),
        word("term-monotonic", "", "a node's term never goes back, restarts included"),
        word("linearizable", "", "every key behaves as one register"),
        word("no-lost-writes", "", "acknowledged writes are there at the end"),
        word("mutual-exclusion", "", "no two clients hold one lock at one moment, as far as both have proof"),
        word("fencing", "", "fencing tokens rise from holder to holder"),
        word("exclusive-access", "", "what a lock protects is used by one holder after the other"),
        word("replicas-agree", "", "in the end all nodes hold the same state, where they tell it or are read"),
        word("reelection", "{ within: 3s }", "while a majority is up and connected, it has a leader within the bound"),
        word(
            "recovers",
            "{ within: 10s }",
            "changes are acknowledged again within the bound after everything is healed",
        ),
        word("no-stale-leader", "{ within: 3s }", "after a heal, one node at most claims to lead after the bound"),
        word("one-leader", "{ overlap: 0ms }", "two nodes never lead at once, or no longer than the overlap"),
    ],
};

/// Stands in a list of checks for several, and so is none itself.
pub(crate) static PROMISED: Table = Table {
    owner: "a list of checks",
    words: &[word("promised", "", "all that the system promises: what a workload checks that names nothing")],
};

pub(crate) static WITHIN: Table = Table { owner: "a check", words: &[word("within", "3s", "the bound")] };

pub(crate) static OVERLAP: Table =
    Table { owner: "`one-leader`", words: &[word("overlap", "0ms", "for how long two may lead; nothing by default")] };

/// First words of an expectation.
pub(crate) static METRICS: Table = Table {
    owner: "the metrics",
    words: &[
        word(
            "failover.PHASE.FIGURE",
            "< 1500ms",
            "of each kind of fault for itself; `failover.kill.PHASE…` of one kind",
        ),
        word("failovers.count", "at least 8", "how many failovers there were"),
        word("elections.count", "at most 1", "how many leaders a majority came to name, the first included"),
        word(
            "elections.needless",
            "at most 0",
            "those that took over from a healthy leader, without a fault under way",
        ),
        word("outage.FIGURE", "< 3s", "times without service, as clients saw it; also `outage.total`"),
        word("overlap.max", "'> 1s'", "two leaders at once, in whatever terms; also `overlap.total`"),
        word("stale-leader.FIGURE", "< 1s", "for how long an old leader still claimed to lead beside a newer one"),
        word(
            "step-down.FIGURE",
            "< 3s",
            "for how long an old leader goes on claiming: from the cut on, or once a paused one runs again",
        ),
        word("lost-writes", "'> 0'", "acknowledged writes that are surely gone, of demonstrations"),
        word("violation", "no-lost-writes", "checks that this plan shows violated: exit code 0 if they are, 3 if not"),
        word("availability", "above 90%", "the share of operations that were acknowledged"),
    ],
};

pub(crate) static PHASES: Table = Table {
    owner: "the phases",
    words: &[
        word("detected", "", "the first node stops naming the old leader"),
        word("elected", "", "the first claim of a higher term"),
        word("converged", "", "a majority names the new leader"),
        word("writable", "", "the first later write is acknowledged"),
        word("available", "", "every endpoint that can serve does"),
    ],
};

/// Every table, in the order of the reference.
static ALL: [&Table; 50] = [
    &WORKLOAD,
    &SYSTEMS,
    &RAFT,
    &NODE_OF_RAFT,
    &NODE_OF_DEFINED,
    &NETWORK,
    &CLOCKS,
    &OBSERVE,
    &LOADS,
    &REGISTER,
    &SET,
    &LOCK,
    &ELECTION,
    &MIX,
    &CHECKS,
    &PROMISED,
    &WITHIN,
    &OVERLAP,
    &METRICS,
    &PHASES,
    &FAULT_PLAN,
    &VERBS,
    &MODIFIERS,
    &TARGETS,
    &SELECTORS,
    &ON,
    &LEASE_BOUND,
    &STOP,
    &UNTIL,
    &KILL,
    &PAUSE,
    &PARTITION,
    &ONE_WAY,
    &LINK,
    &JITTER,
    &LOSS,
    &REORDER,
    &CRASH_LOOP,
    &SLOW,
    &STARVE,
    &LIMIT,
    &CLOCK,
    &STROBE,
    &DISK,
    &POWER_LOSS,
    &CORRUPT_FILE,
    &TRANSFER,
    &AWAIT,
    &RANDOM,
    &CHOICE,
];

/// Every word of plans and of system definitions, by what it belongs to.
#[must_use]
pub fn vocabulary() -> &'static [&'static Table] {
    static BOTH: OnceLock<Vec<&'static Table>> = OnceLock::new();
    BOTH.get_or_init(|| ALL.into_iter().chain(definition::ALL).collect())
}

/// The checks that a plan can name.
#[must_use]
pub fn checks() -> &'static [Word] {
    CHECKS.words
}

/// Where a word belongs that stands where it doesn't.
pub(crate) fn home_of(name: &str) -> Option<&'static Table> {
    let mappings = [
        &WORKLOAD,
        &RAFT,
        &REGISTER,
        &SET,
        &LOCK,
        &ELECTION,
        &OBSERVE,
        &NETWORK,
        &RANDOM,
        &FAULT_PLAN,
        &VERBS,
        &MODIFIERS,
        &PARTITION,
        &LINK,
        &CRASH_LOOP,
        &SLOW,
        &STARVE,
        &LIMIT,
        &CLOCK,
        &DISK,
        &POWER_LOSS,
        &CORRUPT_FILE,
        &TRANSFER,
        &AWAIT,
        &STOP,
        &DEFINITION,
        &PROCESS,
        &OBSERVER,
        &ENGINES,
        &CLIENT,
        &EXCHANGE,
        &CLUSTER_OPERATIONS,
        &OPERATION,
    ];
    mappings.into_iter().find(|table| table.has(name))
}

/// The whole plan language on a few screens, for `chaos help plan`.
#[must_use]
pub fn reference() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::from(INTRODUCTION);
        ALL.into_iter().for_each(|table| tell(table, &mut text));
        text.push_str(FIGURES);
        text
    })
}

/// The language of system definitions on a few screens, for `chaos help system`.
#[must_use]
pub fn system_reference() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = String::from(definition::INTRODUCTION);
        definition::ALL.into_iter().for_each(|table| tell(table, &mut text));
        text
    })
}

/// A table as people read it.
fn tell(table: &Table, text: &mut String) {
    let mut title = table.owner.replace('`', "");
    title[..1].make_ascii_uppercase();
    let _ = write!(text, "\n{title}\n");
    for Word { name, form, about } in table.words {
        let left = if form.is_empty() { (*name).to_owned() } else { format!("{name}: {form}") };
        // Long forms get a line of their own, so that the meanings stay in one column.
        let gap = if left.chars().count() > 34 { format!("\n  {:34}", "") } else { String::new() };
        let _ = writeln!(text, "  {left:34}{gap}  {about}");
    }
}
