// What a trace says about its experts: how unevenly they are loaded, and how much a layer's choice tells of the next.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

struct TokenRange {
  int64_t first = 0;
  int64_t count = 0;
};
inline TokenRange all_tokens(const RoutingTrace& trace) { return {0, trace.tokens}; }

// How often each expert of the layer was chosen; dropped choices count for none.
std::vector<int64_t> expert_load(const RoutingTrace& trace, int64_t layer, TokenRange range);

// How often each expert was chosen by the tokens of each rank; rank 0 holds those of a trace without ranks.
struct RankLoad {
  int64_t layers = 0;
  int64_t experts = 0;
  std::vector<std::vector<int64_t>> counts;  // [rank][layer * (experts + 1) + expert]; the last expert is kDropped

  int64_t at(int64_t rank, int64_t layer, int64_t expert) const {
    return counts[size_t(rank)][size_t(layer * (experts + 1) + expert)];
  }
};

// Adds the choices of a block of a trace. A rank above 65,535 is a fault of the trace: std::invalid_argument.
void add_load(const RoutingTrace& block, RankLoad& load);

// All of them are 0 for a load that is all zero.
double max_over_mean(std::span<const int64_t> load);
double gini(std::span<const int64_t> load);          // 0: all equal; (n - 1) / n: one has everything
double entropy_bits(std::span<const int64_t> load);  // log2(n): all equal; 0: one has everything

// The load of contiguous groups of experts, as expert parallelism without a placement has them. The groups must
// divide the experts.
std::vector<int64_t> contiguous_load(std::span<const int64_t> load, int64_t groups);

// Of the first choices (of the largest gate weight) in a layer and in the next one.
struct Affinity {
  int64_t pairs = 0;                   // tokens with a first choice in both layers
  double mutual_information_bits = 0;  // the plug-in estimate: (E - 1)^2 / (2 pairs ln 2) too high for independent ones
  double concentration = 0;            // the share of tokens that go where most with the same first choice go
};
// From how often each pair came: [expert * experts + expert of the next layer].
Affinity affinity_of_pairs(std::span<const int64_t> pairs, int64_t experts);

}  // namespace moesim
