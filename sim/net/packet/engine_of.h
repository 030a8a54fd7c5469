// The engine of the packet network: flows hand packets to their first link in turn, ports pass them on, receivers
// answer. A template over the transport, so that nothing that is done for each packet is called indirectly; only the
// files of transports include it.
//
// One event a packet and link: its arrival at the far end. Arrivals of one link follow each other in order, so only
// the first of each link is pending. At its first link a packet takes one more, which gives the next flow its turn.
#pragma once

#include "sim/net/packet/engine.h"
#include "sim/net/packet/options.h"

namespace moesim {

template <class T>
class PacketEngineOf final : public PacketEngine {
 public:
  using Options = typename T::Options;

  PacketEngineOf(const PacketEngineInput& in, const Options& options) : PacketEngine(in), options_(options) {}

  void start(Path path, std::span<const Path> paths, Bytes bytes, uint64_t tag) override;
  void set_capacity(LinkId link, Rate capacity) override;

 private:
  struct Flow : FlowBook {
    typename T::State transport;
  };

  // The sender.
  void offer(uint32_t slot);
  void wake(uint64_t slot);
  void feed(uint64_t link);
  void serve(LinkId link);
  void inject(LinkId link);
  void answer_arrives(uint64_t word);
  void credit_arrives(uint64_t slot);
  void trim_told(uint64_t word);
  void gap_told(uint64_t word);
  void time_out(uint64_t word);
  void resend(uint32_t slot, const LossNote& lost, bool is_trimmed);

  // The ports.
  void push(LinkId link, const Packet& packet);
  void post_arrival(LinkId link);
  void arrive(uint64_t link);
  void forward(Packet packet);
  void lose(const Packet& packet, bool is_trimmed);

  // The receiver.
  void deliver(const Packet& packet);
  void answer(uint32_t slot, const Packet& packet);
  void header_arrives(uint64_t word);
  void earn(uint32_t slot, Arrival arrival, bool is_marked);
  void pay(uint64_t link);
  void done(uint64_t slot);

  Flow& event_of(uint64_t slot);
  void release_if_done(uint32_t slot);

