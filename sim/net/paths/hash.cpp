// Single path by hash, as ECMP does it: a flow keeps the path that its switches hash it to, whoever else is there.

#include "sim/net/path_policy.h"

namespace moesim {
namespace {

std::vector<PathPart> paths_by_hash(const PathInput& in, const NoOptions&, Rng&) {
  std::vector<PathPart> parts;
  for (uint32_t m = 0; m < in.messages.size(); ++m)
    parts.push_back({m, in.messages[m].bytes, {in.by_hash(in.messages[m])}});
  return parts;
}

[[maybe_unused]] const bool registered =
    Registry<PathPolicy>::instance().add("hash", "one path a message, chosen by hash (ECMP)", paths_by_hash);

}  // namespace
}  // namespace moesim
