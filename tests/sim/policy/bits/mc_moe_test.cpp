#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/bit_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// Errors of three experts at 1, 2 and 3 bits, with what is known of their use. Six bits in all must be 3 + 2 + 1.
std::string three_experts(const std::string& more) {
  return R"({"format_version": 1, "layers": 1, "experts": 3, "bits": [1, 2, 3],)" + more +
         R"("error": [[[10, 1, 0], [4, 3, 0], [2, 1, 0.5]]]})";
}

std::vector<double> widths_of_three(const std::string& known, const std::string& settings,
                                    std::vector<int64_t> past_load = {1, 1, 1}) {
  const ImportanceFile file(three_experts(known));
  const BitCase c{1, 3, std::move(past_load), file.folder()};
  return bits_by_settings("mc_moe", R"("importance": "importance.json", "mean": 2)" + settings, c.input());
}

// 2, 3, 1: 1 + 0 + 2 = 3. The next best: 3, 2, 1 and 3, 1, 2, both 5.
TEST(McMoe, GivesBitsToExpertsWhoseErrorTheyLowerMost) {
  EXPECT_EQ(widths_of_three("", ""), (std::vector<double>{2, 3, 1}));
}

// The third expert's errors count 20 times: 40, 20, 10. 2, 1, 3: 1 + 4 + 10 = 15; 3, 1, 2: 24; 2, 3, 1: 41.
TEST(McMoe, WeighsErrorsByChoicesOfItsFileOrElseByThoseOfThePast) {
  EXPECT_EQ(widths_of_three(R"("choices": [[1, 1, 20]],)", ""), (std::vector<double>{2, 1, 3}));
  EXPECT_EQ(widths_of_three("", "", {1, 1, 20}), (std::vector<double>{2, 1, 3}));
  EXPECT_EQ(widths_of_three(R"("choices": [[5, 5, 5]],)", "", {1, 1, 20}), (std::vector<double>{2, 3, 1}));
}

// A gate's weight of 2 counts 2^1.5 = 2.83 times: 5.66, 2.83, 1.41. 2, 1, 3: 6.41; 2, 3, 1: 6.66. With the exponent 1
// it counts twice: 2, 1, 3: 1 + 4 + 1 = 6; 2, 3, 1: 1 + 0 + 4 = 5.
TEST(McMoe, WeighsErrorsByTheGatesWeights) {
  EXPECT_EQ(widths_of_three(R"("gate_weight": [[1, 1, 2]],)", ""), (std::vector<double>{2, 1, 3}));
  EXPECT_EQ(widths_of_three(R"("gate_weight": [[1, 1, 2]],)", R"(, "weight_exponent": 1)"),
            (std::vector<double>{2, 3, 1}));
}

// Without a file errors halve with each bit. Raising an expert from 1 bit to 2 saves a quarter of its load, to 3
// another eighth. 16 bits are 8 raises, best spent on the four hot ones, but one expert must have 2 bits: the least of
// these, so that one bit is left for the next.
TEST(McMoe, FollowsPopularityWithoutAFile) {
  const BitCase c{1, 8, {1, 100, 2, 90, 80, 3, 70, 4}, {}};
  EXPECT_EQ(bits_by_settings("mc_moe", R"("mean": 2)", c.input()), (std::vector<double>{1, 3, 1, 3, 3, 1, 2, 2}));
}

TEST(McMoe, SaysWhichMeanIsTooSmall) {
  const BitCase c{1, 8, std::vector<int64_t>(8, 1), {}};
  try {
    bits_by_settings("mc_moe", R"("mean": 1.25)", c.input());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("\"mean\" is at least 1.375"), std::string::npos) << error.what();
  }
}

TEST(McMoe, ChoosesAmongWholeWidths) {
  const ImportanceFile file(R"({"format_version": 1, "layers": 1, "experts": 2, "bits": [1.5, 2],
                                "error": [[[2, 1], [2, 1]]]})");
  const BitCase c{1, 2, {1, 1}, file.folder()};
  EXPECT_THROW(bits_by_settings("mc_moe", R"("importance": "importance.json")", c.input()), ConfigError);
}

// The data that the method's authors published with their code, as one JSON object: `freq` and `weight` {layer:
// [expert]}, `quant_loss` {layer: {expert: {bits: error}}}, and `ref` {bits in all: {layer: [bits of each expert]}}.
void expect_published_widths(const nlohmann::json& published, const std::string& search) {
  nlohmann::json file = {{"format_version", 1}, {"layers", 32}, {"experts", 8}, {"bits", {1, 2, 3}}};
  for (int layer = 0; layer < 32; ++layer) {
    const std::string key = std::to_string(layer);
    file["choices"].push_back(published["freq"][key]);
    file["gate_weight"].push_back(published["weight"][key]);
    nlohmann::json errors;
    for (int expert = 0; expert < 8; ++expert) {
      const nlohmann::json& error = published["quant_loss"][key][std::to_string(expert)];
      errors.push_back({error["1"], error["2"], error["3"]});
    }
    file["error"].push_back(errors);
  }
  const ImportanceFile importance(file.dump());
  const BitCase c{32, 8, std::vector<int64_t>(256, 1), importance.folder()};
  int allocations = 0;
  for (int bits = 12; bits <= 20; ++bits) {
    const std::vector<double> widths = bits_by_settings(
        "mc_moe", fmt::format(R"("importance": "importance.json", "mean": {}, "search": "{}")", bits / 8.0, search),
        c.input());
    for (int layer = 0; layer < 32; ++layer, ++allocations) {
      const auto first = widths.begin() + layer * 8;
      EXPECT_EQ(std::vector<double>(first, first + 8),
                published["ref"][std::to_string(bits)][std::to_string(layer)].get<std::vector<double>>())
          << "layer " << layer << ", " << bits << " bits";
    }
  }
  EXPECT_EQ(allocations, 288);
}

TEST(McMoe, GivesThePublishedWidths) {
  const char* const path = std::getenv("MOESIM_MC_MOE_WIDTHS");
  if (path == nullptr) GTEST_SKIP() << "MOESIM_MC_MOE_WIDTHS names no file with the published widths";
  std::ifstream text(path);
  ASSERT_TRUE(text) << path;
  const nlohmann::json published = nlohmann::json::parse(text);
  expect_published_widths(published, "table");
#ifdef MOESIM_HAS_GLPK
  expect_published_widths(published, "program");
#endif
}

}  // namespace
}  // namespace moesim
