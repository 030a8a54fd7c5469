// A placement as a file: what `moesim place` writes, and what the policy `file` and the exports read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/config/registry.h"
#include "sim/moe/slot_map.h"

namespace moesim {

// What a placement was made from.
struct PlacementTraining {
  std::string source;
  int64_t first_token = 0;
  int64_t tokens = 0;
};

template <class Visitor>
void fields(Visitor& v, PlacementTraining& s) {
  v.required("source", s.source, "the trace, or the counts of an engine");
  v.optional("first_token", s.first_token, at_least(int64_t{0}), "of the trace");
  v.optional("tokens", s.tokens, at_least(int64_t{0}), "of the trace that it knows; no later one was looked at");
}

struct PlacementFile {
  int32_t format_version = 1;
  std::string model;
  int32_t model_layers = 0;
  std::vector<int32_t> layer_numbers;
  int32_t layers = 0;
  int32_t experts = 0;
  int32_t gpus = 0;
  std::vector<int32_t> slots;
  std::string policy;
  PlacementTraining trained_on;
  SlotMap physical_to_logical;
};

template <class Visitor>
void fields(Visitor& v, PlacementFile& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.optional("model", s.model, "the model's name");
  v.optional("model_layers", s.model_layers, between(0, 4096), "layers of the model, dense ones included");
  v.optional("layer_numbers", s.layer_numbers, between(0, 4095), "[layer] its number in the model, from 0");
  v.required("layers", s.layers, between(1, 4096), "MoE layers");
  v.required("experts", s.experts, between(1, 65535), "routed experts of a layer");
  v.required("gpus", s.gpus, between(1, 1'000'000), "GPUs of an expert-parallel group");
  v.required("slots", s.slots, between(0, 65535), "[gpu] slots of a layer");
  v.optional("policy", s.policy, "what decided, as --policy takes it");
  v.optional("trained_on", s.trained_on, "what it was made from");
  v.required("physical_to_logical", s.physical_to_logical, between(kEmptySlot, 65534),
             "[layer][slot] the expert in each slot, GPU after GPU; -1: none");
}

void check_fields(const PlacementFile& s, const std::function<void(std::string key, std::string message)>& fault);

// Throws one ConfigError with all that is wrong with the file.
PlacementFile read_placement_file(const std::string& path);
std::string placement_file_text(const PlacementFile& file);  // one layer a line

Placement placement_of(const PlacementFile& file);

// Why the file is no placement for this input, in words.
std::vector<std::string> misfits(const PlacementFile& file, const PlacementInput& in);

// The policy that reads one.
inline constexpr const char* kPlacementFromFile = "file";
struct PlacementFileOptions {
  std::string path;
};

template <class Visitor>
void fields(Visitor& v, PlacementFileOptions& s) {
  v.required("path", s.path, "placement file of `moesim place`, relative to the scenario file");
}

}  // namespace moesim
