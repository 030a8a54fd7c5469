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

// Counts pairs by sorting them, which needs memory for the tokens and not for experts squared.
Affinity affinity_to_next(const RoutingTrace& trace, int64_t layer) {
  CHECK(layer >= 0 && layer + 1 < trace.layers);
  std::vector<uint32_t> pairs;
  std::vector<int64_t> here(size_t(trace.experts), 0);
  std::vector<int64_t> next(size_t(trace.experts), 0);
  for (int64_t token = 0; token < trace.tokens; ++token) {
    const uint16_t from = choices(trace, token, layer)[0];
    const uint16_t to = choices(trace, token, layer + 1)[0];
    if (from == kDropped || to == kDropped) continue;
    pairs.push_back(uint32_t(from) << 16 | to);
    ++here[from];
    ++next[to];
  }
  if (pairs.empty()) return {};
  std::sort(pairs.begin(), pairs.end());

  double joint_parts = 0;
  int64_t followed = 0;  // tokens that go where most go
  int64_t most = 0;      // of the first expert at hand
  for (size_t i = 0; i < pairs.size();) {
    const size_t end = size_t(std::upper_bound(pairs.begin() + ptrdiff_t(i), pairs.end(), pairs[i]) - pairs.begin());
    if (i > 0 && pairs[i] >> 16 != pairs[i - 1] >> 16) followed += std::exchange(most, 0);
    most = std::max(most, int64_t(end - i));
    joint_parts += n_log2_n(int64_t(end - i));
    i = end;
  }
  followed += most;

  const double count = double(pairs.size());
  const double joint_entropy = log2_of(count) - joint_parts / count;
  const double information = entropy_bits(here) + entropy_bits(next) - joint_entropy;
  return {int64_t(pairs.size()), std::max(0.0, information), double(followed) / count};
}

std::vector<DomainSkew> domain_skews(const RoutingTrace& trace) {
  if (trace.domain.empty()) return {};
  std::vector<int32_t> present = trace.domain;
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  const auto place_of = [&](int32_t domain) {
    return size_t(std::lower_bound(present.begin(), present.end(), domain) - present.begin());
  };

  std::vector<DomainSkew> skews;
  for (const int32_t domain : present) skews.push_back({domain, 0, 0, 0});
  for (const int32_t domain : trace.domain) ++skews[place_of(domain)].tokens;
  for (int64_t layer = 0; layer < trace.layers; ++layer) {
    std::vector<std::vector<int64_t>> load(present.size(), std::vector<int64_t>(size_t(trace.experts), 0));
    for (int64_t token = 0; token < trace.tokens; ++token)
      add_choices(trace, token, layer, load[place_of(trace.domain[size_t(token)])]);
    for (size_t i = 0; i < skews.size(); ++i) {
      const double skew = max_over_mean(load[i]);
      skews[i].mean += skew / double(trace.layers);
      skews[i].max = std::max(skews[i].max, skew);
    }
  }
  return skews;
}

}  // namespace moesim
