// The CPU: memory bandwidth by threads, experts by tokens, threads and types of weights, rows gathered and scattered;
// and the same beside copies to the GPU. Runs without a GPU too.
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "validation/bench/bench.h"
#include "validation/bench/cpu/expert.h"
#include "validation/bench/cpu/memory.h"
#include "validation/bench/machine.h"

namespace moesim::bench {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Microseconds of each call, the first of which does not count.
std::vector<double> time_on_cpu(const std::function<void()>& work) {
  constexpr int samples_min = 5;
  constexpr int samples_max = 15;
  constexpr double seconds_max = 0.06;
  std::vector<double> samples;
  work();
  const Clock::time_point begin = Clock::now();
  while (int(samples.size()) < samples_min ||
         (int(samples.size()) < samples_max && seconds_since(begin) < seconds_max)) {
    const Clock::time_point start = Clock::now();
    work();
    samples.push_back(seconds_since(start) * 1e6);
  }
  return samples;
}

// Copies pinned memory to the first GPU, 64 MB at a time, until it is destroyed.
class CopyBeside {
 public:
  explicit CopyBeside(const Gpu& gpu) : device_(gpu.device) {
    check_cuda(cudaSetDevice(device_));
    check_cuda(cudaMallocHost(&host_, bytes));
    std::memset(host_, 1, bytes);
    to_ = DeviceArray<uint8_t>(bytes);
    thread_ = std::jthread([this](const std::stop_token& stop) { copy(stop); });
  }
  ~CopyBeside() {
    thread_.request_stop();
    thread_.join();
    cudaFreeHost(host_);
  }
  CopyBeside(const CopyBeside&) = delete;
  CopyBeside& operator=(const CopyBeside&) = delete;

  // Microseconds of a copy, on average since the last call; 0 where none has ended since.
  double copy_us() {
    const int64_t copies = copies_.exchange(0);
    const double seconds = seconds_since(since_);
    since_ = Clock::now();
    return copies == 0 ? 0 : seconds / double(copies) * 1e6;
  }

  static constexpr size_t bytes = size_t{64} << 20;

 private:
  void copy(const std::stop_token& stop) {
    cudaSetDevice(device_);
    cudaStream_t stream = nullptr;
    if (cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) return;
    // Asleep while it waits: the copies are to take memory's bandwidth, not a core.
    cudaEvent_t done = nullptr;
    cudaEventCreateWithFlags(&done, cudaEventBlockingSync | cudaEventDisableTiming);
    while (!stop.stop_requested()) {
      constexpr int at_once = 4;
      for (int i = 0; i < at_once; ++i)
        if (cudaMemcpyAsync(to_.data(), host_, bytes, cudaMemcpyHostToDevice, stream) != cudaSuccess) return;
      cudaEventRecord(done, stream);
      cudaEventSynchronize(done);
      copies_ += at_once;
    }
    cudaEventDestroy(done);
    cudaStreamDestroy(stream);
  }

  int device_;
  void* host_ = nullptr;
  DeviceArray<uint8_t> to_;
  std::atomic<int64_t> copies_{0};
  Clock::time_point since_ = Clock::now();
  std::jthread thread_;
};

// Where measurements go, and what runs beside them.
struct Measuring {
  Bench& bench;
  std::optional<CopyBeside> beside;

  bool is_over() const { return !has_time(bench); }

  void measure(nlohmann::ordered_json record, const std::function<void()>& work) {
    if (beside) beside->copy_us();
    std::vector<double> samples = time_on_cpu(work);
    if (beside) {
      record["beside"] = "h2d_copy";
      record["copy_bytes"] = CopyBeside::bytes;
      record["copy_us"] = beside->copy_us();
    }
    record["samples_us"] = std::move(samples);
    bench.recorder.add(std::move(record));
  }
};

std::vector<int> thread_counts() {
  const int all = usable_threads();
  std::vector<int> counts;
  for (const int threads : {1, 2, 4, 8, 16})
    if (threads < all) counts.push_back(threads);
  counts.push_back(all);
  return counts;
}

// --- memory --------------------------------------------------------------------------------------------------------

void measure_memory(Measuring& on, int threads) {
  constexpr int64_t bytes = int64_t{3} << 29;  // beyond any cache
  Team team(threads);
  CpuArrays arrays(bytes, team);
  double sum = 0;
  const auto record = [&](const char* op) {
    return nlohmann::ordered_json{{"kind", "cpu_memory"}, {"op", op}, {"threads", threads}, {"bytes", arrays.bytes()}};
  };
  on.measure(record("read"), [&] { sum += arrays.read(team); });
  if (sum < 0) return;  // the sum is used
  on.measure(record("triad"), [&] { arrays.triad(team); });
}

void measure_rows(Measuring& on, int threads) {
  Team team(threads);
  for (const int64_t width : {2048, 4096, 7168})
    for (const int64_t rows : {64, 1024, 8192}) {
      if (on.is_over()) return;
      CpuRows table(rows, width, 65536, team);
      const auto record = [&](const char* op) {
        return nlohmann::ordered_json{
            {"kind", "cpu_gather"}, {"op", op}, {"rows", rows}, {"width", width}, {"threads", threads}};
      };
      on.measure(record("gather"), [&] { table.gather(team); });
      on.measure(record("scatter"), [&] { table.scatter(team); });
    }
}

// --- experts -------------------------------------------------------------------------------------------------------

struct Shape {
  int d, f;
};
// OLMoE, Mixtral, DeepSeek-V2-Lite, DeepSeek-V3, Qwen3-30B-A3B.
constexpr std::array<Shape, 5> shapes{{{2048, 1024}, {4096, 14336}, {2048, 1408}, {7168, 2048}, {2048, 768}}};

// Many experts of one shape, so that the next one is in no cache. They are large, and so made once a shape and type.
class Experts {
 public:
  Experts(WeightType type, const Shape& shape) : type_(type), shape_(shape) {
    constexpr int64_t bytes = int64_t{3} << 28;
    Team team(usable_threads());
    weights_.push_back(make_expert(type, shape.d, shape.f, 1, team));
    const int64_t wanted = std::clamp<int64_t>(bytes / weights_[0].bytes(), 2, 100);
    for (int64_t i = 1; i < wanted; ++i) weights_.push_back(make_expert(type, shape.d, shape.f, uint64_t(i) + 1, team));
  }

