#!/usr/bin/env bash
# Holds N tiny random histories of every model (a million if not said) against brute force: scripts/fuzz.sh [N [FIRST]]
#
# Prints how many of each model were valid and invalid, and their sum. Ends with 0 only without one disagreement.
set -euo pipefail
cd "$(dirname "$0")/.."
export CHAOS_FUZZ=${1:-1000000} CHAOS_FUZZ_FROM=${2:-0}

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
cargo test --quiet --release --locked -p chaos-check --test fuzz -- --nocapture --test-threads="$(nproc)" | tee "$counts"
awk '
  match($0, /[0-9]+ valid, [0-9]+ invalid/) {
    split(substr($0, RSTART, RLENGTH), part, " "); valid += part[1]; invalid += part[3]; models++
  }
  END {
    if (!models) { print "no model was fuzzed"; exit 1 }
    printf "%d models: %d valid and %d invalid histories, 0 disagreements\n", models, valid, invalid
  }' "$counts"
