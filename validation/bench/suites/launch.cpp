// What it costs to start things: kernels, nodes of a graph, events, hops between streams; and the host's share of it.
#include <array>
#include <chrono>
#include <string>

#include "validation/bench/suites/single_gpu.h"
#include "validation/bench/timing.h"

namespace moesim::bench {
namespace {

constexpr Repeat repeat{.warm_up = 3, .samples_min = 20, .samples_max = 50, .seconds_max = 0.05};

struct Case {
  std::string what;
  Launch launch;
  int calls;
  bool held;
  std::function<void()> work;
};

void measure(Bench& bench, Gpu& gpu, const Case& c) {
  Repeat of_case = repeat;
  of_case.calls = c.calls;
  of_case.held = c.held;
  const std::vector<double> samples = time_on_gpu(gpu, c.launch, of_case, c.work);
  bench.recorder.add({{"kind", "launch"},
                      {"what", c.what},
                      {"launch", launch_name(c.launch)},
                      {"calls", c.calls},
                      {"held", c.held || c.launch == Launch::graph},
                      {"samples_us", samples}});
}

// A stream beside the GPU's own, and what is needed to hop there and back.
struct Beside {
  Beside() {
    check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (cudaEvent_t* event : {&there, &back, &timed}) check_cuda(cudaEventCreate(event));
  }
  ~Beside() {
    for (cudaEvent_t event : {there, back, timed}) cudaEventDestroy(event);
    cudaStreamDestroy(stream);
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  // Two hops, with a kernel on each side.
  void hop(cudaStream_t from) const {
    empty_kernel(from);
    check_cuda(cudaEventRecord(there, from));
    check_cuda(cudaStreamWaitEvent(stream, there, 0));
    empty_kernel(stream);
    check_cuda(cudaEventRecord(back, stream));
    check_cuda(cudaStreamWaitEvent(from, back, 0));
  }

  cudaStream_t stream = nullptr;
  cudaEvent_t there = nullptr;
  cudaEvent_t back = nullptr;
  cudaEvent_t timed = nullptr;
};

std::vector<Case> device_cases(Gpu& gpu, const Beside& beside, DeviceArray<uint8_t>& memory) {
  const cudaStream_t stream = gpu.stream;
  const auto kernel = [stream] { empty_kernel(stream); };
  const auto hop = [stream, &beside] { beside.hop(stream); };
  std::vector<Case> cases;
  for (const int calls : {1, 10, 100, 1000}) cases.push_back({"empty_kernel", Launch::eager, calls, false, kernel});
  // The GPU alone: the next kernel is always there.
  for (const int calls : {10, 100}) cases.push_back({"empty_kernel", Launch::eager, calls, true, kernel});
  for (const int calls : {1, 10, 100, 1000}) cases.push_back({"graph_node", Launch::graph, calls, true, kernel});
  cases.push_back({"event_pair", Launch::eager, 1, true, [] {}});
  for (const int calls : {1, 10, 100}) {
    cases.push_back({"event_record", Launch::eager, calls, true,
                     [stream, &beside] { check_cuda(cudaEventRecord(beside.timed, stream)); }});
    // A call is two hops and two kernels.
    cases.push_back({"stream_hop", Launch::eager, calls, false, hop});
    // More than some hundred commands do not fit into what the driver queues for a GPU that is held.
    if (calls <= 10) cases.push_back({"stream_hop", Launch::eager, calls, true, hop});
    cases.push_back({"stream_hop", Launch::graph, calls, true, hop});
  }
  for (const Launch launch : {Launch::eager, Launch::graph})
    for (const int calls : {1, 10})
      cases.push_back({"memset", launch, calls, false,
                       [stream, &memory] { check_cuda(cudaMemsetAsync(memory.data(), 0, 1024, stream)); }});
  return cases;
}

// Microseconds that the host spends in one call of `enqueue`, each sample the mean of `calls`; the GPU may lag behind.
std::vector<double> host_times(const Gpu& gpu, int calls, const std::function<void()>& enqueue) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> samples;
  for (int sample = 0; sample < 23; ++sample) {
    check_cuda(cudaStreamSynchronize(gpu.stream));
    const Clock::time_point begin = Clock::now();
    for (int call = 0; call < calls; ++call) enqueue();
    const double us = std::chrono::duration<double, std::micro>(Clock::now() - begin).count() / calls;
    if (sample >= 3) samples.push_back(us);
  }
  check_cuda(cudaStreamSynchronize(gpu.stream));
  return samples;
}

// A graph of so many empty kernels, one after another.
class EmptyGraph {
 public:
  EmptyGraph(cudaStream_t stream, int nodes) {
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int node = 0; node < nodes; ++node) empty_kernel(stream);
    check_cuda(cudaStreamEndCapture(stream, &graph));
    check_cuda(cudaGraphInstantiate(&graph_, graph, 0));
    check_cuda(cudaGraphDestroy(graph));
  }
  ~EmptyGraph() { cudaGraphExecDestroy(graph_); }
  EmptyGraph(const EmptyGraph&) = delete;
  EmptyGraph& operator=(const EmptyGraph&) = delete;
  cudaGraphExec_t get() const { return graph_; }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

void measure_host(Bench& bench, Gpu& gpu, const Beside& beside, DeviceArray<uint8_t>& memory) {
  const auto record = [&](const char* what, int calls, const std::function<void()>& enqueue, int nodes = 0) {
    nlohmann::ordered_json values{{"kind", "launch"}, {"what", what}, {"launch", "eager"}, {"calls", calls}};
    if (nodes > 0) values["nodes"] = nodes;
    values["samples_us"] = host_times(gpu, calls, enqueue);
    bench.recorder.add(std::move(values));
  };
  record("host_kernel", 100, [&] { empty_kernel(gpu.stream); });
  record("host_event_record", 100, [&] { check_cuda(cudaEventRecord(beside.timed, gpu.stream)); });
  record("host_memset", 100, [&] { check_cuda(cudaMemsetAsync(memory.data(), 0, 1024, gpu.stream)); });
  record("host_synchronize", 20, [&] {
    empty_kernel(gpu.stream);
    check_cuda(cudaStreamSynchronize(gpu.stream));
  });
  for (const int nodes : {1, 10, 100, 1000}) {
    const EmptyGraph graph(gpu.stream, nodes);
    record("host_graph", 10, [&] { check_cuda(cudaGraphLaunch(graph.get(), gpu.stream)); }, nodes);
  }
}

}  // namespace

void run_launch(Bench& bench) {
  on_first_gpu(bench, [&](Gpu& gpu) {
    const Beside beside;
    DeviceArray<uint8_t> memory(1024);
    for (const Case& c : device_cases(gpu, beside, memory))
      if (has_time(bench)) measure(bench, gpu, c);
    if (has_time(bench)) measure_host(bench, gpu, beside, memory);
  });
}

}  // namespace moesim::bench
