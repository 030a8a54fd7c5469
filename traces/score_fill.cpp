#include "traces/score_fill.h"

#include <algorithm>
#include <numeric>

namespace moesim {
namespace {

// The mean softmax score of the r-th choice falls about as r^-1.1 in the recording that the sample is cut from: 0.26,
// 0.099, 0.065, 0.049, 0.039, 0.033, 0.029, 0.026.
constexpr double kRankExponent = 1.1;

}  // namespace

ScoreFill::ScoreFill(std::vector<std::vector<int64_t>> popularity, int64_t experts)
    : by_rank_(zipf_weights(size_t(experts), kRankExponent)), present_(size_t(experts), 0) {
  const double sum = std::accumulate(by_rank_.begin(), by_rank_.end(), 0.0);
  for (double& score : by_rank_) score /= sum;
  for (const std::vector<int64_t>& load : popularity) {
    weights_.emplace_back();
    for (const int64_t count : load) weights_.back().push_back(double(count + 1));
  }
}

void ScoreFill::complete(int64_t layer, bool has_scores, std::vector<ScoredExpert>& sorted, Rng& rng) {
  std::fill(present_.begin(), present_.end(), uint8_t{0});
  double sum = 0;
  for (const ScoredExpert& known : sorted) {
    present_[known.expert] = 1;
    sum += double(known.score);
  }
  missing_.clear();
  for (size_t expert = 0; expert < present_.size(); ++expert)
    // The order of exponential variates with these rates is one of draws without replacement, in proportion to them.
    if (present_[expert] == 0)
      missing_.emplace_back(rng.exponential() / weights_[size_t(layer)][expert], uint16_t(expert));
  std::sort(missing_.begin(), missing_.end());

  const size_t known = sorted.size();
  double scale = 1;
  double limit = 1;
  if (has_scores && known > 0) {
    const double tail = std::accumulate(by_rank_.begin() + std::ptrdiff_t(known), by_rank_.end(), 0.0);
    scale = tail > 0 ? std::max(0.0, 1 - sum) / tail : 0;
    limit = double(sorted.back().score);
  } else {
    for (size_t rank = 0; rank < known; ++rank) sorted[rank].score = float(by_rank_[rank]);
  }
  for (size_t i = 0; i < missing_.size(); ++i)
    sorted.push_back({float(std::min(limit, scale * by_rank_[known + i])), missing_[i].second});
}

}  // namespace moesim
