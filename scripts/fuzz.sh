#!/usr/bin/env bash
# Runs every fuzz target of a build for an equal share of the time: scripts/fuzz.sh BUILD [SECONDS]
# What it learns stays in BUILD/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$1 seconds=${2:-60}
targets=$(find "$build" -maxdepth 2 -name 'moesim_fuzz_*' -type f -executable | sort)
count=$(wc -w <<<"$targets")
if ((count == 0)); then echo "no fuzz target in $build" >&2; exit 1; fi

for target in $targets; do
  name=${target##*moesim_fuzz_}
  corpus=$build/corpus/$name
  mkdir -p "$corpus"
  inputs=("$corpus")
  case $name in
    scenario) inputs+=(docs/scenarios tests/golden/scenarios tests/golden/bad) ;;
    flow) inputs+=(tests/golden/flows) ;;
  esac
  echo "-- $name, $((seconds / count)) s"
  log=$build/fuzz_$name.log
  "$target" -max_total_time=$((seconds / count)) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$build/fuzz_${name}_" "${inputs[@]}" >"$log" 2>&1 || { cat "$log"; exit 1; }
  grep -E 'number_of_executed_units|^Done' "$log" || true
done
