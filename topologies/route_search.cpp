#include "topologies/route_search.h"

#include <algorithm>
#include <array>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Minimal routing in a dragonfly crosses one global link at most, with a local link before and after it: 1 + 3 + 1.
// At three hops a global link, two of them cost more than that, and are a detour.
constexpr int32_t kGlobalCost = 3;

}  // namespace

RouteSearch::RouteSearch(const Topology& topology)
    : topology_(&topology),
      gpus_of_node_(size_t(topology.nodes)),
      reached_(boost::num_vertices(topology.graph), {0u, 0}) {
  for (const VertexId gpu : topology.gpus)
    if (vertex(topology, gpu).node != kNoNode) gpus_of_node_[size_t(vertex(topology, gpu).node)].push_back(gpu);
}

void RouteSearch::set_failed(std::vector<bool> failed_links) {
  CHECK(failed_links.empty() || failed_links.size() == topology_->links.size());
  failed_ = std::move(failed_links);
  forget();
}

VertexId by_nic(const Topology& topology, VertexId gpu) {
  return VertexId(int32_t(boost::num_vertices(topology.graph)) + int32_t(gpu));
}

std::optional<std::vector<RouteLeg>> RouteSearch::legs_by_nic(VertexId from, VertexId to) {
  const int32_t vertices = int32_t(boost::num_vertices(topology_->graph));
  const VertexId source{int32_t(from) % vertices};
  const VertexId target{int32_t(to) % vertices};
  Legs legs;
  if (source == target ||
      through_nics(source, vertex(*topology_, source).nic, vertex(*topology_, target).nic, target, legs))
    return legs;
  return this->legs(source, target);
}

std::optional<std::vector<RouteLeg>> RouteSearch::legs(VertexId from, VertexId to) {
  const size_t vertices = boost::num_vertices(topology_->graph);
  if (index(from) >= vertices || index(to) >= vertices) return legs_by_nic(from, to);
  Legs legs;
  if (from == to) return legs;
  const Vertex& source = vertex(*topology_, from);
  const Vertex& target = vertex(*topology_, to);
  const bool same_server = source.node != kNoNode && source.node == target.node;
  if (source.kind == VertexKind::gpu && target.kind == VertexKind::gpu &&
      are_joined({leg(from, to, RouteScope::nvlink)}, legs))
    return legs;
  if (same_server && are_joined({leg(from, to, RouteScope::server)}, legs)) return legs;
  if (!same_server) {
    if (through_nics(from, source.nic, target.nic, to, legs)) return legs;
    if (handed_over(from, to, legs)) return legs;
    if (through_nics(from, source.far_nic, target.far_nic, to, legs)) return legs;
  }
  if (are_joined({leg(from, to, RouteScope::anywhere)}, legs)) return legs;
  return {};
}

// Answers whether there is such a path, which it then leaves in `legs`.
bool RouteSearch::are_joined(std::initializer_list<RouteLeg> candidate, Legs& legs) const {
  if (!std::all_of(candidate.begin(), candidate.end(), [&](const RouteLeg& part) { return is_joined(part); }))
    return false;
  legs.insert(legs.end(), candidate.begin(), candidate.end());
  return true;
}

bool RouteSearch::through_nics(VertexId from, VertexId from_nic, VertexId to_nic, VertexId to, Legs& legs) {
  return from_nic != kNoVertex && to_nic != kNoVertex &&
         are_joined({leg(from, from_nic, RouteScope::server), leg(from_nic, to_nic, RouteScope::fabric),
                     leg(to_nic, to, RouteScope::server)},
                    legs);
}

// Through the NIC of another GPU of the sender's server: of that with the receiver's number in its own server, or else
// of the first that will do.
bool RouteSearch::handed_over(VertexId from, VertexId to, Legs& legs) {
  const Vertex& source = vertex(*topology_, from);
  const Vertex& target = vertex(*topology_, to);
  if (source.kind != VertexKind::gpu || source.node == kNoNode) return false;
  if (target.kind != VertexKind::gpu || target.node == kNoNode || target.nic == kNoVertex) return false;
  const std::vector<VertexId>& mates = gpus_of_node_[size_t(source.node)];
  const std::vector<VertexId>& others = gpus_of_node_[size_t(target.node)];
  const auto number = size_t(std::find(others.begin(), others.end(), to) - others.begin());
  if (number < mates.size() && handed_to(from, mates[number], to, legs)) return true;
  return std::any_of(mates.begin(), mates.end(), [&](VertexId mate) { return handed_to(from, mate, to, legs); });
}

bool RouteSearch::handed_to(VertexId from, VertexId mate, VertexId to, Legs& legs) {
  const VertexId out = vertex(*topology_, mate).nic;
  const VertexId in = vertex(*topology_, to).nic;
  // The fabric is asked first: where it does not join the NICs, nothing need be searched inside the server.
  if (mate == from || out == kNoVertex || !is_joined(leg(out, in, RouteScope::fabric))) return false;
  const RouteLeg over_nvlink = leg(from, mate, RouteScope::nvlink);
  if (is_joined(over_nvlink) && through_nics(mate, out, in, to, legs)) {
    legs.insert(legs.begin(), over_nvlink);
    return true;
  }
  return through_nics(from, out, in, to, legs);  // no NVLink: over the buses of the server
}

