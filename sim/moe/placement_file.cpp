#include "sim/moe/placement_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <numeric>

#include "sim/config/json_text.h"
#include "sim/config/reader.h"

namespace moesim {
namespace {

// Experts that have no slot in a row, and slots beyond the experts. Stops at the first.
std::string row_fault(const std::vector<int32_t>& row, int64_t slots, int32_t experts) {
  if (int64_t(row.size()) != slots) return fmt::format("has {} slots, but the GPUs have {}", row.size(), slots);
  std::vector<bool> placed(size_t(experts), false);
  for (const int32_t expert : row) {
    if (expert >= experts) return fmt::format("has expert {}, but there are {}", expert, experts);
    if (expert != kEmptySlot) placed[size_t(expert)] = true;
  }
  for (size_t expert = 0; expert < placed.size(); ++expert)
    if (!placed[expert]) return fmt::format("has no slot for expert {}", expert);
  return "";
}

// The file's text has a line a layer: a list over lines of one number would be long.
std::string rows_text(const SlotMap& map) {
  std::string text = "[";
  for (const std::vector<int32_t>& row : map)
    fmt::format_to(std::back_inserter(text), "{}\n    [{}]", &row == map.data() ? "" : ",", fmt::join(row, ", "));
  return text + "\n  ]";
}

}  // namespace

void check_fields(const PlacementFile& s, const std::function<void(std::string key, std::string message)>& fault) {
  if (s.slots.size() != size_t(s.gpus))
    fault("slots", fmt::format("has {} numbers, one a GPU are {}", s.slots.size(), s.gpus));
  if (s.physical_to_logical.size() != size_t(s.layers))
    fault("physical_to_logical", fmt::format("has {} layers, not {}", s.physical_to_logical.size(), s.layers));
  if (!s.layer_numbers.empty() && s.layer_numbers.size() != size_t(s.layers))
    fault("layer_numbers", fmt::format("has {} numbers, one a layer are {}", s.layer_numbers.size(), s.layers));
  for (const int32_t number : s.layer_numbers)
    if (number >= s.model_layers)
      fault("layer_numbers", fmt::format("layer {} is beyond the {} of the model", number, s.model_layers));
  const int64_t slots = std::accumulate(s.slots.begin(), s.slots.end(), int64_t{0});
  for (size_t layer = 0; layer < s.physical_to_logical.size(); ++layer) {
    const std::string wrong = row_fault(s.physical_to_logical[layer], slots, s.experts);
    if (!wrong.empty()) fault("physical_to_logical", fmt::format("layer {} {}", layer, wrong));
  }
}

PlacementFile read_placement_file(const std::string& path) {
  const JsonNode root = read_json_file(path);
  require_format_version(root, 1, path);
  return read_struct<PlacementFile>(root, path);
}

std::string placement_file_text(const PlacementFile& file) {
  PlacementFile head = file;
  head.physical_to_logical.clear();
  std::string text = json_text(head);
  const std::string empty = "\"physical_to_logical\": []";
  const size_t at = text.find(empty);
  return text.replace(at, empty.size(), "\"physical_to_logical\": " + rows_text(file.physical_to_logical));
}

Placement placement_of(const PlacementFile& file) {
  return placement_of(file.physical_to_logical, file.slots, file.experts);
}

std::vector<std::string> misfits(const PlacementFile& file, const PlacementInput& in) {
  std::vector<std::string> faults;
  if (file.layers != in.layers) faults.push_back(fmt::format("has {} layers, not {}", file.layers, in.layers));
  if (file.experts != in.experts) faults.push_back(fmt::format("has {} experts, not {}", file.experts, in.experts));
  if (file.gpus != in.gpus) faults.push_back(fmt::format("is for {} GPUs, not {}", file.gpus, in.gpus));
  if (!faults.empty()) return faults;
  const std::vector<int32_t> slots = slots_of_gpus(in);
  for (size_t gpu = 0; gpu < slots.size(); ++gpu)
    if (file.slots[gpu] > slots[gpu])
      faults.push_back(fmt::format("fills {} slots of GPU {}, which has {} (/parallelism/spare_slots or slots)",
                                   file.slots[gpu], gpu, slots[gpu]));
  if (faults.size() > 5) faults.resize(5);
  return faults;
}

}  // namespace moesim
