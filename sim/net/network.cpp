#include "sim/net/network.h"

#include "sim/core/check.h"

namespace moesim {

Network make_network(const NetworkOptions& options, Simulator& sim, std::vector<Link> links, FlowDone done) {
  if (options.fidelity == Fidelity::ideal)
    return Network(std::in_place_type<IdealNetwork>, sim, std::move(links), done);
  if (options.fidelity == Fidelity::packet)
    return Network(std::in_place_type<PacketNetwork>, sim, std::move(links), done, options.packet);
  return Network(std::in_place_type<FlowNetwork>, sim, std::move(links), done, FlowOptions{options.rate_tolerance});
}

void start(Network& network, Path path, Bytes bytes, uint64_t tag) {
  std::visit([&](auto& n) { n.start(path, bytes, tag); }, network);
}

void start_sprayed(Network& network, std::span<const Path> paths, Bytes bytes, uint64_t tag) {
  CHECK(sprays(network));
  std::get<PacketNetwork>(network).start(paths, bytes, tag);
}

void set_capacity(Network& network, LinkId link, Rate capacity) {
  CHECK(!std::holds_alternative<IdealNetwork>(network));
  std::visit(
      [&](auto& n) {
        if constexpr (requires { n.set_capacity(link, capacity); }) n.set_capacity(link, capacity);
      },
      network);
}

void allow_detours(Network& network, Detour detour) {
  std::visit(
      [&](auto& n) {
        if constexpr (requires { n.allow_detours(detour); }) n.allow_detours(std::move(detour));
      },
      network);
}

LinkUse use(const Network& network, LinkId link) {
  return std::visit([&](const auto& n) { return n.use(link); }, network);
}

std::span<const Link> links(const Network& network) {
  return std::visit([](const auto& n) { return n.links(); }, network);
}

std::optional<LinkQueueing> queueing(const Network& network, LinkId link) {
  if (const auto* packets = std::get_if<PacketNetwork>(&network)) return packets->queueing(link);
  return std::nullopt;
}

uint64_t solves(const Network& network) {
  return std::visit(
      [](const auto& n) -> uint64_t {
        if constexpr (requires { n.solves(); })
          return n.solves();
        else
          return 0;
      },
      network);
}

void record(Network& network, LinkRecorder* recorder) {
  std::visit(
      [&](auto& n) {
        if constexpr (requires { n.record(recorder); }) n.record(recorder);
      },
      network);
}

size_t live(const Network& network) {
  return std::visit([](const auto& n) { return n.live(); }, network);
}

}  // namespace moesim
