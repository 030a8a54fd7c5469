// Links that are far from full: nothing hangs on them, many flows cross them, and they would be told of every change of
// a level without ever doing anything about it. They are watched instead: their sum is made of published levels, which
// are a few percent above the true ones and change only when the true ones leave the band below them.
#include <algorithm>

#include "sim/core/check.h"
#include "sim/net/max_min.h"

namespace moesim {
namespace {

constexpr int kPublishedAboveShift = 4;  // 6 %
constexpr int kPublishAgainShift = 3;    // when the level has fallen 12 % below what was published

constexpr size_t kWatchedFlowsMin = 32;

constexpr int64_t is_far_from_full(int64_t load, int64_t capacity) { return load <= capacity - capacity / 32; }

}  // namespace

// Called when the level of a link has changed.
void MaxMin::publish(int32_t link) {
  int64_t& published = clocks_[size_t(link)].published;
  const int64_t level = loads_[size_t(link)].level;
  if (level <= published && level >= published - (published >> kPublishAgainShift)) return;
  const int64_t change = level + (level >> kPublishedAboveShift) + 1 - published;
  published += change;
  if (watches_ == 0) return;
  work_ += clocks_[size_t(link)].hung.size();
  for (const FinishHeap::Hung& hung : clocks_[size_t(link)].hung.entries())
    for (const int32_t crossed : path_of(index(hung.flow))) {
      if (!watched_[size_t(crossed)]) continue;
      Load& load = loads_[size_t(crossed)];
      load.others += change;
      if (load.others > load.mark_above) mark(crossed);
    }
}

// Watches the link from now on if that is worth while, and returns whether it is.
bool MaxMin::watch(int32_t link) {
  Load& load = loads_[size_t(link)];
  const std::vector<Crossing>& crossing = crossing_[size_t(link)];
  if (watched_[size_t(link)] || !clocks_[size_t(link)].hung.empty()) return false;
  if (crossing.size() < kWatchedFlowsMin || !is_far_from_full(load.others, clocks_[size_t(link)].capacity))
    return false;
  int64_t bound = 0;
  for (const Crossing& flow : crossing) bound += clocks_[size_t(flow.bottleneck)].published;
  if (!is_far_from_full(bound, clocks_[size_t(link)].capacity)) return false;
  load.others = bound;
  watched_[size_t(link)] = true;
  ++watches_;
  return true;
}

void MaxMin::watch_instead(int32_t link) {
  if (!watch(link)) return;
  for (const Crossing& flow : crossing_[size_t(link)]) neighbours_.remove(flow.bottleneck, link);
}

// Loads change without anybody looking at a link that is not full, and flows leave memory behind where they hung.
void MaxMin::review_links() {
  for (const int32_t link : used_) {
    watch_instead(link);
    clocks_[size_t(link)].hung.trim();
    neighbours_.trim(link);
  }
}

void MaxMin::neighbour_again(int32_t link) {
  Load& load = loads_[size_t(link)];
  load.others = 0;
  load.fastest = 0;
  for (const Crossing& flow : crossing_[size_t(link)]) {
    const int32_t on = flow.bottleneck;
    load.others += loads_[size_t(on)].level;
    load.fastest = std::max(load.fastest, loads_[size_t(on)].level);
    neighbours_.add(on, link);
  }
  work_ += 4 * crossing_[size_t(link)].size();
  watched_[size_t(link)] = false;
  --watches_;
}

}  // namespace moesim
