// Variants of one scenario, run side by side.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sim/run/runner.h"

namespace moesim {

// One way to set what varies: the assignments "/pointer=value" of one combination.
struct Variant {
  std::vector<std::string> settings;
  std::string label;  // the values alone, as a column's head: "greedy, 4"
};

// "/placement=contiguous,greedy" and "/steps=1,2" make four variants, the last setting varying fastest. Commas inside
// JSON brackets, braces and strings belong to the value. A ConfigError says what is wrong with a text.
std::vector<Variant> variants_of(const std::vector<std::string>& vary);

struct CompareControl {
  const std::atomic<bool>* stop = nullptr;
  std::vector<Progress>* progress = nullptr;  // one a variant
  int32_t threads = 1;
  std::vector<RunRecord>* records = nullptr;  // one a variant
};

// Runs all variants, each on one thread; the results are in the order of variants and do not depend on the number of
// threads. Every variant is loaded and checked before the first one runs. Variants that were not begun when a stop
// was asked for come back without steps.
std::vector<Results> run_variants(const std::vector<LoadedScenario>& scenarios, const CompareControl& control);

}  // namespace moesim
