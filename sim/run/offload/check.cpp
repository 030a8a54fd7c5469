// What a scenario with offloaded experts may not ask for.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "sim/config/units_text.h"
#include "sim/run/cluster.h"
#include "sim/run/offload/offload.h"

namespace moesim {
namespace {

std::string size_text(int64_t bytes) {
  const double mib = double(bytes) / double(1 << 20);
  return mib < 1024 ? fmt::format("{:.2f} MiB", mib) : fmt::format("{:.2f} GiB", mib / 1024);
}

int64_t expert_bytes(const LoadedScenario& loaded) {
  return bytes_of(expert_parameters(loaded.model), loaded.scenario.precision.model.experts).count;
}

}  // namespace

std::string cache_fault(const LoadedScenario& loaded, const CacheRoom& room) {
  const OffloadConfig& config = *loaded.scenario.offload;
  const int64_t layers = moe_layers(loaded.model);
  // A processor in the GPU's memory reaches none of the missing ones, so these are copied whatever the schedule.
  const bool copies =
      config.cpu.in_memory || Registry<ExpertSchedulePolicy>::instance().find(config.schedule.name())->traits.copies;
  if (config.whole_layers > layers)
    return fmt::format("`whole_layers` is {}, but the model has {} MoE layers", config.whole_layers, layers);
  if (room.whole > room.all)
    return fmt::format("a GPU has {} for experts, and those of the `whole_layers` take {}", size_text(room.all.count),
                       size_text(room.whole.count));
  const int64_t others = layers - config.whole_layers;
  if (!copies || others == 0) return "";
  const Bytes left = room.all - room.whole;
  const std::string beside = room.whole > Bytes{} ? " beside those of the `whole_layers`" : "";
  if (room.expert > left)
    return fmt::format(
        "a GPU has {} for experts{}, and one expert takes {}: a schedule that copies needs a place for one. "
        "More `capacity`, lower precision, or a schedule such as cpu_where_missing would do",
        size_text(left.count), beside, size_text(room.expert.count));
  if (config.partition == CachePartition::layer && left.count / room.expert.count < others)
    return fmt::format(
        "a GPU has room for {} experts{}, fewer than the {} MoE layers that share it; with `partition` "
        "global they need not each have a place",
        left.count / room.expert.count, beside, others);
  return "";
}

namespace {

void check_tiers(const LoadedScenario& loaded, const Layout& layout, std::vector<Fault>& faults) {
  const OffloadConfig& config = *loaded.scenario.offload;
  const auto add = [&](const std::string& key, const std::string& message) {
    faults.push_back(fault_at(loaded.root, "/offload/" + key, message));
  };
  const int64_t all = expert_bytes(loaded) * moe_layers(loaded.model) *
                      std::min<int64_t>(loaded.model.experts, (loaded.model.experts + layout.ep - 1) / layout.ep *
                                                                  std::min(layout.ep, layout.gpus_per_node));
  if (config.host_memory && config.tiers.empty() && config.host_memory->count < all)
    add("host_memory",
        fmt::format("a server's experts take {}; a tier below (`tiers`) may hold what does not fit", size_text(all)));
  if (!config.host_memory && !config.tiers.empty())
    add("host_memory", "must be given where tiers below it hold experts");
  for (size_t tier = 0; tier < config.tiers.size(); ++tier) {
    const TierConfig& of = config.tiers[tier];
    const std::string key = fmt::format("tiers/{}/capacity", tier);
    const bool is_last = tier + 1 == config.tiers.size();
    if (!is_last && !of.capacity) add(key, "must be given for all but the last tier, which holds all experts");
    if (is_last && of.capacity && of.capacity->count < all)
      add(key, fmt::format("the last tier holds all experts of a server, which take {}", size_text(all)));
    if (!is_last && of.capacity && of.capacity->count < expert_bytes(loaded))
      add(key, fmt::format("is less than one expert, {}", size_text(expert_bytes(loaded))));
  }
  if (config.host_memory && config.host_memory->count < expert_bytes(loaded))
    add("host_memory", fmt::format("is less than one expert, {}", size_text(expert_bytes(loaded))));
}

}  // namespace

void check_fields(const OffloadConfig& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (s.capacity && s.resident) fault("resident", "says the same as `capacity`; leave out one of them");
  if (s.cpu.in_memory && (!s.cpu.memory || !s.cpu.compute) && !s.cpu.per_token)
    fault("cpu", "with `in_memory` needs `memory` and `compute`, the rates of the processor in the GPU's memory");
  check_codecs(s.codecs, fault);
  if (s.cpu.attention && (!s.cpu.in_memory || !s.cpu.memory))
    fault("cpu", "with `attention` needs `in_memory` and the rate `memory`");
  std::set<std::string> names;
  for (const TierConfig& tier : s.tiers)
    if (!names.insert(tier.name).second) fault("tiers", "has two called " + tier.name);
}

void check_offload(const LoadedScenario& loaded, const Layout& layout, const std::vector<MemoryResult>& memory) {
  const Scenario& scenario = loaded.scenario;
  if (!scenario.offload) return;
  std::vector<Fault> faults;
  const auto add = [&](const std::string& pointer, const std::string& message) {
    faults.push_back(fault_at(loaded.root, pointer, message));
  };
  if (scenario.schedule.name() != "sequential")
    add("/schedule", "with `offload` must be sequential: experts are scheduled by /offload/schedule");
  if (scenario.pipeline) add("/pipeline", "cannot be combined with `offload`: all of its weights stream");
  if (scenario.speculation) add("/speculation", "cannot be combined with `offload`");
  if (scenario.rebalance.policy.name() != "never") add("/rebalance", "cannot be combined with `offload`");
  if (scenario.parallelism.context_coherent) add("/parallelism/context_coherent", "cannot be combined with `offload`");
  if (moe_layers(loaded.model) == 0) add("/offload", "the model has no MoE layer");
  if (Registry<CachePolicy>::instance().find(scenario.offload->host_cache.name())->traits.reads_future)
    add("/offload/host_cache", "cannot read the future: a server's memory does not know what its GPUs will ask for");
  const std::vector<int32_t> slots = expert_slots(loaded, layout);
  for (size_t gpu = 0; gpu < memory.size(); ++gpu) {
    if (scenario.offload->bits) break;  // how large experts are shows when the past is known
    const int64_t whole =
        int64_t{scenario.offload->whole_layers} * slots[size_t(layout.expert_rank(GpuId(gpu)))] * expert_bytes(loaded);
    const std::string fault = cache_fault(loaded, {{memory[gpu].weights_experts}, {expert_bytes(loaded)}, {whole}});
    if (fault.empty()) continue;
    add("/offload", fault);
    break;
  }
  check_tiers(loaded, layout, faults);
  throw_if_any(loaded.source, std::move(faults));
}

std::vector<std::pair<std::string, LoadedScenario>> offload_references(const LoadedScenario& loaded) {
  if (!loaded.scenario.offload || !loaded.scenario.offload->references) return {};
  std::vector<std::pair<std::string, LoadedScenario>> references;
  const auto add = [&](const std::string& what) -> OffloadConfig& {
    references.emplace_back(what, loaded);
    OffloadConfig& config = *references.back().second.scenario.offload;
    config.references = false;
    return config;
  };
  if (loaded.scenario.offload->cache.name() != "oracle")
    add("Belady's cache").cache = PolicyChoice<CachePolicy>("oracle");
  OffloadConfig& foreseen = add("prefetches that are never wrong");
  foreseen.prediction = PolicyChoice<PredictionPolicy>("oracle");
  if (foreseen.prefetch.name() == "none") foreseen.prefetch = PolicyChoice<PrefetchPolicy>("next_gate");
  add("all experts in the GPUs").resident = 1;
  references.back().second.scenario.offload->capacity.reset();
  references.back().second.scenario.memory.usable = 1e6;
  return references;
}

}  // namespace moesim
