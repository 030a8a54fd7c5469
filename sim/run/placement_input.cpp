#include "sim/run/placement_input.h"

#include <algorithm>

#include "models/llm_kernels.h"
#include "sim/moe/placement_file.h"
#include "topologies/routes.h"

namespace moesim {
namespace {

// Beyond these, tables of pairs would fill the memory and are left out.
constexpr int32_t kPairExpertsMax = 2048;
constexpr int32_t kPairGpusOfCostsMax = 2048;

void set_slots(const LoadedScenario& loaded, const Layout& layout, PlacementInput& in) {
  const std::vector<int32_t> slots = expert_slots(loaded, layout);
  in.slots_per_gpu = *std::max_element(slots.begin(), slots.end());
  if (std::count(slots.begin(), slots.end(), in.slots_per_gpu) != int64_t(slots.size())) in.slots = slots;
}

PlacementInput loads_alone(const LoadedScenario& loaded, const Layout& layout, const RoutingSource& routing) {
  PlacementInput in;
  in.layers = routing.layers;
  in.experts = loaded.model.experts;
  in.gpus = layout.ep;
  in.gpus_per_node = std::min(layout.gpus_per_node, layout.ep);
  set_slots(loaded, layout, in);
  if (loaded.model.routing_groups) in.groups = loaded.model.routing_groups->groups;
  in.past_load = past_load(routing);
  return in;
}

// Seconds that one more routed token costs a GPU with its share of the experts: from the mean of a step to twice that.
// Reading the weights is left out, as every placement pays it.
double token_seconds(const LoadedScenario& loaded, const Layout& layout) {
  const LlmSpec& llm = loaded.model;
  const KernelParameters& kernels = loaded.profile ? loaded.profile->kernels : loaded.scenario.cost;
  const CostModel cost{loaded.gpu, kernels};
  const LlmOnGpu gpu{cost, llm, loaded.scenario.precision.model, 1};
  const int64_t tokens = new_tokens(batch_of(loaded.scenario, layout));
  const int64_t rows = std::max<int64_t>(1, tokens * llm.top_k / layout.expert_groups() / llm.experts);
  const size_t experts = size_t((llm.experts + layout.ep - 1) / layout.ep);
  const Duration once = experts_cost(gpu, std::vector<int64_t>(experts, rows)).time;
  const Duration twice = experts_cost(gpu, std::vector<int64_t>(experts, 2 * rows)).time;
  return std::max((twice - once).seconds(), 1e-12) / double(rows * int64_t(experts));
}

// Links are numbered in the order in which paths first cross them.
void add_paths(const LoadedScenario& loaded, const Cluster& cluster, int32_t gpus, PlacementCosts& costs) {
  Routes routes(cluster.topology, loaded.scenario.seed);
  std::vector<int32_t> number(cluster.topology.links.size(), -1);
  for (int32_t from = 0; from < gpus; ++from)
    for (int32_t to = 0; to < gpus; ++to) {
      std::vector<int32_t>& path = costs.path.emplace_back();
      if (from == to) continue;
      for (const LinkId link :
           routes.path(vertex_of(cluster.topology, GpuId(from)), vertex_of(cluster.topology, GpuId(to)), 0)) {
        int32_t& known = number[index(link)];
        if (known < 0) {
          known = int32_t(costs.link_s.size());
          costs.link_s.push_back(1 / cluster.topology.links[index(link)].capacity.bytes_per_s);
        }
        path.push_back(known);
      }
    }
}

// Of the GPUs that have this place in their expert-parallel groups, which all use one placement.
double slowest_speed(const LoadedScenario& loaded, const Cluster& cluster, int32_t rank) {
  double slowest = gpu_speed(loaded, cluster.layout.gpu_of_expert_rank(0, rank));
  for (int32_t group = 1; group < cluster.layout.expert_groups(); ++group)
    slowest = std::min(slowest, gpu_speed(loaded, cluster.layout.gpu_of_expert_rank(group, rank)));
  return slowest;
}

PlacementCosts costs_of(const LoadedScenario& loaded, const Cluster& cluster) {
  const int32_t gpus = cluster.layout.ep;
  PlacementCosts costs;
  const double token_s = token_seconds(loaded, cluster.layout);
  for (int32_t rank = 0; rank < gpus; ++rank) costs.token_s.push_back(token_s / slowest_speed(loaded, cluster, rank));
  costs.dispatch_bytes = double(token_bytes(loaded.model.hidden, loaded.scenario.precision.dispatch).count);
  costs.combine_bytes = double(token_bytes(loaded.model.hidden, loaded.scenario.precision.combine).count);
  add_paths(loaded, cluster, gpus, costs);
  for (int32_t from = 0; from < gpus; ++from) {
    std::vector<double>& row = costs.distance.emplace_back();
    for (int32_t to = 0; to < gpus; ++to)
      row.push_back(from == to ? 0 : cluster.node_of_gpu[size_t(from)] == cluster.node_of_gpu[size_t(to)] ? 1 : 2);
  }
  return costs;
}

}  // namespace

Bytes token_bytes(int64_t hidden, Precision precision) {
  const Bytes values = bytes_of(hidden, precision);
  return precision == Precision::fp8 ? values + Bytes{(hidden + 127) / 128 * 4} : values;
}

PlacementInput placement_input(const LoadedScenario& loaded, const Cluster& cluster, const RoutingSource& routing,
                               PlacementNeeds needs) {
  PlacementInput in = loads_alone(loaded, cluster.layout, routing);
  in.past = past_tokens(routing);
  if (needs == PlacementNeeds::loads) return in;
  in.past_load_of_part = past_load_of_parts(routing);
  if (in.gpus <= kPairGpusOfCostsMax) in.costs = costs_of(loaded, cluster);
  if (needs == PlacementNeeds::costs || in.experts > kPairExpertsMax) return in;
  in.transitions = past_transitions(routing);
  in.together = past_together(routing);
  return in;
}

PlacementNeeds needs_of(const PolicyChoice<PlacementPolicy>& policy) {
  return Registry<PlacementPolicy>::instance().find(policy.name())->traits.needs;
}

PolicyChoice<PlacementPolicy> chosen_placement(const LoadedScenario& loaded) {
  const PolicyChoice<PlacementPolicy>& choice = loaded.scenario.placement;
  if (choice.name() != kPlacementFromFile) return choice;
  const std::string& path = loaded.root.find("placement")->find("path")->text;  // it is required
  return PolicyChoice<PlacementPolicy>(kPlacementFromFile, PlacementFileOptions{(loaded.folder / path).string()});
}

Placement decide_placement(const LoadedScenario& loaded, const PlacementInput& in) {
  Rng rng = Rng::stream(loaded.scenario.seed, "placement");
  Placement placement = chosen_placement(loaded).decide(in, rng);
  check_placement(placement, in);
  return placement;
}

void check_placement_file(const LoadedScenario& loaded, const Layout& layout) {
  if (loaded.scenario.placement.name() != kPlacementFromFile) return;
  PlacementInput in;
  in.layers = moe_layers(loaded.model);
  in.experts = loaded.model.experts;
  in.gpus = layout.ep;
  set_slots(loaded, layout, in);
  try {
    decide_placement(loaded, in);
  } catch (const ConfigError& error) {
    throw ConfigError(loaded.source, {fault_at(loaded.root, "/placement/path", error.what())});
  }
}

}  // namespace moesim
