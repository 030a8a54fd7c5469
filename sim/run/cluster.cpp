#include "sim/run/cluster.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "sim/config/error.h"

namespace moesim {
namespace {

// GPUs of a server where all servers have as many, else of the largest that all of them reach: 1.
int32_t gpus_per_node(const std::vector<int32_t>& node_of_gpu, int32_t nodes) {
  std::vector<int32_t> gpus(size_t(std::max(nodes, 1)), 0);
  for (const int32_t node : node_of_gpu)
    if (node >= 0) ++gpus[size_t(node)];
  for (const int32_t each : gpus)
    if (each != gpus[0]) return 1;
  return std::max(gpus[0], 1);
}

// The most GPUs that a layer's experts can be spread over evenly in groups: a divisor of the GPUs, one expert each at
// least.
int32_t widest_ep(int32_t gpus, int32_t experts) {
  int32_t ep = std::min(gpus, experts);
  while (gpus % ep != 0) --ep;
  return ep;
}

std::vector<Fault> parallelism_faults(const LoadedScenario& loaded, const Layout& layout) {
  std::vector<Fault> faults;
  if (layout.gpus % layout.tp != 0 || layout.gpus_per_node % layout.tp != 0)
    faults.push_back(fault_at(loaded.root, "/parallelism/tp",
                              fmt::format("{} must divide the {} GPUs of a server", layout.tp, layout.gpus_per_node)));
  if (loaded.model.heads % layout.tp != 0)
    faults.push_back(
        fault_at(loaded.root, "/parallelism/tp",
                 fmt::format("{} must divide the model's {} attention heads", layout.tp, loaded.model.heads)));
  if (layout.ep > layout.gpus || layout.gpus % layout.ep != 0)
    faults.push_back(
        fault_at(loaded.root, "/parallelism/ep", fmt::format("{} must divide the {} GPUs", layout.ep, layout.gpus)));
  if (layout.ep > loaded.model.experts)
    faults.push_back(fault_at(loaded.root, "/parallelism/ep",
                              fmt::format("{} is more than the model's {} experts", layout.ep, loaded.model.experts)));
  const std::vector<int32_t> each = expert_slots(loaded, layout);
  const int64_t slots = std::accumulate(each.begin(), each.end(), int64_t{0});
  if (slots < loaded.model.experts)
    faults.push_back(fault_at(loaded.root, "/parallelism/slots",
                              fmt::format("gives {} slots on {} GPUs, too few for the model's {} experts", slots,
                                          layout.ep, loaded.model.experts)));
  return faults;
}

}  // namespace

std::vector<int32_t> expert_slots(const LoadedScenario& loaded, const Layout& layout) {
  const ParallelismConfig& config = loaded.scenario.parallelism;
  const int32_t share = int32_t((loaded.model.experts + layout.ep - 1) / layout.ep) + config.spare_slots;
  std::vector<int32_t> slots(size_t(layout.ep), share);
  for (size_t rank = 0; rank < slots.size() && !config.slots.empty(); ++rank)
    slots[rank] = config.slots[rank % config.slots.size()];
  return slots;
}

double gpu_speed(const LoadedScenario& loaded, GpuId gpu) {
  const std::vector<double>& speeds = loaded.scenario.cluster.gpu_speeds;
  return speeds.empty() ? 1 : speeds[index(gpu) % speeds.size()];
}

Cluster build_cluster(const LoadedScenario& loaded) {
  const Scenario& scenario = loaded.scenario;
  Rng rng = Rng::stream(scenario.seed, "topology");
  Cluster cluster;
  try {
    cluster.topology = scenario.cluster.fabric.decide({scenario.cluster.nodes, node_spec(loaded)}, rng);
  } catch (const ConfigError& error) {  // builders know nothing of where their options stand
    std::vector<Fault> faults = error.faults();
    for (Fault& fault : faults) fault = fault_at(loaded.root, "/cluster/fabric" + fault.path, fault.message);
    throw ConfigError(loaded.source, std::move(faults));
  }
  const Topology& topology = cluster.topology;
  for (size_t gpu = 0; gpu < topology.gpus.size(); ++gpu) {
    cluster.gpu_names.push_back(vertex(topology, topology.gpus[gpu]).name);
    cluster.node_of_gpu.push_back(node_of(topology, GpuId(gpu)));
  }
  Layout& layout = cluster.layout;
  layout.gpus = int32_t(topology.gpus.size());
  layout.gpus_per_node = gpus_per_node(cluster.node_of_gpu, topology.nodes);
  layout.tp = scenario.parallelism.tp;
  layout.ep = scenario.parallelism.ep.value_or(widest_ep(layout.gpus, loaded.model.experts));
  std::vector<Fault> faults = parallelism_faults(loaded, layout);
  if (!faults.empty()) throw ConfigError(loaded.source, std::move(faults));
  return cluster;
}

Batch batch_of(const Scenario& scenario, const Layout& layout) {
  std::vector<Request> requests;
  for (const RequestConfig& like : scenario.batch)
    requests.insert(requests.end(), size_t(like.count), Request{like.new_tokens, like.context});
  return {std::vector<std::vector<Request>>(size_t(layout.attention_ranks()), requests)};
}

}  // namespace moesim
