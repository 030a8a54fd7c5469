#!/usr/bin/env bash
# From a fresh clone to the first answer: installs what is missing, builds, and compares expert placements on the
# sample trace in prefill and in decode. Takes no questions, and may be run again: it then only does what is left.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

placements=contiguous,round_robin,random,greedy
out=out/quickstart

say() { printf '\n== %s\n' "$*"; }

# compare PHASE: the main job, one table; the files of each variant go below $out/PHASE.
compare() {
  local command=(build/moesim compare "docs/scenarios/quickstart-$1.json" --vary "/placement=$placements" --out "$out/$1")
  say "${command[*]}"
  "${command[@]}"
}

say "Installing what is missing"
scripts/packages.sh build
say "Building moesim in build/"
scripts/build.sh release -DMOESIM_TESTS=OFF

compare prefill
compare decode

cat <<END

== What you have just seen
OLMoE-1B-7B on 2 nodes of 8 H100 behind a leaf-spine fabric, one column a placement of its 64 experts. The routing is
genuinely learned, but by a smaller model with OLMoE's 16 layers, 64 experts and top-8: the sample trace is not OLMoE's own.
Each table says where the time of a step goes and what bounds it; differences are to the first column. In prefill the 2:1
oversubscribed fabric is the bottleneck, so evening out the experts' load (GPU load max/mean) changes little; in decode
attention reads its KV cache most of the time.

Files:      $out/prefill and $out/decode: comparison.json, and for each placement (variant-0, ...) results.json, tables (CSV)
            and a timeline that opens in https://ui.perfetto.dev
Scenarios:  docs/scenarios/quickstart-prefill.json and quickstart-decode.json: change one and run build/moesim again
Next:       build/moesim --help, README.md, scripts/test.sh
END
