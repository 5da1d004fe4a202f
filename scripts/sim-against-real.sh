#!/usr/bin/env bash
# Holds the simulator's failovers against those of real processes: scripts/sim-against-real.sh [RUNS]
#
# Four settings of the reference node, each run RUNS times (1 if not said; about a minute each) for real, and simulated with the same seeds.
# Writes reports/sim-against-real.md; ends with 1 if a median is off by more than 20 %. CHAOS names the program, if it is built already.
# A busy host makes real processes late and simulated ones not: the report says what the load was.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-1} out=${OUT:-reports/sim-against-real.md} profile=${PROFILE:-release}
sets=$(mktemp -d)
trap 'rm -rf "$sets"' EXIT
chaos=${CHAOS:-target/$profile/chaos}
[ -n "${CHAOS:-}" ] || cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
cargo build --quiet --locked --profile "${profile/debug/dev}" -p chaos-sim --example against

settings=(
  "kill|150ms..300ms|40ms"
  "partition|150ms..300ms|40ms"
  "kill|300ms..600ms|80ms"
  "partition|300ms..600ms|80ms"
)
{
  echo "# The simulator against reality"
  echo
  echo "Medians of the times to fail over, in milliseconds after the fault, with how many there were. Made by"
  echo "\`scripts/sim-against-real.sh $runs\` on $(nproc) processors; load before and after: $(cut -d' ' -f1 /proc/loadavg), LOAD."
} >"$sets/report.md"
for setting in "${settings[@]}"; do
  IFS='|' read -r workload timeout heartbeat <<<"$setting"
  dirs=()
  for seed in $(seq 1 "$runs"); do
    dir=$sets/$workload-${timeout//./}-$seed code=0
    "$chaos" run "$workload" --quiet --seed "$seed" --out "$dir" --set "system.raft.election-timeout=$timeout" \
      --set "system.raft.heartbeat=$heartbeat" >/dev/null || code=$?
    # An expectation that was missed, or a start that took too long, is a result too; a violation ends this.
    case $code in 0 | 2 | 3) ;; *) echo "$setting: exit $code" >&2 && exit "$code" ;; esac
    dirs+=("$dir")
  done
  {
    echo
    echo "## \`$workload\`, election timeout $timeout, heartbeat $heartbeat"
    echo
    echo "| fault | phase | real | simulated | off by |"
    echo "|---|---|---|---|---|"
    "target/$profile/examples/against" "${dirs[@]}"
  } >>"$sets/report.md"
done
sed "s/LOAD/$(cut -d' ' -f1 /proc/loadavg)/" "$sets/report.md" >"$out"
cat "$out"
# The last column of each row, without its sign and unit.
awk -F'|' '/ % \|$/ { gsub(/[ +%-]/, "", $6); if ($6 + 0 > 20) bad = 1 } END { exit bad }' "$out"
