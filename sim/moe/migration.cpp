#include "sim/moe/migration.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "sim/core/check.h"
#include "sim/moe/step_graph.h"

namespace moesim {
namespace {

bool contains(const std::vector<GpuId>& hosts, GpuId rank) {
  return std::find(hosts.begin(), hosts.end(), rank) != hosts.end();
}

// Where a GPU gets an expert from that these ranks of each group host.
GpuId source_of(const std::vector<GpuId>& hosts, GpuId to, const Layout& layout, const std::vector<int64_t>& sent) {
  using Order = std::tuple<bool, int64_t, GpuId>;  // another server, what it sends so far, its number
  Order best{true, INT64_MAX, to};
  for (int32_t group = 0; group < layout.expert_groups(); ++group)
    for (const GpuId rank : hosts) {
      const GpuId gpu = layout.gpu_of_expert_rank(group, int32_t(rank));
      best = std::min(best, Order{layout.node(gpu) != layout.node(to), sent[index(gpu)], gpu});
    }
  return std::get<2>(best);
}

}  // namespace

std::vector<ExpertMove> migration_moves(const Placement& before, const Placement& after, const Layout& layout) {
  CHECK(before.hosts.size() == after.hosts.size());
  std::vector<ExpertMove> moves;
  std::vector<int64_t> sent(size_t(layout.gpus), 0);
  for (size_t layer = 0; layer < after.hosts.size(); ++layer)
    for (size_t expert = 0; expert < after.hosts[layer].size(); ++expert) {
      const std::vector<GpuId>& had = before.hosts[layer][expert];
      std::vector<GpuId> has = after.hosts[layer][expert];
      std::sort(has.begin(), has.end());
      has.erase(std::unique(has.begin(), has.end()), has.end());
      for (const GpuId rank : has)
        for (int32_t group = 0; group < layout.expert_groups() && !contains(had, rank); ++group) {
          const GpuId to = layout.gpu_of_expert_rank(group, int32_t(rank));
          const GpuId from = source_of(had, to, layout, sent);
          ++sent[index(from)];
          moves.push_back({int32_t(layer), int32_t(expert), from, to});
        }
    }
  return moves;
}

void check_moves(const std::vector<ExpertMove>& moves, const Placement& before, const Placement& after,
                 const Layout& layout) {
  std::set<std::tuple<int32_t, int32_t, GpuId>> arrived;
  for (const ExpertMove& move : moves) {
    const std::vector<GpuId>& had = before.hosts[size_t(move.layer)][size_t(move.expert)];
    CHECK(contains(had, GpuId(layout.expert_rank(move.from))));
    CHECK(!contains(had, GpuId(layout.expert_rank(move.to))));
    CHECK(arrived.insert({move.layer, move.expert, move.to}).second);
  }
  size_t needed = 0;
  for (size_t layer = 0; layer < after.hosts.size(); ++layer)
    for (size_t expert = 0; expert < after.hosts[layer].size(); ++expert) {
      const std::vector<GpuId>& hosts = after.hosts[layer][expert];
      for (const GpuId rank : std::set<GpuId>(hosts.begin(), hosts.end()))
        for (int32_t group = 0; group < layout.expert_groups(); ++group) {
          if (contains(before.hosts[layer][expert], rank)) continue;
          CHECK(arrived.contains({int32_t(layer), int32_t(expert), layout.gpu_of_expert_rank(group, int32_t(rank))}));
          ++needed;
        }
    }
  CHECK(needed == moves.size());
}

TaskGraph migration_graph(const std::vector<ExpertMove>& moves, Bytes expert, Duration stall, const Layout& layout,
                          std::span<const EndpointId> endpoints) {
  TaskGraph graph;
  for (int32_t gpu = 0; gpu < layout.gpus; ++gpu)
    add_task(graph, {stream_of(GpuId(gpu), Lane::migration), kNoPool, 0, stall, pack({Operation::migration, 0, 0})});
  std::map<std::pair<GpuId, GpuId>, int64_t> experts;
  for (const ExpertMove& move : moves) ++experts[{move.from, move.to}];
  for (const auto& [ends, count] : experts) {
    const auto [from, to] = ends;
    const uint64_t key = uint64_t(index(from)) * uint64_t(layout.gpus) + index(to);
    add_flow(
        graph,
        {TaskId(index(from)), TaskId(index(to)), {endpoints[index(from)], endpoints[index(to)], count * expert, key}});
  }
  return graph;
}

}  // namespace moesim
