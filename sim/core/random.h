// Our own random numbers, so that the same seed gives the same bytes with any standard library.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace moesim {

// The output function of splitmix64 (Steele, Lea and Flood, OOPSLA 2014) on state z + the golden gamma.
constexpr uint64_t splitmix64(uint64_t z) {
  z += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// The plain splitmix64 generator, in which work sets shared with other programs are defined.
struct SplitMix64 {
  uint64_t state = 0;

  uint64_t next() {
    const uint64_t word = splitmix64(state);
    state += 0x9E3779B97F4A7C15ull;
    return word;
  }
  double uniform() { return double(next() >> 11) * 0x1.0p-53; }  // in [0, 1)
};

// xoshiro256** (Blackman and Vigna, 2018). Each named subsystem draws from a stream of its own, so that one more
// draw in one of them changes nothing in the others.
class Rng {
 public:
  explicit Rng(uint64_t seed);
  static Rng stream(uint64_t seed, std::string_view subsystem);

  uint64_t next();
  double uniform();                            // in [0, 1), 53 bits
  uint64_t below(uint64_t bound);              // in [0, bound), unbiased; bound > 0
  int64_t between(int64_t low, int64_t high);  // in [low, high]
  double normal();                             // mean 0, deviation 1 (polar Box-Muller; draws until accepted)
  double exponential();                        // mean 1
  double log_normal(double mu, double sigma);

  template <class T>
  void shuffle(std::span<T> values) {  // Fisher-Yates, from the end
    for (size_t last = values.size(); last > 1; --last) std::swap(values[last - 1], values[below(last)]);
  }

 private:
  std::array<uint64_t, 4> state_;
};

// Draws an index with probability proportional to its weight, in O(1): Vose's alias method (IEEE TSE 1991).
class AliasTable {
 public:
  explicit AliasTable(std::span<const double> weights);  // non-negative, with a positive sum
  size_t draw(Rng& rng) const;
  size_t size() const { return keep_.size(); }

 private:
  std::vector<double> keep_;
  std::vector<uint32_t> alias_;
};

// 1 / rank^exponent for ranks 1..size: the popularity of Zipf's law, not normalised.
std::vector<double> zipf_weights(size_t size, double exponent);

}  // namespace moesim
