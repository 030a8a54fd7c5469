// The network that a scenario asks for. Every fidelity has the same interface; a scenario switches with one word.
#pragma once

#include <array>
#include <utility>
#include <variant>
#include <vector>

#include "sim/net/flow_network.h"
#include "sim/net/ideal_network.h"

namespace moesim {

enum class Fidelity {
  ideal,  // latency + bytes over the narrowest link, no contention
  flow,   // max-min fair fluid flows
};

constexpr auto enum_names(Fidelity) {
  return std::to_array<std::pair<Fidelity, const char*>>({{Fidelity::ideal, "ideal"}, {Fidelity::flow, "flow"}});
}

using Network = std::variant<IdealNetwork, FlowNetwork>;

// A network cannot be moved, because pending events point to it: construct it where it is to live, as in
//   Network network = make_network(Fidelity::flow, sim, links, done);
// The options are those of fidelity `flow`.
Network make_network(Fidelity fidelity, Simulator& sim, std::vector<Link> links, FlowDone done,
                     FlowOptions options = {});

// Sends bytes over the path; done is told the tag when the last byte has arrived, never before this returns.
void start(Network& network, Path path, Bytes bytes, uint64_t tag);

LinkUse use(const Network& network, LinkId link);
std::span<const Link> links(const Network& network);

// The flows that have started and are not done.
size_t live(const Network& network);

}  // namespace moesim
