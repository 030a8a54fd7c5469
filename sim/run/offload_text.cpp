#include "sim/run/offload_text.h"

#include <fmt/format.h>  // core.h alone does not link format_to() under clang

#include <algorithm>
#include <iterator>

#include "sim/run/text_summary.h"

namespace moesim {
namespace {

std::string percentage(double part) { return fmt::format("{:.1f}%", 100 * part); }

std::string misses(const OffloadResult& offload) {
  OffloadLayerResult sum;
  for (const OffloadLayerResult& layer : offload.layers) {
    sum.cold += layer.cold;
    sum.evicted += layer.evicted;
    sum.late += layer.late;
  }
  const double all = double(std::max<int64_t>(1, offload.accesses));
  return fmt::format("missed because evicted {}, never there {}, prefetched too late {}",
                     percentage(double(sum.evicted) / all), percentage(double(sum.cold) / all),
                     percentage(double(sum.late) / all));
}

}  // namespace

std::string offload_text(const OffloadResult& offload) {
  std::string out;
  const auto line = [&](const char* name, const std::string& text) {
    fmt::format_to(std::back_inserter(out), "{:<13}{}\n", name, text);
  };
  line("offload", fmt::format("{} of {} of a GPU's experts, cache {}, prefetch {}, schedule {}",
                              with_prefix(double(offload.capacity), "B"), percentage(offload.resident), offload.cache,
                              offload.prefetch, offload.schedule));
  line("hits",
       fmt::format("{} of {} experts needed; {}", percentage(offload.hit_rate), offload.accesses, misses(offload)));
  if (offload.recall) line("prediction", fmt::format("foresaw {} of them", percentage(*offload.recall)));
  if (offload.on_cpu > 0)
    line("on CPU", fmt::format("{} of them, {} deferred", percentage(double(offload.on_cpu) / double(offload.accesses)),
                               percentage(double(offload.deferred) / double(offload.accesses))));
  line("copies",
       fmt::format("{} for misses, {} ahead of need ({} of it unused); under way {} of the time",
                   with_prefix(double(offload.demand_bytes), "B"), with_prefix(double(offload.prefetch_bytes), "B"),
                   with_prefix(double(offload.unused_prefetch_bytes), "B"), percentage(offload.bus_utilisation)));
  for (size_t tier = 1; tier < offload.tiers.size(); ++tier)
    line(tier == 1 ? "tiers" : "",
         fmt::format("{} read from {}; {} held {} of what was asked of it",
                     with_prefix(double(offload.tiers[tier].bytes), "B"), offload.tiers[tier].tier,
                     offload.tiers[tier - 1].tier, percentage(offload.tiers[tier - 1].hit_rate)));
  line("a step's", fmt::format("experts compute {} on a GPU, {} on a CPU; a GPU waits {} for copies, {} for late "
                               "prefetches, {} for the CPU",
                               with_prefix(offload.gpu_s, "s"), with_prefix(offload.cpu_s, "s"),
                               with_prefix(offload.stalls.copy_s, "s"), with_prefix(offload.stalls.late_s, "s"),
                               with_prefix(offload.stalls.cpu_s, "s")));
  for (size_t i = 0; i < offload.references.size(); ++i) {
    const OffloadReference& reference = offload.references[i];
    line(i == 0 ? "possible" : "", fmt::format("{}, hits {}: {}", with_prefix(reference.tokens_per_s, "tok/s"),
                                               percentage(reference.hit_rate), reference.what));
  }
  return out;
}

std::string offload_layers_csv(const OffloadResult& offload) {
  std::string csv = "layer,accesses,hit_rate,evicted,cold,late,recall,stall_s\n";
  for (const OffloadLayerResult& layer : offload.layers)
    fmt::format_to(std::back_inserter(csv), "{},{},{},{},{},{},{},{}\n", layer.layer, layer.accesses, layer.hit_rate,
                   layer.evicted, layer.cold, layer.late, layer.recall ? fmt::format("{}", *layer.recall) : "",
                   layer.stall_s);
  return csv;
}

std::string offload_over_time_csv(const OffloadResult& offload) {
  std::string csv = "begin_s,bus_bytes_per_s,dram_bytes_per_s\n";
  for (const OffloadPeriod& period : offload.over_time)
    fmt::format_to(std::back_inserter(csv), "{},{},{}\n", period.begin_s, period.bus, period.dram);
  return csv;
}

}  // namespace moesim
