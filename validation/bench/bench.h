// What the suites of moesim-bench share: GPUs, each driven by a host thread, the timing of what runs on them, and the
// record of what was measured.
#pragma once

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#ifdef MOESIM_NCCL
#include <nccl.h>
#else
using ncclComm_t = struct ncclComm*;
#endif

#include <functional>
#include <nlohmann/json.hpp>
#include <vector>

#include "validation/bench/device_array.h"
#include "validation/bench/kernels/kernels.h"
#include "validation/bench/options.h"
#include "validation/bench/recorder.h"

namespace moesim::bench {

struct Timing;  // validation/bench/timing.h

// One GPU with what its measurements need; each is driven by one host thread.
struct Gpu {
  int rank = 0;
  int ranks = 1;
  int device = 0;
  cudaStream_t stream = nullptr;
  cublasLtHandle_t cublas_lt = nullptr;
  cublasHandle_t cublas = nullptr;
  ncclComm_t comm = nullptr;  // null on one GPU, without NCCL, and until the ranks are connected
  cudaDeviceProp properties{};
  Timing* timing = nullptr;
};

// How often to repeat. A sample is one repetition, or the mean over `calls` calls for what is too short to time alone:
// the record then says "calls".
struct Repeat {
  int warm_up = 3;
  int samples_min = 7;
  int samples_max = 50;
  double seconds_max = 0.05;
  int calls = 1;
  bool cold_l2 = false;  // each sample starts with an L2 cache that holds nothing of the work's
  bool held = false;     // Launch::eager: the GPU starts when all of a sample is enqueued, so that the host's speed
                         // does not matter; a graph is always held
};

enum class Launch { eager, graph };
inline const char* launch_name(Launch launch) { return launch == Launch::graph ? "graph" : "eager"; }

// `work` enqueues on gpu.stream. Microseconds of each sample by CUDA events. Every rank calls it; with several ranks
// they start together, take equally many samples, and each sample is the maximum over ranks. `work` is called once
// before anything is captured or timed. Launch::graph captures `calls` calls of it, and launches that.
std::vector<double> time_on_gpu(Gpu& gpu, Launch launch, const Repeat& repeat, const std::function<void()>& work);

struct Bench {
  Options options;
  std::vector<Gpu> gpus;  // of this process, the first rank first; empty where there is none
  Recorder recorder;
};

// One thread a GPU, which is its current device; joined. The first exception is rethrown; other ranks that wait in
// time_on_gpu for one that failed fail too.
void on_every_gpu(Bench& bench, const std::function<void(Gpu&)>& body);

// On rank 0 alone, as if it were the only one: gpu.ranks is 1. Other processes skip it.
void on_first_gpu(Bench& bench, const std::function<void(Gpu&)>& body);

// Whether there is time for one more case of a suite that runs on the first GPU alone.
inline bool has_time(const Bench& bench) { return !bench.recorder.out_of_time() && !bench.recorder.stopped(); }

enum class Needs { gpu, nothing };

struct Suite {
  const char* name;
  const char* help;
  void (*run)(Bench&);
  double weight = 1;  // its share of the time that is left
  Needs needs = Needs::gpu;
};

// In the order in which they run.
const std::vector<Suite>& suites();

}  // namespace moesim::bench
