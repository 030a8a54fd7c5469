// LRU-K (E. J. O'Neil, P. E. O'Neil and G. Weikum, SIGMOD 1993): the expert whose k-th last use is longest ago leaves.
// Before all others those that were not used k times, by their last use. One that was brought early counts as just used
// until it is.

#include <algorithm>

#include "sim/moe/offload/cache.h"

namespace moesim {
namespace {

// Puts experts with fewer than k uses behind all others; more than any number of events.
constexpr double kTooFew = 0x1p50;

struct LruKOptions {
  int32_t k = 2;
};

template <class Visitor>
void fields(Visitor& v, LruKOptions& s) {
  v.optional("k", s.k, between(1, 16), "which of its last uses counts; 1 is `lru`");
}

// The k last uses of an item in order, the last first; 0 where there was none. A use is a time from 1 on.
void use(CacheState& state, size_t item, size_t k) {
  const auto first = state.history.begin() + ptrdiff_t(item * k);
  std::copy_backward(first, first + ptrdiff_t(k) - 1, first + ptrdiff_t(k));
  *first = ++state.clock;
  const int64_t kth = *(first + ptrdiff_t(k) - 1);
  state.value[item] = kth > 0 ? double(kth) : double(*first) - kTooFew;
}

// One that nobody has needed yet, in a cache that is filled beforehand, has its place in the order of those with too
// few.
void begin_stay(CacheState& state, const CacheEvent& event, size_t k) {
  const auto item = size_t(event.item);
  if (event.prefetched)
    state.value[item] = double(++state.clock);
  else if (state.history[item * k] == 0)
    state.value[item] = double(++state.clock) - kTooFew;
}

ExpertItem cache_lru_k(CacheState& state, const CacheEvent& event, const LruKOptions& options, Rng&) {
  const auto k = size_t(options.k);
  switch (event.kind) {
    case CacheEventKind::begin:
      state.value.assign(event.items(), -kTooFew);
      state.history.assign(event.items() * k, 0);
      break;
    case CacheEventKind::access:
      use(state, size_t(event.item), k);
      break;
    case CacheEventKind::load:
      begin_stay(state, event, k);
      break;
    case CacheEventKind::choose:
      return least_valuable(event.candidates, state.value);
    case CacheEventKind::route:
    case CacheEventKind::evict:
      break;
  }
  return kNoItem;
}

[[maybe_unused]] const bool registered =
    Registry<CachePolicy>::instance().add("lru_k", "the one whose k-th last use is longest ago leaves", cache_lru_k);

}  // namespace
}  // namespace moesim
