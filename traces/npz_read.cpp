#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "traces/npy.h"
#include "traces/npz.h"
#include "traces/npz_archive.h"
#include "traces/stored_choices.h"
#include "traces/whole_file.h"

namespace moesim {
namespace {

constexpr uintmax_t kSidecarBytesMax = uintmax_t{1} << 24;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

std::optional<int64_t> read_number(zip_t* zip, const char* name) {
  std::optional<OpenArray> array = open_array(zip, name);
  if (!array) return {};
  if (!is_integer(array->header.type) || values_of(array->header) != 1) refuse("must be a single integer");
  const NpyType type = array->header.type;
  int64_t value = 0;
  read_blocks(std::move(*array), [&](std::span<const std::byte> bytes) { value = integers_of(type, bytes)[0]; });
  return value;
}

void read_ids(OpenArray array, int64_t marker, RoutingTrace& trace) {
  const NpyType type = array.header.type;
  read_blocks(std::move(array), [&](std::span<const std::byte> bytes) {
    if (const auto bad = append_choices(integers_of(type, bytes), marker, trace.ids))
      refuse(fmt::format("{} is no expert", *bad));
  });
}

// The counts that an array of ids gives, within the limits of a trace.
void take_shape(const NpyHeader& ids, RoutingTrace& trace) {
  if (!is_integer(ids.type)) refuse("must hold integers, but holds floating-point numbers");
  if (ids.shape.size() != 3) refuse(fmt::format("must have 3 dimensions, but has {}", ids.shape.size()));
  for (const int64_t extent : ids.shape)
    if (extent == 0 || extent > kTraceTokensMax) refuse(fmt::format("has an extent of {}", extent));
  trace.tokens = ids.shape[0];
  trace.layers = ids.shape[1];
  trace.top_k = ids.shape[2];
  RoutingTrace lenient = trace;
  if (lenient.experts == 0) lenient.experts = kTraceExpertsMax;  // not known yet
  if (const std::vector<Fault> faults = check_shape(lenient); !faults.empty()) refuse(faults[0].message);
}

void read_gate(zip_t* zip, RoutingTrace& trace) {
  std::optional<OpenArray> array = open_array(zip, "gate");
  if (!array) return;
  if (is_integer(array->header.type)) refuse("must hold floating-point numbers");
  if (array->header.shape != std::vector<int64_t>{trace.tokens, trace.layers, trace.top_k})
    refuse("must have the shape of ids");
  const NpyType type = array->header.type;
  read_blocks(std::move(*array), [&](std::span<const std::byte> bytes) {
    const std::vector<float> weights = floats_of(type, bytes);
    trace.gate.insert(trace.gate.end(), weights.begin(), weights.end());
  });
}

void read_column(zip_t* zip, const char* name, int64_t tokens, std::vector<int32_t>& values) {
  std::optional<OpenArray> array = open_array(zip, name);
  if (!array) return;
  if (!is_integer(array->header.type)) refuse("must hold integers, but holds floating-point numbers");
  if (array->header.shape != std::vector<int64_t>{tokens})
    refuse(fmt::format("must have one dimension of {} values, one a token", tokens));
  const NpyType type = array->header.type;
  read_blocks(std::move(*array), [&](std::span<const std::byte> bytes) {
    for (const int64_t value : integers_of(type, bytes)) {
      if (value != int32_t(value)) refuse(fmt::format("{} does not fit in 32 bits", value));
      values.push_back(int32_t(value));
    }
  });
}

void count_positions(RoutingTrace& trace) {
  if (trace.request.empty() || !trace.position.empty()) return;
  std::unordered_map<int32_t, int32_t> next;  // by request; never iterated
  for (const int32_t request : trace.request) trace.position.push_back(next[request]++);
}

// Runs a reader of one array; what is wrong with that array joins the other faults.
template <class Read>
void collecting(std::vector<Fault>& faults, const char* name, Read read) {
  try {
    read();
  } catch (const std::invalid_argument& fault) {
    faults.push_back({0, fmt::format("/{}", name), fault.what()});
  }
}

void read_counts_and_ids(zip_t* zip, const NpzSidecar& sidecar, RoutingTrace& trace, std::vector<Fault>& faults) {
  collecting(faults, "experts", [&] { trace.experts = read_number(zip, "experts").value_or(0); });
  collecting(faults, "zero_experts", [&] { trace.zero_experts = read_number(zip, "zero_experts").value_or(0); });
  if (trace.experts == 0 && sidecar.experts != 0) {
    trace.experts = sidecar.experts;
    trace.notes.push_back(fmt::format("the .json beside the file says that there are {} experts", trace.experts));
  }
  collecting(faults, "ids", [&] {
    std::optional<OpenArray> ids = open_array(zip, "ids");
    if (!ids) refuse("the array is missing");
    take_shape(ids->header, trace);
    const int64_t experts_at_most = trace.experts == 0 ? kTraceExpertsMax : trace.experts;
    const NpyType type = ids->header.type;
    read_ids(std::move(*ids), dropped_marker(is_signed(type), bytes_of(type), experts_at_most), trace);
    if (trace.experts == 0) assume_experts(trace);
  });
}

NpzSidecar read_sidecar(const std::string& npz_path) {
  const auto path = std::filesystem::path(npz_path).replace_extension(".json");
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || std::filesystem::file_size(path, error) > kSidecarBytesMax)
    return {};
  std::ifstream file(path);
  const nlohmann::json json = nlohmann::json::parse(file, nullptr, false);
  NpzSidecar sidecar;
  if (!json.is_object()) return sidecar;
  if (const auto experts = json.find("experts"); experts != json.end() && experts->is_number_unsigned())
    sidecar.experts = int64_t(std::min<uint64_t>(experts->get<uint64_t>(), INT64_MAX));
  if (const auto domains = json.find("domains"); domains != json.end() && domains->is_array())
    for (const auto& domain : *domains) sidecar.domains.push_back(domain.is_string() ? domain.get<std::string>() : "");
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  sidecar.model = text("model");
  sidecar.source = text("source");
  sidecar.recorded = text("recorded");
  if (const auto numbers = json.find("layer_numbers"); numbers != json.end() && numbers->is_array())
    for (const auto& number : *numbers)
      if (number.is_number_unsigned() && number.get<uint64_t>() <= INT32_MAX)
        sidecar.layer_numbers.push_back(number.get<int32_t>());
  return sidecar;
}

}  // namespace

