#!/usr/bin/env bash
# Kills the controller with SIGKILL while a fault is in force, and shows that nothing is left:
#
#   scripts/kill-controller.sh                 50 rounds, which go through the whole catalogue of fault plans
#   scripts/kill-controller.sh 10 power-loss   ten rounds of one plan, or of several
#
# Each round waits for the plan's first fault, and up to 1.5 s more; kills one of the run's own processes (the stub that the shell
# started, the pid 1 below it, the controller below that); and looks for processes of the run, for processes in its namespaces, for
# mounts and for temporary files until there are none, for ten seconds at most. The round says how long that took. (Links, rules and
# most mounts live in namespaces, and those end with their last process.) Then the torn run is judged. A plan that this host refuses is
# said to be refused; it leaves nothing, either.
#
# CHAOS names the program to use; without it, a release build is made. To be run as an ordinary user, too.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-50}
shift || true
plans=("$@")
[ ${#plans[@]} -gt 0 ] || mapfile -t plans < <(cd faults && printf '%s\n' *.yaml | sed 's/\.yaml$//')

if [ -n "${CHAOS:-}" ]; then
  chaos=$(realpath "$CHAOS")
else
  cargo build --release --locked --bin chaos
  chaos=$PWD/target/release/chaos
fi
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

# What a run could leave outside of its namespaces and its directory.
outside() {
  cut -d' ' -f2,3 /proc/mounts
  find "${TMPDIR:-/tmp}" /dev/shm /run -maxdepth 1 -user "$(id -u)" -name '*chaos*' 2>/dev/null || true
}

# Waits for the first fault of the run in directory $1, whose stub is $2.
await_fault() {
  until grep -qs '"edge":"begin"' "$1/history.jsonl"; do
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.05
  done
}

before=$(outside | sort)
for round in $(seq "$rounds"); do
  plan=${plans[$(((round - 1) % ${#plans[@]}))]}
  out=$folder/run-$round code=0
  "$chaos" run kill --set "faults=$plan" --quiet --seed "$round" --out "$out" >"$folder/said" 2>&1 &
  stub=$!
  if ! await_fault "$out" "$stub"; then
    wait "$stub" || code=$?
    echo "round $round: $plan: ended by itself with exit $code: $(grep -m1 error "$folder/said" || tail -n 1 "$folder/said")"
    [ "$code" -eq 254 ] || exit 1
    continue
  fi
  sleep "$((RANDOM % 2)).$((RANDOM % 500 + 100))"
  mapfile -t all < <(processes_of "$out")
  mapfile -t namespaces < <(namespaces_of "${all[@]}")
  init=$(cat "/proc/$stub/task/$stub/children" || true)
  controller=$(cat "/proc/${init// /}/task/${init// /}/children" || true)
  victims=("$stub" $init $controller)
  roles=("the stub" "its pid 1" "the controller")
  chosen=$((RANDOM % ${#victims[@]}))
  kill -9 "${victims[$chosen]}"
  wait "$stub" 2>/dev/null || true
  killed=$(date +%s%N)
  for _ in $(seq 100); do
    left=$(processes_of "$out")
    mapfile -t everybody < <(ls /proc | grep -x '[0-9]*')
    held=$(namespaces_of "${everybody[@]}" | grep -xFf <(printf '%s\n' "${namespaces[@]}") || true)
    beside=$(outside | sort | comm -13 <(echo "$before") -)
    gone=$((($(date +%s%N) - killed) / 1000000))
    if [ -z "$left$held$beside" ] || [ "$gone" -gt 10000 ]; then break; fi
    sleep 0.1
  done
  if [ -n "$left$held$beside" ]; then
    echo "round $round: $plan: something is left: processes [$left], namespaces [$held], beside them [$beside]"
    exit 1
  fi
  code=0
  "$chaos" check "$out" >"$folder/check" 2>&1 || code=$?
  lines=$(wc -l <"$out/history.jsonl" 2>/dev/null || echo 0)
  echo "round $round: $plan: killed ${roles[$chosen]}, one of ${#all[@]} processes in ${#namespaces[@]} namespaces; nothing left after $gone ms; $lines history lines judged with exit $code: $(head -1 "$folder/check")"
  case $code in 0 | 2 | 3) ;; *) if [ "$lines" -gt 0 ]; then exit 1; fi ;; esac
  rm -rf "$out"
done
