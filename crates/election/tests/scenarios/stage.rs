//! The stage: nodes, a clock that stands still, and messages that wait to be delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use election::raft::{Config, Input, Message, Output, Persist, ReadConsistency, Recovered, Snapshot};
use election::specimens::{ClockKind, Node, Start};
use election::{LogIndex, Nanos, NodeId, Protocol, RequestId};

use crate::show;

struct Actor {
    raft: Option<Node>,
    disk: Recovered,
    /// By how many milliseconds its wall clock has been set back.
    set_back_ms: u64,
}

pub(crate) struct Stage {
    start: fn(Start) -> Node,
    clock: ClockKind,
    now: Nanos,
    config: Option<Config>,
    actors: BTreeMap<NodeId, Actor>,
    pending: Vec<(NodeId, NodeId, Message)>,
    kept: Vec<(NodeId, NodeId, Message)>,
    cut: BTreeSet<(NodeId, NodeId)>,
    lines: Vec<String>,
    requests: u64,
}

fn node(word: &str) -> NodeId {
    let (number, life) = word.split_once('+').unwrap_or((word, "0"));
    let number = number.strip_prefix('n').and_then(|number| number.parse().ok());
    let life = life.parse().ok();
    number.map(NodeId).zip(life).map_or_else(|| panic!("not a node: {word}"), |(node, life)| node.in_life(life))
}

fn link(word: &str) -> (NodeId, NodeId) {
    let (from, to) = word.split_once("->").unwrap_or_else(|| panic!("not a link: {word}"));
    (node(from), node(to))
}

/// When the stage begins, so that clocks can be set back.
const BEGIN: Nanos = Nanos(3_600_000_000_000);

impl Stage {
    pub(crate) fn new(start: fn(Start) -> Node, clock: ClockKind) -> Self {
        Self {
            start,
            clock,
            now: BEGIN,
            config: None,
            actors: BTreeMap::new(),
            pending: Vec::new(),
            kept: Vec::new(),
            cut: BTreeSet::new(),
            lines: Vec::new(),
            requests: 0,
        }
    }

