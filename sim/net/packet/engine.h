// The engine of the packet network: flows hand packets to their first link in turn, ports pass them on, receivers
// answer. A template over the transport, so that nothing that is done for each packet is called indirectly.
//
// One event a packet and link: its arrival at the far end. Arrivals of one link follow each other in order, so only
// the first of each link is pending. At its first link a packet takes one more, which gives the next flow its turn.
#pragma once

#include "sim/net/flow_table.h"
#include "sim/net/link_recorder.h"
#include "sim/net/packet/flow_book.h"
#include "sim/net/packet/options.h"
#include "sim/net/packet/port.h"

namespace moesim {

// What does not depend on the transport, and what the network calls: once a flow, never once a packet.
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
  size_t failed_links_ = 0;
  size_t live_ = 0;
  uint64_t started_ = 0;
  uint64_t seed_;
};

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

// --- The sender

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

// If the flow may send, puts it in line at its first link.
template <class T>
void PacketEngineOf<T>::offer(uint32_t slot) {
  Flow& flow = flows_[slot];
  if (flow.status != SenderStatus::idle || !flow.has_more()) return;
  const Time now = sim_.now();
  const Time when = T::may_send(flow.transport, rules_.mtu.count, now, options_);
  if (when == kNotNow) return;
  if (when > now) {
    flow.status = SenderStatus::paced;
    ++flow.events;
    sim_.at<&PacketEngineOf::wake>(when, *this, slot);
    return;
  }
  if (failed_links_ > 0 && !turn_to_working_path(flow)) {
    flow.status = SenderStatus::parked;
    parked_.push_back(slot);
    return;
  }
  flow.status = SenderStatus::waiting;
  flow.next_waiting = kNone;
  const LinkId link = flow.path_in_turn().front();
  Port& port = ports_[index(link)];
  (port.first_waiting == kNone ? port.first_waiting : flows_[port.last_waiting].next_waiting) = slot;
  port.last_waiting = slot;
  serve(link);
}

template <class T>
void PacketEngineOf<T>::wake(uint64_t slot) {
  event_of(slot).status = SenderStatus::idle;
  offer(uint32_t(slot));
}

template <class T>
void PacketEngineOf<T>::feed(uint64_t link) {
  Port& port = ports_[link];
  if (sim_.now() != port.feed_posted) return;  // another time has been posted since
  port.feed_posted = Port::kNever;
  serve(LinkId(link));
}

// The flow in front sends a packet if the port has nothing left to send.
template <class T>
void PacketEngineOf<T>::serve(LinkId link) {
  Port& port = ports_[index(link)];
  while (port.first_waiting != kNone && port.free_at() <= sim_.now()) inject(link);
  if (port.first_waiting == kNone || port.feed_posted <= port.free_at()) return;
  port.feed_posted = port.free_at();
  sim_.at<&PacketEngineOf::feed>(port.feed_posted, *this, index(link));
}

template <class T>
void PacketEngineOf<T>::inject(LinkId link) {
  Port& port = ports_[index(link)];
  const uint32_t slot = port.first_waiting;
  Flow& flow = flows_[slot];
  port.first_waiting = flow.next_waiting;
  flow.status = SenderStatus::idle;
  if (failed_links_ == 0 || works(flow.path_in_turn())) {
    const Packet packet = next_packet(flow, slot);
    T::sent(flow.transport, packet.bytes, sim_.now(), options_);
    port.queue(sim_.now());
    push(link, packet);
  }
  offer(slot);
}

template <class T>
void PacketEngineOf<T>::answer_arrives(uint64_t word) {
  Flow& flow = event_of(slot_of(word));
  if constexpr (!T::kHasCredits)
    T::answered(flow.transport, int64_t(word & 0xFFFF), (word >> 16 & 1) != 0, sim_.now(), options_);
  offer(slot_of(word));
  release_if_done(slot_of(word));
}

template <class T>
void PacketEngineOf<T>::credit_arrives(uint64_t slot) {
  Flow& flow = event_of(slot);
  if constexpr (T::kHasCredits) T::credited(flow.transport);
  offer(uint32_t(slot));
  release_if_done(uint32_t(slot));
}

template <class T>
void PacketEngineOf<T>::trim_told(uint64_t word) {
  event_of(slot_of(word));
  const uint32_t number = uint32_t(word) & ((1u << kNumberBits) - 1);
  resend(slot_of(word), {number, 0, uint32_t(word) >> kNumberBits & kLossesMax, nullptr, kNone}, true);
}

template <class T>
void PacketEngineOf<T>::gap_told(uint64_t word) {
  event_of(slot_of(word));
  resend(slot_of(word), {uint32_t(word), 0, 1, nullptr, kNone}, false);
}

template <class T>
void PacketEngineOf<T>::time_out(uint64_t word) {
  Flow& flow = event_of(slot_of(word));
  notes_.take_if(
      flow.missing, [&](const LossNote& note) { return note.order == uint32_t(word); },
      [&](const LossNote& note) { resend(slot_of(word), note, false); });
  release_if_done(slot_of(word));
}

