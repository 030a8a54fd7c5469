// The pending events of a simulation: a radix heap of six bits a level, with a short sorted list in front. It is fast
// because simulated time never goes back, so that an event only ever moves down, and buckets are streamed rather than
// searched.
//
// Order is (time, order of insertion). No sequence number is stored: buckets are appended to and emptied in order, so
// events of equal time always lie in the order they came in.
// Cost: amortised O(log64(time range)) moves an event, each a sequential 32-byte copy, and at most kNear in front.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "sim/core/check.h"
#include "sim/core/units.h"

namespace moesim {

// What runs at a time: a function of an object and a payload. Plain data, 32 bytes.
struct Event {
  Time time;
  void (*run)(void* object, uint64_t payload) = nullptr;
  void* object = nullptr;
  uint64_t payload = 0;
};
static_assert(std::is_trivially_copyable_v<Event> && sizeof(Event) == 32);

// What lies in the buckets, in chunks of 1 KiB that all of them share: memory follows what is pending, whichever bucket
// it is in, and growing never copies.
struct EventChunk {
  static constexpr size_t kEvents = 31;
  EventChunk* next;
  alignas(32) std::array<Event, kEvents> events;
};
static_assert(sizeof(EventChunk) == 1024);

class EventQueue {
 public:
  EventQueue() : near_(kNear) {}
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  // The time may not be before the current instant.
  void push(const Event& event) {
    CHECK(event.time >= now_);
    ++size_;
    put(event);
  }

  // Whether an event of the current instant (the time last advanced to) is left.
  bool ready() const { return head_ != tail_ && near_[head_].time == now_; }

  // Moves to the instant of the earliest event and returns it; the queue may not be empty, nor an event ready.
  Time advance() {
    CHECK(size_ > 0);
    if (head_ == tail_) refill();
    return now_ = near_[head_].time;
  }

  // The next event of this instant, first in first out; one must be ready.
  Event pop() {
    --size_;
    const Event& event = near_[head_++];
    return {event.time, event.run, event.object, event.payload};  // so that only what the caller reads is loaded
  }

 private:
  static constexpr size_t kDigitBits = 6;
  static constexpr size_t kLevels = 11;  // of 6 bits, for 64
  static constexpr size_t kNear = 128;   // places in front; only events of one instant may take more

  // First in, first out: the chunks from first on, all full but the last, which has room from place to end.
  struct Bucket {
    EventChunk* first = nullptr;
    EventChunk* last = nullptr;
    Event* place = nullptr;
    Event* end = nullptr;
  };

  void put(const Event& event) {
    while (event.time <= near_until_ && tail_ == near_limit_) make_room();
    if (event.time <= near_until_)
      insert(event);
    else
      append(event);
  }

  // Into the sorted events in front, behind those of the same time.
  void insert(const Event& event) {
    size_t place = tail_++;
    for (; place > head_ && near_[place - 1].time > event.time; --place) near_[place] = near_[place - 1];
    near_[place] = event;
  }

  // An event lies in the level of the highest digit in which its time differs from now, in the slot of that digit.
  void append(const Event& event) {
    const uint64_t time = uint64_t(event.time.ps);
    const size_t level = (size_t(std::bit_width(time ^ uint64_t(now_.ps))) - 1) / kDigitBits;
    const size_t slot = (time >> (level * kDigitBits)) & 63;
    Bucket& bucket = buckets_[level][slot];
    if (bucket.place == bucket.end) add_chunk(level, slot);
    *bucket.place++ = event;
  }

  void make_room();
  void narrow();
  void refill();
  void sort_in_front(const Event* begin, const Event* end);
  void spread(const Bucket& bucket);
  void add_chunk(size_t level, size_t slot);
  void give_back(EventChunk* chunk);

  // In front: every event up to near_until_, which differs from now_ only in digits whose levels are empty. Those of
  // [head_, tail_) are in order of time; those before head_ have been popped.
  std::vector<Event> near_;
  size_t head_ = 0;
  size_t tail_ = 0;
  size_t near_limit_ = kNear;  // how far tail_ may go before room is made
  size_t size_ = 0;
  Time now_;
  Time near_until_;

  uint64_t levels_ = 0;                     // bit l: whether level l has an event
  std::array<uint64_t, kLevels> filled_{};  // bit s: whether slot s of the level has one
  std::array<std::array<Bucket, 64>, kLevels> buckets_;

  EventChunk* free_ = nullptr;  // the last given back comes first, since it is still in the cache
  std::vector<std::unique_ptr<EventChunk[]>> slabs_;
};

}  // namespace moesim
