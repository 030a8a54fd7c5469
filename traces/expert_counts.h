// How often experts were chosen, as serving engines record it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moesim {

struct ExpertCounts {
  int64_t experts = 0;
  std::vector<int32_t> layer_numbers;        // of the rows, in the model; empty: they are its layers, or its MoE layers
  std::vector<std::vector<int64_t>> counts;  // [layer][expert]
  std::string source;
};

// SGLang's expert distribution recorder in its modes stat and stat_approx: `logical_count` [layers, experts], or with
// steps in front, which are added up. The recorder saves PyTorch files; converted to JSON or .npz they are read.
ExpertCounts read_sglang_counts(const std::string& path);

// Whether a JSON file has `logical_count`. False for what is no such file.
bool is_sglang_counts(const std::string& path);

// vLLM's routed experts of requests, saved as .npz: every array whose name begins with routed_experts or
// prompt_routed_experts is [tokens, layers, k] of expert ids; negative ones are no choice. Layers without experts,
// which are recorded as zeros, are there like the others.
ExpertCounts read_vllm_counts(const std::string& path, int64_t experts);

// TensorRT-LLM's EXPERT_STATISTIC_PATH: meta_info.json, and rank*.safetensors with a tensor [experts] named
// ITERATION_LAYER each. Ranks and iterations are added up.
ExpertCounts read_trtllm_counts(const std::string& folder);

}  // namespace moesim
