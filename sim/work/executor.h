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

class Executor {
 public:
  // pools[p] is the number of processors of pool p. The finder must outlive the executor.
  Executor(Simulator& sim, const MessageNetworkOptions& network, std::vector<Link> links, PathFinder& finder,
           size_t streams, const std::vector<int32_t>& pools);

  // Counts finished tasks there, for a thread that watches.
  void count_tasks(std::atomic<int64_t>* tasks_done) { tasks_done_ = tasks_done; }

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
};

}  // namespace moesim
