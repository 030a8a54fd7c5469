// Scores of all experts, drawn so that the choice of the best k is as SyntheticRouter's choice of k is.
#pragma once

#include <cstdint>
#include <vector>

#include "traces/synthetic.h"

namespace moesim {

class DrawnScores {
 public:
  // The shape's top_k says nothing here.
  DrawnScores(const SyntheticRouting& options, RoutingShape shape, uint64_t seed);

  // A window of tokens as a trace of all experts by falling score; the scores of a row add up to 1. An expert's score
  // is its weight over an exponential variate: the order of such quotients is that of draws without replacement.
  RoutingTrace draw(int64_t first_token, int64_t tokens) const;

 private:
  RoutingShape shape_;
  uint64_t seed_;
  std::vector<std::vector<double>> weights_;  // [layer][expert]
};

}  // namespace moesim
