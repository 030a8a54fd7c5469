#include "sim/moe/traffic.h"

#include <numeric>

#include "sim/core/check.h"

namespace moesim {
namespace {

// slot[expert * ep + rank]: place of the expert among those that the rank hosts, or -1.
struct Slots {
  std::vector<int32_t> slot;
  std::vector<int32_t> hosted;  // [rank]
};

Slots slots_of(const std::vector<std::vector<GpuId>>& hosts, int32_t ep) {
  Slots slots{std::vector<int32_t>(hosts.size() * size_t(ep), -1), std::vector<int32_t>(size_t(ep), 0)};
  for (size_t expert = 0; expert < hosts.size(); ++expert)
    for (const GpuId host : hosts[expert]) slots.slot[expert * size_t(ep) + index(host)] = slots.hosted[index(host)]++;
  return slots;
}

}  // namespace

LayerTraffic layer_traffic(const StepRouting& routing, const Placement& placement, const Layout& layout,
                           TokenCopies copies, int32_t moe_layer, int32_t part, int32_t parts) {
  if (routing.is_counts()) return traffic_of_counts(routing, placement, layout, copies, moe_layer, part, parts);
  const auto& hosts = placement.hosts[size_t(moe_layer)];
  const Slots slots = slots_of(hosts, layout.ep);
  const size_t gpus = size_t(layout.gpus);
  LayerTraffic traffic;
  const size_t nodes = size_t(layout.nodes());
  traffic.copies.assign(gpus * gpus, 0);
  traffic.node_copies.assign(gpus * nodes, 0);
  for (size_t gpu = 0; gpu < gpus; ++gpu) traffic.rows.emplace_back(size_t(slots.hosted[gpu % size_t(layout.ep)]), 0);

  std::vector<int64_t> last_token_to(gpus, -1);  // so that a second expert on the same GPU adds no copy
  std::vector<int64_t> last_token_to_node(nodes, -1);
  int64_t choices = 0;
  for (size_t from = 0; from < gpus; ++from) {
    const int32_t group = layout.expert_group(GpuId(from));
    const int64_t held = routing.first_token[from + 1] - routing.first_token[from];
    const int64_t begin = routing.first_token[from] + held * part / parts;
    const int64_t end = routing.first_token[from] + held * (part + 1) / parts;
    for (int64_t token = begin; token < end; ++token) {
      for (const uint16_t expert : routing.choices(moe_layer, token)) {
        ++choices;
        if (expert == kNoExpert) {
          ++traffic.dropped;
          continue;
        }
        const std::vector<GpuId>& expert_hosts = hosts[expert];
        const GpuId rank = expert_hosts[size_t(token) % expert_hosts.size()];
        const size_t to = index(layout.gpu_of_expert_rank(group, int32_t(rank)));
        ++traffic.rows[to][size_t(slots.slot[size_t(expert) * size_t(layout.ep) + index(rank)])];
        if (copies == TokenCopies::per_expert || last_token_to[to] != token) ++traffic.copies[from * gpus + to];
        last_token_to[to] = token;
        const size_t node = size_t(layout.node(GpuId(to)));
        if (copies == TokenCopies::per_expert || last_token_to_node[node] != token)
          ++traffic.node_copies[from * nodes + node];
        last_token_to_node[node] = token;
      }
    }
  }
  for (const std::vector<int64_t>& rows : traffic.rows)
    traffic.assignments = std::accumulate(rows.begin(), rows.end(), traffic.assignments);
  CHECK(traffic.assignments + traffic.dropped == choices);
  return traffic;
}

}  // namespace moesim
