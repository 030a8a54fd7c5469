// The suites that use all GPUs at once, and what they share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "validation/bench/bench.h"

namespace moesim::bench {

void run_collectives(Bench& bench);
void run_interference(Bench& bench);
void run_moe_layer(Bench& bench);

// Whether there is time for one more case. All ranks get the answer of the first, since a case that only some of
// them begin would wait for ever.
bool go_on(const Bench& bench);

inline const char* name_of(Launch launch) { return launch == Launch::graph ? "graph" : "eager"; }

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// A record that says why a suite, or a part of it, did not run.
void record_skipped(Bench& bench, const std::string& suite, const std::string& why);

// A record that a result was compared with the reference; throws where the error is over the bound.
void record_check(Bench& bench, const std::string& kernel, const std::string& shape, double error, double bound);

}  // namespace moesim::bench
