#include "traces/expert_counts.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/traces/trace_cases.h"
#include "traces/safetensors.h"

namespace moesim {
namespace {

using Counts = std::vector<std::vector<int64_t>>;

std::string sample(const std::string& name) { return std::string(MOESIM_SOURCE_DIR) + "/tests/data/" + name; }

// [5, 1, 0, 2] + [6, 0, 1, 1] and [1, 3, 3, 1] + [2, 2, 4, 0]; layer 0 has no experts.
const Counts kSglang = {{0, 0, 0, 0}, {11, 1, 1, 3}, {3, 5, 7, 1}};

TEST(SglangCounts, AddTheStepsOfARecordingUp) {
  for (const char* const file : {"sglang/logical_count.json", "sglang/logical_count.npz"}) {
    SCOPED_TRACE(file);
    const ExpertCounts counts = read_sglang_counts(sample(file));
    EXPECT_EQ(counts.experts, 4);
    EXPECT_EQ(counts.counts, kSglang);
    EXPECT_TRUE(counts.layer_numbers.empty());
  }
  EXPECT_TRUE(is_sglang_counts(sample("sglang/logical_count.json")));
  EXPECT_FALSE(is_sglang_counts(sample("sglang/expert_location.json")));
}

TEST(SglangCounts, OfPyTorchAreRefusedWithTheWayOut) {
  EXPECT_TRUE(says(error_of([] { read_sglang_counts("recorded.pt"); }), "numpy.savez"));
}

// Five tokens with two choices each in three layers. Layer 1: 0 1, 0 3, 0 2, 1 0, 3 0. Layer 2: 2 3, 1 2, 2 1, 2 0, and
// a token that chose nothing.
TEST(VllmCounts, CountPromptAndGeneratedTokens) {
  const ExpertCounts counts = read_vllm_counts(sample("vllm/routed_experts.npz"), 4);
  EXPECT_EQ(counts.counts, (Counts{{10, 0, 0, 0}, {5, 2, 1, 2}, {1, 2, 4, 1}}));
  EXPECT_TRUE(says(error_of([] { read_vllm_counts(sample("vllm/routed_experts.npz"), 3); }), "has expert 3"));
}

// Rank 0 has [3, 1, 0, 0] + [4, 0, 0, 0] in layer 1, rank 1 [2, 0, 0, 2] + [2, 0, 1, 1]; and so on.
TEST(TrtllmCounts, AddRanksAndIterationsUp) {
  const ExpertCounts counts = read_trtllm_counts(sample("trtllm/expert_statistic"));
  EXPECT_EQ(counts.experts, 4);
  EXPECT_EQ(counts.layer_numbers, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(counts.counts, (Counts{{11, 1, 1, 3}, {3, 5, 7, 1}}));
}

std::string safetensors(const std::string& header, const std::vector<int64_t>& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  bytes += header;
  return bytes.append(reinterpret_cast<const char*>(data.data()), data.size() * 8);
}

std::string safetensors_error(const std::string& bytes) {
  return error_of([&] { parse_safetensors(std::as_bytes(std::span(bytes)), "file"); });
}

TEST(Safetensors, ReadWholeNumbersAndPassMetadataOver) {
  const std::string bytes = safetensors(
      R"({"__metadata__": {"by": "hand"}, "a": {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]},
          "b": {"dtype": "I32", "shape": [1, 2], "data_offsets": [16, 24]}})",
      {-1, 7, (int64_t{3} << 32) | 2});
  const std::vector<Tensor> tensors = parse_safetensors(std::as_bytes(std::span(bytes)), "file");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].values, (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(tensors[1].values, (std::vector<int64_t>{2, 3}));
}

TEST(Safetensors, RefuseWhatDoesNotFit) {
  EXPECT_TRUE(says(safetensors_error("short"), "too short"));
  EXPECT_TRUE(says(safetensors_error(std::string(8, '\x7f') + "{}"), "does not fit"));
  EXPECT_TRUE(says(safetensors_error(safetensors("[]", {})), "must be an object"));
  const auto one = [](const std::string& record) {
    return safetensors_error(safetensors("{\"a\": " + record + "}", {1}));
  };
  EXPECT_TRUE(says(one(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]})"), "dtype is \"F32\""));
  EXPECT_TRUE(says(one(R"({"dtype": "I64", "shape": [1], "data_offsets": [0, 9]})"), "not among the 8"));
  EXPECT_TRUE(says(one(R"({"dtype": "I64", "shape": [1], "data_offsets": [8, 0]})"), "not among"));
  EXPECT_TRUE(says(one(R"({"dtype": "I64", "shape": [2], "data_offsets": [0, 8]})"), "not what its shape says"));
  EXPECT_TRUE(says(one(R"({"dtype": "I64", "shape": [2147483648, 2147483648, 2147483648], "data_offsets": [0, 8]})"),
                   "not what its shape says"));
  EXPECT_TRUE(says(one(R"({"dtype": "I64"})"), "missing key"));
}

}  // namespace
}  // namespace moesim
