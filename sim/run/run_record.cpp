#include "sim/run/run_record.h"

#include <algorithm>

namespace moesim {

GpuPairs gpu_pairs(int32_t gpus, int32_t gpus_per_node) {
  GpuPairs pairs;
  while ((gpus - 1) / pairs.gpus_a_cell >= kPairGpusMax)
    pairs.gpus_a_cell = pairs.gpus_a_cell == 1 ? std::max(2, gpus_per_node) : 2 * pairs.gpus_a_cell;
  pairs.cells = (gpus - 1) / pairs.gpus_a_cell + 1;
  pairs.bytes.resize(size_t(pairs.cells) * size_t(pairs.cells), 0);
  return pairs;
}

void add_step(GpuPairs& pairs, const TaskGraph& graph) {
  const auto cell_of = [&](TaskId task) {
    const size_t gpu = index(graph.tasks[index(task)].stream) / kLanes;
    return gpu / size_t(pairs.gpus_a_cell);
  };
  for (const TaskFlow& flow : graph.flows)
    pairs.bytes[cell_of(flow.from) * size_t(pairs.cells) + cell_of(flow.to)] += flow.message.bytes.count;
}

std::string cell_name(const RunRecord& record, int32_t cell) {
  const GpuPairs& pairs = record.pairs;
  const std::vector<VertexId>& gpus = record.topology.gpus;
  const size_t first = size_t(cell) * size_t(pairs.gpus_a_cell);
  const size_t last = std::min(first + size_t(pairs.gpus_a_cell), gpus.size()) - 1;
  const auto name = [&](size_t gpu) { return vertex(record.topology, gpus[gpu]).name; };
  if (first == last) return name(first);
  const auto server = [&](size_t gpu) { return name(gpu).substr(0, name(gpu).find('/')); };
  return server(first) == server(last) ? server(first) : server(first) + " to " + server(last);
}

}  // namespace moesim
