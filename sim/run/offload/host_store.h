// The experts of a server outside its GPUs: in host memory, and in slower tiers below where that is too small.
//
// Every expert lies in the last tier. Host memory and the tiers between are caches of it; an expert on its way up
// passes each of them, chunk after chunk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/moe/offload/expert_level.h"
#include "sim/run/offload/memories.h"
#include "sim/run/offload_result.h"
#include "sim/work/copy_engine.h"

namespace moesim {

// Told how much of an expert lies in host memory by now, while it is on its way there.
struct HostClient {
  void* object = nullptr;
  void (*ready)(void* object, int32_t node, ExpertItem item, Bytes so_far) = nullptr;
};

class HostStore {
 public:
  // `shape` says how large experts are. The memories must be part of the executor's network.
  HostStore(const LoadedScenario& loaded, const HostMemories& memories, int32_t node, const LevelShape& shape,
            Simulator& sim, Executor& executor, HostClient client);
  HostStore(const HostStore&) = delete;  // copies under way point to it
  HostStore& operator=(const HostStore&) = delete;

  // Bytes of it that lie in host memory.
  Bytes ready(ExpertItem item) const;

  // Brings it there if it is not, and keeps it until everybody who wanted it has let go, having read it or not. What
  // nobody wants any more and has not begun to come does not.
  void want(ExpertItem item, int64_t urgency);
  void hurry(ExpertItem item, int64_t urgency);  // it is wanted already
  void let_go(ExpertItem item, bool was_read);

  // Of the run so far.
  Bytes sent() const;
  bool copying() const;
  std::vector<OffloadTierResult> results() const;

 private:
  // A cache, and the copies that fill it from the tier below.
  struct Hop {
    HostStore* store = nullptr;
    size_t level = 0;
    std::unique_ptr<ExpertLevel> cache;
    std::unique_ptr<CopyEngine> engine;
    EndpointId from{};
    EndpointId to{};
    std::vector<CopyId> copy;        // [item] where one is under way
    std::vector<uint8_t> under_way;  // [item]
    std::vector<int64_t> urgency;    // [item] of a copy under way
    std::vector<Bytes> so_far;       // [item] of a copy under way
    int64_t asked = 0;
    int64_t found = 0;
  };

  static bool admit(void* hop, uint64_t item);
  static void arrived(void* hop, uint64_t item, Bytes so_far);
  void bring(size_t level, ExpertItem item, int64_t urgency);
  void release(size_t level, ExpertItem item);
  Bytes at_level(size_t level, ExpertItem item) const;
  void chunk(Hop& hop, ExpertItem item, Bytes so_far);

  const LoadedScenario& loaded_;
  int32_t node_;
  std::vector<Bytes> item_bytes_;
  HostClient client_;
  std::vector<std::unique_ptr<Hop>> hops_;  // [level] from the tier below it
  Bytes read_;                              // from host memory
};

}  // namespace moesim
