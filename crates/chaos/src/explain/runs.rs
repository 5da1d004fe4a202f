//! What runs and reports say beside figures: verdicts, notes, warnings, mistakes, exit codes, and how a program of one's own
//! takes part.

use super::Written;

pub(super) const RUNS: &[Written] = &[
    (
        "verdict",
        &["valid", "invalid", "unknown", "pass", "missed", "PASS", "FAIL"],
        "pass, fail, unknown or missed",
        "
  PASS     every check is valid, and every expectation met
  FAIL     a check is invalid: a witness of a few lines of the history shows why
  UNKNOWN  a check or an expectation can't be told, or the run did not come to its end
  MISSED   every check is valid, but an expectation was missed

The gravest finding wins: fail, then unknown, then missed. Half a run is never valid. A pass says that nothing was seen in this run; it proves nothing
about what didn't happen in it.",
    ),
    ("witness", &["counterexample"], "the few lines of the history that refute a property by themselves", "
A sentence, the lines as they stand in `history.jsonl`, the argument step by step, and for operations a drawing. It is
minimal, and an independent verifier of under 150 lines has re-checked it before it is shown. `chaos check DIR` shows it
again."),
    ("cut short", &["interrupted", "the run was stopped early", "the run ended early"], "the run did not come to its end", "
Somebody interrupted it, the harness was killed, or no leader came. What happened until then is judged; without a violation
the verdict is unknown, since what it did not get to might have failed. A run that ends because its wrapped command has ended
is not cut short, nor is one whose `limit` ended the fault plan."),
    ("host stall", &["stall", "stalled", "stalls"], "the host didn't let the harness run for a while", "
A canary sleeps a millisecond at a time; if it sleeps 20 ms longer, the host (or its hypervisor) was busy elsewhere. Failovers
that overlap a stall are marked, and so is their share: their times say something about the host. Fewer nodes, a longer
heartbeat, or a quieter machine help."),
    ("never failed over", &["not reached", "the next fault came first"], "a phase of a failover that was not reached", "
A result, no error: the fault ended first and the old leader went on, the next fault came first, the run ended, no node could
reach a majority, or no client could tell. Make `for:` longer than a failover takes."),
    ("election without a fault", &["unplanned election", "needless election", "unplanned"], "a leader changed though no fault asked for it", "
After the end of a fault: the echo of a node that came back (see `aftermath`). During or just after a host stall: followers
missed heartbeats that were never sent. Otherwise the election timeout may be too short for the load."),
    ("outage without a failover", &["unexplained outage"], "clients were without service, but no leader was lost", "
During a fault that took no leader away, or after it. A system should serve on while a majority is whole."),
    ("ended by itself", &["node exited", "crashed node"], "a node's process ended though no fault ended it", "
A finding: look at nodes/nX/stderr.log in the run directory. It isn't started again, so that nothing hides it."),
    ("no leader in time", &["never ready", "start-within", "did not answer"], "no majority named a leader after the start", "
Nothing was tested, so the verdict is unknown. The message says what each node did instead. `start-within:` grants more time;
a program of your own may not speak the API yet (`chaos explain node-api`)."),
    ("can't inject", &["doctor", "refused", "capabilities"], "this host lacks something that the plan needs", "
A fault that can't be injected is refused before the run starts; it is never silently replaced by another. `chaos doctor`
tries every primitive and names what to change: user namespaces switched off, a seccomp filter, a kernel without nf_tables."),
    (
        "proxy",
        &["network", "--network", "netns", "without namespaces", "tcp streams only"],
        "a run without namespaces: TCP proxies between the nodes",
        "
  chaos run kill --network proxy        or `network: proxy` in the workload

For hosts that let nobody make namespaces. Nodes run on the host; each sees every other one under
an address of its own, 127.x.y.z, behind which a proxy of that directed link stands.

Faults act on TCP streams only. A cut (`drop: lose`) keeps the bytes, and connects hang; `reject`
resets whoever sends. After a natural heal bytes go on when TCP would have sent them again. Links
have `delay` and `rate`. Refused: all that is done to packets, `hold` and `kick`, frozen hosts, power
losses. UDP passes, handshakes take no delay, and a one-way cut leaves the other way's bytes alone.

Only systems whose nodes can each be told other addresses of their peers: raft, raft-rs, openraft,
and definitions that say `network: { proxy: true }`. Kills, pauses and all else work as always.",
    ),
    (
        "seed",
        &["repro", "reproduce", "again", "--seed"],
        "fixes every random choice of a run",
        "
  chaos run kill --seed 7
  chaos run reports/kill/<run>/plan.yaml     the saved plan: all changes, all defaults, the seed

The same seed gives the same draws: whom faults hit, when, for how long, what clients ask. Real processes don't repeat
their timing, so a violation that depends on a race may take several runs, or several seeds.",
    ),
    (
        "run directory",
        &["history", "history.jsonl", "report.json", "report.html", "plan.yaml", "files", "capture", "capture.pcapng"],
        "what a run leaves behind",
        "
  plan.yaml       the plan with every default filled in, and the seed
  command.txt     the command line that started it
  history.jsonl   everything that happened, one event a line; all else is computed from it
  nodes/n1/       stdout.log, stderr.log, data/ (kept after a violation, or with --keep)
  report.html     for people: one file, opens anywhere
  report.json     for programs
  capture.pcapng  with `capture: true`: every packet as it left its sender, and as it arrived
  wrap/           stdout.log, stderr.log and the end of a wrapped command

`chaos check DIR` judges it again, `chaos report DIR` draws it again.",
    ),
    (
        "node-api",
        &["own program", "system", "program", "own system"],
        "what a program of your own must speak to be tested",
        "
  system: { raft: { program: ./my-node.sh, election-timeout: 150ms..300ms, heartbeat: 40ms } }

chaos starts it once per node, in the node's network namespace, and expects it to stay in the foreground:

  my-node.sh --id n1 --node n1=10.77.0.1:7001/7002 --node n2=10.77.0.2:7001/7002 … --data DIR
             --election-timeout 150000us..300000us --heartbeat 40000us … [what `arguments:` says]

Over HTTP, on its own address and the second port:

  GET  /status         200 {\"id\":\"n1\",\"term\":3,\"role\":\"follower\",\"leader\":\"n3\",\"voted_for\":null}
                       role: follower, pre_candidate, candidate, leader; voted_for may be null
  GET  /kv/KEY         200 {\"value\":\"5\",\"revision\":7,\"term\":3}      value null: there is no such key
  PUT  /kv/KEY         {\"value\":\"5\"}                    200 {\"revision\":7}
  POST /kv/KEY/cas     {\"expect\":\"5\",\"value\":\"6\"}   200 {\"swapped\":true,\"value\":\"5\",\"revision\":8}
                       not swapped: value is what was there; expect null: if there is no key
  any refusal          421 {\"error\":\"not_leader\",\"definite\":true,\"leader\":\"n3\"}
                       definite true: surely nothing happened; else the outcome is unknown
  GET  /events         optional: a line of JSON per change of role, term, leader; has `monotonic_ns`

`chaos init --system mydb` writes a workload and a definition to start from, for programs of any API; `chaos node` is the
reference to compare with.
What must survive a kill (term, vote, log) belongs into DIR. Reads must be linearizable, or the checks say so.",
    ),
    (
        "wrap",
        &["wrapped command", "chaos wrap"],
        "a command of your own that works against the cluster while the plan runs",
        "
  chaos wrap kill -- cargo test

The command starts at the first leader, inside the run's network; CHAOS_NODES, CHAOS_NODE_1 … name the nodes' addresses, and
it can reach nothing else. The fault plan begins again until the command ends (or runs once, with --once); then faults are
taken back and the cluster is checked. Exit code: 1 if a safety property is violated, else 4 if the command failed.",
    ),
    ("events", &["--format json", "chaos.events/1", "format"], "what happens, as one JSON object a line", "
  chaos run kill --format json | jq -c 'select(.event==\"leader\")'

run-started, leader, fault-begin, fault-end, node-started, node-exited, progress (once a second), alarm, interrupted, and at
the end verdict (with the paths of the reports) or failed. Nothing else is on standard output."),
];

pub(super) const EXIT_CODES: &[Written] = &[
    (
        "exit-code",
        &["exit codes", "exit", "status"],
        "what a command's exit code says",
        "
  0    valid, and every expectation met
  1    a safety property (or any other check) is violated, whatever else
  2    unknown, or not run to its end
  3    valid, but an expectation was missed
  4    the wrapped command failed (`chaos wrap`), and nothing is violated
  254  the plan or the arguments are wrong, this host can't do it, or the system did not come up
  255  our own failure",
    ),
    ("exit-code 0", &["0"], "valid, and every expectation met", "
It promises that every check was made and holds for what was seen, that every expectation is met, and that the run came to
its end. Also: a command that only tells something did so."),
    ("exit-code 1", &["1"], "a check is violated", "
Never retried to green: a violation seen once has happened. The report shows a witness; the nodes' data is kept."),
    ("exit-code 2", &["2"], "unknown, or not run to its end", "
A check or an expectation can't be told, or the run was interrupted. The report says which and why."),
    ("exit-code 3", &["3"], "valid, but an expectation was missed", "
Safe, but slower or less available than hoped for. See `chaos explain expect`."),
    ("exit-code 4", &["4"], "the wrapped command failed", "
`chaos wrap`: the command's exit code was not 0, or a signal ended it, and no check is violated. Its own code is in
report.json under `wrapped`."),
    ("exit-code 254", &["254"], "what the user can mend: a plan, an argument, this host, a program that does not come up", "
The message names the file, the line and what to write instead, or what to change on the host (`chaos doctor`); then nothing
was run. Or a program of the system under test ended or stayed silent before the cluster was up: the node is named with its
last words, and its logs are in the run directory."),
    ("exit-code 255", &["255"], "our own failure", "
The harness could not do its work, or the reference node, which is ours, did not come up. What was recorded is in the run
directory."),
];
