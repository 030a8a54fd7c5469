// ARC, the adaptive replacement cache (N. Megiddo and D. S. Modha, FAST 2003), one for each part of the cache. Experts
// that were used once since they came are in one list, those used again in another; two more lists remember as many
// that have left. A miss that either list of these would have saved moves the target, the length that the first is to
// have.
//
// What differs here: the candidates say who may leave, so the nearest of them to the end of its list does. An expert
// that was brought early counts as not yet used. Several may miss before the first of them has its place.

#include <algorithm>

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

enum List : uint8_t { kRecent, kFrequent, kRecentGone, kFrequentGone, kLists, kNowhere = kLists };
constexpr uint8_t kUnused = 0x80;  // beside kRecent: brought early, and not needed yet

// The lists of one part of the cache. Each is a ring through a node of its own, which lies between its last and its
// first.
struct Arc {
  CacheState& state;
  const CacheEvent& event;
  size_t part = 0;

  size_t list_index(List list) const { return part * kLists + list; }
  int32_t ring(List list) const { return int32_t(event.items() + list_index(list)); }
  double length(List list) const { return double(state.size[list_index(list)]); }
  double& target() const { return state.target[part]; }
  ExpertItem oldest(List list) const { return state.next[size_t(ring(list))]; }
};

Arc arc_of(CacheState& state, const CacheEvent& event) { return {state, event, size_t(event.part_of(event.item))}; }

List list_of(const CacheState& state, ExpertItem item) { return List(state.mark[size_t(item)] & ~kUnused); }

void begin(CacheState& state, const CacheEvent& event) {
  const auto parts = size_t(event.layers);  // at most
  state.mark.assign(event.items(), kNowhere);
  state.target.assign(parts, 0);
  state.size.assign(parts * kLists, 0);
  state.next.resize(event.items() + parts * kLists);
  for (size_t node = 0; node < state.next.size(); ++node) state.next[node] = int32_t(node);
  state.previous = state.next;
}

void take_out(const Arc& arc, ExpertItem item) {
  CacheState& state = arc.state;
  const List from = list_of(state, item);
  if (from == kNowhere) return;
  const int32_t before = state.previous[size_t(item)];
  const int32_t after = state.next[size_t(item)];
  state.next[size_t(before)] = after;
  state.previous[size_t(after)] = before;
  --state.size[arc.list_index(from)];
  state.mark[size_t(item)] = kNowhere;
}

// To the end of the list that leaves last.
void move_to(const Arc& arc, ExpertItem item, List to) {
  take_out(arc, item);
  CacheState& state = arc.state;
  const int32_t ring = arc.ring(to);
  const int32_t newest = state.previous[size_t(ring)];
  state.next[size_t(newest)] = item;
  state.previous[size_t(item)] = newest;
  state.next[size_t(item)] = ring;
  state.previous[size_t(ring)] = item;
  ++state.size[arc.list_index(to)];
  state.mark[size_t(item)] = to;
}

// A miss of an expert that is remembered: the list that it left from ought to have been longer.
void adapt(const Arc& arc) {
  const double recent = arc.length(kRecentGone);
  const double frequent = arc.length(kFrequentGone);
  const List from = list_of(arc.state, arc.event.item);
  double& target = arc.target();
  if (from == kRecentGone) target = std::min(double(arc.event.places), target + std::max(1.0, frequent / recent));
  if (from == kFrequentGone) target = std::max(0.0, target - std::max(1.0, recent / frequent));
}

// One that is on its way has its place already, though it is not a hit.
void access(const Arc& arc) {
  const ExpertItem item = arc.event.item;
  const List list = list_of(arc.state, item);
  const bool has_place = arc.event.hit || list == kRecent || list == kFrequent;
  if (!has_place) return adapt(arc);
  const bool unused = (arc.state.mark[size_t(item)] & kUnused) != 0;
  move_to(arc, item, unused || list == kNowhere ? kRecent : kFrequent);
}

// Forgets those that left longest ago, so that recent ones and their ghosts are as many as places, and all twice that.
void forget(const Arc& arc) {
  const auto places = double(arc.event.places);
  while (arc.length(kRecentGone) > 0 && arc.length(kRecent) + arc.length(kRecentGone) > places)
    take_out(arc, arc.oldest(kRecentGone));
  while (arc.length(kFrequentGone) > 0 &&
         arc.length(kRecent) + arc.length(kRecentGone) + arc.length(kFrequent) + arc.length(kFrequentGone) > 2 * places)
    take_out(arc, arc.oldest(kFrequentGone));
}

void load(const Arc& arc) {
  const ExpertItem item = arc.event.item;
  const bool remembered = list_of(arc.state, item) != kNowhere;
  move_to(arc, item, remembered && !arc.event.prefetched ? kFrequent : kRecent);
  if (arc.event.prefetched && !remembered) arc.state.mark[size_t(item)] |= kUnused;
  forget(arc);
}

// What was brought for nothing is not remembered.
void evict(const Arc& arc) {
  const ExpertItem item = arc.event.item;
  const bool unused = (arc.state.mark[size_t(item)] & kUnused) != 0;
  const List from = list_of(arc.state, item);
  if (unused || from == kNowhere) return take_out(arc, item);
  move_to(arc, item, from == kRecent ? kRecentGone : kFrequentGone);
}

ExpertItem oldest_candidate(const Arc& arc, List list) {
  const std::span<const ExpertItem> candidates = arc.event.candidates;
  for (ExpertItem item = arc.oldest(list); item != arc.ring(list); item = arc.state.next[size_t(item)])
    if (std::binary_search(candidates.begin(), candidates.end(), item)) return item;
  return kNoItem;
}

ExpertItem choose(const Arc& arc) {
  const double recent = arc.length(kRecent);
  const bool was_frequent = list_of(arc.state, arc.event.item) == kFrequentGone;
  const bool from_recent = recent > arc.target() || (was_frequent && recent == arc.target());
  const ExpertItem first = oldest_candidate(arc, from_recent ? kRecent : kFrequent);
  if (first != kNoItem) return first;
  const ExpertItem second = oldest_candidate(arc, from_recent ? kFrequent : kRecent);
  return second != kNoItem ? second : arc.event.candidates.front();
}

ExpertItem cache_arc(CacheState& state, const CacheEvent& event, const NoOptions&, Rng&) {
  switch (event.kind) {
    case CacheEventKind::begin:
      begin(state, event);
      break;
    case CacheEventKind::route:
      break;
    case CacheEventKind::access:
      access(arc_of(state, event));
      break;
    case CacheEventKind::load:
      load(arc_of(state, event));
      break;
    case CacheEventKind::evict:
      evict(arc_of(state, event));
      break;
    case CacheEventKind::choose:
      return choose(arc_of(state, event));
  }
  return kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("arc", "balances recent and frequent use by what would have hit", cache_arc);

}  // namespace
}  // namespace moesim
