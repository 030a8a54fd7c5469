// What is known of each expert beside its load, measured where the model could be run: how much its weights matter, and
// what fewer bits cost. Policies of expert bits read it from a file that their settings name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/moe/offload/bits.h"

namespace moesim {

struct ExpertImportance {
  int32_t format_version = 1;
  std::string source;
  int32_t layers = 0;
  int32_t experts = 0;
  std::vector<std::vector<double>> choices;
  std::vector<std::vector<double>> gate_weight;
  std::vector<std::vector<double>> loss;
  std::vector<double> bits;
  std::vector<std::vector<std::vector<double>>> error;
};

template <class Visitor>
void fields(Visitor& v, ExpertImportance& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.optional("source", s.source, "where the numbers come from");
  v.required("layers", s.layers, between(1, 4096), "MoE layers");
  v.required("experts", s.experts, between(1, 65535), "routed experts of a layer");
  v.optional("choices", s.choices, at_least(0.0), "[layer][expert] how often tokens chose it, in any unit");
  v.optional("gate_weight", s.gate_weight, at_least(0.0),
             "[layer][expert] the gate's weights, summed over those tokens, in any unit");
  v.optional("loss", s.loss, at_least(0.0),
             "[layer][expert] what the model loses if this expert alone has few bits, in any unit");
  v.optional("bits", s.bits, bit_range(), "widths that `error` knows, rising");
  v.optional("error", s.error, at_least(0.0),
             "[layer][expert][width] how far an expert of so many bits is from the unrounded one, in any unit");
}

void check_fields(const ExpertImportance& s, const std::function<void(std::string key, std::string message)>& fault);

// Throws one ConfigError with all that is wrong with the file.
ExpertImportance read_importance_file(const std::string& path);

// Where a policy's setting points to.
std::string importance_path(const BitInput& in, const std::string& path);

// The file that a policy's setting names, for a model of as many layers and experts; nothing without a path.
std::optional<ExpertImportance> importance_of(const BitInput& in, const std::string& path);

}  // namespace moesim
