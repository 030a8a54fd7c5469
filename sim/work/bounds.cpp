#include "sim/work/bounds.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Each task is two nodes, its start and its end, so that tasks which send to each other make no cycle.
struct Arc {
  int32_t to;
  Duration length;
};

size_t start_of(TaskId task) { return 2 * index(task); }
size_t end_of(TaskId task) { return 2 * index(task) + 1; }

std::vector<std::vector<Arc>> arcs_of(const TaskGraph& graph, MessageNetwork& network, size_t streams) {
  std::vector<std::vector<Arc>> arcs(2 * graph.tasks.size());
  std::vector<int32_t> last_on_stream(streams, -1);
  for (size_t t = 0; t < graph.tasks.size(); ++t) {
    const Task& task = graph.tasks[t];
    arcs[start_of(TaskId(t))].push_back({int32_t(end_of(TaskId(t))), task.length});
    int32_t& last = last_on_stream[index(task.stream)];
    if (last >= 0) arcs[end_of(TaskId(last))].push_back({int32_t(start_of(TaskId(t))), Duration{}});
    last = int32_t(t);
  }
  for (const TaskGraph::Dependency& edge : graph.dependencies)
    arcs[end_of(edge.before)].push_back({int32_t(start_of(edge.after)), Duration{}});
  for (const TaskFlow& flow : graph.flows) {
    const Duration length = graph.tasks[index(flow.from)].length + network.time_alone(flow.message);
    arcs[start_of(flow.from)].push_back({int32_t(end_of(flow.from)), length});
    if (flow.to != flow.from) arcs[start_of(flow.from)].push_back({int32_t(end_of(flow.to)), length});
  }
  return arcs;
}

// Longest path over the nodes in topological order (Kahn); CHECKs that there is no cycle.
Duration longest_path(const std::vector<std::vector<Arc>>& arcs) {
  std::vector<int32_t> incoming(arcs.size(), 0);
  for (const auto& out : arcs)
    for (const Arc& arc : out) ++incoming[size_t(arc.to)];
  std::vector<int32_t> ready;
  for (size_t node = 0; node < arcs.size(); ++node)
    if (incoming[node] == 0) ready.push_back(int32_t(node));

  std::vector<Duration> reached(arcs.size());
  Duration longest;
  size_t visited = 0;
  while (!ready.empty()) {
    const size_t node = size_t(ready.back());
    ready.pop_back();
    ++visited;
    longest = std::max(longest, reached[node]);
    for (const Arc& arc : arcs[node]) {
      reached[size_t(arc.to)] = std::max(reached[size_t(arc.to)], reached[node] + arc.length);
      if (--incoming[size_t(arc.to)] == 0) ready.push_back(arc.to);
    }
  }
  CHECK(visited == arcs.size());
  return longest;
}

}  // namespace

WorkBounds work_bounds(const TaskGraph& graph, MessageNetwork& network, std::span<const Bytes> carried, size_t streams,
                       std::span<const int32_t> pools) {
  WorkBounds bounds;
  bounds.critical_path = longest_path(arcs_of(graph, network, streams));

  bounds.streams.assign(streams, {});
  std::vector<double> unit_ps(pools.size(), 0);
  for (const Task& task : graph.tasks) {
    bounds.streams[index(task.stream)] += task.length;
    if (task.units > 0) unit_ps[index(task.pool)] += double(task.length.ps) * task.units;
  }
  for (size_t p = 0; p < pools.size(); ++p) bounds.pools.push_back({int64_t(unit_ps[p] / pools[p])});

  const std::span<const Link> links = network.links();
  CHECK(carried.size() == links.size());
  for (size_t l = 0; l < links.size(); ++l) bounds.links.push_back(transfer_time(carried[l], links[l].capacity));
  return bounds;
}

}  // namespace moesim
