#!/usr/bin/env bash
# Kills the controller with SIGKILL at random moments of a run and shows that nothing is left:
# scripts/kill-controller.sh [HOW_OFTEN]
#
# Each round kills one of the run's own processes (the stub that the shell started, the pid 1 below it, the controller below
# that), waits a second, and looks for processes, mounts and network namespaces that were not there before. Then the torn
# run is judged.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-10}

cargo build --release --locked --bin chaos
chaos=$PWD/target/release/chaos
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Everything by which a run could outlive itself, as lines that can be compared.
traces() {
  for process in /proc/[0-9]*; do
    if tr '\0' ' ' <"$process/cmdline" 2>/dev/null | grep -q "$1"; then echo "process ${process#/proc/}"; fi
    readlink "$process/ns/net" 2>/dev/null || true
  done | sort -u
  wc -l </proc/self/mounts
}

for round in $(seq "$rounds"); do
  out=$folder/run-$round
  before=$(traces "$out")
  "$chaos" run partition --quiet --seed "$round" --out "$out" >/dev/null 2>&1 &
  stub=$!
  sleep "$((RANDOM % 12)).$((RANDOM % 10))"
  init=$(cat "/proc/$stub/task/$stub/children" 2>/dev/null || true)
  controller=$(cat /proc/${init// /}/task/${init// /}/children 2>/dev/null || true)
  victims=("$stub" ${init} ${controller})
  victim=${victims[$((RANDOM % ${#victims[@]}))]}
  kill -9 "$victim"
  wait "$stub" 2>/dev/null || true
  sleep 1
  after=$(traces "$out")
  if [ "$before" != "$after" ]; then
    echo "round $round: something is left:"
    diff <(echo "$before") <(echo "$after") || true
    exit 1
  fi
  code=0
  "$chaos" check "$out" >"$folder/check" 2>&1 || code=$?
  lines=$(wc -l <"$out/history.jsonl" 2>/dev/null || echo 0)
  echo "round $round: killed process $victim of ${victims[*]}; nothing left; $lines history lines judged with exit $code: $(head -1 "$folder/check")"
  case $code in 0 | 2 | 3) ;; *) if [ "$lines" -gt 0 ]; then exit 1; fi ;; esac
done
