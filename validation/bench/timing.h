// How a GPU's time is taken, and how GPUs start together.
#pragma once

#include <cstdint>

#include "validation/bench/device_array.h"
#include "validation/bench/meeting.h"

namespace moesim::bench {

struct Timing {
  cudaEvent_t start = nullptr;
  cudaEvent_t end = nullptr;
  // A word of pinned memory that all GPUs of the process watch: a GPU waits until it has the next value, so that all
  // start within a microsecond or two of each other, however long the host took to enqueue.
  volatile uint32_t* released = nullptr;
  Meeting* meeting = nullptr;
  DeviceArray<uint8_t> evictor;  // twice the size of L2
};

// A kernel of one thread that ends when *released is `value` or beyond, or after two seconds: a failed host must not
// leave a GPU waiting for ever.
void wait_until_released(const volatile uint32_t* released, uint32_t value, cudaStream_t stream);

// Reads all of it, so that L2 holds nothing else. It does not write, since lines that are to be written back would slow
// what comes after.
void read_all(const DeviceArray<uint8_t>& bytes, int sms, cudaStream_t stream);

// As fill_normal, in e4m3, one number a byte.
void fill_normal_fp8(uint8_t* x, int64_t count, float scale, uint64_t seed, cudaStream_t stream);

// A kernel that does nothing.
void empty_kernel(cudaStream_t stream);

}  // namespace moesim::bench
