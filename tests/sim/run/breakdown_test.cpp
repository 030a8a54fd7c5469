#include "sim/run/breakdown.h"

#include <gtest/gtest.h>

namespace moesim {
namespace {

void add(TaskGraph& graph, std::vector<TaskTimes>& times, Operation operation, Lane lane, int64_t start, int64_t end) {
  add_task(graph, {stream_of(GpuId{0}, lane), kNoPool, 0, {}, pack({operation, 0, 0})});
  times.push_back({Time{start}, Time{start}, Time{end}});
}

// GPU 0: attention 0-10, dispatch 10-30, experts 20-50 (so dispatch is exposed for 10 and hidden for 10), combine
// 40-60 (hidden 10, exposed 10), idle 60-70.
TEST(GpuTimes, CountsComputationFirstThenCollectivesThenIdleness) {
  TaskGraph graph;
  std::vector<TaskTimes> times;
  add(graph, times, Operation::attention, Lane::compute, 0, 10);
  add(graph, times, Operation::dispatch, Lane::dispatch, 10, 30);
  add(graph, times, Operation::experts, Lane::compute, 20, 50);
  add(graph, times, Operation::combine, Lane::combine, 40, 60);
  const GpuTimes gpu = gpu_times(graph, times, Layout{}, Time{0}, Time{70})[0];
  EXPECT_EQ(gpu.exposed[size_t(Operation::attention)], Duration{10});
  EXPECT_EQ(gpu.exposed[size_t(Operation::dispatch)], Duration{10});
  EXPECT_EQ(gpu.hidden[size_t(Operation::dispatch)], Duration{10});
  EXPECT_EQ(gpu.exposed[size_t(Operation::experts)], Duration{30});
  EXPECT_EQ(gpu.exposed[size_t(Operation::combine)], Duration{10});
  EXPECT_EQ(gpu.hidden[size_t(Operation::combine)], Duration{10});
  EXPECT_EQ(gpu.idle, Duration{10});
}

TEST(LayerTimes, SpanALayersTasks) {
  TaskGraph graph;
  std::vector<TaskTimes> times;
  add(graph, times, Operation::attention, Lane::compute, 5, 10);
  add(graph, times, Operation::experts, Lane::compute, 12, 20);
  EXPECT_EQ(layer_times(graph, times, 2), (std::vector<Duration>{Duration{15}, Duration{}}));
}

TEST(TaskLabel, SurvivesPacking) {
  const TaskLabel label = unpack_label(pack({Operation::lm_head, 65'535, 4'095}));
  EXPECT_EQ(label.operation, Operation::lm_head);
  EXPECT_EQ(label.layer, 65'535);
  EXPECT_EQ(label.part, 4'095);
}

}  // namespace
}  // namespace moesim
