// Regrouping over the batches of a window, as ExpertFlow's token scheduler (arXiv 2410.17954): requests that are
// predicted to need the same experts share a batch, so that fewer experts are needed in each. Balanced k-means by the
// Hamming distance of predicted sets of experts, then exchanges as long as fewer experts are needed in all.

#include <algorithm>

#include "sim/core/random.h"
#include "sim/moe/batching.h"
#include "sim/policy/shuffle/balanced_assignment.h"

namespace moesim {
namespace {

struct RegroupOptions {
  double active = 0.5;
  int32_t rounds = 10;
};

template <class Visitor>
void fields(Visitor& v, RegroupOptions& s) {
  v.optional("active", s.active, above(0.0),
             "an expert is in a request's set from so many predicted choices of a token on, mean");
  v.optional("rounds", s.rounds, between(1, 1000), "of k-means, and of exchanges, at most");
}

// [batch][layer and expert] requests of the batch whose set has it.
class Needs {
 public:
  Needs(const std::vector<uint8_t>& set, size_t width, int32_t batches, std::vector<int32_t> batch_of)
      : set_(set), width_(width), batch_of_(std::move(batch_of)), count_(size_t(batches) * width, 0) {
    for (size_t request = 0; request < batch_of_.size(); ++request)
      for (size_t bit = 0; bit < width_; ++bit) count_[size_t(batch_of_[request]) * width_ + bit] += at(request, bit);
  }

  const std::vector<int32_t>& batch_of() const { return batch_of_; }

  // Scores for k-means: how many bits of the request agree with the majority of each batch.
  std::vector<float> agreement(int32_t batches) const {
    const int64_t size = int64_t(batch_of_.size()) / batches;
    std::vector<float> score;
    for (size_t request = 0; request < batch_of_.size(); ++request)
      for (size_t batch = 0; batch < size_t(batches); ++batch) {
        int32_t agree = 0;
        for (size_t bit = 0; bit < width_; ++bit)
          agree += (2 * count_[batch * width_ + bit] > size) == (at(request, bit) != 0);
        score.push_back(float(agree));
      }
    return score;
  }

  bool exchange(size_t a, size_t b) {
    const size_t from = size_t(batch_of_[a]) * width_;
    const size_t to = size_t(batch_of_[b]) * width_;
    if (from == to) return false;
    int64_t change = 0;
    for (size_t bit = 0; bit < width_; ++bit) {
      const int32_t shift = int32_t(at(a, bit)) - int32_t(at(b, bit));
      if (shift == 0) continue;
      change += (count_[from + bit] - shift > 0) - (count_[from + bit] > 0);
      change += (count_[to + bit] + shift > 0) - (count_[to + bit] > 0);
    }
    if (change >= 0) return false;
    for (size_t bit = 0; bit < width_; ++bit) {
      const int32_t shift = int32_t(at(a, bit)) - int32_t(at(b, bit));
      count_[from + bit] -= shift;
      count_[to + bit] += shift;
    }
    std::swap(batch_of_[a], batch_of_[b]);
    return true;
  }

 private:
  uint8_t at(size_t request, size_t bit) const { return set_[request * width_ + bit]; }

  const std::vector<uint8_t>& set_;
  size_t width_;
  std::vector<int32_t> batch_of_;
  std::vector<int32_t> count_;
};

std::vector<int32_t> batch_regrouped(const BatchingInput& in, const RegroupOptions& options, Rng& rng) {
  const std::vector<float> expected = in.expected();
  std::vector<uint8_t> set;
  for (const float choices : expected) set.push_back(double(choices) >= options.active);
  const size_t width = size_t(in.layers) * size_t(in.experts);
  std::vector<int32_t> batch_of;
  for (int64_t request = 0; request < in.requests; ++request) batch_of.push_back(int32_t(request % in.batches));
  rng.shuffle(std::span(batch_of));
  const std::vector<int64_t> alike(size_t(in.requests), 1);
  for (int32_t round = 0; round < options.rounds; ++round) {
    const std::vector<float> score = Needs(set, width, in.batches, batch_of).agreement(in.batches);
    std::vector<int32_t> next = assign_alike({in.batches, score, alike, 1});
    if (next == batch_of) break;
    batch_of = std::move(next);
  }
  Needs needs(set, width, in.batches, std::move(batch_of));
  for (int32_t round = 0; round < options.rounds; ++round) {
    bool changed = false;
    for (size_t a = 0; a < size_t(in.requests); ++a)
      for (size_t b = a + 1; b < size_t(in.requests); ++b) changed |= needs.exchange(a, b);
    if (!changed) break;
  }
  return needs.batch_of();
}

[[maybe_unused]] const bool registered = Registry<BatchingPolicy>::instance().add(
    "regroup", "requests with like predicted experts share a batch, so that fewer experts are needed", batch_regrouped);

}  // namespace
}  // namespace moesim
