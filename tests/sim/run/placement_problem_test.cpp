#include "sim/run/placement_problem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/config/error.h"

namespace moesim {
namespace {

PlacementProblem problem_of(const std::string& text) {
  return parse_placement_problem(parse_json(text, "problem.json"), "problem.json");
}

std::string error_of(const std::string& text) {
  try {
    problem_of(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string json_answer(const std::string& text, const std::string& policy) {
  const PlacementProblem problem = problem_of(text);
  const PolicyChoice<PlacementPolicy> choice(policy);
  return placement_answer_json(problem, choice, solve_placement_problem(problem, choice, 1));
}

constexpr const char* kSmall =
    R"({"note": "kept", "cases": [{"name": "a", "weights": [[4, 3, 2, 1]], "replicas": 4, "groups": 1, "nodes": 1, "gpus": 2}]})";

// In order: 4 + 3 = 7 and 2 + 1 = 3; the mean is 5. Greedy: 4 and 1, 3 and 2.
TEST(PlacementProblem, IsAnsweredWithMapLoadsAndRatios) {
  const PlacementProblem problem = problem_of(kSmall);
  const auto contiguous = solve_placement_problem(problem, PolicyChoice<PlacementPolicy>("contiguous"), 1);
  EXPECT_EQ(contiguous[0].physical_to_logical, (SlotMap{{0, 1, 2, 3}}));
  EXPECT_EQ(contiguous[0].gpu_loads, (std::vector<std::vector<double>>{{7, 3}}));
  EXPECT_DOUBLE_EQ(contiguous[0].gpu_load_max_over_mean[0], 1.4);
  const auto greedy = solve_placement_problem(problem, PolicyChoice<PlacementPolicy>("greedy"), 1);
  EXPECT_EQ(greedy[0].physical_to_logical, (SlotMap{{0, 3, 1, 2}}));
  EXPECT_DOUBLE_EQ(greedy[0].gpu_load_max_over_mean[0], 1);
}

TEST(PlacementProblem, KeepsWhatTheFileSaysAndReplacesOldAnswers) {
  const std::string answer = json_answer(
      R"({"note": "kept", "cases": [{"name": "a", "weights": [[4, 3]], "replicas": 2, "gpus": 2,
          "physical_to_logical": [[1, 0]], "gpu_load_max_over_mean": [9]}]})",
      "contiguous");
  const JsonNode root = parse_json(answer, "answer");
  EXPECT_EQ(root.find("note")->text, "kept");
  const JsonNode& one = root.find("cases")->children[0];
  EXPECT_EQ(one.find("replicas")->text, "2");
  EXPECT_EQ(one.find("physical_to_logical")->children[0].children[0].text, "0");
  EXPECT_NE(one.find("gpu_load_max_over_mean")->children[0].text, "9");
  EXPECT_EQ(root.find("policy")->find("policy")->text, "contiguous");
  problem_of(answer);  // an answer is a problem again
}

TEST(PlacementProblem, ReportsEveryFaultWithItsPlace) {
  const std::string error = error_of(R"({"cases": [
    {"name": "too many", "weights": [[1, 2, 3]], "replicas": 2, "gpus": 2},
    {"name": "uneven", "weights": [[1, 2, 3]], "replicas": 3, "groups": 2, "nodes": 2, "gpus": 3},
    {"name": "ragged", "weights": [[1, 2], [1]], "replicas": 2, "gpus": 2},
    {"name": "negative", "weights": [[1, -2]], "replicas": 2, "gpus": 2},
    {"name": "missing", "weights": [], "gpus": 2},
    {"weights": [[1, 2]], "replicas": 3, "gpus": 2, "replcas": 2},
    {"weights": [[1, 2]], "replicas": 3, "gpus": 2, "slots": [1, 1]},
    7]})");
  for (const char* const part :
       {"/cases/0/replicas: 3 experts do not fit in 2 replicas", "/cases/1/groups: 2 groups do not divide 3 experts",
        "/cases/1/gpus: 3 GPUs are not divisible by 2 nodes", "/cases/2/weights: layer 1 has 1 experts, layer 0 has 2",
        "/cases/3/weights/0/1: must be", "/cases/4: missing key \"replicas\"", "/cases/5/replcas: unknown key",
        "/cases/6/slots: sum to 2, but there are 3 replicas", "/cases/7: type must be object"})
    EXPECT_TRUE(says(error, part)) << part << "\n" << error;
  EXPECT_TRUE(says(error_of(R"({"cases": []})"), "at least one case"));
  EXPECT_TRUE(says(error_of(R"([1])"), "must be an object"));
  EXPECT_TRUE(says(error_of(R"({"cases": [{"weights": [[1, 2]], "replicas": 3, "gpus": 2}]})"),
                   "/cases/0/replicas: 3 replicas are not divisible by 2 GPUs"));
}

// Three of the four experts have room on GPU 1 alone.
TEST(PlacementProblem, GivesGpusNoMoreExpertsThanTheirSlots) {
  const PlacementProblem problem = problem_of(
      R"({"cases": [{"name": "lopsided", "weights": [[1, 2, 3, 4]], "replicas": 4, "gpus": 2, "slots": [1, 3]}]})");
  const auto solved = solve_placement_problem(problem, PolicyChoice<PlacementPolicy>("round_robin"), 1);
  const std::vector<int32_t>& slots = solved.at(0).physical_to_logical.at(0);
  EXPECT_EQ(std::set<int32_t>(slots.begin(), slots.end()), (std::set<int32_t>{0, 1, 2, 3}));
}

// Every slot holds what it should: loads sum to the weights, and no ratio is below its bound.
TEST(PlacementProblem, LoadsSumToTheWeightsWithEveryPolicy) {
  Rng rng(5);
  std::string weights;
  int64_t sum = 0;
  for (int32_t expert = 0; expert < 60; ++expert) {
    const int64_t weight = int64_t(rng.below(1000));
    weights += (expert == 0 ? "" : ", ") + std::to_string(weight);
    sum += weight;
  }
  const PlacementProblem problem = problem_of(R"({"cases": [{"weights": [[)" + weights +
                                              R"(]], "replicas": 64, "groups": 3, "nodes": 2, "gpus": 8}]})");
  for (const auto& entry : Registry<PlacementPolicy>::instance().entries()) {
    SCOPED_TRACE(entry.name);
    const auto placed = solve_placement_problem(problem, PolicyChoice<PlacementPolicy>(entry.name), 1);
    const std::vector<double>& loads = placed[0].gpu_loads[0];
    EXPECT_NEAR(std::accumulate(loads.begin(), loads.end(), 0.0), double(sum), 1e-6);
    EXPECT_EQ(placed[0].physical_to_logical[0].size(), 64u);
    EXPECT_GE(placed[0].gpu_load_max_over_mean[0], placed[0].relaxed_max_over_mean[0] - 1e-9);
  }
}

}  // namespace
}  // namespace moesim
