#include <gtest/gtest.h>

#include "tests/support/bit_case.h"

namespace moesim {
namespace {

// Losses by size: 0.01, 0.02, 0.03, 0.05 add up to 0.11. Three together are 0.06.
constexpr const char* kLosses =
    R"({"format_version": 1, "layers": 2, "experts": 2, "loss": [[0.05, 0.01], [0.02, 0.03]]})";

TEST(LeastImportant, LowersExpertsOfAllLayersUntilTheirLossesAddUpToTheLimit) {
  const ImportanceFile file(kLosses);
  const BitCase c{2, 2, {1, 1, 1, 1}, file.folder()};
  const std::string path = R"("importance": "importance.json")";
  EXPECT_EQ(bits_by_settings("least_important", path + R"(, "loss_max": 0.065)", c.input()),
            (std::vector<double>{4, 2, 2, 2}));
  EXPECT_EQ(bits_by_settings("least_important", path + R"(, "loss_max": 0.04)", c.input()),
            (std::vector<double>{4, 2, 2, 4}));
  EXPECT_EQ(bits_by_settings("least_important", path + R"(, "loss_max": 0, "bits": 8)", c.input()),
            (std::vector<double>{8, 8, 8, 8}));
}

// Two at a time: the second two would make it 0.11.
TEST(LeastImportant, LowersAllOfAStepOrNone) {
  const ImportanceFile file(kLosses);
  const BitCase c{2, 2, {1, 1, 1, 1}, file.folder()};
  EXPECT_EQ(
      bits_by_settings("least_important", R"("importance": "importance.json", "loss_max": 0.1, "step": 2)", c.input()),
      (std::vector<double>{4, 2, 2, 4}));
}

// Of 100 choices 2 + 3 + 5 are a tenth; the next expert would add 10.
TEST(LeastImportant, TakesPartsOfThePastForLossesWhereNoFileTellsThem) {
  const BitCase c{1, 5, {3, 80, 5, 2, 10}, {}};
  EXPECT_EQ(bits_by_settings("least_important", R"("loss_max": 0.11)", c.input()),
            (std::vector<double>{2, 4, 2, 2, 4}));
}

TEST(LeastImportant, NeedsLossesInItsFile) {
  const ImportanceFile file(R"({"format_version": 1, "layers": 1, "experts": 2, "choices": [[1, 2]]})");
  const BitCase c{1, 2, {1, 1}, file.folder()};
  try {
    bits_by_settings("least_important", R"("importance": "importance.json")", c.input());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("importance.json: has no \"loss\""), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace moesim
