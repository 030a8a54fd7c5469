// Adaptive least-loaded path: each message takes the path whose fullest link has the least to carry, in time, of what
// is under way when it starts; among equals, the one after the choice by hash. It keeps its path until it is done.

#include <algorithm>

#include "sim/core/check.h"
#include "sim/net/path_policy.h"

namespace moesim {
namespace {

double backlog_s(Path path, const std::vector<double>& pending, std::span<const Link> links) {
  double most = 0;
  for (const LinkId link : path)
    most = std::max(most, pending[index(link)] / std::max(1.0, links[index(link)].capacity.bytes_per_s));
  return most;
}

std::vector<PathPart> paths_least_loaded(const PathInput& in, const NoOptions&, Rng&) {
  std::vector<double> pending;
  for (const Bytes bytes : in.pending) pending.push_back(double(bytes.count));
  std::vector<PathPart> parts;
  for (uint32_t m = 0; m < in.messages.size(); ++m) {
    const std::span<const Path> choices = in.choices(in.messages[m]);
    CHECK(!choices.empty());
    const size_t first = size_t(splitmix64(in.messages[m].key) % choices.size());
    Path best = choices[first];
    double best_s = backlog_s(best, pending, in.links);
    for (size_t i = 1; i < choices.size(); ++i) {
      const Path other = choices[(first + i) % choices.size()];
      const double other_s = backlog_s(other, pending, in.links);
      if (other_s >= best_s) continue;
      best = other;
      best_s = other_s;
    }
    for (const LinkId link : best) pending[index(link)] += double(in.messages[m].bytes.count);
    parts.push_back({m, in.messages[m].bytes, {best}});
  }
  return parts;
}

[[maybe_unused]] const bool registered = Registry<PathPolicy>::instance().add(
    "least_loaded", "the path whose fullest link has least to carry when the message starts", paths_least_loaded);

}  // namespace
}  // namespace moesim
