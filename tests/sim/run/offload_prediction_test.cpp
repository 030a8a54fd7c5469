// The engine against validation/prediction_offload.cpp, which is held against measured layers.
#include <gtest/gtest.h>

#include "tests/support/offload_case.h"
#include "validation/prediction.h"

namespace moesim {
namespace {

// Eight experts of which a token needs all, as they were measured: what the engine did with them, predicted.
void expect_as_predicted(const OffloadCase& test, const std::vector<std::string>& settings) {
  std::vector<std::string> all = {"/profile=h100-sxm/pytorch", "/launch=eager", "/cluster/node/pcie=54.48 GB/s"};
  all.insert(all.end(), settings.begin(), settings.end());
  const LoadedScenario loaded = test.load(all);
  const OffloadResult run = *run_scenario(loaded, {}).offload;
  const auto copies = int32_t(run.demand_bytes / kExpertBytes);
  PredictionModel model{*loaded.profile, loaded.gpu, 1};
  model.profile.cpu.cache = {};  // weights used once a token come from memory
  const OffloadRecord record{"small", 1024, 1024, 1, int32_t(run.on_gpu) - copies, copies, int32_t(run.on_cpu), 16};
  const Measurement measured{"moe_offload", Launch::eager, record, {{"all", 1, {1}, 1}}, 0};
  const std::vector<Predicted> predicted = predict(model, measured);
  ASSERT_EQ(predicted.size(), 1u);
  const double engine_us = 1e6 * (run.gpu_s + run.stalls.copy_s + run.stalls.late_s + run.stalls.cpu_s);
  EXPECT_NEAR(engine_us, predicted[0].us, 0.03 * predicted[0].us)
      << run.on_gpu - copies << " there, " << copies << " copied, " << run.on_cpu << " on the CPU";
}

TEST(OffloadEngine, AgreesWithThePredictionOfMeasuredLayers) {
  const OffloadCase test({.experts = 8, .top_k = 8});
  for (const char* schedule : {"on_demand", "cpu_where_missing", "three_queues", "two_pointers"})
    for (const char* resident : {"0.125", "0.25", "0.5", "0.75", "1"}) {
      SCOPED_TRACE(std::string(schedule) + " " + resident);
      expect_as_predicted(test, {std::string("/offload/schedule=") + schedule,
                                 std::string("/offload/resident=") + resident, "/offload/warm=true"});
    }
}

// The CPU begins when the GPU's experts are launched, 76.33 us each, and its threads have woken up.
TEST(OffloadEngine, StartsTheCpuWhenAllIsLaunched) {
  const OffloadCase test({.experts = 8, .top_k = 8});
  const std::vector<std::string> settings = {"/profile=h100-sxm/pytorch", "/launch=eager", "/offload/resident=0.5",
                                             "/offload/schedule=cpu_where_missing", "/offload/cpu/per_token=1 ms"};
  const OffloadResult run = *test.run(settings).offload;
  EXPECT_EQ(run.on_cpu, 4);
  const double layer = run.gpu_s + run.stalls.copy_s + run.stalls.late_s + run.stalls.cpu_s;
  EXPECT_NEAR(layer, 4 * 76.33e-6 + 202.4e-6 + 4 * 1e-3, 1e-9);
}

}  // namespace
}  // namespace moesim
