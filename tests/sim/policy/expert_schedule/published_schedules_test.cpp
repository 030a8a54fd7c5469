// Expert schedules on layers whose plans are published, or follow by hand from the published rule.

#include <gtest/gtest.h>

#include "tests/support/expert_schedule_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

// HybriMoE's figure 5: A, B and C are missing with 1, 1 and 3 tokens, D and E present with 4 and 1. The CPU takes as
// long as there are tokens, the GPU 1, a copy 3.
ExpertCase hybrimoe_example(int64_t shared) {
  std::vector<ExpertWork> experts;
  for (const int64_t tokens : {1, 1, 3, 4, 1}) {
    const auto expert = int32_t(experts.size());
    experts.push_back(
        {.expert = expert, .tokens = tokens, .resident = expert >= 3, .gpu = 1_ms, .cpu = tokens * 1_ms, .copy = 3_ms});
  }
  ExpertCase c(std::move(experts));
  c.in.gpu_busy = shared * 1_ms;
  return c;
}

// CPU: A to 1, B to 2, E to 3. Bus: C to 3. GPU: shared to 1, D to 2, C from 3 to 4. At 3 three steps would end at
// once, C's copy and E on either side: the CPU goes first.
TEST(ThreeQueues, PlansHybrimoesExampleAsPublished) {
  for (const int64_t shared : {1, 2}) {
    SCOPED_TRACE(shared);
    const ExpertCase c = hybrimoe_example(shared);
    const ExpertPlan plan = plan_by("three_queues", c.in);
    EXPECT_EQ(places(c.in, plan), "ccggc");
    EXPECT_EQ(order_at(plan, ExpertPlace::cpu), (std::vector<int32_t>{0, 1, 4}));
    EXPECT_EQ(order_at(plan, ExpertPlace::gpu), (std::vector<int32_t>{3, 2}));
    EXPECT_EQ(plan_times(c.in, plan).makespan(), 4_ms);
  }
}

// Shared experts to 1: D and then E go to the GPU before the CPU could have E. Shared to 2: D takes the GPU to 3, so E
// would end there at 4, and goes to the CPU, which is done with B at 2, under both rules.
TEST(ThreeQueues, GivesATieToTheGpuWhereItIsTold) {
  const ExpertCase tie = hybrimoe_example(1);
  const ExpertPlan to_gpu = plan_by("three_queues", tie.in, R"("ties": "gpu")");
  EXPECT_EQ(places(tie.in, to_gpu), "ccggg");
  EXPECT_EQ(plan_times(tie.in, to_gpu).makespan(), 4_ms);
  const ExpertCase no_tie = hybrimoe_example(2);
  EXPECT_EQ(places(no_tie.in, plan_by("three_queues", no_tie.in, R"("ties": "gpu")")), "ccggc");
}

// The CPU takes the lightest from the end of the GPU's queue, where the higher number of two equals stands.
TEST(ThreeQueues, GivesTheLowerNumberOfTwoEqualsToTheGpu) {
  const ExpertWork work = {.tokens = 1, .resident = true, .gpu = 1_ms, .cpu = 1_ms, .copy = 1_ms};
  ExpertCase c({work, work});
  c.experts[1].expert = 1;
  EXPECT_EQ(places(c.in, plan_by("three_queues", c.in)), "gc");
  const ExpertCase one({work});
  EXPECT_EQ(places(one.in, plan_by("three_queues", one.in)), "c");
  EXPECT_EQ(places(one.in, plan_by("three_queues", one.in, R"("ties": "gpu")")), "g");
}

