#include "sim/net/network.h"

namespace moesim {

Network make_network(Fidelity fidelity, Simulator& sim, std::vector<Link> links, FlowDone done, FlowOptions options) {
  if (fidelity == Fidelity::ideal) return Network(std::in_place_type<IdealNetwork>, sim, std::move(links), done);
  return Network(std::in_place_type<FlowNetwork>, sim, std::move(links), done, options);
}

void start(Network& network, Path path, Bytes bytes, uint64_t tag) {
  std::visit([&](auto& n) { n.start(path, bytes, tag); }, network);
}

LinkUse use(const Network& network, LinkId link) {
  return std::visit([&](const auto& n) { return n.use(link); }, network);
}

std::span<const Link> links(const Network& network) {
  return std::visit([](const auto& n) { return n.links(); }, network);
}

size_t live(const Network& network) {
  return std::visit([](const auto& n) { return n.live(); }, network);
}

}  // namespace moesim
