// MoETuner (arXiv 2502.06643): experts of each layer into clusters of even load, then clusters to GPUs so that the
// slowest pair of GPUs between two layers is fast; an integer program each. Slots of a GPU are the same in each layer
// here, so that its one more condition, as many experts on each GPU over all layers, has nothing left to say.

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/parallel.h"
#include "sim/policy/placement/moetuner_programs.h"

namespace moesim {
namespace {

Placement place_moetuner(const PlacementInput& in, const ProgramOptions& options, Rng&) {
  CHECK(in.experts <= slots_total(in));
  std::vector<ClusterAnswer> clusters(size_t(in.layers));
  for_all(clusters.size(), size_t(options.threads),
          [&](size_t layer) { clusters[layer] = cluster_layer(in, layer, options); });
  PlacementProof proof;
  std::vector<std::vector<int32_t>> cluster_of;
  for (const ClusterAnswer& answer : clusters) {
    add_part(proof, answer.proof);
    cluster_of.push_back(answer.cluster_of);
  }
  const GpuAnswer gpus = assign_gpus(gpu_case(in, cluster_of), options);
  const double gap = gpus.proof.objective > 0 ? 1 - gpus.proof.bound / gpus.proof.objective : 0;
  PlacementProof second = gpus.proof;
  second.objective = second.bound = 0;  // of another unit than that of the clusters
  add_part(proof, second);
  name_solver(proof);
  if (gap > options.gap.fraction)
    proof.warnings.push_back(fmt::format("clusters on GPUs: the sum of the slowest pairs is {:.6g}, its bound {:.6g}",
                                         gpus.proof.objective, gpus.proof.bound));
  Placement placement = place_each(in, [&](int32_t layer, int32_t expert) {
    return gpus.gpu_of[size_t(layer)][size_t(cluster_of[size_t(layer)][size_t(expert)])];
  });
  placement.proof = proof;
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    "moetuner", "integer programs: clusters of even load, then GPUs for them by transitions", place_moetuner);

}  // namespace
}  // namespace moesim
