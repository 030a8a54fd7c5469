#include "sim/comm/collective.h"

#include <gtest/gtest.h>

#include <vector>

#include "sim/comm/reduction_shards.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

TEST(ReductionShards, SumToTheBuffer) {
  for (int32_t ranks = 1; ranks < 20; ++ranks) {
    Bytes sum;
    for (int32_t shard = 0; shard < ranks; ++shard) {
      EXPECT_EQ(shard_offset(1'000'003_B, ranks, shard), sum.count);
      sum += shard_bytes(1'000'003_B, ranks, shard);
    }
    EXPECT_EQ(sum, 1'000'003_B);
  }
}

// Two ranks, one transfer each way and an empty one: tasks wait for what they name, flows for nothing else.
TEST(AddCollective, MakesATaskARankAndAFlowATransferOfBytes) {
  TaskGraph graph;
  const TaskId before = add_task(graph, {StreamId{0}, kNoPool, 0, 1_us, 0});
  const CollectivePlan plan{{{{0, 1, 10_B}, {1, 0, 20_B}}, {{0, 1, 0_B}}}};
  std::vector<Member> members(2);
  members[0].after = {before};
  members[1].endpoint = EndpointId{9};
  const std::vector<uint32_t> labels = {7, 8};
  const auto last = add_collective(graph, plan, members, labels, 1);
  EXPECT_EQ(last, (std::vector<TaskId>{TaskId{3}, TaskId{4}}));
  ASSERT_EQ(graph.flows.size(), 2u);
  EXPECT_EQ(graph.flows[0].from, TaskId{1});
  EXPECT_EQ(graph.flows[0].to, TaskId{2});
  EXPECT_EQ(graph.flows[0].message.to, EndpointId{9});
  EXPECT_EQ(graph.flows[1].message.bytes, 20_B);
  EXPECT_EQ(graph.dependencies.size(), 3u);  // before -> first round of rank 0; first -> second round of both
  EXPECT_EQ(graph.tasks[4].label, 8u);
}

// GPUs have two names, and a plan that keeps off NVLink goes by the second.
TEST(AddCollective, GoesByNicWhereThePlanSaysSo) {
  std::vector<Member> members(2);
  members[0].endpoint = EndpointId{3};
  members[0].nic_endpoint = EndpointId{13};
  members[1].endpoint = EndpointId{4};
  members[1].nic_endpoint = EndpointId{14};
  CollectivePlan plan = send_receive(0, 1, 5_B);
  for (const bool by_nic : {false, true}) {
    plan.by_nic = by_nic;
    TaskGraph graph;
    add_collective(graph, plan, members, std::vector<uint32_t>(2, 0), 1);
    ASSERT_EQ(graph.flows.size(), 1u);
    EXPECT_EQ(graph.flows[0].message.from, EndpointId{by_nic ? 13 : 3});
    EXPECT_EQ(graph.flows[0].message.to, EndpointId{by_nic ? 14 : 4});
  }
}

