#include "topologies/routes.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/random.h"
#include "topologies/path_choices.h"

namespace moesim {
namespace {

// Links of stored paths are kept in blocks of this many.
constexpr size_t kBlock = 16'384;

uint64_t pair_key(VertexId from, VertexId to) { return uint64_t(index(from)) << 32 | uint64_t(index(to)); }

// Which of `ways` the flow takes at a fork. Each fork hashes afresh, so that two in a row do not split alike.
size_t choice(uint64_t hash, VertexId fork, size_t ways) {
  const uint64_t mixed = splitmix64(hash ^ splitmix64(uint64_t(index(fork))));
  return size_t((mixed >> 32) * ways >> 32);
}

}  // namespace

Routes::Routes(const Topology& topology, uint64_t seed)
    : topology_(&topology), seed_(splitmix64(seed)), search_(topology) {}

Path Routes::path(VertexId from, VertexId to, uint64_t flow_key) {
  const std::optional<Path> found = find_path(search_, walked_, from, to, hash_of(from, to, flow_key));
  CHECK(found.has_value());
  return *found;
}

std::span<const Path> Routes::choices(VertexId from, VertexId to) {
  const auto [entry, is_new] = choices_.try_emplace(pair_key(from, to));
  if (is_new) {
    const std::optional<std::vector<RouteLeg>> legs = search_.legs(from, to);
    CHECK(legs.has_value());
    for (const std::vector<LinkId>& links : path_choices(*topology_, search_, *legs, kChoicesMax))
      entry->second.push_back(store(links));
  }
  return entry->second;
}

void Routes::set_failed(std::vector<bool> failed_links) {
  CHECK(failed_links.empty() || failed_links.size() == topology_->links.size());
  detours_.reset();
  failed_ = std::move(failed_links);
  if (std::find(failed_.begin(), failed_.end(), true) == failed_.end()) return;
  detours_.emplace(Detours{RouteSearch(*topology_), {}});
  detours_->search.set_failed(failed_);
}

std::optional<Path> Routes::path_avoiding(VertexId from, VertexId to, uint64_t flow_key) {
  const Path usual = path(from, to, flow_key);
  const auto has_failed = [&](LinkId link) { return failed_[index(link)]; };
  if (!detours_ || std::none_of(usual.begin(), usual.end(), has_failed)) return usual;
  // Mixed once more: the flows that met on a failed link have hashes of one kind, and would spread unevenly again.
  return find_path(detours_->search, detours_->walked, from, to, splitmix64(hash_of(from, to, flow_key)));
}

std::optional<int32_t> Routes::hops(VertexId from, VertexId to) {
  const std::optional<std::vector<RouteLeg>> legs = search_.legs(from, to);
  if (!legs) return {};
  int32_t sum = 0;
  for (const RouteLeg& leg : *legs)
    for (VertexId at = leg.from; at != leg.to; ++sum)
      at = topology_->places[index(search_.ways_on(leg, at).links.front())].to;
  return sum;
}

std::vector<std::pair<VertexId, VertexId>> Routes::unjoined_gpus(size_t at_most) {
  std::vector<std::pair<VertexId, VertexId>> unjoined;
  for (const VertexId to : topology_->gpus) {
    for (const VertexId from : topology_->gpus) {
      if (unjoined.size() == at_most) return unjoined;
      // Nearly always the widest scope answers, and the others need not be searched.
      if (from != to && !search_.is_joined(search_.leg(from, to, RouteScope::anywhere)) && !search_.legs(from, to))
        unjoined.emplace_back(from, to);
    }
    search_.forget();  // what was searched for all GPUs together could fill the memory
  }
  return unjoined;
}

std::vector<std::vector<LinkId>> Routes::every_shortest_path(VertexId from, VertexId to) {
  std::vector<std::vector<LinkId>> found;
  const std::optional<std::vector<RouteLeg>> legs = search_.legs(from, to);
  if (!legs) return found;
  std::vector<LinkId> walked;
  extend_every(*legs, 0, from, walked, found);
  return found;
}

void Routes::extend_every(const std::vector<RouteLeg>& way, size_t part, VertexId at, std::vector<LinkId>& walked,
                          std::vector<std::vector<LinkId>>& found) const {
  while (part < way.size() && at == way[part].to) ++part;
  if (part == way.size()) {
    found.push_back(walked);
    return;
  }
  for (const LinkId link : search_.ways_on(way[part], at).links) {
    walked.push_back(link);
    extend_every(way, part, topology_->places[index(link)].to, walked, found);
    walked.pop_back();
  }
}

uint64_t Routes::hash_of(VertexId from, VertexId to, uint64_t flow_key) const {
  return splitmix64(seed_ ^ splitmix64(flow_key ^ splitmix64(pair_key(from, to))));
}

std::optional<Path> Routes::find_path(RouteSearch& search, Walked& walked, VertexId from, VertexId to, uint64_t hash) {
  const auto [entry, is_new] = walked.slot_of_pair.try_emplace(pair_key(from, to), uint32_t(walked.slots.size()));
  if (is_new) walked.slots.push_back(kNoStep);
  const uint32_t root = entry->second;
  for (uint32_t slot = root; walked.slots[slot] != kNoStep;) {
    const Step& step = walked.steps[size_t(walked.slots[slot])];
    if (step.ways == 0) return step.path;
    slot = step.first_slot + uint32_t(choice(hash, step.fork, step.ways));
  }
  const std::optional<std::vector<RouteLeg>> legs = search.legs(from, to);
  if (!legs) return {};
  return walk(search, walked, *legs, hash, root);
}

// Walks the whole path of a flow and adds what is new of it to the tree that hangs on the slot.
Path Routes::walk(const RouteSearch& search, Walked& walked, const std::vector<RouteLeg>& legs, uint64_t hash,
                  uint32_t slot) {
  std::vector<LinkId> links;
  for (const RouteLeg& leg : legs) {
    for (VertexId at = leg.from; at != leg.to; at = topology_->places[index(links.back())].to) {
      CHECK(links.size() <= topology_->links.size());
      const std::vector<LinkId> ways = search.ways_on(leg, at).links;
      CHECK(!ways.empty());
      if (ways.size() == 1) {
        links.push_back(ways.front());
        continue;
      }
      if (walked.slots[slot] == kNoStep) {
        walked.slots[slot] = int32_t(walked.steps.size());
        walked.steps.push_back({at, uint32_t(ways.size()), uint32_t(walked.slots.size()), {}});
        walked.slots.resize(walked.slots.size() + ways.size(), kNoStep);
      }
      const size_t chosen = choice(hash, at, ways.size());
      slot = walked.steps[size_t(walked.slots[slot])].first_slot + uint32_t(chosen);
      links.push_back(ways[chosen]);
    }
  }
  CHECK(walked.slots[slot] == kNoStep);
  walked.slots[slot] = int32_t(walked.steps.size());
  walked.steps.push_back({kNoVertex, 0, 0, store(links)});
  return walked.steps.back().path;
}

Path Routes::store(const std::vector<LinkId>& links) {
  if (stored_.empty() || stored_.back().capacity() - stored_.back().size() < links.size()) {
    stored_.emplace_back();
    stored_.back().reserve(std::max(kBlock, links.size()));
  }
  std::vector<LinkId>& block = stored_.back();
  const size_t first = block.size();
  block.insert(block.end(), links.begin(), links.end());
  return Path(block).subspan(first);
}

Rate narrowest(const Topology& topology, Path path) {
  CHECK(!path.empty());
  Rate least = topology.links[index(path.front())].capacity;
  for (const LinkId link : path) least = std::min(least, topology.links[index(link)].capacity);
  return least;
}

Duration latency(const Topology& topology, Path path) {
  Duration sum;
  for (const LinkId link : path) sum += topology.links[index(link)].latency;
  return sum;
}

}  // namespace moesim
