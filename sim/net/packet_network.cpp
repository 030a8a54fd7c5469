#include "sim/net/packet_network.h"

namespace moesim {

PacketNetwork::PacketNetwork(Simulator& sim, std::vector<Link> links, FlowDone done, const PacketOptions& options) {
  Rng unused(options.seed);
  engine_ = options.transport.decide({sim, std::move(links), done, options}, unused);
}

void PacketNetwork::start(std::span<const Path> paths, Bytes bytes, uint64_t tag) {
  CHECK(!paths.empty());
  engine_->start(paths.front(), paths, bytes, tag);
}

}  // namespace moesim
