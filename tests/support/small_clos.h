// A leaf-spine network for tests of messages and paths: hosts under leaves, spines over them.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/core/random.h"
#include "sim/net/message.h"

namespace moesim {

// Host h lies under leaf h / hosts_a_leaf. Paths are listed by spine; every link has 10 GB/s and 1 us.
class SmallClos final : public PathFinder {
 public:
  SmallClos(int32_t leaf_count, int32_t leaf_hosts, int32_t spine_count)
      : leaves(leaf_count),
        hosts_a_leaf(leaf_hosts),
        spines(spine_count),
        links(size_t(2 * hosts() + 2 * leaves * spines), {10_GBps, 1_us}) {
    choices_.resize(size_t(hosts() * hosts()));
    for (int32_t from = 0; from < hosts(); ++from)
      for (int32_t to = 0; to < hosts(); ++to) add_paths(from, to);
    for (size_t pair = 0; pair < stored_.size(); ++pair)
      for (const std::vector<LinkId>& path : stored_[pair]) choices_[pair].emplace_back(path);
  }

  int32_t hosts() const { return leaves * hosts_a_leaf; }
  LinkId up(int32_t leaf, int32_t spine) const { return LinkId(2 * hosts() + leaf * spines + spine); }
  LinkId down(int32_t leaf, int32_t spine) const { return LinkId(2 * hosts() + (leaves + leaf) * spines + spine); }

  Path by_hash(EndpointId from, EndpointId to, uint64_t key) override {
    const std::span<const Path> all = choices(from, to);
    return all[size_t(splitmix64(key) % all.size())];
  }
  std::span<const Path> choices(EndpointId from, EndpointId to) override {
    return choices_[index(from) * size_t(hosts()) + index(to)];
  }
  // The next choice after the blocked path that crosses no failed link.
  std::optional<Path> detour(Path blocked, uint64_t key, const std::vector<bool>& failed) override {
    const std::span<const Path> all =
        choices(EndpointId(int32_t(blocked.front())), EndpointId(int32_t(blocked.back()) - hosts()));
    for (size_t i = 0; i < all.size(); ++i) {
      const Path path = all[(size_t(key) + i) % all.size()];
      if (std::none_of(path.begin(), path.end(), [&](LinkId link) { return failed[index(link)]; })) return path;
    }
    return {};
  }

  int32_t leaves, hosts_a_leaf, spines;
  std::vector<Link> links;

 private:
  void add_paths(int32_t from, int32_t to) {
    std::vector<std::vector<LinkId>>& paths = stored_.emplace_back();
    const int32_t from_leaf = from / hosts_a_leaf;
    const int32_t to_leaf = to / hosts_a_leaf;
    if (from_leaf == to_leaf) paths.push_back({LinkId{from}, LinkId{hosts() + to}});
    for (int32_t spine = 0; spine < spines && from_leaf != to_leaf; ++spine)
      paths.push_back({LinkId{from}, up(from_leaf, spine), down(to_leaf, spine), LinkId{hosts() + to}});
  }

  std::vector<std::vector<std::vector<LinkId>>> stored_;  // [pair][choice]
  std::vector<std::vector<Path>> choices_;
};

}  // namespace moesim
