// How the weights of experts get from one placement to the next.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/moe/layout.h"
#include "sim/moe/placement.h"
#include "sim/work/task_graph.h"

namespace moesim {

// GPUs of the whole cluster.
struct ExpertMove {
  int32_t layer = 0;  // MoE layer
  int32_t expert = 0;
  GpuId from{};
  GpuId to{};
};

// One move for each expert that a GPU hosts after, and did not before; a second copy on a GPU needs none. It comes from
// a GPU that had it before, of any expert-parallel group: of the same server if there is one, and among equals from the
// one that sends least so far, then from the first.
std::vector<ExpertMove> migration_moves(const Placement& before, const Placement& after, const Layout& layout);

// CHECKs that every GPU gets each expert that it lacks exactly once, and nothing else, from a GPU that had it.
void check_moves(const std::vector<ExpertMove>& moves, const Placement& before, const Placement& after,
                 const Layout& layout);

// All of it at once, after the stall: one message from each GPU to each other with all that it has for it. Copy engines
// and NICs do the work, so it takes no SM from anybody. Endpoints are [gpu].
TaskGraph migration_graph(const std::vector<ExpertMove>& moves, Bytes expert, Duration stall, const Layout& layout,
                          std::span<const EndpointId> endpoints);

}  // namespace moesim
