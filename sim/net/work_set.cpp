#include "sim/net/work_set.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"
#include "sim/core/math.h"
#include "sim/core/random.h"

namespace moesim {
namespace {

constexpr double kMeanBytes = 262144;  // of a flow of the all-to-alls

Bytes whole_bytes(double bytes) { return Bytes{int64_t(std::max(1.0, std::round(bytes)))}; }

FlowProblem all_pairs(const LeafSpine& net, const std::vector<Bytes>& bytes_to) {
  FlowProblem problem{net.links(), {}};
  const size_t hosts = size_t(net.hosts);
  const size_t flows = hosts * (hosts - 1);
  problem.flows.reserve(flows, 4 * flows - 2 * hosts * size_t(net.hosts_a_leaf - 1));
  for (int32_t from = 0; from < net.hosts; ++from)
    for (int32_t to = 0; to < net.hosts; ++to)
      if (from != to) problem.flows.push_back({net.path(from, to), bytes_to[size_t(to)], Time{}});
  return problem;
}

FlowProblem a2a(const LeafSpine& net) {
  return all_pairs(net, std::vector<Bytes>(size_t(net.hosts), whole_bytes(kMeanBytes)));
}

FlowProblem zipf(const LeafSpine& net) {
  const auto hosts = size_t(net.hosts);
  std::vector<size_t> host_of_rank(hosts);
  for (size_t i = 0; i < hosts; ++i) host_of_rank[i] = i;
  SplitMix64 random{42};
  for (size_t i = hosts - 1; i > 0; --i) std::swap(host_of_rank[i], host_of_rank[random.next() % (i + 1)]);
  double harmonic = 0;
  for (size_t k = 1; k <= hosts; ++k) harmonic += 1.0 / double(k);
  std::vector<Bytes> bytes(hosts);
  for (size_t k = 0; k < hosts; ++k)
    bytes[host_of_rank[k]] = whole_bytes(double(hosts) * kMeanBytes * (1.0 / double(k + 1) / harmonic));
  return all_pairs(net, bytes);
}

// Each size is multiplied by a number between 0.5 and 1.5, so that no two flows end together.
FlowProblem with_random_sizes(FlowProblem problem) {
  SplitMix64 random{99};
  for (size_t flow = 0; flow < problem.flows.size(); ++flow)
    problem.flows.set_bytes(flow, whole_bytes(double(problem.flows.bytes(flow).count) * (0.5 + random.uniform())));
  return problem;
}

// The size of a flow of web search (DCTCP, SIGCOMM 2010) below which this share of the flows stays.
Bytes web_search_bytes(double share) {
  constexpr std::array kBytes = {0.0, 10e3, 20e3, 30e3, 50e3, 80e3, 200e3, 1e6, 2e6, 5e6, 10e6, 30e6};
  constexpr std::array kShare = {0.0, .15, .20, .30, .40, .53, .60, .70, .80, .90, .97, 1.0};
  size_t i = 1;
  while (share > kShare[i]) ++i;
  const double part = (share - kShare[i - 1]) / (kShare[i] - kShare[i - 1]);
  return whole_bytes(kBytes[i - 1] + part * (kBytes[i] - kBytes[i - 1]));
}

FlowProblem stream(const LeafSpine& net, int32_t flows) {
  constexpr double kLoad = 0.6;
  constexpr double kWebSearchMeanBytes = 1711250;
  FlowProblem problem{net.links(), {}};
  problem.flows.reserve(size_t(flows), 4 * size_t(flows));
  SplitMix64 random{7};
  const int32_t oversubscription = net.hosts_a_leaf / net.spines;
  const double starts_per_s =
      kLoad / oversubscription * net.hosts * LeafSpine::kLink.capacity.bytes_per_s / kWebSearchMeanBytes;
  double now = 0;
  for (int32_t i = 0; i < flows; ++i) {
    now += -exact_log(1 - random.uniform()) / starts_per_s;
    const auto from = int32_t(random.uniform() * net.hosts);
    auto to = int32_t(random.uniform() * (net.hosts - 1));
    if (to >= from) ++to;
    const Bytes bytes = web_search_bytes(random.uniform());
    problem.flows.push_back({net.path(from, to), bytes, Time{int64_t(std::round(now * 1e12))}});
  }
  return problem;
}

}  // namespace

LeafSpine::LeafSpine(int32_t host_count, int32_t oversubscription)
    : hosts(host_count),
      hosts_a_leaf(hosts_a_leaf_of(host_count)),
      leaves(hosts / hosts_a_leaf),
      spines(hosts_a_leaf / oversubscription) {
  CHECK(hosts > 0);
  CHECK(hosts % hosts_a_leaf == 0);
  CHECK(hosts_a_leaf % oversubscription == 0);
}

std::string LeafSpine::link_name(LinkId link) const {
  int32_t place = int32_t(link);
  if (place < hosts) return fmt::format("host{} -> leaf{}", place, place / hosts_a_leaf);
  place -= hosts;
  if (place < hosts) return fmt::format("leaf{} -> host{}", place / hosts_a_leaf, place);
  place -= hosts;
  if (place < leaves * spines) return fmt::format("leaf{} -> spine{}", place / spines, place % spines);
  place -= leaves * spines;
  return fmt::format("spine{} -> leaf{}", place / leaves, place % leaves);
}

std::vector<LinkId> LeafSpine::path_over(int32_t from, int32_t to, int32_t spine) const {
  const int32_t from_leaf = from / hosts_a_leaf;
  const int32_t to_leaf = to / hosts_a_leaf;
  const LinkId up{from};
  const LinkId down{hosts + to};
  if (from_leaf == to_leaf) return {up, down};
  return {up, LinkId{2 * hosts + from_leaf * spines + spine},
          LinkId{2 * hosts + leaves * spines + spine * leaves + to_leaf}, down};
}

std::vector<LinkId> LeafSpine::path(int32_t from, int32_t to) const {
  const uint64_t hash = splitmix64(uint64_t(from) * uint64_t(hosts) + uint64_t(to));
  return path_over(from, to, int32_t(hash % uint64_t(spines)));
}

std::vector<std::vector<LinkId>> LeafSpine::paths(int32_t from, int32_t to) const {
  std::vector<std::vector<LinkId>> all;
  const bool same_leaf = from / hosts_a_leaf == to / hosts_a_leaf;
  for (int32_t spine = 0; spine < (same_leaf ? 1 : spines); ++spine) all.push_back(path_over(from, to, spine));
  return all;
}

Path LeafSpinePaths::by_hash(EndpointId up, EndpointId down, uint64_t) {
  const auto to = int32_t(down) - net_.hosts;
  const std::span<const Path> all = choices(up, down);
  const LinkId second = net_.path(int32_t(up), to)[1];
  return *std::find_if(all.begin(), all.end(), [&](Path path) { return path[1] == second; });
}

std::span<const Path> LeafSpinePaths::choices(EndpointId up, EndpointId down) {
  const auto [entry, is_new] = choices_.try_emplace(uint64_t(index(up)) << 32 | uint64_t(index(down)));
  if (is_new)
    for (std::vector<LinkId>& path : net_.paths(int32_t(up), int32_t(down) - net_.hosts))
      entry->second.emplace_back(links_.emplace_back(std::move(path)));
  return entry->second;
}

std::optional<Path> LeafSpinePaths::detour(Path blocked, uint64_t key, const std::vector<bool>& failed) {
  const std::span<const Path> all = choices(EndpointId(blocked.front()), EndpointId(blocked.back()));
  for (size_t i = 0; i < all.size(); ++i) {
    const Path path = all[(size_t(key % all.size()) + i) % all.size()];
    if (std::none_of(path.begin(), path.end(), [&](LinkId link) { return failed[index(link)]; })) return path;
  }
  return {};
}

FlowProblem work_set(Workload workload, const LeafSpine& net, int32_t stream_flows) {
  switch (workload) {
    case Workload::a2a:
      return a2a(net);
    case Workload::zipf:
      return zipf(net);
    case Workload::rnd:
      return with_random_sizes(a2a(net));
    case Workload::rndz:
      return with_random_sizes(zipf(net));
    case Workload::stream:
      return stream(net, stream_flows);
  }
  CHECK(false);
  return {};
}

}  // namespace moesim