// Six experts of one token with the constants of HybriMoE's code.
std::vector<ExpertWork> six_experts(int32_t present) {
  std::vector<ExpertWork> experts;
  for (int32_t expert = 0; expert < 6; ++expert)
    experts.push_back({.expert = expert,
                       .tokens = 1,
                       .resident = expert < present,
                       .gpu = 500_us,
                       .cpu = 1000_us,
                       .copy = 417'900_ns});
  return experts;
}

// With none present the GPU's first comes at 0.418 and it ends after four at 0.418 + 4 x 0.5 = 2.418; a fifth would be
// done at 2.918, later than the CPU's second, at 0.79 + 2 = 2.79. Once one is present the copies hide behind the GPU:
// five take 2.5, and the CPU's one 1.79.
TEST(TwoPointers, SplitsSixExpertsAsHybrimoesCode) {
  for (int32_t present = 0; present <= 6; ++present) {
    SCOPED_TRACE(present);
    ExpertCase c(six_experts(present));
    c.in.cpu_first = 790_us;
    const ExpertPlan plan = plan_by("two_pointers", c.in);
    const PlanTimes times = plan_times(c.in, plan);
    EXPECT_EQ(order_at(plan, ExpertPlace::cpu).size(), present == 0 ? 2u : 1u);
    EXPECT_EQ(times.gpu, present == 0 ? 2'417'900_ns : 2500_us);
    EXPECT_EQ(times.cpu, present == 0 ? 2790_us : 1790_us);
    c.in.has_prefill = true;
    EXPECT_EQ(places(c.in, plan_by("two_pointers", c.in)), "gggggg");
  }
}

// The CPU takes 7 a token, copy and GPU together 70: at ten tokens they are equal and nothing is copied.
TEST(Threshold, CopiesFromElevenTokensOnWithFiddlersConstants) {
  for (int64_t tokens = 1; tokens <= 20; ++tokens) {
    SCOPED_TRACE(tokens);
    ExpertCase c({{.tokens = tokens, .gpu = 10_us, .cpu = tokens * 7_us, .copy = 60_us}});
    EXPECT_EQ(places(c.in, plan_by("threshold", c.in)), tokens <= 10 ? "c" : "g");
    c.experts[0].resident = true;
    EXPECT_EQ(places(c.in, plan_by("threshold", c.in)), "g");
  }
}

// Where a copy is under way, what is left of it counts: 35 for five tokens is less than 30 + 10.
TEST(Threshold, WaitsForACopyThatIsNearlyThere) {
  ExpertCase c({{.tokens = 5, .arriving = true, .arrives = 30_us, .gpu = 10_us, .cpu = 35_us, .copy = 60_us}});
  EXPECT_EQ(places(c.in, plan_by("threshold", c.in)), "c");
  c.experts[0].arrives = 20_us;
  EXPECT_EQ(places(c.in, plan_by("threshold", c.in)), "g");
}

TEST(OnDemand, RunsWhatIsThereFirstAndCopiesTheHeaviestFirst) {
  const ExpertCase c({{.expert = 0, .tokens = 1},
                      {.expert = 1, .tokens = 5},
                      {.expert = 2, .tokens = 2, .resident = true},
                      {.expert = 3, .tokens = 5},
                      {.expert = 4, .tokens = 3, .resident = true},
                      {.expert = 5, .tokens = 9, .arriving = true, .arrives = 1_ms}});
  EXPECT_EQ(order_at(plan_by("on_demand", c.in), ExpertPlace::gpu), (std::vector<int32_t>{4, 2, 5, 1, 3, 0}));
  EXPECT_EQ(order_at(plan_by("on_demand", c.in, R"("order": "expert")"), ExpertPlace::gpu),
            (std::vector<int32_t>{2, 4, 0, 1, 3, 5}));
}

TEST(CpuWhereMissing, MovesNoWeights) {
  ExpertCase c({{.resident = true}, {.expert = 1}, {.expert = 2, .arriving = true, .arrives = 1_ms}});
  EXPECT_EQ(places(c.in, plan_by("cpu_where_missing", c.in)), "gcc");
  c.in.in_memory = true;
  EXPECT_EQ(places(c.in, plan_by("cpu_where_missing", c.in)), "ggg");
}

TEST(CpuLayers, PutsTheFirstLayersOnTheCpuWhoeverIsPresent) {
  ExpertCase c({{.resident = true}, {.expert = 1}});
  EXPECT_EQ(places(c.in, plan_by("cpu_layers", c.in)), "cc");
  EXPECT_EQ(places(c.in, plan_by("cpu_layers", c.in, R"("layers": 2)")), "cc");
  c.in.layer = 2;
  EXPECT_EQ(places(c.in, plan_by("cpu_layers", c.in, R"("layers": 2)")), "gg");
}

ExpertCase six_weights() {
  std::vector<ExpertWork> experts;
  for (const double weight : {0.0625, 0.5, 0.0625, 0.25, 0.0625, 0.0625})
    experts.push_back({.expert = int32_t(experts.size()), .tokens = 1, .weight = weight, .cpu = 1_ms});
  return ExpertCase(std::move(experts));
}

// 0, 2, 4 and 5 rank lowest alike, of which the higher numbers go first.
TEST(Deferral, DefersTheLowestRankedOfTheCpu) {
  ExpertCase c = six_weights();
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in)), "ccccdd");
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in, R"("experts": 3)")), "ccdcdd");
  EXPECT_EQ(plan_times(c.in, plan_by("deferral", c.in)).cpu, 4_ms);
  c.experts[4].resident = true;
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in)), "ccdcgd");
}

TEST(Deferral, KeepsToAPartOfTheGatesWeight) {
  const ExpertCase c = six_weights();
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in, R"("experts": 6, "weight": "12.5%")")), "ccccdd");
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in, R"("experts": 6, "weight": "12%")")), "cccccd");
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in, R"("experts": 6)")), "dddddd");
}

TEST(Deferral, DefersNothingInPrefillNorInTheLastLayer) {
  ExpertCase c = six_weights();
  c.in.has_prefill = true;
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in)), "cccccc");
  c.in.has_prefill = false;
  c.in.layer = 9;
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in)), "cccccc");
}

