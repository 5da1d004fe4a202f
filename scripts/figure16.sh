#!/usr/bin/env bash
# Runs the Raft paper's Figure 16 and draws it: scripts/figure16.sh [RANGE…], ranges as 150-155 (milliseconds).
#
# Without ranges all ten of the paper. TIMES runs of 25 crashes a range (5 if not said: 125 crashes, about 80 s a range).
# Sets land in OUT/sets/RANGE; a range whose set is there is not run again, so that this can be stopped and called again.
# OUT is reports/figure16 if not said; the figure stands there as figure16.svg, .json and .md.
set -euo pipefail
cd "$(dirname "$0")/.."
ranges=("$@")
if [ $# = 0 ]; then
  ranges=(150-150 150-151 150-155 150-175 150-200 150-300 12-24 25-50 50-100 100-200)
fi
times=${TIMES:-5} out=${OUT:-reports/figure16} profile=${PROFILE:-release}

cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
cargo build --quiet --locked --profile "${profile/debug/dev}" -p chaos-report --example figure16
sets=()
for range in "${ranges[@]}"; do
  min=${range%-*} max=${range#*-} set=$out/sets/$range
  if ! grep -qs '"ended": "complete"' "$set/set.json"; then
    rm -rf "$set"
    # Exit code 2 or 3 is a result too (without randomness there may be no leader in time); 1 is a violation, and ends this.
    code=0
    "target/$profile/chaos" run workloads/figure16.yaml --repeat "$times" --keep-going --seed 16 --out "$set" \
      --set "system.raft.election-timeout=${min}ms..${max}ms" --set "system.raft.heartbeat=$((min * 500))us" \
      ${FIGURE16_ARGS:-} || code=$?
    case $code in 0 | 2 | 3) ;; *) echo "range $range: exit $code" && exit "$code" ;; esac
  fi
  sets+=("$set")
done
"target/$profile/examples/figure16" "$out" "${sets[@]}"
