// Fate's widths: in each layer the experts that tokens choose least have few bits.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/moe/offload/bits.h"

namespace moesim {
namespace {

struct PopularityOptions {
  double bits = 4;
  double low_bits = 2;
  Percentage part{0.25};
};

template <class Visitor>
void fields(Visitor& v, PopularityOptions& s) {
  v.optional("bits", s.bits, bit_range(), "of a popular expert's weight");
  v.optional("low_bits", s.low_bits, bit_range(), "of an unpopular one's");
  v.optional("part", s.part, between(Percentage{0}, Percentage{1}),
             "of a layer's experts, rounded down, that are unpopular");
}

std::vector<double> bits_by_popularity(const BitInput& in, const PopularityOptions& options, Rng&) {
  constexpr double kRounding = 1e-9;
  const size_t experts = size_t(in.experts);
  const size_t low = size_t(std::floor(options.part.fraction * double(in.experts) + kRounding));
  std::vector<double> bits(in.past_load.size(), options.bits);
  std::vector<size_t> order(experts);
  for (size_t first = 0; first < bits.size(); first += experts) {
    std::iota(order.begin(), order.end(), first);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return in.past_load[a] < in.past_load[b]; });
    for (size_t i = 0; i < low; ++i) bits[order[i]] = options.low_bits;
  }
  return bits;
}

[[maybe_unused]] const bool registered = Registry<BitPolicy>::instance().add(
    "popularity", "few bits for the least chosen part of each layer's experts", bits_by_popularity);

}  // namespace
}  // namespace moesim