// Four tokens may have 2 x 4 = 8 choices deferred: 1 + 2 + 4 = 7, and 5 more would be too many.
TEST(Deferral, GoesByTokensWhereWeightsAreNotKnown) {
  ExpertCase c({{.tokens = 4}, {.expert = 1, .tokens = 1}, {.expert = 2, .tokens = 5}, {.expert = 3, .tokens = 2}});
  c.in.tokens = 4;
  EXPECT_EQ(places(c.in, plan_by("deferral", c.in)), "ddcd");
}

// In the row 8, 4, 2, 2 all copies take 3: with one on the GPU the CPU takes 8; with two the GPU is done at 3 + 3 + 1 =
// 7, the CPU at 4; with three the GPU at 10.
TEST(HybridPrefill, CutsTheRowWhereBothEndTogether) {
  std::vector<ExpertWork> experts;
  for (const int64_t tokens : {2, 8, 4, 2})
    experts.push_back(
        {.expert = int32_t(experts.size()), .tokens = tokens, .gpu = 1_ms, .cpu = tokens * 1_ms, .copy = 3_ms});
  ExpertCase c(std::move(experts));
  c.in.has_prefill = true;
  const ExpertPlan plan = plan_by("hybrid_prefill", c.in);
  EXPECT_EQ(places(c.in, plan), "cggc");
  EXPECT_EQ(plan_times(c.in, plan).makespan(), 7_ms);
}

TEST(HybridPrefill, IsInPrefillNeverWorseThanEitherEndOfTheRow) {
  for_each_seed(300, [](Rng& rng) {
    ExpertCase c;
    fill_random_case(c, 14, rng);
    c.in.has_prefill = true;
    const Duration hybrid = plan_times(c.in, plan_by("hybrid_prefill", c.in)).makespan();
    for (const char* other : {"on_demand", "cpu_where_missing", "cpu_layers"})
      EXPECT_LE(hybrid, plan_times(c.in, plan_by(other, c.in)).makespan()) << other;
    c.in.has_prefill = false;
    EXPECT_EQ(places(c.in, plan_by("hybrid_prefill", c.in)), places(c.in, plan_by("three_queues", c.in)));
  });
}

ExpertCase in_memory(const std::vector<int64_t>& tokens) {
  std::vector<ExpertWork> experts;
  for (const int64_t of_expert : tokens)
    experts.push_back({.expert = int32_t(experts.size()),
                       .tokens = of_expert,
                       .resident = true,
                       .gpu = 2_ms,
                       .cpu = of_expert * 1_ms});
  ExpertCase c(std::move(experts));
  c.in.in_memory = true;
  return c;
}

// 8 on the GPU alone; without 1 it is 6 beside 1; without 2 too, 4 beside 2; 3 as well would take 2 beside 2 + 8.
TEST(CoProcessing, MovesTheFewestTokensWhileBothEndEarlier) {
  ExpertCase c = in_memory({10, 1, 1, 8});
  c.in.has_prefill = true;
  const ExpertPlan plan = plan_by("co_processing", c.in);
  EXPECT_EQ(places(c.in, plan), "gccg");
  EXPECT_EQ(plan_times(c.in, plan).makespan(), 4_ms);
}

// Of 16 on the GPU, space 1 (experts 1 and 5, 2 tokens) leaves 12 beside 2, space 2 (2 and 6, 4 tokens) 8 beside 6, and
// space 3 (3 and 7, 6 tokens) would leave 4 beside 12. In eight spaces the three of one token go first, 10 beside 3,
// then 3, 8 beside 6; 6 would leave 6 beside 9.
TEST(CoProcessing, MovesAllExpertsOfASpaceTogether) {
  const ExpertCase c = in_memory({9, 1, 1, 3, 9, 1, 3, 3});
  EXPECT_EQ(places(c.in, plan_by("co_processing", c.in)), "gccggccg");
  EXPECT_EQ(places(c.in, plan_by("co_processing", c.in, R"("spaces": 8)")), "gcccgcgg");
}

// Space 1 cannot move. Space 2 leaves 12 beside 4, space 3 then 8 beside 10; space 0 would leave 4 beside 28.
TEST(CoProcessing, LeavesASpaceToTheGpuOfWhichAnExpertIsMissing) {
  ExpertCase c = in_memory({9, 1, 1, 3, 9, 1, 3, 3});
  c.experts[5].resident = false;
  c.experts[5].copy = 1_ms;
  EXPECT_EQ(places(c.in, plan_by("co_processing", c.in)), "ggccggcc");
}

TEST(CoProcessing, LeavesDecodeToTheMemoryWhereItIsTold) {
  ExpertCase c = in_memory({9, 9});
  EXPECT_EQ(places(c.in, plan_by("co_processing", c.in, R"("decode": "beside")")), "cc");
  c.in.has_prefill = true;
  EXPECT_EQ(places(c.in, plan_by("co_processing", c.in, R"("decode": "beside")")), "gg");
}

}  // namespace
}  // namespace moesim
