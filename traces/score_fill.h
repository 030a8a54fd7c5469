// Scores for experts whose score was not recorded, made up below those that were. What is computed with them is not
// measured, and traces made so say it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "traces/select_experts.h"

namespace moesim {

class ScoreFill {
 public:
  // popularity: how often each expert of the layer was chosen; those not recorded come in an order drawn by it.
  ScoreFill(std::vector<std::vector<int64_t>> popularity, int64_t experts);

  // Appends all experts that are missing in the recorded ones. Where has_scores, together they get what is left to a
  // sum of 1, and none more than the least of the recorded ones; else all scores are made up, recorded ranks first.
  void complete(int64_t layer, bool has_scores, std::vector<ScoredExpert>& sorted, Rng& rng);

 private:
  std::vector<std::vector<double>> weights_;  // [layer][expert]
  std::vector<double> by_rank_;               // falling, their sum 1
  std::vector<uint8_t> present_;
  std::vector<std::pair<double, uint16_t>> missing_;
};

}  // namespace moesim
