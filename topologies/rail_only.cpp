// Rail-only: GPUs of one number are joined by switches of their own, and no switch joins two rails; bytes for another
// rail are handed over inside the server first. Wang et al., "Rail-only: A Low-Cost High-Performance Network for
// Training LLMs with Trillion Parameters", arXiv 2307.12169.
#include "topologies/builder.h"
#include "topologies/rails.h"
#include "topologies/topology.h"

namespace moesim {
namespace {

struct RailOnlyOptions {
  std::optional<int32_t> nodes_per_leaf;
  SpineOptions spine;
};

template <class Visitor>
void fields(Visitor& v, RailOnlyOptions& s) {
  v.optional("nodes_per_leaf", s.nodes_per_leaf, between(1, 10'000),
             "servers whose NICs of one rail share a leaf; the leaves of a rail are joined by spines of that rail. "
             "Without it each rail is one switch");
  spine_fields(v, s.spine);
}

[[maybe_unused]] void check_fields(const RailOnlyOptions& s,
                                   const std::function<void(std::string key, std::string message)>& fault) {
  check_spine_fields(s.spine, fault);
}

Topology build_rail_only(const TopologyInput& in, const RailOnlyOptions& options, Rng&) {
  const int32_t nodes_per_leaf = options.nodes_per_leaf.value_or(std::max(in.nodes, 1));
  return build_rails("rail-only", in, {nodes_per_leaf, options.spine, SpineSets::rail});
}

[[maybe_unused]] const bool registered = Registry<TopologyBuilder>::instance().add(
    "rail-only", "one switch or leaf-spine a rail, none between rails", build_rail_only);

}  // namespace
}  // namespace moesim
