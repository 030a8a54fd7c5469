// Turns an error of the CUDA runtime into an exception that says where.
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>
#include <stdexcept>
#include <string>

namespace moesim::bench {

// Thrown for whatever the CUDA runtime, cuBLAS or NCCL refuse: no memory, no such device, a kernel that failed.
struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check_cuda(cudaError_t error, std::source_location at = std::source_location::current()) {
  if (error == cudaSuccess) return;
  throw CudaError(std::string(at.file_name()) + ":" + std::to_string(at.line()) + ": CUDA: " + cudaGetErrorName(error) +
                  ": " + cudaGetErrorString(error));
}

// After a kernel launch. A kernel that fails while it runs is seen by the next call that waits for it.
inline void check_launch(std::source_location at = std::source_location::current()) {
  check_cuda(cudaGetLastError(), at);
}

}  // namespace moesim::bench
