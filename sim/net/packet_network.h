// The network of packets: store-and-forward ports with finite queues, ECN marks, losses and transports that send again
// what was lost. docs/packets.md says what is modelled and where its answers part from FlowNetwork's.
#pragma once

#include <memory>
#include <vector>

#include "sim/net/packet/options.h"
#include "sim/net/packet/queueing.h"

namespace moesim {

class LinkRecorder;

class PacketNetwork {
 public:
  PacketNetwork(Simulator& sim, std::vector<Link> links, FlowDone done, const PacketOptions& options);
  ~PacketNetwork();
  PacketNetwork(const PacketNetwork&) = delete;  // pending events point to it
  PacketNetwork& operator=(const PacketNetwork&) = delete;

  // A flow without bytes or without links takes its latency alone.
  void start(Path path, Bytes bytes, uint64_t tag);
  // Sprays the packets over the paths, in turn. The paths must stay alive until the flow is done.
  void start(std::span<const Path> paths, Bytes bytes, uint64_t tag);

  // Zero: the link has failed. What is queued there is lost; flows take their other paths, or wait until one works.
  void set_capacity(LinkId link, Rate capacity);
  void allow_detours(Detour detour);  // for flows that have no other path left

  // carried: payload that was not lost further on, each byte once. busy: time in which bits were sent.
  LinkUse use(LinkId link) const;
  const LinkQueueing& queueing(LinkId link) const;
  LinkQueueing queueing() const;  // of all links; the longest queue is the longest of any
  uint64_t packet_hops() const;

  void record(LinkRecorder* recorder);
  size_t live() const;
  std::span<const Link> links() const;

 private:
  std::unique_ptr<PacketEngine> engine_;
};

}  // namespace moesim
