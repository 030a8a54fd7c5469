#include "topologies/routed_paths.h"

namespace moesim {

std::span<const Path> RoutedPaths::choices(EndpointId from, EndpointId to) {
  return routes_.choices(VertexId(int32_t(from)), VertexId(int32_t(to)));
}

std::optional<Path> RoutedPaths::detour(Path blocked, uint64_t key, const std::vector<bool>& failed) {
  if (failed != avoided_) {
    avoided_ = failed;
    routes_.set_failed(failed);
  }
  const VertexId from = topology_.places[index(blocked.front())].from;
  const VertexId to = topology_.places[index(blocked.back())].to;
  return routes_.path_avoiding(from, to, key);
}

}  // namespace moesim
