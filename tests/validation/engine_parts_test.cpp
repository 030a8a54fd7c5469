// What the fit makes of files of serving engines, and that it leaves profiles of other files as they were.
#include "validation/fit/engine_parts.h"

#include <gtest/gtest.h>

#include "sim/config/json_text.h"

namespace moesim {
namespace {

const char* const kRecords = R"([
  {"kind": "gemm", "m": 1, "n": 16, "k": 16, "dtype": "fp8", "samples_us": [1]},
  {"kind": "attention", "batch": 1, "q": 1, "kv": 8, "heads": 2, "kv_heads": 1, "qk_dim": 64, "v_dim": 64,
   "samples_us": [1]},
  {"kind": "moe_layer_fused", "d": 16, "f": 8, "experts": 4, "k": 2, "tokens": 3, "tensor_parallel": 2, "dtype": "fp8",
   "kernel": "triton", "launch": "graph", "samples_us": [1]},
  {"kind": "moe_layer_fused", "d": 16, "f": 8, "experts": 4, "k": 2, "tokens": 3, "tensor_parallel": 2, "dtype": "fp8",
   "kernel": "triton", "expert_parallel": 2, "samples_us": [1]}])";

MeasurementFile file_with(const std::string& machine) {
  return parse_measurements(R"({"format": "moesim-bench", "format_version": 1, "device": "NVIDIA H100 80GB HBM3",
      "machine": )" + machine + R"(, "records": )" +
                                kRecords + "}",
                            "file.json");
}

const char* const kEngine = R"({"imported_from": "aiconfigurator", "note": "SGLang 1.2; a database"})";

TEST(EngineParts, ReadLayersOfOneTimeAndWhatTheyAreOf) {
  const MeasurementFile file = file_with(kEngine);
  EXPECT_TRUE(file.is_imported);
  EXPECT_EQ(file.software, "SGLang 1.2");
  const auto& layer = std::get<FusedLayerRecord>(file.records[2].what);
  EXPECT_EQ(layer.tensor_parallel, 2);
  EXPECT_EQ(layer.precision, Precision::fp8);
  EXPECT_TRUE(std::holds_alternative<OtherRecord>(file.records[3].what)) << "whose tokens expert parallelism takes?";
}

TEST(EngineParts, AreOfImportedFilesAlone) {
  DeviceProfile profile;
  prepare_engine(profile, {file_with("{}")});
  EXPECT_EQ(json_text(profile), json_text(DeviceProfile{}));
  EXPECT_TRUE(engine_parts(profile).empty());
}

TEST(EngineParts, GiveFp8KernelsAndFuseWhatTheEngineFuses) {
  DeviceProfile profile;
  prepare_engine(profile, {file_with(kEngine)});
  const KernelParameters& kernels = profile.kernels;
  EXPECT_TRUE(kernels.gemm_fp8.has_value());
  EXPECT_TRUE(kernels.attention.decode_head.has_value());
  EXPECT_FALSE(kernels.attention.memory_prefill.has_value()) << "no prefill was measured";
  ASSERT_TRUE(kernels.grouped_gemm_fp8.has_value());
  EXPECT_EQ(kernels.grouped_gemm_fp8->tiles.front().rows, 16);
  EXPECT_EQ(kernels.regroup.kernels, 0);
  EXPECT_EQ(engine_parts(profile).size(), 2u);
}

}  // namespace
}  // namespace moesim
