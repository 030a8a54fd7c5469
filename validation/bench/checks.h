// Every kernel that is timed is first compared with its float64 reference, on random inputs of many shapes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "validation/bench/kernels/kernels.h"

namespace moesim::bench {

struct CheckResult {
  std::string kernel;
  std::string shape;
  double error;  // ||out - reference|| / ||reference||; of integers the part that differs
  double bound;

  bool passed() const { return error <= bound; }
};

// Small shapes suffice for compute-sanitizer, under which a kernel takes a hundred times as long.
enum class CheckSize { small, full };

// The library's kernels, which are checked as ours are; those left empty are not checked. c = a times the transpose of
// w, as in GroupedGemm; offsets are on the host.
struct LibraryGemms {
  std::function<void(const bf16* a, const bf16* w, int m, int n, int k, bf16* c)> dense;
  std::function<void(const bf16* a, const bf16* w, std::span<const int32_t> offsets, const GroupedGemm& shape, bf16* c)>
      grouped;
};

// What the device is: the stream that everything runs on (the library's kernels too) and its multiprocessors.
struct CheckDevice {
  cudaStream_t stream;
  int sms;
};

// A kernel that gives wrong results is a result here; one that cannot run is a CudaError.
std::vector<CheckResult> check_kernels(const CheckDevice& device, uint64_t seed, CheckSize size,
                                       const LibraryGemms& library);

}  // namespace moesim::bench
