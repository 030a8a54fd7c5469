#include "traces/reroute.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/random_network.h"
#include "tests/traces/trace_cases.h"
#include "traces/drawn_scores.h"
#include "traces/routing_trace_file.h"
#include "traces/trace_input.h"

namespace moesim {
namespace {

constexpr uint64_t kSeed = 5;

RoutingTrace uniform_scores(int64_t tokens, int64_t layers, int64_t experts) {
  SyntheticRouting options;
  options.popularity = Popularity::uniform;
  return DrawnScores(options, {layers, experts, experts}, kSeed).draw(0, tokens);
}

RerouteCounts counts_of(const Rerouting& options, const RoutingTrace& trace) {
  RerouteCounts counts;
  rerouted(options, trace, kSeed, counts);
  return counts;
}

RoutingTrace chosen_anew(const Rerouting& options, const RoutingTrace& trace) {
  RerouteCounts counts;
  return rerouted(options, trace, kSeed, counts);
}

// One layer whose rows have these scores, by falling score.
RoutingTrace trace_of_scores(const std::vector<std::vector<float>>& rows) {
  const auto experts = int64_t(rows[0].size());
  RoutingTrace trace = empty_trace(int64_t(rows.size()), 1, experts, experts);
  trace.ids.clear();
  for (const std::vector<float>& row : rows)
    for (size_t expert = 0; expert < row.size(); ++expert) {
      trace.ids.push_back(uint16_t(expert));
      trace.gate.push_back(row[expert]);
    }
  return trace;
}

std::string faults_of(const Rerouting& options, const RoutingTrace& trace) {
  std::string all;
  for (const Fault& fault : check_rerouting(options, head_of(trace))) all += fault.path + ": " + fault.message + "\n";
  return all;
}

// Any settings that fit a trace of all scores of 24 experts.
Rerouting random_rerouting(Rng& rng) {
  Rerouting options;
  options.selection = Selection(rng.below(5));
  options.top_k = options.selection == Selection::grouped ? 4 : int32_t(rng.between(2, 6));
  options.groups = 4;
  options.top_groups = 2;
  options.p = rng.uniform();
  if (rng.below(2) > 0) options.noise = rng.uniform();
  if (options.selection != Selection::expert_choice && rng.below(2) > 0) {
    options.capacity_factor = 0.5 + rng.uniform();
    options.drop_order = DropOrder(rng.below(2));
  }
  if (options.selection == Selection::top_k) {
    options.zero_experts = int32_t(rng.below(4));
    options.copy_experts = int32_t(rng.below(4));
    options.constant_experts = int32_t(rng.below(4));
    options.shared_experts = int32_t(rng.below(2));
  }
  options.batch_tokens = rng.between(1, 60);
  return options;
}

TEST(Reroute, LosesNoTokenAndAccountsForEveryChoice) {
  for_each_seed(100, [](Rng& rng) {
    RoutingTrace trace = uniform_scores(rng.between(1, 50), 2, 24);
    for (int64_t token = 0; token < trace.tokens; ++token) trace.request.push_back(int32_t(rng.below(5)));
    const Rerouting options = random_rerouting(rng);
    ASSERT_EQ(faults_of(options, trace), "");
    RerouteCounts counts;
    const RoutingTrace out = rerouted(options, trace, kSeed, counts);

    EXPECT_EQ(out.tokens, trace.tokens);
    EXPECT_EQ(out.request, trace.request);
    EXPECT_TRUE(check_trace(out).empty());
    EXPECT_EQ(counts.rows, trace.tokens * trace.layers);
    EXPECT_EQ(counts.selected, counts.computed + counts.zero + counts.copied + counts.constant + counts.dropped);
    EXPECT_EQ(counts.computed, std::count_if(out.ids.begin(), out.ids.end(), [](uint16_t e) { return e != kDropped; }));
    if (options.selection == Selection::top_k) {
      EXPECT_EQ(counts.selected + counts.shared, counts.rows * options.top_k);
    }
  });
}

TEST(Reroute, WritesChoicesByFallingScore) {
  Rerouting options;
  options.top_k = 5;
  options.noise = 1;
  const RoutingTrace out = chosen_anew(options, uniform_scores(30, 2, 24));
  for (int64_t token = 0; token < out.tokens; ++token) {
    const auto weights = gate_weights(out, token, 1);
    EXPECT_TRUE(std::is_sorted(weights.begin(), weights.end(), std::greater<>()));
  }
}

TEST(Reroute, ChangesNothingWhereNothingIsAskedFor) {
  for_each_seed(30, [](Rng& rng) {
    const RoutingTrace trace = random_trace(rng, 40, false);
    const RoutingTrace out = chosen_anew({}, trace);
    // Weights of that trace are in no order; the choices come by weight.
    for (int64_t token = 0; token < trace.tokens; ++token) {
      const auto before = choices(trace, token, 0);
      const auto after = choices(out, token, 0);
      EXPECT_EQ(std::set<uint16_t>(before.begin(), before.end()), std::set<uint16_t>(after.begin(), after.end()));
    }
  });
}

TEST(Reroute, DoesNotDependOnHowATraceComesInBlocks) {
  const RoutingTrace trace = uniform_scores(50, 2, 24);
  for_each_seed(30, [&](Rng& rng) {
    const Rerouting options = random_rerouting(rng);
    RoutingTrace out;
    const ReroutedUse use{[&](const TraceHead& head) { (out = head.about).tokens = 0; },
                          [&](const RoutingTrace& batch) {
                            out.tokens += batch.tokens;
                            out.ids.insert(out.ids.end(), batch.ids.begin(), batch.ids.end());
                          }};
    const TokenWalk walk = [&](const auto& block) {
      for (int64_t first = 0; first < trace.tokens; first += 7)
        block(tokens_of(trace, {first, std::min<int64_t>(7, trace.tokens - first)}), first);
    };
    reroute(options, head_of(trace), walk, kSeed, use);
    EXPECT_EQ(out.ids, chosen_anew(options, trace).ids);
  });
}

// Two experts whose scores are u and 1 - u, u even on [0, 1]: the better one is alone enough where max(u, 1 - u) > p,
// which for p >= 1/2 has the probability 2 (1 - p). So 2 - 2 (1 - p) = 2 p experts on average.
TEST(TopP, TakesTwiceThePExpertsOnAverageWhereTwoShareEvenly) {
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 10'000; ++i) {
    const float u = (float(i) + 0.5F) / 10'000;
    rows.push_back({std::max(u, 1 - u), std::min(u, 1 - u)});
  }
  Rerouting options;
  options.selection = Selection::top_p;
  options.baseline = 2;
  for (const double p : {0.5, 0.6, 0.75, 0.9}) {
    options.p = p;
    const RerouteCounts counts = counts_of(options, trace_of_scores(rows));
    EXPECT_NEAR(double(counts.computed) / 10'000, 2 * p, 2e-4);
    EXPECT_NEAR(counts.saved_work, 1 - p, 1e-4);
  }
}

// Equal scores of 1/64: the sum exceeds 0.4 with the first count above 25.6. Geometric ones, 1/2, 1/4, ...: after n
// experts the sum is 1 - 2^-n, which exceeds 0.9 with the fourth.
TEST(TopP, KeepsUpToAndWithTheFirstExpertThatExceedsP) {
  Rerouting options;
  options.selection = Selection::top_p;
  options.baseline = 8;
  options.p = 0.4;
  EXPECT_EQ(counts_of(options, trace_of_scores({std::vector<float>(64, 1.0F / 64)})).computed, 26);
  std::vector<float> geometric;
  for (int rank = 1; rank <= 10; ++rank) geometric.push_back(std::ldexp(1.0F, -rank));
  options.p = 0.9;
  EXPECT_EQ(counts_of(options, trace_of_scores({geometric})).computed, 4);
}

TEST(TopP, SaysWhereTheRecordedScoresDoNotReachP) {
  RoutingTrace trace = empty_trace(1, 1, 2, 4);
  trace.ids = {2, 0};
  trace.gate = {0.4F, 0.2F};
  Rerouting options;
  options.selection = Selection::top_p;
  options.p = 0.7;
  EXPECT_EQ(counts_of(options, trace).undecided_rows, 1);
  options.p = 0.5;
  EXPECT_EQ(counts_of(options, trace).undecided_rows, 0);
}

// MoGE (Pangu Pro MoE): 64 experts, top-8, 8 groups, batches of 16 tokens. Each group gets 16 choices of each batch, so
// the fullest and the emptiest are alike; of plain top-8 they hardly ever are.
TEST(GroupedExperts, HaveNoImbalanceBetweenGroupsAndTopKNearlyAlwaysHas) {
  const RoutingTrace trace = uniform_scores(16, 1, 64);
  Rerouting options;
  options.selection = Selection::grouped;
  options.top_k = 8;
  options.batch_tokens = 16;
  EXPECT_EQ(counts_of(options, uniform_scores(16 * 200, 2, 64)).group_imbalance, 0);
  options.selection = Selection::top_k;
  int even = 0;
  for (int64_t batch = 0; batch < 200; ++batch) {
    const RoutingTrace tokens = tokens_of(uniform_scores(16 * 200, 1, 64), {16 * batch, 16});
    even += counts_of(options, tokens).group_imbalance == 0 ? 1 : 0;
  }
  EXPECT_LE(even, 1);
}

TEST(GroupLimited, ChoosesFromAsManyGroupsAsAllowedAndIsTopKWhereAllAre) {
  const RoutingTrace trace = uniform_scores(200, 1, 64);
  Rerouting options;
  options.selection = Selection::group_limited;
  options.top_k = 8;
  const RoutingTrace limited = chosen_anew(options, trace);
  for (int64_t token = 0; token < limited.tokens; ++token) {
    std::set<int> groups;
    for (const uint16_t expert : choices(limited, token, 0)) groups.insert(expert / 8);
    EXPECT_LE(groups.size(), 4u);
  }
  options.top_groups = 8;
  Rerouting plain;
  plain.top_k = 8;
  EXPECT_EQ(chosen_anew(options, trace).ids, chosen_anew(plain, trace).ids);
}

// Groups {0, 1} and {2, 3}: the best two of the first sum to 0.4 + 0.05, of the second to 0.3 + 0.25. By the best alone
// the first group wins.
TEST(GroupLimited, WeighsAGroupByTheSumOfItsBest) {
  RoutingTrace trace = empty_trace(1, 1, 4, 4);
  trace.ids = {0, 2, 3, 1};
  trace.gate = {0.4F, 0.3F, 0.25F, 0.05F};
  Rerouting options;
  options.selection = Selection::group_limited;
  options.top_k = 2;
  options.groups = 2;
  options.top_groups = 1;
  EXPECT_EQ(chosen_anew(options, trace).ids, (std::vector<uint16_t>{2, 3}));
  options.group_best = 1;
  EXPECT_EQ(chosen_anew(options, trace).ids, (std::vector<uint16_t>{0, 1}));
}

// 100 tokens, 24 experts, 6 choices on average: each expert takes 25 of each batch.
TEST(ExpertChoice, LoadsAllExpertsAlike) {
  Rerouting options;
  options.selection = Selection::expert_choice;
  options.top_k = 6;
  options.batch_tokens = 100;
  const RerouteCounts counts = counts_of(options, uniform_scores(300, 2, 24));
  EXPECT_EQ(counts.computed, 300 * 2 * 6);
  EXPECT_DOUBLE_EQ(counts.hottest_over_mean, 1);
  EXPECT_LT(counts.experts_per_row_min, 6);
  EXPECT_GT(counts.experts_per_row_max, 6);
}

// Experts 0 and 1 of four get all 8 choices of four tokens; the mean is 2. With a factor of 1 each takes 2.
TEST(Capacity, DropsWhatAnExpertHasNoRoomForAndPrefersTheEarlierOrTheHigher) {
  const RoutingTrace trace =
      trace_of_scores({{0.4F, 0.3F, 0, 0}, {0.5F, 0.35F, 0, 0}, {0.6F, 0.2F, 0, 0}, {0.7F, 0.1F, 0, 0}});
  Rerouting options;
  options.top_k = 2;
  options.capacity_factor = 1;
  RerouteCounts counts;
  EXPECT_EQ(rerouted(options, trace, kSeed, counts).ids,
            (std::vector<uint16_t>{0, 1, 0, 1, kDropped, kDropped, kDropped, kDropped}));
  EXPECT_EQ(counts.dropped, 4);
  EXPECT_EQ(counts.lost_rows, 2);
  options.drop_order = DropOrder::score;
  EXPECT_EQ(rerouted(options, trace, kSeed, counts).ids,
            (std::vector<uint16_t>{1, kDropped, 1, kDropped, 0, kDropped, 0, kDropped}));
  EXPECT_EQ(counts.lost_rows, 0);
}

TEST(IdleExperts, TakeTheirShareUnlessAnotherIsGiven) {
  const RoutingTrace trace = uniform_scores(2000, 2, 64);
  Rerouting options;
  options.top_k = 12;
  options.zero_experts = 8;
  options.copy_experts = 16;
  options.constant_experts = 8;
  // 64 of 96 experts compute, so 8 of 12 choices; a quarter of the others is zero, half copies, a quarter constant.
  const RerouteCounts counts = counts_of(options, trace);
  const double rows = double(counts.rows);
  EXPECT_NEAR(double(counts.computed) / rows, 8, 1e-3);
  EXPECT_NEAR(double(counts.copied) / rows, 2, 0.05);
  EXPECT_NEAR(double(counts.zero) / double(counts.constant), 1, 0.05);
  options.true_experts = 5.5;
  EXPECT_NEAR(double(counts_of(options, trace).computed) / rows, 5.5, 1e-3);
}

// Thresholds of the gate, not chance: a token whose choices are clear-cut computes fewer experts.
TEST(IdleExperts, SpareTokensWhoseScoresArePeaked) {
  const RoutingTrace trace = trace_of_scores({{0.9F, 0.06F, 0.04F}, {0.4F, 0.35F, 0.25F}});
  Rerouting options;
  options.top_k = 2;
  options.zero_experts = 2;
  options.true_experts = 1.5;
  EXPECT_EQ(chosen_anew(options, trace).ids, (std::vector<uint16_t>{0, kDropped, 0, 1}));
}

TEST(SharedExperts, AreTheMostChosenAndLeaveTheRestRenumbered) {
  const RoutingTrace trace = trace_of_scores({{0.1F, 0.5F, 0.2F}, {0.1F, 0.5F, 0.2F}});
  RoutingTrace sorted = trace;
  sorted.ids = {1, 2, 0, 1, 2, 0};
  sorted.gate = {0.5F, 0.2F, 0.1F, 0.5F, 0.2F, 0.1F};
  Rerouting options;
  options.top_k = 2;
  options.shared_experts = 1;
  RerouteCounts counts;
  const RoutingTrace out = rerouted(options, sorted, kSeed, counts);
  EXPECT_EQ(out.experts, 2);
  EXPECT_EQ(out.ids, (std::vector<uint16_t>{1, 1}));  // what was expert 2
  EXPECT_EQ(counts.shared, 2);
  EXPECT_EQ(counts.saved_work, 0);
}

TEST(GatingNoise, MovesMoreChoicesTheMoreThereIs) {
  const RoutingTrace trace = uniform_scores(500, 1, 32);
  Rerouting options;
  options.top_k = 4;
  const std::vector<uint16_t> quiet = chosen_anew(options, trace).ids;
  int64_t before = 0;
  for (const double noise : {0.1, 0.5, 2.0}) {
    options.noise = noise;
    const std::vector<uint16_t> loud = chosen_anew(options, trace).ids;
    int64_t moved = 0;
    for (size_t i = 0; i < quiet.size(); ++i) moved += quiet[i] != loud[i] ? 1 : 0;
    EXPECT_GT(moved, before);
    before = moved;
  }
}

TEST(CheckRerouting, SaysWhichScoresAreMissing) {
  Rng rng(1);
  RoutingTrace trace = random_trace(rng, 24, false);
  trace.gate.clear();
  Rerouting options;
  options.selection = Selection::top_p;
  EXPECT_TRUE(says(faults_of(options, trace), "the trace has no gate scores"));
  options.selection = Selection::group_limited;
  options.groups = 5;
  const std::string faults = faults_of(options, trace);
  EXPECT_TRUE(says(faults, "/groups: 5 groups do not divide 24 experts"));
  EXPECT_TRUE(says(faults, "the scores of all 24 experts are needed"));
  options.groups = 4;
  options.scores = ScoreSource::synthetic;
  EXPECT_EQ(faults_of(options, trace), "");
  EXPECT_TRUE(says(faults_of({}, uniform_scores(2, 1, 8)), "/top_k: must be given"));
}

TEST(MadeUpScores, LeaveTheRecordedChoicesBestAndAreLabelled) {
  for_each_seed(20, [](Rng& rng) {
    RoutingTrace trace = random_trace(rng, 24, false);
    trace.gate.clear();
    Rerouting options;
    options.scores = ScoreSource::synthetic;
    options.top_k = int32_t(trace.top_k);
    const RoutingTrace out = chosen_anew(options, trace);
    EXPECT_EQ(out.ids, trace.ids);
    EXPECT_TRUE(says(out.recorded, "made up"));
  });
}

// Scores that a trained gate gave, of all 128 experts.
TEST(RecordedScores, GiveEveryWayOfRoutingWhatItPromises) {
  const RoutingTrace trace =
      read_routing_trace(std::string(MOESIM_SOURCE_DIR) + "/traces/samples/moe128k6-scores-sample.h5");
  Rerouting options;
  options.top_k = 8;
  options.batch_tokens = 100;
  EXPECT_GT(counts_of(options, trace).group_imbalance, 0.1);
  options.selection = Selection::grouped;
  EXPECT_EQ(counts_of(options, trace).group_imbalance, 0);
  options.selection = Selection::expert_choice;
  options.batch_tokens = 208;  // 13 choices an expert, exactly: 208 * 8 / 128
  EXPECT_DOUBLE_EQ(counts_of(options, trace).hottest_over_mean, 1);
  options.selection = Selection::top_k;
  options.copy_experts = 64;
  const RerouteCounts counts = counts_of(options, trace);
  EXPECT_NEAR(double(counts.computed) / double(counts.rows), 8.0 * 128 / 192, 0.01);  // scores of 16 bits tie
}

}  // namespace
}  // namespace moesim
