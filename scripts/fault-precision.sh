#!/usr/bin/env bash
# How exact the faults are, and what they cost: cuts against iptables-restore and against iptables in each node, delays, heals, pauses
# against a plain SIGSTOP, clocks and disks. Writes reports/fault-precision.md and asserts nothing. What is compared takes turns, so
# that a busy machine is equally busy for both; run it as root on a quiet one for the figures that a machine is capable of.
#
#   scripts/fault-precision.sh [ROUNDS]            of the cuts and the delays, 3 unless told
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}

cargo build --release --quiet --locked -p chaos-net -p chaos-cluster -p chaos-clock -p chaos-disk --examples
bin=target/release/examples
out=reports/fault-precision.md

figures() {
  printf '\n## %s\n\n' "$1"
  shift
  printf '    %s\n\n' "\`$(basename "$1") ${*:2}\`"
  # An ordinary user is refused some of it, which is a figure, too.
  "$@" 2>&1 | sed 's/^/    /' || echo "    (refused)"
}

{
  echo "# How exact faults are"
  echo
  echo "Written by \`scripts/fault-precision.sh $rounds\` on $(nproc) processors, Linux $(uname -r), load $(cut -d' ' -f1-3 /proc/loadavg)."
  for ((round = 1; round <= rounds; round++)); do
    for way in nftables iptables per-node; do
      if [ "$way" = nftables ] || command -v iptables iptables-restore >/dev/null; then
        figures "20 links cut at once, by $way, round $round" "$bin/cut_latency" 30 5 "$way"
      fi
    done
    figures "5 ms of delay on 20 links, against none, round $round" "$bin/fabric_accuracy" 5 3 "$([ "$(id -u)" = 0 ] && echo root || echo user)"
    figures "A pause of sixteen busy threads, round $round" "$bin/pause_latency" 200 16
  done
  figures "First data after a heal" "$bin/heal_latency"
  figures "Clocks that can be moved" "$bin/clock_cost" 200
  figures "Disks that can be spoilt" "$bin/disk_bench"
} >"$out"
echo "$out"
