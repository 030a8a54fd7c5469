// Spine switches over leaves, as leaf-spine and rail-optimised fabrics share them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/error.h"
#include "sim/config/fields.h"
#include "sim/core/units.h"
#include "topologies/ids.h"

namespace moesim {

struct Topology;

struct SpineOptions {
  std::optional<int32_t> spines;
  std::optional<double> oversubscription;
  Rate link = 50_GBps;
  // An Ethernet switch takes 300-800 ns from port to port (recalled).
  Duration latency = 500_ns;
};

template <class Visitor>
void spine_fields(Visitor& v, SpineOptions& s) {
  v.optional("spines", s.spines, between(0, 10'000),
             "spine switches; each leaf has one link to each. Without it, as many as the oversubscription asks for");
  v.optional(
      "oversubscription", s.oversubscription, between(0.01, 1000.0),
      "bandwidth of the fullest leaf's NICs over that of its links to the spines; 2 is 2:1. The number of spines is "
      "rounded up, so that the ratio is at most this. 1 where neither this nor the spines are given");
  v.optional("link", s.link, above(Rate{0}), "one link between a leaf and a spine, each direction");
  v.optional("latency", s.latency, between(Duration{}, 1_s), "of one link between a leaf and a spine");
}

void check_spine_fields(const SpineOptions& s, const std::function<void(std::string key, std::string message)>& fault);

// A fabric's size before it is built: the numbers are doubles, since absurd settings make absurd sizes.
struct FabricSize {
  double leaves = 0;
  double spines = 0;
};

// `leaf_down` is what the NICs of the fullest leaf can send together. A single leaf needs no spine.
FabricSize fabric_size(double leaves, Rate leaf_down, const SpineOptions& options);

// Adds what is wrong with the fabric.
void fabric_faults(const FabricSize& size, const SpineOptions& options, std::vector<Fault>& faults);

// Switches and directed links of it, without the NICs' ports.
inline double fabric_vertices(const FabricSize& size) { return size.leaves + size.spines; }
inline double fabric_links(const FabricSize& size) { return 2 * size.leaves * size.spines; }

struct LeavesAndSpines {
  std::vector<VertexId> leaves;
  std::vector<VertexId> spines;
};

// Adds the leaves, named "leaf0" and so on after the prefix, and the spines over them.
LeavesAndSpines add_leaves_and_spines(Topology& topology, const FabricSize& size, const SpineOptions& options,
                                      const std::string& prefix);

}  // namespace moesim
