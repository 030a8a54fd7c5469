// A topology builder: a policy that turns a number of servers and what each is made of into a topology.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/config/error.h"
#include "sim/config/registry.h"
#include "topologies/node.h"

namespace moesim {

struct Topology;

struct TopologyInput {
  int32_t nodes = 1;
  NodeSpec node;
};

// Builders are registered in Registry<TopologyBuilder>. Each answers with a topology in which every GPU reaches every
// other, or throws a ConfigError whose paths are relative to the builder's options ("/spines").
struct TopologyBuilder {
  using Input = TopologyInput;
  using Decision = Topology;
  static constexpr const char* kind = "topology";
};

// Sizes beyond these are typing errors, and are refused before anything is allocated.
inline constexpr int64_t kVerticesMax = 100'000;
inline constexpr int64_t kLinksMax = 1'000'000;

// What is common to the faults of all builders that repeat NodeSpec: too many vertices or links (each with how many a
// fabric adds), no NIC though there are several servers, NICs that no GPU uses.
std::vector<Fault> size_faults(const TopologyInput& in, double fabric_vertices, double fabric_links);

// Directed links between the NICs of all servers and the fabric.
inline double nic_ports(const TopologyInput& in) { return 2 * double(in.nodes) * double(in.node.nics); }

// Throws what was found, if anything.
void throw_faults(const std::string& builder, std::vector<Fault> faults);

}  // namespace moesim
