#include "traces/token_table.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr size_t kCountsMax = size_t{1} << 23;  // about 400 MiB

}  // namespace

TokenTable::TokenTable(int64_t layers, int64_t experts)
    : layers_(layers),
      popularity_(size_t(layers), std::vector<int64_t>(size_t(experts), 0)),
      popular_(size_t(layers), kDropped),
      scores_(size_t(layers)) {}

void TokenTable::learn(const RoutingTrace& block, int64_t token) {
  const auto found = row_of_.find(block.token[size_t(token)]);
  if (found == row_of_.end() && counts_.size() + size_t(layers_) > kCountsMax) is_full_ = true;
  const bool skipped = found == row_of_.end() && is_full_;
  const uint64_t row = skipped ? 0
                       : found != row_of_.end()
                           ? found->second
                           : row_of_.try_emplace(block.token[size_t(token)], row_of_.size()).first->second;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    const uint16_t first = choices(block, token, layer)[0];
    if (first == kDropped) continue;
    ++popularity_[size_t(layer)][first];
    if (!skipped) ++counts_[(row * uint64_t(layers_) + uint64_t(layer)) << 16 | first];
  }
}

void TokenTable::finish_learning() {
  best_.assign(row_of_.size() * size_t(layers_), kDropped);
  std::vector<uint32_t> most(best_.size(), 0);
  for (const auto& [key, count] : counts_) {  // in any order: the most, and of equals the lowest, is the same
    const size_t cell = size_t(key >> 16);
    const uint16_t expert = uint16_t(key & 0xFFFF);
    if (count < most[cell] || (count == most[cell] && expert > best_[cell])) continue;
    most[cell] = count;
    best_[cell] = expert;
  }
  counts_.clear();
  for (size_t layer = 0; layer < popular_.size(); ++layer) {
    const auto& counts = popularity_[layer];
    popular_[layer] = uint16_t(std::max_element(counts.begin(), counts.end()) - counts.begin());
  }
}

void TokenTable::test(const RoutingTrace& block, int64_t token) {
  const auto found = row_of_.find(block.token[size_t(token)]);
  ++tested_;
  if (found != row_of_.end()) ++seen_;
  for (int64_t layer = 0; layer < layers_; ++layer) {
    const uint16_t first = choices(block, token, layer)[0];
    if (first == kDropped) continue;
    uint16_t predicted = popular_[size_t(layer)];
    if (found != row_of_.end())
      if (const uint16_t best = best_[size_t(found->second) * size_t(layers_) + size_t(layer)]; best != kDropped)
        predicted = best;
    Score& score = scores_[size_t(layer)];
    ++score.tested;
    score.right += predicted == first;
    score.right_by_popularity += popular_[size_t(layer)] == first;
  }
}

}  // namespace moesim
