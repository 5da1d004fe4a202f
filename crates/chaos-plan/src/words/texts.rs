//! The texts around the tables of the language reference.

pub(super) const INTRODUCTION: &str = "\
Plans are YAML. A workload says what is tested, with which load, what goes wrong, and what must hold:

  name: partition
  system: raft
  nodes: 5
  clients:
    - register: { keys: 4, rate: 200/s }
  faults: faults/isolate-leader.yaml
  checks: [election-safety, linearizable, reelection: { within: 3s }]
  expect:
    outage.max: < 3s

A fault plan is a list of steps, each with one verb:

  name: isolate-leader
  steps:
    - await: leader
    - repeat: 10
      steps:
        - partition: { isolate: leader }
          for: 2s
        - await: { stable: 500ms, within: 10s }

Durations have a unit (ns, us, ms, s, min, h); where a range is allowed (1s..2s), the time is drawn from it.
Words in brackets are what is taken if nothing is written.
";

pub(super) const FIGURES: &str = "
Figures of a distribution
  min  p50  p90  p99  max                 a percentile needs enough samples: p90 29, p99 299

Comparisons
  < 3s   <= 3s   > 8   >= 8               `>` must be quoted in YAML; or in words:
  below, at most, above, at least
";
