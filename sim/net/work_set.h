// The common work set of network simulators: uniform and skewed all-to-alls, with equal or random sizes, and a stream
// of flows, over a leaf-spine fabric. Every byte is defined, so that simulators can be compared on it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/net/flow_problem.h"

namespace moesim {

// Hosts under leaves, every leaf joined to every spine; each link 400 Gb/s and 500 ns each way. Links are, in this
// order: hosts up, hosts down, leaves to spines (by leaf), spines to leaves (by spine).
struct LeafSpine {
  static constexpr Link kLink{Rate{50e9}, Duration{500'000}};

  // The hosts fill their leaves, and the oversubscription divides hosts_a_leaf_of(hosts).
  LeafSpine(int32_t hosts, int32_t oversubscription);
  static constexpr int32_t hosts_a_leaf_of(int32_t hosts) { return hosts == 64 ? 16 : 32; }

  int32_t link_count() const { return 2 * hosts + 2 * leaves * spines; }
  std::vector<Link> links() const { return std::vector<Link>(size_t(link_count()), kLink); }
  std::string link_name(LinkId link) const;  // "host3 -> leaf0"

  // The path that a flow between two hosts takes by hash: 2 links within a leaf, else 4.
  std::vector<LinkId> path(int32_t from, int32_t to) const;

  // All equal-cost paths: one within a leaf, else one a spine, by number of spine.
  std::vector<std::vector<LinkId>> paths(int32_t from, int32_t to) const;

  int32_t hosts, hosts_a_leaf, leaves, spines;

 private:
  std::vector<LinkId> path_over(int32_t from, int32_t to, int32_t spine) const;
};

// The paths of that fabric, from the link up of one host to the link down of another. What has been asked for is kept.
class LeafSpinePaths final : public PathFinder {
 public:
  explicit LeafSpinePaths(const LeafSpine& net) : net_(net) {}

  Path by_hash(EndpointId up, EndpointId down, uint64_t key) override;
  std::span<const Path> choices(EndpointId up, EndpointId down) override;
  std::optional<Path> detour(Path blocked, uint64_t key, const std::vector<bool>& failed) override;

 private:
  LeafSpine net_;
  std::deque<std::vector<LinkId>> links_;                    // of all paths; never moved
  std::unordered_map<uint64_t, std::vector<Path>> choices_;  // by pair; looked up only
};

enum class Workload {
  a2a,     // every ordered pair of hosts, 256 KiB, at once
  zipf,    // the same, with sizes by the popularity of the destination
  rnd,     // a2a, each size times 0.5 to 1.5
  rndz,    // zipf, each size times 0.5 to 1.5
  stream,  // Poisson starts at 60 % load, sizes of web search
};

constexpr auto enum_names(Workload) {
  return std::to_array<std::pair<Workload, const char*>>({{Workload::a2a, "a2a"},
                                                          {Workload::zipf, "zipf"},
                                                          {Workload::rnd, "rnd"},
                                                          {Workload::rndz, "rndz"},
                                                          {Workload::stream, "stream"}});
}

inline constexpr int32_t kStreamFlows = 100'000;

// `stream_flows` is how many flows a stream has; the others have hosts x (hosts - 1).
FlowProblem work_set(Workload workload, const LeafSpine& net, int32_t stream_flows = kStreamFlows);

}  // namespace moesim
