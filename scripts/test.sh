#!/usr/bin/env bash
# All tests, those in a browser too. Installs Chromium first if there is none and this may be done: as root, from the
# distribution's own packages. Otherwise the tests say which of them were skipped.
#
#   scripts/test.sh                    everything
#   scripts/test.sh -p chaos-report    whatever `cargo test` understands, in place of the whole workspace
set -euo pipefail
cd "$(dirname "$0")/.."

has_chromium() {
  [ -n "${CHAOS_CHROMIUM:-}" ] || command -v chromium || command -v chromium-browser || command -v google-chrome ||
    command -v google-chrome-stable
} >/dev/null

install_chromium() {
  if command -v apt-get >/dev/null; then
    timeout 300 apt-get update -q && DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -qy --no-install-recommends chromium fonts-dejavu-core
  elif command -v dnf >/dev/null; then
    dnf install -qy chromium
  elif command -v apk >/dev/null; then
    apk add --quiet chromium font-dejavu
  elif command -v pacman >/dev/null; then
    pacman -Sy --noconfirm --quiet chromium
  else
    return 1
  fi
} >&2

if ! has_chromium; then
  if [ "$(id -u)" -eq 0 ]; then
    echo "scripts/test.sh: installing Chromium for the tests of the HTML report" >&2
    install_chromium || echo "scripts/test.sh: Chromium can't be installed here; the browser tests will be SKIPPED" >&2
  else
    echo "scripts/test.sh: no Chromium; the browser tests will be SKIPPED (install it, or name it by CHAOS_CHROMIUM)" >&2
  fi
fi

# The workspace, unless the arguments choose packages themselves.
for argument in "$@"; do
  case $argument in
    -p | -p?* | --package | --package=*) exec cargo test --locked "$@" ;;
    --) break ;;
  esac
done
[ $# -eq 0 ] || exec cargo test --workspace --locked "$@"

# Fuzzing the checkers takes a processor for minutes; most other tests wait for processes. So both go on at once, the fuzz behind.
cargo test --workspace --locked --no-run
log=$(mktemp)
# A process group of its own, which ends as a whole when this script does.
set -m
CHAOS_FUZZ=${CHAOS_FUZZ:-100000} nice -n 19 cargo test --workspace --locked --test fuzz >"$log" 2>&1 &
fuzz=$!
set +m
trap 'kill -- "-$fuzz" 2>/dev/null || true; rm -f "$log"' EXIT
CHAOS_FUZZ=1000 cargo test --workspace --locked
code=0
wait "$fuzz" || code=$?
cat "$log"
exit "$code"
