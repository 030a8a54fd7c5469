#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sim/config/json.h"
#include "sim/moe/placement.h"

namespace moesim {
namespace {

int64_t whole_number(const JsonNode& node) { return std::stoll(node.text); }

std::vector<std::vector<int64_t>> table(const JsonNode& node) {
  std::vector<std::vector<int64_t>> rows;
  for (const JsonNode& row : node.children) {
    rows.emplace_back();
    for (const JsonNode& value : row.children) rows.back().push_back(whole_number(value));
  }
  return rows;
}

PlacementInput input_of(const JsonNode& problem) {
  PlacementInput in;
  in.past_load = table(*problem.find("weights"));
  in.layers = int32_t(in.past_load.size());
  in.experts = int32_t(in.past_load[0].size());
  in.gpus = int32_t(whole_number(*problem.find("gpus")));
  in.gpus_per_node = in.gpus / int32_t(whole_number(*problem.find("nodes")));
  in.slots_per_gpu = int32_t(whole_number(*problem.find("replicas"))) / in.gpus;
  in.groups = int32_t(whole_number(*problem.find("groups")));
  return in;
}

Placement eplb(const PlacementInput& in) {
  Rng rng(1);
  return PolicyChoice<PlacementPolicy>("eplb").decide(in, rng);
}

double load_max_over_mean(const PlacementInput& in, const Placement& placement, size_t layer) {
  std::vector<double> load(size_t(in.gpus), 0);
  for (size_t expert = 0; expert < size_t(in.experts); ++expert) {
    const std::vector<GpuId>& hosts = placement.hosts[layer][expert];
    for (const GpuId gpu : hosts) load[index(gpu)] += double(in.past_load[layer][expert]) / double(hosts.size());
  }
  return *std::max_element(load.begin(), load.end()) * in.gpus / std::accumulate(load.begin(), load.end(), 0.0);
}

// The example that DeepSeek published, and others from an independent derivation that reproduces it.
TEST(Eplb, GivesThePublishedAnswers) {
  const JsonNode root = read_json_file(MOESIM_SOURCE_DIR "/tests/golden/placement/eplb.json");
  ASSERT_FALSE(root.find("cases")->children.empty());
  for (const JsonNode& problem : root.find("cases")->children) {
    SCOPED_TRACE(problem.find("name")->text);
    const PlacementInput in = input_of(problem);
    const Placement placement = eplb(in);
    check_placement(placement, in);
    const auto expected = table(*problem.find("physical_to_logical"));
    ASSERT_EQ(placement.physical_to_logical.size(), expected.size());
    for (size_t layer = 0; layer < expected.size(); ++layer) {
      const std::vector<int32_t>& slots = placement.physical_to_logical[layer];
      EXPECT_EQ(std::vector<int64_t>(slots.begin(), slots.end()), expected[layer]);
      EXPECT_DOUBLE_EQ(load_max_over_mean(in, placement, layer),
                       std::stod(problem.find("gpu_load_max_over_mean")->children[layer].text));
    }
  }
}

// Loads 8, 2 and 2 on GPUs of two slots and one: the heaviest goes to GPU 0, the next to GPU 1, which is full then,
// so that the last joins the heaviest.
TEST(Eplb, PacksGpusByTheSlotsThatEachHas) {
  PlacementInput in;
  in.layers = 1;
  in.experts = 3;
  in.gpus = 2;
  in.gpus_per_node = 2;
  in.slots = {2, 1};
  in.past_load = {{8, 2, 2}};
  EXPECT_EQ(eplb(in).physical_to_logical, (std::vector<std::vector<int32_t>>{{0, 2, 1}}));
}

}  // namespace
}  // namespace moesim
