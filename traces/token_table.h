// How well a token's id alone predicts its first choice in each layer.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

// Learns how often each token id went first to each expert, then predicts the most frequent one (the lowest of equals),
// or for an id that it has never seen the layer's most frequent first choice.
class TokenTable {
 public:
  TokenTable(int64_t layers, int64_t experts);

  void learn(const RoutingTrace& block, int64_t token);
  void finish_learning();
  void test(const RoutingTrace& block, int64_t token);

  struct Score {
    int64_t tested = 0;
    int64_t right = 0;
    int64_t right_by_popularity = 0;  // if the most frequent first choice had been predicted for all
  };
  const Score& score(int64_t layer) const { return scores_[size_t(layer)]; }
  int64_t tested_ids() const { return tested_; }
  int64_t seen_ids() const { return seen_; }  // of those tested, ids that had been learnt
  bool is_full() const { return is_full_; }   // ids beyond the table's size were not learnt

 private:
  int64_t layers_;
  std::unordered_map<int32_t, uint32_t> row_of_;   // by token id; never iterated
  std::unordered_map<uint64_t, uint32_t> counts_;  // by (row, layer, expert); only its maxima are taken
  std::vector<std::vector<int64_t>> popularity_;   // [layer][expert]
  std::vector<uint16_t> best_;                     // [row][layer]; kDropped where never chosen
  std::vector<uint16_t> popular_;                  // [layer]
  std::vector<Score> scores_;
  int64_t tested_ = 0;
  int64_t seen_ = 0;
  bool is_full_ = false;
};

}  // namespace moesim
