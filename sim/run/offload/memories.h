// The memories of servers as ends of transfers: what a GPU's experts are copied from.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/run/cluster.h"
#include "sim/run/scenario.h"

namespace moesim {

struct HostMemories {
  struct Socket {
    VertexId memory = kNoVertex;
    LinkId reads = kNoLink;  // from it to its socket
    int32_t node = 0;
  };
  std::vector<Socket> sockets;               // of all servers
  std::vector<int32_t> socket_of_gpu;        // [gpu] the nearest, the first of equals
  std::vector<std::vector<VertexId>> tiers;  // [node][tier of the scenario] where it is read from
};

// The socket that the fewest links lead to from a GPU, of its own server; none where it reaches none there.
VertexId nearest_socket(const Topology& topology, VertexId gpu);

// Adds a vertex for the memory of each socket, and for each tier that is a device of a server. A tier over the network
// is the memory of the next server. Throws a ConfigError where a server has no socket, or no next server.
HostMemories add_host_memories(const LoadedScenario& loaded, Cluster& cluster);

}  // namespace moesim
