#include "traces/synthesis_fit.h"

#include <array>

#include "traces/trace_input.h"

namespace moesim {
namespace {

// Longer traces are judged on their first tokens; whole documents need not be.
constexpr int64_t kJudgedTokensMax = int64_t{1} << 17;
constexpr SynthesisBars kWithSomeToSpare{0.009, 0.05, 0.02};

constexpr std::array<SynthesisRates, 7> kRates{{{0.25, 0.03125},
                                                {0.125, 0.015625},
                                                {0.0625, 0.0078125},
                                                {0.03125, 0.00390625},
                                                {0.015625, 0.001953125},
                                                {0.0078125, 0.0009765625},
                                                {0, 0}}};

}  // namespace

RoutingTrace synthesise(const TraceTemplates& templates, const SynthesisOptions& options) {
  TraceSynthesizer synthesizer(templates, options);
  RoutingTrace trace = synthesizer.head().about;
  RoutingTrace block = trace;
  synthesizer.next_block(options.tokens, block);
  trace.tokens = block.tokens;
  trace.ids = std::move(block.ids);
  for (size_t column = 0; column < kTraceColumns; ++column)
    *columns(trace)[column].values = std::move(*columns(block)[column].values);
  return trace;
}

bool meets(const TraceDifference& difference, const SynthesisBars& bars) {
  return difference.load <= bars.load && difference.information <= bars.information &&
         difference.lru_by_layer <= bars.lru && difference.lru_of_all <= bars.lru;
}

std::vector<SynthesisTry> fit_rates(const TraceTemplates& templates, uint64_t seed) {
  const RoutingTrace& rows = templates.rows;
  const int64_t tokens = std::min(rows.tokens, kJudgedTokensMax);
  const TraceFingerprint recorded = trace_fingerprint(tokens == rows.tokens ? rows : tokens_of(rows, {0, tokens}));
  std::vector<SynthesisTry> tries;
  for (const SynthesisRates& rates : kRates) {
    RoutingTrace made = synthesise(templates, {{rows.layers, rows.experts, rows.top_k}, rows.tokens, seed, rates});
    if (tokens < made.tokens) made = tokens_of(made, {0, tokens});
    tries.push_back({rates, trace_difference(recorded, trace_fingerprint(made))});
    if (meets(tries.back().difference, kWithSomeToSpare)) break;
  }
  return tries;
}

}  // namespace moesim
