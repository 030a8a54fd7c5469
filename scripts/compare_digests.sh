#!/usr/bin/env bash
# Shows that two builds give the same bytes: scripts/compare_digests.sh BUILD_A BUILD_B [SCENARIO]...
# Runs both moesim programs on each scenario (all of docs/scenarios and tests/golden/scenarios unless named) and compares what
# they print, which holds every number of the results and the digest of the whole run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

a=$1/moesim b=$2/moesim
scenarios=("${@:3}")
if ((${#scenarios[@]} == 0)); then
  mapfile -t scenarios < <(find docs/scenarios tests/golden/scenarios -name '*.json' -exec grep -l '"cluster"' {} + 2>/dev/null | sort)
fi
if ((${#scenarios[@]} == 0)); then echo "no scenario to compare" >&2; exit 1; fi

kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
differ=0
for scenario in "${scenarios[@]}"; do
  "$a" run "$scenario" --format json >"$kept/a.json" &
  "$b" run "$scenario" --format json >"$kept/b.json"
  wait $!
  if diff -u "$kept/a.json" "$kept/b.json" >"$kept/diff"; then
    echo "same  $scenario  $(sha256sum <"$kept/a.json" | cut -c1-16)"
  else
    echo "DIFFERENT  $scenario ($a, $b)"
    head -40 "$kept/diff"
    differ=1
  fi
done
exit $differ
