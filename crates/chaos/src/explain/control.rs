//! What steers the steps of fault plans: events, branches, rounds, phases, names.

use super::Written;

pub(super) const CONTROL: &[Written] = &[
    (
        "on",
        &["trigger", "event", "after"],
        "waits for the next event of a kind, and then does something",
        "
  - on: { leader: elected }      a majority names a leader that it did not name before
    after: 0ms..30ms             a drawn time later [at once]
    within: 20s                  for how long it is waited for [30s]
    pause: leader                what is done then: any verb, or `steps:`, or nothing
    for: 1s

  leader: elected    a majority names a new leader, be it the same node in a newer term
  leader: another    it names another node
  leader: lost       the leader that it named is named by no majority any more
  vote: granted      a node is seen to have voted for another one, in a newer term than any before
  term: 5            a node is in this term or a later one; `+2`: two after the newest that was seen
  operations: 500    so many have been acknowledged
  lease: { below: 50ms }
                     a node that leads says that less is left to it, by its own clock, if nobody
                     answers it any more: until it steps down for want of a quorum, or its lease
                     ends. The word is as old as its answer. A mistake if the system never tells

All of it counts from when the step's turn comes. The fault is commanded in the very moment in which the observation is
recorded: there is no polling in between, and no phase of the heartbeat is drawn. What is over between two answers of a node
was never seen. If nothing comes in time, that is remarked, the steps are left out, and the plan goes on.",
    ),
    (
        "together",
        &["at the same time", "branches"],
        "does several things that begin at one moment",
        "
  - together:
      - { pause: leader, for: 2s }
      - { partition: { isolate: follower }, for: 2s }
      - steps: [wait: 1s, { kill: random, for: 1s }]

The faults with which the branches begin are commanded one right after the other, and aim at the cluster as it was before the
first of them: here a follower of the leader that is paused. If one of them takes a leader and there is none, all wait. Draws
avoid nodes that an earlier branch has hit. The step is over when all branches are. A `heal`, `restart` or `resume` in one
branch takes back other branches' faults too, which are over then.",
    ),
    (
        "sweep",
        &["heartbeat phase", "phase of the heartbeat"],
        "when within a heartbeat a fault begins",
        "
  - kill: leader                 a drawn part of one heartbeat after its turn came
  - kill: leader
    phase: none                  at once
  - kill: leader
    phase: 0ms..40ms             so long after a beat
  - repeat: 20
    steps:
      - kill: leader
        phase: sweep             in round k of 20, k/20 of a heartbeat after a beat
        for: 2s

No heartbeat is seen from outside. Beats are reckoned from when the newest leader was first heard to lead, one every
`heartbeat` of the system; its clock may drift away from that.",
    ),
    (
        "swarm",
        &["swarm testing"],
        "lets each choice of a `random` take part in a run or not",
        "
  - random:
      for: 60s
      every: 1s..3s
      swarm: 40%
      choices: […]

Drawn once a run, from the seed; at least one takes part, and a remark in the history tells which. Where all kinds of fault come
in every run, they get in each other's way: what takes a hundred of one kind in a row is never reached. Many runs, each with a
few kinds, find more (Groce et al., Swarm Testing, ISSTA 2012).",
    ),
    (
        "named targets",
        &["$first"],
        "the very nodes that an earlier step hit",
        "
  - pause: follower
    name: first
    for: 1s
  - kill: $first
    for: 1s

A name stands for whom the step hit when it was done last; a step that hit nobody leaves its name to nobody.",
    ),
    (
        "all but",
        &["all but leader"],
        "everybody else",
        "
  - pause: all but leader
  - pause: all but n1, n2
  - pause: all but $first",
    ),
];
