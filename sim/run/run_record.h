// What a run keeps for its files and pictures beside its results; only where somebody asks for them, as it costs memory
// and time. It listens, and no result depends on it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/net/link_recorder.h"
#include "sim/run/timeline.h"
#include "topologies/topology.h"

namespace moesim {

// Bytes that GPUs sent to each other; what others sent or got is left out. Beyond kPairGpusMax GPUs a cell stands for
// all GPUs of servers, so that the matrix stays small.
struct GpuPairs {
  int32_t gpus_a_cell = 1;
  int32_t cells = 0;                      // on a side
  std::vector<int64_t> bytes;             // [from * cells + to]
  std::vector<int32_t> cell_of_endpoint;  // -1 where it is no GPU
};

inline constexpr int32_t kPairGpusMax = 2048;

int32_t gpus_a_cell(int32_t gpus, int32_t gpus_per_node);
GpuPairs gpu_pairs(const Topology& topology, int32_t gpus_per_node);
void add_step(GpuPairs& pairs, const TaskGraph& graph);

struct RunRecord {
  Timeline timeline;
  std::optional<LinkRecorder> over_time;
  GpuPairs pairs;
  Topology topology;
  std::vector<LinkUse> use;  // [link], of the steps that were finished
  Time end;                  // of the last of them
};

// "node0/gpu3", or "node0" where a cell is a server, or "node0 to node3".
std::string cell_name(const RunRecord& record, int32_t cell);

}  // namespace moesim
