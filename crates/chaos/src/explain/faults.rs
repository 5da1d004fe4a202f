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
  - kill: { node: leader, signal: ABRT }    or any other signal that ends a process by default

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
        &["SIGSTOP", "stop the world"],
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
        "link",
        &["delay", "latency", "jitter", "loss", "netem", "packet", "rate"],
        "delays, loses, doubles, reorders, damages or slows down packets of links, without cutting them",
        "
  - link: { between: all, delay: 50ms, jitter: 10ms }
    for: 8s
  - link: { between: [leader -> followers], loss: { share: 20%, burst: 4 }, rate: 1mbit/s }
    for: 8s

Packets of these links, and of no others, pass through the harness, which holds, drops, doubles or changes them. All that is drawn
follows from the run's seed. Jitter keeps a link's packets in order, as queues do; `reorder` doesn't. A corrupted packet keeps its
checksum, so that the receiver's kernel drops it. With bursts, losses come in rows of so many packets (Gilbert's model).
Where faults overlap on a link, the later one's conditions hold. When the fault ends, what is held is delivered at once, in order.
`chaos doctor` says whether this host can do it (`link-conditions`).",
    ),
    (
        "freeze-host",
        &["freeze", "virtual machine", "live migration", "suspend"],
        "stops a node's processes and cuts its whole leg, as when a virtual machine is suspended",
        "
  - freeze-host: leader
    for: 3s

A pause and a cut at once, with one pair of stamps. Unlike a pause, the node's kernel is gone too: it acknowledges nothing and
takes no connection, and neither the other nodes nor clients nor observers reach it. No connection is reset; when the host thaws,
TCP sends again what was lost, after its own back-off. The leg is healed a moment before the processes go on.",
    ),
    (
        "crash-loop",
        &["crash loop", "flapping"],
        "kills nodes and starts them again, over and over",
        "
  - crash-loop: { node: leader, up: 100ms..300ms, down: 50ms }
    for: 10s

One fault, as when a supervisor restarts what crashes at once. Times count from what was seen: `up` from a process's start,
`down` from its end. When the fault is over, the node is started and stays. While it lasts, nothing is demanded of the node; what
it claims when it is up counts.",
    ),
    (
        "slow",
        &["duty cycle", "throttle", "gray failure"],
        "lets a node's threads run for a part of each period only",
        "
  - slow: { node: leader, run: 1ms, every: 10ms }
    for: 5s

Every thread is stopped and resumed in turns, like a guest whose host gives it little time, or a program that collects garbage
without end. The node answers, late. Such a leader may keep its lead and serve next to nothing; that is for you to see in the
outages, since no check demands anything of a node that is hindered.",
    ),
    (
        "starve",
        &["noisy neighbour", "cpu", "burn"],
        "leaves a node a small share of one processor",
        "
  - starve: { node: leader, share: 10% }
    for: 5s

All its threads are held on one processor, beside others that only use it: nine of them leave one busy thread a tenth. A node
that is mostly idle hardly notices more than a later start after each wake-up. When the fault ends, threads may run where they
could before. On a machine of few processors the others feel it too, since they have one less to themselves.",
    ),
    (
        "limit",
        &["EMFILE", "file descriptors", "out of memory", "prlimit", "rlimit"],
        "refuses a node's processes more descriptors, or more memory",
        "
  - limit: { node: leader, open-files: 32 }     those that are open included
    for: 5s
  - limit: { node: leader, memory: 64MB }       beyond what each process has when the fault begins
    for: 5s

The soft limits of processes that run (RLIMIT_NOFILE, RLIMIT_AS) are lowered, and raised again at the end. What they hold they
keep; accepting a connection, opening a file or growing the heap fails. A program that ends because of it is started again when the
fault ends. Memory means address space: programs that reserve much of it at their start may grow for a while before they feel
it.",
    ),
    (
        "clock",
        &["clock skew", "drift", "time jump", "NTP", "strobe", "wall clock"],
        "has the wall clocks of nodes be off, go wrong or strobe",
        "
  - clock: { node: leader, jump: +60s }              off by so much; `-60s` is back
    for: 4s
  - clock: { node: leader, rate: 0.67 }              too slow: it falls behind by a second in three
    for: 10s
  - clock: { node: leader, strobe: { by: 200ms, every: 10ms } }
    for: 5s

Every program of the node sees that clock, from its first instruction on, also those that it starts meanwhile; at the end it shows
true time again, which is a jump. Only what people call the time is wrong: a system that measures its leases and timeouts
with a monotonic clock, as it should, is not to notice. Programs that ask the kernel without the vDSO have true time; that is told.

`monotonic: true` beside a `rate` has monotonic clocks go at that rate too, as with a bad oscillator. It is dangerous: the kernel's
own timers still go true. A program that waits for a moment of the clock (futex, timerfd, condition variables) wakes at another one, and
with a clock that is ahead it never waits long enough and may spin. What goes wrong then may be the fault's doing alone. All rates
of a plan are with it, or all without.

`clocks: libfaketime` in the workload, or `--bin libfaketime=PATH`, moves clocks by that library, preloaded, instead of
another vDSO. It needs no permission, reads a file at each question, and moves no monotonic clocks; a run that would start
a static program, one of Go, or one of another C library is refused.",
    ),
    (
        "disk",
        &["fsync", "slow disk", "EIO", "ENOSPC", "disk full", "read-only"],
        "has the disks of nodes be slow or fail",
        "
  - disk: { node: leader, sync-delay: 100ms }        each sync takes so much longer
    for: 5s
  - disk: { node: leader, sync: EIO }                or ENOSPC, EROFS: each sync fails
    for: 5s
  - disk: { node: leader, write: EIO }               each write fails; `write-delay` for slow ones
    for: 5s
  - disk: { node: leader, full: true }               what would make a file longer fails with ENOSPC
    for: 5s
  - disk: { node: leader, read-only: true }          whatever changes files or names fails (EROFS)
    for: 5s

It is the disk of the node's data directory; logs go elsewhere. What a slow disk holds goes on at once when it is well again. A program
that ends because of it, as it should where a sync has failed, is started again then. How many calls met the fault is noted. Each
layer costs something also while nothing is wrong, so figures of runs with and without such faults don't compare.",
    ),
    (
        "power-loss",
        &["power loss", "power failure", "unsynced"],
        "kills nodes and takes from their disks what was not synced",
        "
  - power-loss: leader
    for: 1s
  - power-loss: { node: all, keep: random }          a part of the rest stays: torn, in any order
    for: 1s

A `kill` leaves what the kernel has in its page cache; this doesn't. Each file is as at its last fsync. Changes of names are as on
ext4, XFS and btrfs: a sync of any file takes all earlier ones along. With `file-system: posix` it doesn't, which is all that fsync(2)
promises: a new file is lost unless its directory was synced after it, and that directory's, if it is new too. Many systems rely
on the kinder ones. Several nodes lose their power at the same moment. Acknowledged operations must all be there afterwards, if a
majority had synced them. The data directory is a mount for it, which needs /dev/fuse.",
    ),
    (
        "corrupt-file",
        &["bit rot", "flip", "truncate", "corruption", "bit-rot"],
        "damages files of nodes, once",
        "
  - corrupt-file: { node: follower, file: \"**/*.log\", flip-bits: 3 }
  - corrupt-file: { node: leader, file: \"wal/*\", truncate: 100B }

Files of the data directory are selected by a glob, and places in them are drawn; which, stands in the history. A program that is up
meets the damage when it reads the file the next time, so it is often done between a `kill` and its `restart`. It is over at
once, and nothing takes it back. Few systems promise to survive it: one that notices and refuses to start is a sound one.",
    ),
    (
        "transfer",
        &["transfer-leadership", "move-leader", "switchover", "leadership transfer"],
        "asks the leader to hand over",
        "
  - transfer: leader                      to whom the system chooses, or a follower, drawn
  - transfer: { node: leader, to: n3 }    or `follower`, `old-leader`, `$name`

The system does it itself: the reference node by POST /leadership/transfer, others by what their definition says (`chaos
language system`, `operations`). It has taken effect when another node claims to lead in a newer term. It is a failover of its own kind,
counted from the question on; no floor applies, since nobody need wait for a timeout. A refusal is noted, and is no violation.
A system that can't be asked, or not be told to whom, is refused before the run starts.",
    ),
    (
        "remove-member",
        &["membership", "add-member", "reconfiguration", "member"],
        "takes nodes out of the cluster; at its end they join again with empty disks",
        "
  - remove-member: follower
    for: 3s
  - remove-member: leader
    until: { leader: another, plus: 2s }

The system takes a member out of its configuration (etcd by MemberRemove, the reference node by POST /members), and then its processes
are ended. At the end it is added again, its data directory is emptied, and it is started to join. One change at a time is
asked for, again for up to 20 s if it is refused. A majority is one of the members of the moment. A node that has joined
anew begins with a new term and no vote, and no check holds against it what it was before. If nobody answered, the node
runs on and keeps its disk until it has been removed for certain: the harness never takes a member's disk away.",
    ),
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
  - partition: { cut: [leader -> n2, n3 <-> n4] }   just these links, one way or both

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

With `until: { leader: another, within: 60s }` beside it, no other round begins once that was seen (the events of `chaos explain
on`), or so much time has passed. A percentile needs samples: p90 needs 29 failovers of one kind, p99 needs 299 (`chaos explain percentiles`).",
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
  leader, old-leader, voter, follower, followers, random, majority, minority, minority-with-leader,
  all,
  all but any of these, the nodes that another step hit: $name,
  or nodes by name: [n1, n2]

If it takes a leader and there is none, the step waits for one for 10 s, then is skipped with a remark. Every fault comes at a
random moment of one heartbeat, so that over many repeats all phases of it are hit (see `chaos explain sweep`).",
    ),
    ("leader", &[], "the leader that a majority names", "
The node that claims to lead, is up, and is named by a majority of all nodes in one term. A leader that is cut off from a
majority is no target any more, even while its followers still name it."),
    ("old-leader", &["former leader"], "the leader before that one", "
The last node that a majority named before it named the present one. For plans that hit a node again just when it has come
back: `- pause: old-leader`."),
    ("voter", &[], "the node whose vote was seen first in the newest term", "
Of a node that votes for another one. For plans that strike as a vote is granted: `on: { vote: granted }`, then `kill: voter`.
Only systems whose nodes tell for whom they voted have one."),
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
