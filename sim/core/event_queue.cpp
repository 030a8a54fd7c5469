#include "sim/core/event_queue.h"

#include <algorithm>
#include <span>

namespace moesim {
namespace {

constexpr size_t kSlabChunks = 64;

}  // namespace

// Called when tail_ is at its limit.
void EventQueue::make_room() {
  if (2 * head_ >= tail_) {  // at least as many popped as are moved
    std::copy(near_.begin() + ptrdiff_t(head_), near_.begin() + ptrdiff_t(tail_), near_.begin());
    tail_ -= head_;
    head_ = 0;
  } else if (near_until_ > now_) {
    narrow();
  } else {
    near_.resize(std::max(near_.size(), 2 * near_limit_));
    near_limit_ = near_.size();
  }
}

// So many events came in front that inserting would grow slow: those after this instant go into the buckets.
void EventQueue::narrow() {
  near_until_ = now_;
  const size_t all = tail_;
  tail_ = head_;
  while (tail_ < all && near_[tail_].time == now_) ++tail_;
  for (size_t later = tail_; later < all; ++later) append(near_[later]);
}

// Takes the earliest bucket. One chunk is sorted into the front, which then reaches to the end of the bucket's span;
// more are spread over the levels below, which are all empty.
void EventQueue::refill() {
  head_ = tail_ = 0;
  near_limit_ = kNear;
  const size_t level = size_t(std::countr_zero(levels_));
  const size_t slot = size_t(std::countr_zero(filled_[level]));
  filled_[level] &= filled_[level] - 1;
  if (filled_[level] == 0) levels_ &= levels_ - 1;

  const Bucket bucket = buckets_[level][slot];
  buckets_[level][slot] = {};
  if (bucket.first->next != nullptr) return spread(bucket);
  sort_in_front(bucket.first->events.data(), bucket.place);
  CHECK(near_[0].time > now_);
  now_ = near_[0].time;
  near_until_.ps = now_.ps | ((int64_t(1) << (level * kDigitBits)) - 1);
  give_back(bucket.first);
}

// An event's place is the number of those before it. Counting takes more comparisons than a sort that branches, but
// for so few the branches, which no processor can predict, cost more.
void EventQueue::sort_in_front(const Event* begin, const Event* end) {
  for (const Event* event = begin; event != end; ++event) {
    size_t place = 0;
    for (const Event* other = begin; other != event; ++other) place += other->time <= event->time;
    for (const Event* other = event + 1; other != end; ++other) place += other->time < event->time;
    near_[place] = *event;
  }
  tail_ = size_t(end - begin);
}

// From the earliest of them on, so that those of one instant go to the front in one move, however high their level.
void EventQueue::spread(const Bucket& bucket) {
  const auto events_of = [&](EventChunk* chunk) {
    return std::span(chunk->events.data(),
                     chunk->next == nullptr ? bucket.place : chunk->events.data() + EventChunk::kEvents);
  };
  Time earliest = bucket.first->events[0].time;
  for (EventChunk* chunk = bucket.first; chunk != nullptr; chunk = chunk->next)
    for (const Event& event : events_of(chunk)) earliest = std::min(earliest, event.time);
  CHECK(earliest > now_);
  now_ = near_until_ = earliest;
  for (EventChunk* chunk = bucket.first; chunk != nullptr;) {
    EventChunk* const next = chunk->next;
    if (next != nullptr) __builtin_prefetch(next);
    for (const Event& event : events_of(chunk)) put(event);
    give_back(chunk);
    chunk = next;
  }
}

void EventQueue::add_chunk(size_t level, size_t slot) {
  if (free_ == nullptr) {
    slabs_.push_back(std::make_unique_for_overwrite<EventChunk[]>(kSlabChunks));
    for (size_t i = kSlabChunks; i-- > 0;) give_back(&slabs_.back()[i]);
  }
  EventChunk* const chunk = free_;
  free_ = chunk->next;
  chunk->next = nullptr;

  Bucket& bucket = buckets_[level][slot];
  if (bucket.first == nullptr) {
    bucket.first = chunk;
    filled_[level] |= uint64_t(1) << slot;
    levels_ |= uint64_t(1) << level;
  } else {
    bucket.last->next = chunk;
  }
  bucket.last = chunk;
  bucket.place = chunk->events.data();
  bucket.end = bucket.place + EventChunk::kEvents;
}

void EventQueue::give_back(EventChunk* chunk) {
  chunk->next = free_;
  free_ = chunk;
}

}  // namespace moesim
