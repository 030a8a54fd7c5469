// Placement from a file: what `moesim place` wrote, or imported from a serving engine.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/config/error.h"
#include "sim/moe/placement_file.h"

namespace moesim {
namespace {

// Without a path, which no scenario can leave out, experts are in order, in equal blocks.
Placement place_from_file(const PlacementInput& in, const PlacementFileOptions& options, Rng&) {
  if (options.path.empty())
    return place_each(in, [&](int32_t, int32_t expert) { return int64_t{expert} * in.gpus / in.experts; });
  const PlacementFile file = read_placement_file(options.path);
  const std::vector<std::string> faults = misfits(file, in);
  if (!faults.empty()) throw ConfigError(options.path, fmt::format("the placement {}", fmt::join(faults, "; it ")));
  Placement placement = placement_of(file);
  if (file.slots != slots_of(in)) placement.physical_to_logical.clear();  // its slots are not those of the input
  return placement;
}

[[maybe_unused]] const bool registered =
    Registry<PlacementPolicy>::instance().add(kPlacementFromFile, "as a file of `moesim place` says", place_from_file);

}  // namespace
}  // namespace moesim
