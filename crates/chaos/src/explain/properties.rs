//! The properties that a run is checked for: what each promises, how it is checked, what "unknown" means, where it comes from.

use super::Written;

pub(super) const PROPERTIES: &[Written] = &[
    (
        "election-safety",
        &["ElectionSafety", "two leaders", "split brain"],
        "at most one leader per term",
        "
Promises: in each term at most one node is leader, over the whole run. Two leaders at one moment are no violation if
their terms differ: the older one just doesn't know yet (`chaos explain overlap`).

Checked: every answer of a node that says \"I lead term 4\" or \"n2 leads term 4\" is a fact about term 4, whenever it was
given, since a node adopts a leader only after that leader's own message. So two answers that name different leaders of one
term refute it, and nothing else can. One pass over the answers, O(n log terms). Beliefs count, not only claims: a second
leader often lives for a millisecond, but its followers remember it for the whole term.

Unknown: no node ever named a leader. Valid says: for what was observed. A leader whom no answer named was not seen.

In a plan: `checks: [election-safety]`, which checks SingleVote too. Source: Ongaro and Ousterhout, \"In Search of an
Understandable Consensus Algorithm\" (Raft), figure 3 and section 5.2. Seen failing: the specimen `double-vote`.",
    ),
    (
        "SingleVote",
        &["one vote"],
        "a node votes for at most one candidate per term, restarts included",
        "
Promises: no node gives its vote of one term to two candidates, also if it was killed in between. A node that forgets its
vote is on its way to two leaders; so whoever asks for `election-safety` asks for this too.

Checked: two answers of one node that show different votes in one term refute it. O(n log terms).

Unknown: the system doesn't show its votes.

Source: Raft, figure 2 (`votedFor`, persisted before answering) and section 5.2.",
    ),
    (
        "term-monotonic",
        &["TermMonotonic"],
        "a node's term never goes back, restarts included",
        "
Promises: the term that a node shows never falls, also not over a kill and a restart: the term is on the disk before any
answer leaves the node.

Checked: two answers of a node are compared only if the first had arrived before the second question left; of concurrent
ones nobody knows the order. O(n log n).

Unknown: no node answered. A fall between two polls that was made up for before the second one is not seen.

Source: Raft, figure 2 (`currentTerm` increases monotonically) and section 5.1.",
    ),
    (
        "linearizable",
        &["linearizability", "Linearizability", "atomic register"],
        "every key behaves as one register",
        "
Promises: every operation seems to happen at one instant between its invocation and its answer. So a read returns the value
of the newest write that was over before the read began, or of one that overlaps it; never an older one. An operation that
ended without a definite answer (`info`) may have happened at any instant after its invocation, or never.

Checked: per key, exactly: either an order of all operations is found and re-played by an independent verifier, or a few
operations that have no legal order, which it refutes by trying all their orders. Values are written once each, so that
this takes near-linear time; what is left goes to a bounded search.

Unknown: nothing was acknowledged, or the search ran out of its budget before it knew.

In a plan: `checks: [linearizable]`. Source: Herlihy and Wing, \"Linearizability\" (1990); for Raft, Ongaro's thesis, sections
6.3 and 6.4 (linearizable reads must be confirmed by a majority). Seen failing: the specimens `read-unconfirmed` (a stale
read) and `half-is-majority`.",
    ),
    (
        "no-lost-writes",
        &["NoAcknowledgedWriteLost", "durability"],
        "acknowledged writes are there at the end",
        "
Promises: a write that was acknowledged is not undone by a failover: at the end every key holds it, or a newer value.

Checked: when all faults are over and the load has stopped, every key is read once more (the final reads). A write is lost
if such a read finds the key absent, or a value whose own write was over before the lost one was invoked. O(n).

Unknown: a key with acknowledged writes has no final read that succeeded.

In a plan: `checks: [no-lost-writes]`. Source: Leader Completeness, Raft, figure 3 and section 5.4. What it can't see:
`kill -9` leaves the page cache, so a missing fsync stays unseen.",
    ),
    (
        "mutual-exclusion",
        &["MutualExclusion", "mutual exclusion", "two holders"],
        "no two clients hold one lock at one moment, as far as both have proof",
        "
Promises: a lock (or a leadership that clients campaign for) is held by one client at a time. A hold is proved by its end only:
a client that gives its lock back and is answered with ok has held it from the answer to its acquisition until it asked for the
release, since what was lost in between could not have been given back. No clock, time-out or lease is believed.

Checked: two proved holds that overlap refute it, and so does an acquisition that was asked for and answered within a proved
hold of another client; nothing else can. O(n log n).

Unknown: no lock was acquired, or no release succeeded. What it can't see: a client that lost its lock without knowing it and
goes on as if it held it; that is `exclusive-access`.

In a plan: `checks: [mutual-exclusion]`. Source: Dijkstra (1965); Gray and Cheriton, \"Leases\" (1989).",
    ),
    (
        "fencing",
        &["FencingMonotonic", "fencing tokens", "fencing token"],
        "fencing tokens rise from holder to holder",
        "
Promises: who gets a lock later gets a larger token, and what the lock protects accepts no smaller token after a larger one.

Checked: of two holds the later one must have the larger token. Certainly later is one whose acquisition was asked for after
the other was answered, and one that is proved to have been held when the other had already been given. O(n log n).

Unknown: the system's client tells no tokens, or no lock was acquired.

In a plan: `checks: [fencing]`. Source: Kleppmann, \"How to do distributed locking\" (2016); Burrows, \"The Chubby lock service\"
(2006), section 2.4.",
    ),
    (
        "exclusive-access",
        &["ExclusiveAccess", "exclusive access", "deposed holder"],
        "what a lock protects is used by one holder after the other",
        "
Promises: once a newer holder has used what the lock protects, no older one does. The resource is the harness's own: it decides
one access at a time and writes down what it accepts; whoever shows it a fencing token is refused once a larger one was shown.

Checked: the accepted accesses are one sequence. It is refuted by an access of a holder between two of another, and by one of a
holder whose token is smaller than that of a holder before. O(n log n).

Unknown: nothing was accepted. With `fencing: true` this must hold whatever happens; with `fencing: false` a violation shows what
the lock alone doesn't give: a holder that is paused, or cut off for longer than its lease, goes on when it is back.

In a plan: `checks: [exclusive-access]`. Source: Kleppmann, \"How to do distributed locking\" (2016).",
    ),
    (
        "reelection",
        &["BoundedReelection", "bounded reelection", "liveness"],
        "while a majority is up and connected, it has a leader within the bound",
        "
Promises: whenever a majority of all nodes is up, unpaused and connected pairwise in both directions, for longer than the bound
without a change, a majority names one leader that is itself up and in reach of a majority.

Checked: from the answers, per stretch without a change of faults or processes; measured in the system's favour, and the
time that the host stalled is taken off.

Unknown: too few answers, or too many stalls, to tell absence from not looking.

In a plan: `checks: [reelection: { within: 3s }]`. Take ten times the longest election timeout: then a run of unlucky split
votes that looks like a violation has a probability of about 10^-15. Source: Raft, sections 5.6 and 9.3; Ongaro's thesis,
chapter 9.",
    ),
    (
        "no-stale-leader",
        &["NoStaleLeaderAfterHeal"],
        "after a heal, one node at most claims to lead after the bound",
        "
Promises: once every node is up and every link open for as long as the bound, one node claims to lead, and none for a term
that a newer leader has superseded.

Checked: two claims of one term by one node prove everything between them (regaining a term is impossible), so two such
stretches of different nodes that overlap for longer than the bound refute it; and so does a claim to a question that left
later than the bound after somebody's answer had named another leader of a higher term. Whom an election in a whole cluster
deposes has the same bound to hear of it.

Unknown: the cluster was never whole for long enough.

In a plan: `checks: [no-stale-leader: { within: 1s }]`. Source: Raft, section 5.1 (a leader that hears a higher term steps
down); Ongaro's thesis, section 6.2 (one that hears no majority does, too). Seen failing: the specimen `no-step-down`.",
    ),
    (
        "recovers",
        &["Recovers", "recovery", "liveness of writes"],
        "changes are acknowledged again within the bound after everything is healed",
        "
Promises: once every node is up and unpaused and no link is cut, a write, an addition or a decided swap that a client asks for is
acknowledged before `within` has passed, and then another one before it has passed again, and so on.

Checked: each time without any fault that lasts longer than the bound while the load runs. A stretch of it longer than the bound
refutes the property if clients asked every node for changes, also late in the stretch, and none was acknowledged.

Unknown: no such stretch, a node that nobody asked, or a host that stalled for more than a tenth of the bound.

In a plan: `checks: [recovers: { within: 10s }]`. Seen failing: the specimen `rejection-advances-match`. `reelection` is about whom
nodes name; this is about what clients get.",
    ),
    (
        "replicas-agree",
        &["ReplicasAgree", "divergence", "diverge", "replica"],
        "in the end all nodes hold the same state",
        "
Promises: once all faults are over and the load has stopped, every node holds what every other holds.

Checked: each node is asked for a value that stands for its whole state, and for its revision where the system tells, until all are
the same or 10 s have passed. Different values of one revision refute it at once; without revisions, nodes that differ after
5 s do. Sets are read at every node too: a node that lacks what another shows and what was there before it was asked, 5 s or
more after the load, disagrees.

Unknown: fewer than two nodes told, their revisions never met, or nobody was asked again for long enough.

In a plan: `checks: [replicas-agree]`. It is not among the checks of a workload that names none.",
    ),
    (
        "one-leader",
        &["OneLeaderAtATime", "one leader at a time", "two leaders at once"],
        "two nodes never lead at once, whatever their terms",
        "
Promises: at no instant do two nodes both lead; or, with `overlap`, never for longer than that at a stretch. Raft doesn't promise
it: an old leader may lead its old term until it hears of the new one. Locks, leases that are waited out and virtual
addresses do.

Checked: two claims of one reign by one node prove everything between them, except while its process was stopped or down; another
node's claim inside of that refutes the property. Where the system shows no term, claims are of one reign if they follow each
other within 1 s and nothing else was said.

Unknown: nobody ever claimed to lead, or a node was never heard. What happens between two polls is not seen.

In a plan: `checks: [one-leader]` or `checks: [one-leader: { overlap: 100ms }]`. Source: Gray and Cheriton, Leases, SOSP 1989.",
    ),
];
