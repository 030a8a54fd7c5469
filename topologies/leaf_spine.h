// Servers whose NICs all go to one leaf switch, and leaves under spines: the fabric of leaf-spine, and a part of
// others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/core/units.h"
#include "sim/net/link.h"
#include "topologies/ids.h"
#include "topologies/spines.h"

namespace moesim {

struct LeafSpineOptions {
  // Four servers of eight NICs fill half of a 64-port switch (NVIDIA QM9700, SN5600); the other half goes up.
  int32_t nodes_per_leaf = 4;
  SpineOptions spine;
};

template <class Visitor>
void fields(Visitor& v, LeafSpineOptions& s) {
  v.optional("nodes_per_leaf", s.nodes_per_leaf, between(1, 10'000), "servers that share a leaf switch");
  spine_fields(v, s.spine);
}

inline void check_fields(const LeafSpineOptions& s,
                         const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

// Of so many servers, each of which can send this much over its NICs together.
FabricSize leaf_spine_size(int32_t nodes, Rate node_rate, const LeafSpineOptions& options);

// Joins the NICs of a server, the one with this number among those of the fabric, to its leaf.
void join_leaf(Topology& topology, const std::vector<VertexId>& nics, int32_t node, const LeavesAndSpines& fabric,
               const LeafSpineOptions& options, const Link& port);

}  // namespace moesim
