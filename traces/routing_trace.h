// Recorded expert routing: which experts each token chose in each layer. What every reader of traces gives, and what
// the routing of a step is taken from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/error.h"

namespace moesim {

// A choice that no expert computes: dropped for capacity, or given to a zero-computation expert.
inline constexpr uint16_t kDropped = 0xFFFF;

// The most that a trace may hold, whatever its file says: 2^31 choices are 4 GiB of ids.
inline constexpr int64_t kTraceChoicesMax = int64_t{1} << 31;
inline constexpr int64_t kTraceTokensMax = int64_t{1} << 28;
inline constexpr int64_t kTraceLayersMax = 4096;
inline constexpr int64_t kTraceExpertsMax = kDropped;
inline constexpr int64_t kTraceTopKMax = 4096;
inline constexpr int64_t kTraceRowMax = int64_t{1} << 20;  // layers x top_k

// The most tokens of a trace that is read block by block, of any number of choices.
inline constexpr int64_t kStreamedTokensMax = int64_t{1} << 40;

enum class Phase : int32_t { prompt, decode };

struct RoutingTrace {
  int64_t tokens = 0;
  int64_t layers = 0;
  int64_t top_k = 0;
  int64_t experts = 0;        // routed experts that compute
  std::vector<uint16_t> ids;  // [token][layer][k], by falling gate weight; kDropped where none

  // What may be recorded besides; empty where it was not. All are indexed by token but the gate.
  std::vector<float> gate;        // [token][layer][k], the weight of each choice
  std::vector<int32_t> token;     // id in the tokenizer's vocabulary
  std::vector<int32_t> request;   // the request or document that the token belongs to
  std::vector<int32_t> position;  // place in the request, from 0
  std::vector<int32_t> phase;     // a Phase
  std::vector<int32_t> step;      // the step of the engine that computed the token
  std::vector<int32_t> rank;      // the rank that held the token
  std::vector<int32_t> domain;    // the kind of text, an index into domains where those are named

  std::string model;
  std::string source;                  // where the tokens come from
  std::string recorded;                // how the routing was recorded
  int64_t zero_experts = 0;            // zero-computation experts of the gate; their choices are kDropped
  std::vector<int32_t> layer_numbers;  // of the layers in the model; empty: 0, 1, 2, ...
  std::vector<std::string> domains;    // names of the domains
  std::vector<std::string> notes;      // what the reader had to assume; never stored in a file
};

// The k choices of a token in a layer.
inline std::span<const uint16_t> choices(const RoutingTrace& trace, int64_t token, int64_t layer) {
  return {trace.ids.data() + (token * trace.layers + layer) * trace.top_k, size_t(trace.top_k)};
}

// The gate weights of those choices; only for a trace that has them.
inline std::span<const float> gate_weights(const RoutingTrace& trace, int64_t token, int64_t layer) {
  return {trace.gate.data() + (token * trace.layers + layer) * trace.top_k, size_t(trace.top_k)};
}

// All choices of a token: [layer][k].
inline std::span<const uint16_t> token_row(const RoutingTrace& trace, int64_t token) {
  return {trace.ids.data() + token * trace.layers * trace.top_k, size_t(trace.layers * trace.top_k)};
}

// The arrays with one integer a token, under the names they have in every file format.
template <class T>
struct NamedArray {
  const char* name;
  T* values;
};
inline constexpr size_t kTraceColumns = 7;
std::array<NamedArray<std::vector<int32_t>>, kTraceColumns> columns(RoutingTrace& trace);
std::array<NamedArray<const std::vector<int32_t>>, kTraceColumns> columns(const RoutingTrace& trace);

// What is wrong with the counts of a trace (tokens, layers, top_k, experts, zero_experts) before its arrays are read.
std::vector<Fault> check_shape(const RoutingTrace& trace);

// The same for a trace that is read block by block; its layer_numbers too.
std::vector<Fault> check_streamed_shape(const RoutingTrace& trace);

// What is wrong with the arrays of a block of tokens, which begins at that token of the whole trace. Without has_ids
// it must have none.
std::vector<Fault> check_block(const RoutingTrace& block, bool has_ids, int64_t first_token);

// Everything that is wrong with a trace; the path of a fault is the array's name. Empty for a trace that may be used.
std::vector<Fault> check_trace(const RoutingTrace& trace);

}  // namespace moesim
