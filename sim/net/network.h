// The network that a scenario asks for. Every fidelity has the same interface; a scenario switches with one word.
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "sim/net/flow_network.h"
#include "sim/net/ideal_network.h"
#include "sim/net/packet_network.h"

namespace moesim {

enum class Fidelity {
  ideal,   // latency + bytes over the narrowest link, no contention
  flow,    // max-min fair fluid flows
  packet,  // store-and-forward packets: queues, marks, losses, transports
};

constexpr auto enum_names(Fidelity) {
  return std::to_array<std::pair<Fidelity, const char*>>(
      {{Fidelity::ideal, "ideal"}, {Fidelity::flow, "flow"}, {Fidelity::packet, "packet"}});
}

// What a network is asked to be.
struct NetworkOptions {
  Fidelity fidelity = Fidelity::flow;
  double rate_tolerance = 0;  // flow: how far times may be off, as a fraction; 0 is exact
  PacketOptions packet{};
};

using Network = std::variant<IdealNetwork, FlowNetwork, PacketNetwork>;

// A network cannot be moved, because pending events point to it: construct it where it is to live, as in
//   Network network = make_network({Fidelity::flow}, sim, links, done);
Network make_network(const NetworkOptions& options, Simulator& sim, std::vector<Link> links, FlowDone done);

// Sends bytes over the path; done is told the tag when the last byte has arrived, never before this returns.
void start(Network& network, Path path, Bytes bytes, uint64_t tag);

// Whether packets of one flow can take several paths; the paths must stay alive until the flow is done.
inline bool sprays(const Network& network) { return std::holds_alternative<PacketNetwork>(network); }
void start_sprayed(Network& network, std::span<const Path> paths, Bytes bytes, uint64_t tag);

// From now on; a link of no capacity has failed. Ideal networks do not share links, and know no changes.
void set_capacity(Network& network, LinkId link, Rate capacity);

// Lets flows ask for another path when their links fail. Before any link has.
void allow_detours(Network& network, Detour detour);

LinkUse use(const Network& network, LinkId link);
std::span<const Link> links(const Network& network);

// What the queue of a link has done so far; none where the network has no queues.
std::optional<LinkQueueing> queueing(const Network& network, LinkId link);

// How often rates were solved for; 0 for a network without rates.
uint64_t solves(const Network& network);

// Lets the recorder listen from now on; nullptr ends that. It must outlive the network or its listening.
void record(Network& network, LinkRecorder* recorder);

// The flows that have started and are not done.
size_t live(const Network& network);

}  // namespace moesim
