// How far off the profile that moesim brings is, on measurements that lie beside it. tests/golden/validation/ holds the
// table that docs/benchmarks.md speaks of; MOESIM_WRITE_GOLDEN=1 writes it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "models/catalogue.h"
#include "sim/config/atomic_file.h"
#include "sim/config/json_text.h"
#include "validation/error_table.h"
#include "validation/fit/sanity.h"

namespace moesim {
namespace {

ErrorTable errors_of(const DeviceProfile& profile, const std::string& path) {
  const MeasurementFile measured =
      read_measurements(std::string(MOESIM_SOURCE_DIR) + "/validation/measurements/" + path + ".json");
  return error_table(compare({profile, load_gpu(profile.gpu), measured.world}, measured).compared);
}

ErrorTable errors_of(const std::string& file, const std::string& gpu) {
  return errors_of(scaled_profile(load_profile("h100-sxm/pytorch"), gpu), "pytorch/" + file);
}

void expect_golden(const std::string& file, const ErrorTable& table) {
  SCOPED_TRACE(file);
  const std::string golden = std::string(MOESIM_SOURCE_DIR) + "/tests/golden/validation/" + file + ".json";
  const std::string errors = json_text(table);
  if (std::getenv("MOESIM_WRITE_GOLDEN") != nullptr) write_file_atomically(golden, errors);
  EXPECT_EQ(read_text_file(golden, 1 << 20), errors);
}

TEST(CommittedErrors, OfLayersStepsAndOffloadAreThoseOfTheTable) {
  for (const char* file : {"h100x1", "h100x2", "model_steps_h100x1", "model_steps_h100x2", "offload_h100",
                           "h100x1_steps_by_gathers", "h100x2_steps_by_gathers"})
    expect_golden(file, errors_of(file, "h100-sxm-80"));
}

TEST(CommittedErrors, OfAnotherGpuAreSmallerByDataSheetsThanWithout) {
  expect_golden("h200x1", errors_of("h200x1", "h200-sxm-141"));
  const auto large_layers = [](const ErrorTable& table) {
    for (const ErrorRow& row : table.errors)
      if (row.kind == "moe_layer" && row.phase == "layer" && row.size == "large") return row.median;
    return -1.0;
  };
  const double scaled = large_layers(errors_of("h200x1", "h200-sxm-141"));
  EXPECT_GT(scaled, 0);
  EXPECT_LT(scaled, large_layers(errors_of("h200x1", "h100-sxm-80")));
}

TEST(CommittedErrors, OfAServingEngineAreThoseOfTheTable) {
  const DeviceProfile profile = load_profile("h100-sxm/sglang");
  for (const char* file :
       {"h100_gemm_bf16_vllm", "h100_gemm_fp8_vllm", "h100_attention_prefill_vllm", "h100_attention_decode_vllm",
        "h100_mla_prefill_sglang", "h100_moe_bfloat16_sglang", "h100_moe_fp8_block_sglang", "h100_nccl"})
    expect_golden(file, errors_of(profile, std::string("gpu_perf/") + file));
}

TEST(CommittedErrors, AreOfProfilesThatTheDataSheetAllows) {
  for (const std::string& name : profile_names()) {
    const DeviceProfile profile = load_profile(name);
    EXPECT_TRUE(check_profile(profile, load_gpu(profile.gpu)).empty()) << name;
  }
}

}  // namespace
}  // namespace moesim
