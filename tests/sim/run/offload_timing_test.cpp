// What offloaded experts add to a step, derived by hand. Copies take 10 us of latency, 2 us a chunk, and 50 GB/s: an
// expert of 6,291,456 B takes 125.82912 us. It computes 100 us on the GPU, which regroups no tokens.
#include <gtest/gtest.h>

#include "sim/run/run_record.h"
#include "tests/support/offload_case.h"

namespace moesim {
namespace {

constexpr double kBus = 125.82912e-6;
constexpr double kPicoseconds = 50e-12;  // what roundings may add up to

const std::vector<std::string> kAllThere = {"/offload/gpu_expert=100 us", "/cost/regroup_alone=false",
                                            "/offload/resident=1"};
const std::vector<std::string> kHalf = {"/offload/gpu_expert=100 us", "/cost/regroup_alone=false",
                                        "/offload/resident=0.5"};

std::vector<std::string> with(std::vector<std::string> settings, const std::vector<std::string>& more) {
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

// Both experts are needed and one is there. The other's copy begins when that has been computed, as it needs its place.
TEST(OffloadTiming, OfAMissingExpertIsLatencyGapBytesAndKernel) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results half = test.run(kHalf);
  EXPECT_NEAR(half.step_time_s - base, 10e-6 + 2e-6 + kBus, kPicoseconds);
  EXPECT_NEAR(half.offload->stalls.copy_s, 10e-6 + 2e-6 + kBus, kPicoseconds);
  EXPECT_EQ(half.offload->demand_bytes, kExpertBytes);
  EXPECT_EQ(half.offload->hit_rate, 0.5);
}

// Chunks of 2 MB: four, of which the first pays the latency and each the gap.
TEST(OffloadTiming, OfAnExpertInChunksHasAGapForEach) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results half = test.run(with(kHalf, {"/offload/chunk=2 MB"}));
  EXPECT_NEAR(half.step_time_s - base, 10e-6 + 4 * 2e-6 + kBus, kPicoseconds);
}

// Nothing there at first, room for both: copies one after another, the second directly behind the first. The GPU
// computes the first from 137.8 to 237.8 us and the second when it has come at 265.7 us.
TEST(OffloadTiming, OfTwoMissingExpertsPaysTheLatencyOnce) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results cold = test.run(with(kAllThere, {"/offload/warm=false"}));
  EXPECT_NEAR(cold.step_time_s - base, 10e-6 + 2 * (2e-6 + kBus) + 100e-6 - 200e-6, kPicoseconds);
  const Results half = test.run(with(kAllThere, {"/offload/warm=false", "/steps=2"}));
  EXPECT_NEAR(half.step_time_s - base, (cold.step_time_s - base) / 2, kPicoseconds);  // the second step finds both
}

// With one place the second copy begins when the first expert has been computed: 137.8 + 100, then another latency.
TEST(OffloadTiming, OfACacheOfOnePlaceIsCopiesAndKernelsInTurn) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results one = test.run(with(kHalf, {"/offload/warm=false"}));
  EXPECT_NEAR(one.step_time_s - base, 2 * (10e-6 + 2e-6 + kBus), kPicoseconds);
  EXPECT_EQ(one.offload->evictions, 1);
}

// The missing expert takes 600 us on the CPU beside 100 us on the GPU.
TEST(OffloadTiming, OfACpuExpertHidesTheGpus) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results half = test.run(with(kHalf, {"/offload/schedule=cpu_where_missing", "/offload/cpu/per_token=500 us",
                                             "/offload/cpu/expert=60 us", "/offload/cpu/first=40 us"}));
  EXPECT_NEAR(half.step_time_s - base, 600e-6 - 200e-6, kPicoseconds);
  EXPECT_NEAR(half.offload->stalls.cpu_s, 500e-6, kPicoseconds);
  EXPECT_EQ(half.offload->on_cpu, 1);
  EXPECT_EQ(half.offload->demand_bytes, 0);
}

// The CPU reads 350 GB/s and the bus 50 GB/s of a memory of 307.2 GB/s: each takes 400/307.2 times as long beside the
// other. The best plan copies one expert, 12 + 125.8 * 1.302 = 175.8 us, and computes the other in 240 us. Of these the
// CPU has done 175.8/1.302 = 135.0 us when the copy ends, and the rest at its full pace.
TEST(OffloadTiming, OfCpuAndCopiesThatShareTheMemoryIsLonger) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results both = test.run(with(kHalf, {"/offload/warm=false", "/offload/schedule=exhaustive",
                                             "/offload/cpu/per_token=240 us", "/offload/cpu/memory=350 GB/s"}));
  const double longer = 400 / 307.2;
  const double copy = 12e-6 + kBus * longer;
  EXPECT_EQ(both.offload->on_cpu, 1);
  EXPECT_NEAR(both.step_time_s - base, 240e-6 + copy - copy / longer - 200e-6, kPicoseconds);
}

