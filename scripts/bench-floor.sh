#!/usr/bin/env bash
# Holds the reference node against the timeouts that it declares: scripts/bench-floor.sh [RUNS]
#
# A sweep over the shortest timeout, its range and the heartbeat, each varied by itself, RUNS runs of 25 crashes per setting (2
# if not said), then `chaos bench-floor`. Sets land in OUT (reports/bench-floor if not said); one that is complete is not run
# again. About 25 s a run.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-2} out=${OUT:-reports/bench-floor} profile=${PROFILE:-release}
cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
sets=()
# shortest timeout, longest, heartbeat (ms)
for setting in 150-300-20 150-300-100 150-180-20 300-450-20 300-600-100 500-600-50; do
  IFS=- read -r min max heartbeat <<<"$setting"
  set=$out/$setting
  if ! grep -qs '"ended": "complete"' "$set/set.json"; then
    rm -rf "$set"
    "target/$profile/chaos" run workloads/figure16.yaml --repeat "$runs" --seed 9 --out "$set" \
      --set "system.raft.election-timeout=${min}ms..${max}ms" --set "system.raft.heartbeat=${heartbeat}ms" >/dev/null
  fi
  sets+=("$set")
done
"target/$profile/chaos" bench-floor "${sets[@]}"
