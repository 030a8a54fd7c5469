#include "sim/run/placement_exchange.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"

namespace moesim {
namespace {

std::string sample(const std::string& name) { return std::string(MOESIM_SOURCE_DIR) + "/tests/data/" + name; }

// The model of tests/data: three layers, the first without experts.
LlmSpec small_model() {
  LlmSpec llm;
  llm.name = "small";
  llm.layers = 3;
  llm.dense_first = 1;
  llm.experts = 4;
  return llm;
}

PlacementFile small_shape() {
  PlacementInput in;
  in.layers = 2;
  in.experts = 4;
  in.gpus = 2;
  return map_shape(small_model(), in);
}

const SlotMap kMap = {{3, 0, 1, 2, 3, 0}, {1, 1, 2, 0, 3, 2}};

PlacementFile small_file() {
  PlacementFile file = small_shape();
  file.slots = {3, 3};
  file.physical_to_logical = kMap;
  return file;
}

PlacementFile round_trip(ExchangeFormat format, const PlacementFile& file) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("moesim-map-" + std::to_string(::getpid()))).string() + "." +
      file_ending(format);
  write_file_atomically(path, export_map(format, file));
  PlacementFile shape = file;
  shape.slots.clear();
  shape.physical_to_logical.clear();
  const PlacementFile read = import_map(format, path, shape);
  std::filesystem::remove(path);
  return read;
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(ImportMap, ReadsTheFilesThatEnginesLoad) {
  for (const auto& [format, name] : {std::pair{ExchangeFormat::sglang, "sglang/expert_location.json"},
                                     std::pair{ExchangeFormat::vllm, "vllm/expert_map.json"},
                                     std::pair{ExchangeFormat::trtllm, "trtllm/moe_load_balancer.yaml"}}) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(holds_counts(format, sample(name)));
    const PlacementFile file = import_map(format, sample(name), small_shape());
    EXPECT_EQ(file.slots, (std::vector<int32_t>{3, 3}));
    EXPECT_EQ(file.physical_to_logical, kMap);
  }
}

TEST(ExportMap, RoundTripsInEveryFormat) {
  for (const auto& [format, name] : enum_names(ExchangeFormat{})) {
    SCOPED_TRACE(name);
    const PlacementFile read = round_trip(format, small_file());
    EXPECT_EQ(read.slots, small_file().slots);
    EXPECT_EQ(read.physical_to_logical, kMap);
  }
}

// Random maps of any shape in which each expert has a slot; empty slots come back filled from all but csv.
TEST(ExportMap, RoundTripsRandomMaps) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PlacementFile file = small_shape();
    file.gpus = int32_t(rng.between(1, 5));
    file.experts = file.gpus * int32_t(rng.between(1, 4));
    const int32_t own = file.experts / file.gpus;
    const int32_t spare = int32_t(rng.between(0, 2));
    file.slots.assign(size_t(file.gpus), own + spare);
    for (int32_t layer = 0; layer < file.layers; ++layer) {
      std::vector<int32_t>& row = file.physical_to_logical.emplace_back();
      for (int32_t gpu = 0; gpu < file.gpus; ++gpu) {
        for (int32_t e = 0; e < own; ++e) row.push_back(gpu * own + e);
        for (int32_t s = 0; s < spare; ++s) row.push_back(int32_t(rng.between(kEmptySlot, file.experts - 1)));
      }
    }
    for (const auto& [format, name] : enum_names(ExchangeFormat{})) {
      SCOPED_TRACE(name);
      const SlotMap expected = format == ExchangeFormat::csv ? file.physical_to_logical : filled_slots(file);
      EXPECT_EQ(round_trip(format, file).physical_to_logical, expected);
    }
  }
}

// GPU 0 repeats an expert that nobody else has (1, as 0 is on both), so no token changes its way.
TEST(FilledSlots, RepeatAnExpertThatIsNowhereElse) {
  PlacementFile file = small_shape();
  file.slots = {3, 2};
  file.physical_to_logical = {{0, 1, kEmptySlot, 0, 2}};
  EXPECT_EQ(filled_slots(file), (SlotMap{{0, 1, 1, 0, 2}}));
  file.physical_to_logical = {{0, 1, 2, kEmptySlot, kEmptySlot}};
  EXPECT_TRUE(says(error_of([&] { filled_slots(file); }), "GPU 1 has no expert at all"));
  EXPECT_TRUE(says(error_of([&] { export_map(ExchangeFormat::sglang, file); }), "different numbers of slots"));
}

