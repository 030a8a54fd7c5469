// Copies: between host memory (pinned and pageable), device and peers; alone, both ways at once, and on all GPUs.
#include <array>
#include <cstring>
#include <string>

#include "validation/bench/suites/single_gpu.h"

namespace moesim::bench {
namespace {

// 1 KB to 1 GB; those after the first eleven lie in between, for what a fit must not see.
constexpr std::array<int64_t, 18> sizes{
    int64_t{1} << 20, int64_t{1} << 30, int64_t{1} << 10, int64_t{1} << 26, int64_t{1} << 16, int64_t{1} << 28,
    int64_t{1} << 22, int64_t{1} << 24, int64_t{1} << 18, int64_t{1} << 14, int64_t{1} << 12, int64_t{3} << 26,
    int64_t{3} << 20, int64_t{3} << 23, int64_t{3} << 17, int64_t{3} << 14, int64_t{3} << 28, int64_t{3} << 11};
constexpr int64_t host_bytes_max = int64_t{1} << 30;

// Host memory, pinned or as malloc gives it, all of it touched.
class HostMemory {
 public:
  HostMemory() = default;
  HostMemory(size_t bytes, bool is_pinned) : is_pinned_(is_pinned) {
    if (is_pinned_)
      check_cuda(cudaMallocHost(&memory_, bytes));
    else
      memory_ = ::operator new(bytes);
    std::memset(memory_, 1, bytes);
  }
  ~HostMemory() {
    if (is_pinned_)
      cudaFreeHost(memory_);
    else
      ::operator delete(memory_);
  }
  HostMemory(HostMemory&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), is_pinned_(other.is_pinned_) {}
  HostMemory& operator=(HostMemory&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(is_pinned_, other.is_pinned_);
    return *this;
  }
  void* get() const { return memory_; }

 private:
  void* memory_ = nullptr;
  bool is_pinned_ = false;
};

// What one GPU copies from and to; the second stream is for copies the other way.
struct Ends {
  DeviceArray<uint8_t> from, to, from_peer;
  HostMemory pinned, pinned_back, pageable;
  cudaStream_t second = nullptr;
  cudaEvent_t begun = nullptr;
  cudaEvent_t done = nullptr;

