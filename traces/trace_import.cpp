#include "traces/trace_import.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/check.h"
#include "traces/npz.h"
#include "traces/npz_archive.h"
#include "traces/routing_trace_file.h"
#include "traces/whole_file.h"

namespace moesim {
namespace {

TraceFormat npz_format(const std::string& path) {
  const std::vector<std::byte> bytes = whole_file(path);
  const Zip zip = open_zip(bytes, path);
  for (const std::string& name : array_names(zip.get())) {
    if (name == "ids") return TraceFormat::npz;
    if (name == "topk_ids_of_layer") return TraceFormat::sglang;
    if (name.starts_with("routed_experts") || name.starts_with("prompt_routed_experts")) return TraceFormat::vllm;
  }
  throw ConfigError(path, "holds none of the arrays ids, routed_experts*, prompt_routed_experts*, topk_ids_of_layer");
}

bool is_routing(const RoutingTrace& trace, int64_t token) {
  if (!trace.request.empty() && trace.request[size_t(token)] < 0) return false;
  bool has_choice = false;
  bool is_written = trace.top_k == 1;
  for (int64_t layer = 0; layer < trace.layers; ++layer) {
    const auto chosen = choices(trace, token, layer);
    has_choice |= std::any_of(chosen.begin(), chosen.end(), [](uint16_t expert) { return expert != kDropped; });
    is_written |= std::any_of(chosen.begin(), chosen.end(), [&](uint16_t expert) { return expert != chosen[0]; });
  }
  return has_choice && is_written;
}

int64_t drop_warm_up(RoutingTrace& trace) {
  std::vector<bool> kept(size_t(trace.tokens), false);
  for (int64_t token = 0; token < trace.tokens; ++token) kept[size_t(token)] = is_routing(trace, token);
  const int64_t left = std::count(kept.begin(), kept.end(), true);
  if (left == trace.tokens) return 0;
  const auto keep = [&](auto& values, int64_t row) {
    auto to = values.begin();
    for (int64_t token = 0; token < trace.tokens && !values.empty(); ++token)
      if (kept[size_t(token)]) to = std::copy_n(values.begin() + token * row, row, to);
    values.erase(to, values.end());
  };
  keep(trace.ids, trace.layers * trace.top_k);
  keep(trace.gate, trace.layers * trace.top_k);
  for (const auto& column : columns(trace)) keep(*column.values, 1);
  const int64_t dropped = trace.tokens - left;
  trace.tokens = left;
  return dropped;
}

RoutingTrace read_rows(const std::string& path, TraceFormat format) {
  switch (format) {
    case TraceFormat::npz:
      return read_npz_arrays(path);
    case TraceFormat::vllm:
      return parse_vllm_rows(whole_file(path), path);
    case TraceFormat::sglang:
      return parse_sglang_rows(whole_file(path), path);
    case TraceFormat::jsonl:
      return parse_jsonl_rows(whole_file(path), path);
    case TraceFormat::hdf5:
      break;
  }
  CHECK(false);
}

}  // namespace

TraceFormat trace_format(const std::string& path) {
  if (is_hdf5(path)) return TraceFormat::hdf5;
  const std::vector<std::byte> begin = first_bytes(path, 64);
  const std::string text(reinterpret_cast<const char*>(begin.data()), begin.size());
  if (text.starts_with("PK")) return npz_format(path);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && text[first] == '{') return TraceFormat::jsonl;
  throw ConfigError(path, "is no recorded routing: neither HDF5, .npz nor lines of JSON by its first bytes");
}

ImportedTrace finish_import(RoutingTrace rows, const std::string& source, int64_t experts) {
  ImportedTrace imported{std::move(rows), 0};
  RoutingTrace& trace = imported.trace;
  imported.warm_up_rows = drop_warm_up(trace);
  if (trace.tokens == 0) throw ConfigError(source, "holds no routing but warm-up rows");
  if (experts > 0) {
    trace.experts = experts;
    trace.notes.clear();
  } else if (trace.experts == 0) {
    assume_experts(trace);
  }
  if (const std::vector<Fault> faults = check_trace(trace); !faults.empty()) throw ConfigError(source, faults);
  return imported;
}

ImportedTrace import_trace(const std::string& path, TraceFormat format, int64_t experts) {
  return finish_import(read_rows(path, format), path, experts);
}

}  // namespace moesim
