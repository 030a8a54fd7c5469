#include "sim/run/placement_maps.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "sim/config/reader.h"

namespace moesim {
namespace {

constexpr int32_t kExpertMax = 65534;

struct SglangMap {
  SlotMap physical_to_logical_map;
};

template <class Visitor>
void fields(Visitor& v, SglangMap& s) {
  v.required("physical_to_logical_map", s.physical_to_logical_map, between(0, kExpertMax),
             "[layer][slot] the expert in each slot, rank after rank");
}

struct VllmDevice {
  int32_t device_id = 0;
  std::vector<int32_t> device_expert;
};

template <class Visitor>
void fields(Visitor& v, VllmDevice& s) {
  v.optional("device_id", s.device_id, at_least(0), "rank");
  v.required("device_expert", s.device_expert, between(0, kExpertMax), "[slot] experts of the rank");
}

struct VllmLayer {
  int32_t layer_id = 0;
  int32_t device_count = 0;
  std::vector<VllmDevice> device_list;
};

template <class Visitor>
void fields(Visitor& v, VllmLayer& s) {
  v.optional("layer_id", s.layer_id, at_least(0), "number among the MoE layers");
  v.required("device_count", s.device_count, at_least(1), "ranks");
  v.required("device_list", s.device_list, "each rank");
}

struct VllmMap {
  int32_t moe_layer_count = 0;
  std::vector<VllmLayer> layer_list;
};

template <class Visitor>
void fields(Visitor& v, VllmMap& s) {
  v.required("moe_layer_count", s.moe_layer_count, at_least(1), "MoE layers");
  v.required("layer_list", s.layer_list, "each MoE layer");
}

// As many slots on each GPU.
void set_even_slots(const std::string& source, size_t slots, PlacementFile& file) {
  if (slots == 0 || slots % size_t(file.gpus) != 0)
    throw ConfigError(source, fmt::format("its {} slots are not divisible by {} GPUs", slots, file.gpus));
  file.slots.assign(size_t(file.gpus), int32_t(slots / size_t(file.gpus)));
}

// Rows of all layers of the model, or of those that have experts.
SlotMap moe_rows(const std::string& source, SlotMap rows, const PlacementFile& file) {
  if (rows.size() == size_t(file.layers)) return rows;
  if (rows.size() != size_t(file.model_layers))
    throw ConfigError(source, fmt::format("has {} layers, but {} has {}, {} with experts", rows.size(), file.model,
                                          file.model_layers, file.layers));
  SlotMap chosen;
  for (const int32_t layer : file.layer_numbers) chosen.push_back(std::move(rows[size_t(layer)]));
  return chosen;
}

// Rows by the model's number of their layer.
SlotMap numbered_rows(const std::string& source, std::map<int32_t, std::vector<int32_t>> rows,
                      const PlacementFile& file) {
  SlotMap chosen;
  for (int32_t layer = 0; layer < file.layers; ++layer) {
    const auto found = rows.find(file.layer_numbers.empty() ? layer : file.layer_numbers[size_t(layer)]);
    if (found == rows.end())
      throw ConfigError(source, fmt::format("has no layer {}",
                                            file.layer_numbers.empty() ? layer : file.layer_numbers[size_t(layer)]));
    chosen.push_back(std::move(found->second));
    rows.erase(found);
  }
  if (!rows.empty())
    throw ConfigError(source, fmt::format("layer {} has no experts in {}", rows.begin()->first, file.model));
  return chosen;
}

int32_t whole_number(const YAML::Node& node, const std::string& what) {
  int32_t value = 0;
  const std::string text = node.IsScalar() ? node.Scalar() : "";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || text.empty() || end != text.data() + text.size() || value < 0 || value > kExpertMax)
    throw std::invalid_argument(fmt::format("line {}: {} must be a whole number up to {}, but is {}",
                                            node.Mark().line + 1, what, kExpertMax,
                                            node.IsScalar() ? in_quotes(text) : "none"));
  return value;
}

std::map<int32_t, std::vector<int32_t>> yaml_rows(const YAML::Node& root) {
  const YAML::Node assignments = root.IsMap() ? root["initial_global_assignments"] : YAML::Node();
  if (!assignments || !assignments.IsMap()) throw std::invalid_argument("has no map initial_global_assignments");
  std::map<int32_t, std::vector<int32_t>> rows;
  for (const auto& entry : assignments) {
    std::vector<int32_t>& row = rows[whole_number(entry.first, "a layer")];
    if (!row.empty() || !entry.second.IsSequence())
      throw std::invalid_argument(fmt::format("line {}: a layer must have one list", entry.first.Mark().line + 1));
    for (const auto& expert : entry.second) row.push_back(whole_number(expert, "an expert"));
  }
  const YAML::Node slots = root["num_slots"];
  for (const auto& [layer, row] : rows)
    if (slots && size_t(whole_number(slots, "num_slots")) != row.size())
      throw std::invalid_argument(
          fmt::format("layer {} has {} slots, but num_slots is {}", layer, row.size(), slots.Scalar()));
  return rows;
}

// The four numbers of a line of CSV.
std::array<int32_t, 4> csv_numbers(std::string_view line, size_t number, const std::string& source) {
  std::array<int32_t, 4> values{};
  const char* at = line.data();
  const char* const end = line.data() + line.size();
  for (size_t v = 0; v < values.size(); ++v) {
    const auto read = std::from_chars(at, end, values[v]);
    const bool ends_well = v + 1 < values.size() ? read.ptr != end && *read.ptr == ',' : read.ptr == end;
    if (read.ec != std::errc() || !ends_well)
      throw ConfigError(source, fmt::format("line {} must be four whole numbers: layer,slot,gpu,expert", number));
    at = read.ptr + 1;
  }
  return values;
}

}  // namespace

