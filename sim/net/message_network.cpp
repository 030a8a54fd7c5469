#include "sim/net/message_network.h"

#include <algorithm>
#include <iterator>

#include "sim/core/check.h"

namespace moesim {
namespace {

template <class Slot>
uint32_t free_slot(std::vector<Slot>& slots, std::vector<uint32_t>& free) {
  if (free.empty()) {
    free.push_back(uint32_t(slots.size()));
    slots.emplace_back();
  }
  const uint32_t slot = free.back();
  free.pop_back();
  return slot;
}

// How many links all the paths share at their ends: a message crosses these whatever the policy says.
std::pair<size_t, size_t> shared_ends(std::span<const Path> paths) {
  const Path first = paths[0];
  size_t front = first.size();
  size_t back = first.size();
  for (const Path path : paths.subspan(1)) {
    front = std::min<size_t>(
        front, size_t(std::mismatch(first.begin(), first.end(), path.begin(), path.end()).first - first.begin()));
    back = std::min<size_t>(
        back, size_t(std::mismatch(first.rbegin(), first.rend(), path.rbegin(), path.rend()).first - first.rbegin()));
  }
  return {front, std::min(back, first.size() - front)};
}

}  // namespace

MessageNetwork::MessageNetwork(Simulator& sim, std::vector<Link> links, const MessageNetworkOptions& options,
                               PathFinder& finder, MessageDone done)
    : sim_(sim),
      finder_(finder),
      policy_(options.paths),
      each_by_hash_(options.paths.name() == "hash"),
      done_(done),
      rng_(Rng::stream(options.seed, "paths")),
      links_(std::move(links)),
      changes_(options.changes),
      failed_(links_.size(), false),
      network_(make_network(options.network, sim, links_, {&MessageNetwork::flow_done, this})) {
  if (!each_by_hash_) pending_.resize(links_.size());
  if (!changes_.empty())
    allow_detours(network_, [this](Path blocked, uint64_t key) { return finder_.detour(blocked, key, failed_); });
  for (size_t number = 0; number < changes_.size(); ++number) {
    CHECK(changes_[number].capacity <= links_[index(changes_[number].link)].capacity);
    sim_.at<&MessageNetwork::change>(changes_[number].at, *this, number);
  }
}

void MessageNetwork::change(uint64_t number) {
  const LinkChange& change = changes_[number];
  const size_t link = index(change.link);
  const bool fails = change.capacity == Rate{};
  if (fails && !failed_[link]) ++failures_;
  if (!fails && failed_[link]) --failures_;
  failed_[link] = fails;
  choices_up_.clear();
  set_capacity(network_, change.link, change.capacity);
}

bool MessageNetwork::crosses_failed(Path path) const {
  return failures_ > 0 && std::any_of(path.begin(), path.end(), [&](LinkId link) { return failed_[index(link)]; });
}

// The path, or a detour where it is blocked; where there is none, messages wait until its links work again.
Path MessageNetwork::up(Path path, uint64_t key) {
  return crosses_failed(path) ? finder_.detour(path, key, failed_).value_or(path) : path;
}

std::span<const Path> MessageNetwork::choices_up(const Message& message) {
  const std::span<const Path> all = finder_.choices(message.from, message.to);
  if (failures_ == 0) return all;
  std::vector<Path>& paths = choices_up_[{message.from, message.to}];
  if (paths.empty())
    std::copy_if(all.begin(), all.end(), std::back_inserter(paths), [&](Path path) { return !crosses_failed(path); });
  if (paths.empty()) paths.push_back(up(all.front(), message.key));
  return paths;
}

void MessageNetwork::send(const Message& message, uint64_t tag) {
  CHECK(tag < kIsPart);
  if (each_by_hash_) {
    const Path path = up(finder_.by_hash(message.from, message.to, message.key), message.key);
    return start(network_, path, message.bytes, tag);
  }
  starting_.push_back(message);
  starting_tags_.push_back(tag);
  if (settling_) return;
  settling_ = true;
  sim_.settle<&MessageNetwork::decide>(*this);
}

// Lets the policy decide over all messages of the instant at once, and starts their parts.
void MessageNetwork::decide() {
  settling_ = false;
  const PathInput in{starting_, [&](const Message& m) { return choices_up(m); },
                     [&](const Message& m) { return up(finder_.by_hash(m.from, m.to, m.key), m.key); },
                     moesim::links(network_), pending_};
  const std::vector<PathPart> parts = policy_.decide(in, rng_);
  std::vector<Bytes> decided(starting_.size());
  std::vector<uint32_t> slots(starting_.size());
  for (size_t m = 0; m < starting_.size(); ++m) {
    slots[m] = free_slot(sent_, free_sent_);
    sent_[slots[m]] = {starting_tags_[m], 0};
  }
  for (const PathPart& part : parts) {
    CHECK(part.message < starting_.size());
    CHECK(!part.paths.empty());
    decided[part.message] += part.bytes;
    const uint32_t slot = slots[part.message];
    if (sprays(network_)) {
      start_part(slot, part.paths, part.bytes);
      continue;
    }
    const auto pieces = std::clamp(part.bytes.count, int64_t{1}, int64_t(part.paths.size()));
    for (int64_t i = 0; i < pieces; ++i)
      start_part(slot, std::span(part.paths).subspan(size_t(i), 1), piece(part.bytes, pieces, i));
  }
  for (size_t m = 0; m < starting_.size(); ++m) {
    CHECK(decided[m] == starting_[m].bytes);
    CHECK(sent_[slots[m]].parts_left > 0);
  }
  starting_.clear();
  starting_tags_.clear();
}

void MessageNetwork::start_part(uint32_t message, std::span<const Path> paths, Bytes bytes) {
  const uint32_t slot = free_slot(parts_, free_parts_);
  parts_[slot] = {message, bytes, {paths.begin(), paths.end()}};
  ++sent_[message].parts_left;
  count_pending(parts_[slot], 1);
  if (paths.size() == 1)
    start(network_, paths[0], bytes, kIsPart | slot);
  else
    start_sprayed(network_, parts_[slot].paths, bytes, kIsPart | slot);
}

// Sprayed bytes count for each of their paths in equal parts.
void MessageNetwork::count_pending(const Part& part, int64_t sign) {
  const auto paths = int64_t(part.paths.size());
  for (int64_t i = 0; i < paths; ++i)
    for (const LinkId link : part.paths[size_t(i)]) pending_[index(link)] += sign * piece(part.bytes, paths, i);
}

void MessageNetwork::flow_done(void* self, uint64_t tag) {
  MessageNetwork& network = *static_cast<MessageNetwork*>(self);
  if ((tag & kIsPart) != 0) return network.part_done(size_t(tag & ~kIsPart));
  if (network.done_.call != nullptr) network.done_.call(network.done_.object, tag);
}

void MessageNetwork::part_done(size_t slot) {
  const uint32_t message = parts_[slot].message;
  count_pending(parts_[slot], -1);
  free_parts_.push_back(uint32_t(slot));
  if (--sent_[message].parts_left > 0) return;
  const uint64_t tag = sent_[message].tag;
  free_sent_.push_back(message);
  if (done_.call != nullptr) done_.call(done_.object, tag);
}

Duration MessageNetwork::time_alone(const Message& message) {
  if (!changes_.empty()) return {};
  const Path hashed[] = {finder_.by_hash(message.from, message.to, message.key)};
  const std::span<const Path> paths =
      each_by_hash_ ? std::span<const Path>(hashed) : finder_.choices(message.from, message.to);
  Duration latency = path_latency(links_, paths[0]);
  for (const Path path : paths.subspan(1)) latency = std::min(latency, path_latency(links_, path));
  const auto [front, back] = shared_ends(paths);
  Rate narrowest{0};
  const auto cross = [&](LinkId link) {
    const Rate capacity = links_[index(link)].capacity;
    if (narrowest == Rate{0} || capacity < narrowest) narrowest = capacity;
  };
  for (const LinkId link : paths[0].first(front)) cross(link);
  for (const LinkId link : paths[0].last(back)) cross(link);
  if (narrowest == Rate{0}) return latency;
  // Rounded down, since this is a lower bound and the network need round up only once.
  const Duration sending = transfer_time(message.bytes, narrowest);
  return latency + (sending > Duration{} ? sending - Duration{1} : sending);
}

}  // namespace moesim
