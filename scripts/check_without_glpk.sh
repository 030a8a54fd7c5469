#!/usr/bin/env bash
# A moesim without GLPK is built, places by its heuristics, and says what it lacks: scripts/check_without_glpk.sh [BUILD]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:-build-without-glpk}

# The options of the build before it, so that ccache has all but the policies.
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMOESIM_WERROR=ON -DMOESIM_GLPK=OFF -DMOESIM_TESTS=OFF \
  >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
cmake --build "$build" --target moesim >>"$build.log" 2>&1 || { tail -30 "$build.log"; exit 1; }
rm "$build.log"
answer=$("$build/moesim" place --problem tests/data/placement_problem.json \
  --policy '{"policy": "ilp_balance", "gap": "0%", "columns_max": 100000}')
if [[ $answer != *"built without GLPK (MOESIM_GLPK)"* ]]; then
  printf 'It does not say that GLPK is missing:\n%s\n' "$answer"
  exit 1
fi
