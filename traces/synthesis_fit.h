// How far a synthetic trace may leave the recorded text without leaving its statistics.
#pragma once

#include <cstdint>
#include <vector>

#include "traces/trace_comparison.h"
#include "traces/trace_synthesis.h"

namespace moesim {

// As many tokens as wanted of a synthetic trace, held in memory.
RoutingTrace synthesise(const TraceTemplates& templates, const SynthesisOptions& options);

// Differences that a synthetic trace may have.
struct SynthesisBars {
  double load = 0.01;
  double information = 0.10;
  double lru = 0.03;
};
bool meets(const TraceDifference& difference, const SynthesisBars& bars);

struct SynthesisTry {
  SynthesisRates rates;
  TraceDifference difference;
};

// Rates from the most novel to a plain repetition, tried until one meets the bars with a part of them to spare; the
// last one tried is taken. Depends on the templates and the seed alone.
std::vector<SynthesisTry> fit_rates(const TraceTemplates& templates, uint64_t seed);

}  // namespace moesim
