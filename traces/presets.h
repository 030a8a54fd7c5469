// Traces of models of which only statistics are published: drawn so that those agree, to be resampled like recorded
// ones.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "traces/routing_trace.h"

namespace moesim {

// Published are the load of each expert in some layers and domains, how far a token's id tells its experts, and what
// first choices in distant layers tell of each other. All else is assumed: layers between and behind the published ones
// have loads in the shape of the nearest one, dealt to their experts anew.
struct TracePreset {
  const char* name;
  const char* source;
  int64_t layers;
  int64_t experts;
  int64_t top_k;
  std::vector<std::string> domains;
  std::vector<int64_t> published_layers;
  const std::vector<std::vector<std::vector<int32_t>>>* loads;  // [domain][published layer][expert], of 10,000 tokens
  std::vector<double> by_id;  // of each published layer: share of tokens whose choices follow from id and domain
  double ids_through_layers;  // share of the ids whose choices in all layers follow from one number
  double by_token;  // of the others: share whose choices follow from what the token carries through all layers
};

std::span<const TracePreset> presets();
const TracePreset* find_preset(const std::string& name);  // nullptr where there is none

// Tells of a name that is no preset's.
void check_preset(const std::string& name, const std::function<void(const std::string&)>& fault);

// 128 documents of 512 tokens, the same for every call.
RoutingTrace preset_trace(const TracePreset& preset);

}  // namespace moesim
