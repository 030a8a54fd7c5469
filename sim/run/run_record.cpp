#include "sim/run/run_record.h"

#include <algorithm>

#include "topologies/routed_paths.h"

namespace moesim {

int32_t gpus_a_cell(int32_t gpus, int32_t gpus_per_node) {
  int32_t a_cell = 1;
  while ((gpus - 1) / a_cell >= kPairGpusMax) a_cell = a_cell == 1 ? std::max(2, gpus_per_node) : 2 * a_cell;
  return a_cell;
}

GpuPairs gpu_pairs(const Topology& topology, int32_t gpus_per_node) {
  const auto gpus = int32_t(topology.gpus.size());
  GpuPairs pairs;
  pairs.gpus_a_cell = gpus_a_cell(gpus, gpus_per_node);
  pairs.cells = (gpus - 1) / pairs.gpus_a_cell + 1;
  pairs.bytes.resize(size_t(pairs.cells) * size_t(pairs.cells), 0);
  pairs.cell_of_endpoint.resize(boost::num_vertices(topology.graph), -1);
  for (int32_t gpu = 0; gpu < gpus; ++gpu)
    pairs.cell_of_endpoint[index(endpoint_of(topology.gpus[size_t(gpu)]))] = gpu / pairs.gpus_a_cell;
  return pairs;
}

void add_step(GpuPairs& pairs, const TaskGraph& graph) {
  // A second name of a GPU (by_nic) lies beyond the vertices.
  const auto cell_of = [&](EndpointId end) {
    return pairs.cell_of_endpoint[index(end) % pairs.cell_of_endpoint.size()];
  };
  for (const TaskFlow& flow : graph.flows) {
    const int32_t from = cell_of(flow.message.from);
    const int32_t to = cell_of(flow.message.to);
    if (from >= 0 && to >= 0) pairs.bytes[size_t(from) * size_t(pairs.cells) + size_t(to)] += flow.message.bytes.count;
  }
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
