#include "sim/moe/offload/bits.h"

#include <gtest/gtest.h>

#include "models/catalogue.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

Codec plain(double bits) { return codec_for({}, bits); }

// 4,096 x 14,336 x 3 weights: 176,160,768. At 16 bits 2 bytes each, at 2 bits a quarter of one, at 3 three eighths.
TEST(StoredBytes, AreTheBitsOfAllWeights) {
  constexpr int64_t kWeights = 3 * 4096 * 14336;
  EXPECT_EQ(stored_bytes(plain(16), kWeights).count, 352'321'536);
  EXPECT_EQ(stored_bytes(plain(2), kWeights).count, 44'040'192);
  EXPECT_EQ(stored_bytes(plain(3), kWeights).count, 66'060'288);
  EXPECT_EQ(stored_bytes(plain(3), 0).count, 0);
}

// 3 bits of 3 weights are 9, so 2 bytes. 0.8 bits of 10 weights are 8 and not a rounding error more, which 0.8 in
// binary would make of 10^12 of them.
TEST(StoredBytes, RoundUpToWholeBytesAndToNoMore) {
  EXPECT_EQ(stored_bytes(plain(3), 3).count, 2);
  EXPECT_EQ(stored_bytes(plain(0.8), 10).count, 1);
  EXPECT_EQ(stored_bytes(plain(0.8), 11).count, 2);
  for_each_seed(1000, [](Rng& rng) {
    const int64_t tens = rng.between(1, 1'000'000'000'000);
    EXPECT_EQ(stored_bytes(plain(0.8), 10 * tens).count, tens);
  });
}

// 1,000 weights in groups of 128 are 8 groups, the last not full: 4,000 bits and 8 x 32, so 532 bytes.
TEST(StoredBytes, CountAScaleForEachGroup) { EXPECT_EQ(stored_bytes({"int4", 4, 128, 32, {}}, 1000).count, 532); }

// 532 bytes at 1 GB/s: 532 ns.
TEST(DecodeTime, IsThatOfTheStoredBytes) {
  EXPECT_EQ(decode_time({"int4", 4, 0, 16, Rate{1e9}}, Bytes{532}), 532_ns);
  EXPECT_EQ(decode_time(plain(4), Bytes{532}), Duration{});
}

TEST(Codecs, AreFoundByTheirWidth) {
  const std::vector<Codec> codecs = {{"two", 2, 64, 16, {}}, {"ternary", 0.8, 0, 16, Rate{1e12}}};
  EXPECT_EQ(codec_for(codecs, 0.8).name, "ternary");
  EXPECT_EQ(codec_for(codecs, 2).group, 64);
  EXPECT_EQ(codec_for(codecs, 4).bits, 4);
  EXPECT_EQ(stored_bytes(codec_for(codecs, 4), 2).count, 1);
}

// 128 weights: 16 bytes a bit, and 2 for the scale of the codec of 2 bits.
TEST(ItemBytes, AreThoseOfEachItemsCodec) {
  const std::vector<Codec> codecs = {{"two", 2, 128, 16, {}}};
  EXPECT_EQ(item_bytes(std::vector<double>{2, 4, 2, 16}, codecs, 128), (std::vector<Bytes>{34_B, 64_B, 34_B, 256_B}));
}

TEST(Codecs, OfOneWidthAreAFault) {
  const std::vector<Codec> codecs = {{"a", 2, 0, 16, {}}, {"b", 4, 0, 16, {}}, {"c", 2, 0, 16, {}}};
  std::vector<std::string> faults;
  check_codecs(codecs,
               [&](const std::string& key, const std::string& message) { faults.push_back(key + ": " + message); });
  EXPECT_EQ(faults, (std::vector<std::string>{"codecs: two are for 2 bits, 0 and 2"}));
}

// QMoE's headline: Switch-c2048, 1.6 T parameters, of 3.2 TB in 16 bits, fits 160 GB at 0.8 bits a weight, all that is
// not an expert in 16 bits. 30 x 2,048 experts of 2 x 2,080 x 6,144 weights are 1.5704 T: 157 GB.
TEST(Codecs, FitSwitchC2048In160Gigabytes) {
  const LlmSpec llm = load_llm("switch-c2048");
  const int64_t experts = 30 * 2048 * expert_parameters(llm);
  const int64_t others = total_parameters(llm) - experts;
  const double before = double(2 * total_parameters(llm));
  EXPECT_NEAR(before, 3.2e12, 0.1e12);
  const int64_t after = stored_bytes({"ternary", 0.8, 0, 16, {}}, experts).count + 2 * others;
  EXPECT_LT(after, 160'000'000'000);
  EXPECT_GT(before / double(after), 19.5);
}

}  // namespace
}  // namespace moesim
