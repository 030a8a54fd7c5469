#include "sim/run/rerouting_source.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/catalogue.h"
#include "sim/run/cluster.h"
#include "sim/run/routing_source.h"
#include "sim/run/runner.h"
#include "traces/drawn_scores.h"

namespace moesim {
namespace {

// OLMoE (top-8 of 64 in 16 layers) on two servers of two GPUs, 100 tokens each.
LoadedScenario scenario_of(const std::string& reroute, const std::vector<std::string>& settings, TraceStore& traces) {
  std::vector<std::string> all = {"/routing/trace=", "/batch=[{\"new_tokens\":100}]", "/steps=2",
                                  "/routing/reroute=" + reroute};
  all.insert(all.end(), settings.begin(), settings.end());
  return load_scenario(std::string(MOESIM_SOURCE_DIR) + "/tests/golden/scenarios/tiny-trace.json", all, traces);
}

Results run(const std::string& reroute, const std::vector<std::string>& settings = {}) {
  TraceStore traces;
  return run_scenario(scenario_of(reroute, settings, traces), {});
}

std::string error_of_scenario(const std::string& reroute, const std::vector<std::string>& settings = {}) {
  TraceStore traces;
  try {
    scenario_of(reroute, settings, traces);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

int64_t expert_rows(const Results& results) {
  int64_t rows = 0;
  for (const GpuResult& gpu : results.gpu_list) rows += gpu.expert_rows;
  return rows;
}

// 400 tokens in 2 steps and 16 layers, 8 choices each; half of 8 + 8 experts compute nothing.
TEST(ReroutedScenario, ComputesOnlyWhatIsNotGivenToIdleExperts) {
  const Results results = run(R"({"zero_experts": 64})");
  ASSERT_TRUE(results.rerouting.has_value());
  EXPECT_NEAR(results.rerouting->saved_work, 0.5, 1e-3);
  EXPECT_NEAR(double(expert_rows(results)) / (400 * 2 * 16 * 8), 0.5, 0.02);
}

TEST(ReroutedScenario, DropsWhatExceedsCapacity) {
  const Results results = run(R"({"capacity_factor": 1})", {"/routing/synthetic={\"popularity\":\"zipf\"}"});
  ASSERT_TRUE(results.rerouting.has_value());
  EXPECT_GT(results.rerouting->dropped, 0);
  EXPECT_EQ(results.rerouting->selected, results.rerouting->computed + results.rerouting->dropped);
  EXPECT_LT(expert_rows(results), 400 * 2 * 16 * 8);
}

TEST(ReroutedScenario, LoadsGroupsOfExpertsAlikeSoThatGpusAre) {
  const std::vector<std::string> contiguous = {"/placement=contiguous"};
  EXPECT_DOUBLE_EQ(run(R"({"selection": "grouped", "groups": 4})", contiguous).gpu_load_max_over_mean, 1);
  EXPECT_GT(run(R"({"selection": "top_k"})", contiguous).gpu_load_max_over_mean, 1);
}

TEST(ReroutedScenario, MayChooseMoreExpertsThanTheModel) {
  const Results results = run(R"({"selection": "top_p", "p": 0.9})");
  EXPECT_GT(results.rerouting->experts_per_row_max, 8);
  EXPECT_LT(results.rerouting->saved_work, 0);
}

TEST(ReroutedScenario, RefusesWhatHasNoScores) {
  EXPECT_NE(error_of_scenario(R"({"noise": 1})", {"/routing/synthetic={\"popularity\":\"burst\"}"}).find("no scores"),
            std::string::npos);
  const std::vector<std::string> sample = {std::string("/routing/trace=") + MOESIM_SOURCE_DIR +
                                           "/traces/samples/moe64k8-sample.h5"};
  EXPECT_NE(error_of_scenario(R"({"selection": "top_p"})", sample).find("/routing/reroute/scores"), std::string::npos);
  EXPECT_EQ(error_of_scenario(R"({"selection": "top_p", "scores": "synthetic"})", sample), "");
}

// LongCat-Flash: 18.6 to 31.3 billion parameters are active as 0 to 12 of the 12 choices are experts with weights, so
// one such choice is (31.3 - 18.6) / 12 = 1.058 billion, +-0.1 / 12 for the rounding of both.
TEST(PublishedRouting, LongCatsActiveParametersAreThoseOfItsComputingChoices) {
  const LlmSpec longcat = load_llm("longcat-flash");
  const double choice = double(moe_layers(longcat)) * double(expert_parameters(longcat));
  EXPECT_DOUBLE_EQ(choice, 28.0 * 3 * 6144 * 2048);
  EXPECT_NEAR(choice / 1e9, (31.3 - 18.6) / 12, 0.1 / 12);

  // Of top-12 among 512 experts and 256 copies, 8 compute where all are chosen alike.
  SyntheticRouting uniform;
  uniform.popularity = Popularity::uniform;
  const RoutingTrace scores = DrawnScores(uniform, {1, 512, 512}, 1).draw(0, 2000);
  Rerouting options;
  options.top_k = 12;
  options.copy_experts = 256;
  RerouteCounts counts;
  rerouted(options, scores, 1, counts);
  const double computing = double(counts.computed) / double(counts.rows);
  EXPECT_NEAR(computing, 8, 1e-3);
  EXPECT_NEAR(counts.saved_work, 4.0 / 12, 1e-4);
  // Without the table of the embedding, which is looked up; what exactly the figures leave out is not published.
  const double table = double(longcat.vocab) * double(longcat.hidden);
  const double base = double(active_parameters(longcat)) - 8 * choice - table;
  EXPECT_NEAR(base / 1e9, 18.6, 0.1);
  EXPECT_NEAR((base + computing * choice) / 1e9, 27, 0.2);
  EXPECT_NEAR((base + 12 * choice) / 1e9, 31.3, 0.1);
}

// AdaMoE on Mixtral-8x7B: null experts and k = 3 leave about 1.67 of 2 true experts a token, 14.5 % fewer FLOPs. What
// each token multiplies by is all active parameters but the embedding's table; 1.67 may be 1.665 to 1.675.
TEST(PublishedRouting, AdaMoesNullExpertsSaveAFourteenthAndAHalfPercentOfMixtral) {
  const LlmSpec mixtral = load_llm("mixtral-8x7b");
  const double expert = double(moe_layers(mixtral)) * double(expert_parameters(mixtral));
  const double active = double(active_parameters(mixtral)) - double(mixtral.vocab) * double(mixtral.hidden);
  const RoutingTrace scores = DrawnScores({}, {4, 8, 8}, 1).draw(0, 4000);
  const auto saved = [&](double true_experts) {
    Rerouting options;
    options.top_k = 3;
    options.baseline = 2;
    options.zero_experts = 8;
    options.true_experts = true_experts;
    RerouteCounts counts;
    rerouted(options, scores, 1, counts);
    EXPECT_NEAR(double(counts.computed) / double(counts.rows), true_experts, 1e-3);
    return counts.saved_work * 2 * expert / active;
  };
  EXPECT_GE(saved(1.665), 0.1445);
  EXPECT_LE(saved(1.675), 0.1455);
}

}  // namespace
}  // namespace moesim
