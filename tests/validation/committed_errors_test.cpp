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

// Measurements of a stack lie in a folder of its name, but for those of serving engines.
ErrorTable errors_of(const std::string& file, const std::string& gpu, const std::string& stack = "pytorch") {
  const DeviceProfile profile = scaled_profile(load_profile("h100-sxm/" + stack), gpu);
  const std::string folder = stack == "sglang" ? "gpu_perf" : stack;
  const MeasurementFile measured =
      read_measurements(std::string(MOESIM_SOURCE_DIR) + "/validation/measurements/" + folder + "/" + file + ".json");
  return error_table(compare({profile, load_gpu(gpu), measured.world}, measured).compared);
}

void expect_golden(const std::string& file, const std::string& gpu, const std::string& stack = "pytorch") {
  SCOPED_TRACE(stack + " " + file);
  const std::string name = stack == "pytorch" ? file : stack + "_" + file;
  const std::string golden = std::string(MOESIM_SOURCE_DIR) + "/tests/golden/validation/" + name + ".json";
  const std::string errors = json_text(errors_of(file, gpu, stack));
  if (std::getenv("MOESIM_WRITE_GOLDEN") != nullptr) write_file_atomically(golden, errors);
  EXPECT_EQ(read_text_file(golden, 1 << 20), errors);
}

TEST(CommittedErrors, OfLayersStepsAndOffloadAreThoseOfTheTable) {
  for (const char* file : {"h100x1", "h100x2", "model_steps_h100x1", "model_steps_h100x2", "offload_h100",
                           "h100x1_steps_by_gathers", "h100x2_steps_by_gathers"})
    expect_golden(file, "h100-sxm-80");
}

TEST(CommittedErrors, OfOurOwnKernelsAreThoseOfTheTable) {
  for (const char* file : {"h100x1", "h100x2"}) expect_golden(file, "h100-sxm-80", "moesim-bench");
  expect_golden("h200x1", "h200-sxm-141", "moesim-bench");
}

TEST(CommittedErrors, OfServingEnginesAreThoseOfTheTable) {
  for (const char* file :
       {"h100_gemm_bf16_vllm", "h100_gemm_fp8_vllm", "h100_attention_prefill_vllm", "h100_attention_decode_vllm",
        "h100_mla_prefill_sglang", "h100_moe_bfloat16_sglang", "h100_moe_fp8_block_sglang", "h100_nccl"})
    expect_golden(file, "h100-sxm-80", "sglang");
}

TEST(CommittedProfiles, AreNoFasterThanTheirDataSheets) {
  for (const std::string& name : profile_names()) {
    const DeviceProfile profile = load_profile(name);
    EXPECT_TRUE(check_profile(profile, load_gpu(profile.gpu)).empty()) << name;
  }
}

TEST(CommittedErrors, OfAnotherGpuAreSmallerByDataSheetsThanWithout) {
  for (const char* file : {"h200x1", "h200x2"}) expect_golden(file, "h200-sxm-141");
  const auto large_layers = [](const ErrorTable& table) {
    for (const ErrorRow& row : table.errors)
      if (row.kind == "moe_layer" && row.phase == "layer" && row.size == "large") return row.median;
    return -1.0;
  };
  const double scaled = large_layers(errors_of("h200x1", "h200-sxm-141"));
  EXPECT_GT(scaled, 0);
  EXPECT_LT(scaled, large_layers(errors_of("h200x1", "h100-sxm-80")));
}

}  // namespace
}  // namespace moesim
