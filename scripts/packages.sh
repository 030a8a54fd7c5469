#!/usr/bin/env bash
# The one list of what moesim needs, as Debian 12 packages: scripts/packages.sh build|tests|full
#   build  what a Release build needs
#   tests  also what the tests need
#   full   also the second compiler, the sanitizers and the checkers of scripts/test.sh --full
# Installs only what is missing. What a probe finds counts as present however it came, so that other distributions
# work and a prepared machine needs no root. MOESIM_NO_INSTALL=1 skips everything here.
set -euo pipefail

level=${1:-build}
case $level in build | tests | full) ;; *) echo "usage: scripts/packages.sh build|tests|full" >&2; exit 2 ;; esac
if [[ ${MOESIM_NO_INSTALL:-0} == 1 ]]; then exit 0; fi

missing=()   # without these nothing works
optional=()  # installed along with the others, but never a reason to stop

has() { command -v "$1"; }
compiler() { has "${CXX:-g++}" || has c++ || has clang++; }

# links HEADER LIBRARY: whether a program that includes the header links with the library.
links() {
  printf '#if !__has_include(<%s>)\n#error missing\n#endif\nint main() {}\n' "$1" |
    "$(compiler)" -x c++ - -o /dev/null ${2:+"-l$2"}
}
library() { pkg-config --exists "$1" || links "$2" "${3:-}"; }
hdf5() { library hdf5 hdf5.h hdf5 || has h5cc; }  # some distributions give HDF5 no pkg-config file

eigen() { pkg-config --exists eigen3 || [[ -e /usr/include/eigen3/Eigen/Core ]]; }

# The Python that the system's packages are for, which may not be the first in PATH.
system_python() { if [[ -x /usr/bin/python3 ]]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }

# need PACKAGE PROBE...: the package is missing where the probe fails.
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
want() { "${@:2}" >/dev/null 2>&1 || optional+=("$1"); }

need g++ compiler
need cmake has cmake
need ninja-build has ninja
need pkg-config has pkg-config
want ccache has ccache
need libboost-graph-dev links boost/graph/adjacency_list.hpp
need libboost-program-options-dev links boost/program_options.hpp boost_program_options
need libeigen3-dev eigen
need libfmt-dev library fmt fmt/format.h fmt
need nlohmann-json3-dev library nlohmann_json nlohmann/json.hpp
need libhdf5-dev hdf5
need libzip-dev library libzip zip.h zip
need zlib1g-dev library zlib zlib.h z
need libglpk-dev links glpk.h glpk
need libsleef-dev library sleef sleef.h sleef
need libyaml-cpp-dev pkg-config --exists yaml-cpp

if [[ $level != build ]]; then
  need libgtest-dev library gtest gtest/gtest.h gtest
  need libgmock-dev library gmock gmock/gmock.h gmock
  need libbenchmark-dev library benchmark benchmark/benchmark.h benchmark
  need python3 has python3
  want graphviz has dot
  want coinor-cbc has cbc
  want glpk-utils has glpsol
fi
if [[ $level == full ]]; then
  need git has git
  need clang-19 has clang++-19
  need libclang-rt-19-dev clang++-19 -fsanitize=address,undefined -x c++ - -o /dev/null <<<'int main() {}'
  need clang-format-19 has clang-format-19
  need clang-tidy-19 has clang-tidy-19
  need lld-19 has ld.lld-19
  need hdf5-tools has h5dump
  need python3-jsonschema system_python -c 'import jsonschema'
  need shellcheck has shellcheck
fi

wanted=("${missing[@]}" "${optional[@]}")
if ((${#wanted[@]} == 0)); then exit 0; fi

as_root=(env DEBIAN_FRONTEND=noninteractive)
if ((EUID != 0)); then as_root=(sudo -n "${as_root[@]}"); fi
if has apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
  echo "Installing ${wanted[*]}"
  "${as_root[@]}" apt-get update -q=2
  "${as_root[@]}" apt-get install -q=2 --no-install-recommends "${wanted[@]}"
elif ((${#missing[@]} > 0)); then
  {
    echo "Missing: ${missing[*]}"
    echo "They cannot be installed from here without root. On Debian 12, run:"
    echo "  sudo apt-get update && sudo apt-get install --no-install-recommends ${wanted[*]}"
    echo "On another distribution install what corresponds to them, or set MOESIM_NO_INSTALL=1 to try without."
  } >&2
  exit 1
fi
