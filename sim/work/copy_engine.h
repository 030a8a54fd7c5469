// Copies weights to a place over the network, one chunk at a time: the most urgent copy first, so that a more urgent
// one waits for one chunk at most.
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
};

struct CopyOptions {
  Bytes chunk{8'000'000};  // of at most so many bytes
  Duration latency;        // of a chunk that follows none directly
  Duration gap;            // of each chunk, beside its bytes
};

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

 private:
  // To be written.
  Simulator& sim_;
};

}  // namespace moesim
