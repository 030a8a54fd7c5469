// A running 64-bit fingerprint of what a run did. Two runs with equal digests did the same things in the same order.
// Not cryptographic: it finds accidents, not attacks.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace moesim {

class Digest {
 public:
  // One multiply a word: the odd constant is the golden ratio of splitmix64, and the rotation brings high bits down.
  void add(uint64_t word) { state_ = std::rotl((state_ ^ word) * 0x9E3779B97F4A7C15ull, 29); }
  void add(int64_t word) { add(uint64_t(word)); }
  void add(double value) { add(std::bit_cast<uint64_t>(value)); }
  void add(std::string_view text) {
    add(uint64_t(text.size()));
    for (const char c : text) add(uint64_t(static_cast<unsigned char>(c)));
  }

  uint64_t value() const { return mix(state_); }
  std::string hex() const;  // 16 hexadecimal digits

 private:
  static uint64_t mix(uint64_t z);

  uint64_t state_ = 0x6D6F6573696D0001ull;
};

}  // namespace moesim
