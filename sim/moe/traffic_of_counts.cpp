#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/traffic.h"

namespace moesim {
namespace {

// The `part`-th of `parts` slices of `count` that differ by one at most.
int64_t slice(int64_t count, int64_t part, int64_t parts) { return count * (part + 1) / parts - count * part / parts; }

}  // namespace

LayerTraffic traffic_of_counts(const StepRouting& routing, const Placement& placement, const Layout& layout,
                               TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts) {
  CHECK(copies == TokenCopies::per_expert);
  const auto& hosts = placement.hosts[size_t(moe_layer)];
  const std::vector<int64_t>& counts = routing.counts[size_t(moe_layer)];
  const size_t gpus = size_t(layout.gpus);
  const size_t nodes = size_t(layout.nodes());
  CHECK(counts.size() == gpus * hosts.size());
  LayerTraffic traffic;
  traffic.copies.assign(gpus * gpus, 0);
  traffic.node_copies.assign(gpus * nodes, 0);
  traffic.rows.resize(gpus);
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (size_t copy = 0; copy < hosts[expert].size(); ++copy)
      for (size_t from = 0; from < gpus; ++from) {
        const int32_t group = layout.expert_group(GpuId(from));
        const size_t to = index(layout.gpu_of_expert_rank(group, int32_t(hosts[expert][copy])));
        const int64_t held = slice(counts[from * hosts.size() + expert], part, parts);
        const int64_t tokens = slice(held, int64_t(copy), int64_t(hosts[expert].size()));
        // A group's first source opens the row; the others of the group add to it.
        if (from % size_t(layout.ep) == 0) traffic.rows[to].push_back(0);
        traffic.rows[to].back() += tokens;
        traffic.copies[from * gpus + to] += tokens;
        traffic.node_copies[from * nodes + size_t(layout.node(GpuId(to)))] += tokens;
      }
  for (const std::vector<int64_t>& rows : traffic.rows)
    traffic.assignments = std::accumulate(rows.begin(), rows.end(), traffic.assignments);
  int64_t choices = 0;
  for (const int64_t count : counts) choices += slice(count, part, parts);
  CHECK(traffic.assignments == choices);
  return traffic;
}

}  // namespace moesim
