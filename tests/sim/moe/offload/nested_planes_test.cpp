#include "sim/moe/offload/nested_planes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/moe/offload/bits.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

using Order = std::vector<ExpertPlane>;

struct DemandCase {
  int32_t planes = 2;
  std::vector<int64_t> tokens;
  std::vector<int32_t> resident;
  std::vector<Duration> load;
  std::vector<Duration> token;

  PlaneDemand demand() const { return {planes, tokens, resident, load, token}; }
};

// Calls visit(order) for each order in which no plane comes before one below it.
template <class Visit>
void for_each_order(const PlaneDemand& demand, Visit visit) {
  Order by_expert = planes_by_expert(demand);
  std::vector<int32_t> experts;  // which expert's next plane comes: each order is one arrangement of this
  for (const ExpertPlane p : by_expert) experts.push_back(p.expert);
  std::vector<int32_t> first(size_t(demand.experts()), 0);
  for (size_t i = by_expert.size(); i-- > 0;) first[size_t(by_expert[i].expert)] = by_expert[i].plane;
  do {
    std::vector<int32_t> next = first;
    Order order;
    for (const int32_t expert : experts) order.push_back({expert, next[size_t(expert)]++});
    visit(order);
  } while (std::next_permutation(experts.begin(), experts.end()));
}

Duration fastest(const PlaneDemand& demand) {
  Duration least{INT64_MAX};
  for_each_order(demand, [&](const Order& order) { least = std::min(least, plane_times(demand, order).makespan); });
  return least;
}

DemandCase random_case(Rng& rng) {
  DemandCase c{int32_t(rng.between(1, 3)), {}, {}, {}, {}};
  for (int64_t expert = rng.between(1, 3); expert > 0; --expert) {
    for (int32_t plane = 0; plane < c.planes; ++plane) c.tokens.push_back(rng.between(0, 8));
    c.resident.push_back(rng.below(3) == 0 ? int32_t(rng.between(0, c.planes)) : 0);
  }
  for (int32_t plane = 0; plane < c.planes; ++plane) {
    c.load.push_back(Duration{rng.between(1, 40)});
    c.token.push_back(Duration{rng.between(1, 10)});
  }
  return c;
}

// Tokens: expert 0 has 1 for its base and 5 for the plane above, expert 1 has 3 and 4. Heads are 1 and 3, so expert 1's
// base; then 1 and 4, so its second; then expert 0.
TEST(HottestPlanesFirst, TakeTheHeadThatCompletesMostTokens) {
  const DemandCase c{2, {1, 5, 3, 4}, {}, {2_ns, 1_ns}, {1_ns, 1_ns}};
  EXPECT_EQ(hottest_planes_first(c.demand()), (Order{{1, 0}, {1, 1}, {0, 0}, {0, 1}}));
  EXPECT_EQ(planes_by_expert(c.demand()), (Order{{0, 0}, {0, 1}, {1, 0}, {1, 1}}));
}

// Nobody needs the finest plane of expert 0, and expert 1's base is there. Of equals the lower expert comes first.
TEST(HottestPlanesFirst, LoadWhatIsNeededAndNotThere) {
  const DemandCase c{3, {4, 4, 0, 4, 0, 4, 0, 0, 0}, {0, 1, 0}, {2_ns, 1_ns, 1_ns}, {1_ns, 1_ns, 1_ns}};
  EXPECT_EQ(hottest_planes_first(c.demand()), (Order{{0, 0}, {0, 1}, {1, 1}, {1, 2}}));
}

// Loads of 2, 1, 2, 1 ns end at 2, 3, 5, 6. Tokens: 3 ns from 2, 4 from 5, 1 from 9, 5 from 10: done at 15 after
// waiting for the first plane alone. The other way round: 1 from 2, 5 from 3, 3 from 8, 4 from 11: as fast.
TEST(PlaneTimes, StartTokensWhenTheirPlaneIsThereAndTheGpuIsFree) {
  const DemandCase c{2, {1, 5, 3, 4}, {}, {2_ns, 1_ns}, {1_ns, 1_ns}};
  const PlaneTimes times = plane_times(c.demand(), hottest_planes_first(c.demand()));
  EXPECT_EQ(times.load, 6_ns);
  EXPECT_EQ(times.compute, 13_ns);
  EXPECT_EQ(times.waiting, 2_ns);
  EXPECT_EQ(times.makespan, 15_ns);
  EXPECT_EQ(plane_times(c.demand(), planes_by_expert(c.demand())).makespan, 15_ns);
}

