// The paths over which packets between two hosts of a leaf-spine fabric are sprayed.
#pragma once

#include <span>
#include <vector>

#include "tests/support/net_workload.h"

namespace moesim {

// Every path between two hosts, one over each spine.
struct SprayPaths {
  explicit SprayPaths(const LeafSpine& net) {
    for (int from = 0; from < net.hosts; ++from)
      for (int to = 0; to < net.hosts; ++to) add(net, from, to);
    // Only now, since the links have moved while there came more.
    size_t begin = 0;
    for (size_t i = 0; i < lengths.size(); begin += lengths[i++]) paths.emplace_back(links.data() + begin, lengths[i]);
  }
  std::span<const Path> between(const LeafSpine& net, int from, int to) const {
    const size_t pair = size_t(from) * size_t(net.hosts) + size_t(to);
    return {paths.data() + first[pair], first[pair + 1] - first[pair]};
  }

  std::vector<Path> paths;
  std::vector<size_t> first{0};  // of each pair, and the end

 private:
  void add(const LeafSpine& net, int from, int to) {
    const int from_leaf = from / net.hosts_a_leaf;
    const int to_leaf = to / net.hosts_a_leaf;
    const int ways = from == to ? 0 : from_leaf == to_leaf ? 1 : net.spines;
    for (int spine = 0; spine < ways; ++spine) {
      links.push_back(LinkId(from));
      if (ways > 1) links.push_back(LinkId(2 * net.hosts + from_leaf * net.spines + spine));
      if (ways > 1) links.push_back(LinkId(2 * net.hosts + net.leaves * net.spines + spine * net.leaves + to_leaf));
      links.push_back(LinkId(net.hosts + to));
      lengths.push_back(ways > 1 ? 4 : 2);
    }
    first.push_back(first.back() + size_t(ways));
  }

  std::vector<LinkId> links;
  std::vector<size_t> lengths;
};

}  // namespace moesim