void read_sglang_map(const std::string& text, const std::string& source, PlacementFile& file) {
  auto map = read_struct<SglangMap>(parse_json(text, source), source);
  if (map.physical_to_logical_map.empty()) throw ConfigError(source, "has no layers");
  set_even_slots(source, map.physical_to_logical_map[0].size(), file);
  file.physical_to_logical = moe_rows(source, std::move(map.physical_to_logical_map), file);
}

void read_vllm_map(const std::string& text, const std::string& source, PlacementFile& file) {
  const auto map = read_struct<VllmMap>(parse_json(text, source), source);
  SlotMap rows;
  for (const VllmLayer& layer : map.layer_list) {
    if (layer.device_list.size() != size_t(file.gpus))
      throw ConfigError(source, fmt::format("is for {} ranks, not {} GPUs", layer.device_list.size(), file.gpus));
    std::vector<int32_t>& row = rows.emplace_back();
    for (const VllmDevice& device : layer.device_list) {
      if (device.device_expert.size() != map.layer_list[0].device_list[0].device_expert.size())
        throw ConfigError(source, "ranks have different numbers of experts");
      row.insert(row.end(), device.device_expert.begin(), device.device_expert.end());
    }
  }
  if (rows.empty()) throw ConfigError(source, "has no layers");
  set_even_slots(source, rows[0].size(), file);
  file.physical_to_logical = moe_rows(source, std::move(rows), file);
}

void read_trtllm_map(const std::string& text, const std::string& source, PlacementFile& file) {
  try {
    auto rows = yaml_rows(YAML::Load(text));
    if (rows.empty()) throw std::invalid_argument("has no layers");
    set_even_slots(source, rows.begin()->second.size(), file);
    file.physical_to_logical = numbered_rows(source, std::move(rows), file);
  } catch (const YAML::Exception& error) {
    throw ConfigError(source, fmt::format("not YAML: {}", error.what()));
  } catch (const std::invalid_argument& error) {
    throw ConfigError(source, error.what());
  }
}

void read_csv_map(const std::string& text, const std::string& source, PlacementFile& file) {
  if (!text.starts_with("layer,slot,gpu,expert\n")) throw ConfigError(source, "must begin with layer,slot,gpu,expert");
  std::map<int32_t, std::vector<int32_t>> rows;
  file.slots.assign(size_t(file.gpus), 0);
  int32_t first_layer = -1;
  std::vector<int32_t> gpu_of_slot;  // as the first layer has them
  size_t number = 1;
  for (size_t at = text.find('\n') + 1; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const auto [layer, slot, gpu, expert] = csv_numbers(std::string_view(text).substr(at, end - at), ++number, source);
    at = end + 1;
    if (first_layer < 0) first_layer = layer;
    if (gpu < 0 || gpu >= file.gpus || expert < kEmptySlot || layer < 0)
      throw ConfigError(source, fmt::format("line {}: GPU {} or expert {} cannot be", number, gpu, expert));
    if (size_t(slot) != rows[layer].size())
      throw ConfigError(source, fmt::format("line {}: slot {} should be {}", number, slot, rows[layer].size()));
    rows[layer].push_back(expert);
    const bool goes_back = layer == first_layer && !gpu_of_slot.empty() && gpu < gpu_of_slot.back();
    if (layer == first_layer) gpu_of_slot.push_back(gpu), ++file.slots[size_t(gpu)];
    if (goes_back || size_t(slot) >= gpu_of_slot.size() || gpu_of_slot[size_t(slot)] != gpu)
      throw ConfigError(source, fmt::format("line {}: slots must lie GPU after GPU, alike in each layer", number));
  }
  file.physical_to_logical = numbered_rows(source, std::move(rows), file);
}

}  // namespace moesim
