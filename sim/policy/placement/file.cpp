// Placement from a file: what `moesim place` wrote, or imported from a serving engine.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/config/error.h"
#include "sim/core/check.h"
#include "sim/moe/placement_file.h"

namespace moesim {
namespace {

// Experts in order over the slots of all GPUs, in equal blocks where these have as many.
Placement place_in_order(const PlacementInput& in) {
  std::vector<int32_t> gpu_of_slot;
  const std::vector<int32_t> slots = slots_of_gpus(in);
  for (int32_t gpu = 0; gpu < in.gpus; ++gpu) gpu_of_slot.insert(gpu_of_slot.end(), size_t(slots[size_t(gpu)]), gpu);
  const int64_t in_all = int64_t(gpu_of_slot.size());
  CHECK(in.experts <= in_all);
  return place_each(in, [&](int32_t, int32_t expert) { return gpu_of_slot[size_t(expert * in_all / in.experts)]; });
}

Placement place_from_file(const PlacementInput& in, const PlacementFileOptions& options, Rng&) {
  if (options.path.empty()) return place_in_order(in);  // no scenario can leave the path out
  const PlacementFile file = read_placement_file(options.path);
  const std::vector<std::string> faults = misfits(file, in);
  if (!faults.empty()) throw ConfigError(options.path, fmt::format("the placement {}", fmt::join(faults, "; it ")));
  Placement placement = placement_of(file);
  if (file.slots != slots_of_gpus(in)) placement.physical_to_logical.clear();  // its slots are not those of the input
  return placement;
}

[[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
    kPlacementFromFile, "as a file of `moesim place` says", place_from_file, {PlacementNeeds::loads});

}  // namespace
}  // namespace moesim
