// MoETuner's two integer programs (arXiv 2502.06643): which experts of a layer form a cluster, and which GPU gets which
// cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/policy/placement/program_options.h"

namespace moesim {

// The first, of one layer: [expert] its cluster, one for each GPU with as many slots. Minimises the sum over clusters
// of the distance between its load and the mean.
struct ClusterAnswer {
  std::vector<int32_t> cluster_of;
  PlacementProof proof;
};
double deviation(const std::vector<int32_t>& cluster_of, const std::vector<int64_t>& load, size_t clusters);
ClusterAnswer cluster_layer(const PlacementInput& in, size_t layer, const ProgramOptions& options);

// The second, over all layers: [layer][cluster] its GPU. Minimises the sum over layers of the slowest pair of GPUs, in
// the time of the tokens that go from one to the other on their way to the next layer.
struct GpuAnswer {
  std::vector<std::vector<int32_t>> gpu_of;
  PlacementProof proof;
};

struct GpuCase {
  size_t gpus = 0;
  std::vector<std::vector<double>> tokens;           // [layer][cluster * gpus + cluster of the next layer]
  std::vector<double> token_s;                       // [from * gpus + to] of the narrowest link between; 0 to itself
  std::vector<std::vector<std::vector<bool>>> fits;  // [layer][cluster][gpu] whether it has the slots
};

GpuCase gpu_case(const PlacementInput& in, const std::vector<std::vector<int32_t>>& cluster_of);
double slowest_pairs(const GpuCase& c, const std::vector<std::vector<int32_t>>& gpu_of);
GpuAnswer assign_gpus(const GpuCase& c, const ProgramOptions& options);

}  // namespace moesim
