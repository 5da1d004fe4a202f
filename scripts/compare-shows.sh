#!/usr/bin/env bash
# Shows that `chaos compare` says what is so: scripts/compare-shows.sh [RUNS [PAIRS [RUNS_OF_A_PAIR]]]
#
# 1. PreVote on against off, and heartbeats of 20 ms against 80 ms: RUNS runs a side (6 if not said).
# 2. A system against itself, PAIRS times (20 if not said): each pair is two fresh sets of RUNS_OF_A_PAIR runs (as
#    many as RUNS if not said) of one workload, with seeds of their own; nothing is drawn twice. At most one false alarm in twenty is promised.
# What is expected of 1: a leader that is cut off steps down (CheckQuorum) and, without PreVote, campaigns on its own for ever
# higher terms; when it comes back it deposes the new leader (thesis §9.6). So "election after heal" happens more often; the time
# to the first new leader hardly changes. Frequent heartbeats make the last one younger at the moment
# of the crash, so that failovers take longer, by (80 − 20)/2 = 30 ms in the middle: with 80 ms they are *faster*.
#
# Takes about RUNS × (2 × 80 s + 2 × 20 s) for 1 and PAIRS × RUNS_OF_A_PAIR × 40 s for 2. Sets land in OUT (reports/compare if not said);
# one that is complete is not run again. Ends with 0 only if the false alarms are within the promise.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-6} pairs=${2:-20} of_a_pair=${3:-${1:-6}} out=${OUT:-reports/compare} profile=${PROFILE:-release}
cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
chaos=target/$profile/chaos

# run_set NAME WORKLOAD SEED [ARGUMENT…]
run_set() {
  local set=$out/$1 workload=$2 seed=$3 code=0
  shift 3
  if grep -qs '"ended": "complete"' "$set/set.json"; then return; fi
  rm -rf "$set"
  "$chaos" run "$workload" --repeat "$runs" --seed "$seed" --keep-going --out "$set" "$@" >"$set.txt" 2>&1 || code=$?
  case $code in 0 | 2 | 3) ;; *) cat "$set.txt" && exit "$code" ;; esac
}

mkdir -p "$out"
# Stickiness would refuse the newcomer as well, so it is off on both sides: PreVote alone is compared.
loose=(--set system.raft.stickiness=false)
run_set prevote-on workloads/partition.yaml 100 "${loose[@]}" --set system.raft.pre-vote=true
run_set prevote-off workloads/partition.yaml 101 "${loose[@]}" --set system.raft.pre-vote=false
echo "== PreVote on (A) against off (B)"
"$chaos" compare "$out/prevote-on" "$out/prevote-off" || echo "exit $?"

run_set heartbeat-20 workloads/figure16.yaml 200 --set system.raft.heartbeat=20ms
run_set heartbeat-80 workloads/figure16.yaml 201 --set system.raft.heartbeat=80ms
echo "== heartbeat 20 ms (A) against 80 ms (B)"
"$chaos" compare "$out/heartbeat-20" "$out/heartbeat-80" || echo "exit $?"

echo "== the same against itself"
alarms=0 runs=$of_a_pair
for pair in $(seq "$pairs"); do
  run_set "same-$pair-a" workloads/figure16.yaml "$((1000 + pair))"
  run_set "same-$pair-b" workloads/figure16.yaml "$((2000 + pair))"
  # Any verdict is a false alarm here, "faster" as well.
  found=$("$chaos" compare "$out/same-$pair-a" "$out/same-$pair-b" --format json || true)
  verdicts=$(grep -cE '"outcome": "(slower|faster)"' <<<"$found" || true)
  echo "pair $pair: $(grep -m1 '"sentence"' <<<"$found" | cut -d'"' -f4)"
  if [ "$verdicts" -gt 0 ]; then alarms=$((alarms + 1)); fi
done
echo "$alarms of $pairs pairs with a false alarm"
[ "$((alarms * 20))" -le "$pairs" ] || [ "$alarms" -le 1 ]
