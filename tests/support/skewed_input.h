// Placement problems for tests, and placements by a policy with settings as a scenario would give them.
#pragma once

#include <string>

#include "sim/config/reader.h"
#include "sim/moe/placement.h"

namespace moesim {

// {"policy": NAME, MORE}.
inline Placement placement_by_settings(const std::string& policy, const std::string& more, const PlacementInput& in,
                                       uint64_t seed = 1) {
  PolicyChoice<PlacementPolicy> choice;
  std::vector<Fault> faults;
  choice.read(parse_json("{\"policy\": \"" + policy + "\"" + (more.empty() ? "" : ", " + more) + "}", "settings"),
              Place{}, faults);
  throw_if_any("settings", faults);
  Rng rng(seed);
  Placement placement = choice.decide(in, rng);
  check_placement(placement, in);
  return placement;
}

// Loads with a few hot experts, and transitions that prefer some successors: the affinity of real routing, made up.
inline PlacementInput skewed_input(int32_t layers, int32_t experts, int32_t gpus, int32_t slots_per_gpu, Rng& rng) {
  PlacementInput in;
  in.layers = layers;
  in.experts = experts;
  in.gpus = gpus;
  in.gpus_per_node = gpus;
  in.slots_per_gpu = slots_per_gpu;
  in.past_load.resize(size_t(layers));
  for (auto& load : in.past_load)
    for (int32_t expert = 0; expert < experts; ++expert) load.push_back(int64_t(1000 * rng.log_normal(0, 1)));
  in.transitions.resize(size_t(layers - 1));
  for (auto& tokens : in.transitions)
    for (int32_t pair = 0; pair < experts * experts; ++pair) tokens.push_back(int64_t(100 * rng.log_normal(0, 1.2)));
  return in;
}

// GPUs behind a link in and a link out each, a few of them slower, and nodes behind one link in and out.
inline void add_link_costs(PlacementInput& in, Rng& rng) {
  const int32_t gpus = in.gpus;
  const auto node = [&](int32_t gpu) { return gpu / std::max(in.gpus_per_node, 1); };
  PlacementCosts& c = in.costs;
  for (int32_t gpu = 0; gpu < gpus; ++gpu) c.token_s.push_back(rng.below(4) == 0 ? 3e-8 : 2e-8);
  c.dispatch_bytes = 7168;
  c.combine_bytes = 14336;
  for (int32_t gpu = 0; gpu < 2 * gpus; ++gpu) c.link_s.push_back(1 / 450e9);
  for (int32_t link = 0; link < 2 * (node(gpus - 1) + 1); ++link)
    c.link_s.push_back(rng.below(3) == 0 ? 1 / 50e9 : 1 / 100e9);
  c.path.resize(size_t(gpus * gpus));
  c.distance.assign(size_t(gpus), std::vector<double>(size_t(gpus), 0));
  for (int32_t a = 0; a < gpus; ++a)
    for (int32_t b = 0; b < gpus; ++b) {
      if (a == b) continue;
      std::vector<int32_t>& path = c.path[size_t(a * gpus + b)];
      path = {2 * a, 2 * b + 1};
      if (node(a) != node(b)) path.insert(path.begin() + 1, {2 * gpus + 2 * node(a), 2 * gpus + 2 * node(b) + 1});
      c.distance[size_t(a)][size_t(b)] = node(a) == node(b) ? 1 : 2;
    }
}

}  // namespace moesim
