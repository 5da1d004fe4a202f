#!/usr/bin/env bash
# How many seeds a minute the simulator makes, and whether a seed is a run: scripts/sim-speed.sh [SECONDS [DOUBLE RUNS [SOUND SEEDS]]]
#
# Beside it an equal ping in turmoil 0.7 (scripts/sim-speed), which is built for that; with TURMOIL=no it is left out.
#
# Writes reports/sim-speed.md. `by the clock` is what this host gave; `two cores` is the processor time that it took, as two processors would
# have given it: on a busy host only that means anything. Ends with 1 if two runs of one seed differed, or
# if one of the SOUND SEEDS (none, unless told) of the three workloads by turns convicted the sound node.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-20} doubles=${2:-100000} sounds=${3:-0} out=${OUT:-reports/sim-speed.md}
threads=$(nproc)
export CARGO_PROFILE_RELEASE_LTO=${LTO:-thin} CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
speed=${SPEED:-target/release/examples/speed}
[ -n "${SPEED:-}" ] || cargo build --quiet --locked --release -p chaos-sim --example speed
ping=
if [ "${TURMOIL:-yes}" = yes ]; then
  cargo build --quiet --locked --release --manifest-path scripts/sim-speed/Cargo.toml --target-dir target/ping
  ping=target/ping/release/ping
fi
{
  echo "# The simulator's speed"
  echo
  echo "Five nodes, ten virtual seconds, observed every 100 ms; leadership, votes and, with clients, linearizability of four registers are"
  echo "checked while the run goes on. Made by \`scripts/sim-speed.sh $seconds $doubles\` on $threads processors, load $(cut -d' ' -f1-3 /proc/loadavg)."
  echo
  echo "| what | seeds a minute, by the clock | two cores | target | processor time a seed | operations | things that happen |"
  echo "|---|---|---|---|---|---|---|"
  while read -r what about target; do
    if [ "$what" = ping ]; then
      [ -n "$ping" ] || continue
      line=$("$ping" "$seconds" "$threads")
    else
      line=$("$speed" "$what" "$seconds" "$threads")
    fi
    field() { tr ' ' '\n' <<<"$line" | sed -n "s/^$1=//p"; }
    echo "| ${about//_/ } | $(field wall_per_minute) | $(field two_cores_per_minute) | $target |" \
      "$(field cpu_us) µs | $(field operations) | $(field happenings) |"
  done <<'ROWS'
clients three_clients,_no_faults 36000
partitions three_clients,_the_leader_isolated_three_times 36000
elections no_clients,_the_leader_killed_three_times 240000
quiet no_clients,_no_faults 240000
ping turmoil:_one_node_pings_four_every_40_ms,_and_nothing_else –
ROWS
} >"$out"
double=$("$speed" double "$doubles" "$threads")
{
  echo
  echo "Each of $doubles seeds was run twice, on whatever thread was free: ${double##*differing=} of the hashes over everything that happened differed."
} >>"$out"
convicted=0
if [ "$sounds" -gt 0 ]; then
  sound=$("$speed" sound "$sounds" "$threads")
  convicted=$(sed -n 's/^sound .*convicted=\([0-9]*\) .*/\1/p' <<<"$sound")
  {
    echo
    echo "Each of $sounds seeds of the sound node was checked while it ran, in ${sound##*seconds=} s: $convicted were convicted."
  } >>"$out"
fi
cat "$out"
[ "${double##*differing=}" = 0 ] && [ "$convicted" = 0 ]
