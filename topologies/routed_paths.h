// The paths of a topology for the network: messages start and end at vertices.
#pragma once

#include <vector>

#include "sim/net/message.h"
#include "topologies/routes.h"

namespace moesim {

constexpr EndpointId endpoint_of(VertexId vertex) { return EndpointId(int32_t(vertex)); }

class RoutedPaths final : public PathFinder {
 public:
  // Both must outlive it.
  RoutedPaths(const Topology& topology, Routes& routes) : topology_(topology), routes_(routes) {}

  Path by_hash(EndpointId from, EndpointId to, uint64_t key) override {
    return routes_.path(VertexId(int32_t(from)), VertexId(int32_t(to)), key);
  }
  std::span<const Path> choices(EndpointId from, EndpointId to) override;
  std::optional<Path> detour(Path blocked, uint64_t key, const std::vector<bool>& failed) override;

 private:
  const Topology& topology_;
  Routes& routes_;
  std::vector<bool> avoided_;  // what the routes keep off in detours
};

}  // namespace moesim