  void measure(Measuring& on, int tokens, int threads, Instructions instructions, bool is_cold) {
    Team team(threads);
    CpuExpert expert(shape_.d, shape_.f, tokens, type_, instructions);
    const std::vector<float> x(size_t(tokens) * size_t(shape_.d), 0.5F);
    on.measure({{"kind", "cpu_expert"},
                {"d", shape_.d},
                {"f", shape_.f},
                {"tokens", tokens},
                {"threads", threads},
                {"weights", name_of(type_)},
                {"instructions", name_of(instructions)},
                {"in_cache", !is_cold}},
               [&] { expert.run(team, weights_[is_cold ? next_++ % weights_.size() : 0], x); });
  }

  // Rough: to leave out what would take too long.
  double seconds(int tokens, int threads, Instructions instructions) const {
    const double flops = 6.0 * tokens * shape_.d * shape_.f;
    const double rate = instructions == Instructions::plain ? 2e9 : instructions == Instructions::avx2 ? 20e9 : 80e9;
    return std::max(flops / (rate * threads), double(weights_[0].bytes()) / (12e9 * std::min(threads, 12)));
  }

 private:
  WeightType type_;
  Shape shape_;
  std::vector<CpuExpertWeights> weights_;
  size_t next_ = 0;
};

// In this order, since time may run out: beside copies, what matters most, and the rest.
enum class Pass { beside, first, rest };

struct Case {
  int tokens, threads;
  Instructions instructions;
  bool is_cold;
};

Pass pass_of(const Case& c, const std::vector<Instructions>& known) {
  const bool is_usual = c.is_cold && c.instructions == known.back() && c.threads >= std::min(8, usable_threads());
  return is_usual && c.tokens <= 64 ? Pass::first : Pass::rest;
}

// The best instructions always; those before them, to compare, on some.
std::vector<Case> cases_of(WeightType type, Pass pass) {
  std::vector<Case> cases;
  const std::vector<Instructions> known = instructions_for(type);
  for (const int threads : thread_counts())
    for (const int tokens : {1, 16, 4, 64, 256}) {
      cases.push_back({tokens, threads, known.back(), true});
      if (tokens == 4) cases.push_back({tokens, threads, known.back(), false});
      if (known.size() > 1 && (tokens == 1 || tokens == 16))
        cases.push_back({tokens, threads, known[known.size() - 2], true});
    }
  const auto is_wanted = [&](const Case& c) {
    if (pass != Pass::beside) return pass_of(c, known) == pass;
    return pass_of(c, known) == Pass::first && (c.tokens == 1 || c.tokens == 16);
  };
  std::erase_if(cases, [&](const Case& c) { return !is_wanted(c); });
  return cases;
}

void measure_experts(Measuring& on, Pass pass) {
  constexpr double seconds_max = 0.25;
  for (const Shape& shape : shapes) {
    if (pass == Pass::beside && shape.f != 14336 && shape.f != 1408) continue;
    for (const WeightType type : {WeightType::bfloat16, WeightType::int8, WeightType::int4}) {
      if (on.is_over()) return;
      Experts experts(type, shape);
      for (const Case& c : cases_of(type, pass)) {
        if (on.is_over()) return;
        if (experts.seconds(c.tokens, c.threads, c.instructions) > seconds_max) continue;
        experts.measure(on, c.tokens, c.threads, c.instructions, c.is_cold);
      }
    }
  }
}

void check(Bench& bench) {
  for (const CpuCheck& c : check_experts(bench.options.seed, std::min(usable_threads(), 4)))
    bench.recorder.add(
        {{"kind", "check"}, {"kernel", c.kernel}, {"shape", c.shape}, {"error", c.error}, {"bound", c.bound}});
}

}  // namespace

void run_cpu(Bench& bench) {
  if (!bench.gpus.empty() && bench.gpus.front().rank != 0) return;
  check(bench);
  Measuring on{bench, {}};
  for (const int threads : thread_counts())
    if (!on.is_over()) measure_memory(on, threads);
  if (!bench.gpus.empty()) {
    on.beside.emplace(bench.gpus.front());
    for (const int threads : thread_counts())
      if (!on.is_over()) measure_memory(on, threads);
    measure_experts(on, Pass::beside);
    on.beside.reset();
  }
  measure_experts(on, Pass::first);
  for (const int threads : thread_counts())
    if (!on.is_over()) measure_rows(on, threads);
  measure_experts(on, Pass::rest);
}

}  // namespace moesim::bench
