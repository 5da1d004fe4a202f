//! The steps of fault plans and whom they aim at: what really happens to the processes and packets.

use super::Written;

pub(super) const FAULTS: &[Written] = &[
    (
        "kill",
        &["SIGKILL", "crash"],
        "ends a node's processes by a signal; `for:` starts it again afterwards",
        "
  - kill: leader                            SIGKILL: no last words
    for: 3s
  - kill: { node: leader, signal: TERM }    an orderly end, if the program knows one

Every process in the node's network namespace gets the signal, daemons included. Connections break at once, so the others
could learn of it sooner than of a cut. The node comes back with its data directory, and must still know its term, its vote
and its log. It is no loss of power: the page cache survives, so a missing fsync stays unseen. A node that ends by itself
is a finding, and is not started again.",
    ),
    (
        "restart",
        &[],
        "starts killed nodes again: some, or all that are down",
        "
  - kill: leader          # without `for:` it stays down
  - wait: 2s
  - restart: all

It is the end of a kill. Nodes that ended by themselves stay down.",
    ),
    (
        "pause",
        &["SIGSTOP", "freeze", "stop the world"],
        "stops every thread of a node's processes; `for:` resumes them afterwards",
        "
  - pause: leader
    for: 2s

Each thread gets SIGSTOP by itself, which takes microseconds; its kernel goes on accepting and acknowledging packets. So the
others see a node that is there and says nothing, as with a long garbage collection or a virtual machine that is moved. When
it resumes, it finds its backlog and takes itself for the leader until it learns better: the moment in which reads that are
not confirmed by a majority become stale.",
    ),
    ("resume", &["SIGCONT"], "lets paused nodes go on: some, or all", "
  - pause: leader         # without `for:` it stays paused
  - wait: 2s
  - resume: all"),
    (
        "partition",
        &["isolate", "halves", "groups", "cut", "split", "network partition"],
        "drops packets between nodes; `for:` heals it afterwards",
        "
  - partition: { isolate: leader }                  these on one side, everybody else on the other
    for: 3s
  - partition: halves                               two sides, drawn
  - partition: { groups: [[n1, n2], [n3]] }         each group sees only itself
  - partition: { one-way: { from: leader } }        see `chaos explain one-way`
  - partition: { bridge: n3 }                       see `chaos explain bridge`
  - partition: majorities-ring                      see `chaos explain majorities-ring`

Packets are dropped in the switch, not refused: connections stall, and TCP sends again after the heal, with a delay of its
own (about two thirds of the cut's length in the worst case). Clients and observers still reach every node, on both sides.
Several cuts add up; `heal` takes all of them back.",
    ),
    (
        "one-way",
        &["asymmetric partition", "one way"],
        "packets one way are dropped, the way back is open",
        "
  - partition: { one-way: { from: leader, to: followers } }
    for: 3s

The leader hears everybody and is heard by nobody (or the other way round): its heartbeats are lost, while it still gets
answers to nothing. Without PreVote and CheckQuorum such a node can disturb a cluster for ever (Ongaro's thesis, sections
6.2 and 9.6).",
    ),
    (
        "bridge",
        &["partial partition"],
        "two halves that share one node, which sees everybody",
        "
  - partition: { bridge: n3 }
    for: 4s

Both halves have a majority with the bridge, and no leader of one side is heard on the other. A sound system settles on one
leader; one whose nodes campaign whenever they miss a leader changes it again and again.",
    ),
    (
        "majorities-ring",
        &["ring"],
        "every node sees a majority, no two the same; 4 nodes or more",
        "
  - partition: majorities-ring
    for: 4s

Nobody is cut off, and nobody sees all. There must be a leader, and it must stay.",
    ),
    ("heal", &[], "takes back every partition under way", "
  - partition: halves     # without `for:` it stays
  - wait: 5s
  - heal: all"),
    (
        "await",
        &["stable"],
        "goes on when something is seen",
        "
  - await: leader                           a majority names one that is up and reaches a majority
  - await: { stable: 500ms, within: 10s }   and everybody that can see it has agreed for this long

If it isn't seen in time, that is remarked and the plan goes on: whether it is a violation is for the check `reelection` to
say. Waiting until it is stable keeps one fault's recovery out of the next one's figures.",
    ),
    ("wait", &[], "lets time pass", "
  - wait: 700ms..1300ms       # drawn from the range, so as to keep step with no timer"),
    (
        "repeat",
        &[],
        "does steps so many times",
        "
  - repeat: 10
    steps:
      - kill: leader
        for: 3s
      - await: { stable: 500ms, within: 10s }

A percentile needs samples: p90 needs 29 failovers of one kind, p99 needs 299 (`chaos explain percentiles`).",
    ),
    (
        "random",
        &["choices", "random-node"],
        "as a step: one choice after another, drawn by weight; as a target: one node, drawn",
        "
  - random:
      for: 60s
      every: 1s..4s
      choices:
        - { weight: 3, steps: [{ kill: random, for: 1s..3s }] }
        - { weight: 1, steps: [{ partition: halves, for: 2s }] }

All draws come from the run's seed, each step from a stream of its own, so removing a step leaves the others' draws alone.",
    ),
    (
        "for",
        &["hold"],
        "how long a fault lasts, from its confirmed effect on",
        "
  - kill: leader
    for: 3200ms..3700ms

Drawn from the range. The plan goes on when the fault is taken back. Without `for:` the fault stays, the plan goes on at
once, and a later `restart`, `resume` or `heal`, or the end of the plan, takes it back: no fault outlives the run.",
    ),
];

pub(super) const TARGETS: &[Written] = &[
    (
        "target",
        &["targets", "aim"],
        "whom a fault hits: resolved when it strikes, never earlier",
        "
  leader, old-leader, follower, followers, random, majority, minority, minority-with-leader, all,
  or nodes by name: [n1, n2]

If it takes a leader and there is none, the step waits for one for 10 s, then is skipped with a remark. Every fault comes at a
random moment of one heartbeat, so that over many repeats all phases of it are hit.",
    ),
    ("leader", &[], "the leader that a majority names", "
The node that claims to lead, is up, and is named by a majority of all nodes in one term. A leader that is cut off from a
majority is no target any more, even while its followers still name it."),
    ("old-leader", &["former leader"], "the leader before that one", "
The last node that a majority named before it named the present one. For plans that hit a node again just when it has come
back: `- pause: old-leader`."),
    ("follower", &[], "one node, drawn, that isn't the leader", "
Losing a follower must cost nothing but, perhaps, operations that it served. An election after it is needless."),
    ("followers", &[], "all nodes but the leader", "
Pausing them all leaves the leader without a majority: it must acknowledge nothing, and step down (CheckQuorum)."),
    ("majority", &[], "a bare majority, drawn", "
With a majority down nobody can be elected; a failover is then not expected before they are back, and the report says so."),
    ("minority", &[], "a largest minority, drawn", "
As many nodes as may be lost without losing service: two of five."),
    ("minority-with-leader", &[], "a largest minority that includes the leader, the rest drawn", "
Isolated together, they are the side that must stop serving, with its old leader inside."),
    ("all", &["everybody"], "all nodes", "
Killing all of them asks what is on the disks: nothing that was acknowledged may be missing."),
];
