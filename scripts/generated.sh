#!/usr/bin/env bash
# The files of the repository that moesim writes about itself: scripts/generated.sh [--write] [BUILD]
# Without --write it says which of them differ from what the program prints, and fails if one does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

write=0
if [[ ${1:-} == --write ]]; then write=1; shift; fi
moesim=${1:-build}/moesim
stale=0

# generated FILE ARGUMENT...: the file holds what `moesim ARGUMENT...` prints.
generated() {
  if ((write)); then
    "$moesim" "${@:2}" >"$1"
  elif ! "$moesim" "${@:2}" | diff -u "$1" - | head -20; then
    echo "$1 is not what 'moesim ${*:2}' prints; run scripts/generated.sh --write"
    stale=1
  fi
}

generated docs/scenario.schema.json schema
generated docs/scenario.md schema scenario --markdown
generated docs/results.schema.json schema results
generated docs/moesim.1 man

# picture FILE MADE: the file is what the commands below make.
pictures=$(mktemp -d)
trap 'rm -rf "$pictures"' EXIT
"$moesim" compare docs/scenarios/quickstart-prefill.json --vary /placement=contiguous,greedy --out "$pictures" >/dev/null
picture() {
  if ((write)); then
    cp "$pictures/$2" "$1"
  elif ! cmp -s "$1" "$pictures/$2"; then
    echo "$1 is not what moesim makes; run scripts/generated.sh --write"
    stale=1
  fi
}
picture docs/fabric.svg variant-0/fabric.svg
picture docs/fabric-compare.svg fabric-compare.svg
"$moesim" calibrate tests/golden/calibration/raw.json -o "$pictures/profile.json" --format json >"$pictures/errors.json"
picture tests/golden/calibration/profile.json profile.json
picture tests/golden/calibration/errors.json errors.json

# The table of published results is checked by a test of its own; its rows that need data keep the line they have.
if ((write)); then scripts/papers.py "$moesim" --write >/dev/null; fi
exit $stale
