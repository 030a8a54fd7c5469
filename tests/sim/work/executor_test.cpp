#include "sim/work/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "sim/work/bounds.h"
#include "tests/support/two_links.h"

namespace moesim {
namespace {

// Endpoints are the GPUs; link 0 leads from the first to the second, link 1 back.
Message from_first(Bytes bytes) { return {EndpointId{0}, EndpointId{1}, bytes, 0}; }
Message from_second(Bytes bytes) { return {EndpointId{1}, EndpointId{0}, bytes, 0}; }

// Two GPUs of 100 units, each with one stream for compute (0, 1) and one for sending (2, 3); a link each way.
struct Machine {
  explicit Machine(Fidelity fidelity = Fidelity::flow)
      : links{{10_GBps, 1_us}, {10_GBps, 1_us}}, executor(sim, {{fidelity}}, links, paths, 4, {100, 100}) {}

  std::vector<TaskTimes> run(const TaskGraph& graph) {
    const GraphId id = executor.submit(graph);
    sim.run();
    EXPECT_TRUE(executor.finished(id));
    return executor.times(id);
  }

  Simulator sim;
  std::vector<Link> links;
  TwoLinks paths;
  Executor executor;

  WorkBounds bounds(const TaskGraph& graph) {
    std::vector<Bytes> carried;
    for (size_t link = 0; link < links.size(); ++link) carried.push_back(executor.link_use(LinkId(link)).carried);
    return work_bounds(graph, executor.network(), carried, 4, std::vector<int32_t>{100, 100});
  }
};

Task compute(int32_t gpu, Duration length) { return {StreamId{gpu}, PoolId{gpu}, 100, length, 0}; }
Task copy(int32_t gpu, Duration launch = {}) { return {StreamId{2 + gpu}, kNoPool, 0, launch, 0}; }

TEST(Executor, RunsAStreamInOrderAndDependenciesAcrossStreams) {
  TaskGraph graph;
  const TaskId first = add_task(graph, compute(0, 2_us));
  const TaskId second = add_task(graph, compute(0, 3_us));
  const TaskId other = add_task(graph, compute(1, 1_us));
  add_dependency(graph, first, other);
  const auto times = Machine().run(graph);
  EXPECT_EQ(times[index(second)].start, Time{} + 2_us);
  EXPECT_EQ(times[index(second)].end, Time{} + 5_us);
  EXPECT_EQ(times[index(other)].ready, Time{} + 2_us);
  EXPECT_EQ(times[index(other)].end, Time{} + 3_us);
}

// 100,000 B over 10 GB/s take 10 us, after 1 us of latency and 2 us of launch. Both ends wait for the last byte.
TEST(Executor, ATaskEndsWhenItsBytesHaveArrived) {
  TaskGraph graph;
  const TaskId sender = add_task(graph, copy(0, 2_us));
  const TaskId receiver = add_task(graph, copy(1));
  add_flow(graph, {sender, receiver, from_first(100'000_B)});
  Machine machine;
  const auto times = machine.run(graph);
  EXPECT_EQ(times[index(sender)].end, Time{} + 13_us);
  EXPECT_EQ(times[index(receiver)].start, Time{});
  EXPECT_EQ(times[index(receiver)].end, Time{} + 13_us);
  EXPECT_EQ(machine.executor.bytes_sent(), 100'000_B);
  EXPECT_EQ(machine.executor.bytes_delivered(), 100'000_B);
}

// A receiver that is late ends when it has started and worked, though its bytes came long before.
TEST(Executor, BytesMayArriveBeforeTheirReceiverStarts) {
  TaskGraph graph;
  const TaskId sender = add_task(graph, copy(0));
  const TaskId busy = add_task(graph, compute(1, 50_us));
  const TaskId receiver = add_task(graph, {StreamId{3}, kNoPool, 0, 1_us, 0});
  add_dependency(graph, busy, receiver);
  add_flow(graph, {sender, receiver, from_first(100'000_B)});
  const auto times = Machine().run(graph);
  EXPECT_EQ(times[index(sender)].end, Time{} + 11_us);
  EXPECT_EQ(times[index(receiver)].end, Time{} + 51_us);
}

TEST(Executor, RunsSeveralGraphsAtOnceInOrderOfSubmissionOnEachStream) {
  TaskGraph first;
  add_task(first, compute(0, 4_us));
  TaskGraph second;
  add_task(second, compute(0, 1_us));
  add_task(second, compute(1, 1_us));
  Machine machine;
  const GraphId a = machine.executor.submit(first);
  const GraphId b = machine.executor.submit(second);
  machine.sim.run();
  EXPECT_EQ(machine.executor.times(a)[0].end, Time{} + 4_us);
  EXPECT_EQ(machine.executor.times(b)[0].end, Time{} + 5_us);
  EXPECT_EQ(machine.executor.times(b)[1].end, Time{} + 1_us);
  machine.executor.release(a);
  const GraphId c = machine.executor.submit(second);
  EXPECT_EQ(c, a);  // its slot is used again
  machine.sim.run();
  EXPECT_EQ(machine.executor.times(c)[0].end, Time{} + 6_us);
}

// A random graph over both GPUs; dependencies go backwards, flows anywhere.
TaskGraph random_graph(Rng& rng) {
  TaskGraph graph;
  const size_t tasks = 1 + rng.below(40);
  for (size_t t = 0; t < tasks; ++t) {
    const int32_t gpu = int32_t(rng.below(2));
    const Duration length{rng.between(0, 20'000'000)};
    const TaskId task = rng.below(2) == 0 ? add_task(graph, compute(gpu, length)) : add_task(graph, copy(gpu, length));
    for (int edge = 0; edge < 2; ++edge)
      if (t > 0 && rng.below(2) == 0) add_dependency(graph, TaskId(rng.below(t)), task);
  }
  return graph;
}

// Flows between copies of one round, both ways, as collectives have them.
void add_random_exchanges(TaskGraph& graph, Rng& rng) {
  for (int exchange = 0; exchange < 5; ++exchange) {
    const TaskId a = add_task(graph, copy(0));
    const TaskId b = add_task(graph, copy(1));
    add_flow(graph, {a, b, from_first(Bytes{rng.between(0, 1'000'000)})});
    add_flow(graph, {b, a, from_second(Bytes{rng.between(0, 1'000'000)})});
  }
}

TEST(Executor, NeverBeatsTheBoundsAndRunsEverythingOnce) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    TaskGraph graph = random_graph(rng);
    add_random_exchanges(graph, rng);
    Machine machine;
    const auto times = machine.run(graph);
    Time makespan;
    for (size_t t = 0; t < times.size(); ++t) {
      EXPECT_GE(times[t].end - times[t].start, graph.tasks[t].length);
      EXPECT_GE(times[t].start, times[t].ready);
      makespan = std::max(makespan, times[t].end);
    }
    for (const auto& edge : graph.dependencies)
      EXPECT_GE(times[index(edge.after)].start, times[index(edge.before)].end);
    const WorkBounds bounds = machine.bounds(graph);
    EXPECT_GE(makespan - Time{}, bounds.critical_path);
    for (const auto& each : {bounds.streams, bounds.pools, bounds.links})
      for (const Duration bound : each) EXPECT_GE(makespan - Time{} + Duration{1}, bound);
  }
}

// Without contention for links or processors, the run takes exactly its critical path (up to the rounding of flows).
TEST(Executor, TakesItsCriticalPathWhenNothingIsShared) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    TaskGraph graph = random_graph(rng);
    for (Task& task : graph.tasks) task = {task.stream, kNoPool, 0, task.length, 0};
    add_random_exchanges(graph, rng);
    Machine machine(Fidelity::ideal);
    Time makespan;
    for (const TaskTimes& times : machine.run(graph)) makespan = std::max(makespan, times.end);
    const Duration path = machine.bounds(graph).critical_path;
    EXPECT_GE(makespan - Time{}, path);
    EXPECT_LE((makespan - Time{}).ps, path.ps + 10);  // at most one picosecond a flow of the chain
  }
}

// Does the work of outside tasks, each in its own time; `at_once` from within begin().
struct OutsideHand {
  explicit OutsideHand(Machine& served) : machine(served) {
    machine.executor.set_outside(
        {[](void* self, GraphId graph, TaskId task) { static_cast<OutsideHand*>(self)->begin(graph, task); }, this});
  }
  void begin(GraphId graph, TaskId task) {
    begun.push_back(task);
    if (at_once) return machine.executor.worked_outside(graph, task);
    running = graph;
    machine.sim.after<&OutsideHand::end>(takes, *this, index(task));
  }
  void end(uint64_t task) { machine.executor.worked_outside(running, TaskId(task)); }

  Machine& machine;
  Duration takes = 7_us;
  bool at_once = false;
  GraphId running{};
  std::vector<TaskId> begun;
};

Task outside(int32_t stream) { return {StreamId{stream}, kNoPool, 0, {}, 0, true}; }

// 2 us of compute, 7 us outside, 10 + 1 us for 100,000 B; the next task of the stream waits for all of it.
TEST(Executor, AnOutsideTaskTakesTheTimeOfWhoeverDoesIt) {
  TaskGraph graph;
  const TaskId before = add_task(graph, compute(0, 2_us));
  const TaskId work = add_task(graph, outside(2));
  const TaskId next = add_task(graph, copy(0, 1_us));
  add_dependency(graph, before, work);
  add_flow(graph, {work, work, from_first(100'000_B)});
  Machine machine;
  OutsideHand hand(machine);
  const auto times = machine.run(graph);
  EXPECT_EQ(hand.begun, std::vector<TaskId>{work});
  EXPECT_EQ(times[index(work)].start, Time{} + 2_us);
  EXPECT_EQ(times[index(work)].end, Time{} + 20_us);
  EXPECT_EQ(times[index(next)].end, Time{} + 21_us);
}

// A chain of outside tasks whose work is none would be as many calls deep if each were finished within the one before.
TEST(Executor, OutsideTasksMayBeDoneAtOnceHoweverManyFollowEachOther) {
  TaskGraph graph;
  for (int task = 0; task < 200'000; ++task) add_task(graph, outside(2));
  Machine machine;
  OutsideHand hand(machine);
  hand.at_once = true;
  bool done = false;
  const GraphDone when_done{[](void* flag, GraphId) { *static_cast<bool*>(flag) = true; }, &done};
  machine.executor.submit(graph, when_done);
  EXPECT_FALSE(done);  // never before submit() returns
  machine.sim.run();
  EXPECT_TRUE(done);
  EXPECT_EQ(hand.begun.size(), graph.tasks.size());
  EXPECT_EQ(machine.sim.now(), Time{});
}

// Notes what it is told, and sends once more for each of the first `again`.
struct Sender {
  explicit Sender(Executor& through)
      : executor(through),
        number(executor.add_sender({[](void* self, uint64_t tag) { static_cast<Sender*>(self)->told(tag); }, this})) {}
  void told(uint64_t tag) {
    tags.push_back(tag);
    if (tags.size() <= again) executor.send(from_first(100'000_B), number, uint32_t(tag + 10));
  }

  Executor& executor;
  uint32_t number;
  size_t again = 0;
  std::vector<uint64_t> tags;
};

// 100,000 B of a graph and as many beside it share 10 GB/s: 20 us and the latency, where each alone took 11 us.
TEST(Executor, WhatIsSentBesideGraphsSharesTheirLinks) {
  TaskGraph graph;
  const TaskId task = add_task(graph, copy(0));
  add_flow(graph, {task, task, from_first(100'000_B)});
  Machine machine;
  Sender sender(machine.executor);
  machine.executor.send(from_first(100'000_B), sender.number, UINT32_MAX);
  EXPECT_TRUE(sender.tags.empty());
  const auto times = machine.run(graph);
  EXPECT_EQ(times[index(task)].end, Time{} + 21_us);
  EXPECT_EQ(sender.tags, std::vector<uint64_t>{UINT32_MAX});
  EXPECT_EQ(machine.executor.bytes_sent(), 200'000_B);
  EXPECT_EQ(machine.executor.bytes_delivered(), 200'000_B);
}

TEST(Executor, TellsEachSenderItsOwnTagsAndLetsItSendAgain) {
  Machine machine;
  Sender first(machine.executor);
  Sender second(machine.executor);
  first.again = 3;
  machine.executor.send(from_first(100'000_B), first.number, 1);
  machine.executor.send(from_second(50'000_B), second.number, 1);
  machine.executor.send(from_second(0_B), second.number, 2);
  machine.sim.run();
  EXPECT_EQ(first.tags, (std::vector<uint64_t>{1, 11, 21, 31}));
  EXPECT_EQ(second.tags, (std::vector<uint64_t>{2, 1}));
  EXPECT_EQ(machine.sim.now(), Time{} + 44_us);  // four times 11 us
  EXPECT_EQ(machine.executor.bytes_delivered(), 450'000_B);
}

TEST(TaskGraph, RefusesADependencyOnALaterTask) {
  TaskGraph graph;
  const TaskId first = add_task(graph, compute(0, 1_us));
  const TaskId second = add_task(graph, compute(0, 1_us));
  EXPECT_THROW(add_dependency(graph, second, first), InternalError);
}

}  // namespace
}  // namespace moesim
