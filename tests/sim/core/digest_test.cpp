#include "sim/core/digest.h"

#include <gtest/gtest.h>

#include <set>

namespace moesim {
namespace {

template <class... Values>
std::string digest_of(Values... values) {
  Digest digest;
  (digest.add(values), ...);
  return digest.hex();
}

TEST(Digest, IsTheSameForTheSameThingsInTheSameOrder) {
  EXPECT_EQ(digest_of(uint64_t{1}, 2.5, std::string_view("three")),
            digest_of(uint64_t{1}, 2.5, std::string_view("three")));
}

TEST(Digest, TellsValuesOrdersAndLengthsApart) {
  const std::set<std::string> digests = {
      digest_of(),
      digest_of(uint64_t{0}),
      digest_of(uint64_t{0}, uint64_t{0}),
      digest_of(uint64_t{1}, uint64_t{2}),
      digest_of(uint64_t{2}, uint64_t{1}),
      digest_of(0.1),
      digest_of(-0.1),
      digest_of(std::string_view("ab"), std::string_view("c")),
      digest_of(std::string_view("a"), std::string_view("bc")),
  };
  EXPECT_EQ(digests.size(), 9u);
}

// A flip of any one bit of one of three words changes the digest: each step is a bijection of the state and of the
// word.
TEST(Digest, SeesEveryBit) {
  const std::string digest = digest_of(uint64_t{7}, uint64_t{8}, uint64_t{9});
  for (int bit = 0; bit < 64; ++bit) {
    const uint64_t flip = uint64_t(1) << bit;
    EXPECT_NE(digest_of(7 ^ flip, uint64_t{8}, uint64_t{9}), digest);
    EXPECT_NE(digest_of(uint64_t{7}, 8 ^ flip, uint64_t{9}), digest);
    EXPECT_NE(digest_of(uint64_t{7}, uint64_t{8}, 9 ^ flip), digest);
  }
}

TEST(Digest, PrintsSixteenHexadecimalDigits) {
  const std::string hex = digest_of(uint64_t{1});
  EXPECT_EQ(hex.size(), 16u);
  EXPECT_EQ(hex.find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace moesim
