// Counting choices by rank and expert: from memory, and from a compressed HDF5 file through the child process that
// reads it. Both processes' CPU time is counted, as on one core. Beside them what zlib alone needs to inflate the same
// bytes.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "traces/hdf5_file.h"
#include "traces/hdf5_handle.h"
#include "traces/synthetic.h"
#include "traces/trace_reader.h"

namespace moesim {
namespace {

// 16 layers, top-8 of 64 with the skew of a trained model, held by eight ranks: 2^17 tokens are 16.8 M choices.
RoutingTrace example() {
  RoutingTrace trace = synthetic_trace({}, {.layers = 16, .experts = 64, .top_k = 8}, 1, 0, 1 << 17);
  for (int64_t token = 0; token < trace.tokens; ++token) trace.rank.push_back(int32_t(token / 512 % 8));
  return trace;
}

double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) { return double(time.tv_sec) + double(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
double cpu_of_all() { return cpu_seconds(RUSAGE_SELF) + cpu_seconds(RUSAGE_CHILDREN); }

const std::string& example_file() {
  static const std::string path = [] {
    const std::string made = "/tmp/moesim-trace-bench-" + std::to_string(getpid()) + ".h5";
    write_hdf5_trace(example(), made);
    return made;
  }();
  return path;
}

void per_choice(benchmark::State& state) {
  state.counters["choices/s"] =
      benchmark::Counter(double(state.iterations()) * double(int64_t{1} << 24), benchmark::Counter::kIsRate);
}

void count_from_memory(benchmark::State& state) {
  const RoutingTrace trace = example();
  for (auto _ : state) {
    RankLoad load;
    add_load(trace, load);
    benchmark::DoNotOptimize(load.counts.data());
  }
  per_choice(state);
}
BENCHMARK(count_from_memory)->Unit(benchmark::kMillisecond);

void count_from_file(benchmark::State& state) {
  const std::string path = example_file();
  for (auto _ : state) {
    const double begin = cpu_of_all();
    {
      TraceReader reader(path);
      RankLoad load;
      TraceParts parts = only_column("rank");
      parts.ids = true;
      for_each_block(reader, parts, [&](const RoutingTrace& block, int64_t) { add_load(block, load); });
      benchmark::DoNotOptimize(load.counts.data());
    }
    state.SetIterationTime(cpu_of_all() - begin);
  }
  per_choice(state);
}
BENCHMARK(count_from_file)->Unit(benchmark::kMillisecond)->UseManualTime();

// The floor: HDF5 alone, in this process, inflates the same chunks and nothing looks at them.
void inflate_only(benchmark::State& state) {
  const std::string path = example_file();
  for (auto _ : state) {
    const Hdf5Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    const Hdf5Handle ids(H5Dopen2(file.id(), "ids", H5P_DEFAULT), H5Dclose);
    std::vector<uint8_t> values(size_t{1} << 24);
    if (H5Dread(ids.id(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
      state.SkipWithError("cannot read");
    benchmark::DoNotOptimize(values.data());
  }
  per_choice(state);
}
BENCHMARK(inflate_only)->Unit(benchmark::kMillisecond);

void write_file(benchmark::State& state) {
  const RoutingTrace trace = example();
  const std::string path = example_file() + ".written";
  for (auto _ : state) write_hdf5_trace(trace, path);
  std::remove(path.c_str());
  per_choice(state);
}
BENCHMARK(write_file)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moesim
