#!/usr/bin/env bash
# How many plans the search needs for each broken node: scripts/explore-table.sh [SPECIMEN…]
#
# Searches (SEARCHES, 5 if not said, with the seeds 1, 2, …) of at most SEEDS plans (3000 if not said) in the simulator, for
# each specimen that `chaos list` names or for those given, and once for the sound node, which must be acquitted; and walks (`chaos
# walk`), WALKS of them at most (4000 if not said). With REAL=N each minimal plan that was found is run again on real processes, N times
# at most. Writes the table to OUT (reports/explore.md if not said). CHAOS names a program that is built already.
#
# Fails if a specimen's median is more than three times, and more than ten plans above, what the table said before, if one that was
# found is found no more, if the sound node is convicted, or if a plan did not happen again. The tests hold the first search and the
# walks against the table, too (crates/chaos/tests/cli/explored.rs).
set -euo pipefail
cd "$(dirname "$0")/.."
searches=${SEARCHES:-5} seeds=${SEEDS:-3000} walks=${WALKS:-4000} real=${REAL:-0} out=${OUT:-reports/explore.md} profile=${PROFILE:-release}
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
# Both the row's list and that of the whole table.
note() { tee -a "$work/all-$1" >>"$work/$1"; }

# Runs a minimal plan on real processes until it shows the same: how many runs that took, or nothing.
reproduce() { # DIR
  local plan
  plan=$1/$(value "$1/explore.json" file)
  if "$chaos" replay "$plan" --world real --until-violation --attempts "$real" --out "$1/real" >"$1/real.log" 2>&1; then
    grep -c '^attempt' "$1/real.log"
  else
    [ $? -lt 254 ] || cat "$1/real.log" >&2
  fi
}

# How many walks it takes until one breaks a promise.
walks_of() { # SPECIMEN
  local words=(walk --walks "$walks" --format json) code=0
  [ "$1" = none ] || words+=(--specimen "$1")
  "$chaos" "${words[@]}" >"$work/walk" || code=$?
  case $code in
    0) echo ">$walks" ;;
    1) grep -o '"walks":[0-9]*' "$work/walk" | cut -d: -f2 ;;
    *) return "$code" ;;
  esac
}

# Searches for one specimen (`none`: the sound node); prints its row.
row() {
  local specimen=$1 found=0 search report first code directory
  rm -f "$work"/{firsts,faults,shares,times,runs,checks,reals}
  touch "$work"/{,all-}{firsts,faults,shares,times,runs,checks,reals}
  for search in $(seq "$searches"); do
    code=0 directory=$work/$specimen-$search
    local words=(explore --seed "$search" --seeds "$seeds" --quiet --out "$directory")
    [ "$specimen" = none ] || words+=(--specimen "$specimen")
    "$chaos" "${words[@]}" >"$work/log" || code=$?
    case $code in 0 | 1) ;; *) cat "$work/log" >&2 && return "$code" ;; esac
    report=$directory/explore.json
    grep -q '"mismatches": \[\]' "$report" || { echo "$specimen, search $search: a plan did not happen again" >&2 && return 1; }
    first=$(value "$report" first_violation)
    if [ "$first" = null ]; then
      echo $((seeds + 1)) | note firsts
      continue
    fi
    found=$((found + 1))
    echo $((first + 1)) | note firsts
    value "$report" check | note checks
    value "$report" faults | note faults
    value "$report" shrink_runs | note runs
    grep -A1 '"share": {' "$report" | grep -m1 '"failed"' | tr -dc '0-9\n' | note shares
    awk '/"shrinking":/ { s = $2 } /"amplifying":/ { a = $2 } END { printf "%.1f\n", s + a }' "$report" | note times
    [ "$real" = 0 ] || reproduce "$directory" | note reals
  done
  local seen shown=– walked
  walked=$(walks_of "$specimen")
  seen=$(median <"$work/firsts")
  [ "$seen" -le "$seeds" ] || seen=">$seeds"
  [ "$real" = 0 ] || [ "$found" = 0 ] || shown="$(wc -l <"$work/reals") of $found, $(median <"$work/reals")"
  printf '| %s | %s | %s of %s | %s | %s | %s | %s | %s | %s | %s |\n' "$specimen" "$seen" "$found" "$searches" \
    "$(sort -u "$work/checks" | paste -sd' ' | sed 's/ /, /g; s/^$/–/')" "$(median <"$work/faults")" "$(median <"$work/runs")" \
    "$(median <"$work/shares")" "$(median <"$work/times")" "$shown" "$walked"
}

# What all minimal plans have in common.
summary() {
  local plans few
  plans=$(wc -l <"$work/all-faults")
  few=$(awk '$1 <= 3' "$work/all-faults" | wc -l)
  [ "$plans" != 0 ] || return 0
  echo
  echo "Of $plans minimal plans, $few have three fault steps or fewer. Shrinking and amplifying took" \
    "$(median <"$work/all-times") s at the median."
  [ "$real" = 0 ] || echo "$(wc -l <"$work/all-reals") of them showed the same on real processes within $real runs."
}

bad=0
{
  echo "# How soon the search finds a broken node"
  echo
  echo "\`scripts/explore-table.sh\`: $searches searches of at most $seeds plans each, in the simulator; medians (the upper one)."
  echo "*Plans*: until the first that violates anything. *Faults*: fault steps left of the minimal plan."
  echo "*Runs*: trials that shrinking took. *Fails*: under so many of 100 seeds that took no part, after amplification."
  echo "*Seconds*: shrinking and amplifying, on the host of this table (load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors)."
  echo "*Real*: how many of the minimal plans showed the same on real processes, and after how many runs."
  echo "*Walks*: untimed walks of 6000 steps (\`chaos walk\`) until the first that breaks a promise; no plan, no clock."
  echo
  echo "| specimen | plans | found | violated | faults | runs | fails | seconds | real | walks |"
  echo "|---|---|---|---|---|---|---|---|---|---|"
} >"$work/table"
for specimen in "${specimens[@]}" none; do
  row "$specimen" | tee "$work/row"
  cat "$work/row" >>"$work/table"
  now=$(cut -d'|' -f3 "$work/row" | tr -d ' ') walked=$(cut -d'|' -f11 "$work/row" | tr -d ' ')
  before=$(grep -s "^| $specimen |" "$out" | cut -d'|' -f3 | tr -d ' ' || true)
  if [ "$specimen" = none ]; then
    [[ $now == ">"* && $walked == ">"* ]] || { echo "the sound node was convicted" >&2 && bad=1; }
  elif [[ -n $before && $before != ">"* ]]; then
    if [[ $now == ">"* ]] || { [ "$now" -gt $((3 * before)) ] && [ "$now" -gt $((before + 10)) ]; }; then
      echo "$specimen: $now plans, where it took $before" >&2 && bad=1
    fi
  fi
done
summary | tee -a "$work/table"
if [ "$bad" = 0 ]; then
  mkdir -p "$(dirname "$out")" && cp "$work/table" "$out"
fi
exit "$bad"