  Options options_;
  std::vector<Flow> flows_;  // slots, reused
  std::vector<uint32_t> free_;
};

template <class T>
void PacketEngineOf<T>::start(Path path, std::span<const Path> paths, Bytes bytes, uint64_t tag) {
  if (free_.empty()) {
    free_.push_back(uint32_t(flows_.size()));
    flows_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  Flow& flow = flows_[slot];
  static_cast<FlowBook&>(flow) = book_of(path, paths, bytes, tag);
  ++live_;
  if (flow.packets == 0) {
    ++flow.events;
    sim_.after<&PacketEngineOf::done>(flow.latency, *this, slot);
    return;
  }
  const FlowFacts facts = facts_of(flow);
  flow.transport = T::begin(facts, options_);
  if constexpr (T::kHasCredits) {
    const uint32_t unasked = T::unasked(facts, options_);
    flow.credits_left = flow.packets > unasked ? flow.packets - unasked : 0;
  }
  offer(slot);
}

// The flow of an event that is pending no more.
template <class T>
typename PacketEngineOf<T>::Flow& PacketEngineOf<T>::event_of(uint64_t slot) {
  Flow& flow = flows_[slot];
  CHECK(flow.events > 0);
  --flow.events;
  return flow;
}

template <class T>
void PacketEngineOf<T>::release_if_done(uint32_t slot) {
  if (flows_[slot].is_done && flows_[slot].events == 0) free_.push_back(slot);
}

// --- The ports

// The port's queue must be up to date, and have room.
template <class T>
void PacketEngineOf<T>::push(LinkId link, const Packet& packet) {
  Port& port = ports_[index(link)];
  const Time begins = std::max(sim_.now(), port.free_at());
  port.push(packet, sim_.now(), rules_);
  if (recorder_ != nullptr) recorder_->add(link, Bytes{packet.bytes}, begins, port.free_at());
  if (port.arrival_posted == Port::kNever) post_arrival(link);
}

template <class T>
void PacketEngineOf<T>::post_arrival(LinkId link) {
  Port& port = ports_[index(link)];
  port.arrival_posted = port.next_arrival();
  if (port.arrival_posted < Port::kNever) sim_.at<&PacketEngineOf::arrive>(port.arrival_posted, *this, index(link));
}

template <class T>
void PacketEngineOf<T>::arrive(uint64_t link) {
  Port& port = ports_[link];
  const Time now = sim_.now();
  if (now != port.arrival_posted) return;                             // another time has been posted since
  if (now != port.next_arrival()) return post_arrival(LinkId(link));  // the capacity has changed since
  const Packet packet = port.pop(now);
  post_arrival(LinkId(link));
  if (const Packet* const next = port.next()) {  // its path or flow will be in the cache by its time
    if (next->hop + 1 < next->hops)
      __builtin_prefetch(next->route + next->hop + 1);
    else
      __builtin_prefetch(&flows_[next->flow].delivered);
  }
  forward(packet);
}

template <class T>
void PacketEngineOf<T>::forward(Packet packet) {
  ++packet.hop;
  if (packet.hop == packet.hops) return deliver(packet);
  const LinkId link = packet.route[packet.hop];
  Port& port = ports_[index(link)];
  const int64_t queue = port.queue(sim_.now());
  if (port.has_failed() || draws_loss()) return lose(packet, false);
  if (queue + packet.bytes > rules_.buffer.count) return lose(packet, T::trims(options_));
  if (queue >= rules_.mark_from.count && draws_mark(queue)) {
    packet.is_marked = 1;
    ++port.did.marks;
  }
  push(link, packet);
  // Where packets pass through a port at which flows also begin, they take turns; the flows would starve.
  if (port.first_waiting != kNone && port.queue(sim_.now()) + rules_.mtu.count <= rules_.buffer.count) inject(link);
}

template <class T>
void PacketEngineOf<T>::lose(const Packet& packet, bool is_trimmed) {
  Flow& flow = flows_[packet.flow];
  const std::span<const LinkId> route(packet.route, packet.hops);
  for (size_t hop = 0; hop < packet.hop; ++hop) ports_[index(route[hop])].did.carried_in_vain.count += packet.bytes;
  LinkQueueing& did = ports_[index(route[packet.hop])].did;
  ++flow.events;
  if (is_trimmed) {
    ++did.trims;
    const Duration left = path_latency(links_, route.subspan(packet.hop)) + backoff(packet, flow.packet_time);
    sim_.after<&PacketEngineOf::header_arrives>(left, *this, pack(packet.flow, trim_of(packet)));
  } else {
    ++did.drops;
    notes_.append(flow.missing, {packet.number, packet.order, losses_with(packet), packet.route, kNone});
    const Duration once = std::max(timeout_, flow.round_trip);
    const Duration timeout = (int64_t(1) << packet.losses) * once + backoff(packet, once);
    sim_.after<&PacketEngineOf::time_out>(timeout, *this, pack(packet.flow, packet.order));
  }
}

template <class T>
void PacketEngineOf<T>::set_capacity(LinkId link, Rate capacity) {
  Port& port = ports_[checked(link)];
  links_[index(link)].capacity = capacity;
  failed_links_ -= port.has_failed();
  port.set_capacity(capacity, sim_.now(), rules_.mtu, flushed_);
  failed_links_ += port.has_failed();
  for (const Packet& packet : flushed_) lose(packet, false);
  flushed_.clear();
  if (port.next_arrival() < port.arrival_posted) post_arrival(link);

  // Flows in line here may have other paths; those without one may have one now.
  std::vector<uint32_t> to_offer;
  if (port.has_failed()) {
    for (; port.first_waiting != kNone; port.first_waiting = flows_[port.first_waiting].next_waiting)
      to_offer.push_back(port.first_waiting);
  } else {
    to_offer.swap(parked_);
    serve(link);
  }
  for (const uint32_t slot : to_offer) {
    flows_[slot].status = SenderStatus::idle;
    offer(slot);
  }
}

// What a transport registers.
template <class T>
std::unique_ptr<PacketEngine> make_packet_engine(const PacketEngineInput& in, const typename T::Options& options,
                                                 Rng&) {
  return std::make_unique<PacketEngineOf<T>>(in, options);
}

}  // namespace moesim

#include "sim/net/packet/engine_ends.h"
