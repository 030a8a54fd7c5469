// Per-packet spraying: each packet of a message takes the next of all equal paths. A packet network does just that;
// where there are no packets, each path carries an equal part of the bytes.

#include "sim/net/path_policy.h"

namespace moesim {
namespace {

std::vector<PathPart> paths_sprayed(const PathInput& in, const NoOptions&, Rng&) {
  std::vector<PathPart> parts;
  for (uint32_t m = 0; m < in.messages.size(); ++m) {
    const std::span<const Path> choices = in.choices(in.messages[m]);
    parts.push_back({m, in.messages[m].bytes, {choices.begin(), choices.end()}});
  }
  return parts;
}

[[maybe_unused]] const bool registered =
    Registry<PathPolicy>::instance().add("spray", "each packet takes the next of all equal paths", paths_sprayed);

}  // namespace
}  // namespace moesim
