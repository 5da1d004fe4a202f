#!/usr/bin/env bash
# Measures how long things take on real reference nodes where nothing is broken, in the form of `crates/chaos-sim/src/timings.rs`:
# scripts/sim-calibrate.sh
#
# One run without faults and with little load, and sixteen quantiles of: an observer's question, a client's local read (two ways of a
# request and the work on it), a linearizable read (a round of messages more), a write (the same and two syncs). From them: one way of a request
# is half a local read, a hop half of what a round adds. CHAOS names the program, if it is built already.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
chaos=${CHAOS:-target/$profile/chaos}
[ -n "${CHAOS:-}" ] || cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
cat >"$runs/calm.yaml" <<'YAML'
name: calm
about: Nothing goes wrong.
system: raft
nodes: 5
observe: { every: 20ms }
clients:
  - register: { keys: 4, rate: 50/s, mix: { read: 1, write: 1, cas: 0 } }
faults: { name: none, about: Nothing., steps: [{ wait: 20s }] }
checks: [election-safety]
YAML
for read in local linearizable; do
  "$chaos" run "$runs/calm.yaml" --quiet --seed 1 --set "system.raft.read=$read" --out "$runs/$read" >/dev/null || [ $? -le 3 ]
done
quantiles() { # Of nanoseconds, one a line: the sixteen of 1/32, 3/32, … 31/32.
  sort -n | awk '{ v[NR] = $1 } END { for (q = 1; q < 32; q += 2) { i = int(NR * q / 32) + 1; printf "%d%s", v[i], q < 31 ? ", " : "\n" } }'
}
latencies() { # Of operations of one kind that were acknowledged.
  jq -rc --arg kind "$2" 'select(.op) | [.op.id, .at, (.op.phase | if .invoke then "i" + (.invoke.action | keys[0]) elif .ok then "ok" else "no" end)] | @tsv' \
    "$1/history.jsonl" | awk -v kind="i$2" '$3 == kind { at[$1] = $2 } $3 == "ok" && $1 in at { print $2 - at[$1] }'
}
echo "load: $(cat /proc/loadavg)"
echo "question:           $(jq -rc 'select(.observation.source == "poll" and .observation.outcome.answered) | .observation | .received - .sent' "$runs/local/history.jsonl" | quantiles)"
echo "local read:         $(latencies "$runs/local" read | quantiles)"
echo "linearizable read:  $(latencies "$runs/linearizable" read | quantiles)"
echo "write:              $(latencies "$runs/linearizable" write | quantiles)"