  Ends() = default;
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  ~Ends() {
    if (begun != nullptr) cudaEventDestroy(begun);
    if (done != nullptr) cudaEventDestroy(done);
    if (second != nullptr) cudaStreamDestroy(second);
  }
};

void set_up(Ends& ends, const Gpu& gpu, size_t bytes) {
  for (DeviceArray<uint8_t>* each : {&ends.from, &ends.to, &ends.from_peer}) {
    *each = DeviceArray<uint8_t>(bytes);
    check_cuda(cudaMemsetAsync(each->data(), 1, bytes, gpu.stream));
  }
  ends.pinned = HostMemory(bytes, true);
  ends.pinned_back = HostMemory(bytes, true);
  if (gpu.rank == 0) ends.pageable = HostMemory(bytes, false);
  check_cuda(cudaStreamCreateWithFlags(&ends.second, cudaStreamNonBlocking));
  check_cuda(cudaEventCreateWithFlags(&ends.begun, cudaEventDisableTiming));
  check_cuda(cudaEventCreateWithFlags(&ends.done, cudaEventDisableTiming));
  check_cuda(cudaStreamSynchronize(gpu.stream));
}

using Copy = std::function<void(int64_t bytes, cudaStream_t)>;

Copy copy_between(void* to, const void* from, cudaMemcpyKind kind) {
  return
      [=](int64_t bytes, cudaStream_t stream) { check_cuda(cudaMemcpyAsync(to, from, size_t(bytes), kind, stream)); };
}

// Both at once; the end is when both are done.
Copy together(Ends& ends, Copy first, Copy second) {
  return [&ends, first = std::move(first), second = std::move(second)](int64_t bytes, cudaStream_t stream) {
    check_cuda(cudaEventRecord(ends.begun, stream));
    check_cuda(cudaStreamWaitEvent(ends.second, ends.begun, 0));
    first(bytes, stream);
    second(bytes, ends.second);
    check_cuda(cudaEventRecord(ends.done, ends.second));
    check_cuda(cudaStreamWaitEvent(stream, ends.done, 0));
  };
}

struct Case {
  const char* from;
  const char* to;
  const char* beside = "";  // what the same GPU copies at the same time
  int64_t bytes = 0;
  Launch launch = Launch::graph;
};

void record(Bench& bench, const Case& c, int at_once, int calls, std::vector<double> samples) {
  nlohmann::ordered_json record{
      {"kind", "copy"}, {"from", c.from}, {"to", c.to}, {"bytes", c.bytes}, {"at_once", at_once}};
  if (*c.beside != '\0') record["beside"] = c.beside;
  record["launch"] = launch_name(c.launch);
  record["calls"] = calls;
  record["samples_us"] = std::move(samples);
  bench.recorder.add(std::move(record));
}

std::vector<double> time_copy(Gpu& gpu, const Case& c, int calls, const Copy& copy) {
  const Repeat repeat{.warm_up = 1, .samples_min = 5, .samples_max = 15, .seconds_max = 0.06, .calls = calls};
  return time_on_gpu(gpu, c.launch, repeat, [&] {
    if (copy) copy(c.bytes, gpu.stream);
  });
}

int calls_of(const Case& c) { return c.launch == Launch::graph && c.bytes <= (1 << 20) ? 8 : 1; }

Copy copy_of(const Case& c, Ends& ends) {
  const std::string from = c.from;
  const std::string to = c.to;
  Copy out = copy_between(ends.pinned_back.get(), ends.from.data(), cudaMemcpyDeviceToHost);
  if (from == "host_pinned") {
    Copy in = copy_between(ends.to.data(), ends.pinned.get(), cudaMemcpyHostToDevice);
    return *c.beside == '\0' ? in : together(ends, in, out);
  }
  if (from == "host_pageable") return copy_between(ends.to.data(), ends.pageable.get(), cudaMemcpyHostToDevice);
  if (to == "host_pinned") return out;
  if (to == "host_pageable") return copy_between(ends.pageable.get(), ends.from.data(), cudaMemcpyDeviceToHost);
  return copy_between(ends.to.data(), ends.from.data(), cudaMemcpyDeviceToDevice);
}

constexpr std::array<Case, 10> on_one_gpu{{{"host_pinned", "device"},
                                           {"device", "host_pinned"},
                                           {"device", "device"},
                                           {"host_pinned", "device", "device to host_pinned"},
                                           {"host_pinned", "device", "", 0, Launch::eager},
                                           {"device", "host_pinned", "", 0, Launch::eager},
                                           {"device", "device", "", 0, Launch::eager},
                                           {"host_pageable", "device", "", 0, Launch::eager},
                                           {"device", "host_pageable", "", 0, Launch::eager},
                                           {"host_pinned", "device", "device to host_pinned", 0, Launch::eager}}};

void measure_alone(Bench& bench, Ends& ends, int64_t bytes) {
  on_first_gpu(bench, [&](Gpu& gpu) {
    for (Case c : on_one_gpu) {
      c.bytes = bytes;
      const int calls = calls_of(c);
      record(bench, c, 1, calls, time_copy(gpu, c, calls, copy_of(c, ends)));
    }
  });
}

// All GPUs of this process copy the same way over their own links.
void measure_on_all(Bench& bench, std::vector<Ends>& ends, int64_t bytes) {
  for (Case c : {on_one_gpu[0], on_one_gpu[1], on_one_gpu[3]}) {
    c.bytes = bytes;
    const int calls = calls_of(c);
    on_every_gpu(bench, [&](Gpu& gpu) {
      std::vector<double> samples = time_copy(gpu, c, calls, copy_of(c, ends[size_t(gpu.rank)]));
      if (gpu.rank == 0) record(bench, c, gpu.ranks, calls, std::move(samples));
    });
  }
}

// From the first GPU to the second, both ways between them, and from each to its next.
void measure_peers(Bench& bench, std::vector<Ends>& ends, int64_t bytes) {
  const int gpus = int(bench.gpus.size());
  std::vector<int> senders_of{1, 2};
  if (gpus > 2) senders_of.push_back(gpus);
  for (const int senders : senders_of)
    for (const Launch launch : {Launch::graph, Launch::eager}) {
      const Case c{"device", "peer", "", bytes, launch};
      const int calls = calls_of(c);
      on_every_gpu(bench, [&](Gpu& gpu) {
        const size_t own = size_t(gpu.rank);
        const size_t next = senders == 2 ? 1 - own % 2 : (own + 1) % ends.size();
        Copy copy;
        if (gpu.rank < senders)
          copy = copy_between(ends[next].from_peer.data(), ends[own].from.data(), cudaMemcpyDefault);
        std::vector<double> samples = time_copy(gpu, c, calls, copy);
        if (gpu.rank == 0) record(bench, c, senders, calls, std::move(samples));
      });
    }
}

// Each GPU may write to every other one, where the machine lets it; else copies go through the host.
void enable_peers(const Bench& bench) {
  for (const Gpu& gpu : bench.gpus) {
    check_cuda(cudaSetDevice(gpu.device));
    for (const Gpu& peer : bench.gpus) {
      int possible = 0;
      if (peer.device != gpu.device) check_cuda(cudaDeviceCanAccessPeer(&possible, gpu.device, peer.device));
      if (possible == 1 && cudaDeviceEnablePeerAccess(peer.device, 0) != cudaSuccess) cudaGetLastError();
    }
  }
}

}  // namespace

void run_copies(Bench& bench) {
  const bool one_process = bench.gpus.size() == size_t(bench.gpus.front().ranks);
  std::vector<Ends> ends(bench.gpus.size());
  const Gpu* const first = bench.gpus.data();
  on_every_gpu(bench, [&](Gpu& gpu) { set_up(ends[size_t(&gpu - first)], gpu, size_t(host_bytes_max)); });
  if (one_process && ends.size() > 1) enable_peers(bench);
  for (const int64_t bytes : sizes) {
    if (!has_time(bench)) return;
    measure_alone(bench, ends.front(), bytes);
    if (!one_process || ends.size() < 2) continue;  // over several processes this is what collectives measure
    measure_on_all(bench, ends, bytes);
    measure_peers(bench, ends, bytes);
  }
}

}  // namespace moesim::bench
