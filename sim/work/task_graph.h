// Work to be done on a cluster: tasks in order on streams, sharing processors, sending bytes to each other.
// It knows nothing of what the work is for; a label says that to whoever reads the times afterwards.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/net/message.h"

namespace moesim {

enum class TaskId : int32_t {};
enum class StreamId : int32_t {};  // an in-order queue: one task runs at a time, in order of submission
enum class PoolId : int32_t {};    // a set of like processors: the SMs of a GPU, the cores of a CPU

constexpr PoolId kNoPool{-1};

// A task starts when its dependencies are done and it heads its stream. It works for `length` (at full allotment),
// then sends its flows, and is done when they have left and those addressed to it have arrived.
struct Task {
  StreamId stream{};
  PoolId pool = kNoPool;
  int32_t units = 0;  // processors of the pool that it occupies from start to end; 0 needs none
  Duration length;
  uint32_t label = 0;    // meaning is the submitter's
  bool outside = false;  // somebody else does its work, whatever `length` says: see Executor::set_outside()
};

// Bytes that leave `from` when its work is done; `to` is not done before they have arrived. Both may be one task.
struct TaskFlow {
  TaskId from{};
  TaskId to{};
  Message message;
};

// Plain data; dependencies point from earlier to later tasks, so that a graph has no cycle.
struct TaskGraph {
  struct Dependency {
    TaskId before{};
    TaskId after{};
  };

  std::vector<Task> tasks;
  std::vector<Dependency> dependencies;
  std::vector<TaskFlow> flows;
};

TaskId add_task(TaskGraph& graph, const Task& task);
void add_dependency(TaskGraph& graph, TaskId before, TaskId after);
void add_flow(TaskGraph& graph, const TaskFlow& flow);

// When a task became ready, started and was done.
struct TaskTimes {
  Time ready;
  Time start;
  Time end;
};

}  // namespace moesim
