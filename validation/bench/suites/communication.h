// NCCL, as the suites use it: everything is enqueued on a stream and may be captured in a graph. Without NCCL
// (MOESIM_NCCL undefined) can_communicate() says no, and nothing else may be called.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "validation/bench/bench.h"

namespace moesim::bench {

// Connects GPUs that have no communicator yet. Returns why they cannot communicate: one rank, or no NCCL; else "".
std::string why_not_connected(Bench& bench);

enum class Number { float32, bfloat16 };
inline int64_t bytes_of(Number number) { return number == Number::float32 ? 4 : 2; }

// Both buffers hold one run of bytes a rank, in the order of ranks: to_bytes[q] go to rank q, and from_bytes[q] come
// from it; what a rank sends to itself is copied too. Ranks must agree on the sizes.
void all_to_all(const Gpu& gpu, const void* send, std::span<const int64_t> to_bytes, void* receive,
                std::span<const int64_t> from_bytes, cudaStream_t stream);

// Sums over ranks of `count` numbers.
void all_reduce(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number, cudaStream_t stream);
// Each rank gives `count` numbers and gets those of all.
void all_gather(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number, cudaStream_t stream);
// Each rank gives ranks * count numbers and gets `count` sums.
void reduce_scatter(const Gpu& gpu, const void* send, void* receive, int64_t count, Number number, cudaStream_t stream);

}  // namespace moesim::bench
