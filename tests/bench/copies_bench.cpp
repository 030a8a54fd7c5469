// What a chunk of a copy engine costs, beside what its flow costs in any case: the same bytes are sent one after
// another through the executor alone, which is the first number. Then an engine sends them while so many copies wait.
#include <benchmark/benchmark.h>

#include "sim/work/copy_engine.h"
#include "tests/support/two_links.h"

namespace moesim {
namespace {

constexpr int64_t kChunks = 100'000;  // of one timed batch
constexpr Bytes kChunk{8'000'000};

struct Host {
  explicit Host(Fidelity fidelity) : executor(sim, {{fidelity}}, {{25_GBps, 1_us}, {25_GBps, 1_us}}, paths, 0, {}) {}

  Simulator sim;
  TwoLinks paths;
  Executor executor;
};

void count_chunks(benchmark::State& state) {
  state.counters["per_chunk"] = benchmark::Counter(double(state.iterations()) * double(kChunks),
                                                   benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// Sends the next chunk when the last has arrived.
struct Plain {
  explicit Plain(Host& on) : host(on), sender(on.executor.add_sender({&Plain::arrived, this})) {}
  static void arrived(void* self, uint64_t) { static_cast<Plain*>(self)->send(); }
  void send() {
    if (left-- > 0) host.executor.send({EndpointId{0}, EndpointId{1}, kChunk}, sender, 0);
  }

  Host& host;
  uint32_t sender;
  int64_t left = 0;
};

void plain(benchmark::State& state, Fidelity fidelity) {
  Host host(fidelity);
  Plain sender(host);
  for (auto _ : state) {
    sender.left = kChunks;
    sender.send();
    host.sim.run();
  }
  count_chunks(state);
}

// Each copy that is done is followed by another, so that as many wait all the time.
struct Client {
  Client(Host& host, const CopyOptions& options, int64_t chunks)
      : engine(host.sim, host.executor, options, {this, &Client::admit, &Client::arrived}), chunks_of_a_copy(chunks) {}
  static bool admit(void*, uint64_t) { return true; }
  static void arrived(void* self, uint64_t, Bytes so_far) {
    auto& client = *static_cast<Client*>(self);
    if (so_far == client.chunks_of_a_copy * kChunk) client.submit();
  }
  void submit() {
    if (left <= 0) return;
    left -= chunks_of_a_copy;
    const Bytes bytes = chunks_of_a_copy * kChunk;
    engine.submit({EndpointId{0}, EndpointId{1}, bytes, urgency++ % 7, bytes, 0});
  }

  CopyEngine engine;
  int64_t chunks_of_a_copy;
  int64_t urgency = 0;
  int64_t left = 0;
};

void copies(benchmark::State& state, Fidelity fidelity, const CopyOptions& options, int64_t waiting) {
  Host host(fidelity);
  Client client(host, options, 4);
  for (auto _ : state) {
    client.left = kChunks;
    for (int64_t copy = 0; copy < waiting; ++copy) client.submit();
    host.sim.run();
  }
  count_chunks(state);
}

const CopyOptions kNoWaits{kChunk, {}, {}};
const CopyOptions kGap{kChunk, 10_us, 1_us};  // an event more for each chunk
BENCHMARK_CAPTURE(plain, ideal, Fidelity::ideal)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copies, ideal / 1, Fidelity::ideal, kNoWaits, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(plain, flow, Fidelity::flow)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copies, flow / 1, Fidelity::flow, kNoWaits, 1)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copies, flow / 10, Fidelity::flow, kNoWaits, 10)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copies, flow / 50, Fidelity::flow, kNoWaits, 50)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(copies, flow / 50 / gap, Fidelity::flow, kGap, 50)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
