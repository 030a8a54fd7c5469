#include "topologies/routes.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/random.h"

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
    : topology_(&topology), seed_(splitmix64(seed)), seen_(boost::num_vertices(topology.graph), 0) {}

Path Routes::path(VertexId from, VertexId to, uint64_t flow_key) {
  const uint64_t hash = hash_of(from, to, flow_key);
  const auto [entry, is_new] = slot_of_pair_.try_emplace(pair_key(from, to), uint32_t(slots_.size()));
  if (is_new) slots_.push_back(kNoStep);
  const uint32_t root = entry->second;
  for (uint32_t slot = root; slots_[slot] != kNoStep;) {
    const Step& step = steps_[size_t(slots_[slot])];
    if (step.ways == 0) return step.path;
    slot = step.first_slot + uint32_t(choice(hash, step.fork, step.ways));
  }
  return walk(from, to, hash, root);
}

std::optional<int32_t> Routes::hops(VertexId from, VertexId to) {
  const std::optional<std::vector<Leg>> found = legs(from, to);
  if (!found) return {};
  int32_t sum = 0;
  for (const Leg& part : *found) sum += *hops(part);
  return sum;
}

std::vector<std::pair<VertexId, VertexId>> Routes::unjoined_gpus(size_t at_most) {
  std::vector<std::pair<VertexId, VertexId>> unjoined;
  for (const VertexId to : topology_->gpus) {
    for (const VertexId from : topology_->gpus) {
      if (unjoined.size() == at_most) return unjoined;
      // Nearly always the widest scope answers, and the others need not be searched.
      if (from != to && !hops(leg(from, to, Scope::anywhere)) && !hops(from, to)) unjoined.emplace_back(from, to);
    }
    distances_.clear();  // of all GPUs together they could fill the memory
  }
  return unjoined;
}

std::vector<std::vector<LinkId>> Routes::every_shortest_path(VertexId from, VertexId to) {
  std::vector<std::vector<LinkId>> found;
  const std::optional<std::vector<Leg>> way = legs(from, to);
  if (!way) return found;
  std::vector<LinkId> walked;
  extend_every(*way, 0, from, walked, found);
  return found;
}

void Routes::extend_every(const std::vector<Leg>& way, size_t part, VertexId at, std::vector<LinkId>& walked,
                          std::vector<std::vector<LinkId>>& found) const {
  while (part < way.size() && at == way[part].to) ++part;
  if (part == way.size()) {
    found.push_back(walked);
    return;
  }
  for (const LinkId link : ways_on(way[part], at).links) {
    walked.push_back(link);
    extend_every(way, part, topology_->places[index(link)].to, walked, found);
    walked.pop_back();
  }
}

// The legs of every path between the two, none if they are not joined.
std::optional<std::vector<Routes::Leg>> Routes::legs(VertexId from, VertexId to) {
  if (from == to) return std::vector<Leg>{};
  const Vertex& source = vertex(*topology_, from);
  const Vertex& target = vertex(*topology_, to);
  const bool same_server = source.node != kNoNode && source.node == target.node;

  // Answers whether there is such a path, which it then leaves in `way`.
  std::vector<Leg> way;
  const auto joins = [&](std::initializer_list<Leg> candidate) {
    way = candidate;
    return std::all_of(way.begin(), way.end(), [&](const Leg& part) { return hops(part).has_value(); });
  };
  if (source.kind == VertexKind::gpu && target.kind == VertexKind::gpu && joins({leg(from, to, Scope::nvlink)}))
    return way;
  if (same_server && joins({leg(from, to, Scope::server)})) return way;
  if (!same_server && source.nic != kNoVertex && target.nic != kNoVertex &&
      joins({leg(from, source.nic, Scope::server), leg(source.nic, target.nic, Scope::fabric),
             leg(target.nic, to, Scope::server)}))
    return way;
  if (joins({leg(from, to, Scope::anywhere)})) return way;
  return {};
}

bool Routes::may_use(Scope scope, LinkId link, VertexId to) const {
  const LinkPlace& place = topology_->places[index(link)];
  if (scope == Scope::nvlink) return place.kind == LinkKind::nvlink;
  const int32_t here = vertex(*topology_, place.from).node;
  const int32_t there = vertex(*topology_, place.to).node;
  if (scope == Scope::server) return here == there;
  // A flow enters no server but that of its destination.
  return there == kNoNode || there == here || there == vertex(*topology_, to).node;
}