// Expert 0's base is there: its 3 tokens fill the time in which expert 1's plane comes, but for 1 ns.
TEST(PlaneTimes, ComputeResidentPlanesWhileOthersLoad) {
  const DemandCase c{1, {3, 2}, {1, 0}, {4_ns}, {1_ns}};
  const PlaneTimes times = plane_times(c.demand(), hottest_planes_first(c.demand()));
  EXPECT_EQ(times.waiting, 1_ns);
  EXPECT_EQ(times.makespan, 6_ns);
}

TEST(PlaneTimes, RefuseOrdersThatAreNone) {
  const DemandCase c{2, {1, 5, 3, 0}, {}, {2_ns, 1_ns}, {1_ns, 1_ns}};
  EXPECT_THROW(plane_times(c.demand(), Order{{0, 1}, {0, 0}, {1, 0}}), InternalError);
  EXPECT_THROW(plane_times(c.demand(), Order{{0, 0}, {0, 1}}), InternalError);
  EXPECT_THROW(plane_times(c.demand(), Order{{0, 0}, {0, 1}, {1, 0}, {1, 1}}), InternalError);
}

// The last load, the last token and one plane before all can never be saved; nothing takes longer than all in a row.
TEST(PlaneTimes, AreWithinBoundsInEveryOrder) {
  for_each_seed(100, [](Rng& rng) {
    const DemandCase c = random_case(rng);
    for_each_order(c.demand(), [&](const Order& order) {
      const PlaneTimes times = plane_times(c.demand(), order);
      EXPECT_GE(times.makespan, std::max(times.load, times.compute));
      EXPECT_LE(times.makespan, times.load + times.compute);
      EXPECT_EQ(times.waiting + times.compute, times.makespan);
    });
  });
}

// Johnson's rule for two machines: jobs that are as long on the first go by falling length on the second, as an
// exchange of two neighbours shows. Here every plane is such a job, and falling tokens keep planes in order by
// themselves.
TEST(HottestPlanesFirst, AreFastestWherePlanesAreAlikeAndFinerOnesHaveFewerTokens) {
  for_each_seed(300, [](Rng& rng) {
    DemandCase c = random_case(rng);
    for (auto first = c.tokens.begin(); first != c.tokens.end(); first += c.planes)
      std::sort(first, first + c.planes, std::greater<>());
    std::fill(c.load.begin(), c.load.end(), c.load[0]);
    std::fill(c.token.begin(), c.token.end(), c.token[0]);
    EXPECT_EQ(plane_times(c.demand(), hottest_planes_first(c.demand())).makespan, fastest(c.demand()));
  });
}

// The base of expert 0 completes 1 token and hides 9 behind it; expert 1 has 2. Loads take 1 ns, tokens too. By heat:
// expert 1 from 1 to 3, then 1 token to 4, then 9 to 13: only the first plane is waited for. That is fastest. With
// loads of 4 ns: planes are there at 4, 8 and 12; by heat 2 tokens to 6, 1 from 8 to 9, 9 from 12 to 21. With expert 0
// first: 1 from 4 to 5, 9 from 8 to 17, 2 to 19.
TEST(HottestPlanesFirst, CanBeSlowerThanExpertByExpertWhereAColdPlaneHidesAHotOne) {
  DemandCase c{2, {1, 9, 2, 0}, {}, {1_ns, 1_ns}, {1_ns, 1_ns}};
  EXPECT_EQ(plane_times(c.demand(), hottest_planes_first(c.demand())).makespan, 13_ns);
  EXPECT_EQ(fastest(c.demand()), 13_ns);
  c.load = {4_ns, 4_ns};
  EXPECT_EQ(plane_times(c.demand(), hottest_planes_first(c.demand())).makespan, 21_ns);
  EXPECT_EQ(plane_times(c.demand(), planes_by_expert(c.demand())).makespan, 19_ns);
  EXPECT_EQ(fastest(c.demand()), 19_ns);
}

