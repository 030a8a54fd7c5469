// Small scenarios with offloaded experts: a model and a scenario file in a folder of their own, as long as it lives.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "sim/config/atomic_file.h"
#include "sim/run/runner.h"

namespace moesim {

// An expert of 3 * 1024 * 1024 values in bf16.
constexpr int64_t kExpertBytes = 6'291'456;

struct OffloadModel {
  int32_t layers = 1;
  int32_t experts = 2;
  int32_t top_k = 2;
  int32_t shared = 0;
};

class OffloadCase {
 public:
  explicit OffloadCase(const OffloadModel& model)
      : folder_(std::filesystem::temp_directory_path() / ("moesim_offload_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
    const std::string shared = model.shared == 0 ? ""
                                                 : fmt::format(R"("shared_experts": {}, "shared_intermediate": {},)",
                                                               model.shared, 1024 * model.shared);
    write("model.json", fmt::format(R"({{
      "format_version": 1, "name": "small", "layers": {}, "hidden": 1024, "heads": 8, "kv_heads": 8, "head_dim": 128, "attention": "mha",
      "experts": {}, "top_k": {}, {} "moe_intermediate": 1024, "vocab": 1000}})",
                                    model.layers, model.experts, model.top_k, shared));
    // Copies at 50 GB/s over links without latency.
    write("scenario.json", R"({
      "format_version": 1, "model": "model.json",
      "cluster": {"node": {"gpus": 1, "nics": 1, "sockets": 1, "pcie": "50 GB/s", "pcie_latency": "0 us"}},
      "batch": [{"new_tokens": 1, "context": 16}],
      "offload": {"references": false}})");
  }
  ~OffloadCase() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  OffloadCase(const OffloadCase&) = delete;
  OffloadCase& operator=(const OffloadCase&) = delete;

  void write(const std::string& name, const std::string& text) const {
    write_file_atomically((folder_ / name).string(), text);
  }
  LoadedScenario load(const std::vector<std::string>& settings) const {
    return load_scenario(folder_ / "scenario.json", settings, traces_);
  }
  Results run(const std::vector<std::string>& settings) const { return run_scenario(load(settings), {}); }

  // Without /offload: all experts in the GPUs.
  Results run_without(const std::vector<std::string>& settings) const {
    JsonNode root = read_json_file(folder_ / "scenario.json");
    std::erase_if(root.children, [](const JsonNode& member) { return member.key == "offload"; });
    for (const std::string& setting : settings) set_pointer(root, setting);
    return run_scenario(load_scenario(std::move(root), folder_ / "scenario.json", traces_), {});
  }

 private:
  std::filesystem::path folder_;
  mutable TraceStore traces_;
};

}  // namespace moesim
