// The paths over which packets between two hosts of a leaf-spine fabric are sprayed.
#pragma once

#include <span>
#include <vector>

#include "sim/net/work_set.h"

namespace moesim {

struct SprayPaths {
  explicit SprayPaths(const LeafSpine& net) {
    for (int from = 0; from < net.hosts; ++from)
      for (int to = 0; to < net.hosts; ++to) {
        links.push_back(from == to ? std::vector<std::vector<LinkId>>{} : net.paths(from, to));
        std::vector<Path>& of_pair = paths.emplace_back();
        for (const std::vector<LinkId>& path : links.back()) of_pair.emplace_back(path);
      }
  }
  std::span<const Path> between(const LeafSpine& net, int from, int to) const {
    return paths[size_t(from) * size_t(net.hosts) + size_t(to)];
  }

 private:
  std::vector<std::vector<std::vector<LinkId>>> links;  // [pair][path]; moving a vector leaves its elements where they are
  std::vector<std::vector<Path>> paths;                 // [pair]
};

}  // namespace moesim
