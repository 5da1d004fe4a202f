#!/usr/bin/env bash
# What the HTML report weighs, how long it takes to be written, and how long a browser takes until its timeline answers, for runs
# of 10^4, 10^5 and 10^6 operations with 60,000 observations each. Prints a table and asserts nothing. Needs Chromium on the PATH, or
# CHAOS_CHROMIUM.
#
#   scripts/report-table.sh
set -euo pipefail
cd "$(dirname "$0")/.."

cargo run --release --quiet --locked -p chaos-report --example report_in_browser -- table
