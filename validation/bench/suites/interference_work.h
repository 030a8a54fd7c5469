// The kinds of work that are set beside each other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "validation/bench/bench.h"

namespace moesim::bench {

// Memory on one GPU and beside it, for all kinds of work; the first and the second of a pair write to memory of their
// own.
struct WorkBed {
  DeviceArray<bf16> a, w;          // of the GEMMs
  DeviceArray<bf16> c[2];          // what they write
  DeviceArray<bf16> grouped_w;     // a matrix an expert
  DeviceArray<int32_t> offsets;    // of the groups
  DeviceArray<uint8_t> from, to;   // of copies and the all-to-all
  DeviceArray<uint8_t> from_peer;  // where the GPU before writes to
  void* host[2] = {};              // pinned: what is copied to the device, and from it
  cublasHandle_t cublas[2] = {};   // one a stream, as a handle has one workspace
  cudaStream_t second_stream = nullptr;

  WorkBed() = default;
  WorkBed(const WorkBed&) = delete;
  WorkBed& operator=(const WorkBed&) = delete;
  ~WorkBed();
};
void set_up(WorkBed& bed, const Gpu& gpu);

// Whether it is the first or the second of a pair.
enum class Side { first, second };

// One unit of work; `calls` units, one after another, are what is measured.
struct Work {
  std::string name;
  nlohmann::ordered_json parameters;  // of a unit
  int calls = 1;
  std::function<void(cudaStream_t)> enqueue;  // a unit
};

// Where a copy to the next GPU goes: its `from_peer`, and its number.
struct Peer {
  void* memory = nullptr;  // null: there is none
  int device = 0;
};

// gemm, gemm_few_rows, grouped_gemm, h2d_copy, d2h_copy, d2d_copy, peer_copy, all_to_all, memory_kernel, small_kernels
Work make_work(const std::string& name, Side side, WorkBed& bed, const Gpu& gpu, const Peer& peer);

// All cores copy memory that fits no cache, until it is stopped.
class CpuLoad {
 public:
  explicit CpuLoad(int threads);
  ~CpuLoad();
  CpuLoad(const CpuLoad&) = delete;
  CpuLoad& operator=(const CpuLoad&) = delete;

  // Bytes read and written a second since the last call.
  double bytes_per_s();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace moesim::bench