// Of a layer of the run: what comes before its experts, and what after.
double before_experts(const Results& base, int layers) {
  double time = 0;
  for (const OperationResult& operation : base.breakdown)
    if (operation.operation == "attention" || operation.operation == "gate") time += operation.exposed_s;
  return time / layers;
}
double after_experts(const Results& base, int layers) {
  for (const OperationResult& operation : base.breakdown)
    if (operation.operation == "unpermute") return operation.exposed_s / layers;
  return 0;
}

// Each layer has one expert on the CPU, 500 us. Where that of the first is deferred, the first layer ends with its
// GPU's expert after 100 us; the CPU is done with both after 1,000 us, and so is the second layer. Else the layers take
// 500 us each, and what is between them is not hidden.
TEST(OffloadTiming, OfDeferredExpertsHidesWhatIsBetweenTheLayers) {
  const OffloadCase test({.layers = 2, .experts = 2, .top_k = 2, .shared = 0});
  const Results base = test.run(kAllThere);
  const std::vector<std::string> cpu = with(kHalf, {"/offload/cpu/per_token=500 us"});
  const Results waits = test.run(with(cpu, {"/offload/schedule=cpu_where_missing"}));
  const Results defers =
      test.run(with(cpu, {"/offload/schedule={\"policy\": \"deferral\", \"experts\": 2, \"weight\": \"100%\"}"}));
  EXPECT_NEAR(waits.step_time_s - base.step_time_s, 600e-6, kPicoseconds);
  EXPECT_EQ(defers.offload->deferred, 1);
  EXPECT_NEAR(waits.step_time_s - defers.step_time_s, after_experts(base, 2) + before_experts(base, 2), kPicoseconds);
}

// Experts of 20 us. The first layer's are prefetched from the start of the step, the second's behind them: the last of
// the four comes after 10 + 4 * 127.8 us, computes, and ends the second layer.
TEST(OffloadTiming, OfALatePrefetchIsWhatIsLeftOfIt) {
  const OffloadCase test({.layers = 2, .experts = 2, .top_k = 2, .shared = 0});
  const std::vector<std::string> quick = with(kAllThere, {"/offload/gpu_expert=20 us"});
  const Results base = test.run(quick);
  const Results late = test.run(with(quick, {"/offload/warm=false", "/offload/prefetch=whole_layer"}));
  const double experts_end = 10e-6 + 4 * (2e-6 + kBus) + 20e-6;
  const double base_end = 2 * before_experts(base, 2) + after_experts(base, 2) + 4 * 20e-6;
  EXPECT_NEAR(late.step_time_s - base.step_time_s, experts_end - base_end, kPicoseconds);
  EXPECT_GT(late.offload->stalls.late_s, 0);
}

// From an NVMe of 5 GB/s: chunks of 2 MB take 400 us each, and cross the bus while the next is read. So the last of
// 291,456 B is in host memory after 6,291,456 B / 5 GB/s, and crosses the bus in 10 + 2 us and 5.8 us.
TEST(OffloadTiming, OfATierBelowIsPipelinedByChunks) {
  const OffloadCase test({});
  const double base = test.run(kAllThere).step_time_s;
  const Results nvme =
      test.run(with(kHalf, {"/offload/chunk=2 MB", "/offload/host_memory=6291456 B", "/offload/host_cache=lru",
                            "/offload/tiers=[{\"name\": \"nvme\", \"rate\": \"5 GB/s\"}]"}));
  const double read = double(kExpertBytes) / 5e9;
  const double last = 10e-6 + 2e-6 + (double(kExpertBytes) - 6e6) / 50e9;
  EXPECT_NEAR(nvme.step_time_s - base, read + last - 100e-6, kPicoseconds);
  ASSERT_EQ(nvme.offload->tiers.size(), 2u);
  EXPECT_EQ(nvme.offload->tiers[1].bytes, kExpertBytes);
}

// Nothing there at first: each of two copies is a slice of the stream that copies in, and they follow each other.
TEST(OffloadTiming, ShowsCopiesInTheTimeline) {
  const OffloadCase test({});
  RunRecord record;
  run_scenario(test.load(with(kAllThere, {"/offload/warm=false"})), {.record = &record});
  std::vector<Slice> copies;
  for (const Slice& slice : record.timeline.slices)
    if (slice.stream == stream_of(GpuId{0}, Lane::copy_in)) copies.push_back(slice);
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_NEAR((copies[0].end - copies[0].start).seconds(), 10e-6 + 2e-6 + kBus, kPicoseconds);
  EXPECT_NEAR((copies[1].end - copies[1].start).seconds(), 2e-6 + kBus, kPicoseconds);
  EXPECT_EQ(copies[0].end, copies[1].start);
  EXPECT_EQ(unpack_label(copies[0].label).operation, Operation::copy);
}

}  // namespace
}  // namespace moesim