template <class T>
void PacketEngineOf<T>::resend(uint32_t slot, const LossNote& lost, bool is_trimmed) {
  Flow& flow = flows_[slot];
  notes_.append(flow.again, lost);
  T::lost(flow.transport, bytes_of(flow, lost.number), is_trimmed, sim_.now(), options_);
  offer(slot);
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

// --- The receiver

template <class T>
void PacketEngineOf<T>::deliver(const Packet& packet) {
  const uint32_t slot = packet.flow;
  Flow& flow = flows_[slot];
  flow.owed -= hash_of_number(packet.number);
  ++flow.delivered;
  if (!flow.missing.empty()) {
    notes_.take_if(
        flow.missing, [&](const LossNote& note) { return note.route == packet.route && note.order < packet.order; },
        [&](const LossNote& note) {
          ++flow.events;
          sim_.after<&PacketEngineOf::gap_told>(flow.latency, *this, pack(slot, note.number));
        });
  }
  if constexpr (T::kHasCredits) {
    earn(slot, Arrival::whole, packet.is_marked != 0);
  } else {
    answer(slot, packet);
  }
  if (flow.delivered == flow.packets) done(slot);
}

// A sender that has nothing left to send learns at once what it could only use for a packet that is lost.
template <class T>
void PacketEngineOf<T>::answer(uint32_t slot, const Packet& packet) {
  if constexpr (!T::kHasCredits) {
    Flow& flow = flows_[slot];
    const Time now = sim_.now();
    const Answer answer = T::received(flow.transport, packet.is_marked != 0, now, options_);
    if (!answer.is_sent) return;
    if (!flow.has_more()) return T::answered(flow.transport, packet.bytes, answer.is_congested, now, options_);
    ++flow.events;
    const uint32_t word = packet.bytes | uint32_t(answer.is_congested) << 16;
    sim_.after<&PacketEngineOf::answer_arrives>(flow.latency, *this, pack(slot, word));
  }
}

template <class T>
void PacketEngineOf<T>::header_arrives(uint64_t word) {
  const uint32_t slot = slot_of(word);
  Flow& flow = event_of(slot);
  ++flow.events;
  sim_.after<&PacketEngineOf::trim_told>(flow.latency, *this, word);
  if constexpr (T::kHasCredits) {
    ++flow.credits_left;
    earn(slot, (word & kAtLast) != 0 ? Arrival::trimmed_at_last_link : Arrival::trimmed_before, false);
  }
}

// What has arrived earns the flow credits, which its last link owes it.
template <class T>
void PacketEngineOf<T>::earn(uint32_t slot, Arrival arrival, bool is_marked) {
  Flow& flow = flows_[slot];
  uint32_t earned = 0;
  if constexpr (T::kHasCredits) earned = T::earned(flow.transport, arrival, is_marked, flow.credits_left, options_);
  if (earned == 0) return;
  flow.credits_left -= earned;
  const bool is_in_line = flow.credits_due > 0;
  flow.credits_due += earned;
  if (is_in_line) return;
  flow.next_due = kNone;
  const LinkId link = flow.path_in_turn().back();
  Payer& payer = payers_[index(link)];
  (payer.first_due == kNone ? payer.first_due : flows_[payer.last_due].next_due) = slot;
  payer.last_due = slot;
  if (payer.is_posted) return;
  payer.is_posted = true;
  sim_.at<&PacketEngineOf::pay>(std::max(sim_.now(), payer.may_pay), *this, index(link));
}

template <class T>
void PacketEngineOf<T>::pay(uint64_t link) {
  Payer& payer = payers_[link];
  const uint32_t slot = payer.first_due;
  Flow& flow = flows_[slot];
  CHECK(flow.credits_due > 0);
  payer.first_due = flow.next_due;
  if (--flow.credits_due > 0) {
    flow.next_due = kNone;
    (payer.first_due == kNone ? payer.first_due : flows_[payer.last_due].next_due) = slot;
    payer.last_due = slot;
  }
  const Time paid = std::max(sim_.now(), flow.may_be_paid);
  flow.may_be_paid = paid + flow.packet_time;
  ++flow.events;
  sim_.at<&PacketEngineOf::credit_arrives>(paid + flow.latency, *this, slot);
  payer.may_pay = sim_.now() + ports_[link].mtu_time();
  payer.is_posted = payer.first_due != kNone;
  if (payer.is_posted) sim_.at<&PacketEngineOf::pay>(payer.may_pay, *this, link);
}

// The last byte has arrived.
template <class T>
void PacketEngineOf<T>::done(uint64_t slot) {
  Flow& flow = flows_[slot];
  if (flow.packets == 0) event_of(slot);
  flow.is_done = true;
  --live_;
  const uint64_t tag = flow.tag;
  finish(flow);
  release_if_done(uint32_t(slot));
  if (done_.call != nullptr) done_.call(done_.object, tag);  // may start others
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

// What a transport registers.
template <class T>
std::unique_ptr<PacketEngine> make_packet_engine(const PacketEngineInput& in, const typename T::Options& options,
                                                 Rng&) {
  return std::make_unique<PacketEngineOf<T>>(in, options);
}

}  // namespace moesim
