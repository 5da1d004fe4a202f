#!/usr/bin/env bash
# Runs one workload under many seeds and pools the failovers: scripts/seeds.sh [WORKLOAD [TIMES [FIRST_SEED]]]
#
# All of them, even after a violation; ends with the worst run's exit code.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked --bin chaos
exec target/release/chaos run "${1:-partition}" --repeat "${2:-20}" --seed "${3:-1}" --keep-going
