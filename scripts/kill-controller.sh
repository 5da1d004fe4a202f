#!/usr/bin/env bash
# Kills the controller with SIGKILL at random moments of a run and shows that nothing is left:
# scripts/kill-controller.sh [HOW_OFTEN]
#
# Each round kills one of the run's own processes (the stub that the shell started, the pid 1 below it, the controller below
# that), waits a second, and looks for processes of the run and for processes in its namespaces. (Mounts, links and rules live
# in namespaces, and those end with their last process.) Then the torn run is judged.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-10}

cargo build --release --locked --bin chaos
chaos=$PWD/target/release/chaos
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The ids of all processes that have $1 on their command line.
processes_of() {
  for process in /proc/[0-9]*; do
    if tr '\0' ' ' 2>/dev/null <"$process/cmdline" | grep -q -- "$1"; then echo "${process#/proc/}"; fi
  done 2>/dev/null
}

# The namespaces of processes, other than our own.
namespaces_of() {
  for process in "$@"; do
    for kind in net mnt pid uts ipc; do readlink "/proc/$process/ns/$kind" || true; done
  done 2>/dev/null | sort -u | grep -vxFf <(for kind in net mnt pid uts ipc; do readlink "/proc/self/ns/$kind"; done) || true
}

for round in $(seq "$rounds"); do
  out=$folder/run-$round
  "$chaos" run partition --quiet --seed "$round" --out "$out" >/dev/null 2>&1 &
  stub=$!
  sleep "$((RANDOM % 12)).$((1 + RANDOM % 9))"
  mapfile -t all < <(processes_of "$out")
  mapfile -t namespaces < <(namespaces_of "${all[@]}")
  init=$(cat "/proc/$stub/task/$stub/children" || true)
  controller=$(cat "/proc/${init// /}/task/${init// /}/children" || true)
  victims=("$stub" $init $controller)
  roles=("the stub" "its pid 1" "the controller")
  chosen=$((RANDOM % ${#victims[@]}))
  kill -9 "${victims[$chosen]}"
  wait "$stub" 2>/dev/null || true
  sleep 1
  left=$(processes_of "$out")
  mapfile -t everybody < <(ls /proc | grep -x '[0-9]*')
  held=$(namespaces_of "${everybody[@]}" | grep -xFf <(printf '%s\n' "${namespaces[@]}") || true)
  if [ -n "$left$held" ]; then
    echo "round $round: something is left: processes [$left], namespaces [$held]"
    exit 1
  fi
  code=0
  "$chaos" check "$out" >"$folder/check" 2>&1 || code=$?
  lines=$(wc -l <"$out/history.jsonl" 2>/dev/null || echo 0)
  echo "round $round: killed ${roles[$chosen]}, one of ${#all[@]} processes in ${#namespaces[@]} namespaces; nothing left; $lines history lines judged with exit $code: $(head -1 "$folder/check")"
  case $code in 0 | 2 | 3) ;; *) if [ "$lines" -gt 0 ]; then exit 1; fi ;; esac
done
