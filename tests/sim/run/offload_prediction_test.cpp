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

// Where there are few places copies wait for what is computed, which the prediction knows nothing of.
TEST(OffloadEngine, AgreesWithThePredictionOfMeasuredLayers) {
  const OffloadCase test({.layers = 1, .experts = 8, .top_k = 8, .shared = 0});
  for (const char* schedule : {"on_demand", "cpu_where_missing", "three_queues", "two_pointers"})
    for (const char* resident : {"0.125", "0.25", "0.5", "0.75", "1"}) {
      if (schedule == std::string("on_demand") && std::string(resident) < "0.5") continue;
      SCOPED_TRACE(std::string(schedule) + " " + resident);
      const std::vector<std::string> settings = {std::string("/offload/schedule=") + schedule,
                                                 std::string("/offload/resident=") + resident};
      expect_as_predicted(test, settings);
    }
  expect_as_predicted(test, {"/offload/resident=1", "/offload/warm=false"});
}

// The CPU begins when the four experts of the GPU are launched, and its threads have woken up.
TEST(OffloadEngine, StartsTheCpuWhenAllIsLaunched) {
  const OffloadCase test({.layers = 1, .experts = 8, .top_k = 8, .shared = 0});
  const LoadedScenario loaded =
      test.load({"/profile=h100-sxm/pytorch", "/launch=eager", "/offload/resident=0.5",
                 "/offload/schedule=cpu_where_missing", "/offload/cpu/per_token=1 ms", "/offload/cpu/threads=16"});
  const OffloadResult run = *run_scenario(loaded, {}).offload;
  EXPECT_EQ(run.on_cpu, 4);
  const double layer = run.gpu_s + run.stalls.copy_s + run.stalls.late_s + run.stalls.cpu_s;
  const double launches = 4 * loaded.profile->host.issue_expert->seconds();
  EXPECT_NEAR(layer, launches + loaded.profile->cpu.wake_up.seconds() + 4 * 1e-3, 1e-9);
}

}  // namespace
}  // namespace moesim
