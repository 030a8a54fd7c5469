// What the packet network knows of a flow besides the state of its transport, and the packets that flows have lost.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/core/random.h"
#include "sim/net/link.h"

namespace moesim {

inline constexpr uint32_t kNone = UINT32_MAX;

// A packet that was lost and is not on its way again.
struct LossNote {
  uint32_t number = 0;
  uint32_t order = 0;
  uint32_t losses = 0;  // of this number so far, or kLossesMax
  const LinkId* route = nullptr;
  uint32_t next = kNone;
};

// First in, first out.
struct LossList {
  uint32_t first = kNone;
  uint32_t last = kNone;
  bool empty() const { return first == kNone; }
};

// The notes of all flows, in slots that are reused.
class LossNotes {
 public:
  void append(LossList& list, const LossNote& note);
  LossNote take_first(LossList& list);

  // Takes the notes for which is_wanted(note) out of the list, in order, and hands them to use(note).
  template <class IsWanted, class Use>
  void take_if(LossList& list, IsWanted is_wanted, Use use) {
    LossList kept;
    while (!list.empty()) {
      const LossNote note = take_first(list);
      if (is_wanted(note))
        use(note);
      else
        append(kept, note);
    }
    list = kept;
  }

 private:
  std::vector<LossNote> slots_;
  uint32_t free_ = kNone;  // chained by next
};

enum class SenderStatus : uint8_t {
  idle,     // has nothing to send, or must not before it hears something
  paced,    // an event will wake it
  waiting,  // for its turn at its first link
  parked,   // every path has a failed link
};

struct FlowBook {
  std::span<const Path> paths;  // none: `path` is the only one
  Path path;
  Bytes bytes;
  uint64_t tag = 0;
  Duration latency;      // of its longest path; what receivers tell takes as long
  Duration round_trip;   // of a full packet over empty links and of its answer, on the longest path
  Duration packet_time;  // of a full packet over the narrowest link of the widest path
  Time may_be_paid;      // the next credit
  uint32_t packets = 0;
  uint32_t next_number = 0;  // of the first packet that was never sent
  uint32_t delivered = 0;
  uint32_t sendings = 0;
  LinkId first_link{-1};  // of all its paths, if they begin with the same
  uint32_t turn = 0;      // the path of the next packet
  uint32_t events = 0;    // pending ones that name its slot
  uint32_t next_waiting = kNone;
  uint32_t credits_left = 0;  // that the receiver will still grant
  uint32_t credits_due = 0;   // that it has granted and not paid
  uint32_t next_due = kNone;
  LossList missing;  // lost, and the sender does not know
  LossList again;    // to be sent again
  // The sum of a hash of the numbers that were sent and not delivered: 0 in the end if each was delivered once.
  uint64_t owed = 0;
  uint16_t last_bytes = 0;  // of the last packet
  SenderStatus status = SenderStatus::idle;
  bool is_done = false;

  bool has_more() const { return next_number < packets || !again.empty(); }
  Path path_in_turn() const { return paths.empty() ? path : paths[turn]; }
  size_t path_count() const { return paths.empty() ? 1 : paths.size(); }
  void next_turn() { turn = turn + 1 >= path_count() ? 0 : turn + 1; }
};

inline uint64_t hash_of_number(uint32_t number) { return splitmix64(number); }

}  // namespace moesim
