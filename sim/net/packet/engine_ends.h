// The two ends of a flow in PacketEngineOf: what senders and receivers do. Included by engine_of.h alone.
#pragma once

#include "sim/net/packet/engine_of.h"

namespace moesim {

// --- The sender

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
  // Mostly the path need not be looked at before its turn comes, and is in the cache then.
  if (!flow.paths.empty()) __builtin_prefetch(&flow.paths[flow.turn]);
  const LinkId link = flow.first_link != LinkId{-1} ? flow.first_link : flow.path_in_turn().front();
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

}  // namespace moesim
