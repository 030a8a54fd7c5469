// A cluster from numbers, and the two-dimensional all-to-all over it: servers of GPUs joined by NVSwitch, one NIC a
// GPU, and a leaf-spine fabric whose leaves each serve NICs of one rail. Flows are made when they start and stored
// nowhere, so that tens of millions of them fit.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/simulator.h"
#include "sim/net/flow_network.h"
#include "sim/net/work_set.h"

namespace moesim {

struct RailCluster {
  int nodes = 2048;
  int gpus_a_node = 8;   // and rails
  int nics_a_leaf = 64;  // of one rail; as many spines, so that nothing is oversubscribed
  Link nvlink{Rate{450e9}, Duration{300'000}};
  Link nic{Rate{50e9}, Duration{500'000}};  // 400 Gb/s; so are the links between leaves and spines

  int gpus() const { return nodes * gpus_a_node; }
  int leaves_a_rail() const { return (nodes + nics_a_leaf - 1) / nics_a_leaf; }
  int leaves() const { return gpus_a_node * leaves_a_rail(); }
  int spines() const { return nics_a_leaf; }

  // In this order: NVLink up and down and NIC up and down of each GPU; leaf to spine; spine to leaf.
  std::vector<Link> links() const {
    std::vector<Link> links(size_t(2 * gpus()), nvlink);
    links.resize(links.size() + size_t(2 * gpus()) + size_t(2 * leaves() * spines()), nic);
    return links;
  }

  // The path of GPU `rail` of one node to that of another, in `path`; the spine is chosen by hash of the pair.
  void rail_path(int from, int to, int rail, std::vector<LinkId>& path) const {
    const int source = from * gpus_a_node + rail;
    const int target = to * gpus_a_node + rail;
    const int from_leaf = rail * leaves_a_rail() + from / nics_a_leaf;
    const int to_leaf = rail * leaves_a_rail() + to / nics_a_leaf;
    const int first_nic = 2 * gpus();
    const int first_leaf = 4 * gpus();
    path.assign(1, LinkId(first_nic + source));
    if (from_leaf != to_leaf) {
      const uint64_t pair = uint64_t(source) * uint64_t(gpus()) + uint64_t(target);
      const int spine = int(splitmix64(pair) % uint64_t(spines()));
      path.push_back(LinkId(first_leaf + from_leaf * spines() + spine));
      path.push_back(LinkId(first_leaf + (leaves() + to_leaf) * spines() + spine));
    }
    path.push_back(LinkId(first_nic + gpus() + target));
  }
  void node_path(int node, int from, int to, std::vector<LinkId>& path) const {
    path = {LinkId(node * gpus_a_node + from), LinkId(gpus() + node * gpus_a_node + to)};
  }
};

// For each of so many receivers, receivers x mean bytes x its weight: 1 / rank, and ranks dealt at random.
inline std::vector<double> zipf_bytes(int receivers, double mean_bytes) {
  std::vector<int> ranks;
  double harmonic = 0;
  for (int rank = 1; rank <= receivers; ++rank) {
    ranks.push_back(rank);
    harmonic += 1.0 / rank;
  }
  SplitMix64 random{42};
  for (size_t i = ranks.size() - 1; i > 0; --i) std::swap(ranks[i], ranks[random.next() % (i + 1)]);
  std::vector<double> bytes;
  for (const int rank : ranks) bytes.push_back(std::round(receivers * mean_bytes / (rank * harmonic)));
  return bytes;
}

// Each GPU has 64 KiB x (nodes x weight of the node) for each GPU, the weights being a Zipf distribution dealt to nodes
// at random. Inside each node every GPU hands each GPU what is for its rail; a GPU that has all of that sends to the
// GPU of its rail in each other node.
class TwoLevelAllToAll {
 public:
  TwoLevelAllToAll(const RailCluster& cluster, double tolerance)
      : cluster_(cluster),
        bytes_to_(zipf_bytes(cluster.nodes, 65536)),
        network_(sim_, cluster.links(), {&TwoLevelAllToAll::done, this}, {tolerance}),
        awaited_(size_t(cluster.gpus()), cluster.gpus_a_node - 1) {}

  void run() {
    double all = 0;
    for (const double bytes : bytes_to_) all += bytes;
    for (int node = 0; node < cluster_.nodes; ++node)
      for (int from = 0; from < cluster_.gpus_a_node; ++from)
        for (int to = 0; to < cluster_.gpus_a_node; ++to) {
          if (from == to) continue;
          cluster_.node_path(node, from, to, path_);
          start(int64_t(all), kInNode | uint64_t(node * cluster_.gpus_a_node + to));
        }
    sim_.run();
    CHECK(network_.live() == 0);
  }

  const FlowNetwork& network() const { return network_; }
  const Simulator& sim() const { return sim_; }
  uint64_t flows() const { return flows_; }

  // Seconds from the start, of each flow between nodes: by source node, rail, target node.
  const std::vector<float>& finish_s() const { return finish_s_; }

 private:
  static constexpr uint64_t kInNode = uint64_t{1} << 63;

  void start(int64_t bytes, uint64_t tag) {
    ++flows_;
    network_.start(path_, Bytes{bytes}, tag);
  }

  static void done(void* object, uint64_t tag) {
    TwoLevelAllToAll& all = *static_cast<TwoLevelAllToAll*>(object);
    if ((tag & kInNode) == 0) {
      all.finish_s_[tag] = float(all.sim_.now().seconds());
    } else if (--all.awaited_[tag ^ kInNode] == 0) {
      all.start_rail(int(tag ^ kInNode));
    }
  }

  void start_rail(int gpu) {
    const auto nodes = uint64_t(cluster_.nodes);
    if (finish_s_.empty()) finish_s_.resize(uint64_t(cluster_.gpus()) * nodes);
    const int node = gpu / cluster_.gpus_a_node;
    const int rail = gpu % cluster_.gpus_a_node;
    for (int to = 0; to < cluster_.nodes; ++to) {
      if (to == node) continue;
      cluster_.rail_path(node, to, rail, path_);
      start(int64_t(bytes_to_[size_t(to)]) * cluster_.gpus_a_node, uint64_t(gpu) * nodes + uint64_t(to));
    }
  }

  RailCluster cluster_;
  std::vector<double> bytes_to_;  // of each GPU to each GPU of a node
  Simulator sim_;
  FlowNetwork network_;
  std::vector<int> awaited_;  // by each GPU, from its node
  std::vector<LinkId> path_;
  std::vector<float> finish_s_;
  uint64_t flows_ = 0;
};

}  // namespace moesim
