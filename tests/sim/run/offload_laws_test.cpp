// What holds of every run with offloaded experts, whatever its policies, sizes and machines.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "sim/config/error.h"
#include "sim/config/json_text.h"
#include "tests/support/offload_case.h"
#include "tests/support/random_network.h"

namespace moesim {
namespace {

template <class Kind>
std::string drawn(Rng& rng) {
  const auto& entries = Registry<Kind>::instance().entries();
  return entries[size_t(rng.below(entries.size()))].name;
}

bool often(Rng& rng) { return rng.below(2) == 0; }

struct Drawn {
  OffloadModel model;
  std::vector<std::string> settings;
  int64_t gpus = 1;
  bool one_server = true;
};

void draw_machine(Rng& rng, Drawn& d) {
  const int64_t nodes = rng.between(1, 2);
  const int64_t gpus = int64_t{1} << rng.between(0, nodes == 1 ? 2 : 1);
  d.gpus = nodes * gpus;
  d.one_server = nodes == 1;
  d.settings.push_back(fmt::format("/cluster/nodes={}", nodes));
  d.settings.push_back(fmt::format("/cluster/node/gpus={}", gpus));
  d.settings.push_back(fmt::format("/cluster/node/nics={}", gpus));
  d.settings.push_back(fmt::format("/cluster/node/sockets={}", rng.between(1, 2)));
  d.settings.push_back(fmt::format("/parallelism/ep={}", often(rng) ? d.gpus : 1));
}

void draw_batch(Rng& rng, Drawn& d) {
  const std::string decode = fmt::format(R"({{"count": {}, "new_tokens": 1, "context": 20}})", rng.between(1, 4));
  const std::string prefill = fmt::format(R"({{"new_tokens": {}, "context": 0}})", rng.between(2, 30));
  const uint64_t kind = rng.below(3);
  d.settings.push_back("/batch=[" + (kind == 0 ? decode : kind == 1 ? prefill : decode + ", " + prefill) + "]");
  d.settings.push_back(fmt::format("/steps={}", rng.between(1, 4)));
  d.settings.push_back(fmt::format("/seed={}", rng.between(1, 1000)));
}

void draw_policies(Rng& rng, Drawn& d) {
  d.settings.push_back("/offload/cache=" + drawn<CachePolicy>(rng));
  d.settings.push_back("/offload/prefetch=" + (rng.below(3) == 0 ? "none" : drawn<PrefetchPolicy>(rng)));
  d.settings.push_back("/offload/prediction=" + drawn<PredictionPolicy>(rng));
  d.settings.push_back("/offload/schedule=" + drawn<ExpertSchedulePolicy>(rng));
  if (often(rng)) d.settings.push_back("/offload/partition=global");
  if (rng.below(4) == 0) d.settings.push_back("/offload/whole_layers=1");
  if (often(rng)) d.settings.push_back("/offload/warm=false");
  if (rng.below(4) == 0) d.settings.push_back("/offload/bits=popularity");
}

void draw_costs(Rng& rng, Drawn& d) {
  const double residents[] = {0, 0.1, 0.25, 0.5, 0.75, 1};
  d.settings.push_back(fmt::format("/offload/resident={}", residents[rng.below(6)]));
  d.settings.push_back(fmt::format("/offload/chunk={} kB", rng.between(1, 8) * 1000));
  if (often(rng)) d.settings.push_back("/offload/kernels=vector");
  if (rng.below(3) == 0) d.settings.push_back("/offload/gpu_expert=20 us");
  if (often(rng)) d.settings.push_back(fmt::format("/offload/cpu/per_token={} us", rng.between(1, 300)));
  if (rng.below(4) == 0)
    for (const char* setting : {"in_memory=true", "memory=2000 GB/s", "compute=20 Tflop/s"})
      d.settings.push_back(std::string("/offload/cpu/") + setting);
  if (rng.below(3) > 0) return;
  d.settings.push_back("/offload/host_cache=" + drawn<CachePolicy>(rng));
  d.settings.push_back(fmt::format("/offload/host_memory={} MB", rng.between(7, 60)));
  const std::string cxl = R"({"name": "cxl", "rate": "20 GB/s", "latency": "1 us", "capacity": "40 MB"}, )";
  d.settings.push_back(std::string("/offload/tiers=[") + (often(rng) ? cxl : "") +
                       R"({"name": "nvme", "rate": "5 GB/s", "latency": "20 us"}])");
}

Drawn draw(Rng& rng) {
  Drawn d;
  d.model.layers = int32_t(rng.between(1, 4));
  d.model.experts = int32_t(4 << rng.between(0, 1));
  d.model.top_k = int32_t(rng.between(1, 3));
  d.model.shared = int32_t(rng.below(2));
  draw_machine(rng, d);
  draw_batch(rng, d);
  draw_policies(rng, d);
  draw_costs(rng, d);
  return d;
}

// Bytes that left host memories on links of these kinds, and that entered GPUs over their PCIe links.
int64_t carried(const Results& results, const std::string& kind, const std::string& from, const std::string& to) {
  int64_t bytes = 0;
  for (const LinkResult& link : results.links) {
    const size_t arrow = link.link.find(" -> ");
    if (link.kind == kind && link.link.substr(0, arrow).find(from) != std::string::npos &&
        link.link.substr(arrow).find(to) != std::string::npos)
      bytes += link.bytes;
  }
  return bytes;
}

double time_of(const Results& results, const std::string& name) {
  for (const OperationResult& operation : results.breakdown)
    if (operation.operation == name) return operation.exposed_s + operation.hidden_s;
  return 0;
}

void expect_accounts_balance(const OffloadResult& offload) {
  int64_t accesses = 0;
  for (const OffloadLayerResult& layer : offload.layers) {
    const int64_t hits = std::llround(layer.hit_rate * double(layer.accesses));
    EXPECT_EQ(layer.accesses, hits + layer.late + layer.evicted + layer.cold);
    accesses += layer.accesses;
  }
  EXPECT_EQ(offload.accesses, accesses);
  EXPECT_EQ(offload.accesses, offload.on_gpu + offload.on_cpu);
  EXPECT_LE(offload.deferred, offload.on_cpu);
  EXPECT_LE(offload.unused_prefetch_bytes, offload.prefetch_bytes);
  EXPECT_LE(offload.hit_rate, 1);
}

// A copy counts as a whole when it begins: those begun and not arrived at the end lie in the caches' places.
void expect_bytes_balance(const Drawn& d, const Results& results) {
  const OffloadResult& offload = *results.offload;
  const int64_t read = carried(results, "memory", "-memory", "");
  const int64_t begun = offload.demand_bytes + offload.prefetch_bytes;
  EXPECT_LE(read, begun);
  if (offload.prefetch == "none") {
    EXPECT_EQ(read, begun);
  }
  EXPECT_LE(begun - read, d.gpus * std::max<int64_t>(offload.capacity, kExpertBytes) * 2);
  const int64_t over_pcie = carried(results, "pcie", "", "gpu");
  if (d.one_server) {
    EXPECT_EQ(over_pcie, read);
  }
  EXPECT_GE(over_pcie, read);
}

// The time of the experts' part is what the GPU computes and what it waits for.
void expect_time_balances(const Results& results) {
  const OffloadResult& offload = *results.offload;
  const double stalls = offload.stalls.copy_s + offload.stalls.late_s + offload.stalls.cpu_s;
  EXPECT_NEAR(offload.gpu_s + stalls, time_of(results, "experts"), 1e-9 * results.step_time_s);
  double by_layers = 0;
  for (const OffloadLayerResult& layer : offload.layers) by_layers += layer.stall_s;
  EXPECT_NEAR(by_layers, stalls, 1e-9 * results.step_time_s);
}

std::string joined(const std::vector<std::string>& settings) {
  std::string all;
  for (const std::string& setting : settings) all += setting + "\n";
  return all;
}

// Runs end, and CHECKs hold. What cannot be is an error of the scenario, and seldom drawn.
TEST(OffloadLaws, HoldOfScenariosAtRandom) {
  int64_t run = 0;
  for_each_seed(250, [&](Rng& rng) {
    const Drawn d = draw(rng);
    SCOPED_TRACE(joined(d.settings));
    const OffloadCase test(d.model);
    Results results;
    try {
      results = test.run(d.settings);
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("offload"), std::string::npos) << error.what();
      return;
    }
    ++run;
    ASSERT_TRUE(results.complete);
    ASSERT_TRUE(results.offload);
    expect_accounts_balance(*results.offload);
    expect_bytes_balance(d, results);
    expect_time_balances(results);
    EXPECT_EQ(json_text(test.run(d.settings)), json_text(results));
  });
  if (!testing::Test::HasFailure()) {
    EXPECT_GT(run, 100);
  }
}

}  // namespace
}  // namespace moesim
