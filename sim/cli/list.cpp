#include <fmt/format.h>

#include <functional>

#include "models/catalogue.h"
#include "models/device_profile.h"
#include "models/llm.h"
#include "sim/cli/command.h"
#include "sim/cli/kinds.h"
#include "sim/comm/collective.h"
#include "sim/config/json_text.h"
#include "sim/config/suggest.h"
#include "sim/config/units_text.h"
#include "sim/moe/batching.h"
#include "sim/moe/load_prediction.h"
#include "sim/moe/offload/bits.h"
#include "sim/moe/offload/cache.h"
#include "sim/moe/offload/expert_schedule.h"
#include "sim/moe/offload/pipeline.h"
#include "sim/moe/offload/prefetch.h"
#include "sim/moe/placement.h"
#include "sim/moe/prediction.h"
#include "sim/moe/rebalance.h"
#include "sim/moe/replica_choice.h"
#include "sim/moe/schedule.h"
#include "sim/moe/shuffle.h"
#include "sim/net/packet/transport.h"
#include "sim/net/path_policy.h"
#include "sim/run/names.h"
#include "topologies/builder.h"
#include "traces/presets.h"

namespace moesim {
namespace {

template <class Kind>
std::vector<NamedThing> policies() {
  std::vector<NamedThing> things;
  for (const auto& entry : Registry<Kind>::instance().entries()) things.push_back({entry.name, entry.doc});
  return things;
}

std::vector<NamedThing> catalogue(CatalogueKind kind, const std::function<std::string(const std::string&)>& describe) {
  std::vector<NamedThing> things;
  for (const std::string& name : catalogue_names(kind)) things.push_back({name, describe(name)});
  return things;
}

std::string describe_llm(const std::string& name) {
  const LlmSpec llm = load_llm(name);
  return fmt::format("{}: {} layers, {} experts, top-{}, {:.1f} B parameters, {:.1f} B active ({})", llm.name,
                     llm.layers, llm.experts, llm.top_k, double(total_parameters(llm)) / 1e9,
                     double(active_parameters(llm)) / 1e9, name_of(llm.status));
}

std::string describe_gpu(const std::string& name) {
  const GpuSpec gpu = load_gpu(name);
  return fmt::format("{}: {} bf16, {} at {} ({})", gpu.name, quantity_text(gpu.bf16), quantity_text(gpu.memory),
                     quantity_text(gpu.memory_bandwidth), name_of(gpu.status));
}

std::string describe_cpu(const std::string& name) {
  const CpuSpec cpu = load_cpu(name);
  return fmt::format("{}: {} cores, {} ({})", cpu.name, cpu.cores, quantity_text(cpu.memory_bandwidth),
                     name_of(cpu.status));
}

template <class Spec>
std::string describe_rate(const Spec& spec) {
  return fmt::format("{}: {} each way ({})", spec.name, quantity_text(spec.rate), name_of(spec.status));
}

std::vector<NamedThing> profiles() {
  std::vector<NamedThing> things;
  for (const std::string& name : profile_names()) things.push_back({name, load_profile(name).stack});
  return things;
}

std::vector<NamedThing> trace_presets() {
  std::vector<NamedThing> things;
  for (const TracePreset& preset : presets()) things.push_back({preset.name, preset.source});
  return things;
}

struct Kind {
  const char* name;
  std::vector<NamedThing> (*things)();
};

constexpr Kind kKinds[] = {
    {"llms", [] { return catalogue(CatalogueKind::llm, describe_llm); }},
    {"gpus", [] { return catalogue(CatalogueKind::gpu, describe_gpu); }},
    {"cpus", [] { return catalogue(CatalogueKind::cpu, describe_cpu); }},
    {"nics",
     [] { return catalogue(CatalogueKind::nic, [](const std::string& n) { return describe_rate(load_nic(n)); }); }},
    {"links",
     [] { return catalogue(CatalogueKind::link, [](const std::string& n) { return describe_rate(load_link(n)); }); }},
    {"profiles", profiles},
    {"topologies", policies<TopologyBuilder>},
    {"placements", policies<PlacementPolicy>},
    {"replica-choices", policies<ReplicaPolicy>},
    {"load-predictions", policies<LoadPredictionPolicy>},
    {"rebalancings", policies<RebalancePolicy>},
    {"shuffles", policies<ShufflePolicy>},
    {"predictions", policies<PredictionPolicy>},
    {"batchings", policies<BatchingPolicy>},
    {"schedules", policies<SchedulePolicy>},
    {"expert-bits", policies<BitPolicy>},
    {"expert-caches", policies<CachePolicy>},
    {"expert-prefetches", policies<PrefetchPolicy>},
    {"expert-schedules", policies<ExpertSchedulePolicy>},
    {"pipeline-orders", policies<PipelineOrder>},
    {"transports", policies<TransportPolicy>},
    {"all-to-alls", policies<AllToAllAlgorithm>},
    {"reductions", policies<ReductionAlgorithm>},
    {"paths", policies<PathPolicy>},
    {"broadcasts", policies<BroadcastAlgorithm>},
    {"sparse-collectives", policies<SparseAlgorithm>},
    {"presets", trace_presets},
};

po::options_description options() {
  po::options_description options("options");
  options.add_options()("format", po::value<std::string>()->default_value("text"), "text or json");
  return options;
}

int run(const po::variables_map& given, const std::vector<std::string>& positional) {
  const bool json = wants_json(given);
  if (positional.empty()) {
    if (json)
      fmt::print("{}", json_text(list_kind_names()));
    else
      fmt::print("{}\n", fmt::join(list_kind_names(), "\n"));
    return kOk;
  }
  const std::vector<NamedThing> things = things_of_kind(positional[0]);
  if (json)
    fmt::print("{}", json_text(things));
  else
    for (const NamedThing& thing : things) fmt::print("{:<28}  {}\n", thing.name, thing.doc);
  return kOk;
}

}  // namespace

std::vector<std::string> list_kind_names() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.push_back(kind.name);
  return names;
}

std::vector<NamedThing> things_of_kind(const std::string& name) {
  for (const Kind& kind : kKinds)
    if (name == kind.name) return kind.things();
  throw ConfigError("list", fmt::format("unknown kind \"{}\"{}", name, suggestion(name, list_kind_names())));
}

const Command kListCommand = {"list",
                              "[KIND]",
                              "List models, devices or policies by name; without a kind, list the kinds",
                              "  moesim list\n  moesim list gpus\n  moesim list placements --format json\n",
                              options,
                              0,
                              1,
                              run};

}  // namespace moesim