// Launch 10 us, round 3 us, 200 ns a message sent, 500 ns a message received. Rank 0 sends 1,000 bytes in messages of
// at most 400, so three, and one of 100 to rank 2; rank 1 answers with one. The plan adds 50 ns to each message sent.
//   rank 0: 10 us + 4 x 250 ns;  then 3 us;  then receives 1: 500 ns
//   rank 1: 10 us;               then 3 x 500 ns + 3 us + 250 ns
//   rank 2: 10 us;               then 1 x 500 ns, since it takes no part in the second round
TEST(AddCollective, MakesTasksAsLongAsTheSoftwareTakes) {
  CollectivePlan plan;
  plan.rounds = {{{0, 1, 1'000_B}, {0, 2, 100_B}}, {{1, 0, 100_B}}};
  plan.message_max = 400_B;
  plan.message_send = 50_ns;
  const SoftwareStack stack{.launch = 10_us, .round = 3_us, .send = 200_ns, .receive = 500_ns, .copy_rate = {}};
  const std::vector<Member> members(3, Member{EndpointId{0}, EndpointId{0}, StreamId{0}, kNoPool, 0, stack, {}});
  TaskGraph graph;
  const auto last = add_collective(graph, plan, members, std::vector<uint32_t>(3, 0), 1);
  std::vector<Duration> lengths;
  for (const Task& task : graph.tasks) lengths.push_back(task.length);
  EXPECT_EQ(lengths, (std::vector<Duration>{11_us, 10_us, 10_us, 3_us, 4'750_ns, 500_ns, 500_ns}));
  EXPECT_EQ(last, (std::vector<TaskId>{TaskId{6}, TaskId{4}, TaskId{5}}));
}

// Rank 0 sends 1,000 bytes and receives 500; at 1 GB/s for both together 1.5 us, beside 10 us of launch.
TEST(AddCollective, HandlesBothDirectionsAtTheCopyRate) {
  CollectivePlan plan;
  plan.rounds = {{{0, 1, 1'000_B}, {1, 0, 500_B}}};
  const SoftwareStack stack{.launch = 10_us, .round = {}, .send = {}, .receive = {}, .copy_rate = Rate{1e9}};
  const std::vector<Member> members(2, Member{EndpointId{0}, EndpointId{0}, StreamId{0}, kNoPool, 0, stack, {}});
  TaskGraph graph;
  add_collective(graph, plan, members, std::vector<uint32_t>(2, 0), 1);
  for (const Task& task : graph.tasks) EXPECT_EQ(task.length, 11'500_ns);
}

// Lengths of the tasks of rank 0, round by round.
std::vector<Duration> lengths_of_rank_0(const CollectivePlan& plan, const SoftwareStack& stack) {
  const std::vector<Member> members(2, Member{EndpointId{0}, EndpointId{0}, StreamId{0}, kNoPool, 0, stack, {}});
  TaskGraph graph;
  add_collective(graph, plan, members, std::vector<uint32_t>(2, 0), 1);
  std::vector<Duration> lengths;
  for (size_t task = 0; task < graph.tasks.size(); task += 2) lengths.push_back(graph.tasks[task].length);
  return lengths;
}

// Two ranks and 2,000 bytes at 1 GB/s, in shards of 1 us. A rank of an all-gather sends its own, gets the other and
// copies its own: 3 us; a reduce-scatter adds its own. In an all-reduce it sends one, gets one and passes that on, gets
// the other: 2 + 1 us. With two ranks rings and direct reductions are alike.
TEST(AddCollective, HandlesOnceWhatIsPassedOn) {
  const SoftwareStack stack{
      .launch = 10_us, .round = 1_us, .send = {}, .receive = {}, .copy_rate = Rate{1e9}, .point_to_point = 5_us};
  Rng rng(1);
  for (const char* name : {"ring", "direct"}) {
    SCOPED_TRACE(name);
    const auto lengths = [&](Reduction reduction) {
      return lengths_of_rank_0(PolicyChoice<ReductionAlgorithm>(name).decide({reduction, 2, 2'000_B}, rng), stack);
    };
    EXPECT_EQ(lengths(Reduction::all_gather), (std::vector<Duration>{13_us}));
    EXPECT_EQ(lengths(Reduction::reduce_scatter), (std::vector<Duration>{13_us}));
    EXPECT_EQ(lengths(Reduction::all_reduce), (std::vector<Duration>{12_us, 2_us}));
  }
  EXPECT_EQ(lengths_of_rank_0(send_receive(0, 1, 2'000_B), stack), (std::vector<Duration>{17_us}));
}

// 10 us + 1 ns a byte, or 4 us + 3 ns a byte: alike at 3,000 bytes of both ranks together. What comes beside the
// kernel, here 5 us, is the same for both.
TEST(AddCollective, TakesTheProtocolOfSmallMessagesWhereItIsFaster) {
  const SoftwareStack stack{.launch = 10_us,
                            .round = {},
                            .send = {},
                            .receive = {},
                            .copy_rate = Rate{1e9},
                            .point_to_point = 5_us,
                            .small_messages = SmallMessages{4_us, {}, Rate{1e9 / 3}}};
  const auto first = [&](Bytes bytes) { return lengths_of_rank_0(send_receive(0, 1, bytes), stack)[0]; };
  EXPECT_EQ(first(1'000_B), 12_us);
  EXPECT_EQ(first(2'900_B), 17'700_ns);
  EXPECT_EQ(first(3'100_B), 18'100_ns);
}

}  // namespace
}  // namespace moesim