    /// Executes one command and returns its output.
    ///
    /// | command | meaning |
    /// |---|---|
    /// | `cluster 3 pre_vote=off …` | start nodes n1 to n3 with these options |
    /// | `join n4` / `join n3+1` | start a node that is to become a member; n3 in its next life, with an empty disk |
    /// | `elect n1` | `timeout n1` and `stabilize`, without the messages |
    /// | `run 500` | milliseconds pass, every deadline is met, messages arrive at once and are not shown |
    /// | `timeout n1` | the clock jumps to n1's deadline, and n1 alone notices |
    /// | `wait 100` | the clock advances by milliseconds, nobody notices |
    /// | `deliver` / `deliver n1->n2` | the waiting messages (of one link) arrive, their answers wait |
    /// | `stabilize` | deliver until nothing waits |
    /// | `repeat n1->n2` | the waiting messages of a link will arrive twice |
    /// | `keep n1->n2` | copies of the waiting messages of a link are set aside |
    /// | `release n1->n2` | what was set aside of a link waits for delivery again |
    /// | `drop` / `drop n1->n2` | the waiting messages (of one link) are lost |
    /// | `isolate n1` / `cut n1->n2` / `heal` | links that lose everything |
    /// | `propose n1 x` | a client's command |
    /// | `read n1 linearizable` (or `lease`, `local`) | a client's read |
    /// | `transfer n1 n2` / `transfer n1` / `members n1 n1 n2` | an operator's wish |
    /// | `crash n1` / `restart n1` | memory is lost, the disk stays |
    /// | `set-back n1 1000` | n1's wall clock goes back by milliseconds |
    /// | `status` | every node in one line |
    /// | `timers` | how long every node waits at most |
    /// | `quietly …` | one of these, and only what happens to nodes is shown, not what they say and save |
    pub(crate) fn command(&mut self, line: &str) -> Vec<String> {
        if let Some(line) = line.strip_prefix("quietly ") {
            self.lines = self.command(line);
            self.hush();
            return std::mem::take(&mut self.lines);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["cluster", count, ref options @ ..] => self.cluster(count.parse().unwrap(), options),
            ["join", id] => self.start(node(id)),
            ["timeout", id] => self.time_out(node(id)),
            ["elect", id] => {
                self.time_out(node(id));
                self.stabilize();
                self.hush();
            }
            ["run", millis] => self.run(millis.parse().unwrap()),
            ["wait", millis] => self.now = self.now + Duration::from_millis(millis.parse().unwrap()),
            ["deliver"] => self.deliver(|_| true),
            ["deliver", word] => self.deliver(|on| on == link(word)),
            ["stabilize"] => self.stabilize(),
            ["repeat", word] => self.pending.extend(self.waiting(link(word))),
            ["keep", word] => self.kept.extend(self.waiting(link(word))),
            ["release", word] => {
                let (released, kept): (Vec<_>, _) =
                    std::mem::take(&mut self.kept).into_iter().partition(|(from, to, _)| (*from, *to) == link(word));
                self.kept = kept;
                self.pending.extend(released);
            }
            ["drop"] => self.pending.clear(),
            ["drop", word] => self.pending.retain(|(from, to, _)| (*from, *to) != link(word)),
            ["isolate", id] => {
                for other in self.actors.keys().filter(|other| **other != node(id)) {
                    self.cut.extend([(*other, node(id)), (node(id), *other)]);
                }
            }
            ["cut", word] => drop(self.cut.insert(link(word))),
            ["heal"] => self.cut.clear(),
            ["propose", id, text] => {
                let command = text.as_bytes().into();
                self.request(node(id), |request| Input::Propose { request, command });
            }
            ["read", id, how] => {
                let consistency = match how {
                    "linearizable" => ReadConsistency::Linearizable,
                    "lease" => ReadConsistency::Lease,
                    "local" => ReadConsistency::Local,
                    _ => panic!("not a consistency: {how}"),
                };
                self.request(node(id), |request| Input::Read { request, consistency });
            }
            ["transfer", id] => self.request(node(id), |request| Input::Transfer { request, to: None }),
            ["transfer", id, to] => self.request(node(id), |request| Input::Transfer { request, to: Some(node(to)) }),
            ["members", id, ref members @ ..] => {
                let members = members.iter().map(|word| node(word)).collect();
                self.request(node(id), |request| Input::ChangeMembership { request, members });
            }
            ["crash", id] => self.actors.get_mut(&node(id)).expect("the node was started").raft = None,
            ["restart", id] => self.start(node(id)),
            ["set-back", id, millis] => {
                self.actors.get_mut(&node(id)).expect("the node was started").set_back_ms +=
                    millis.parse::<u64>().unwrap();
            }
            ["status"] => self.status(),
            ["timers"] => self.timers(),
            _ => panic!("not a command: {line}"),
        }
        std::mem::take(&mut self.lines)
    }

    fn cluster(&mut self, count: u64, options: &[&str]) {
        let mut config = Config::new((1..=count).map(NodeId));
        for option in options {
            let (name, value) = option.split_once('=').expect("an option is name=value");
            match name {
                "pre_vote" => config.pre_vote = value == "on",
                "check_quorum" => config.check_quorum = value == "on",
                "stickiness" => (config.stickiness, config.lease_reads) = (value == "on", value == "on"),
                "snapshot_threshold" => config.snapshot_threshold = value.parse().unwrap(),
                "trailing_entries" => config.trailing_entries = value.parse().unwrap(),
                "max_batch_entries" => config.max_batch_entries = value.parse().unwrap(),
                "max_inflight" => config.max_inflight = value.parse().unwrap(),
                _ => panic!("not an option: {name}"),
            }
        }
        let members = config.members.clone();
        self.config = Some(config);
        for id in members {
            self.start(id);
        }
    }

    fn start(&mut self, id: NodeId) {
        let config = self.config.clone().expect("`cluster` comes first");
        let actor =
            self.actors.entry(id).or_insert_with(|| Actor { raft: None, disk: Recovered::default(), set_back_ms: 0 });
        assert!(actor.raft.is_none(), "{id} is up");
        let now = read(self.clock, self.now, actor);
        actor.raft = Some((self.start)(Start { id, config, seed: id.0, recovered: actor.disk.clone(), now }));
    }

    fn time_out(&mut self, id: NodeId) {
        self.now = self.now.max(self.due(id).expect("the node is up"));
        self.step(id, Input::Tick);
    }

