#include "sim/moe/offload/expert_importance.h"

#include <gtest/gtest.h>

#include "tests/support/bit_case.h"

namespace moesim {
namespace {

std::string fault_of_file(const std::string& text, const BitInput& in) {
  const ImportanceFile file(text);
  BitInput here = in;
  here.folder = file.folder();
  try {
    importance_of(here, "importance.json");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(ExpertImportance, IsReadFromAFileBesideTheScenario) {
  const ImportanceFile file(R"({"format_version": 1, "layers": 1, "experts": 2, "choices": [[3, 4.5]]})");
  const BitInput in{1, 2, {}, file.folder()};
  EXPECT_EQ(importance_of(in, "importance.json")->choices[0][1], 4.5);
  EXPECT_EQ(importance_of({1, 2, {}, "/nowhere"}, file.folder() + "/importance.json")->experts, 2);
  EXPECT_FALSE(importance_of(in, "").has_value());
}

TEST(ExpertImportance, NamesAllFaultsOfAFileAtOnce) {
  const std::string faults = fault_of_file(
      R"({"format_version": 1, "layers": 2, "experts": 2, "choices": [[1, 2]], "gate_weight": [[1, 2], [1]],
          "bits": [2, 1], "error": [[[1, 2], [1]], [[1, 2], [1, 2]]]})",
      {2, 2, {}, {}});
  EXPECT_NE(faults.find("has 1 layers, not 2"), std::string::npos) << faults;
  EXPECT_NE(faults.find("layer 1 has 1 experts, not 2"), std::string::npos) << faults;
  EXPECT_NE(faults.find("1 comes after 2"), std::string::npos) << faults;
  EXPECT_NE(faults.find("layer 0 expert 1 has 1 numbers, one a width are 2"), std::string::npos) << faults;
  EXPECT_NE(fault_of_file(R"({"format_version": 1, "layers": 1, "experts": 1, "loss": [[-1]]})", {1, 1, {}, {}}), "");
  EXPECT_NE(fault_of_file(R"({"format_version": 2})", {1, 1, {}, {}}), "");
}

TEST(ExpertImportance, MustBeOfAModelOfThisSize) {
  const std::string faults =
      fault_of_file(R"({"format_version": 1, "layers": 2, "experts": 4, "choices": []})", {3, 8, {}, {}});
  EXPECT_NE(faults.find("the model has 3 MoE layers, not 2"), std::string::npos) << faults;
  EXPECT_NE(faults.find("the model has 8 experts, not 4"), std::string::npos) << faults;
}

}  // namespace
}  // namespace moesim
