#include "validation/bench/timing.h"

#include <algorithm>
#include <chrono>

#include "validation/bench/bench.h"
#include "validation/bench/mpi_ranks.h"

namespace moesim::bench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

constexpr double stuck_s = 60;

// Place by place the largest of all ranks.
void maximum_over_ranks(const Gpu& gpu, std::span<double> values) {
  if (gpu.ranks == 1) return;
  gpu.timing->meeting->maximum(values);
  if (processes().ranks > 1) maximum_of_all(values);
}

void meet(const Gpu& gpu) {
  if (gpu.ranks == 1) return;
  gpu.timing->meeting->wait();
  wait_for_all();
}

// With several ranks the others may have failed, and what runs here may wait for them for ever: so this looks.
void wait_for_stream(const Gpu& gpu) {
  if (gpu.ranks == 1) return check_cuda(cudaStreamSynchronize(gpu.stream));
  const Clock::time_point begin = Clock::now();
  while (true) {
    const cudaError_t state = cudaStreamQuery(gpu.stream);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady) check_cuda(state);
    if (gpu.timing->meeting->abandoned()) throw Abandoned();
    if (seconds_since(begin) > stuck_s) throw CudaError("a GPU has been at work for a minute; it waits for another?");
  }
}

class Graph {
 public:
  Graph(cudaStream_t stream, int calls, const std::function<void()>& work) {
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    try {
      for (int call = 0; call < calls; ++call) work();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);  // else the stream stays in the capture
      if (graph != nullptr) cudaGraphDestroy(graph);
      cudaGetLastError();
      throw;
    }
    check_cuda(cudaStreamEndCapture(stream, &graph));
    const cudaError_t error = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(error);
  }
  ~Graph() { cudaGraphExecDestroy(graph_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(cudaStream_t stream) const { check_cuda(cudaGraphLaunch(graph_, stream)); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

// Microseconds from the start to the end of what is enqueued, of all calls together, on this rank.
double sample(Gpu& gpu, bool held, bool cold_l2, const std::function<void()>& enqueue) {
  Timing& timing = *gpu.timing;
  if (cold_l2) read_all(timing.evictor, gpu.properties.multiProcessorCount, gpu.stream);
  if (cold_l2 && !held) check_cuda(cudaStreamSynchronize(gpu.stream));
  if (held) {
    // The same on all ranks: none stores the next value before all have read this one and met.
    const uint32_t next = *timing.released + 1;
    wait_until_released(timing.released, next, gpu.stream);
    check_cuda(cudaEventRecord(timing.start, gpu.stream));
    enqueue();
    check_cuda(cudaEventRecord(timing.end, gpu.stream));
    meet(gpu);
    *timing.released = next;
  } else {
    meet(gpu);
    check_cuda(cudaEventRecord(timing.start, gpu.stream));
    enqueue();
    check_cuda(cudaEventRecord(timing.end, gpu.stream));
  }
  wait_for_stream(gpu);
  float ms = 0;
  check_cuda(cudaEventElapsedTime(&ms, timing.start, timing.end));
  return double(ms) * 1e3;
}

std::vector<double> samples(Gpu& gpu, const Repeat& repeat, bool held, const std::function<void()>& enqueue) {
  const auto take = [&] { return sample(gpu, held, repeat.cold_l2, enqueue); };
  for (int i = 0; i < repeat.warm_up; ++i) take();
  // How many are taken follows from how long the first takes, cold start and host included, on the slowest rank.
  const Clock::time_point begin = Clock::now();
  std::vector<double> times{take()};
  double one_s = seconds_since(begin);
  maximum_over_ranks(gpu, {&one_s, 1});
  const int affordable = int(std::min(repeat.seconds_max / std::max(one_s, 1e-7), 1e6));
  const int count = std::clamp(affordable, std::max(1, repeat.samples_min), std::max(1, repeat.samples_max));
  while (int(times.size()) < count) times.push_back(take());
  maximum_over_ranks(gpu, times);
  for (double& time : times) time /= repeat.calls;
  return times;
}

}  // namespace

std::vector<double> time_on_gpu(Gpu& gpu, Launch launch, const Repeat& repeat, const std::function<void()>& work) {
  CHECK(gpu.timing != nullptr);
  CHECK(repeat.calls >= 1);
  work();  // loads kernels and connects ranks, which cannot be captured
  wait_for_stream(gpu);
  if (launch == Launch::graph) {
    const Graph graph(gpu.stream, repeat.calls, work);
    return samples(gpu, repeat, true, [&] { graph.launch(gpu.stream); });
  }
  return samples(gpu, repeat, repeat.held, [&] {
    for (int call = 0; call < repeat.calls; ++call) work();
  });
}

}  // namespace moesim::bench