    /// When a node that is up has something to do, in true time.
    fn due(&self, id: NodeId) -> Option<Nanos> {
        let actor = &self.actors[&id];
        let left = actor.raft.as_ref()?.deadline().since(read(self.clock, self.now, actor));
        Some(self.now + left)
    }

    /// Copies of the messages that wait on a link.
    fn waiting(&self, on: (NodeId, NodeId)) -> Vec<(NodeId, NodeId, Message)> {
        self.pending.iter().filter(|(from, to, _)| (*from, *to) == on).cloned().collect()
    }

    fn stabilize(&mut self) {
        while !self.pending.is_empty() {
            self.deliver(|_| true);
        }
    }

    fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let live = self.actors.keys().filter_map(|id| Some((self.due(*id)?, *id)));
            let Some((_, id)) = live.min().filter(|(deadline, _)| *deadline <= end) else { break };
            self.time_out(id);
            self.stabilize();
        }
        self.now = end;
        self.hush();
    }

    /// Leaves only what happened to the nodes, not what they said.
    fn hush(&mut self) {
        self.lines.retain(|line| !line.contains(" → ") && !line.contains(" saves "));
    }

    fn request(&mut self, id: NodeId, input: impl FnOnce(RequestId) -> Input) {
        self.requests += 1;
        self.step(id, input(RequestId(self.requests)));
    }

    fn deliver(&mut self, chosen: impl Fn((NodeId, NodeId)) -> bool) {
        let (now, later) =
            std::mem::take(&mut self.pending).into_iter().partition(|(from, to, _)| chosen((*from, *to)));
        self.pending = later;
        for (from, to, message) in now {
            self.step(to, Input::Receive { from, message });
        }
    }

    fn step(&mut self, id: NodeId, input: Input) {
        let now = read(self.clock, self.now, &self.actors[&id]);
        let Some(raft) = &mut self.actors.get_mut(&id).unwrap().raft else { return };
        let mut out = Vec::new();
        raft.step(now, input, &mut out);
        for output in out {
            self.lines.extend(show::output(id, &output));
            match output {
                Output::Persist(persist) => self.write(id, persist),
                Output::Send { to, message } if self.cut.contains(&(id, to)) => drop(message),
                Output::Send { to, message } => self.pending.push((id, to, message)),
                Output::TakeSnapshot { meta } => {
                    let data = format!("state at {}", meta.last_index).into_bytes();
                    self.step(id, Input::SnapshotTaken(Box::new(Snapshot { meta, data })));
                }
                Output::Apply(_) | Output::Reply { .. } | Output::RestoreSnapshot(_) | Output::Event(_) => {}
            }
        }
    }

    fn write(&mut self, id: NodeId, persist: Persist) {
        let disk = &mut self.actors.get_mut(&id).unwrap().disk;
        if let Some(snapshot) = persist.snapshot {
            disk.entries.retain(|entry| entry.index > snapshot.meta.last_index);
            disk.snapshot = Some(*snapshot);
        }
        if let Some(from) = persist.truncate_from {
            disk.entries.retain(|entry| entry.index < from);
        }
        disk.entries.extend(persist.append);
        disk.hard = persist.hard.unwrap_or(disk.hard);
    }

    fn timers(&mut self) {
        for id in self.actors.keys() {
            let left = self.due(*id).map_or_else(|| "for ever".to_owned(), |due| format!("{:?}", due.since(self.now)));
            self.lines.push(format!("{id} waits {left}"));
        }
    }

    fn status(&mut self) {
        for (id, actor) in &self.actors {
            let Some(raft) = &actor.raft else {
                self.lines.push(format!("{id} is down"));
                continue;
            };
            let status = raft.status(read(self.clock, self.now, actor));
            let log: Vec<_> = actor.disk.entries.iter().map(show::entry).collect();
            let snapshot =
                (status.snapshot_index > LogIndex(0)).then(|| format!("snapshot {} ", status.snapshot_index));
            self.lines.push(format!(
                "{}, log [{}{}]",
                show::status(&status),
                snapshot.unwrap_or_default(),
                log.join(" ")
            ));
        }
    }
}

/// What a node's clock shows.
fn read(clock: ClockKind, now: Nanos, actor: &Actor) -> Nanos {
    match clock {
        ClockKind::Monotonic => now,
        ClockKind::Wall => Nanos(now.0 - actor.set_back_ms * 1_000_000),
    }
}
