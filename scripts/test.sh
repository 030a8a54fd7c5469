#!/usr/bin/env bash
# Installs what is missing, builds Release in build/ and runs every test: scripts/test.sh [--full]
# --full, which is what continuous integration runs, adds: warnings as errors, clang 19 Debug with sanitizers and its
# run of the tests, the digests of the two builds, fuzzing, clang-tidy, and the checks of scripts and written files.
# Goes on after a failure, so that one run shows them all; what is printed last says whether everything passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

full=0
case ${1:-} in
  '') ;;
  --full) full=1 ;;
  *) echo "usage: scripts/test.sh [--full]" >&2; exit 2 ;;
esac

failed=()

# step NAME COMMAND...: says what runs and how long it took, and remembers a failure.
step() {
  local start=$SECONDS status=0
  printf '\n== %s\n' "$1"
  "${@:2}" || status=$?
  if ((status != 0)); then failed+=("$1"); fi
  printf '== %s: %s after %d s\n' "$1" "$( ((status == 0)) && echo passed || echo FAILED)" $((SECONDS - start))
  return $status
}

run_tests() { ctest --test-dir "$1" --output-on-failure --no-tests=error --parallel "$(nproc)"; }

# The leak sanitizer stops the other threads with ptrace, which many containers forbid; the rest works without it.
run_tests_sanitized() {
  local options=detect_leaks=1
  if ! leak_sanitizer_works; then
    echo "The leak sanitizer does not work here (ptrace is forbidden): leaks are not looked for."
    options=detect_leaks=0
  fi
  ASAN_OPTIONS=$options UBSAN_OPTIONS=print_stacktrace=1 run_tests build-clang
}

leak_sanitizer_works() {
  clang++-19 -fsanitize=address -x c++ - -o build-clang/leak_probe <<<'int main() {}' &&
    ASAN_OPTIONS=detect_leaks=1 build-clang/leak_probe >/dev/null 2>&1
}

check_examples() {
  local found=0 schema=docs/scenario.schema.json python=python3
  if [[ -x /usr/bin/python3 ]]; then python=/usr/bin/python3; fi  # the one that packages are installed for
  for scenario in docs/scenarios/*.json; do
    "$python" -m jsonschema -i "$scenario" "$schema" || found=1
  done
  return $found
}

full_steps() {
  step "shell scripts" shellcheck scripts/*.sh .ci/run || true
  step "written files are up to date" scripts/generated.sh build || true
  step "the example scenarios follow the schema" check_examples || true
  step "a build without GLPK says so" scripts/check_without_glpk.sh || true
  step "measurements make the profiles that are committed" scripts/check_profiles.py build/moesim || true
  if step "build with clang 19 and sanitizers" scripts/build.sh clang-asan; then
    step "tests under the sanitizers" run_tests_sanitized || true
    step "both builds give the same bytes" scripts/compare_digests.sh build build-clang || true
    step "fuzzing" scripts/fuzz.sh build-clang 60 || true
    step "clang-tidy" scripts/tidy.sh build-clang || true
  fi
}

step "packages" scripts/packages.sh "$( ((full)) && echo full || echo tests)"
if ((full)); then
  step "build" scripts/build.sh release -DMOESIM_TESTS=ON -DMOESIM_WERROR=ON
  full_steps
else
  step "build" scripts/build.sh release -DMOESIM_TESTS=ON
fi

printf '\n== tests (style and layer checks among them)\n'
run_tests build || failed+=("tests")
if ((${#failed[@]} > 0)); then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
