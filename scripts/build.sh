#!/usr/bin/env bash
# Configures and builds a preset of CMakePresets.json: scripts/build.sh PRESET [CMAKE_OPTION]...
# Runs as many compilers at once as there are processors and 1.5 GiB of memory for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || echo 4194304)
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)  # of the container, in bytes
if [[ $limit != max && $((limit / 1024)) -lt $memory_kib ]]; then memory_kib=$((limit / 1024)); fi
jobs=$((memory_kib / 1572864))
if ((jobs > $(nproc))); then jobs=$(nproc); fi
if ((jobs < 1)); then jobs=1; fi

cmake --preset "$preset" "${@:2}"
cmake --build --preset "$preset" --parallel "$jobs"
