#!/usr/bin/env bash
# How many seeds the search needs for each broken node: scripts/explore-table.sh [SPECIMEN…]
#
# Searches (SEARCHES, 5 if not said, with the seeds 1, 2, …) of at most SEEDS plans (3000 if not said) in the simulator, for
# each specimen that
# `chaos list` names or for those given, and once for the sound node, which must be acquitted. Writes the table to OUT
# (reports/explore.md if not said). CHAOS names a program that is built already. Fails if a specimen's median is more than
# three times, and more than ten plans above, what the
# table said before, if one that was found is found no more, if the sound node is convicted, or if a plan did not happen again.
set -euo pipefail
cd "$(dirname "$0")/.."
searches=${SEARCHES:-5} seeds=${SEEDS:-3000} out=${OUT:-reports/explore.md} profile=${PROFILE:-release}
if [ -z "${CHAOS:-}" ]; then
  cargo build --quiet --locked --profile "${profile/debug/dev}" --bin chaos
fi
chaos=${CHAOS:-$PWD/target/$profile/chaos}
specimens=("$@")
if [ $# = 0 ]; then
  mapfile -t specimens < <("$chaos" list --format json | grep -o '"specimens":\[[^]]*\]' | grep -o '"name":"[^"]*"' | cut -d'"' -f4)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The first value of a key in a search's report: a number, a word, or null.
value() { grep -m1 "\"$2\":" "$1" | sed 's/.*: "\{0,1\}\([^",]*\).*/\1/'; }
# The upper median of numbers, one a line.
median() { sort -n | awk '{ all[NR] = $1 } END { if (NR) print all[int(NR / 2) + 1]; else print "–" }'; }

# Searches for one specimen (`none`: the sound node); prints its row.
row() {
  local specimen=$1 found=0 search report first code
  : >"$work/firsts" && : >"$work/faults" && : >"$work/shares" && : >"$work/times" && : >"$work/runs" && : >"$work/checks"
  for search in $(seq "$searches"); do
    code=0
    local words=(explore --seed "$search" --seeds "$seeds" --quiet --out "$work/$specimen-$search")
    [ "$specimen" = none ] || words+=(--specimen "$specimen")
    "$chaos" "${words[@]}" >"$work/log" || code=$?
    case $code in 0 | 1) ;; *) cat "$work/log" >&2 && return "$code" ;; esac
    report=$work/$specimen-$search/explore.json
    grep -q '"mismatches": \[\]' "$report" || { echo "$specimen, search $search: a plan did not happen again" >&2 && return 1; }
    first=$(value "$report" first_violation)
    if [ "$first" = null ]; then
      echo $((seeds + 1)) >>"$work/firsts"
      continue
    fi
    found=$((found + 1))
    echo $((first + 1)) >>"$work/firsts"
    value "$report" check >>"$work/checks"
    value "$report" faults >>"$work/faults"
    value "$report" shrink_runs >>"$work/runs"
    grep -A1 '"share": {' "$report" | grep -m1 '"failed"' | tr -dc '0-9\n' >>"$work/shares"
    awk '/"shrinking":/ { s = $2 } /"amplifying":/ { a = $2 } END { printf "%.1f\n", s + a }' "$report" >>"$work/times"
  done
  local seen
  seen=$(median <"$work/firsts")
  [ "$seen" -le "$seeds" ] || seen=">$seeds"
  printf '| %s | %s | %s of %s | %s | %s | %s | %s | %s |\n' "$specimen" "$seen" "$found" "$searches" \
    "$(sort -u "$work/checks" | paste -sd' ' | sed 's/ /, /g; s/^$/–/')" "$(median <"$work/faults")" "$(median <"$work/runs")" \
    "$(median <"$work/shares")" "$(median <"$work/times")"
}

bad=0
{
  echo "# How soon the search finds a broken node"
  echo
  echo "\`scripts/explore-table.sh\`: $searches searches of at most $seeds plans each, in the simulator; medians (the upper one)."
  echo "*Plans*: until the first that violates anything. *Faults*: fault steps left of the minimal plan."
  echo "*Runs*: trials that shrinking took. *Fails*: under so many of 100 seeds that took no part, after amplification."
  echo "*Seconds*: shrinking and amplifying, on the host of this table."
  echo
  echo "| specimen | plans | found | violated | faults | runs | fails | seconds |"
  echo "|---|---|---|---|---|---|---|---|"
} >"$work/table"
for specimen in "${specimens[@]}" none; do
  row "$specimen" | tee "$work/row"
  cat "$work/row" >>"$work/table"
  now=$(cut -d'|' -f3 "$work/row" | tr -d ' ')
  before=$(grep -s "^| $specimen |" "$out" | cut -d'|' -f3 | tr -d ' ' || true)
  if [ "$specimen" = none ]; then
    [[ $now == ">"* ]] || { echo "the sound node was convicted" >&2 && bad=1; }
  elif [[ -n $before && $before != ">"* ]]; then
    if [[ $now == ">"* ]] || { [ "$now" -gt $((3 * before)) ] && [ "$now" -gt $((before + 10)) ]; }; then
      echo "$specimen: $now plans, where it took $before" >&2 && bad=1
    fi
  fi
done
if [ "$bad" = 0 ]; then
  mkdir -p "$(dirname "$out")" && cp "$work/table" "$out"
fi
exit "$bad"
