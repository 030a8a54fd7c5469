#include "topologies/path_choices.h"

#include <algorithm>
#include <unordered_map>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Counts stop here; then only the first so many paths of the order are chosen from.
constexpr uint64_t kCountMax = uint64_t{1} << 62;

uint64_t sum(uint64_t a, uint64_t b) { return std::min(a + b, kCountMax); }  // of two counts, so it does not overflow
uint64_t product(uint64_t a, uint64_t b) { return a > kCountMax / b ? kCountMax : a * b; }

// The ways from each vertex of one leg, and how many paths go on from there. Looked up only.
class LegCounts {
 public:
  LegCounts(const Topology& topology, RouteSearch& search, const RouteLeg& leg)
      : topology_(&topology), search_(&search), leg_(leg) {}

  // Paths from the vertex to the end of the leg. Every link leads nearer to it, so this ends.
  uint64_t paths(VertexId at) {
    if (at == leg_.to) return 1;
    if (const auto known = from_.find(at); known != from_.end()) return known->second.paths;
    const std::span<const LinkId> ways = search_->ways_on(leg_, at);
    From from{{ways.begin(), ways.end()}, 0};
    CHECK(!from.ways.empty());
    for (const LinkId way : from.ways) from.paths = sum(from.paths, paths(end(way)));
    return from_.emplace(at, std::move(from)).first->second.paths;
  }

  // Adds the links of the path with this number, in canonical order.
  void walk(uint64_t number, std::vector<LinkId>& path) {
    for (VertexId at = leg_.from; at != leg_.to; at = end(path.back())) {
      CHECK(number < paths(at));
      for (const LinkId way : from_.find(at)->second.ways) {
        const uint64_t behind = paths(end(way));
        if (number < behind) {
          path.push_back(way);
          break;
        }
        number -= behind;
      }
    }
  }

  const RouteLeg& leg() const { return leg_; }

 private:
  struct From {
    std::vector<LinkId> ways;
    uint64_t paths = 0;
  };

  VertexId end(LinkId link) const { return topology_->places[index(link)].to; }

  const Topology* topology_;
  RouteSearch* search_;
  RouteLeg leg_;
  std::unordered_map<VertexId, From> from_;
};

}  // namespace

std::vector<std::vector<LinkId>> path_choices(const Topology& topology, RouteSearch& search,
                                              const std::vector<RouteLeg>& legs, size_t at_most) {
  std::vector<LegCounts> counts;
  for (const RouteLeg& leg : legs) counts.emplace_back(topology, search, leg);
  uint64_t total = 1;
  for (LegCounts& leg : counts) total = product(total, leg.paths(leg.leg().from));

  const uint64_t chosen = std::min(total, uint64_t{at_most});
  std::vector<std::vector<LinkId>> paths(chosen);
  for (uint64_t i = 0; i < chosen; ++i) {
    // floor(i * total / chosen), without a product that overflows.
    uint64_t number = total / chosen * i + total % chosen * i / chosen;
    uint64_t behind = total;  // paths along this leg and those after it
    for (LegCounts& leg : counts) {
      const uint64_t here = leg.paths(leg.leg().from);
      behind = std::max(behind / here, uint64_t{1});
      leg.walk(std::min(number / behind, here - 1), paths[i]);
      number %= behind;
    }
  }
  return paths;
}

}  // namespace moesim
