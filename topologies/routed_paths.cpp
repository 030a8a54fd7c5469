#include "topologies/routed_paths.h"

#include <algorithm>

#include "sim/core/check.h"

namespace moesim {

std::span<const Path> RoutedPaths::choices(EndpointId from, EndpointId to) {
  const auto [entry, is_new] =
      choices_.try_emplace(uint64_t(index(from)) << 32 | uint64_t(index(to)), std::vector<Path>{});
  if (is_new) {
    links_.push_back(routes_.every_shortest_path(VertexId(int32_t(from)), VertexId(int32_t(to))));
    for (const std::vector<LinkId>& path : links_.back()) entry->second.emplace_back(path);
    if (from == to) entry->second.emplace_back();
  }
  return entry->second;
}

std::optional<Path> RoutedPaths::detour(Path blocked, uint64_t key, const std::vector<bool>& failed) {
  const VertexId from = topology_.places[index(blocked.front())].from;
  const VertexId to = topology_.places[index(blocked.back())].to;
  std::vector<Path> up;
  for (const Path path : choices(endpoint_of(from), endpoint_of(to)))
    if (std::none_of(path.begin(), path.end(), [&](LinkId link) { return failed[index(link)]; })) up.push_back(path);
  if (up.empty()) return {};
  return up[key % up.size()];
}

}  // namespace moesim
