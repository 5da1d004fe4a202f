# shellcheck shell=bash
# What the scripts that run every system have in common. To be sourced from the project's root.

# The names of all definitions.
known_systems() {
  local file
  for file in workloads/systems/*.yaml; do
    file=${file##*/}
    echo "${file%.yaml}"
  done
}

# What clients do and what is checked where it isn't the usual. Whoever was cut off has WITHIN to notice, where that is asked.
peculiar() { # SYSTEM WITHIN
  case $1 in
    # A queue and a log have no registers.
    kafka*) printf '%s\n' --set 'clients=[set]' ;;
    # A final read takes every message of the queue, one after the other.
    rabbitmq) printf '%s\n' --set 'clients=[set: { rate: 40/s }]' ;;
    # Nothing to write to; who stands for election is watched.
    curator | keepalived | mongodb | raft-node | lease | paxos-lease | zab) printf '%s\n' --set 'checks=[promised]' ;;
    # They promise nothing that can be seen, but whoever led should notice, when it is back, that another one does.
    kubernetes | tikv | bully | ring) printf '%s\n' --set "checks=[no-stale-leader: { within: $2 }]" ;;
  esac
}

# The comment at the head of the script that calls this.
head_comment() {
  sed -n '2,/^set -/p' "$0" | sed -e '/^set -/d' -e 's/^# \{0,1\}//'
}

# Sets `chaos` to the program that CHAOS names, or to a release build that is made now.
choose_chaos() {
  chaos=${CHAOS:-target/release/chaos}
  [ -n "${CHAOS:-}" ] || cargo build --quiet --release --locked --bin chaos
}

# Sets `out` to the directory that OUT names, or to one that is removed at the end.
choose_out() {
  out=${OUT:-}
  if [ -z "$out" ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
  fi
  mkdir -p "$out"
}
