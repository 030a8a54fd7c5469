#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy on the sources that compute: scripts/tidy.sh BUILD
# Commands, settings and catalogues are left out, for time: they are the slowest to analyse.
# BUILD is one that clang configured, since its flags are read from there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$1/tidy.log
if ! run-clang-tidy-19 -quiet -p "$1" -j "$(nproc)" "$PWD/(sim/(core|net|work|comm|moe|policy|run)|topologies|traces)/.*\.cpp$" >"$log" 2>&1; then
  grep -vE '^\[ *[0-9]+/[0-9]+\]|warnings? (generated|treated)|^clang-tidy-19' "$log"
  exit 1
fi
grep -c '^\[' "$log" | sed 's/$/ files, nothing found/'
