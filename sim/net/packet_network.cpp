#include "sim/net/packet_network.h"

#include "sim/net/packet/engine.h"

namespace moesim {

PacketNetwork::PacketNetwork(Simulator& sim, std::vector<Link> links, FlowDone done, const PacketOptions& options) {
  Rng unused(options.seed);
  engine_ = options.transport.decide({sim, std::move(links), done, options}, unused);
}

PacketNetwork::~PacketNetwork() = default;

void PacketNetwork::start(std::span<const Path> paths, Bytes bytes, uint64_t tag) {
  CHECK(!paths.empty());
  engine_->start(paths.front(), paths, bytes, tag);
}

void PacketNetwork::start(Path path, Bytes bytes, uint64_t tag) { engine_->start(path, {}, bytes, tag); }
void PacketNetwork::set_capacity(LinkId link, Rate capacity) { engine_->set_capacity(link, capacity); }
void PacketNetwork::allow_detours(Detour detour) { engine_->allow_detours(std::move(detour)); }
LinkUse PacketNetwork::use(LinkId link) const { return engine_->use(link); }
const LinkQueueing& PacketNetwork::queueing(LinkId link) const { return engine_->queueing(link); }
LinkQueueing PacketNetwork::queueing() const { return engine_->queueing(); }
uint64_t PacketNetwork::packet_hops() const { return engine_->packet_hops(); }
void PacketNetwork::record(LinkRecorder* recorder) { engine_->record(recorder); }
size_t PacketNetwork::live() const { return engine_->live(); }
std::span<const Link> PacketNetwork::links() const { return engine_->links(); }

}  // namespace moesim
