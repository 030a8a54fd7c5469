#include "traces/expert_counts.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>

#include "sim/config/reader.h"
#include "traces/npz_archive.h"
#include "traces/routing_trace.h"
#include "traces/safetensors.h"
#include "traces/whole_file.h"

namespace moesim {
namespace {

constexpr int64_t kCountMax = int64_t{1} << 40;  // a sum over all steps stays far from overflow

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

// Adds values [steps..., layers, experts] up over the steps.
void add_steps(const std::vector<int64_t>& shape, std::span<const int64_t> values, int64_t first,
               ExpertCounts& counts) {
  const int64_t experts = shape.back();
  const int64_t layers = shape[shape.size() - 2];
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t at = first + int64_t(i);
    if (values[i] < 0 || values[i] > kCountMax) refuse(fmt::format("{} is no count", values[i]));
    int64_t& count = counts.counts[size_t(at / experts % layers)][size_t(at % experts)];
    count = std::min(count + values[i], kCountMax);
  }
}

void set_size(int64_t layers, int64_t experts, ExpertCounts& counts) {
  if (layers < 1 || layers > kTraceLayersMax || experts < 1 || experts > kTraceExpertsMax)
    refuse(fmt::format("has {} layers of {} experts", layers, experts));
  counts.experts = experts;
  counts.counts.assign(size_t(layers), std::vector<int64_t>(size_t(experts), 0));
}

// The shape of nested lists, by the first of each.
std::vector<int64_t> shape_of(const JsonNode& node) {
  std::vector<int64_t> shape;
  for (const JsonNode* at = &node; at->kind == JsonKind::array; at = &at->children[0]) {
    shape.push_back(int64_t(at->children.size()));
    if (at->children.empty()) break;
  }
  return shape;
}

void collect_numbers(const JsonNode& node, const std::vector<int64_t>& shape, size_t depth,
                     std::vector<int64_t>& values) {
  if (depth == shape.size()) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), value);
    if (node.kind != JsonKind::number || error != std::errc() || end != node.text.data() + node.text.size())
      refuse(fmt::format("line {}: a count must be a whole number", node.line));
    values.push_back(value);
    return;
  }
  if (node.kind != JsonKind::array || int64_t(node.children.size()) != shape[depth])
    refuse(fmt::format("line {}: logical_count must be a table, with lists of the same length", node.line));
  for (const JsonNode& child : node.children) collect_numbers(child, shape, depth + 1, values);
}

void read_sglang_json(const std::string& path, ExpertCounts& counts) {
  const JsonNode root = read_json_file(path);
  const JsonNode* const table = root.find("logical_count");
  if (table == nullptr) refuse("has no logical_count");
  const std::vector<int64_t> shape = shape_of(*table);
  if (shape.size() != 2 && shape.size() != 3)
    refuse("logical_count must be [layers, experts], or [steps, layers, experts]");
  std::vector<int64_t> values;
  collect_numbers(*table, shape, 0, values);
  set_size(shape[shape.size() - 2], shape.back(), counts);
  add_steps(shape, values, 0, counts);
}

void read_sglang_npz(const std::string& path, ExpertCounts& counts) {
  const std::vector<std::byte> bytes = whole_file(path);
  const Zip zip = open_zip(bytes, path);
  std::optional<OpenArray> array = open_array(zip.get(), "logical_count");
  if (!array) refuse("has no array logical_count");
  const NpyHeader header = array->header;
  if (!is_integer(header.type) || header.shape.size() < 2 || header.shape.size() > 3)
    refuse("logical_count must be whole numbers [layers, experts], or [steps, layers, experts]");
  set_size(header.shape[header.shape.size() - 2], header.shape.back(), counts);
  int64_t first = 0;
  read_blocks(std::move(*array), [&](std::span<const std::byte> block) {
    const std::vector<int64_t> values = integers_of(header.type, block);
    add_steps(header.shape, values, first, counts);
    first += int64_t(values.size());
  });
}

void add_routed(OpenArray array, ExpertCounts& counts) {
  const NpyHeader header = array.header;
  if (!is_integer(header.type) || header.shape.size() != 3) refuse("must be whole numbers [tokens, layers, k]");
  if (counts.counts.empty()) set_size(header.shape[1], counts.experts, counts);
  const int64_t layers = header.shape[1];
  const int64_t top_k = header.shape[2];
  if (size_t(layers) != counts.counts.size())
    refuse(fmt::format("has {} layers, others have {}", layers, counts.counts.size()));
  if (top_k < 1) return;
  int64_t at = 0;
  read_blocks(std::move(array), [&](std::span<const std::byte> block) {
    for (const int64_t expert : integers_of(header.type, block)) {
      if (expert >= counts.experts) refuse(fmt::format("has expert {}, but there are {}", expert, counts.experts));
      if (expert >= 0) ++counts.counts[size_t(at / top_k % layers)][size_t(expert)];
      ++at;
    }
  });
}

struct TrtllmMeta {
  int64_t num_experts = 0;
  int64_t num_experts_per_token = 0;
};

