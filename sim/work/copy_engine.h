// Copies weights to a place over the network, one chunk at a time: the most urgent copy first, so that a more urgent
// one waits for one chunk at most.
//
// A chunk is chosen when all else at the instant is done, and takes: the options' latency if none ended at that
// instant, the gap, and the time from the first link to the last byte's arrival, which the slowdown multiplies. Memory
// grows with the copies that wait at once, not with those that have been.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/simulator.h"
#include "sim/net/message.h"
#include "sim/work/executor.h"

namespace moesim {

enum class CopyId : int32_t {};

struct CopyRequest {
  EndpointId from{};
  EndpointId to{};
  Bytes bytes;
  int64_t urgency = 0;  // the lowest goes first, those of equal urgency in order of submission
  Bytes ready;          // of the bytes, those that lie at `from` by now; feed() tells of more
  uint64_t tag = 0;     // the client's name for it
};

// What the client is asked and told. None of it is called from within a call of the client's.
struct CopyClient {
  void* object = nullptr;
  bool (*admit)(void* object, uint64_t tag) = nullptr;  // may it begin now? One that may not waits for retry()
  void (*arrived)(void* object, uint64_t tag, Bytes so_far) = nullptr;  // a chunk; the last one if that is all
  void (*active)(void* object, bool is_active) = nullptr;  // chunks begin to follow each other, or no longer do
};

struct CopyOptions {
  Bytes chunk{8'000'000};  // of at most so many bytes
  Duration latency;        // of a chunk that follows none directly
  Duration gap;            // of each chunk, beside its bytes
};

// A copy's id is good until its last chunk's arrived() has returned or it has been cancelled; then another may get it.
class CopyEngine {
 public:
  CopyEngine(Simulator& sim, Executor& executor, const CopyOptions& options, CopyClient client);
  CopyEngine(const CopyEngine&) = delete;  // pending events point to it
  CopyEngine& operator=(const CopyEngine&) = delete;

  CopyId submit(const CopyRequest& request);
  void set_urgency(CopyId copy, int64_t urgency);
  bool cancel(CopyId copy);             // true where it had not begun; else it goes on
  void feed(CopyId copy, Bytes ready);  // so many lie at the source by now
  void retry();                         // asks again for those that were not admitted

  // Chunks take so many times longer from the next one on, as beside work that shares the memory.
  void set_slowdown(double factor);

  bool begun(CopyId copy) const;
  Bytes left(CopyId copy) const;  // that have not arrived
  bool active() const;            // a chunk is on its way
  Bytes on_the_way() const;       // of the chunk; zero where none is
  Duration busy() const;          // time in which one was
  Bytes carried() const;          // of all chunks that have arrived
  Bytes sent() const;             // what the network was given: a chunk that waits for its latency is on its way before

 private:
  struct Copy {
    CopyRequest request;     // with the urgency and the ready bytes of now
    uint64_t sequence = 0;   // the how-manieth copy it is; zero where the slot is free
    Bytes sent;              // of the request's, those of chunks that were begun
    Bytes arrived;           // of these, those of chunks that have arrived
    uint32_t place = kNone;  // in ready_
    bool begun = false;      // has been admitted
  };
  // What is looked through at each chunk, side by side in memory.
  struct Ready {
    int64_t urgency = 0;
    uint64_t sequence = 0;
    uint32_t slot = 0;
  };
  struct Chunk {
    uint32_t slot = 0;
    Bytes bytes;  // zero where no chunk is on its way
    Time begun;
    Time sent;
    double slowdown = 1;
    bool waits = true;  // for latency and gap
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t slot_of(CopyId copy) const;
  void list(uint32_t slot);
  void unlist(uint32_t slot);
  void release(uint32_t slot);

  void choose_later();
  void choose();
  uint32_t most_urgent() const;
  bool admitted(uint32_t slot);
  void begin_chunk(uint32_t slot);
  void tell_active(bool is_active);
  void send_chunk();
  void chunk_arrived();
  void finish_chunk();
  static void sent_arrived(void* engine, uint64_t);

  Simulator& sim_;
  Executor& executor_;
  CopyOptions options_;
  CopyClient client_;
  uint32_t sender_;  // its number at the executor
  std::vector<Copy> copies_;
  std::vector<uint32_t> free_;
  std::vector<Ready> ready_;       // copies with bytes that are ready and not sent, but for those refused; in no order
  std::vector<uint32_t> refused_;  // have not been admitted, and are not in ready_
  uint64_t submitted_ = 0;
  double slowdown_ = 1;
  Chunk chunk_;
  Time finished_{-1};  // when the last chunk was done
  Duration busy_;      // of chunks that are done
  Bytes carried_;
  bool choosing_ = false;  // will choose in this instant
  bool told_active_ = false;
  bool retrying_ = false;  // asks the refused ones when it next chooses
};

}  // namespace moesim
