#include "traces/statistics.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

double log2_of(double x) { return exact_log(x) / exact_log(2.0); }

// n log2 n, the part of an entropy that a count contributes.
double n_log2_n(int64_t count) { return count == 0 ? 0 : double(count) * log2_of(double(count)); }

constexpr size_t kRankMax = 65535;

int64_t sum(std::span<const int64_t> load) { return std::accumulate(load.begin(), load.end(), int64_t{0}); }

void add_choices(const RoutingTrace& trace, int64_t token, int64_t layer, std::vector<int64_t>& load) {
  for (const uint16_t expert : choices(trace, token, layer))
    if (expert != kDropped) ++load[expert];
}

}  // namespace

std::vector<int64_t> expert_load(const RoutingTrace& trace, int64_t layer, TokenRange range) {
  CHECK(range.first >= 0 && range.count >= 0 && range.first + range.count <= trace.tokens);
  std::vector<int64_t> load(size_t(trace.experts), 0);
  for (int64_t i = 0; i < range.count; ++i) add_choices(trace, range.first + i, layer, load);
  return load;
}

void add_load(const RoutingTrace& block, RankLoad& load) {
  load.layers = block.layers;
  load.experts = block.experts;
  const size_t cells = size_t(block.layers * (block.experts + 1));
  const uint16_t none = uint16_t(block.experts);  // where kDropped counts, without a branch
  const size_t top_k = size_t(block.top_k);
  for (int64_t token = 0; token < block.tokens; ++token) {
    const size_t rank = block.rank.empty() ? 0 : size_t(block.rank[size_t(token)]);
    if (rank > kRankMax) throw std::invalid_argument(fmt::format("/rank: token {} is on rank {}", token, rank));
    if (rank >= load.counts.size()) load.counts.resize(rank + 1);
    if (load.counts[rank].empty()) load.counts[rank].resize(cells);
    int64_t* cell = load.counts[rank].data();
    const uint16_t* choice = token_row(block, token).data();
    for (int64_t layer = 0; layer < block.layers; ++layer, cell += block.experts + 1, choice += top_k)
      for (size_t k = 0; k < top_k; ++k) ++cell[std::min(choice[k], none)];
  }
}

double max_over_mean(std::span<const int64_t> load) {
  const int64_t total = sum(load);
  if (total == 0) return 0;
  return double(*std::max_element(load.begin(), load.end())) * double(load.size()) / double(total);
}

// With the loads sorted upward and numbered from 1: sum((2 i - n - 1) load_i) / (n sum(load_i)).
double gini(std::span<const int64_t> load) {
  const int64_t total = sum(load);
  if (total == 0) return 0;
  std::vector<int64_t> rising(load.begin(), load.end());
  std::sort(rising.begin(), rising.end());
  double weighted = 0;
  for (size_t i = 0; i < rising.size(); ++i)
    weighted += (2 * double(i + 1) - double(rising.size()) - 1) * double(rising[i]);
  return weighted / (double(rising.size()) * double(total));
}

double entropy_bits(std::span<const int64_t> load) {
  const int64_t total = sum(load);
  if (total == 0) return 0;
  double parts = 0;
  for (const int64_t count : load) parts += n_log2_n(count);
  return std::max(0.0, log2_of(double(total)) - parts / double(total));
}

std::vector<int64_t> contiguous_load(std::span<const int64_t> load, int64_t groups) {
  CHECK(groups > 0 && load.size() % size_t(groups) == 0);
  std::vector<int64_t> grouped(size_t(groups), 0);
  for (size_t expert = 0; expert < load.size(); ++expert)
    grouped[expert / (load.size() / size_t(groups))] += load[expert];
  return grouped;
}

Affinity affinity_of_pairs(std::span<const int64_t> pairs, int64_t experts) {
  CHECK(pairs.size() == size_t(experts) * size_t(experts));
  std::vector<int64_t> here(size_t(experts), 0);
  std::vector<int64_t> next(size_t(experts), 0);
  int64_t followed = 0;
  for (size_t from = 0; from < size_t(experts); ++from) {
    int64_t most = 0;
    for (size_t to = 0; to < size_t(experts); ++to) {
      const int64_t count = pairs[from * size_t(experts) + to];
      here[from] += count;
      next[to] += count;
      most = std::max(most, count);
    }
    followed += most;
  }
  const int64_t total = sum(here);
  if (total == 0) return {};
  const double information = entropy_bits(here) + entropy_bits(next) - entropy_bits(pairs);
  return {total, std::max(0.0, information), double(followed) / double(total)};
}

}  // namespace moesim
