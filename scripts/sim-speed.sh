#!/usr/bin/env bash
# How many seeds a minute the simulator makes, and whether a seed is a run: scripts/sim-speed.sh [SECONDS [DOUBLE RUNS]]
#
# Writes reports/sim-speed.md. `by the clock` is what this host gave; `two cores` is the processor time that it took, as two processors would
# have given it: on a busy host only that means anything. Ends with 1 if two runs of one seed differed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20} doubles=${2:-100000} out=${OUT:-reports/sim-speed.md}
threads=$(nproc)
export CARGO_PROFILE_RELEASE_LTO=${LTO:-thin} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
speed=${SPEED:-target/release/examples/speed}
[ -n "${SPEED:-}" ] || cargo build --quiet --locked --release -p chaos-sim --example speed
{
  echo "# The simulator's speed"
  echo
  echo "Five nodes, ten virtual seconds, observed every 100 ms; leadership, votes and, with clients, linearizability of four registers are"
  echo "checked while the run goes on. Made by \`scripts/sim-speed.sh $seconds $doubles\` on $threads processors, load $(cut -d' ' -f1-3 /proc/loadavg)."
  echo
  echo "| what | seeds a minute, by the clock | two cores | target | processor time a seed | operations | things that happen |"
  echo "|---|---|---|---|---|---|---|"
  while read -r what about target; do
    line=$("$speed" "$what" "$seconds" "$threads")
    field() { tr ' ' '\n' <<<"$line" | sed -n "s/^$1=//p"; }
    echo "| ${about//_/ } | $(field wall_per_minute) | $(field two_cores_per_minute) | $target |" \
      "$(field cpu_us) µs | $(field operations) | $(field happenings) |"
  done <<'ROWS'
clients three_clients,_no_faults 36000
partitions three_clients,_the_leader_isolated_three_times 36000
elections no_clients,_the_leader_killed_three_times 240000
quiet no_clients,_no_faults 240000
ROWS
} >"$out"
double=$("$speed" double "$doubles" "$threads")
{
  echo
  echo "Each of $doubles seeds was run twice, on whatever thread was free: ${double##*differing=} of the hashes over everything that happened differed."
} >>"$out"
cat "$out"
[ "${double##*differing=}" = 0 ]
