// Rail-optimised: NIC r of every server of a pod goes to leaf r of that pod, so that GPUs of the same number are one
// switch apart; spines join all leaves. As in NVIDIA's DGX SuperPOD reference architecture.
#include "topologies/builder.h"
#include "topologies/rails.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct RailOptions {
  // A scalable unit of the DGX H100 SuperPOD: 32 servers fill half of each 64-port leaf.
  int32_t nodes_per_pod = 32;
  SpineOptions spine;
  SpineSets spine_sets = SpineSets::shared;
};

template <class Visitor>
void fields(Visitor& v, RailOptions& s) {
  v.optional("nodes_per_pod", s.nodes_per_pod, between(1, 10'000),
             "servers that share a set of leaf switches, one leaf for each NIC of a server");
  spine_fields(v, s.spine);
  v.optional(
      "spine_sets", s.spine_sets,
      "shared: all leaves hang on the same spines. rail: the leaves of each rail have spines of their own, as many "
      "as spines or the oversubscription says, and traffic to another rail is handed over inside the server");
}

[[maybe_unused]] void check_fields(const RailOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

Topology build_rail_optimised(const TopologyInput& in, const RailOptions& options, Rng&) {
  return build_rails("rail-optimised", in, {options.nodes_per_pod, options.spine, options.spine_sets});
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "rail-optimised", "NIC r of each server of a pod on leaf r, leaves joined by spines", build_rail_optimised);

}  // namespace
}  // namespace moesim
