#include "sim/policy/placement/relabel.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/moe/slot_map.h"
#include "sim/policy/placement/assignment.h"

namespace moesim {
namespace {

// What keeps two that are not alike from changing places.
constexpr double kNever = 1e12;

using Hosts = std::vector<std::vector<GpuId>>;  // of one layer: [expert]

std::vector<GpuId> distinct(std::vector<GpuId> gpus) {
  std::sort(gpus.begin(), gpus.end());
  gpus.erase(std::unique(gpus.begin(), gpus.end()), gpus.end());
  return gpus;
}

// kept[new name * gpus + GPU] += copies that the GPU would not have to be sent if it were named so.
void count_kept(const Hosts& present, const Hosts& next, size_t gpus, std::vector<double>& kept) {
  for (size_t expert = 0; expert < next.size(); ++expert) {
    const std::vector<GpuId> here = distinct(present[expert]);
    for (const GpuId name : distinct(next[expert]))
      for (const GpuId gpu : here) kept[index(name) * gpus + index(gpu)] += 1;
  }
}

bool are_alike(const PlacementInput& in, size_t a, size_t b) {
  return slots_of(in, a) == slots_of(in, b) && (in.costs.token_s.empty() || in.costs.token_s[a] == in.costs.token_s[b]);
}

struct Servers {
  size_t size = 0;  // GPUs of each but perhaps the last
  size_t count = 0;
  size_t gpus = 0;

  size_t begin(size_t server) const { return server * size; }
  size_t end(size_t server) const { return std::min(gpus, begin(server) + size); }
};

Servers servers_of(const PlacementInput& in) {
  const size_t gpus = size_t(in.gpus);
  const size_t size = in.gpus_per_node > 0 ? size_t(in.gpus_per_node) : gpus;
  return {size, (gpus + size - 1) / size, gpus};
}

// The names of one server's GPUs given to those of another.
struct Match {
  std::vector<size_t> gpu_of_name;  // within the server
  double cost = 0;                  // less what is kept
};

Match match_servers(const PlacementInput& in, const Servers& servers, size_t names, size_t server,
                    const std::vector<double>& kept) {
  const size_t first = servers.begin(names);
  const size_t size = servers.end(names) - first;
  Match match;
  if (servers.end(server) - servers.begin(server) != size) return {{}, kNever};
  std::vector<double> cost;
  for (size_t name = 0; name < size; ++name)
    for (size_t gpu = 0; gpu < size; ++gpu) {
      const size_t to = servers.begin(server) + gpu;
      cost.push_back(are_alike(in, first + name, to) ? -kept[(first + name) * servers.gpus + to] : kNever);
    }
  match.gpu_of_name = cheapest_assignment(cost, std::vector<int32_t>(size, 1));
  for (size_t name = 0; name < size; ++name) match.cost += cost[name * size + match.gpu_of_name[name]];
  match.cost = std::min(match.cost, kNever);
  return match;
}

// [name] the GPU that takes it.
std::vector<GpuId> gpu_of_names(const PlacementInput& in, const std::vector<double>& kept) {
  const Servers servers = servers_of(in);
  std::vector<Match> matches;
  std::vector<double> cost;
  for (size_t names = 0; names < servers.count; ++names)
    for (size_t server = 0; server < servers.count; ++server) {
      matches.push_back(match_servers(in, servers, names, server, kept));
      cost.push_back(matches.back().cost);
    }
  const std::vector<size_t> server_of = cheapest_assignment(cost, std::vector<int32_t>(servers.count, 1));
  std::vector<GpuId> gpu_of;
  for (size_t names = 0; names < servers.count; ++names)
    for (const size_t gpu : matches[names * servers.count + server_of[names]].gpu_of_name)
      gpu_of.push_back(GpuId(servers.begin(server_of[names]) + gpu));
  CHECK(gpu_of.size() == servers.gpus);
  return gpu_of;
}

void rename_hosts(const std::vector<GpuId>& gpu_of, Hosts& hosts) {
  for (std::vector<GpuId>& of_expert : hosts)
    for (GpuId& gpu : of_expert) gpu = gpu_of[index(gpu)];
}

void rename_slots(const PlacementInput& in, const std::vector<GpuId>& gpu_of, std::vector<int32_t>& slots) {
  std::vector<size_t> begin(gpu_of.size() + 1, 0);
  for (size_t gpu = 0; gpu < gpu_of.size(); ++gpu) begin[gpu + 1] = begin[gpu] + size_t(slots_of(in, gpu));
  std::vector<int32_t> renamed(slots.size(), kEmptySlot);
  for (size_t name = 0; name < gpu_of.size(); ++name)
    std::copy(slots.begin() + ptrdiff_t(begin[name]), slots.begin() + ptrdiff_t(begin[name + 1]),
              renamed.begin() + ptrdiff_t(begin[index(gpu_of[name])]));
  slots = std::move(renamed);
}

}  // namespace

Placement relabelled(const PlacementInput& in, const Placement& present, const Placement& next, PlacementNeeds needs) {
  CHECK(present.hosts.size() == next.hosts.size());
  const size_t gpus = size_t(in.gpus);
  Placement renamed = next;
  std::vector<double> kept(gpus * gpus, 0);
  std::vector<GpuId> gpu_of;
  const bool in_common = needs == PlacementNeeds::pairs;
  for (size_t layer = 0; layer < next.hosts.size() && in_common; ++layer)
    count_kept(present.hosts[layer], next.hosts[layer], gpus, kept);
  if (in_common) gpu_of = gpu_of_names(in, kept);
  for (size_t layer = 0; layer < next.hosts.size(); ++layer) {
    if (!in_common) {
      std::fill(kept.begin(), kept.end(), 0);
      count_kept(present.hosts[layer], next.hosts[layer], gpus, kept);
      gpu_of = gpu_of_names(in, kept);
    }
    rename_hosts(gpu_of, renamed.hosts[layer]);
    if (!next.physical_to_logical.empty()) rename_slots(in, gpu_of, renamed.physical_to_logical[layer]);
  }
  return renamed;
}

int64_t copies_to_move(const Placement& present, const Placement& next) {
  int64_t copies = 0;
  for (size_t layer = 0; layer < next.hosts.size(); ++layer)
    for (size_t expert = 0; expert < next.hosts[layer].size(); ++expert)
      for (const GpuId gpu : distinct(next.hosts[layer][expert])) {
        const std::vector<GpuId>& had = present.hosts[layer][expert];
        copies += std::find(had.begin(), had.end(), gpu) == had.end();
      }
  return copies;
}

}  // namespace moesim
