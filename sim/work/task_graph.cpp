#include "sim/work/task_graph.h"

#include "sim/core/check.h"

namespace moesim {

TaskId add_task(TaskGraph& graph, const Task& task) {
  CHECK(task.length >= Duration{});
  CHECK(task.units >= 0);
  CHECK((task.units > 0) == (task.pool != kNoPool));
  graph.tasks.push_back(task);
  return TaskId(graph.tasks.size() - 1);
}

void add_dependency(TaskGraph& graph, TaskId before, TaskId after) {
  CHECK(before < after);
  CHECK(index(after) < graph.tasks.size());
  graph.dependencies.push_back({before, after});
}

void add_flow(TaskGraph& graph, const TaskFlow& flow) {
  CHECK(index(flow.from) < graph.tasks.size());
  CHECK(index(flow.to) < graph.tasks.size());
  CHECK(flow.message.bytes >= Bytes{});
  graph.flows.push_back(flow);
}

}  // namespace moesim
