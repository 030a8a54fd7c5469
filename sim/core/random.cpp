#include "sim/core/random.h"

#include <bit>
#include <cmath>
#include <numeric>

#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {

Rng::Rng(uint64_t seed) {
  for (uint64_t& word : state_) {
    word = splitmix64(seed);
    seed += 0x9E3779B97F4A7C15ull;
  }
}

Rng Rng::stream(uint64_t seed, std::string_view subsystem) {
  uint64_t mixed = splitmix64(seed);
  for (const char c : subsystem) mixed = splitmix64(mixed ^ uint64_t(static_cast<unsigned char>(c)));
  return Rng(mixed);
}

uint64_t Rng::next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Rng::uniform() { return double(next() >> 11) * 0x1.0p-53; }

uint64_t Rng::below(uint64_t bound) {
  CHECK(bound > 0);
  const uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound: drawing again below it removes the bias
  uint64_t word = next();
  while (word < rejected) word = next();
  return word % bound;
}

int64_t Rng::between(int64_t low, int64_t high) {
  CHECK(low <= high);
  const uint64_t span = uint64_t(high) - uint64_t(low);
  if (span == UINT64_MAX) return int64_t(next());
  return int64_t(uint64_t(low) + below(span + 1));
}

double Rng::normal() {
  for (;;) {  // accepts with probability pi / 4 a round
    const double x = 2 * uniform() - 1;
    const double y = 2 * uniform() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1) return x * std::sqrt(-2 * exact_log(square) / square);
  }
}

double Rng::exponential() { return -exact_log(1 - uniform()); }

double Rng::log_normal(double mu, double sigma) { return exact_exp(mu + sigma * normal()); }

AliasTable::AliasTable(std::span<const double> weights) : keep_(weights.size(), 1.0), alias_(weights.size()) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  CHECK(sum > 0);
  std::vector<double> scaled;
  std::vector<uint32_t> small;
  std::vector<uint32_t> large;
  for (size_t i = 0; i < weights.size(); ++i) {
    CHECK(weights[i] >= 0);
    alias_[i] = uint32_t(i);
    scaled.push_back(weights[i] * double(weights.size()) / sum);
    (scaled[i] < 1 ? small : large).push_back(uint32_t(i));
  }
  while (!small.empty() && !large.empty()) {
    const uint32_t low = small.back();
    const uint32_t high = large.back();
    small.pop_back();
    keep_[low] = scaled[low];
    alias_[low] = high;
    scaled[high] -= 1 - scaled[low];
    if (scaled[high] < 1) {
      large.pop_back();
      small.push_back(high);
    }
  }  // what is left is 1 but for rounding, and keeps its own index
}

size_t AliasTable::draw(Rng& rng) const {
  const size_t slot = rng.below(keep_.size());
  return rng.uniform() < keep_[slot] ? slot : alias_[slot];
}

std::vector<double> zipf_weights(size_t size, double exponent) {
  std::vector<double> weights(size);
  for (size_t i = 0; i < size; ++i) weights[i] = exact_pow(double(i + 1), -exponent);
  return weights;
}

}  // namespace moesim
