// How reductions cut a buffer: rank r owns shard r.
#pragma once

#include "sim/core/units.h"

namespace moesim {

// Bytes of shard r of a buffer cut as evenly as whole bytes allow; the shards sum to the buffer.
inline Bytes shard_bytes(Bytes buffer, int32_t ranks, int32_t shard) {
  return {buffer.count / ranks + (shard < buffer.count % ranks ? 1 : 0)};
}

}  // namespace moesim
