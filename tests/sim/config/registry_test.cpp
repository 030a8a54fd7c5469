#include "sim/config/registry.h"

#include <gtest/gtest.h>

#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "tests/sim/config/every_kind.h"

namespace moesim {
namespace {

using every_kind::SampleInput;
using every_kind::SamplePolicy;
using every_kind::SlackOptions;

struct LaterPolicy {
  using Input = SampleInput;
  using Decision = int32_t;
};

// A policy with memory: the sum of what it has seen so far.
struct SumPolicy {
  using State = int32_t;
  using Input = SampleInput;
  using Decision = int32_t;
};
int32_t step_sum(int32_t& sum, const SampleInput& in, const SlackOptions& options, Rng&) {
  return sum += in.tokens + options.slack;
}
const bool registered_sum = Registry<SumPolicy>::instance().add("sum", "adds up", step_sum);

TEST(Registry, ListsEntriesByNameWhateverTheOrderOfRegistration) {
  EXPECT_EQ(Registry<SamplePolicy>::instance().names(), (std::vector<std::string>{"greedy", "zero"}));
  EXPECT_NE(Registry<SamplePolicy>::instance().find("zero"), nullptr);
  EXPECT_EQ(Registry<SamplePolicy>::instance().find("none"), nullptr);
}

TEST(Registry, RefusesANameThatIsTaken) {
  EXPECT_THROW(Registry<SamplePolicy>::instance().add("zero", "again", every_kind::sample_zero), InternalError);
}

TEST(Registry, RunsAContractOverEveryEntry) {
  Rng rng(1);
  for (const auto& entry : Registry<SamplePolicy>::instance().entries()) {
    EXPECT_GE(entry.decide(SampleInput{5}, entry.default_options(), rng), 0) << entry.name;
    EXPECT_FALSE(entry.doc.empty()) << entry.name;
  }
}

TEST(PolicyChoice, DecidesWithTheOptionsThatWereRead) {
  Rng rng(1);
  const auto decision = [&](const char* json) {
    PolicyChoice<SamplePolicy> choice{"zero"};
    std::vector<Fault> faults;
    choice.read(parse_json(json, "a.json"), Place{}, faults);
    throw_if_any("a.json", faults);
    return choice.decide(SampleInput{10}, rng);
  };
  EXPECT_EQ(decision(R"("zero")"), 0);
  EXPECT_EQ(decision(R"("greedy")"), 12);  // 10 tokens and the default slack of 2
  EXPECT_EQ(decision(R"({"policy": "greedy", "slack": 5})"), 15);
}

// Two of 10 tokens with a slack of 2, then one of 1 with its own: 12, 24, 24 + 6.
TEST(PolicyChoice, StepsAStateThatItsCallerKeeps) {
  ASSERT_TRUE(registered_sum);
  Rng rng(1);
  const PolicyChoice<SumPolicy> choice{"sum"};
  int32_t state = 0;
  EXPECT_EQ(choice.step(state, SampleInput{10}, rng), 12);
  int32_t copy = state;
  EXPECT_EQ(choice.step(state, SampleInput{10}, rng), 24);
  EXPECT_EQ(choice.step(copy, SampleInput{10}, rng), 24);  // a copy goes its own way from where it was made
  EXPECT_EQ((PolicyChoice<SumPolicy>{"sum", SlackOptions{5, {}}}.step(state, SampleInput{1}, rng)), 30);
}

struct NamelessPolicy {
  using Input = SampleInput;
  using Decision = int32_t;
  static constexpr const char* kind = "nameless";
  static constexpr const char* unnamed = "greedy";
};

TEST(PolicyChoice, MeansThePolicyThatItsKindNamesWhereAnObjectNamesNone) {
  Registry<NamelessPolicy>::instance().add("greedy", "tokens and slack", every_kind::sample_greedy);
  Registry<NamelessPolicy>::instance().add("zero", "nothing", every_kind::sample_zero);
  PolicyChoice<NamelessPolicy> choice{"zero"};
  std::vector<Fault> faults;
  choice.read(parse_json(R"({"slack": 5})", "a.json"), Place{}, faults);
  throw_if_any("a.json", faults);
  Rng rng(1);
  EXPECT_EQ(choice.name(), "greedy");
  EXPECT_EQ(choice.decide(SampleInput{10}, rng), 15);
}

TEST(PolicyChoice, IsWrittenWithEveryOption) {
  EXPECT_EQ(json_value(PolicyChoice<SamplePolicy>("greedy")).dump(), R"({"policy":"greedy","slack":2,"delay":"5 ps"})");
  EXPECT_EQ(json_value(PolicyChoice<SamplePolicy>("zero")).dump(), R"({"policy":"zero"})");
  EXPECT_EQ(PolicyChoice<SamplePolicy>("greedy"), PolicyChoice<SamplePolicy>("greedy", SlackOptions{}));
  EXPECT_NE(PolicyChoice<SamplePolicy>("greedy"), PolicyChoice<SamplePolicy>("greedy", SlackOptions{3, {5}}));
}

TEST(PolicyChoice, MayNameADefaultThatIsRegisteredLater) {
  const PolicyChoice<LaterPolicy> choice{"late"};
  Rng rng(1);
  EXPECT_THROW(choice.decide(SampleInput{1}, rng), InternalError);
  Registry<LaterPolicy>::instance().add("late", "comes late", every_kind::sample_greedy);
  EXPECT_EQ(choice.decide(SampleInput{1}, rng), 3);
}

}  // namespace
}  // namespace moesim
