#include "sim/net/packet/engine.h"

#include <algorithm>

#include "sim/net/packet/options.h"

namespace moesim {

PacketEngine::PacketEngine(const PacketEngineInput& in)
    : sim_(in.sim),
      links_(in.links),
      done_(in.done),
      rules_{in.options.mtu, in.options.buffer, in.options.mark_from, in.options.mark_all,
             in.options.mark_probability_max},
      timeout_(in.options.retransmission_timeout),
      loss_rate_(in.options.loss_rate),
      rng_(Rng::stream(in.options.seed, "packet")),
      payers_(links_.size()),
      seed_(in.options.seed) {
  CHECK(rules_.mtu > Bytes{});
  CHECK(rules_.mtu <= kMtuMax);
  CHECK(rules_.buffer >= rules_.mtu);
  CHECK(rules_.mark_from <= rules_.mark_all);
  for (const Link& link : links_) ports_.emplace_back(link, rules_.mtu);
}

LinkQueueing PacketEngine::queueing() const {
  LinkQueueing all;
  for (const Port& port : ports_) all += port.did;
  return all;
}

FlowBook PacketEngine::book_of(Path path, std::span<const Path> paths, Bytes bytes, uint64_t tag) {
  CHECK(bytes.count >= 0);
  FlowBook book;
  book.path = path;
  book.paths = paths;
  book.bytes = bytes;
  book.tag = tag;
  book.turn = uint32_t(splitmix64(seed_ ^ splitmix64(started_++)) % book.path_count());
  bool has_links = true;
  for (size_t i = 0; i < book.path_count(); ++i) {
    const Path each = paths.empty() ? path : paths[i];
    CHECK(each.size() <= kHopsMax);
    book.latency = std::max(book.latency, path_latency(links_, each));
    has_links = has_links && !each.empty();
    if (has_links && i == 0) book.first_link = each.front();
    if (has_links && each.front() != book.first_link) book.first_link = LinkId{-1};
  }
  if (!has_links || bytes == Bytes{}) return book;
  const int64_t packets = (bytes.count - 1) / rules_.mtu.count + 1;
  CHECK(packets < int64_t(1) << kNumberBits);
  book.packets = uint32_t(packets);
  book.last_bytes = uint16_t(bytes.count - (packets - 1) * rules_.mtu.count);
  return book;
}

// A failed link counts with the rate that it had.
FlowFacts PacketEngine::facts_of(FlowBook& book) const {
  book.round_trip = {};
  book.packet_time = {std::numeric_limits<int64_t>::max()};
  for (size_t i = 0; i < book.path_count(); ++i) {
    Duration slowest;
    Duration round_trip;
    for (const LinkId link : book.paths.empty() ? book.path : book.paths[i]) {
      const Port& port = ports_[index(link)];
      slowest = std::max(slowest, port.mtu_time());
      round_trip += port.mtu_time() + 2 * port.latency();
    }
    book.packet_time = std::min(book.packet_time, slowest);
    book.round_trip = std::max(book.round_trip, round_trip);
  }
  return {book.packets, rules_.mtu, {double(rules_.mtu.count) / book.packet_time.seconds()}, book.round_trip};
}

bool PacketEngine::draws_mark(int64_t queue) {
  if (queue >= rules_.mark_all.count) return true;
  const double part = double(queue - rules_.mark_from.count) / double(rules_.mark_all.count - rules_.mark_from.count);
  return rng_.uniform() < rules_.mark_probability_max * part;
}

bool PacketEngine::works(Path path) const {
  return std::none_of(path.begin(), path.end(), [&](LinkId link) { return ports_[index(link)].has_failed(); });
}

bool PacketEngine::turn_to_working_path(FlowBook& flow) const {
  for (size_t tried = 0; tried < flow.path_count(); ++tried) {
    if (works(flow.path_in_turn())) return true;
    flow.next_turn();
  }
  const std::optional<Path> other = detour_ ? detour_(flow.path_in_turn(), flow.tag) : std::nullopt;
  if (!other) return false;
  flow.paths = {};
  flow.path = *other;
  flow.first_link = other->front();
  flow.turn = 0;
  return true;
}

// Lost packets first. The path after this one is the next packet's.
Packet PacketEngine::next_packet(FlowBook& flow, uint32_t slot) {
  const Path path = flow.path_in_turn();
  Packet packet{};
  if (flow.again.empty()) {
    packet.number = flow.next_number++;
    flow.owed += hash_of_number(packet.number);
  } else {
    const LossNote lost = notes_.take_first(flow.again);
    packet.number = lost.number;
    packet.losses = lost.losses & kLossesMax;
  }
  packet.route = path.data();
  packet.flow = slot;
  packet.order = flow.sendings++;
  packet.bytes = uint16_t(bytes_of(flow, packet.number));
  packet.hops = path.size() & kHopsMax;
  flow.next_turn();
  return packet;
}

void PacketEngine::finish(const FlowBook& flow) {
  CHECK(flow.delivered == flow.packets);
  CHECK(flow.owed == 0);  // each was delivered once
  CHECK(!flow.has_more());
  CHECK(flow.missing.empty());
  CHECK(flow.credits_due == 0);
  sim_.digest.add(sim_.now().ps);
  sim_.digest.add(flow.tag);
  sim_.digest.add(flow.bytes.count);
}

uint64_t PacketEngine::packet_hops() const { return uint64_t(queueing().packets); }

}  // namespace moesim
