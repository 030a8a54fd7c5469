// How reductions cut a buffer: rank r owns shard r.
#pragma once

#include <algorithm>

#include "sim/comm/collective.h"

namespace moesim {

// Bytes of shard r of a buffer cut as evenly as whole bytes allow; the shards sum to the buffer.
inline Bytes shard_bytes(Bytes buffer, int32_t ranks, int32_t shard) {
  return {buffer.count / ranks + (shard < buffer.count % ranks ? 1 : 0)};
}

// Where it begins.
inline int64_t shard_offset(Bytes buffer, int32_t ranks, int32_t shard) {
  return shard * (buffer.count / ranks) + std::min(int64_t{shard}, buffer.count % ranks);
}

// Shard r as a piece of a transfer: a partial sum on its way to the owner, or the result on its way from there.
inline Piece shard_piece(Bytes buffer, int32_t ranks, int32_t shard, bool adds) {
  return {0, 0, shard_offset(buffer, ranks, shard), shard_bytes(buffer, ranks, shard), adds};
}

// Its own shard a rank copies to the result of an all-gather, and adds at the end of a reduce-scatter; in an all-reduce
// that is part of passing it on.
inline Bytes own_shard(const ReductionInput& in) {
  return in.reduction == Reduction::all_reduce ? Bytes{} : shard_bytes(in.bytes, in.ranks, 0);
}

}  // namespace moesim
