#!/usr/bin/env bash
# Runs one workload under many seeds and pools the failovers: scripts/seeds.sh [WORKLOAD [FIRST [LAST]]]
#
# Ends with 0 only if every run did. The runs stay in reports/seeds/<workload>-<seed>.
set -euo pipefail
cd "$(dirname "$0")/.."
workload=${1:-partition} first=${2:-1} last=${3:-20}

cargo build --release --locked --bin chaos
cargo build --release --locked -p chaos-failover --example pool
mkdir -p reports/seeds
worst=0 runs=()
for seed in $(seq "$first" "$last"); do
  out=reports/seeds/$workload-$seed
  rm -rf "$out"
  code=0
  target/release/chaos run "$workload" --quiet --seed "$seed" --out "$out" >"$out.txt" || code=$?
  echo "seed $seed: exit $code  $(head -1 "$out.txt")"
  if [ "$code" -gt "$worst" ]; then worst=$code; fi
  runs+=("$out")
done
target/release/examples/pool "${runs[@]}"
exit "$worst"