bool Routes::may_forward(Scope scope, VertexId id) const {
  const Vertex& at = vertex(*topology_, id);
  return at.kind != VertexKind::gpu && (scope != Scope::fabric || at.node == kNoNode);
}

Routes::Leg Routes::leg(VertexId from, VertexId to, Scope scope) {
  const uint64_t key = uint64_t(index(to)) << 8 | uint64_t(scope);
  auto found = distances_.find(key);
  if (found == distances_.end()) found = distances_.emplace(key, search(to, scope)).first;
  return {from, to, scope, &found->second};  // an unordered_map never moves its elements
}

// Breadth first, backwards from the destination.
Routes::Distances Routes::search(VertexId to, Scope scope) {
  ++searches_;
  CHECK(searches_ != 0);
  std::vector<std::pair<VertexId, int32_t>> reached{{to, 0}};
  seen_[index(to)] = searches_;
  for (size_t next = 0; next < reached.size(); ++next) {
    const auto [at, distance] = reached[next];
    for (const auto edge : boost::make_iterator_range(boost::in_edges(index(at), topology_->graph))) {
      const VertexId before{int32_t(boost::source(edge, topology_->graph))};
      if (seen_[index(before)] == searches_ || !may_forward(scope, before)) continue;
      if (!may_use(scope, topology_->graph[edge].link, to)) continue;
      seen_[index(before)] = searches_;
      reached.emplace_back(before, distance + 1);
    }
  }

  Distances distances{to, 0, {}};
  if (reached.size() == 1) return distances;
  const auto [first, last] = std::minmax_element(reached.begin() + 1, reached.end());
  distances.first = int32_t(first->first);
  distances.hops.assign(index(last->first) - index(first->first) + 1, Distances::kFar);
  for (size_t i = 1; i < reached.size(); ++i)
    distances.hops[index(reached[i].first) - size_t(distances.first)] = reached[i].second;
  return distances;
}

std::optional<int32_t> Routes::hops(const Leg& leg) const {
  if (leg.from == leg.to) return 0;
  const int32_t fewest = ways_on(leg, leg.from).hops;
  return fewest == Distances::kFar ? std::nullopt : std::optional(fewest);
}

Routes::Ways Routes::ways_on(const Leg& leg, VertexId at) const {
  Ways ways;
  for (const auto edge : boost::make_iterator_range(boost::out_edges(index(at), topology_->graph))) {
    const int32_t left = leg.distances->from(VertexId{int32_t(boost::target(edge, topology_->graph))});
    if (left == Distances::kFar || left + 1 > ways.hops) continue;
    const LinkId link = topology_->graph[edge].link;
    if (!may_use(leg.scope, link, leg.to)) continue;
    if (left + 1 < ways.hops) ways.links.clear();
    ways.hops = left + 1;
    ways.links.push_back(link);
  }
  return ways;
}

uint64_t Routes::hash_of(VertexId from, VertexId to, uint64_t flow_key) const {
  return splitmix64(seed_ ^ splitmix64(flow_key ^ splitmix64(pair_key(from, to))));
}

// Walks the whole path of a flow and adds what is new of it to the tree that hangs on the slot.
Path Routes::walk(VertexId from, VertexId to, uint64_t hash, uint32_t slot) {
  const std::optional<std::vector<Leg>> way = legs(from, to);
  CHECK(way.has_value());
  std::vector<LinkId> links;
  for (const Leg& part : *way) {
    for (VertexId at = part.from; at != part.to; at = topology_->places[index(links.back())].to) {
      CHECK(links.size() <= seen_.size());
      const std::vector<LinkId> ways = ways_on(part, at).links;
      CHECK(!ways.empty());
      if (ways.size() == 1) {
        links.push_back(ways.front());
        continue;
      }
      if (slots_[slot] == kNoStep) {
        slots_[slot] = int32_t(steps_.size());
        steps_.push_back({at, uint32_t(ways.size()), uint32_t(slots_.size()), {}});
        slots_.resize(slots_.size() + ways.size(), kNoStep);
      }
      const size_t chosen = choice(hash, at, ways.size());
      slot = steps_[size_t(slots_[slot])].first_slot + uint32_t(chosen);
      links.push_back(ways[chosen]);
    }
  }
  CHECK(slots_[slot] == kNoStep);
  slots_[slot] = int32_t(steps_.size());
  steps_.push_back({kNoVertex, 0, 0, store(links)});
  return steps_.back().path;
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
