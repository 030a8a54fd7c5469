// Runs task graphs on streams, processor pools and a network. Graphs may be submitted while others run.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/message_network.h"
#include "sim/work/processor_pool.h"
#include "sim/work/task_graph.h"

namespace moesim {

enum class GraphId : int32_t {};

// Called when the last task of a graph is done.
struct GraphDone {
  void (*call)(void* object, GraphId graph) = nullptr;
  void* object = nullptr;
};

// Called when a task starts whose work somebody else does.
struct OutsideWork {
  void (*begin)(void* object, GraphId graph, TaskId task) = nullptr;
  void* object = nullptr;
};

class Executor {
 public:
  // pools[p] is the number of processors of pool p. The finder must outlive the executor.
  Executor(Simulator& sim, const MessageNetworkOptions& network, std::vector<Link> links, PathFinder& finder,
           size_t streams, const std::vector<int32_t>& pools);

  // Counts finished tasks there, for a thread that watches.
  void count_tasks(std::atomic<int64_t>* tasks_done) { tasks_done_ = tasks_done; }

  // Who does the work of tasks that are `outside`, and then says so, now or later, once for each. Those that can start
  // at once begin before submit() returns. What follows on the work follows by an event at that instant, not from
  // within worked_outside(): else a chain of tasks without any work would be as many calls deep.
  void set_outside(OutsideWork work) { outside_ = work; }
  void worked_outside(GraphId graph, TaskId task) {
    sim_.at<&Executor::worked>(sim_.now(), *this, pack(graph, index(task)));
  }

  // Sends bytes that belong to no graph, for a sender that has been added: it is told the tag when the last byte has
  // arrived, never before this returns.
  uint32_t add_sender(FlowDone done);
  void send(const Message& message, uint32_t sender, uint32_t tag);

  // The graph must live until it is released. It starts at the present instant.
  GraphId submit(const TaskGraph& graph, GraphDone done = {});
  bool finished(GraphId graph) const { return running(graph).unfinished == 0; }
  const std::vector<TaskTimes>& times(GraphId graph) const { return running(graph).times; }
  void release(GraphId graph);  // forgets a finished graph; its id may be given again

  LinkUse link_use(LinkId link) const { return use(network_.network(), link); }
  MessageNetwork& network() { return network_; }
  const MessageNetwork& network() const { return network_; }
  Bytes bytes_sent() const { return bytes_sent_; }
  Bytes bytes_delivered() const { return bytes_delivered_; }

 private:
  enum class Stage : uint8_t { waiting, working, sending, done };

  struct RunningGraph {
    const TaskGraph* graph = nullptr;
    GraphDone done;
    size_t unfinished = 0;
    std::vector<TaskTimes> times;
    std::vector<Stage> stages;
    std::vector<int32_t> dependencies_left;
    std::vector<int32_t> flows_left;       // flows that still leave or reach the task
    std::vector<int32_t> successor_begin;  // of task t: successors[successor_begin[t] .. successor_begin[t + 1])
    std::vector<TaskId> successors;
    std::vector<int32_t> flow_begin;  // the same for the flows that leave it, as indices into graph->flows
    std::vector<int32_t> flows_out;
  };

  // Graph in the upper half, task or flow in the lower.
  static uint64_t pack(GraphId graph, size_t item) { return uint64_t(index(graph)) << 32 | uint64_t(item); }
  static GraphId graph_of(uint64_t packed) { return GraphId(packed >> 32); }
  static size_t item_of(uint64_t packed) { return size_t(packed & 0xFFFFFFFFu); }
  // Marks what belongs to no graph; the rest is a place in sent_by_others_.
  static constexpr uint64_t kOfOther = uint64_t{1} << 62;

  RunningGraph& running(GraphId graph) { return *graphs_[index(graph)]; }
  const RunningGraph& running(GraphId graph) const { return *graphs_[index(graph)]; }
  GraphId free_slot();

  void become_ready(GraphId id, TaskId task);
  void advance_stream(StreamId stream);
  void start(GraphId id, TaskId task);
  void post_pool(PoolId pool);
  void pool_worked(uint64_t pool);
  void worked(uint64_t packed_task);
  void flow_arrived(uint64_t packed_flow);
  void sent_arrived(size_t place);
  void count_flow(GraphId id, TaskId task);
  void finish(GraphId id, TaskId task);
  static void flow_done(void* executor, uint64_t packed_flow);

  struct Pool {
    ProcessorPool processors;
    Time posted{INT64_MAX};  // the earliest event pending for it
  };

  Simulator& sim_;
  MessageNetwork network_;
  std::vector<std::deque<uint64_t>> streams_;
  std::vector<Pool> pools_;
  std::vector<std::unique_ptr<RunningGraph>> graphs_;
  Bytes bytes_sent_;
  Bytes bytes_delivered_;
  std::atomic<int64_t>* tasks_done_ = nullptr;
  OutsideWork outside_;
  struct SentByOther {
    uint32_t sender = 0;
    uint32_t tag = 0;
    Bytes bytes;
  };
  std::vector<FlowDone> senders_;
  std::vector<SentByOther> sent_by_others_;
  std::vector<uint32_t> free_sent_;  // places there that are free
};

}  // namespace moesim
