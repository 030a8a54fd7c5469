#include "sim/net/packet/flow_book.h"

#include "sim/core/check.h"

namespace moesim {

void LossNotes::append(LossList& list, const LossNote& note) {
  if (free_ == kNone) {
    free_ = uint32_t(slots_.size());
    slots_.emplace_back();
  }
  const uint32_t slot = free_;
  free_ = slots_[slot].next;
  slots_[slot] = note;
  slots_[slot].next = kNone;
  (list.empty() ? list.first : slots_[list.last].next) = slot;
  list.last = slot;
}

LossNote LossNotes::take_first(LossList& list) {
  CHECK(!list.empty());
  const uint32_t slot = list.first;
  const LossNote note = slots_[slot];
  list.first = note.next;
  if (list.empty()) list.last = kNone;
  slots_[slot].next = free_;
  free_ = slot;
  return note;
}

}  // namespace moesim
