//! What is measured: the phases of a failover, outages, the floor, percentiles, and what a workload can expect of them.

use super::Written;

pub(super) const FIGURES: &[Written] = &[
    (
        "phases",
        &["phase", "t0 to t8", "failover"],
        "the moments of a failover, from the fault to its last echo",
        "
  t0  injected    the fault has taken hold of the leader: when that was confirmed
  t1              the last acknowledgement by the old leader
  t2  detected    the first other node stops naming it
  t3  elected     the first claim to lead a higher term
  t4  converged   a majority names one leader of a higher term
  t5  writable    the first write invoked after t0 is acknowledged
  t6  available   every endpoint that can serve does
  t7              healed: the fault is taken back
  t8              the last change of term or leader after that

Nobody sees these moments; they lie between two answers of a node. So each is an interval, and what is quoted is its upper
bound: \"elected after 212 ms\" means not later than that. A failover that never came is a result and no error; the report
says why. Kinds of fault are never mixed in one distribution: a kill, a pause and a partition take different times.",
    ),
    ("injected", &["t0"], "t0: the fault has taken hold of the leader", "
All times of a failover count from here. The stamp is that of the confirmed effect: the process is gone, every thread is
stopped, packets are dropped."),
    ("t1", &["last acknowledgement"], "t1: the last acknowledgement by the old leader", "
After it the old leader does nothing any more that a client would notice. Later than the successor's first acknowledgement
it must not be: that is what `linearizable` looks at."),
    ("detected", &["t2"], "t2: the first node other than the old leader stops naming it", "
It names nobody, another, or a higher term. This is where the election timeout shows: not before the shortest timeout less
one heartbeat."),
    ("elected", &["t3"], "t3: the first claim to lead a higher term", "
By the claimant's own word, or by a follower's. Between detected and elected lie PreVote, the vote, and, where votes were
split, whole further timeouts."),
    ("converged", &["t4"], "t4: a majority of all nodes names one leader of a higher term", "
From here on a client that asks around is sent the right way by most nodes."),
    ("writable", &["t5"], "t5: the first write that was invoked after the fault is acknowledged", "
Seen by open-loop clients; its resolution is the distance between operations (200/s: 5 ms)."),
    ("available", &["t6"], "t6: every endpoint that can serve does", "
The endpoints are the nodes that are up, unpaused and connected with the new leader; a follower serves when it sends clients the
right way."),
    ("healed", &["t7"], "t7: the fault is taken back", "
The links are open, the process runs again. Elections after this that nobody needed are a finding: PreVote prevents them."),
    ("aftermath", &["t8", "second outage"], "t8: the last change of term or leader after the heal", "
A node that was cut off comes back with a higher term and can force an election although all is well: the second outage on
heal. The report shows it per failover."),
    (
        "outage",
        &["outage.max", "outage.total", "outages"],
        "a time without any acknowledgement, as clients saw it",
        "
The longest gaps between acknowledgements while the load is on, above 100 ms or twenty mean distances between operations. Load
is open loop: operations fall due whether or not earlier ones are answered, so that a stalled service can't hide its
stall by not being asked (coordinated omission).

  expect: { outage.max: < 3s, outage.total: < 20s }",
    ),
    ("availability", &[], "the share of roaming clients' operations that were acknowledged", "
  expect: { availability: above 90% }

Roaming clients look for the leader; those that are pinned to a node are refused by followers, which says nothing about
the service."),
    ("failovers", &["failovers.count"], "how many faults took a leader away", "
  expect: { failovers.count: at least 8 }

Without it a run in which no fault met a leader would pass quietly."),
    (
        "expect",
        &["expectation", "expectations", "threshold", "failover.PHASE.FIGURE", "metric", "metrics"],
        "what a workload hopes for: a miss is exit code 3, never a violation",
        "
  expect:
    failover.writable.p50: < 1500ms        of every kind of fault for itself
    failover.kill.elected.max: below 1s    of one kind
    failovers.count: at least 8
    outage.max: < 3s
    availability: above 90%

An expectation that can't be told (too few samples for its percentile, say) makes the run unknown: exit code 0 promises
that every expectation is met.",
    ),
    (
        "floor",
        &["theoretical floor"],
        "what the system's own timeouts allow: no failover can be faster",
        "
The shortest possible time of each phase, from the declared election timeout and heartbeat: the timeout's lower end, less the age
of the last heartbeat, plus the message delays that an election takes. What a system takes beyond it is its own, or the
host's. Source: Ongaro's thesis, sections 9.1 to 9.3.",
    ),
    (
        "percentiles",
        &["percentile", "p50", "p90", "p95", "p99", "distribution"],
        "quoted only with enough samples",
        "
A percentile of few samples is a guess: p90 is quoted from 29 failovers of one kind on, p95 from 59, p99 from 299; below that
there is a dash, and the maximum stands for itself. More samples: longer plans (`repeat`), or several seeds.",
    ),
    (
        "overlap",
        &["leader overlap", "stale-leader sliver"],
        "two nodes that claim to lead at once, in different terms",
        "
Guaranteed: two claims of one term prove everything between them, so two such stretches of different nodes have a moment in
common for certain. Possible: as far as the polls around allow. A correct Raft has overlaps: the old leader doesn't know yet. It
becomes a violation only when both are obeyed, which `linearizable` finds, or when it stays after the heal.",
    ),
    (
        "violation",
        &["expected violation", "as_expected", "demonstration"],
        "a plan that shows that a system breaks a promise says so, and succeeds if it does",
        "
  checks: [election-safety, no-lost-writes]
  expect: { violation: no-lost-writes }

Exit code 0, and the report's first words are `VIOLATION, as expected`, if every check that is named is violated and no other is; 3
if one of them holds; 1 if anything else is violated. The check's own verdict stays `invalid` in every report, with its
witness. Beside it, lower bounds tell how bad it was: `lost-writes: '> 0'`, `overlap.max: '> 1s'`, `outage.max: '> 20s'`.",
    ),
    (
        "lost-writes",
        &["lost writes", "stale-leader", "stale-leader.FIGURE", "overlap.max"],
        "how many acknowledged writes are surely gone",
        "
  expect: { lost-writes: '> 0', stale-leader.max: '> 500ms' }

A lower bound: writes whose loss can't be proved are not counted, so only `>` and `>=` make sense. `overlap.max` and
`stale-leader.max` are intervals, since nodes are polled: a lower limit is met by what is certain, an upper one by all that is
possible.",
    ),
    (
        "step-down",
        &["stepping down", "step-down.FIGURE", "step-down.max"],
        "for how long an old leader went on claiming to lead",
        "
Of a leader that was cut off: from the cut to its first answer that claims its term no more. Of one that was paused: from the
moment at which it runs again. A killed one claims nothing. Each is an interval between two answers. One that never stopped
claimed for as long as it was watched.

That a claim is stale makes nothing wrong by itself: who can't reach a majority can't know. What counts is whether such a leader
still serves (`linearizable`), and that it gives up when it hears of a newer one (`no-stale-leader`). A second leader at the
same time is an `overlap`.

In a plan: `expect: { step-down.max: < 2s }`.",
    ),
    (
        "own-role",
        &["testimony", "whose word", "of", "observer"],
        "an observer that brings the node's word on its own role",
        "
  observers:
    self: { http: { port: client, path: /status }, role: answer.state }

Each observer of a system definition says whose word it brings by `of`. `own-role`, which it is unless another is named, is what
the node says of itself: whether it leads and, if it tells, in which term and who does instead. The first observer's answers
decide who leads, are what `election-safety` is checked on and what phases are measured by.",
    ),
    (
        "coordinator",
        &["coordinator's belief"],
        "an observer that brings a coordinator's belief of who leads, told at the node",
        "
  observers:
    lock: { exec: [etcdctl, get, /leader], of: coordinator, role: answer == id }

Where an outside service decides who leads (etcd for Patroni, an API server for Kubernetes' leases), the belief at the node is
that service's, read from there. It may be older or newer than the node's own (`own-role`): the difference is a finding. As a further
observer it convicts nobody, and tells when a loss was noticed where nodes speak only of themselves.",
    ),
    (
        "client-view",
        &["client view", "view", "further observer"],
        "an observer that brings what a client that asks the node is told or granted",
        "
  observers:
    asked: { client: { question: leader }, of: client-view, role: answer.role }

Whom a client is sent to, who answers at the virtual address, who accepts a write: what users of the system see of its election.
It may lag behind the nodes' own word by caches and time-outs. As a further observer it convicts nobody.",
    ),
];
