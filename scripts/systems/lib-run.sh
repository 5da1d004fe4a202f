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

# What clients do and what is checked where it isn't the usual.
peculiar() {
  case $1 in
    # A queue and a log have no registers.
    rabbitmq | kafka*) printf '%s\n' --set 'clients=[set]' ;;
    # Nothing to write to; who stands for election is watched.
    curator | keepalived) printf '%s\n' --set 'checks=[promised]' ;;
    # It promises nothing, but a holder that can be reached again should notice that it has lost the lease.
    kubernetes) printf '%s\n' --set 'checks=[no-stale-leader: { within: 30s }]' ;;
  esac
}