// SGLang numbers the model's layers: that without experts has the row that it starts from.
TEST(ExportMap, WritesARowForEachLayerForSglangAndTheModelsNumbersForTensorRt) {
  EXPECT_EQ(export_map(ExchangeFormat::sglang, small_file()),
            "{\"physical_to_logical_map\": [\n[0, 1, 2, 3, 0, 1],\n[3, 0, 1, 2, 3, 0],\n[1, 1, 2, 0, 3, 2]\n]}\n");
  EXPECT_EQ(export_map(ExchangeFormat::trtllm, small_file()),
            "initial_global_assignments:\n  1: [3, 0, 1, 2, 3, 0]\n  2: [1, 1, 2, 0, 3, 2]\nnum_slots: "
            "6\nlayer_updates_per_iter: 0\n");
}

std::string import_error(ExchangeFormat format, const std::string& text) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("moesim-bad-" + std::to_string(::getpid()))).string();
  write_file_atomically(path, text);
  const std::string error = error_of([&] { import_map(format, path, small_shape()); });
  std::filesystem::remove(path);
  return error;
}

TEST(ImportMap, SaysWhatIsWrong) {
  using enum ExchangeFormat;
  EXPECT_TRUE(says(import_error(sglang, R"({"physical_to_logical_map": [[0, 1, 2, 3], [0, 1, 2, 2]]})"),
                   "layer 1 has no slot for expert 3"));
  EXPECT_TRUE(says(import_error(sglang, R"({"physical_to_logical_map": [[0, 1, 2, 9], [0, 1, 2, 3]]})"), "expert 9"));
  EXPECT_TRUE(says(import_error(sglang, R"({"physical_to_logical_map": [[0, 1, 2, 3]]})"), "has 1 layers"));
  EXPECT_TRUE(says(import_error(sglang, R"({"physical_to_logical_map": [[0, 1, 2], [0, 1, 2]]})"), "not divisible"));
  EXPECT_TRUE(says(import_error(sglang, "{}"), "missing key"));
  EXPECT_TRUE(
      says(import_error(vllm, R"({"moe_layer_count": 1, "layer_list": [{"device_count": 1, "device_list": []}]})"),
           "0 ranks, not 2"));
  EXPECT_TRUE(says(import_error(trtllm, "num_slots: 4"), "initial_global_assignments"));
  EXPECT_TRUE(says(import_error(trtllm, "initial_global_assignments: {1: [0, 1, 2, x], 2: [0, 1, 2, 3]}"), "line 1"));
  EXPECT_TRUE(says(import_error(trtllm, "initial_global_assignments: {1: [0, 1, 2, 3]}"), "has no layer 2"));
  EXPECT_TRUE(says(import_error(trtllm, "a: [b"), "not YAML"));
  EXPECT_TRUE(says(import_error(csv, "layer,slot\n"), "must begin with"));
  EXPECT_TRUE(says(import_error(csv, "layer,slot,gpu,expert\n1,0,0,0\n1,2,0,1\n"), "slot 2 should be 1"));
  EXPECT_TRUE(says(import_error(csv, "layer,slot,gpu,expert\n1,0,0\n"), "line 2 must be four"));
}

TEST(TakeCounts, FindsTheLayersWithExperts) {
  for (const auto& [format, name] : {std::pair{ExchangeFormat::sglang, "sglang/logical_count.json"},
                                     std::pair{ExchangeFormat::sglang, "sglang/logical_count.npz"},
                                     std::pair{ExchangeFormat::trtllm, "trtllm/expert_statistic"}}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(holds_counts(format, sample(name)));
    PlacementSetting setting;
    setting.input.layers = 2;
    setting.input.transitions = {{1}};
    take_counts(read_expert_counts(format, sample(name), 4), small_model(), setting);
    EXPECT_EQ(setting.input.past_load, (std::vector<std::vector<int64_t>>{{11, 1, 1, 3}, {3, 5, 7, 1}}));
    EXPECT_TRUE(setting.input.transitions.empty());
    EXPECT_EQ(setting.training.source, sample(name));
  }
  PlacementSetting setting;
  setting.input.layers = 2;
  LlmSpec other = small_model();
  other.experts = 8;
  const ExpertCounts counts = read_sglang_counts(sample("sglang/logical_count.json"));
  EXPECT_TRUE(says(error_of([&] { take_counts(counts, other, setting); }), "has 4 experts, but small has 8"));
  other = small_model();
  other.layers = 7;
  EXPECT_TRUE(says(error_of([&] { take_counts(counts, other, setting); }), "has 3 layers"));
}

}  // namespace
}  // namespace moesim
