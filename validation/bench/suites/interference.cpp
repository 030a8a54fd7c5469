// What two kinds of work at once cost each other: each alone, and both from one start, with the end of each.
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/suites/cluster_suites.h"
#include "validation/bench/suites/communication.h"
#include "validation/bench/suites/interference_work.h"

namespace moesim::bench {
namespace {

constexpr double target_us = 6000;
constexpr int calls_max = 2000;
constexpr Repeat repeat{.warm_up = 2, .samples_min = 7, .samples_max = 15, .seconds_max = 0.15, .calls = 1};

// Work captured once, so that issuing many short kernels on one stream does not delay those on the other.
class Captured {
 public:
  Captured(const Work& work, cudaStream_t stream) {
    work.enqueue(stream);  // loads kernels and connects ranks, which cannot be captured
    check_cuda(cudaStreamSynchronize(stream));
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int call = 0; call < work.calls; ++call) work.enqueue(stream);
    check_cuda(cudaStreamEndCapture(stream, &graph));
    check_cuda(cudaGraphInstantiate(&graph_, graph, 0));
    check_cuda(cudaGraphDestroy(graph));
  }
  ~Captured() { cudaGraphExecDestroy(graph_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  void launch(cudaStream_t stream) const { check_cuda(cudaGraphLaunch(graph_, stream)); }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

// The times of one run of both: a common start and two ends.
struct Ends {
  cudaEvent_t start, first, second;
};

class EndsOfRuns {
 public:
  EndsOfRuns() = default;
  ~EndsOfRuns() {
    for (const Ends& ends : runs_)
      for (cudaEvent_t event : {ends.start, ends.first, ends.second}) cudaEventDestroy(event);
  }
  EndsOfRuns(const EndsOfRuns&) = delete;
  EndsOfRuns& operator=(const EndsOfRuns&) = delete;

  const Ends& next() {
    Ends ends{};
    for (cudaEvent_t* event : {&ends.start, &ends.first, &ends.second}) check_cuda(cudaEventCreate(event));
    return runs_.emplace_back(ends);
  }
  // Microseconds of the last `count` runs, from the start to the end of the first or the second.
  std::vector<double> last(size_t count, cudaEvent_t Ends::* end) const {
    std::vector<double> times;
    for (size_t run = runs_.size() - std::min(count, runs_.size()); run < runs_.size(); ++run) {
      float ms = 0;
      check_cuda(cudaEventElapsedTime(&ms, runs_[run].start, runs_[run].*end));
      times.push_back(double(ms) * 1e3);
    }
    return times;
  }

 private:
  std::vector<Ends> runs_;
};

enum class Order { first_then_second, second_then_first };

// How often a unit of work is repeated to last as long as the others: the same on all ranks, which get one time.
int calls_for(Gpu& gpu, const Work& work) {
  constexpr Repeat few{.warm_up = 2, .samples_min = 5, .samples_max = 9, .seconds_max = 0.05, .calls = 1};
  const double unit = median(time_on_gpu(gpu, Launch::graph, few, [&] { work.enqueue(gpu.stream); }));
  return std::clamp(int(target_us / std::max(unit, 0.1) + 0.5), 1, calls_max);
}

struct Pair {
  const char* first;
  const char* second;
};

struct Alone {
  std::vector<double> first, second;
};

nlohmann::ordered_json described(const Work& work) {
  nlohmann::ordered_json parameters = work.parameters;
  parameters["calls"] = work.calls;
  return parameters;
}

void measure_both(Bench& bench, Gpu& gpu, WorkBed& bed, const Work& first, const Work& second, const Alone& alone,
                  const Captured& first_graph, const Captured& second_graph, Order order) {
  EndsOfRuns runs;
  const std::vector<double> samples = time_on_gpu(gpu, Launch::eager, repeat, [&] {
    const Ends& ends = runs.next();
    check_cuda(cudaEventRecord(ends.start, gpu.stream));
    check_cuda(cudaStreamWaitEvent(bed.second_stream, ends.start, 0));
    if (order == Order::first_then_second) first_graph.launch(gpu.stream);
    second_graph.launch(bed.second_stream);
    if (order == Order::second_then_first) first_graph.launch(gpu.stream);
    check_cuda(cudaEventRecord(ends.first, gpu.stream));
    check_cuda(cudaEventRecord(ends.second, bed.second_stream));
    check_cuda(cudaStreamWaitEvent(gpu.stream, ends.second, 0));
  });
  check_cuda(cudaStreamSynchronize(gpu.stream));
  if (gpu.rank != 0) return;
  bench.recorder.add({{"kind", "interference"},
                      {"first", first.name},
                      {"second", second.name},
                      {"first_parameters", described(first)},
                      {"second_parameters", described(second)},
                      {"ranks", gpu.ranks},
                      {"order", order == Order::first_then_second ? "first_then_second" : "second_then_first"},
                      {"launch", "graph"},
                      {"alone_first_us", alone.first},
                      {"alone_second_us", alone.second},
                      {"both_first_us", runs.last(samples.size(), &Ends::first)},
                      {"both_second_us", runs.last(samples.size(), &Ends::second)},
                      {"samples_us", samples}});
}

void measure_pair(Bench& bench, Gpu& gpu, WorkBed& bed, const Peer& peer, const Pair& pair) {
  Work first = make_work(pair.first, Side::first, bed, gpu, peer);
  Work second = make_work(pair.second, Side::second, bed, gpu, peer);
  first.calls = calls_for(gpu, first);
  second.calls = calls_for(gpu, second);
  const Captured first_graph(first, gpu.stream);
  const Captured second_graph(second, bed.second_stream);
  Alone alone;
  alone.first = time_on_gpu(gpu, Launch::eager, repeat, [&] { first_graph.launch(gpu.stream); });
  alone.second = time_on_gpu(gpu, Launch::eager, repeat, [&] { second_graph.launch(gpu.stream); });
  for (const Order order : {Order::first_then_second, Order::second_then_first})
    measure_both(bench, gpu, bed, first, second, alone, first_graph, second_graph, order);
}

// Eager, since it is the issuing of kernels and copies that a loaded CPU may slow.
void measure_beside_cpu(Bench& bench, std::vector<WorkBed>& beds, const std::string& name) {
  const Gpu* first_gpu = bench.gpus.data();
  const int threads = std::max(1, int(std::thread::hardware_concurrency()));
  std::vector<int> calls(bench.gpus.size(), 1);
  const auto time = [&] {
    std::vector<double> samples;
    on_every_gpu(bench, [&](Gpu& gpu) {
      const size_t i = size_t(&gpu - first_gpu);
      const Work work = make_work(name, Side::first, beds[i], gpu, {});
      if (calls[i] == 1) calls[i] = std::min(calls_for(gpu, work), 500);
      std::vector<double> own = time_on_gpu(gpu, Launch::eager, repeat, [&] {
        for (int call = 0; call < calls[i]; ++call) work.enqueue(gpu.stream);
      });
      if (i == 0) samples = std::move(own);
    });
    return samples;
  };
  const std::vector<double> alone = time();
  CpuLoad load(threads);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // until the memory is there
  load.bytes_per_s();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  const double rate_alone = load.bytes_per_s();
  const std::vector<double> both = time();
  const double rate_both = load.bytes_per_s();
  if (bench.gpus.front().rank != 0) return;
  constexpr double bytes = 1e9;
  Work work = make_work(name, Side::first, beds[0], bench.gpus.front(), {});
  work.calls = calls[0];
  bench.recorder.add({{"kind", "interference"},
                      {"first", name},
                      {"second", "cpu_memory"},
                      {"first_parameters", described(work)},
                      {"second_parameters", {{"threads", threads}, {"bytes", bytes}}},
                      {"ranks", bench.gpus.front().ranks},
                      {"launch", "eager"},
                      {"alone_first_us", alone},
                      {"alone_second_us", {bytes / rate_alone * 1e6}},
                      {"both_second_us", {bytes / rate_both * 1e6}},
                      {"samples_us", both}});
}

std::vector<Pair> pairs_of(const Bench& bench, bool connected) {
  std::vector<Pair> pairs;
  for (const char* first : {"gemm", "grouped_gemm", "gemm_few_rows"}) {
    if (connected) pairs.push_back({first, "all_to_all"});
    for (const char* second : {"h2d_copy", "gemm", "memory_kernel", "d2h_copy", "d2d_copy"})
      pairs.push_back({first, second});
    if (bench.gpus.size() > 1) pairs.push_back({first, "peer_copy"});
    pairs.push_back({first, "small_kernels"});
  }
  pairs.push_back({"small_kernels", "small_kernels"});
  pairs.push_back({"memory_kernel", "memory_kernel"});
  pairs.push_back({"memory_kernel", "h2d_copy"});
  pairs.push_back({"h2d_copy", "d2h_copy"});
  if (connected) pairs.push_back({"memory_kernel", "all_to_all"});
  if (connected) pairs.push_back({"h2d_copy", "all_to_all"});
  return pairs;
}

// GPU i copies to the next one of this process.
std::vector<Peer> peers_of(const Bench& bench, std::vector<WorkBed>& beds) {
  std::vector<Peer> peers(beds.size());
  if (beds.size() < 2) return peers;
  for (size_t i = 0; i < beds.size(); ++i) {
    const size_t next = (i + 1) % beds.size();
    peers[i] = {beds[next].from_peer.data(), bench.gpus[next].device};
    check_cuda(cudaSetDevice(bench.gpus[i].device));
    int possible = 0;
    check_cuda(cudaDeviceCanAccessPeer(&possible, bench.gpus[i].device, peers[i].device));
    // Without direct access the copy goes through the host, which is then what is measured.
    if (possible == 1 && cudaDeviceEnablePeerAccess(peers[i].device, 0) != cudaSuccess) cudaGetLastError();
  }
  return peers;
}

}  // namespace

void run_interference(Bench& bench) {
  if (bench.gpus.empty()) return record_skipped(bench, "interference", "no GPU");
  const std::string why = why_not_connected(bench);
  if (!why.empty()) record_skipped(bench, "interference beside all_to_all", why);
  std::vector<WorkBed> beds(bench.gpus.size());
  const Gpu* first = bench.gpus.data();
  on_every_gpu(bench, [&](Gpu& gpu) { set_up(beds[size_t(&gpu - first)], gpu); });
  const std::vector<Peer> peers = peers_of(bench, beds);
  for (const Pair& pair : pairs_of(bench, why.empty())) {
    if (!go_on(bench)) return;
    on_every_gpu(bench, [&](Gpu& gpu) {
      const size_t i = size_t(&gpu - first);
      measure_pair(bench, gpu, beds[i], peers[i], pair);
    });
  }
  for (const char* name : {"small_kernels", "h2d_copy", "gemm", "d2h_copy"}) {
    if (!go_on(bench)) return;
    measure_beside_cpu(bench, beds, name);
  }
}

}  // namespace moesim::bench