bool RouteSearch::may_use(RouteScope scope, LinkId link, VertexId to) const {
  if (!failed_.empty() && failed_[index(link)]) return false;
  const LinkPlace& place = topology_->places[index(link)];
  if (scope == RouteScope::nvlink) return place.kind == LinkKind::nvlink;
  const int32_t here = vertex(*topology_, place.from).node;
  const int32_t there = vertex(*topology_, place.to).node;
  if (scope == RouteScope::server) return here == there;
  // A flow enters no server but that of its destination.
  return there == kNoNode || there == here || there == vertex(*topology_, to).node;
}

bool RouteSearch::may_forward(RouteScope scope, VertexId id) const {
  const Vertex& at = vertex(*topology_, id);
  return at.kind != VertexKind::gpu && (scope != RouteScope::fabric || at.node == kNoNode);
}

int32_t RouteSearch::cost(LinkId link) const {
  return topology_->places[index(link)].kind == LinkKind::global ? kGlobalCost : 1;
}

// The link that a NIC hangs on the fabric with, if it is one.
std::optional<LinkId> RouteSearch::only_way_in(VertexId nic) const {
  std::optional<LinkId> only;
  for (const auto edge : boost::make_iterator_range(boost::in_edges(index(nic), topology_->graph))) {
    const VertexId before{int32_t(boost::source(edge, topology_->graph))};
    const LinkId link = topology_->graph[edge].link;
    if (!may_forward(RouteScope::fabric, before) || !may_use(RouteScope::fabric, link, nic)) continue;
    if (only) return {};
    only = link;
  }
  return only;
}

RouteLeg RouteSearch::leg(VertexId from, VertexId to, RouteScope scope) {
  RouteLeg leg{from, to, scope, nullptr, 0};
  VertexId searched = to;
  if (scope == RouteScope::fabric)
    if (const std::optional<LinkId> link = only_way_in(to)) {
      searched = topology_->places[index(*link)].from;
      leg.beyond = cost(*link);
    }
  const uint64_t key = uint64_t(index(searched)) << 8 | uint64_t(scope);
  auto found = costs_.find(key);
  if (found == costs_.end()) found = costs_.emplace(key, search(searched, scope)).first;
  leg.costs = &found->second;  // an unordered_map never moves its elements
  return leg;
}

// Cheapest first, backwards from the destination. A link costs little, so that the vertices still to be looked at lie
// in as many lists as there are costs of a link, one for each cost ahead (Dial's algorithm).
RouteCosts RouteSearch::search(VertexId to, RouteScope scope) {
  ++searches_;
  CHECK(searches_ != 0);
  std::array<std::vector<VertexId>, kGlobalCost + 1> ahead;
  std::vector<std::pair<VertexId, int32_t>> found;
  ahead[0].push_back(to);
  reached_[index(to)] = {searches_, 0};
  size_t waiting = 1;
  for (int32_t now = 0; waiting > 0; ++now) {
    std::vector<VertexId>& here = ahead[size_t(now) % ahead.size()];
    waiting -= here.size();
    for (const VertexId at : here) {
      if (reached_[index(at)].second < now) continue;  // reached more cheaply since
      if (at != to) found.emplace_back(at, now);
      for (const auto edge : boost::make_iterator_range(boost::in_edges(index(at), topology_->graph))) {
        const VertexId before{int32_t(boost::source(edge, topology_->graph))};
        const LinkId link = topology_->graph[edge].link;
        const int32_t then = now + cost(link);
        auto& [search, least] = reached_[index(before)];
        if ((search == searches_ && least <= then) || !may_forward(scope, before) || !may_use(scope, link, to))
          continue;
        search = searches_;
        least = then;
        ahead[size_t(then) % ahead.size()].push_back(before);
        ++waiting;
      }
    }
    here.clear();
  }

  RouteCosts costs{to, 0, {}};
  if (found.empty()) return costs;
  const auto [first, last] = std::minmax_element(found.begin(), found.end());
  costs.first = int32_t(first->first);
  costs.costs.assign(index(last->first) - index(first->first) + 1, RouteCosts::kFar);
  for (const auto& [at, least] : found) costs.costs[index(at) - size_t(costs.first)] = least;
  return costs;
}

bool RouteSearch::is_joined(const RouteLeg& leg) const {
  return leg.from == leg.to || ways_on(leg, leg.from).cost != RouteCosts::kFar;
}

RouteWays RouteSearch::ways_on(const RouteLeg& leg, VertexId at) const {
  RouteWays ways;
  for (const auto edge : boost::make_iterator_range(boost::out_edges(index(at), topology_->graph))) {
    const int32_t left = leg.cost_from(VertexId{int32_t(boost::target(edge, topology_->graph))});
    if (left == RouteCosts::kFar) continue;
    const LinkId link = topology_->graph[edge].link;
    const int32_t whole = left + cost(link);
    if (whole > ways.cost || !may_use(leg.scope, link, leg.to)) continue;
    if (whole < ways.cost) ways.links.clear();
    ways.cost = whole;
    ways.links.push_back(link);
  }
  return ways;
}

}  // namespace moesim
