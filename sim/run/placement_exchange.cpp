#include "sim/run/placement_exchange.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <numeric>

#include "sim/config/atomic_file.h"
#include "sim/config/error.h"
#include "sim/core/check.h"
#include "sim/run/placement_maps.h"

namespace moesim {
namespace {

// The row of a layer that has no experts: what SGLang starts from where nothing is said.
std::vector<int32_t> trivial_row(size_t slots, int32_t experts) {
  std::vector<int32_t> row(slots);
  for (size_t slot = 0; slot < slots; ++slot) row[slot] = int32_t(slot % size_t(experts));
  return row;
}

int32_t layer_number(const PlacementFile& file, size_t layer) {
  return file.layer_numbers.empty() ? int32_t(layer) : file.layer_numbers[layer];
}

std::string sglang_text(const PlacementFile& file, const SlotMap& map) {
  SlotMap rows(size_t(std::max(file.model_layers, file.layers)), trivial_row(map[0].size(), file.experts));
  for (size_t layer = 0; layer < map.size(); ++layer) rows[size_t(layer_number(file, layer))] = map[layer];
  std::string text = "{\"physical_to_logical_map\": [";
  for (const std::vector<int32_t>& row : rows)
    fmt::format_to(std::back_inserter(text), "{}\n[{}]", &row == rows.data() ? "" : ",", fmt::join(row, ", "));
  return text + "\n]}\n";
}

std::string vllm_text(const PlacementFile& file, const SlotMap& map) {
  std::string text = fmt::format("{{\"moe_layer_count\": {}, \"layer_list\": [", map.size());
  for (size_t layer = 0; layer < map.size(); ++layer) {
    fmt::format_to(std::back_inserter(text), "{}\n{{\"layer_id\": {}, \"device_count\": {}, \"device_list\": [",
                   layer == 0 ? "" : ",", layer, file.gpus);
    auto slot = map[layer].begin();
    for (size_t gpu = 0; gpu < file.slots.size(); ++gpu) {
      fmt::format_to(std::back_inserter(text), "{}\n  {{\"device_id\": {}, \"device_expert\": [{}]}}",
                     gpu == 0 ? "" : ",", gpu, fmt::join(slot, slot + file.slots[gpu], ", "));
      slot += file.slots[gpu];
    }
    text += "]}";
  }
  return text + "\n]}\n";
}

std::string trtllm_text(const PlacementFile& file, const SlotMap& map) {
  std::string text = "initial_global_assignments:\n";
  for (size_t layer = 0; layer < map.size(); ++layer)
    fmt::format_to(std::back_inserter(text), "  {}: [{}]\n", layer_number(file, layer), fmt::join(map[layer], ", "));
  return text + fmt::format("num_slots: {}\nlayer_updates_per_iter: 0\n", map[0].size());
}

std::string csv_map_text(const PlacementFile& file) {
  std::string text = "layer,slot,gpu,expert\n";
  for (size_t layer = 0; layer < file.physical_to_logical.size(); ++layer) {
    size_t slot = 0;
    for (size_t gpu = 0; gpu < file.slots.size(); ++gpu)
      for (int32_t s = 0; s < file.slots[gpu]; ++s, ++slot)
        fmt::format_to(std::back_inserter(text), "{},{},{},{}\n", layer_number(file, layer), slot, gpu,
                       file.physical_to_logical[layer][slot]);
  }
  return text;
}

// An expert to repeat on this GPU: one whose copies are all here, else the first; none on an empty GPU.
int32_t expert_to_repeat(const std::vector<int32_t>& row, size_t begin, size_t end) {
  int32_t first = kEmptySlot;
  for (size_t slot = begin; slot < end; ++slot) {
    const int32_t expert = row[slot];
    if (expert == kEmptySlot) continue;
    if (first == kEmptySlot) first = expert;
    const auto elsewhere = std::count(row.begin(), row.begin() + ptrdiff_t(begin), expert) +
                           std::count(row.begin() + ptrdiff_t(end), row.end(), expert);
    if (elsewhere == 0) return expert;
  }
  return first;
}

std::vector<std::vector<int64_t>> rows_of_moe_layers(const ExpertCounts& counts, const LlmSpec& llm) {
  std::vector<std::vector<int64_t>> rows;
  for (int32_t layer = 0; layer < llm.layers; ++layer) {
    if (!is_moe_layer(llm, layer)) continue;
    const auto found = std::find(counts.layer_numbers.begin(), counts.layer_numbers.end(), layer);
    if (!counts.layer_numbers.empty() && found == counts.layer_numbers.end())
      throw ConfigError(counts.source, fmt::format("has no counts of layer {} of {}", layer, llm.name));
    const size_t row = counts.layer_numbers.empty() ? size_t(layer) : size_t(found - counts.layer_numbers.begin());
    rows.push_back(counts.counts[row]);
  }
  return rows;
}

}  // namespace

const char* file_ending(ExchangeFormat format) {
  if (format == ExchangeFormat::csv) return "csv";
  return format == ExchangeFormat::trtllm ? "yaml" : "json";
}

PlacementFile map_shape(const LlmSpec& llm, const PlacementInput& in) {
  PlacementFile shape;
  shape.model = llm.name;
  shape.model_layers = llm.layers;
  for (int32_t layer = 0; layer < llm.layers; ++layer)
    if (is_moe_layer(llm, layer)) shape.layer_numbers.push_back(layer);
  shape.layers = in.layers;
  shape.experts = in.experts;
  shape.gpus = in.gpus;
  return shape;
}

SlotMap filled_slots(const PlacementFile& file) {
  SlotMap map = file.physical_to_logical;
  for (size_t layer = 0; layer < map.size(); ++layer) {
    size_t begin = 0;
    for (size_t gpu = 0; gpu < file.slots.size(); ++gpu) {
      const size_t end = begin + size_t(file.slots[gpu]);
      const int32_t repeated = expert_to_repeat(file.physical_to_logical[layer], begin, end);
      if (repeated == kEmptySlot && begin != end)
        throw ConfigError("--export", fmt::format("layer {}: GPU {} has no expert at all", layer, gpu));
      std::replace(map[layer].begin() + ptrdiff_t(begin), map[layer].begin() + ptrdiff_t(end), kEmptySlot, repeated);
      begin = end;
    }
  }
  return map;
}

std::string export_map(ExchangeFormat format, const PlacementFile& file) {
  CHECK(!file.physical_to_logical.empty());
  if (format == ExchangeFormat::csv) return csv_map_text(file);
  for (const int32_t slots : file.slots)
    if (slots != file.slots[0])
      throw ConfigError("--export", "the GPUs have different numbers of slots, which this engine cannot have; csv can");
  const SlotMap map = filled_slots(file);
  if (format == ExchangeFormat::sglang) return sglang_text(file, map);
  return format == ExchangeFormat::vllm ? vllm_text(file, map) : trtllm_text(file, map);
}

PlacementFile import_map(ExchangeFormat format, const std::string& path, const PlacementFile& shape) {
  constexpr int64_t kBytesMax = int64_t{256} << 20;
  const std::string text = read_text_file(path, kBytesMax);
  PlacementFile file = shape;
  file.policy = fmt::format("imported from {}", path);
  switch (format) {
    case ExchangeFormat::sglang:
      read_sglang_map(text, path, file);
      break;
    case ExchangeFormat::vllm:
      read_vllm_map(text, path, file);
      break;
    case ExchangeFormat::trtllm:
      read_trtllm_map(text, path, file);
      break;
    case ExchangeFormat::csv:
      read_csv_map(text, path, file);
      break;
  }
  std::vector<Fault> faults;
  check_fields(file, [&](const std::string&, std::string message) { faults.push_back({0, "", std::move(message)}); });
  throw_if_any(path, std::move(faults));
  return file;
}

bool holds_counts(ExchangeFormat format, const std::string& path) {
  switch (format) {
    case ExchangeFormat::sglang:
      return !path.ends_with(".json") || is_sglang_counts(path);
    case ExchangeFormat::vllm:
      return !path.ends_with(".json");
    case ExchangeFormat::trtllm:
      return std::filesystem::is_directory(path);
    case ExchangeFormat::csv:
      return false;
  }
  return false;
}

ExpertCounts read_expert_counts(ExchangeFormat format, const std::string& path, int64_t experts) {
  if (format == ExchangeFormat::sglang) return read_sglang_counts(path);
  if (format == ExchangeFormat::vllm) return read_vllm_counts(path, experts);
  return read_trtllm_counts(path);
}

void take_counts(const ExpertCounts& counts, const LlmSpec& llm, PlacementSetting& setting) {
  if (counts.experts != llm.experts)
    throw ConfigError(counts.source,
                      fmt::format("has {} experts, but {} has {}", counts.experts, llm.name, llm.experts));
  const size_t layers = counts.counts.size();
  const bool are_moe_layers = counts.layer_numbers.empty() && layers == size_t(setting.input.layers);
  if (counts.layer_numbers.empty() && !are_moe_layers && layers != size_t(llm.layers))
    throw ConfigError(counts.source, fmt::format("has {} layers, but {} has {}, {} with experts", layers, llm.name,
                                                 llm.layers, setting.input.layers));
  setting.input.past_load = are_moe_layers ? counts.counts : rows_of_moe_layers(counts, llm);
  setting.input.past_load_of_part.clear();
  setting.input.transitions.clear();
  setting.input.together.clear();
  setting.training = {counts.source, 0, 0};
}

}  // namespace moesim
