#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "traces/npz_archive.h"
#include "traces/stored_choices.h"
#include "traces/trace_import.h"

namespace moesim {
namespace {

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

// Runs a reader of one array; what is wrong with that array joins the other faults.
template <class Read>
void collecting(std::vector<Fault>& faults, const std::string& name, Read read) {
  try {
    read();
  } catch (const std::invalid_argument& fault) {
    faults.push_back({0, "/" + name, fault.what()});
  }
}

struct IdsArray {
  std::vector<int64_t> shape;
  std::vector<uint16_t> ids;
};

// Three dimensions of ids, of which negative ones are no choice.
IdsArray read_ids_array(zip_t* zip, const std::string& name) {
  std::optional<OpenArray> array = open_array(zip, name);
  if (!array) refuse("the array is missing");
  const NpyHeader header = array->header;
  if (!is_integer(header.type)) refuse("must hold integers");
  if (header.shape.size() != 3) refuse(fmt::format("must have 3 dimensions, but has {}", header.shape.size()));
  if (values_of(header) > kTraceChoicesMax) refuse("is too large");
  for (const int64_t extent : header.shape)
    if (extent == 0 || extent > kTraceTokensMax) refuse(fmt::format("has an extent of {}", extent));
  IdsArray result{header.shape, {}};
  const int64_t marker = dropped_marker(is_signed(header.type), bytes_of(header.type), kTraceExpertsMax);
  read_blocks(std::move(*array), [&](std::span<const std::byte> bytes) {
    std::vector<int64_t> values = integers_of(header.type, bytes);
    for (int64_t& value : values)
      if (value < 0) value = marker;
    if (const auto bad = append_choices(values, marker, result.ids)) refuse(fmt::format("{} is no expert", *bad));
  });
  return result;
}

std::vector<int32_t> read_numbers(zip_t* zip, const std::string& name, int64_t tokens) {
  std::optional<OpenArray> array = open_array(zip, name);
  if (!array) return {};
  if (!is_integer(array->header.type) || array->header.shape != std::vector<int64_t>{tokens})
    refuse(fmt::format("must be {} integers, one a token", tokens));
  const NpyType type = array->header.type;
  std::vector<int32_t> numbers;
  read_blocks(std::move(*array), [&](std::span<const std::byte> bytes) {
    for (const int64_t value : integers_of(type, bytes)) {
      if (value != int32_t(value)) refuse(fmt::format("{} does not fit in 32 bits", value));
      numbers.push_back(int32_t(value));
    }
  });
  return numbers;
}

// Leaves out layers in which every choice of every token is 0, and numbers the others.
void drop_layers_of_zeros(RoutingTrace& trace) {
  if (trace.top_k == 1) return;  // one expert 0 may be meant
  std::vector<int64_t> kept;
  for (int64_t layer = 0; layer < trace.layers; ++layer)
    for (int64_t token = 0; token < trace.tokens; ++token) {
      const auto chosen = choices(trace, token, layer);
      if (std::all_of(chosen.begin(), chosen.end(), [](uint16_t expert) { return expert == 0; })) continue;
      kept.push_back(layer);
      break;
    }
  if (int64_t(kept.size()) == trace.layers || kept.empty()) return;
  std::vector<uint16_t> ids;
  for (int64_t token = 0; token < trace.tokens; ++token)
    for (const int64_t layer : kept) {
      const auto chosen = choices(trace, token, layer);
      ids.insert(ids.end(), chosen.begin(), chosen.end());
    }
  trace.layer_numbers.assign(kept.begin(), kept.end());
  trace.layers = int64_t(kept.size());
  trace.ids = std::move(ids);
}

void append_request(const IdsArray& array, int32_t request, Phase phase, int32_t first_position, RoutingTrace& trace) {
  if (trace.ids.empty()) {
    trace.layers = array.shape[1];
    trace.top_k = array.shape[2];
  } else if (trace.layers != array.shape[1] || trace.top_k != array.shape[2]) {
    refuse(fmt::format("has {} layers and {} choices, but an array before it has {} and {}", array.shape[1],
                       array.shape[2], trace.layers, trace.top_k));
  }
  if (int64_t(trace.ids.size() + array.ids.size()) > kTraceChoicesMax) refuse("makes the trace too large");
  trace.ids.insert(trace.ids.end(), array.ids.begin(), array.ids.end());
  trace.tokens += array.shape[0];
  for (int64_t token = 0; token < array.shape[0]; ++token) {
    trace.request.push_back(request);
    trace.position.push_back(first_position + int32_t(token));
    trace.phase.push_back(int32_t(phase));
  }
}

}  // namespace

RoutingTrace parse_vllm_rows(std::span<const std::byte> bytes, const std::string& source) {
  const Zip zip = open_zip(bytes, source);
  constexpr std::string_view kPrompt = "prompt_routed_experts";
  constexpr std::string_view kDecode = "routed_experts";
  std::map<std::string, std::array<std::string, 2>> requests;  // by the rest of the name: prompt and decode
  for (const std::string& name : array_names(zip.get())) {
    if (name.starts_with(kPrompt)) requests[name.substr(kPrompt.size())][size_t(Phase::prompt)] = name;
    if (name.starts_with(kDecode)) requests[name.substr(kDecode.size())][size_t(Phase::decode)] = name;
  }
  RoutingTrace trace;
  std::vector<Fault> faults;
  int32_t request = 0;
  for (const auto& [rest, arrays] : requests) {
    int32_t position = 0;
    for (const Phase phase : {Phase::prompt, Phase::decode}) {
      const std::string& name = arrays[size_t(phase)];
      if (name.empty()) continue;
      collecting(faults, name, [&] {
        const IdsArray array = read_ids_array(zip.get(), name);
        append_request(array, request, phase, position, trace);
        position += int32_t(array.shape[0]);
      });
    }
    ++request;
  }
  if (trace.ids.empty() && faults.empty()) faults.push_back({0, "", "holds no routed experts"});
  if (!faults.empty()) throw ConfigError(source, faults);
  trace.recorded = "vLLM, routed experts of requests";
  drop_layers_of_zeros(trace);
  return trace;
}

RoutingTrace parse_sglang_rows(std::span<const std::byte> bytes, const std::string& source) {
  const Zip zip = open_zip(bytes, source);
  RoutingTrace trace;
  std::vector<Fault> faults;
  collecting(faults, "topk_ids_of_layer", [&] {
    const IdsArray array = read_ids_array(zip.get(), "topk_ids_of_layer");
    trace.layers = array.shape[0];
    trace.tokens = array.shape[1];
    trace.top_k = array.shape[2];
    trace.ids.resize(array.ids.size());
    for (int64_t layer = 0; layer < trace.layers; ++layer)
      for (int64_t token = 0; token < trace.tokens; ++token)
        std::copy_n(array.ids.begin() + (layer * trace.tokens + token) * trace.top_k, trace.top_k,
                    trace.ids.begin() + (token * trace.layers + layer) * trace.top_k);
  });
  collecting(faults, "input_ids", [&] { trace.token = read_numbers(zip.get(), "input_ids", trace.tokens); });
  collecting(faults, "positions", [&] { trace.position = read_numbers(zip.get(), "positions", trace.tokens); });
  if (!faults.empty()) throw ConfigError(source, faults);
  trace.recorded = "SGLang, expert distribution recorder";
  drop_layers_of_zeros(trace);
  return trace;
}

}  // namespace moesim
