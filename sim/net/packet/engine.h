// What of the packet network does not depend on its transport, and what the network calls: once a flow, never once a
// packet.
#pragma once

#include "sim/net/flow_table.h"
#include "sim/net/link_recorder.h"
#include "sim/net/packet/flow_book.h"
#include "sim/net/packet/port.h"
#include "sim/net/packet/transport.h"

namespace moesim {

class PacketEngine {
 public:
  explicit PacketEngine(const PacketEngineInput& in);
  virtual ~PacketEngine() = default;
  PacketEngine(const PacketEngine&) = delete;  // pending events point to it
  PacketEngine& operator=(const PacketEngine&) = delete;

  // Over `path`, or in turn over `paths` if there are any.
  virtual void start(Path path, std::span<const Path> paths, Bytes bytes, uint64_t tag) = 0;
  virtual void set_capacity(LinkId link, Rate capacity) = 0;

  // Told of every sending over a link, also of packets that are lost further on.
  void record(LinkRecorder* recorder) { recorder_ = recorder; }
  void allow_detours(Detour detour) { detour_ = std::move(detour); }

  size_t live() const { return live_; }
  std::span<const Link> links() const { return links_; }
  LinkUse use(LinkId link) const { return ports_[checked(link)].use(sim_.now()); }
  const LinkQueueing& queueing(LinkId link) const { return ports_[checked(link)].did; }
  LinkQueueing queueing() const;
  uint64_t packet_hops() const;

 protected:
  // The receiver's end of a last link: the flows that it owes credits, in turn, and when it may pay the next.
  struct Payer {
    uint32_t first_due = kNone;
    uint32_t last_due = kNone;
    Time may_pay;
    bool is_posted = false;
  };

  size_t checked(LinkId link) const {
    CHECK(index(link) < links_.size());
    return index(link);
  }
  FlowBook book_of(Path path, std::span<const Path> paths, Bytes bytes, uint64_t tag);
  FlowFacts facts_of(FlowBook& book) const;
  bool draws_mark(int64_t queue);
  bool draws_loss() { return loss_rate_ > 0 && rng_.uniform() < loss_rate_; }
  bool works(Path path) const;
  bool turn_to_working_path(FlowBook& flow) const;
  int64_t bytes_of(const FlowBook& flow, uint32_t number) const {
    return number + 1 == flow.packets ? flow.last_bytes : rules_.mtu.count;
  }
  Packet next_packet(FlowBook& flow, uint32_t slot);
  void finish(const FlowBook& flow);

  // The lower half of a word about a packet that was trimmed: its number, how often it has been lost by now, and
  // whether that was on its last link.
  static constexpr uint32_t kNumberBits = 28;
  static constexpr uint32_t kAtLast = 1u << 31;
  static uint32_t trim_of(const Packet& packet) {
    return packet.number | losses_with(packet) << kNumberBits | (packet.hop + 1 == packet.hops ? kAtLast : 0);
  }
  static uint32_t losses_with(const Packet& packet) { return std::min(packet.losses + 1u, kLossesMax); }
  // What a packet that is lost again waits longer, or flows that are in step could stop each other for ever.
  Duration backoff(const Packet& packet, Duration unit) {
    if (packet.losses == 0) return {};
    return {int64_t(rng_.uniform() * double((int64_t(1) << packet.losses) * unit.ps))};
  }
  static uint64_t pack(uint32_t slot, uint32_t low) { return uint64_t(slot) << 32 | low; }
  static uint32_t slot_of(uint64_t word) { return uint32_t(word >> 32); }

  Simulator& sim_;
  std::vector<Link> links_;
  FlowDone done_;
  PortRules rules_;
  Duration timeout_;
  double loss_rate_;
  Rng rng_;
  std::vector<Port> ports_;
  std::vector<Payer> payers_;
  LossNotes notes_;
  std::vector<uint32_t> parked_;
  std::vector<Packet> flushed_;  // scratch
  LinkRecorder* recorder_ = nullptr;
  Detour detour_;
  size_t failed_links_ = 0;
  size_t live_ = 0;
  uint64_t started_ = 0;
  uint64_t seed_;
};

}  // namespace moesim