TEST(HottestPlanesFirst, AreAValidOrder) {
  for_each_seed(300, [](Rng& rng) {
    const DemandCase c = random_case(rng);
    EXPECT_GE(plane_times(c.demand(), hottest_planes_first(c.demand())).makespan, fastest(c.demand()));
  });
}

// One copy serves 2, 3 and 4 bits: 4 bits a weight, where three copies have 9.
TEST(NestedPlanes, StoreFourNinthsOfCopiesOfEachWidth) {
  constexpr int64_t kWeights = 9'000'000;
  const std::vector<double> widths = {2, 3, 4};
  Bytes copies;
  Bytes nested;
  for (const double bits : widths) copies += stored_bytes(codec_for({}, bits), kWeights);
  for (const double bits : planes_of(widths)) nested += stored_bytes(codec_for({}, bits), kWeights);
  EXPECT_EQ(planes_of(widths), (std::vector<double>{2, 1, 1}));
  EXPECT_EQ(9 * nested, 4 * copies);
}

TEST(NestedPlanes, AreAsManyAsAWidthNeeds) {
  const std::vector<double> plane_bits = {2, 1, 1};
  EXPECT_EQ(planes_for(1, plane_bits), 1);
  EXPECT_EQ(planes_for(2, plane_bits), 1);
  EXPECT_EQ(planes_for(3, plane_bits), 2);
  EXPECT_EQ(planes_for(3.5, plane_bits), 3);
  EXPECT_THROW(planes_for(5, plane_bits), InternalError);
}

// Three layers of two experts; layer 0 runs. Layer 2 ran before it, and layer 1 before that: its turn comes next.
// Planes of 2 and 1 bytes.
TEST(PlanesToEvict, AreThePreviousLayersFinestFirstAndItsBasesThen) {
  const std::vector<int32_t> resident = {2, 2, 1, 2, 2, 2};
  const std::vector<Bytes> bytes = {2_B, 1_B};
  EXPECT_EQ(planes_to_evict(resident, 2, 0, 2_B, bytes), (std::vector<ItemPlane>{{4, 1}, {5, 1}}));
  EXPECT_EQ(planes_to_evict(resident, 2, 0, 3_B, bytes), (std::vector<ItemPlane>{{4, 1}, {5, 1}, {4, 0}}));
  EXPECT_EQ(planes_to_evict(resident, 2, 0, 100_B, bytes),
            (std::vector<ItemPlane>{{4, 1}, {5, 1}, {4, 0}, {5, 0}, {3, 1}, {2, 0}, {3, 0}}));
  EXPECT_TRUE(planes_to_evict(resident, 2, 0, 0_B, bytes).empty());
}

TEST(PlanesToEvict, LeaveNoPlaneWithoutThoseBelowItAndFreeNoMoreThanOnePlaneTooMuch) {
  for_each_seed(200, [](Rng& rng) {
    const int32_t experts = int32_t(rng.between(1, 4));
    const int32_t layers = int32_t(rng.between(1, 4));
    std::vector<int32_t> resident;
    for (int32_t item = 0; item < layers * experts; ++item) resident.push_back(int32_t(rng.between(0, 3)));
    const std::vector<Bytes> bytes = {4_B, 2_B, 1_B};
    const Bytes wanted{rng.between(0, 60)};
    const int32_t layer = int32_t(rng.below(uint64_t(layers)));
    Bytes freed;
    for (const ItemPlane left : planes_to_evict(resident, experts, layer, wanted, bytes)) {
      EXPECT_LT(freed, wanted);
      EXPECT_NE(left.item / experts, layer);
      EXPECT_EQ(--resident[size_t(left.item)], left.plane);
      freed += bytes[size_t(left.plane)];
    }
  });
}

}  // namespace
}  // namespace moesim