template <class Visitor>
void fields(Visitor& v, TrtllmMeta& s) {
  v.required("num_experts", s.num_experts, between(int64_t{1}, kTraceExpertsMax), "experts");
  v.optional("num_experts_per_token", s.num_experts_per_token, at_least(int64_t{1}), "experts that a token chooses");
}

// The layer of a tensor's name ITERATION_LAYER.
std::optional<int32_t> layer_of_key(const std::string& key) {
  const size_t bar = key.find('_');
  if (bar == std::string::npos || bar == 0 || key.find_first_not_of("0123456789_") != std::string::npos) return {};
  int32_t layer = 0;
  const char* const end = key.data() + key.size();
  const auto read = std::from_chars(key.data() + bar + 1, end, layer);
  return read.ec == std::errc() && read.ptr == end ? std::optional(layer) : std::nullopt;
}

// The files of counts in a folder, by name: those of raw choices and of other things are left alone.
std::vector<std::string> rank_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("rank") && name.ends_with(".safetensors") && !name.ends_with("_raw.safetensors"))
      files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void add_rank(const std::string& file, int64_t experts, std::map<int32_t, std::vector<int64_t>>& by_layer) {
  const std::vector<std::byte> bytes = whole_file(file);
  for (const Tensor& tensor : parse_safetensors(bytes, file)) {
    const std::optional<int32_t> layer = layer_of_key(tensor.name);
    if (!layer || *layer < 0 || *layer >= kTraceLayersMax)
      throw ConfigError(file, fmt::format("tensor {} should be named ITERATION_LAYER", in_quotes(tensor.name)));
    if (tensor.shape != std::vector<int64_t>{experts})
      throw ConfigError(file, fmt::format("tensor {} should have {} counts", in_quotes(tensor.name), experts));
    std::vector<int64_t>& counts = by_layer[*layer];
    counts.resize(size_t(experts), 0);
    for (size_t expert = 0; expert < counts.size(); ++expert) {
      if (tensor.values[expert] < 0) throw ConfigError(file, fmt::format("{} is no count", tensor.values[expert]));
      counts[expert] = std::min(counts[expert] + std::min(tensor.values[expert], kCountMax), kCountMax);
    }
  }
}

[[noreturn]] void refuse_pytorch(const std::string& path) {
  throw ConfigError(path,
                    "PyTorch files are not read, as they can run code; convert it once: python3 -c \"import torch, "
                    "numpy; numpy.savez('counts.npz', logical_count=torch.load('FILE.pt')['logical_count'].cpu())\"");
}

}  // namespace

ExpertCounts read_sglang_counts(const std::string& path) {
  if (path.ends_with(".pt")) refuse_pytorch(path);
  ExpertCounts counts;
  counts.source = path;
  try {
    if (path.ends_with(".npz"))
      read_sglang_npz(path, counts);
    else
      read_sglang_json(path, counts);
  } catch (const std::invalid_argument& error) {
    throw ConfigError(path, error.what());
  }
  return counts;
}

bool is_sglang_counts(const std::string& path) {
  try {
    return read_json_file(path).find("logical_count") != nullptr;
  } catch (const ConfigError&) {
    return false;
  }
}

ExpertCounts read_vllm_counts(const std::string& path, int64_t experts) {
  if (path.ends_with(".pt")) refuse_pytorch(path);
  ExpertCounts counts;
  counts.source = path;
  counts.experts = experts;
  const std::vector<std::byte> bytes = whole_file(path);
  const Zip zip = open_zip(bytes, path);
  std::vector<Fault> faults;
  for (const std::string& name : array_names(zip.get())) {
    if (!name.starts_with("routed_experts") && !name.starts_with("prompt_routed_experts")) continue;
    try {
      if (auto array = open_array(zip.get(), name)) add_routed(std::move(*array), counts);
    } catch (const std::invalid_argument& error) {
      faults.push_back({0, "/" + name, error.what()});
    }
  }
  if (faults.empty() && counts.counts.empty()) faults.push_back({0, "", "has no array routed_experts"});
  throw_if_any(path, std::move(faults));
  return counts;
}

ExpertCounts read_trtllm_counts(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) throw ConfigError(folder, "is no folder of expert statistics");
  const std::string meta_path = (std::filesystem::path(folder) / "meta_info.json").string();
  const JsonNode root = read_json_file(meta_path);
  TrtllmMeta meta;
  std::vector<Fault> faults;
  std::vector<std::string> keys;
  for (const JsonNode& child : root.children) keys.push_back(child.key);  // some versions add how ranks were laid out
  read_fields(root, Place{}, meta, faults, keys);
  throw_if_any(meta_path, std::move(faults));
  std::map<int32_t, std::vector<int64_t>> by_layer;
  const std::vector<std::string> files = rank_files(folder);
  for (const std::string& file : files) add_rank(file, meta.num_experts, by_layer);
  if (by_layer.empty()) throw ConfigError(folder, "has no counts: rank*.safetensors");
  ExpertCounts counts;
  counts.source = folder;
  counts.experts = meta.num_experts;
  for (auto& [layer, row] : by_layer) {
    counts.layer_numbers.push_back(layer);
    counts.counts.push_back(std::move(row));
  }
  return counts;
}

}  // namespace moesim