void assume_experts(RoutingTrace& trace) {
  int64_t largest = 0;
  for (const uint16_t expert : trace.ids)
    if (expert != kDropped) largest = std::max<int64_t>(largest, expert);
  trace.experts = std::min((largest + 8) / 8 * 8, kTraceExpertsMax);
  trace.notes.push_back(fmt::format(
      "the file does not say how many experts there are: {} assumed, from the largest id {} rounded up to a "
      "multiple of 8 (an array `experts` would say it)",
      trace.experts, largest));
}

RoutingTrace parse_npz_arrays(std::span<const std::byte> bytes, const std::string& source, const NpzSidecar& sidecar) {
  const Zip zip = open_zip(bytes, source);
  RoutingTrace trace;
  std::vector<Fault> faults;
  read_counts_and_ids(zip.get(), sidecar, trace, faults);
  if (!faults.empty()) throw ConfigError(source, faults);

  collecting(faults, "gate", [&] { read_gate(zip.get(), trace); });
  for (const auto& column : columns(trace))
    collecting(faults, column.name, [&] { read_column(zip.get(), column.name, trace.tokens, *column.values); });
  if (trace.request.empty())
    collecting(faults, "doc", [&] { read_column(zip.get(), "doc", trace.tokens, trace.request); });
  if (!faults.empty()) throw ConfigError(source, faults);

  count_positions(trace);
  if (!trace.domain.empty()) trace.domains = sidecar.domains;
  trace.model = sidecar.model;
  trace.source = sidecar.source;
  trace.recorded = sidecar.recorded;
  if (int64_t(sidecar.layer_numbers.size()) == trace.layers) trace.layer_numbers = sidecar.layer_numbers;
  return trace;
}

RoutingTrace parse_npz_trace(std::span<const std::byte> bytes, const std::string& source, const NpzSidecar& sidecar) {
  RoutingTrace trace = parse_npz_arrays(bytes, source, sidecar);
  const std::vector<Fault> faults = check_trace(trace);
  if (!faults.empty()) throw ConfigError(source, faults);
  return trace;
}

RoutingTrace read_npz_arrays(const std::string& path) {
  return parse_npz_arrays(whole_file(path), path, read_sidecar(path));
}

RoutingTrace read_npz_trace(const std::string& path) {
  return parse_npz_trace(whole_file(path), path, read_sidecar(path));
}

}  // namespace moesim
