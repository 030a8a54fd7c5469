#include "sim/run/offload/memories.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>

namespace moesim {
namespace {

VertexId add_memory(Topology& topology, VertexId socket, const std::string& name, Link link) {
  const int32_t node = vertex(topology, socket).node;
  const VertexId memory = add_vertex(topology, {VertexKind::memory, name, node, kNoVertex});
  add_link(topology, memory, socket, link, LinkKind::memory);
  return memory;
}

[[noreturn]] void fail(const LoadedScenario& loaded, const std::string& pointer, const std::string& message) {
  throw ConfigError(loaded.source, {fault_at(loaded.root, pointer, message)});
}

std::vector<VertexId> tiers_of_node(const LoadedScenario& loaded, Topology& topology, const HostMemories& memories,
                                    int32_t node) {
  const auto first_of = [&](int32_t of) {
    return std::find_if(memories.sockets.begin(), memories.sockets.end(),
                        [&](const HostMemories::Socket& socket) { return socket.node == of; });
  };
  std::vector<VertexId> tiers;
  for (const TierConfig& tier : loaded.scenario.offload->tiers) {
    if (tier.place == TierPlace::network) {
      if (topology.nodes < 2) fail(loaded, "/offload/tiers", "a tier over the network needs a second server");
      tiers.push_back(first_of((node + 1) % topology.nodes)->memory);
      continue;
    }
    const VertexId socket = topology.places[index(first_of(node)->reads)].to;
    const std::string name = fmt::format("node{}/{}", node, tier.name);
    if (find_vertex(topology, name)) fail(loaded, "/offload/tiers", "two parts of a server are called " + tier.name);
    tiers.push_back(add_memory(topology, socket, name, {tier.rate, tier.latency}));
  }
  return tiers;
}

}  // namespace

VertexId nearest_socket(const Topology& topology, VertexId gpu) {
  const int32_t node = vertex(topology, gpu).node;
  std::vector<bool> seen(boost::num_vertices(topology.graph));
  std::deque<VertexId> queue{gpu};
  seen[index(gpu)] = true;
  while (!queue.empty()) {
    const VertexId here = queue.front();
    queue.pop_front();
    if (vertex(topology, here).kind == VertexKind::cpu) return here;
    const auto [begin, end] = boost::out_edges(index(here), topology.graph);
    for (auto edge = begin; edge != end; ++edge) {
      const VertexId there{int32_t(boost::target(*edge, topology.graph))};
      if (seen[index(there)] || vertex(topology, there).node != node) continue;
      seen[index(there)] = true;
      queue.push_back(there);
    }
  }
  return kNoVertex;
}

HostMemories add_host_memories(const LoadedScenario& loaded, Cluster& cluster) {
  Topology& topology = cluster.topology;
  HostMemories memories;
  std::vector<VertexId> socket_of_gpu;
  for (const VertexId gpu : topology.gpus) {
    socket_of_gpu.push_back(nearest_socket(topology, gpu));
    if (socket_of_gpu.back() == kNoVertex)
      fail(loaded, "/cluster/fabric",
           fmt::format("{} reaches no CPU of its server, so nothing can be offloaded there",
                       vertex(topology, gpu).name));
  }
  const std::vector<VertexId> sockets = topology.cpus;
  for (size_t socket = 0; socket < sockets.size(); ++socket) {
    const Vertex at = vertex(topology, sockets[socket]);
    const VertexId memory =
        add_memory(topology, sockets[socket], at.name + "-memory", {loaded.cpu.memory_bandwidth, {}});
    memories.sockets.push_back({memory, LinkId(topology.links.size() - 2), at.node});
  }
  for (const VertexId socket : socket_of_gpu)
    memories.socket_of_gpu.push_back(int32_t(std::find(sockets.begin(), sockets.end(), socket) - sockets.begin()));
  for (int32_t node = 0; node < topology.nodes && !loaded.scenario.offload->tiers.empty(); ++node)
    memories.tiers.push_back(tiers_of_node(loaded, topology, memories, node));
  return memories;
}

}  // namespace moesim
