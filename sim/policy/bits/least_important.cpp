// EdgeMoE's widths: all experts have the same, then the least important ones get fewer bits, some at a time, until the
// model would lose more than it may. Losses are taken to add up.

#include <algorithm>
#include <numeric>

#include "sim/config/error.h"
#include "sim/moe/offload/expert_importance.h"

namespace moesim {
namespace {

struct LeastImportantOptions {
  std::string importance;
  double bits = 4;
  double low_bits = 2;
  int32_t step = 1;
  double loss_max = 0.1;
};

template <class Visitor>
void fields(Visitor& v, LeastImportantOptions& s) {
  v.optional("importance", s.importance,
             "file with the `loss` of each expert, relative to the scenario file; without one the loss is an expert's "
             "part of all past choices");
  v.optional("bits", s.bits, bit_range(), "of an important expert's weight");
  v.optional("low_bits", s.low_bits, bit_range(), "of an unimportant one's");
  v.optional("step", s.step, at_least(1), "experts that are lowered at a time, or not");
  v.optional("loss_max", s.loss_max, at_least(0.0), "of all lowered experts together, in the file's unit");
}

std::vector<double> losses_of(const BitInput& in, const std::string& path) {
  std::vector<double> losses;
  if (const std::optional<ExpertImportance> known = importance_of(in, path)) {
    if (known->loss.empty())
      throw ConfigError(importance_path(in, path), "has no \"loss\", which least_important needs");
    for (const std::vector<double>& layer : known->loss) losses.insert(losses.end(), layer.begin(), layer.end());
    return losses;
  }
  const int64_t sum = std::accumulate(in.past_load.begin(), in.past_load.end(), int64_t{0});
  for (const int64_t load : in.past_load)
    losses.push_back(sum > 0 ? double(load) / double(sum) : 1 / double(in.past_load.size()));
  return losses;
}

std::vector<double> bits_least_important(const BitInput& in, const LeastImportantOptions& options, Rng&) {
  const std::vector<double> losses = losses_of(in, options.importance);
  std::vector<size_t> order(losses.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return losses[a] < losses[b]; });

  std::vector<double> bits(losses.size(), options.bits);
  double lost = 0;
  for (size_t first = 0; first < order.size(); first += size_t(options.step)) {
    const size_t end = std::min(order.size(), first + size_t(options.step));
    for (size_t i = first; i < end; ++i) lost += losses[order[i]];
    if (lost > options.loss_max) break;
    for (size_t i = first; i < end; ++i) bits[order[i]] = options.low_bits;
  }
  return bits;
}

[[maybe_unused]] const bool registered = Registry<BitPolicy>::instance().add(
    "least_important", "few bits for the experts that matter least, until their losses add up to a limit",
    bits_least_important);

}  // namespace
}  // namespace moesim
