#!/usr/bin/env bash
# Prints what the checker costs against porcupine-rs, class by class, with the targets: scripts/checker-table.sh [ROW…]
#
# Without rows all of them, which takes some minutes; `--list` names them. Ends with 0 unless a verdict was wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --quiet --locked -p chaos-check --bench table -- "$@"
